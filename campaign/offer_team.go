package campaign

import "time"

// OfferTeam makes an offer one that members buy together: an order for it counts only if,
// within the span Within, so many members have paid for it that their team has Size.
type OfferTeam struct {
	Size   int           `json:"size"`
	Within time.Duration `json:"within"`
}

// OfferTeamStep is what a step that opens such an offer says of the teams. It is never nil
// for an offer with a team, and always for others.
type OfferTeamStep struct {
	// Join is CEL that gives, for the order that pays, the code of the team that its member
	// wants to join; empty: everybody opens one of her own.
	Join     string     `json:"join,omitempty"`
	Announce string     `json:"announce,omitempty"` // message
	Remind   []Reminder `json:"remind,omitempty"`   // before the team's end
}

// Together lists the steps of a list, and of the blocks in them, that open an offer which
// members buy together.
func (s Steps) Together() []*MakeOffer {
	var out []*MakeOffer
	for _, step := range s {
		if o, ok := step.(*MakeOffer); ok && o.Team != nil {
			out = append(out, o)
		}
		for _, b := range Children(step) {
			out = append(out, b.Steps.Together()...)
		}
	}
	return out
}

// ComeTogether reports whether teams come together in a list of steps: at a step of their
// own, or to buy an offer.
func (s Steps) ComeTogether() bool { return len(s.Teams()) > 0 || len(s.Together()) > 0 }

// Words for paying an order back.
const (
	// ChannelRefund is the name under which requests to pay an order back are claimed and
	// sent, beside the channels of messages. No `via` can name it.
	ChannelRefund = "refund"
	// KindRefund is the kind of a claim that asks a shop to pay an order back.
	KindRefund MessageKind = "refund"
)

// RefundEffect asks a shop, once, to pay an order back. It is claimed in the transaction
// that decided it, sent under its key until the shop answers, and confirmed when the order
// has gone back: see RefundTold.
type RefundEffect struct {
	Key    string
	Step   string
	Offer  string
	Order  string
	Team   string // its code
	Amount Money  // what the order paid, less what has gone back of it already
	Reason RefundReason
	At     time.Time // campaign time
}

// RefundTold says that all of an order has gone back, as the shop was asked. It was told like
// every other refund, by an event of RefundEvents.
type RefundTold struct {
	Key   string // of the RefundEffect
	Event string
	At    time.Time // the event's own time
}

// RefundReason is why an order is to be paid back.
type RefundReason string

// Reasons for which an order is to be paid back.
const (
	RefundTeamFailed RefundReason = "team_failed"  // its team was not complete in time
	RefundLeft       RefundReason = "left_journey" // its member left the journey before her team was complete
	RefundMigrated   RefundReason = "migrated"     // she was brought to another step or version
)

// RefundRequest is what stands claimed of a refund: what the shop is told besides the key.
type RefundRequest struct {
	Step   string       `json:"step"`
	Offer  string       `json:"offer"`
	Order  string       `json:"order"`
	Team   string       `json:"team"`
	Amount Money        `json:"amount"`
	Reason RefundReason `json:"reason"`
}

// RefundState is how far the refund of an order is.
type RefundState string

// Refund states. Confirmed stands for every refund that the shop has told of, whatever
// became of the request.
const (
	RefundAsked     RefundState = "asked"     // claimed; it is on its way, or waits to be tried again
	RefundAccepted  RefundState = "accepted"  // the shop has taken the request
	RefundRefused   RefundState = "refused"   // the shop will not do it: a person must
	RefundFailed    RefundState = "failed"    // the shop could not be asked for too long: a person must
	RefundUnknown   RefundState = "unknown"   // whether the shop took it nobody knows
	RefundConfirmed RefundState = "confirmed" // the shop told that the money is back
)
