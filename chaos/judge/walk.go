package judge

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The campaign of chaos/campaign.yaml, by heart.
const (
	firstWait   = 24 * time.Hour
	secondWait  = 12 * time.Hour
	lessonGrace = 12 * time.Hour
	lock        = 24 * time.Hour
	offerGrace  = 12 * time.Hour
	remindLead  = 8 * time.Hour

	card, gear           = "monthly-card", "gear"
	cardPrice, cardList  = 19900, 29900
	gearPrice, gearList  = 38000, 52000
	firstCard, gearBuyer = 100, 50 // points

	typePaid, typeRefunded, typeLesson = "order.paid", "order.refunded", "lesson.attended"

	stateOpen, stateTaken, stateLapsed, stateWithdrawn = "open", "taken", "lapsed", "withdrawn"
)

// stored is an event as the database holds it, with its times on the campaign's clock.
type stored struct {
	Event
	seq    int64
	stored time.Time
	props  struct {
		Order, Offer, Lesson, Shop string
		Amount                     struct{ Amount string }
	}
}

func (e *stored) read() error { return json.Unmarshal(e.Properties, &e.props) }

// paid is in hundredths.
func (e *stored) paid() int64 {
	whole, part, _ := strings.Cut(e.props.Amount.Amount, ".")
	yuan, _ := strconv.ParseInt(whole, 10, 64)
	fen, _ := strconv.ParseInt((part + "00")[:2], 10, 64)
	return yuan*100 + fen
}

// offer is one offer to one member.
type offer struct {
	name          string
	state         string
	opened        time.Time
	expires       time.Time
	grace         time.Time
	closed        time.Time
	order         string
	paid          int64
	price, list   int64
	takingEvent   string
	refusedEvents []string
}

// asked is how the engine decided where its own order of doing decides: an offer that
// opened late, the last of a stock, the last of a budget. Everything else is worked out.
type asked struct {
	opened  map[string]time.Time // by offer
	soldOut map[string]bool      // by event
}

type place int

const (
	first  place = iota // waits for a lesson
	second              // waits for a lesson after the nudge
	holds               // an offer, walk.offers' last
	over
)

// must says whether a message has to be there.
type must int

const (
	may must = iota
	yes
)

// walk is one member's way through the funnel, judged event by event in the order of
// their storing, each deadline at its own moment.
type walk struct {
	asked  asked
	start  *stored
	passed []*stored // events judged so far

	at       place
	since    time.Time
	deadline time.Time
	moved    []string // events that moved the journey at `since`

	outcome  string
	ended    time.Time
	goal     string
	offers   []*offer
	reviews  map[string]string // kind by event
	tags     []string
	grants   []string // asked for
	messages map[string]must
	openLate int
	problems []string
}

// follow walks through all events of a member; nil: none of them starts the funnel.
func follow(events []*stored, shop string, answers asked) *walk {
	slices.SortFunc(events, func(a, b *stored) int { return int(a.seq - b.seq) })
	i := slices.IndexFunc(events, func(e *stored) bool {
		return e.Type == typePaid && e.props.Offer == "trial" && e.props.Shop == shop
	})
	if i < 0 {
		return nil
	}
	w := &walk{asked: answers, start: events[i], reviews: map[string]string{}, messages: map[string]must{"welcome": yes}}
	w.since, w.moved, w.passed = w.start.Time, []string{w.start.ID}, events[:i+1]
	w.await(first, firstWait)
	for _, e := range events[i+1:] {
		for w.at != over && w.due().Before(e.stored) {
			w.fire()
		}
		w.judge(e)
		w.passed = append(w.passed, e)
	}
	for w.at != over {
		w.fire()
	}
	return w
}

func (w *walk) due() time.Time {
	if w.at == holds {
		return w.offers[len(w.offers)-1].grace
	}
	return w.deadline.Add(lessonGrace)
}

// go on from t, which may not lie before where we are.
func (w *walk) from(t time.Time, event string) {
	if t.After(w.since) {
		w.since, w.moved = t, nil
	}
	if event != "" {
		w.moved = append(w.moved, event)
	}
}

func (w *walk) await(at place, span time.Duration) {
	w.at, w.deadline = at, w.since.Add(span)
	for _, e := range w.passed {
		if w.lesson(e) {
			return
		}
	}
}

func (w *walk) lesson(e *stored) bool {
	if (w.at != first && w.at != second) || e.Type != typeLesson || slices.Contains(w.moved, e.ID) ||
		e.Time.Before(w.since) || e.Time.After(w.deadline) || e.stored.After(w.deadline.Add(lessonGrace)) {
		return false
	}
	w.from(e.Time, e.ID)
	if e.props.Lesson == "yoga" {
		w.tags = append(w.tags, "yoga")
	}
	w.messages["card-offer"] = yes
	w.open(card, cardPrice, cardList)
	return true
}

// open opens an offer at the moment at which the step before it ended, unless the engine
// came to it only when the grace after that had passed: then it opens when it came.
func (w *walk) open(name string, price, list int64) {
	if at, ok := w.asked.opened[name]; ok && !at.Equal(w.since) {
		if at.Before(w.since.Add(offerGrace)) {
			w.problems = append(w.problems, name+" was opened at "+stamp(at)+", which is neither the moment "+stamp(w.since)+" that led to it nor a grace later")
		} else {
			w.openLate++
			w.from(at, "")
		}
	}
	o := &offer{
		name: name, state: stateOpen, opened: w.since, expires: w.since.Add(lock), grace: w.since.Add(lock + offerGrace),
		price: price, list: list,
	}
	w.at, w.offers = holds, append(w.offers, o)
	for _, e := range w.passed {
		if w.at == holds && o.state == stateOpen {
			w.order(e)
		}
	}
}

func (w *walk) fire() {
	switch w.at {
	case first:
		w.from(w.deadline, "")
		w.messages["nudge"] = yes
		w.await(second, secondWait)
	case second:
		w.end("no-show", w.deadline.Add(lessonGrace))
	case holds:
		o := w.offers[len(w.offers)-1]
		o.state, o.closed = stateLapsed, o.expires
		if o.name == card {
			w.remindable(o, o.grace)
			w.tags = append(w.tags, "price-sensitive")
			w.messages["comeback"] = yes
			w.end("lapsed", o.grace)
			return
		}
		w.end("card-only", o.grace)
	case over:
	}
}

// remindable notes that the reminder was due before its offer closed. Whether it went
// out depends on whether the engine came to it before the offer's end.
func (w *walk) remindable(o *offer, heard time.Time) {
	if o.expires.Add(-remindLead).Before(heard) {
		w.messages["card-soon"] = may
	}
}

func (w *walk) end(outcome string, at time.Time) { w.at, w.outcome, w.ended = over, outcome, at }

func (w *walk) judge(e *stored) {
	if w.at != over && e.Type == typeRefunded && e.props.Order == w.start.props.Order && !e.Time.Before(w.start.Time) {
		w.leave(e)
		return
	}
	w.order(e)
	w.lesson(e)
	if e.Type == typePaid && e.props.Offer == card && w.goal == "" && !e.Time.Before(w.start.Time) && (w.at != over || !e.Time.After(w.ended)) {
		w.goal = e.ID
	}
}

// leave is the member's exit. What the same turn would have sent is not sent, so of the
// messages none has to be there any more.
func (w *walk) leave(e *stored) {
	if w.at == holds {
		o := w.offers[len(w.offers)-1]
		if o.name == card {
			w.remindable(o, e.stored)
		}
		o.state, o.closed = stateWithdrawn, e.stored
	}
	for name := range w.messages {
		w.messages[name] = may
	}
	w.end("exited", e.stored)
}

func (w *walk) order(e *stored) {
	if e.Type != typePaid || (e.props.Offer != card && e.props.Offer != gear) {
		return
	}
	var last *offer
	for _, o := range w.offers {
		if o.name != e.props.Offer {
			continue
		}
		if o.state == stateTaken && o.order == e.props.Order {
			return // the same order, told again
		}
		if !e.Time.Before(o.opened) {
			last = o
		}
	}
	switch {
	case last == nil:
	case last.state == stateOpen && w.at == holds && !e.Time.After(last.expires) && !e.stored.After(last.grace):
		w.take(last, e)
	default:
		w.late(last, e)
	}
}

func (w *walk) take(o *offer, e *stored) {
	switch {
	case e.paid() < o.price:
		w.review(e, "underpaid")
		return
	case w.asked.soldOut[e.ID]:
		o.refusedEvents = append(o.refusedEvents, e.ID)
		w.review(e, "paid_not_taken")
		return
	}
	o.state, o.closed, o.order, o.paid, o.takingEvent = stateTaken, e.Time, e.props.Order, e.paid(), e.ID
	w.from(e.Time, e.ID)
	if o.name == gear {
		w.grants = append(w.grants, "gear-buyer")
		w.tags = append(w.tags, "gear-owner")
		w.messages["gear-receipt"] = yes
		w.end("champion", e.stored)
		return
	}
	w.remindable(o, e.stored)
	w.grants = append(w.grants, "first-card")
	w.messages["card-receipt"] = yes
	w.tags = append(w.tags, "card")
	w.messages["gear-offer"] = yes
	w.open(gear, gearPrice, gearList)
}

// late is an order that no longer takes its offer. Somebody paid, so a person looks at
// it: when it was paid in time, or for less than the price at its time.
func (w *walk) late(o *offer, e *stored) {
	end := o.expires
	if o.state == stateTaken || o.state == stateWithdrawn {
		end = o.closed
	}
	switch {
	case o.state != stateTaken && !e.Time.After(end):
		w.review(e, "late_payment")
	case e.paid() < o.list:
		w.review(e, "paid_after_end")
	}
}

func (w *walk) review(e *stored, kind string) {
	if w.reviews[e.ID] == "" {
		w.reviews[e.ID] = kind
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("01-02 15:04:05.000000")
}
