package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/banyanhq/banyan/campaign"
)

const (
	// NearTries is how many messages of one channel are on their way from a worker's turns
	// at once. What comes above that waits in the channel's task queue and not in the
	// workflow tasks, so that a channel which answers slowly holds up no turn.
	NearTries = 8
	// nearSlow is from when on a channel counts as slow: longer than a provider close by
	// needs, and short beside the ten seconds that a workflow task may take.
	nearSlow = 250 * time.Millisecond
	// nearRest is for how long a channel that was slow or failed is left to its queue.
	nearRest = 5 * time.Second
	// nearAgain is how long a message rests that was not delivered, as in its queue.
	nearAgain = time.Second
)

// near keeps account of the channels that are tried in the worker that took the turn. A
// message that goes out there costs Temporal one history event instead of an activity
// task and another workflow task.
type near struct {
	mu    sync.Mutex
	busy  map[string]int
	rests map[string]time.Time // until when
}

func (n *near) free(channel string, now time.Time) bool {
	return n.busy[channel] < NearTries && !now.Before(n.rests[channel])
}

func (n *near) open(channel string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.free(channel, now)
}

func (n *near) begin(channel string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.free(channel, now) {
		return false
	}
	if n.busy == nil {
		n.busy, n.rests = map[string]int{}, map[string]time.Time{}
	}
	n.busy[channel]++
	return true
}

func (n *near) end(channel string, began, now time.Time, failed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.busy[channel]--
	if failed || now.Sub(began) > nearSlow {
		n.rests[channel] = now.Add(nearRest)
	}
}

// atHand reports whether a message may be tried in this worker at once.
func (a *Activities) atHand(channel string) bool {
	_, known := a.Channels.Get(channel)
	// A service or a shop may take half a minute to answer, which no workflow task waits for.
	return known && !a.QueueSends && channel != campaign.ChannelCall && channel != campaign.ChannelRefund && a.near.open(channel, time.Now())
}

// SendNow is Send for the worker that took the turn, as a local activity: one try, if the
// channel has room here. What is not delivered is left to the channel's task queue, which
// knows how to wait and how to try again.
func (a *Activities) SendNow(ctx context.Context, key, channel string) (campaign.SendResult, error) {
	began := time.Now()
	if _, known := a.Channels.Get(channel); !known || !a.near.begin(channel, began) {
		return campaign.SendResult{Outcome: campaign.SendLater}, nil
	}
	result, err := a.Send(ctx, key, channel)
	a.near.end(channel, began, time.Now(), err != nil)
	if err != nil {
		after := nearAgain
		var failed *temporal.ApplicationError
		if errors.As(err, &failed) {
			after = max(after, failed.NextRetryDelay())
		}
		return campaign.SendResult{Outcome: campaign.SendLater, After: after}, nil
	}
	return result, nil
}
