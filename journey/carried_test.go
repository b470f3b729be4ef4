package journey_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

// quietGear is a version of gearSource that buys and sells nothing, and hears of no refund.
const quietGear = `
campaign: shop
title: shop
events:
  go: {}
  left: {}
journeys:
  main:
    start: {on: go}
    exit: {on: left}
    steps:
      - wait: 10d
      - end: quiet
`

// Who is taken out of her team is to be paid back, and the shop's answer is heard, whatever
// the version that she is brought to makes of refunds.
func TestMigrateAwayFromATeamAndBePaidBack(t *testing.T) {
	t.Parallel()
	to := compile(t, quietGear)
	for _, still := range []bool{true, false} {
		w := buyer(t)
		migrate := w.migrate
		if still {
			migrate = w.still
		}
		if m := migrate(noon.Add(2*time.Hour), to, inMain(moveTo("1", "1"))); !m.Moves() || len(w.refunds) != 1 {
			t.Fatalf("%+v, refunds %v\n%s", m, w.refunds, w.story())
		}
		w.store(refunded("r", "o-1", noon.Add(3*time.Hour)))
		w.on(noon.Add(2*time.Hour), noon.Add(4*time.Hour))
		if len(w.told) != 1 || w.told[0].Key != w.refunds[0].Key {
			t.Errorf("asked for %+v, and heard of %+v\n%s", w.refunds, w.told, w.story())
		}
	}
}

const quietRefunds = `
campaign: refunds
title: Refunds
events:
  order.paid: {order: string, offer: string, amount: money}
journeys:
  main:
    start: {on: order.paid, when: event.offer == "trial"}
    steps:
      - wait: 7d
      - end: quiet
`

// The refund of an order that the journey knows is heard, whatever version the journey was
// brought to meanwhile, there and back.
func TestMigrateWithOrders(t *testing.T) {
	t.Parallel()
	quiet := compile(t, quietRefunds)
	visit, bought := noon.Add(time.Hour), noon.Add(2*time.Hour)
	for name, more := range map[string]func(*world){
		"once": func(*world) {},
		"there and back": func(w *world) {
			m := w.migrate(bought.Add(3*time.Hour), compile(t, strings.Replace(quietRefunds, "end: quiet", "end: quieter", 1)), inMain(moveTo("1", "1")))
			if b := w.back(bought.Add(4*time.Hour), quiet, 2, m, true); !b.Moves() {
				t.Fatalf("%+v", b)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := enter(t, compile(t, refunds), "main", paid("trial", "trial", "9.90", noon), event("v", "visited", visit, `{}`),
				paid("card", "card", "100.00", bought), refund("r", "o-card", "", bought.Add(20*day)))
			w.punctual(bought.Add(time.Hour))
			m := w.migrate(bought.Add(2*time.Hour), quiet, inMain(moveTo(w.state.Step, "1")))
			if !m.Moves() {
				t.Fatalf("%+v\n%s", m, w.story())
			}
			more(w)
			w.on(bought.Add(5*time.Hour), bought.Add(30*day))
			books := w.books()
			if w.done != "quiet" || !slices.Contains(books, "goal back 10000, whole true") || !slices.Contains(books, "offer card back, restock false") {
				t.Errorf("%s, %q\n%s", w.done, books, w.story())
			}
		})
	}
}

// An offer that is open, or that the move withdrew, is still there for whoever pays for it,
// in a version that sells nothing.
func TestMigrateWithOffers(t *testing.T) {
	t.Parallel()
	to := stepsOf(t, "- wait: 1d\n- end: new", "    goal: {on: order.paid, when: 'event.offer == \"goal\"'}\n", "")
	at := noon.Add
	for _, after := range []time.Duration{2 * time.Hour, 2 * day} { // before the journey's end, and behind it
		w := stepwise(t, "- offer: open\n- wait: 1d\n- end: old", paid("o", "open", "50", at(after)), event("back", "order.refunded", at(after+time.Hour), `{"order":"o-o"}`))
		w.turn(noon)
		if m := w.migrate(at(time.Hour), to, moveTo("2", "1")); !m.Moves() {
			t.Fatalf("%+v\n%s", m, w.story())
		}
		w.on(at(time.Hour), at(3*day))
		for _, o := range w.offers {
			if o.State != campaign.OfferTaken || len(w.offersBack) != 1 {
				t.Errorf("paid %s later: %+v, back %v\n%s", after, o, w.offersBack, w.story())
			}
		}

		w = stepwise(t, locked, paid("o", "once", "49", at(after)))
		w.turn(noon)
		if m := w.migrate(at(10*time.Minute), to, moveTo("1", "1")); !m.Moves() {
			t.Fatalf("%+v\n%s", m, w.story())
		}
		if w.on(at(10*time.Minute), at(3*day)); len(w.reviews) != 1 {
			t.Errorf("paid %s later: reviews %v\n%s", after, w.reviews, w.story())
		}
	}
}

// A team that is complete is heard of at once, though the version's offer is bought alone.
func TestMigrateWithATeam(t *testing.T) {
	t.Parallel()
	alone := strings.NewReplacer("team: {size: 3, within: 24h}", "lock: 24h", "team: {announce: open, remind: {before: 2h, send: missing}}", "",
		"        failed:\n          - send: failed\n          - end: alone\n", "", `open: "{{ team.code }} {{ team.joined }}/{{ team.size }} {{ local(team.ends_at) }} {{ team.leader }} {{ event.id }}"`, "open: x",
		`missing: "{{ team.missing }}"`, "missing: x", `formed: "{{ team.size }} {{ event.id }} {{ offer.name }}"`, "formed: x", `failed: "{{ team.joined }}/{{ team.size }}"`, "failed: x")
	w := buyer(t)
	w.migrate(noon.Add(2*time.Hour), compile(t, alone.Replace(gearSource)), inMain(moveTo("1", "1")))
	own, full := w.state.Team.Code, noon.Add(3*time.Hour)
	w.market.others(own, 2, full)
	w.store(news(own, full, full))
	w.on(noon.Add(2*time.Hour), noon.Add(4*time.Hour))
	if o := w.offers[journeyOffer(w)]; w.done != "together" || o.State != campaign.OfferTaken || !o.ClosedAt.Equal(full) {
		t.Errorf("%s, %+v\n%s", w.done, o, w.story())
	}
}

// Who has brought nothing along is told of what her version waits for, and nothing else.
func TestNeedsInAState(t *testing.T) {
	t.Parallel()
	p := stepsOf(t, "- wait: 1d", "    goal: {on: order.paid, when: 'event.offer == \"goal\"'}\n", "")
	plain, _, err := p.Needs("j")
	if err != nil {
		t.Fatal(err)
	}
	open := &journey.Offer{State: campaign.OfferOpen}
	for name, c := range map[string]struct {
		state journey.State
		more  []string
	}{
		"nothing":            {journey.State{}, nil},
		"an offer":           {journey.State{Open: []journey.Offer{*open}}, []string{campaign.EventOrderPaid, campaign.EventOfferReserved, campaign.EventReviewDecided}},
		"one that is closed": {journey.State{Closed: []journey.Offer{*open}}, []string{campaign.EventOrderPaid, campaign.EventOfferReserved, campaign.EventReviewDecided}},
		"refunds":            {journey.State{Refunds: []string{campaign.EventOrderChargedBack}}, []string{campaign.EventOrderChargedBack}},
	} {
		got, _, err := p.NeedsIn("j", &c.state)
		want := append(slices.Clone(plain), c.more...)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
		again, _, _ := p.NeedsIn("j", &c.state)
		if &got[0] != &again[0] || c.more == nil && &got[0] != &plain[0] {
			t.Errorf("%s: the lists are not the same one, so members who need the same are asked for one by one", name)
		}
	}
	if _, _, err := p.NeedsIn("nobody", &journey.State{}); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Error(err)
	}
}

// A refund that overtakes its payment counts behind the journey's end too: of an order for an
// offer without a lock, and of one that was the goal before the end and is told late.
func TestRefundThatOvertakesThePaymentBehindTheEnd(t *testing.T) {
	t.Parallel()
	unlocked, _, _ := strings.Cut(strings.ReplaceAll(refunds, `list_price: 150, lock: 48h, `, ""), "        taken:")
	visit := noon.Add(time.Hour)
	ends := visit.Add(48 * time.Hour)
	for name, c := range map[string]struct {
		source       string
		paid, stored time.Time
		want         string
	}{
		"an offer without a lock": {unlocked, ends, ends.Add(2 * time.Hour), "offer card back, restock true"},
		"the goal":                {refunds, ends.Add(-time.Hour), ends.Add(2 * time.Hour), "goal back 10000, whole true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			order := paid("card", "card", "100.00", c.paid)
			order.Stored = c.stored
			back := refund("r", "o-card", "", c.paid.Add(time.Minute))
			back.Stored = c.stored.Add(-time.Hour)
			w := enter(t, compile(t, c.source), "main", paid("trial", "trial", "9.90", noon), event("v", "visited", visit, `{}`), order, back)
			w.punctual(c.stored.Add(-time.Minute))
			if w.done == "" || !slices.Contains(w.listens, campaign.EventOrderRefunded) {
				t.Fatalf("ended as %q, and listens to %v\n%s", w.done, w.listens, w.story())
			}
			w.punctual(noon.Add(10 * day))
			if !slices.Contains(w.books(), c.want) {
				t.Errorf("%q, want %q among them\n%s", w.books(), c.want, w.story())
			}
		})
	}
	// Where no order means anything any more, nothing is kept.
	w := enter(t, compile(t, refunds), "main", paid("trial", "trial", "9.90", noon), event("v", "visited", visit, `{}`),
		paid("card", "card", "100.00", visit.Add(time.Hour)), refund("r", "o-other", "", noon.Add(20*day)))
	if w.punctual(noon.Add(30 * day)); w.done == "" || slices.ContainsFunc(w.state.Orders, func(o journey.Order) bool { return o.ID == "o-other" }) {
		t.Errorf("ended as %q, and keeps %+v", w.done, w.state.Orders)
	}
}

// An order that took an offer in another journey takes none of that name in this one, and
// nobody is asked about it; whether the member may take more or not.
func TestAnOrderThatTookAnotherOffer(t *testing.T) {
	t.Parallel()
	visit := noon.Add(time.Hour)
	bought := visit.Add(time.Hour)
	for _, full := range []bool{false, true} {
		for _, took := range []bool{false, true} {
			w := enter(t, compile(t, refunds), "main", paid("trial", "trial", "9.90", noon), event("v", "visited", visit, `{}`), paid("card", "card", "100.00", bought))
			w.stock["card"] = 1
			w.punctual(bought.Add(-time.Minute))
			if full {
				w.offers["another"] = campaign.OfferEffect{ID: "another", Offer: "card", State: campaign.OfferTaken}
			}
			if took {
				w.took = map[string]bool{"card o-card": true}
			}
			w.punctual(bought.Add(4 * day))
			reviews, left, done := 0, 1, "lapsed"
			switch {
			case full && !took:
				reviews = 1
			case !took:
				left, done = 0, ""
			}
			if len(w.reviews) != reviews || w.stock["card"] != left || w.done != done {
				t.Errorf("full %t, took another %t: %s, reviews %v, %d left\n%s", full, took, w.done, w.reviews, w.stock["card"], w.story())
			}

			if !full {
				continue // whether an order counts is answered with the place that it pays for
			}
			w = enter(t, compile(t, gearSource), "main", event("e-1", "go", noon, "{}"), gearOrder("e-2", "o-1", "380.00", "", noon.Add(time.Hour)))
			w.market = newMarket(500)
			w.run(noon.Add(30 * time.Minute))
			w.offers["another"] = campaign.OfferEffect{ID: "another", Offer: "gear", State: campaign.OfferTaken}
			if took {
				w.took = map[string]bool{"gear o-1": true}
			}
			w.run(noon.Add(2 * time.Hour))
			if len(w.reviews) != reviews || len(w.market.seats) != 0 || w.market.left != 500 || took != has(w, campaign.TraceTeamNotJoined, "reason", campaign.TeamOrderTwice) {
				t.Errorf("took another %t: reviews %v, places %v, %d left\n%s", took, w.reviews, w.market.seats, w.market.left, w.story())
			}
		}
	}
}
