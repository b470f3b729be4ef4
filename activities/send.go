package activities

import (
	"context"
	"log/slog"
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
	o, err := a.Messages.Outgoing(ctx, key)
	if err != nil {
		return campaign.SendResult{}, a.failed(ctx, campaign.ActivitySend, err)
	}
	if o.Settled {
		return campaign.SendResult{Outcome: campaign.SendOutcome(o.State)}, nil
	}
	end := campaign.Settlement{Key: key, Channel: channel}
	switch {
	case o.Ended:
		end.State, end.Reason = campaign.SendDropped, campaign.ReasonEnded
		if o.InDoubt {
			end.State, end.Reason = campaign.SendUnknown, campaign.ReasonUnknown
		}
		return a.settle(ctx, &o, end)
	case o.Paused:
		return campaign.SendResult{Outcome: campaign.SendHeld}, nil
	}
	body, next, ok := o.Body(channel)
	via, known := a.Channels.Get(channel)
	switch {
	case !ok || !known:
		end.State, end.Reason = campaign.SendRefused, campaign.ReasonRefused
		return a.refused(ctx, &o, end, next)
	case o.InDoubt && !channels.Idempotent(via):
		end.State, end.Reason = campaign.SendUnknown, campaign.ReasonUnknown
		return a.settle(ctx, &o, end)
	case !o.Deadline.IsZero() && o.Now.After(o.Deadline):
		end.State, end.Reason = campaign.SendDropped, campaign.ReasonDeadline
		if o.InDoubt {
			end.State, end.Reason = campaign.SendUnknown, campaign.ReasonUnknown
		}
		return a.settle(ctx, &o, end)
	}
	if err := a.Messages.Trying(ctx, key, channel); err != nil {
		return campaign.SendResult{}, a.failed(ctx, campaign.ActivitySend, err)
	}
	receipt, err := via.Deliver(ctx, message(ctx, &o, channel, body))
	if err == nil {
		end.State, end.ProviderID = campaign.SendSent, receipt.ProviderID
		return a.settle(ctx, &o, end)
	}
	return a.undelivered(ctx, &o, end, next, via, channels.AsFailure(err))
}

func message(ctx context.Context, o *campaign.Outgoing, channel, body string) channels.Message {
	m := channels.Message{
		Key: o.Key, Channel: channel, Campaign: o.Campaign, Journey: o.Journey, Name: o.Name, Member: o.Member,
		Body: body, Kind: o.Kind, At: o.At, Attempt: int(activity.GetInfo(ctx).Attempt),
	}
	if !o.Deadline.IsZero() {
		// The deadline is on the campaign's clock; only the span to it means anything here.
		m.Deadline = time.Now().Add(o.Clock.RealSpan(o.Deadline.Sub(o.Now)))
	}
	return m
}

// undelivered acts on a channel's failure by its class.
func (a *Activities) undelivered(
	ctx context.Context, o *campaign.Outgoing, end campaign.Settlement, next string, via channels.Channel, f *channels.Failure,
) (campaign.SendResult, error) {
	// A worker that is being stopped, or an activity that ran out of time, still has
	// to write down what it knows.
	ctx = context.WithoutCancel(ctx)
	late := a.GiveUp > 0 && time.Since(activity.GetInfo(ctx).ScheduledTime) > a.GiveUp
	switch f.Class {
	case channels.ClassRefused:
		end.State, end.Reason = campaign.SendRefused, campaign.ReasonRefused
		if f.Reason == channels.ReasonDeadline {
			end.State, end.Reason, next = campaign.SendDropped, campaign.ReasonDeadline, ""
		}
		return a.refused(ctx, o, end, next)
	case channels.ClassUnknown:
		if late || !channels.Idempotent(via) {
			end.State, end.Reason = campaign.SendUnknown, campaign.ReasonUnknown
			return a.settle(ctx, o, end)
		}
	case channels.ClassRetry, channels.ClassConfig:
		if !o.InDoubt {
			if late {
				end.State, end.Reason = campaign.SendFailed, campaign.ReasonFailed
				return a.settle(ctx, o, end)
			}
			if err := a.Messages.NotDone(ctx, o.Key, f.Reason); err != nil {
				return campaign.SendResult{}, a.failed(ctx, campaign.ActivitySend, err)
			}
		} else if late {
			end.State, end.Reason = campaign.SendUnknown, campaign.ReasonUnknown
			return a.settle(ctx, o, end)
		}
	}
	a.Log.InfoContext(ctx, "message not delivered, to be tried again",
		"campaign", o.Campaign, "journey", o.JourneyRow, "message", o.Name, "channel", end.Channel, "class", f.Class, "reason", f.Reason)
	return campaign.SendResult{}, temporal.NewApplicationErrorWithOptions(
		"not delivered: "+f.Reason, string(f.Class), temporal.ApplicationErrorOptions{NextRetryDelay: f.RetryAfter})
}

// refused goes on to the next channel, or settles the message if there is none.
func (a *Activities) refused(ctx context.Context, o *campaign.Outgoing, end campaign.Settlement, next string) (campaign.SendResult, error) {
	if next == "" {
		return a.settle(ctx, o, end)
	}
	if err := a.Messages.NotDone(ctx, o.Key, end.Reason); err != nil {
		return campaign.SendResult{}, a.failed(ctx, campaign.ActivitySend, err)
	}
	return campaign.SendResult{Outcome: campaign.SendRefused, Next: next}, nil
}

func (a *Activities) settle(ctx context.Context, o *campaign.Outgoing, end campaign.Settlement) (campaign.SendResult, error) {
	if err := a.Messages.Settle(context.WithoutCancel(ctx), o, end); err != nil {
		return campaign.SendResult{}, a.failed(ctx, campaign.ActivitySend, err, slog.Int64("journey", o.JourneyRow))
	}
	return campaign.SendResult{Outcome: end.State}, nil
}
