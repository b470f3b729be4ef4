package journey

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// enterOffer opens the offer. It opens at the moment at which the step before it
// ended, so that the lock does not depend on how fast a turn ran; but if the engine
// comes later than the offer's grace (it was down, or the event came late), it opens
// now: nobody loses a part of the lock to our outage.
func (r *runner) enterOffer(n *node, s *campaign.MakeOffer) {
	def, ok := r.p.def.Offer(s.Offer)
	if !ok {
		r.fault = campaign.Errorf(campaign.CodeInternal, "campaign %s has no offer %s", r.p.def.Name, s.Offer)
		return
	}
	if def.PerMember > 0 && r.taken[def.Name] >= def.PerMember {
		r.trace(campaign.TraceOfferSkipped, n.id, "offer", def.Name, "reason", campaign.RefusedPerMember)
		r.move(n.next)
		return
	}
	if r.now.Sub(r.s.Since) >= def.Grace && !r.ledByOrder(def) {
		r.since(r.now, 0)
	}
	key := r.key(n.id, "")
	o := Offer{
		ID: campaign.OfferID(key), Key: key, Name: def.Name, Step: n.id, State: campaign.OfferOpen,
		Price: def.Price, ListPrice: def.ListPrice, OpenedAt: r.s.Since, Together: def.Team,
	}
	until := ""
	if def.Lock > 0 {
		o.ExpiresAt = o.OpenedAt.Add(def.Lock)
		o.GraceUntil = o.ExpiresAt.Add(def.Grace)
		until = r.p.local(o.ExpiresAt)
	}
	if !r.s.Holdout {
		r.d.Offers = append(r.d.Offers, o.effect(campaign.Money{}))
	}
	r.trace(campaign.TraceOfferOpened, n.id, "offer", o.Name, "price", o.Price.String(), "until", until)
	r.s.Offer = &o
	if s.Announce != "" {
		p := Pending{
			Key: r.key(n.id, "announce"), Step: n.id, Message: s.Announce, Via: s.Via, Due: r.now,
			Offer: o.ID, Before: o.ExpiresAt, Visit: r.s.Visit,
		}
		if !r.send(&p) {
			r.s.Pending = append(r.s.Pending, p)
		}
	}
	if o.locked() {
		for i, rem := range s.Remind {
			r.remind(n, &o, rem, s.Via, i)
		}
		r.s.Waiting = true
	} else {
		r.s.Open = append(r.s.Open, o)
		r.move(n.next)
	}
	// An order that was stored before this turn but paid after the offer's opening.
	open := func() bool {
		if o.locked() {
			return r.s.Waiting
		}
		return slices.ContainsFunc(r.s.Open, func(x Offer) bool { return x.ID == o.ID })
	}
	for i := range r.in.Events {
		if e := &r.in.Events[i]; e.Seq <= r.s.Cursor && !r.stopped() && open() {
			r.order(e)
		}
	}
}

// remind plans one reminder. One whose moment has passed is skipped; one that quiet
// hours would push past the offer's end is moved to the last moment before them.
func (r *runner) remind(n *node, o *Offer, rem campaign.Reminder, via []string, i int) {
	due, ok := r.reminderDue(rem, o.ExpiresAt)
	if !ok {
		r.trace(campaign.TraceNotSent, n.id, "message", rem.Send, "reason", campaign.ReasonPassed)
		return
	}
	r.s.Pending = append(r.s.Pending, Pending{
		Key: r.key(n.id, part("remind", i)), Step: n.id, Message: rem.Send, Via: via, Due: due,
		Offer: o.ID, Before: o.ExpiresAt, Visit: r.s.Visit,
	})
}

// reminderDue is the moment of a reminder of something that ends; ok is false where it has
// passed.
func (r *runner) reminderDue(rem campaign.Reminder, ends time.Time) (due time.Time, ok bool) {
	due = ends.Add(-rem.Before)
	if due.Before(r.now) {
		return due, false
	}
	if r.respectsQuiet(rem.Send) {
		if start, end, quiet := r.quietAt(due); quiet && !end.Before(ends) {
			due = start.Add(-quietMargin)
			if due.Before(r.now) {
				due = r.now
			}
		}
	}
	return due, true
}

func (r *runner) lapse(n *node) {
	o := r.s.Offer
	o.State, o.ClosedAt = campaign.OfferLapsed, o.ExpiresAt
	r.closeOffer(o, campaign.Money{}, campaign.ReasonOfferEnded)
	r.trace(campaign.TraceOfferLapsed, n.id, "offer", o.Name)
	r.since(o.ExpiresAt, 0)
	r.move(n.blocks["lapsed"])
}

func (r *runner) withdraw(o *Offer) {
	o.State, o.ClosedAt = campaign.OfferWithdrawn, r.at
	r.closeOffer(o, campaign.Money{}, campaign.ReasonLeft)
	r.trace(campaign.TraceOfferWithdraw, o.Step, "offer", o.Name)
}

func (r *runner) closeOffer(o *Offer, paid campaign.Money, why string) {
	if !r.s.Holdout {
		r.d.Offers = append(r.d.Offers, o.effect(paid))
	}
	o.Doubts = nil
	r.s.Closed = lastN(append(r.s.Closed, *o), keepClosed)
	for i := 0; i < len(r.s.Pending); {
		if r.s.Pending[i].Offer == o.ID {
			r.notSent(&r.s.Pending[i], why)
			r.s.Pending = append(r.s.Pending[:i], r.s.Pending[i+1:]...)
			continue
		}
		i++
	}
}

// order judges an order for an offer of this journey: the one that the step waits for,
// one without a lock, or one that has closed.
func (r *runner) order(e *campaign.Event) {
	if e.Type != campaign.EventOrderPaid {
		return
	}
	var props struct {
		Order string `json:"order"`
		Offer string `json:"offer"`
	}
	if err := json.Unmarshal(e.Properties, &props); err != nil || props.Offer == "" {
		return
	}
	// An order that took an offer takes no other, however often the shop tells of it.
	if slices.ContainsFunc(r.s.Closed, func(o Offer) bool {
		return (o.State == campaign.OfferTaken || o.Team != "") && o.Name == props.Offer && o.Order == props.Order && o.Order != ""
	}) {
		return
	}
	// What led to an offer does not take it as well, unless members buy it together: who
	// orders by the code that another shared has not been in the journey before.
	led := slices.Contains(r.s.Moved, e.Seq)
	fits := func(o *Offer) bool {
		return o.Name == props.Offer && !e.Time.Before(o.OpenedAt) && (!led || !e.Time.Equal(o.OpenedAt) || o.Together != nil)
	}
	if r.ordered() && fits(r.s.Offer) {
		r.orderedAgain(e, props.Order)
		return
	}
	if r.s.Waiting && r.s.Ending == "" && r.waitsForOffer() && fits(r.s.Offer) {
		o := r.s.Offer
		if !r.takes(o, e, props.Order) {
			return
		}
		n := r.pl.nodes[r.s.Step]
		r.s.Event = e
		r.s.Order = r.paidBy(e, o)
		r.since(e.Time, e.Seq)
		if r.move(n.blocks["taken"]); led { // what starts a journey is not judged elsewhere
			r.judgeGoal(e)
		}
		return
	}
	for i := range r.s.Open {
		o := &r.s.Open[i]
		if !fits(o) {
			continue
		}
		if r.takes(o, e, props.Order) {
			r.paidBy(e, o)
			r.s.Open = append(r.s.Open[:i], r.s.Open[i+1:]...)
		}
		return
	}
	for i := len(r.s.Closed) - 1; i >= 0; i-- {
		o := &r.s.Closed[i]
		if fits(o) {
			r.tooLate(o, e, props.Order)
			return
		}
	}
}

// takes decides whether an order takes an open offer, and records why not.
func (r *runner) takes(o *Offer, e *campaign.Event, order string) bool {
	paid := amount(e, r.p.def.Currency)
	if end, heard := o.endFor(order); o.locked() && (e.Time.After(end) || e.Stored.After(heard)) {
		r.tooLate(o, e, order)
		return false
	}
	switch {
	case paid.Currency != o.Price.Currency:
		r.doubt(campaign.ReviewCurrency, o, e, order, paid)
		r.trace(campaign.TraceCurrency, o.Step, "order", order, "offer", o.Name, "paid", paid.String(), "price", o.Price.String())
		return false
	case paid.Minor < o.Price.Minor:
		r.doubt(campaign.ReviewUnderpaid, o, e, order, paid)
		r.trace(campaign.TraceUnderpaid, o.Step, "order", order, "offer", o.Name, "paid", paid.String(), "price", o.Price.String())
		return false
	}
	return r.piece(o, e, order, paid, "", e.Time)
}

// piece lets an order whose payment is right take an offer at a moment, if there is a piece
// for her: at once or, where members buy it together, when her team is complete. Otherwise a
// person must look, because somebody paid. how tells apart by what it came to that.
func (r *runner) piece(o *Offer, e *campaign.Event, order string, paid campaign.Money, how string, at time.Time) bool {
	switch {
	case o == r.s.Offer && r.ordered():
		r.orderedAgain(e, order)
		return false
	case r.comesTogether(o, paid):
		r.buyTogether(o, e, order, paid, how, at)
		return false
	}
	if !r.s.Holdout {
		// A journey may have brought an offer along that its version does not have; its
		// stock is limited all the same.
		def, ok := r.p.def.Offer(o.Name)
		if !ok {
			def = &campaign.Offer{}
		}
		switch answer, ok := r.takePiece(o, def, e, order, how); {
		case !ok, answer.Reason == campaign.TeamOrderTwice: // it took another offer, so nobody is to be paid back
			return false
		case !answer.OK:
			r.doubt(campaign.ReviewSoldOut, o, e, order, paid)
			r.trace(campaign.TraceOfferRefused, o.Step, "order", order, "offer", o.Name, "reason", answer.Reason)
			return false
		}
	}
	o.State, o.ClosedAt, o.Order = campaign.OfferTaken, at, order
	if r.taken == nil {
		r.taken = map[string]int{}
	}
	r.taken[o.Name]++
	r.closeOffer(o, o.worth(paid), campaign.ReasonOfferTaken)
	r.boughtAlone(o, at)
	r.trace(campaign.TraceOfferTaken, o.Step, "offer", o.Name, "order", order, "paid", paid.String())
	return true
}

// takePiece asks for a piece of stock for an order. Where the member may take no more, it asks
// whether the order counts already; ok is false until that is answered.
func (r *runner) takePiece(o *Offer, def *campaign.Offer, e *campaign.Event, order, how string) (answer campaign.Answer, ok bool) {
	take := o.take(def, order)
	take.Full = def.PerMember > 0 && r.taken[o.Name] >= def.PerMember
	answer, ok = r.ask(campaign.Ask{Key: o.Key + "/take/" + e.ID + how, Take: &take})
	if take.Full && answer.OK {
		answer = campaign.Answer{Reason: campaign.RefusedPerMember}
	}
	return answer, ok
}

// take asks for the piece of stock that an order takes.
func (o *Offer) take(def *campaign.Offer, order string) campaign.TakeAsk {
	ask := campaign.TakeAsk{Offer: o.Name, Stock: def.Stock, Order: order}
	if len(o.Reserved) > 0 {
		ask.ID = o.ID
	}
	return ask
}

// worth is what a payment counts for where sums are made, which are of one currency. A person
// may have approved one in another.
func (o *Offer) worth(paid campaign.Money) campaign.Money {
	if paid.Currency != o.Price.Currency {
		return campaign.Money{Currency: o.Price.Currency}
	}
	return paid
}

// tooLate records an order that no longer takes its offer. One that was paid in time
// opens a review; so does one that paid less than the price at its own time.
func (r *runner) tooLate(o *Offer, e *campaign.Event, order string) {
	paid := amount(e, r.p.def.Currency)
	end, _ := o.endFor(order)
	if o.State == campaign.OfferTaken || o.State == campaign.OfferWithdrawn || o.Team != "" {
		end = o.ClosedAt
	}
	switch {
	case o.locked() && o.State != campaign.OfferTaken && !e.Time.After(end):
		r.review(campaign.ReviewLate, o, e, order, paid, o.Price)
		r.trace(campaign.TraceLate, o.Step, "type", e.Type, "event", e.ID, "what", "offer "+o.Name)
	case paid.Currency != o.ListPrice.Currency || paid.Minor < o.ListPrice.Minor:
		r.review(campaign.ReviewAfterEnd, o, e, order, paid, o.ListPrice)
		r.trace(campaign.TraceAfterEnd, o.Step, "order", order, "offer", o.Name, "paid", paid.String(), "price", o.ListPrice.String())
	}
}

func (r *runner) review(kind campaign.ReviewKind, o *Offer, e *campaign.Event, order string, paid, price campaign.Money) {
	r.d.Reviews = append(r.d.Reviews, campaign.Review{
		Key: reviewKey(o, e), Kind: kind, State: campaign.ReviewOpen, Step: o.Step, Offer: o.Name, Event: e.ID, At: e.Time,
		Detail: map[string]string{"order": order, "paid": paid.String(), "price": price.String()},
	})
}

// reviewKey is the key of the review about an order for an offer.
func reviewKey(o *Offer, e *campaign.Event) string { return o.Key + "/review/" + e.ID }

// amount is what an event paid, if it says so in the money form that the API stores.
func amount(e *campaign.Event, currency campaign.Currency) campaign.Money {
	var props struct {
		Amount campaign.Money `json:"amount"`
	}
	if err := json.Unmarshal(e.Properties, &props); err != nil {
		return campaign.Money{Currency: currency}
	}
	if props.Amount.Currency == "" {
		props.Amount.Currency = currency
	}
	return props.Amount
}
