package activities

import (
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// Requests to pay an order back are claims like messages, made like messages by a channel of
// their own. What differs: they have no deadline, the end of the campaign does not drop them,
// and they wait without end for a shop that is not configured, or wrongly. The key is the
// order's own for ever, so that a request whose answer is lost is repeated without harm.

// unrefunded acts on the failure of a request by its class.
func (a *Activities) unrefunded(o *campaign.Outgoing, end *campaign.Attempt, f *channels.Failure) {
	late := a.GiveUp > 0 && o.Trying > a.GiveUp
	switch f.Class {
	case channels.ClassRefused:
		// After a lost answer the shop may have paid back and say no to the repetition.
		end.State, end.Reason = campaign.SendRefused, f.Reason
		if o.InDoubt {
			end.State = campaign.SendUnknown
		}
	case channels.ClassUnknown:
		if late {
			end.State, end.Reason = campaign.SendUnknown, campaign.ReasonUnknown
		}
	case channels.ClassRetry:
		switch {
		case late && o.InDoubt:
			end.State, end.Reason = campaign.SendUnknown, campaign.ReasonUnknown
		case late:
			end.State, end.Reason = campaign.SendFailed, f.Reason
		case !o.InDoubt:
			end.NotDone, end.Reason = true, f.Reason
		}
	case channels.ClassConfig:
		if !o.InDoubt {
			end.NotDone, end.Reason = true, f.Reason
		}
	}
}
