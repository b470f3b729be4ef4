package journey

import (
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Reserved is an order that keeps an offer's price, until a moment.
type Reserved struct {
	Order string    `json:"order"`
	Until time.Time `json:"until"`
}

// endFor is until when an order may be paid to take the offer, and until when that may be
// told: the lock's end and that of the grace, or those of the order's reservation where
// they are later.
func (o *Offer) endFor(order string) (paid, heard time.Time) {
	paid, heard = o.ExpiresAt, o.GraceUntil
	for _, r := range o.Reserved {
		if r.Order == order && r.Until.After(paid) {
			paid, heard = r.Until, r.Until.Add(o.GraceUntil.Sub(o.ExpiresAt))
		}
	}
	return paid, heard
}

// heardUntil is when the offer lapses: then no order that may take it is on its way any more.
func (o *Offer) heardUntil() time.Time {
	last := o.GraceUntil
	for _, r := range o.Reserved {
		if _, heard := o.endFor(r.Order); heard.After(last) {
			last = heard
		}
	}
	return last
}

// reserved hears that an order has reserved an offer, or given the reservation up. It was
// made while the offer was open; what it means for the offer is judged by its moments, like
// everything else, so it does not matter when a turn comes to it.
func (r *runner) reserved(e *campaign.Event) {
	hold, ok := campaign.HoldOf(e)
	if !ok {
		return
	}
	told := false
	keep := func(o *Offer) {
		if o == nil || o.ID != hold.Offer {
			return
		}
		o.Reserved = slices.Clone(o.Reserved)
		if i := slices.IndexFunc(o.Reserved, func(x Reserved) bool { return x.Order == hold.Order }); i >= 0 {
			o.Reserved[i].Until = hold.Until
		} else {
			o.Reserved = append(o.Reserved, Reserved{hold.Order, hold.Until})
		}
		if told {
			return
		}
		told = true
		if hold.Released {
			r.trace(campaign.TraceReleased, o.Step, "offer", o.Name, "order", hold.Order)
		} else {
			r.trace(campaign.TraceReserved, o.Step, "offer", o.Name, "order", hold.Order, "until", r.p.local(hold.Until))
		}
	}
	keep(r.s.Offer)
	for _, list := range [][]Offer{r.s.Open, r.s.Closed} {
		for i := range list {
			keep(&list[i])
		}
	}
}

// heldFor says until when the offer for which the journey waits is kept beyond its lock's
// end; zero: it is not.
func (o *Offer) heldFor() time.Time {
	var last time.Time
	for _, r := range o.Reserved {
		if r.Until.After(o.ExpiresAt) && r.Until.After(last) {
			last = r.Until
		}
	}
	return last
}

// OpenOffer is the offer of a name that stands open in a state; ok is false where none does.
func (s *State) OpenOffer(name string) (o Offer, ok bool) {
	for _, o := range s.stands() {
		if o.Name == name {
			return o, true
		}
	}
	return Offer{}, false
}
