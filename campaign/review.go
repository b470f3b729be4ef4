package campaign

import (
	"encoding/json"
	"time"
)

// ReviewKind says why a person must look.
type ReviewKind string

// Reasons for a review. A journey waits for a decision; in each of the others somebody
// paid, and nothing waits.
const (
	ReviewDecide    ReviewKind = "decision"       // a step of the journey asks for it
	ReviewUnderpaid ReviewKind = "underpaid"      // paid less than the locked price
	ReviewCurrency  ReviewKind = "wrong_currency" // paid in another currency
	ReviewLate      ReviewKind = "late_payment"   // paid in time, arrived after the grace
	ReviewSoldOut   ReviewKind = "paid_not_taken" // paid, but stock or per_member refused
	ReviewAfterEnd  ReviewKind = "paid_after_end" // paid the locked price after the lock's end
	ReviewRefund    ReviewKind = "not_refunded"   // the shop was asked to pay an order back, and has not taken that for certain
)

// ReviewKinds lists every kind.
func ReviewKinds() []ReviewKind {
	return []ReviewKind{ReviewDecide, ReviewUnderpaid, ReviewCurrency, ReviewLate, ReviewSoldOut, ReviewAfterEnd, ReviewRefund}
}

// Approvable reports whether an approved payment takes its offer after all, if that is open
// still. Of the others the offer is over, and a decision is written down alone.
func (k ReviewKind) Approvable() bool {
	return k == ReviewUnderpaid || k == ReviewCurrency || k == ReviewSoldOut
}

// ReviewState is the life of a review: open, then one of the others for good.
type ReviewState string

// Review states.
const (
	ReviewOpen      ReviewState = "open"
	ReviewApproved  ReviewState = "approved"
	ReviewRejected  ReviewState = "rejected"
	ReviewWithdrawn ReviewState = "withdrawn" // the journey was left before anybody decided
)

// ReviewDecision is what a person decides, and what holds when nobody does.
type ReviewDecision string

// Decisions.
const (
	Approve ReviewDecision = "approve"
	Reject  ReviewDecision = "reject"
)

// State is the last state of a review that was decided so.
func (d ReviewDecision) State() ReviewState {
	if d == Approve {
		return ReviewApproved
	}
	return ReviewRejected
}

// Review is opened for a person to decide, or moved to its last state by the journey
// itself. It holds ids and what the campaign says, nothing of the member.
type Review struct {
	Key    string            `json:"key"` // one review per key, however often it is found
	Kind   ReviewKind        `json:"kind"`
	State  ReviewState       `json:"state"`
	Step   string            `json:"step,omitempty"`
	Offer  string            `json:"offer,omitempty"`
	Event  string            `json:"event,omitempty"`
	Detail map[string]string `json:"detail,omitempty"`
	At     time.Time         `json:"at"` // opened, or closed

	// The rest is of ReviewDecide alone. Role is asked until EscalatesAt, Backup from then
	// until ClosesAt; without a backup EscalatesAt is zero. At ClosesAt Otherwise holds.
	Role        string         `json:"role,omitempty"`
	Backup      string         `json:"backup,omitempty"`
	About       string         `json:"about,omitempty"`
	Otherwise   ReviewDecision `json:"otherwise,omitempty"`
	EscalatesAt time.Time      `json:"escalates_at,omitzero"`
	ClosesAt    time.Time      `json:"closes_at,omitzero"`
}

// EventReviewDecided is the type of the event by which a journey learns of a person's
// decision. No campaign can declare it and no caller can tell it: its name is none that
// an event type can have.
const EventReviewDecided = "@review.decided"

// Verdict is a person's decision, the properties of an EventReviewDecided.
type Verdict struct {
	Review   string         `json:"review"` // its key
	Decision ReviewDecision `json:"decision"`
	By       string         `json:"by"`     // the caller's own id of the person
	Reason   string         `json:"reason"` // in her words
}

// VerdictOf reads the decision that an event tells; ok is false for every other event.
func VerdictOf(e *Event) (v Verdict, ok bool) {
	if e.Type != EventReviewDecided || json.Unmarshal(e.Properties, &v) != nil {
		return Verdict{}, false
	}
	return v, true
}
