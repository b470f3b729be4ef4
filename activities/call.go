package activities

import (
	"context"
	"math/rand/v2"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// Calls of services are claims like messages, made like messages by a channel of their
// own. What differs is here: a call has an end to its time instead of a day, its answer
// comes back to the journey, and one that was made may take half a minute.

// callPage is how many calls of a slice share a transaction: as many as are made at once,
// so that none waits for another page's slow ones.
const callPage = senders

// beatEvery is how often an activity beats while it waits for services: some times within
// the span after which a silent one is taken for dead.
const beatEvery = 5 * time.Second

// uncertain is how a claim ends that is not to be tried any more although an earlier attempt
// may have arrived. Of a message a person must ask; of a call the journey has gone on
// without the answer, and the service knows by the key what it did.
func uncertain(end *campaign.Attempt, o *campaign.Outgoing) {
	end.State, end.Reason = campaign.SendUnknown, campaign.ReasonUnknown
	if o.Kind == campaign.KindCall {
		end.State, end.Reason = campaign.SendFailed, campaign.ReasonNoAnswer
	}
}

// uncalled acts on a call's failure by its class.
func uncalled(o *campaign.Outgoing, end *campaign.Attempt, f *channels.Failure) {
	switch f.Class {
	case channels.ClassRefused:
		switch {
		case f.Reason != channels.ReasonDeadline:
			end.State, end.Reason = campaign.SendRefused, f.Reason
		case o.InDoubt:
			uncertain(end, o)
		default:
			end.State, end.Reason = campaign.SendDropped, campaign.ReasonNotMade
		}
	case channels.ClassRetry, channels.ClassConfig:
		if !o.InDoubt {
			end.NotDone, end.Reason = true, f.Reason
		}
		end.Untried = f.Reason == channels.ReasonCircuitOpen
	case channels.ClassUnknown: // it is made again under its key
	}
}

// restOf is how long a call waits after a failed attempt: as the service asked or, with
// growing pauses that chance spreads, as journeys wait. It comes back when its time is
// over, so that it is settled then and holds up nothing behind it.
func restOf(o *campaign.Outgoing, f *channels.Failure) time.Duration {
	rest := backoff(o.Attempts)
	if rest = max(f.RetryAfter, rest/2+rand.N(rest/2+1)); f.Reason == channels.ReasonCircuitOpen {
		rest = f.RetryAfter
	}
	if left := o.Clock.RealSpan(o.Deadline.Sub(o.Now)); !o.Deadline.IsZero() && rest > left {
		rest = max(left, 0) + 100*time.Millisecond
	}
	return max(rest, 100*time.Millisecond)
}

// beating beats for an activity until stop is called.
func beating(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				activity.RecordHeartbeat(ctx)
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}
