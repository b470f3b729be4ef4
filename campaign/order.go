package campaign

import (
	"encoding/json"
	"math/big"
	"time"
)

// The events by which a shop tells that money went back: of its own accord, or because the
// bank took it. Both name the order; without an amount all of it went back.
const (
	EventOrderRefunded    = "order.refunded"
	EventOrderChargedBack = "order.charged_back"

	// PropertyRefund is the shop's own id of a refund, where it has one. Without it the
	// event's id is the refund's.
	PropertyRefund = "refund"
)

// RefundEvents lists the types of events that take an order back.
func RefundEvents() []string { return []string{EventOrderRefunded, EventOrderChargedBack} }

// MaxPayment is the most, in minor units, that one order or refund may be told to be worth:
// ten thousand million. It keeps sums over millions of orders within what a number holds.
const MaxPayment = 1_000_000_000_000

// maxOrderID is how long an order's id may be to be remembered, in bytes.
const maxOrderID = 128

// OnRefund says what becomes of an offer that was taken, or of a reward that was granted,
// when the order behind it is refunded.
type OnRefund string

// What becomes of it. Empty is OnRefundKeep for an offer and OnRefundClawBack for a reward.
const (
	OnRefundKeep     OnRefund = "keep"
	OnRefundRestock  OnRefund = "restock"           // an offer: its piece of stock is there again
	OnRefundClawBack OnRefund = "claw_back"         // a reward: what is there is taken, the rest is owed
	OnRefundInFull   OnRefund = "claw_back_in_full" // a reward: all is taken, and the balance may be negative
)

// ClawsBack reports whether a reward is taken back when its order is refunded.
func (r *Reward) ClawsBack() bool { return r.OnRefund != OnRefundKeep }

// EventOfferReserved is the type of the event by which a journey learns that an order has
// reserved an offer, or that it gave the reservation up. No campaign can declare it and no
// caller can tell it.
const EventOfferReserved = "@offer.reserved"

// WordOfferReserved is what tests call EventOfferReserved.
const WordOfferReserved = "offer.reserved"

// ReservationSpan is how long an order keeps an offer's price, in campaign time.
const ReservationSpan = 15 * time.Minute

// MaxReservingOrders is how many orders may ever reserve one offer.
const MaxReservingOrders = 10

// Hold is a reservation of an offer by an order, the properties of an EventOfferReserved.
// The last one that was told of an order counts.
type Hold struct {
	Offer    string    `json:"offer"` // its id
	Order    string    `json:"order"` // the caller's
	Until    time.Time `json:"until"` // an order that is paid until then, and at that moment, keeps the price
	Released bool      `json:"released,omitempty"`
}

// HoldOf reads the reservation that an event tells; ok is false for every other event.
func HoldOf(e *Event) (h Hold, ok bool) {
	if e.Type != EventOfferReserved || json.Unmarshal(e.Properties, &h) != nil {
		return Hold{}, false
	}
	return h, true
}

// Payment is what an event says of an order that was paid or refunded.
type Payment struct {
	Order  string
	Offer  string // the offer's name; of a payment alone
	Refund string // the shop's own id; of a refund alone
	Amount Money
	Told   bool // the amount was told
}

// PaymentOf reads an event of an order; currency is that of an amount without one. An event
// whose order has no id, or one that is too long to be kept, is none. An amount that is no
// money counts as nothing.
func PaymentOf(e *Event, currency Currency) (p Payment, ok bool) {
	var props struct {
		Order  string          `json:"order"`
		Offer  string          `json:"offer"`
		Refund string          `json:"refund"`
		Amount json.RawMessage `json:"amount"`
	}
	if json.Unmarshal(e.Properties, &props) != nil || props.Order == "" || len(props.Order) > maxOrderID {
		return Payment{}, false
	}
	p = Payment{Order: props.Order, Offer: props.Offer, Refund: props.Refund, Amount: Money{Currency: currency}}
	if len(props.Amount) > 0 && string(props.Amount) != "null" {
		p.Told, p.Amount = true, amountOf(props.Amount, currency)
	}
	return p, true
}

// amountOf reads an amount that need not have been declared as money.
func amountOf(raw json.RawMessage, currency Currency) Money {
	var m Money
	if json.Unmarshal(raw, &m) == nil && m.Currency != "" {
		return m
	}
	text := string(raw)
	_ = json.Unmarshal(raw, &text) // what is no text stands for itself
	m, err := ParseMoney(text, currency)
	if err != nil {
		return Money{Currency: currency}
	}
	return m
}

// RefundID is the identity of a refund of an order: that of the shop, or that of the event.
func (p *Payment) RefundID(e *Event) string {
	id := p.Refund
	switch {
	case id == "":
		id = "event/" + e.ID
	case len(id) > maxOrderID:
		id = hashed(id)
	}
	return e.Type + "/" + id
}

// ClawBackAsk asks for what an order led to, after a part of it was refunded: of each grant
// that it led to, Part of Of is not the member's any more, less what was taken back before.
type ClawBackAsk struct {
	Order    string
	Refund   string // its identity, see RefundID
	Part, Of int64  // 1 of 1: all of it
	// Others are members besides the one of the journey to whom something was granted.
	Others []string
	// Rewards are those that are taken back, and whether in full.
	Rewards []ClawBackReward
}

// ClawBackReward is a reward that is taken back.
type ClawBackReward struct {
	Name   string
	InFull bool // even if the balance is negative then
}

// ClawedBack is what was taken back of a reward.
type ClawedBack struct {
	Reward string `json:"reward"`
	Member string `json:"member,omitempty"` // whose it was; empty: of the member of the journey
	Points int64  `json:"points,omitempty"` // taken
	Owed   int64  `json:"owed,omitempty"`   // not there any more, and recorded
	Pieces int64  `json:"pieces,omitempty"` // coupons that were voided, and benefits that were ended
	Gone   int64  `json:"gone,omitempty"`   // those that had been used, or were over
}

// GoalRefund is what went back of the payment that was the goal.
type GoalRefund struct {
	Minor int64     // of all refunds together
	At    time.Time // when it went back as a whole; zero: a part
}

// OfferRefund says that the order that took an offer was refunded as a whole.
type OfferRefund struct {
	ID      string
	Offer   string // its name
	At      time.Time
	Restock bool
}

// Refunds lists the types of refund events that the campaign declares, with an order.
func (d *Definition) Refunds() (types []string) {
	for _, name := range RefundEvents() {
		e, ok := d.Event(name)
		if !ok {
			continue
		}
		if p, ok := e.Property(PropertyOrder); ok && p.Type == TypeString {
			types = append(types, name)
		}
	}
	return types
}

// PartOf is that part of an amount which is to be gone when part of a whole has gone back,
// rounded down: a member never loses more than her share.
func PartOf(amount, part, whole int64) int64 {
	if whole <= 0 || part >= whole {
		return amount
	}
	x := new(big.Int).Mul(big.NewInt(amount), big.NewInt(max(0, part)))
	return x.Quo(x, big.NewInt(whole)).Int64()
}
