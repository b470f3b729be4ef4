package journey_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

const reviewHead = `
campaign: review
title: review
events:
  order.paid: {order: string, offer: string, amount: money}
  go: {}
  a: {}
  b: {}
`

func (w *world) kinds(kind campaign.TraceKind) (n int) {
	for _, l := range w.trace {
		if l.Kind == kind {
			n++
		}
	}
	return n
}

// The order that takes an offer, and so opens it again, takes it once.
func TestAnOrderDoesNotTakeTheOfferItLedTo(t *testing.T) {
	t.Parallel()
	p := compile(t, reviewHead+`
offers:
  thing: {price: 10, lock: 48h}
journeys:
  one:
    start: {on: go}
    steps:
      - offer: thing
        label: again
        taken:
          - goto: again
        lapsed:
          - end: out
`)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`), paid("x", "thing", "10", noon.Add(time.Hour)))
	w.punctual(noon.Add(10 * day))
	if got := w.kinds(campaign.TraceOfferTaken); got != 1 || w.done != "out" {
		t.Errorf("taken %d times, outcome %q\n%s", got, w.done, w.story())
	}
}

// An order that starts a journey does not take the offer that the journey begins with.
func TestTheStartingOrderDoesNotTakeTheFirstOffer(t *testing.T) {
	t.Parallel()
	for _, lock := range []string{", lock: 48h", ""} {
		p := compile(t, reviewHead+`
offers:
  thing: {price: 10`+lock+`}
journeys:
  one:
    start: {on: order.paid, when: event.offer == "thing"}
    steps:
      - offer: thing
`)
		w := enter(t, p, "one", paid("x", "thing", "10", noon))
		w.punctual(noon.Add(time.Hour))
		if got := w.kinds(campaign.TraceOfferTaken); got != 0 {
			t.Errorf("%q: taken %d times\n%s", lock, got, w.story())
		}
	}
}

// A shop's second notice of an order that took an offer is no second order.
func TestASecondNoticeOfAnOrder(t *testing.T) {
	t.Parallel()
	p := compile(t, reviewHead+`
offers:
  thing: {price: 10, list_price: 20, lock: 1h}
journeys:
  one:
    start: {on: go}
    steps:
      - offer: thing
      - offer: thing
      - offer: thing
`)
	again := paid("x2", "thing", "10", noon.Add(2*time.Hour))
	again.Properties = []byte(`{"order":"o-x","offer":"thing","amount":{"amount":"10.00","currency":"CNY"}}`)
	// The first lapses, the second is taken, and the same order is told once more.
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`), paid("x", "thing", "10", noon.Add(90*time.Minute)), again)
	w.punctual(noon.Add(10 * day))
	if got := w.kinds(campaign.TraceOfferTaken); got != 1 || len(w.reviews) != 0 {
		t.Errorf("taken %d times, reviews %v\n%s", got, w.reviews, w.story())
	}
}

// An order that was stored before the event that led to the offer, but paid after it,
// takes the offer whether it has a lock or not.
func TestAnEarlierStoredOrderTakesAnOfferWithoutALock(t *testing.T) {
	t.Parallel()
	for _, lock := range []string{", lock: 48h", ""} {
		p := compile(t, reviewHead+`
offers:
  thing: {price: 10`+lock+`}
journeys:
  one:
    start: {on: go}
    steps:
      - await: a
        for: 7d
        grace: 1h
      - offer: thing
      - wait: 1d
`)
		a := event("a", "a", noon.Add(time.Hour), `{}`)
		a.Stored = noon.Add(time.Hour + 5*time.Minute)
		order := paid("x", "thing", "10", noon.Add(time.Hour+2*time.Minute))
		w := enter(t, p, "one", event("e-1", "go", noon, `{}`), order, a)
		w.punctual(noon.Add(10 * day))
		if got := w.kinds(campaign.TraceOfferTaken); got != 1 {
			t.Errorf("%q: taken %d times\n%s", lock, got, w.story())
		}
	}
}

// A journey that waits for nothing but the announcement of an offer ends when an order
// makes that announcement pointless.
func TestEndingWhenTheLastDelayedMessageFallsAway(t *testing.T) {
	t.Parallel()
	p := compile(t, reviewHead+`
offers:
  thing: {price: 10}
messages:
  news: "for {{ yuan(offer.price) }}"
limits:
  quiet_hours: {from: "11:00", until: "20:00"}
journeys:
  one:
    start: {on: go}
    steps:
      - offer: thing
        announce: news
`)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`), paid("x", "thing", "10", noon.Add(time.Hour)))
	w.punctual(noon.Add(10 * day))
	if w.done != campaign.OutcomeCompleted {
		t.Errorf("outcome %q, due %v\n%s", w.done, w.due, w.story())
	}
}

// A delayed announcement tells of its own offer, not of the one opened last.
func TestADelayedAnnouncementTellsOfItsOffer(t *testing.T) {
	t.Parallel()
	p := compile(t, reviewHead+`
offers:
  cheap: {price: 10}
  dear:  {price: 99, lock: 48h}
messages:
  news: "{{ offer.name }} {{ yuan(offer.price) }}"
limits:
  quiet_hours: {from: "11:00", until: "20:00"}
journeys:
  one:
    start: {on: go}
    steps:
      - offer: cheap
        announce: news
      - offer: dear
        announce: news
`)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`))
	w.punctual(noon.Add(day))
	var bodies []string
	for _, s := range w.sends {
		bodies = append(bodies, s.Bodies[0].Body)
	}
	if len(bodies) != 2 || !strings.HasPrefix(bodies[0], "cheap") || !strings.HasPrefix(bodies[1], "dear") {
		t.Errorf("sent %q\n%s", bodies, w.story())
	}
}

// What was stored before the turn that ended a journey is judged by that turn: no
// poke will come for it any more.
func TestEventsBehindTheEndAreJudged(t *testing.T) {
	t.Parallel()
	p := compile(t, reviewHead+`
offers:
  thing: {price: 10}
journeys:
  one:
    start: {on: go}
    goal: {on: a}
    steps:
      - offer: thing
      - wait: 7d
`)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`))
	w.turn(noon)
	for i, e := range []campaign.Event{event("a-1", "a", noon.Add(time.Hour), `{}`), paid("x", "thing", "10", noon.Add(2*time.Hour))} {
		e.Seq = int64(i + 2)
		w.events = append(w.events, e)
	}
	w.turn(noon.Add(3 * time.Hour))
	if w.done != campaign.OutcomeConverted || w.kinds(campaign.TraceOfferTaken) != 1 {
		t.Errorf("outcome %q\n%s", w.done, w.story())
	}
}

// An order that was stored before the campaign was ended at once takes its offer.
func TestAnOrderBeforeTheCampaignEndsAtOnce(t *testing.T) {
	t.Parallel()
	p := compile(t, reviewHead+`
offers:
  thing: {price: 10, lock: 48h}
journeys:
  one:
    start: {on: go}
    steps:
      - offer: thing
`)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`))
	w.turn(noon)
	order := paid("x", "thing", "10", noon.Add(time.Hour))
	order.Seq = 2
	d, ask, err := p.Turn(w.state, journey.Input{
		ID: w.id, Version: 1, Now: noon.Add(2 * time.Hour), Member: &w.member, Events: []campaign.Event{w.events[0], order},
		Answers: map[string]campaign.Answer{}, Taken: map[string]int{}, Via: []string{"console"}, EndNow: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if ask == nil || ask.Take == nil {
		t.Fatalf("the order was not judged: %+v", d)
	}
	d, _, err = p.Turn(w.state, journey.Input{
		ID: w.id, Version: 1, Now: noon.Add(2 * time.Hour), Member: &w.member, Events: []campaign.Event{w.events[0], order},
		Answers: map[string]campaign.Answer{ask.Key: {OK: true}}, Taken: map[string]int{}, Via: []string{"console"}, EndNow: true,
	})
	if err != nil || d.Outcome != campaign.OutcomeEnded || len(d.Offers) != 1 || d.Offers[0].State != campaign.OfferTaken {
		t.Errorf("%+v %v", d, err)
	}
}

// A journey that goes round in a short loop catches up with a long pause in several
// turns, instead of failing for ever.
func TestCatchingUpWithALongPause(t *testing.T) {
	t.Parallel()
	p := compile(t, reviewHead+`
journeys:
  one:
    start: {on: go}
    exit: {on: b}
    steps:
      - wait: 1m
        label: again
      - tag: round
      - goto: again
`)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`))
	now := noon.Add(7 * day)
	for range 100 {
		if w.turn(now); w.due.After(now) {
			break
		}
	}
	if got := w.kinds(campaign.TraceTagged); got != 7*24*60 {
		t.Errorf("%d rounds", got)
	}
}

// A cap without a span holds for ever.
func TestACapWithoutASpan(t *testing.T) {
	t.Parallel()
	p := compile(t, reviewHead+`
messages:
  one: "1"
  two: "2"
limits:
  messages_per_member: 1
journeys:
  one:
    start: {on: go}
    steps:
      - send: one
      - wait: 1d
      - send: two
`)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`))
	w.punctual(noon.Add(10 * day))
	if len(w.sends) != 1 || w.done != campaign.OutcomeCompleted {
		t.Errorf("sent %s, outcome %q\n%s", w.messages(), w.done, w.story())
	}
}

// Whether the turn that ends a lock runs at its very moment or a few milliseconds
// later, the next offer opens the same.
func TestTheOfferAfterALapse(t *testing.T) {
	t.Parallel()
	p := compile(t, reviewHead+`
offers:
  first:  {price: 10, lock: 1h}
  second: {price: 10, lock: 1h}
journeys:
  one:
    start: {on: go}
    steps:
      - offer: first
      - offer: second
`)
	var opened []time.Duration
	for _, late := range []time.Duration{0, 5 * time.Millisecond} {
		w := enter(t, p, "one", event("e-1", "go", noon, `{}`))
		w.turn(noon)
		w.turn(w.due.Add(late))
		for _, o := range w.offers {
			if o.Offer == "second" {
				opened = append(opened, o.OpenedAt.Sub(noon).Round(time.Second))
			}
		}
	}
	if len(opened) != 2 || opened[0] != opened[1] {
		t.Errorf("opened %v after the start", opened)
	}
}

// Names that are shown in Temporal stay within its limits.
func TestNamesForTemporalAreShort(t *testing.T) {
	t.Parallel()
	var names []string
	var events strings.Builder
	for i := range 40 {
		names = append(names, fmt.Sprintf("something.that.happened.%s", strings.Repeat("x", i+1)))
		fmt.Fprintf(&events, "  %s: {}\n", names[i])
	}
	p := compile(t, reviewHead+events.String()+`
journeys:
  one:
    start: {on: go}
    steps:
      - await: [`+strings.Join(names, ", ")+`]
        for: 7d
`)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`))
	d := w.turn(noon)
	if len(d.StepName) > 255 || len(d.Summary) > 400 {
		t.Errorf("step name of %d bytes, summary of %d", len(d.StepName), len(d.Summary))
	}
	if !slices.Contains(d.Listens, names[39]) {
		t.Error("it does not listen")
	}
}
