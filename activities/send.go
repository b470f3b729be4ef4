package activities

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// Send delivers a claimed message by one channel and settles it. A message that is
// settled already is not sent again; one whose earlier attempt may have arrived is
// repeated only where the provider takes our key.
func (a *Activities) Send(ctx context.Context, key, channel string) (campaign.SendResult, error) {
	list, err := a.Messages.Outgoing(ctx, key)
	if err != nil {
		return campaign.SendResult{}, a.failed(ctx, campaign.ActivitySend, err)
	}
	o := &list[0]
	switch {
	case o.Settled:
		return campaign.SendResult{Outcome: campaign.SendOutcome(o.State)}, nil
	case o.Paused:
		return campaign.SendResult{Outcome: campaign.SendHeld}, nil
	}
	attempt, try := a.before(o, channel)
	var failure *channels.Failure
	if try {
		if err := a.Messages.Trying(ctx, channel, key); err != nil {
			return campaign.SendResult{}, a.failed(ctx, campaign.ActivitySend, err)
		}
		attempt, failure = a.deliver(ctx, o, channel)
	}
	// A worker that is being stopped, or an activity that ran out of time, still has to
	// write down what it knows.
	if err := a.Messages.Record(context.WithoutCancel(ctx), attempt); err != nil {
		return campaign.SendResult{}, a.failed(ctx, campaign.ActivitySend, err, slog.Int64("journey", o.JourneyRow))
	}
	switch {
	case attempt.State != "":
		return campaign.SendResult{Outcome: attempt.State}, nil
	case attempt.Next != "":
		return campaign.SendResult{Outcome: campaign.SendRefused, Next: attempt.Next}, nil
	}
	rest := failure.RetryAfter
	if o.Kind == campaign.KindCall {
		rest = restOf(o, failure)
	}
	return campaign.SendResult{}, temporal.NewApplicationErrorWithOptions(
		"not delivered: "+failure.Reason, string(failure.Class), temporal.ApplicationErrorOptions{NextRetryDelay: rest})
}

const (
	// sendPage is how many messages of a slice are in doubt at once should the worker be
	// killed, and share one transaction before and one after.
	sendPage = 200
	// senders is how many messages of a page are on their way at once. A provider that
	// answers in 50 ms takes 320 a second from each slice.
	senders = 16
	// sendSpan is for how long one activity goes on with page after page.
	sendSpan = 5 * time.Second
)

// SendSlice delivers the messages of a slice's members that wait for a channel, page
// after page, until none is due or its span is over.
func (a *Activities) SendSlice(ctx context.Context, in campaign.SliceInput) (result campaign.SendSliceResult, err error) {
	most := sendPage
	if in.Via == campaign.ChannelCall {
		most = callPage
		defer beating(ctx)()
	}
	for began := time.Now(); ; {
		list, err := a.Messages.OutgoingInSlice(ctx, in.Slice, in.Via, most)
		if err != nil {
			return result, a.failed(ctx, campaign.ActivitySendSlice, err, slog.Int("slice", in.Slice))
		}
		if len(list) > 0 && list[0].Paused {
			result.Wait = -1 // whoever resumes the campaign wakes the slice
			return result, nil
		}
		if len(list) == 0 {
			break
		}
		sent, err := a.sendPage(ctx, list, in.Via)
		result.Sent += sent
		if err != nil {
			return result, a.failed(ctx, campaign.ActivitySendSlice, err, slog.Int("slice", in.Slice))
		}
		if !goOn(ctx) || time.Since(began) > sendSpan {
			return result, nil
		}
	}
	next, err := a.Messages.NextInSlice(ctx, in.Slice)
	if err != nil {
		return result, a.failed(ctx, campaign.ActivitySendSlice, err, slog.Int("slice", in.Slice))
	}
	result.Wait = -1
	for _, channel := range slices.Sorted(maps.Keys(next)) {
		switch wait := next[channel]; {
		case channel == in.Via:
			result.Wait = wait
		case wait == 0:
			result.Channels = append(result.Channels, channel)
		}
	}
	return result, nil
}

func (a *Activities) sendPage(ctx context.Context, list []campaign.Outgoing, channel string) (sent int, err error) {
	attempts := make([]campaign.Attempt, len(list))
	var try []int
	var keys []string
	for i := range list {
		var ok bool
		if attempts[i], ok = a.before(&list[i], channel); ok {
			try, keys = append(try, i), append(keys, list[i].Key)
		}
	}
	if len(try) > 0 {
		if err := a.Messages.Trying(ctx, channel, keys...); err != nil {
			return 0, err
		}
	}
	work := make(chan int)
	var crew sync.WaitGroup
	for range min(senders, len(try)) {
		crew.Go(func() {
			for i := range work {
				o := &list[i]
				var failure *channels.Failure
				attempts[i], failure = a.deliver(ctx, o, channel)
				activity.RecordHeartbeat(ctx) // a page may take longer than a heartbeat lasts
				// The next channel is tried at once: nobody would wake the slice for it later.
				if attempts[i].State == "" && attempts[i].Next == "" && failure != nil {
					attempts[i].Again = max(failure.RetryAfter, backoff(o.Attempts))
					if o.Kind == campaign.KindCall {
						attempts[i].Again = restOf(o, failure)
					}
				}
			}
		})
	}
	for n, i := range try {
		select {
		case work <- i:
			continue
		case <-activity.GetWorkerStopChannel(ctx):
		case <-ctx.Done():
		}
		// Who was not handed out was certainly not delivered by this attempt.
		for _, i := range try[n:] {
			attempts[i] = campaign.Attempt{Of: &list[i], Channel: channel, NotDone: !list[i].InDoubt}
		}
		break
	}
	close(work)
	crew.Wait()
	for i := range attempts {
		if attempts[i].State == campaign.SendSent {
			sent++
		}
	}
	return sent, a.Messages.Record(context.WithoutCancel(ctx), attempts...)
}

// backoff is how long a message waits after a failed attempt, as a journey's own
// workflow waits.
func backoff(attempts int) time.Duration {
	return min(time.Second<<min(attempts, 20), 5*time.Minute)
}

// before says how a message ends that is not to be handed to its channel; try: it is.
func (a *Activities) before(o *campaign.Outgoing, channel string) (end campaign.Attempt, try bool) {
	end = campaign.Attempt{Of: o, Channel: channel}
	doubt := func(state campaign.SendOutcome, reason string) {
		end.State, end.Reason = state, reason
		if o.InDoubt {
			uncertain(&end, o)
		}
	}
	_, next, ok := o.Body(channel)
	via, known := a.Channels.Get(channel)
	switch {
	case o.Ended && o.Kind != campaign.KindRefund: // what is owed is owed
		doubt(campaign.SendDropped, campaign.ReasonEnded)
	case !ok || !known:
		refuse(&end, next, campaign.ReasonRefused)
	case o.InDoubt && !repeatable(o, via):
		doubt(campaign.SendUnknown, campaign.ReasonUnknown)
	case !o.Deadline.IsZero() && o.Now.After(o.Deadline) && o.Kind == campaign.KindCall:
		doubt(campaign.SendDropped, campaign.ReasonNotMade)
	case !o.Deadline.IsZero() && o.Now.After(o.Deadline):
		doubt(campaign.SendDropped, campaign.ReasonDeadline)
	default:
		why := unreached(o, via)
		switch {
		case why == "":
			return end, true
		case o.InDoubt: // it was reachable when an earlier attempt began
			doubt(campaign.SendUnknown, campaign.ReasonUnknown)
		default:
			refuse(&end, next, why)
		}
	}
	return end, false
}

// forgetMargin is how long before a provider forgets a message it is not repeated any
// more: the try itself takes a while, and clocks differ.
const forgetMargin = time.Minute

// repeatable reports whether a message whose outcome is unknown may be sent once more.
func repeatable(o *campaign.Outgoing, via channels.Channel) bool {
	forgets := channels.Forgets(via)
	return channels.Idempotent(via) && (forgets == 0 || o.Trying < forgets-forgetMargin)
}

// identity is how a channel reaches the message's member; ok is false where it needs none.
func identity(o *campaign.Outgoing, via channels.Channel) (to campaign.Identity, ok bool) {
	kind, account := channels.Reaches(via)
	if kind == "" {
		return to, false
	}
	return o.Identity(kind, account), true
}

// unreached says why a channel has no way to the message's member; empty: it has one.
func unreached(o *campaign.Outgoing, via channels.Channel) (reason string) {
	to, needed := identity(o, via)
	if !needed {
		return ""
	}
	return to.Unreached(o.Kind)
}

// reasonSealed is why a message waits whose address the configured key does not open.
const reasonSealed = "address_sealed"

// deliver hands a message to its channel and says how that ended.
func (a *Activities) deliver(ctx context.Context, o *campaign.Outgoing, channel string) (campaign.Attempt, *channels.Failure) {
	body, next, _ := o.Body(channel)
	via, _ := a.Channels.Get(channel)
	end := campaign.Attempt{Of: o, Channel: channel}
	m := message(o, channel, body)
	m.To, _ = identity(o, via)
	var receipt channels.Receipt
	var err error
	if m.To.Sealed { // somebody has to set the key, as one sets a password
		err = channels.Misconfigured(reasonSealed, nil)
	} else {
		receipt, err = via.Deliver(ctx, m)
	}
	if err == nil {
		end.State, end.ProviderID, end.Returned = campaign.SendSent, receipt.ProviderID, receipt.Returned
		return end, nil
	}
	failure := channels.AsFailure(err)
	end.Identity, end.Mark = m.To, failure.Marks
	switch o.Kind {
	case campaign.KindCall:
		uncalled(o, &end, failure)
	case campaign.KindRefund:
		a.unrefunded(o, &end, failure)
	case campaign.KindMarketing, campaign.KindService:
		fallthrough
	default:
		a.undelivered(o, &end, next, via, failure)
	}
	if end.State == "" && end.Next == "" {
		a.Log.InfoContext(ctx, "message not delivered, to be tried again", "campaign", o.Campaign, "journey", o.JourneyRow,
			"message", o.Name, "channel", channel, "class", failure.Class, "reason", failure.Reason)
	}
	return end, failure
}

func message(o *campaign.Outgoing, channel string, body campaign.ChannelBody) channels.Message {
	m := channels.Message{
		Key: o.Key, Channel: channel, Campaign: o.Campaign, Journey: o.Journey, Name: o.Name, Member: o.Member,
		Subject: body.Subject, Body: body.Body, Kind: o.Kind, At: o.At, Attempt: o.Attempts + 1,
	}
	if !o.Deadline.IsZero() {
		// The deadline is on the campaign's clock; only the span to it means anything here.
		m.Deadline = time.Now().Add(o.Clock.RealSpan(o.Deadline.Sub(o.Now)))
	}
	return m
}

// undelivered acts on a channel's failure by its class.
func (a *Activities) undelivered(o *campaign.Outgoing, end *campaign.Attempt, next string, via channels.Channel, f *channels.Failure) {
	late := a.GiveUp > 0 && o.Trying > a.GiveUp
	unknown := func() { end.State, end.Reason = campaign.SendUnknown, campaign.ReasonUnknown }
	switch f.Class {
	case channels.ClassRefused:
		switch {
		case f.Reason != channels.ReasonDeadline:
			reason := campaign.ReasonRefused
			if f.Reason == campaign.ReasonNoPermit {
				reason = f.Reason
			}
			switch f.Marks {
			case campaign.IdentityUnreachable:
				reason = campaign.ReasonUnreachable
			case campaign.IdentityOptedOut: // where the platform keeps the list
				reason = campaign.ReasonOptedOut
			case campaign.IdentityReachable:
			}
			refuse(end, next, reason)
		case o.InDoubt: // an earlier attempt may have arrived in time
			unknown()
		default:
			end.State, end.Reason = campaign.SendDropped, campaign.ReasonDeadline
		}
	case channels.ClassUnknown:
		if late || !repeatable(o, via) {
			unknown()
		}
	case channels.ClassRetry, channels.ClassConfig:
		switch {
		case o.InDoubt && late:
			unknown()
		case o.InDoubt: // the doubt stays
		case late:
			end.State, end.Reason = campaign.SendFailed, campaign.ReasonFailed
		default:
			end.NotDone, end.Reason = true, f.Reason
		}
	}
}

// refuse goes on to the next channel, or settles the message if there is none.
func refuse(end *campaign.Attempt, next, reason string) {
	end.Reason = reason
	if next == "" {
		end.State = campaign.SendRefused
		return
	}
	end.NotDone, end.Next = true, next
}
