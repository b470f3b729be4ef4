package generate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// writer collects the events.
type writer struct {
	chance *chance
	events []Event
	orders int
}

// visitor is a member on the way through a role.
type visitor struct {
	id     string
	number int
	trial  string // the order of the trial lesson
	lesson time.Time
}

// Prices, in yuan.
const (
	priceTrial = "9.90"
	priceCard  = "199.00"
	listCard   = "299.00"
	priceGear  = "380.00"
	listGear   = "520.00"
)

// tell adds an event that is told soon after it happened, as shops do.
func (w *writer) tell(v *visitor, kind string, happened time.Time, properties any) Event {
	return w.tellAt(v, kind, happened, w.chance.between(happened.Add(time.Minute), happened.Add(told)), properties)
}

// tellAt adds an event that is told at a moment.
func (w *writer) tellAt(v *visitor, kind string, happened, arrives time.Time, properties any) Event {
	_, what, _ := strings.Cut(kind, ".")
	e := Event{
		Arrives: arrives, ID: fmt.Sprintf("%s-%04d", what, len(w.events)+1), Type: kind, Member: v.id, Time: happened, Properties: properties,
	}
	w.events = append(w.events, e)
	return e
}

// order makes up an order with a number of its own.
func (w *writer) order(offer, price string) order {
	w.orders++
	return order{Order: fmt.Sprintf("O%d-%04d", 2026, w.orders), Offer: offer, Amount: &amount{price, "CNY"}}
}

func (w *writer) pay(v *visitor, offer, price string, when time.Time) Event {
	return w.tell(v, "order.paid", when, w.order(offer, price))
}

func (w *writer) payLate(v *visitor, offer, price string, when, arrives time.Time) Event {
	return w.tellAt(v, "order.paid", when, arrives, w.order(offer, price))
}

// enter buys the trial lesson.
func (w *writer) enter(v *visitor, when time.Time) {
	o := w.order("trial", priceTrial)
	v.trial = o.Order
	w.tell(v, "order.paid", when, o)
}

func (w *writer) attend(v *visitor, when time.Time) {
	v.lesson = when
	w.tell(v, "lesson.attended", when, lesson{of(w.chance, []string{"spinning", "yoga", "boxing", "pilates", "strength"})})
}

// refund takes an order back.
func (w *writer) refund(v *visitor, number string, when time.Time) {
	w.tell(v, "order.refunded", when, order{Order: number})
}

// duplicates tells some events again: at the very same moment, a little later, and
// later with other words. None of them may change anything.
func (w *writer) duplicates() {
	for _, e := range slices.Clone(w.events) {
		switch w.chance.below(24) {
		case 0:
			w.events = append(w.events, e)
		case 1:
			e.Arrives = w.chance.between(e.Arrives.Add(time.Minute), e.Arrives.Add(2*time.Hour))
			w.events = append(w.events, e)
		case 2:
			e.Arrives = w.chance.between(e.Arrives.Add(time.Hour), e.Arrives.Add(day))
			if o, ok := e.Properties.(order); ok && o.Amount != nil {
				o.Amount = &amount{"1.00", "CNY"}
				e.Properties = o
			}
			w.events = append(w.events, e)
		}
	}
}
