package journey

import (
	"slices"

	"github.com/banyanhq/banyan/campaign"
)

// keepDoubts is how many payments of an offer may wait for a person's decision. Older ones
// are decided about, and change nothing any more.
const keepDoubts = 8

// doubt asks a person about an order that was paid in time and did not take its offer, and
// keeps the payment: approved while the offer is open, the order takes it after all.
func (r *runner) doubt(kind campaign.ReviewKind, o *Offer, e *campaign.Event, order string, paid campaign.Money) {
	r.review(kind, o, e, order, paid, o.Price)
	if !slices.ContainsFunc(o.Doubts, func(x campaign.Event) bool { return x.ID == e.ID }) {
		o.Doubts = lastN(append(slices.Clone(o.Doubts), *e), keepDoubts)
	}
}

// doubted finds the payment about which a review is.
func (o *Offer) doubted(review string) *campaign.Event {
	i := slices.IndexFunc(o.Doubts, func(e campaign.Event) bool { return reviewKey(o, &e) == review })
	if i < 0 {
		return nil
	}
	return &o.Doubts[i]
}

// approved hears that a person has approved a payment: its order takes the offer at the
// moment of the decision, as if it had paid the price, if the offer is open still. Of one
// that members buy together it pays for a place in a team then.
func (r *runner) approved(e *campaign.Event) {
	v, ok := campaign.VerdictOf(e)
	if !ok || v.Decision != campaign.Approve {
		return
	}
	take := func(o *Offer, paid *campaign.Event) bool {
		order := ""
		if p, ok := campaign.PaymentOf(paid, r.p.def.Currency); ok {
			order = p.Order
		}
		return r.piece(o, paid, order, amount(paid, r.p.def.Currency), "/approved", e.Time)
	}
	if r.s.Waiting && r.s.Ending == "" && r.waitsForOffer() {
		o := r.s.Offer
		if paid := o.doubted(v.Review); paid != nil {
			bought := *paid
			if !take(o, &bought) {
				return
			}
			n := r.pl.nodes[r.s.Step]
			r.s.Event = &bought
			r.s.Order = r.paidBy(&bought, o)
			r.since(e.Time, e.Seq)
			r.move(n.blocks["taken"])
			return
		}
	}
	for i := range r.s.Open {
		o := &r.s.Open[i]
		if paid := o.doubted(v.Review); paid != nil {
			bought := *paid
			if take(o, &bought) {
				r.paidBy(&bought, o)
				r.s.Open = append(r.s.Open[:i], r.s.Open[i+1:]...)
			}
			return
		}
	}
}

// hasDoubts reports whether a person may still let an order take an open offer.
func (r *runner) hasDoubts() bool {
	if r.s.Outcome == "" && r.s.Waiting && r.s.Ending == "" && r.waitsForOffer() && len(r.s.Offer.Doubts) > 0 {
		return true
	}
	return slices.ContainsFunc(r.s.Open, func(o Offer) bool { return len(o.Doubts) > 0 })
}
