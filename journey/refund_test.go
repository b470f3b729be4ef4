package journey_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

// led is a grant that an order led to, in a world.
type led struct {
	order, reward string
	member        string // if not the one of the journey
	points, back  int64
}

// clawBack answers as the store does.
func (w *world) clawBack(ask *campaign.ClawBackAsk) campaign.Answer {
	a := campaign.Answer{OK: true}
	for _, g := range w.led {
		i := slices.IndexFunc(ask.Rewards, func(r campaign.ClawBackReward) bool { return r.Name == g.reward })
		if g.order != ask.Order || i < 0 {
			continue
		}
		if g.member != "" && !slices.Contains(ask.Others, g.member) {
			w.t.Fatalf("%s is taken back from %s, whom nobody named", g.reward, g.member)
		}
		due := campaign.PartOf(g.points, ask.Part, ask.Of) - g.back
		if due < 0 {
			w.t.Fatalf("of %d points of %s %d were taken back, and %d of %d are to be", g.points, g.reward, g.back, ask.Part, ask.Of)
		}
		if due == 0 {
			continue
		}
		taken := due
		if g.member == "" {
			if !ask.Rewards[i].InFull {
				taken = min(due, max(0, w.points))
			}
			w.points -= taken
		}
		g.back += due
		a.ClawedBack = append(a.ClawedBack, campaign.ClawedBack{Reward: g.reward, Member: g.member, Points: taken, Owed: due - taken})
	}
	return a
}

// refunded books what a turn reversed.
func (w *world) refunded(d *campaign.Decision) {
	w.t.Helper()
	for _, o := range d.OfferRefunds {
		if w.offers[o.ID].State != campaign.OfferTaken || slices.ContainsFunc(w.offersBack, func(b campaign.OfferRefund) bool { return b.ID == o.ID }) {
			w.t.Fatalf("offer %s goes back, and is %q", o.ID, w.offers[o.ID].State)
		}
		w.offersBack = append(w.offersBack, o)
		if o.Restock && w.market != nil {
			w.market.back(o.Offer)
		}
	}
	if g := d.GoalRefund; g != nil {
		if w.goal == nil || g.Minor > w.goal.Value.Minor || w.goalRefund != nil && g.Minor < w.goalRefund.Minor {
			w.t.Fatalf("of the goal %+v goes back %+v, after %+v", w.goal, g, w.goalRefund)
		}
		w.goalRefund = g
	}
}

func (w *world) restocked(id string) bool {
	return slices.ContainsFunc(w.offersBack, func(b campaign.OfferRefund) bool { return b.ID == id && b.Restock })
}

// books is what refunds came to.
func (w *world) books() (lines []string) {
	lines = append(lines, fmt.Sprintf("points %d", w.points))
	for _, g := range w.led {
		if g.back > 0 {
			lines = append(lines, fmt.Sprintf("%d of %d of %s by order %s back", g.back, g.points, g.reward, g.order))
		}
	}
	for _, o := range w.offersBack {
		lines = append(lines, fmt.Sprintf("offer %s back, restock %v", o.Offer, o.Restock))
	}
	if g := w.goalRefund; g != nil {
		lines = append(lines, fmt.Sprintf("goal back %d, whole %v", g.Minor, !g.At.IsZero()))
	}
	return lines
}

const refunds = `
campaign: refunds
title: Refunds
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string, amount: money, refund: string}
  order.charged_back: {order: string}
  visited: {}
offers:
  card: {price: 100, list_price: 150, lock: 48h, stock: 10, per_member: 1, on_refund: restock}
rewards:
  first: {points: 100}
  debt: {points: 50, on_refund: claw_back_in_full}
  thanks: {points: 7, on_refund: keep}
  later: {points: 30}
  visit: {points: 3}
journeys:
  main:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "card"}
    on_goal: continue
    steps:
      - await: visited
        for: 24h
      - grant: visit
      - offer: card
        taken:
          - grant: first
          - grant: debt
          - grant: thanks
          - wait: 7d
          - grant: later
        lapsed:
          - end: lapsed
`

func refund(id, order, amount string, at time.Time) campaign.Event {
	p := fmt.Sprintf(`{"order":%q,"refund":%q}`, order, id)
	if amount != "" {
		p = fmt.Sprintf(`{"order":%q,"refund":%q,"amount":{"amount":%q,"currency":"CNY"}}`, order, id, amount)
	}
	return event("e-"+id, "order.refunded", at, p)
}

func TestRefundTakesBackWhatTheOrderLedTo(t *testing.T) {
	t.Parallel()
	p := compile(t, refunds)
	visit, bought := noon.Add(time.Hour), noon.Add(2*time.Hour)
	whole := []string{"goal back 10000, whole true", "offer card back, restock true"}
	for name, c := range map[string]struct {
		refunds []campaign.Event
		spent   int64 // before the refunds
		want    []string
		reviews int
	}{
		"none": {nil, 0, []string{"points 190"}, 0},
		"all of it, while the journey goes on": {
			[]campaign.Event{refund("r", "o-card", "", bought.Add(day))},
			0,
			append([]string{"points 10", "100 of 100 of first by order o-card back", "50 of 50 of debt by order o-card back"}, whole...), 0,
		},
		"all of it, after the journey's end": {
			[]campaign.Event{refund("r", "o-card", "100.00", bought.Add(60*day))},
			0,
			append([]string{"points 10", "100 of 100 of first by order o-card back", "50 of 50 of debt by order o-card back", "30 of 30 of later by order o-card back"}, whole...), 0,
		},
		"a year and a day later": {[]campaign.Event{refund("r", "o-card", "", bought.Add(380*day))}, 0, []string{"points 190"}, 0},
		"a part, rounded for the member": {
			[]campaign.Event{refund("r", "o-card", "33.33", bought.Add(60*day))},
			0,
			[]string{"points 132", "33 of 100 of first by order o-card back", "16 of 50 of debt by order o-card back", "9 of 30 of later by order o-card back", "goal back 3333, whole false"},
			0,
		},
		"parts that come to the whole": {
			[]campaign.Event{
				refund("r1", "o-card", "33.33", bought.Add(60*day)), refund("r2", "o-card", "33.33", bought.Add(61*day)),
				refund("r3", "o-card", "33.34", bought.Add(62*day)), refund("r4", "o-card", "33.34", bought.Add(63*day)),
			},
			0,
			append([]string{"points 10", "100 of 100 of first by order o-card back", "50 of 50 of debt by order o-card back", "30 of 30 of later by order o-card back"}, whole...), 0,
		},
		"one refund told twice": {
			[]campaign.Event{
				refund("r1", "o-card", "50.00", bought.Add(60*day)),
				event("another", "order.refunded", bought.Add(61*day), `{"order":"o-card","refund":"r1","amount":{"amount":"50.00","currency":"CNY"}}`),
			},
			0,
			[]string{"points 100", "50 of 100 of first by order o-card back", "25 of 50 of debt by order o-card back", "15 of 30 of later by order o-card back", "goal back 5000, whole false"},
			0,
		},
		"refunded in part, then charged back": {
			[]campaign.Event{refund("r", "o-card", "60.00", bought.Add(60*day)), event("cb", "order.charged_back", bought.Add(90*day), `{"order":"o-card"}`)},
			0,
			append([]string{"points 10", "100 of 100 of first by order o-card back", "50 of 50 of debt by order o-card back", "30 of 30 of later by order o-card back"}, whole...), 0,
		},
		"spent meanwhile: what is there is taken, and in full means in full": {
			[]campaign.Event{refund("r", "o-card", "", bought.Add(day))},
			150,
			append([]string{"points -50", "100 of 100 of first by order o-card back", "50 of 50 of debt by order o-card back"}, whole...), 0,
		},
		"another order": {[]campaign.Event{refund("r", "o-other", "", bought.Add(day))}, 0, []string{"points 190"}, 0},
		"the order that started the journey": {
			[]campaign.Event{refund("r", "o-trial", "", bought.Add(day))}, 0, []string{"points 187", "3 of 3 of visit by order o-trial back"}, 0,
		},
		"another currency": {
			[]campaign.Event{event("r", "order.refunded", bought.Add(day), `{"order":"o-card","amount":{"amount":"100.00","currency":"USD"}}`)}, 0, []string{"points 190"}, 1,
		},
		"nothing":  {[]campaign.Event{refund("r", "o-card", "0.00", bought.Add(day)), refund("q", "o-card", "-5.00", bought.Add(day))}, 0, []string{"points 190"}, 0},
		"no order": {[]campaign.Event{event("r", "order.refunded", bought.Add(day), `{"order":""}`), event("q", "order.refunded", bought.Add(day), `[1]`)}, 0, []string{"points 190"}, 0},
		"an order's id that is too long to be kept": {
			[]campaign.Event{refund("r", strings.Repeat("x", 129), "", bought.Add(day))}, 0, []string{"points 190"}, 0,
		},
		"an amount that is no money": {[]campaign.Event{event("r", "order.refunded", bought.Add(day), `{"order":"o-card","amount":{"x":1}}`)}, 0, []string{"points 190"}, 0},
		"an amount that was not declared as money": {
			[]campaign.Event{event("r", "order.refunded", bought.Add(60*day), `{"order":"o-card","amount":50}`)},
			0,
			[]string{"points 100", "50 of 100 of first by order o-card back", "25 of 50 of debt by order o-card back", "15 of 30 of later by order o-card back", "goal back 5000, whole false"},
			0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := append([]campaign.Event{
				paid("trial", "trial", "9.90", noon), event("v", "visited", visit, `{}`), paid("card", "card", "100.00", bought),
			}, c.refunds...)
			w := enter(t, p, "main", events...)
			w.punctual(bought.Add(time.Minute))
			w.points -= c.spent
			w.punctual(noon.Add(370 * day))
			got := w.books()
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) || len(w.reviews) != c.reviews {
				t.Errorf("got %q and %d reviews, want %q and %d\n%s", got, len(w.reviews), c.want, c.reviews, w.story())
			}
		})
	}
}

// A refund that overtakes its payment comes to the same, whether it is stored before the
// journey began, while it waited, or in the same turn.
func TestRefundThatOvertakesThePayment(t *testing.T) {
	t.Parallel()
	p := compile(t, refunds)
	visit, bought := noon.Add(time.Hour), noon.Add(2*time.Hour)
	back := refund("r", "o-card", "", bought.Add(time.Second))
	trial := refund("t", "o-trial", "", noon.Add(time.Second))
	play := func(stored, storedTrial time.Duration) []string {
		a, b := back, trial
		a.Stored, b.Stored = bought.Add(stored), noon.Add(storedTrial)
		card := paid("card", "card", "100.00", bought)
		card.Stored = bought.Add(5 * time.Minute)
		start := paid("trial", "trial", "9.90", noon)
		start.Stored = noon.Add(5 * time.Minute)
		w := enter(t, p, "main", start, a, b, card, event("v", "visited", visit, `{}`))
		w.punctual(noon.Add(40 * day))
		got := w.books()
		slices.Sort(got)
		return append(got, w.done, fmt.Sprint(len(w.reviews)))
	}
	want := play(6*time.Minute, 6*time.Minute)
	if !slices.Contains(want, "points 7") || !slices.Contains(want, "goal back 10000, whole true") || !slices.Contains(want, "offer card back, restock true") {
		t.Fatalf("the payment came first, and came to %q", want)
	}
	for _, stored := range []time.Duration{time.Second, 5 * time.Minute} {
		for _, storedTrial := range []time.Duration{time.Second, 6 * time.Minute} {
			if got := play(stored, storedTrial); !slices.Equal(got, want) {
				t.Errorf("stored %s and %s after the payment was made: %q, want %q", stored, storedTrial, got, want)
			}
		}
	}
}

// Refunds of orders that the journey never hears of push out none that it knows, and its
// state stays small.
func TestRefundsOfUnknownOrdersArePushedOut(t *testing.T) {
	t.Parallel()
	p := compile(t, refunds)
	bought := noon.Add(2 * time.Hour)
	events := []campaign.Event{paid("trial", "trial", "9.90", noon), event("v", "visited", noon.Add(time.Hour), `{}`), paid("card", "card", "100.00", bought)}
	for i := range 300 {
		events = append(events, refund(fmt.Sprint("u", i), fmt.Sprint("unknown-", i), "", bought.Add(time.Duration(i)*time.Second)))
	}
	events = append(events, refund("r", "o-card", "", bought.Add(day)))
	w := enter(t, p, "main", events...).punctual(noon.Add(30 * day))
	if w.points != 10 || len(w.state.Orders) > 64 {
		t.Errorf("%d points, %d orders are remembered\n%s", w.points, len(w.state.Orders), w.story())
	}
}

func TestPartOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ amount, part, whole, want int64 }{
		{100, 1, 3, 33},
		{100, 3, 3, 100},
		{100, 4, 3, 100},
		{100, 0, 3, 0},
		{100, -1, 3, 0},
		{100, 0, 0, 100},
		{1_000_000_000_000, campaign.MaxPayment - 1, campaign.MaxPayment, 999_999_999_999},
		{1 << 62, 1 << 61, 1 << 62, 1 << 61},
	} {
		if got := campaign.PartOf(c.amount, c.part, c.whole); got != c.want {
			t.Errorf("%d of %d of %d is %d, want %d", c.part, c.whole, c.amount, got, c.want)
		}
	}
}

func reserve(id, offer, order string, at, until time.Time, released bool) campaign.Event {
	data, err := json.Marshal(campaign.Hold{Offer: offer, Order: order, Until: until, Released: released})
	if err != nil {
		panic(err)
	}
	return event(id, campaign.EventOfferReserved, at, string(data))
}

// offerOf is the id of the offer that the journey of the refunds campaign opens.
func offerOf(t testing.TB, p *journey.Program) string {
	t.Helper()
	w := enter(t, p, "main", paid("trial", "trial", "9.90", noon), event("v", "visited", noon.Add(time.Hour), `{}`))
	w.turn(noon)
	w.turn(noon.Add(time.Hour))
	for id := range w.offers {
		return id
	}
	t.Fatalf("no offer opened\n%s", w.story())
	return ""
}

// The lock ends 48 h after the visit. Order o-till is reserved at 47:58.
func TestReservationEdges(t *testing.T) {
	t.Parallel()
	p := compile(t, refunds)
	id := offerOf(t, p)
	visit := noon.Add(time.Hour)
	end := visit.Add(48 * time.Hour)
	made := end.Add(-2 * time.Minute)
	until := made.Add(campaign.ReservationSpan)
	for name, c := range map[string]struct {
		order           string
		amount          string
		paid, stored    time.Time
		released        time.Time
		taken           bool
		outcome, review string
	}{
		"paid at the till five minutes after the end":  {"till", "100.00", end.Add(5 * time.Minute), end.Add(5 * time.Minute), time.Time{}, true, "", ""},
		"paid at the reservation's very end":           {"till", "100.00", until, until.Add(time.Second), time.Time{}, true, "", ""},
		"told at the end of the grace after it":        {"till", "100.00", until, until.Add(10 * time.Minute), time.Time{}, true, "", ""},
		"told later":                                   {"till", "100.00", until, until.Add(10*time.Minute + time.Second), time.Time{}, false, "lapsed", "late_payment"},
		"paid a second too late":                       {"till", "100.00", until.Add(time.Second), until.Add(time.Second), time.Time{}, false, "lapsed", "paid_after_end"},
		"paid too late, at the list price":             {"till", "150.00", until.Add(time.Second), until.Add(time.Second), time.Time{}, false, "lapsed", ""},
		"another order":                                {"other", "100.00", end.Add(time.Second), end.Add(time.Second), time.Time{}, false, "lapsed", "paid_after_end"},
		"another order in time":                        {"other", "100.00", end, end.Add(10 * time.Minute), time.Time{}, true, "", ""},
		"another order in time, told late":             {"other", "100.00", end, end.Add(10*time.Minute + time.Second), time.Time{}, false, "lapsed", "late_payment"},
		"paid less than the price":                     {"till", "99.99", end.Add(5 * time.Minute), end.Add(5 * time.Minute), time.Time{}, false, "lapsed", "underpaid"},
		"given up before it was paid":                  {"till", "100.00", end.Add(5 * time.Minute), end.Add(5 * time.Minute), end.Add(time.Minute), false, "lapsed", "paid_after_end"},
		"paid before it was given up, and told after":  {"till", "100.00", end.Add(time.Minute), end.Add(2 * time.Minute), end.Add(90 * time.Second), true, "", ""},
		"given up before the end, and paid by the end": {"till", "100.00", end, end.Add(time.Second), end.Add(-time.Minute), true, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			order := paid(c.order, "card", c.amount, c.paid)
			order.Stored = c.stored
			events := []campaign.Event{
				paid("trial", "trial", "9.90", noon), event("v", "visited", visit, `{}`), reserve("r", id, "o-till", made, until, false), order,
			}
			if !c.released.IsZero() {
				events = append(events, reserve("rr", id, "o-till", c.released, c.released, true))
			}
			w := enter(t, p, "main", events...)
			w.punctual(noon.Add(9 * day).Add(5 * time.Hour))
			var review []string
			for _, r := range w.reviews {
				review = append(review, string(r.Kind))
			}
			want := "offer card lapsed"
			if c.taken {
				want = "offer card taken"
			}
			if !strings.Contains(w.verdict(), want) || c.outcome != "" && w.done != c.outcome || strings.Join(review, ",") != c.review {
				t.Errorf("outcome %s, review %v; want %s, %s, %s\n%s", w.done, review, want, c.outcome, c.review, w.story())
			}
			late := enter(t, p, "main", events...)
			late.turn(noon)
			late.turn(visit)
			late.turn(noon.Add(9 * day).Add(5 * time.Hour))
			if late.verdict() != w.verdict() {
				t.Errorf("one late turn:\n%s\n\nwant:\n%s", late.verdict(), w.verdict())
			}
		})
	}
}

// An offer without an end keeps its price anyway; its reservations hold stock, and are heard
// of even after the journey's end.
func TestReservationOfAnOfferWithoutALock(t *testing.T) {
	t.Parallel()
	source, _, _ := strings.Cut(strings.ReplaceAll(refunds, `list_price: 150, lock: 48h, `, ""), "        taken:")
	p := compile(t, source)
	visit := noon.Add(time.Hour)
	id := offerOf(t, p)
	w := enter(t, p, "main", paid("trial", "trial", "9.90", noon), event("v", "visited", visit, `{}`),
		reserve("r", id, "o-card", visit.Add(time.Hour), visit.Add(75*time.Minute), false), paid("card", "card", "100.00", visit.Add(40*day)))
	w.punctual(noon.Add(50 * day))
	if w.offers[id].State != campaign.OfferTaken || !w.offers[id].Reserved || !strings.Contains(w.story(), "reserved for order o-card until") {
		t.Errorf("the offer is %+v\n%s", w.offers[id], w.story())
	}
}

// Whatever overtakes what, and whenever turns run: what an order took and what of it went
// back is that of a worker which is always on time, and nothing goes back twice.
func TestOrdersDoNotDependOnWhenTurnsRun(t *testing.T) {
	t.Parallel()
	p := compile(t, refunds)
	id := offerOf(t, p)
	visit := noon.Add(time.Hour)
	ends := visit.Add(48 * time.Hour)
	rapid.Check(t, func(rt *rapid.T) {
		minutes := func(name string, least, most int) time.Duration {
			return time.Duration(rapid.IntRange(least, most).Draw(rt, name)) * time.Minute
		}
		events := []campaign.Event{paid("trial", "trial", "9.90", noon), event("v", "visited", visit, `{}`)}
		orders := []string{"o-a", "o-b", "o-trial"}
		for i := range rapid.IntRange(1, 9).Draw(rt, "events") {
			at := ends.Add(minutes("at", -60, 90))
			order := rapid.SampledFrom(orders).Draw(rt, "order")
			var e campaign.Event
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				if at.After(ends) {
					at = ends
				}
				e = reserve(fmt.Sprintf("h%d", i), id, order, at, at.Add(campaign.ReservationSpan), false)
			case 1:
				e = reserve(fmt.Sprintf("l%d", i), id, order, at, at, true)
			case 2:
				e = paid(fmt.Sprintf("p%d", i), "card", rapid.SampledFrom([]string{"100.00", "150.00", "60.00"}).Draw(rt, "amount"), at)
				e.Properties = []byte(strings.Replace(string(e.Properties), fmt.Sprintf("o-p%d", i), order, 1))
				e.Stored = at.Add(minutes("late", 0, 30))
			default:
				e = refund(rapid.SampledFrom([]string{"r1", "r2", "r3"}).Draw(rt, "refund"), order, rapid.SampledFrom([]string{"", "40.00", "60.00"}).Draw(rt, "part"), at)
				e.ID = fmt.Sprintf("r%d", i)
				e.Stored = at.Add(minutes("late", 0, 30))
			}
			events = append(events, e)
		}
		end := noon.Add(20 * day)
		want := enter(t, p, "main", events...).punctual(end)
		w := enter(t, p, "main", events...)
		w.turn(noon)
		w.turn(visit)
		for now := ends.Add(-time.Hour); now.Before(ends.Add(2 * time.Hour)); now = now.Add(minutes("gap", 1, 40)) {
			w.turn(now)
			if rapid.Bool().Draw(rt, "again") {
				w.turn(now)
			}
		}
		w.turn(end)
		if got := w.verdict(); got != want.verdict() {
			rt.Fatalf("got:\n%s\n\nwant:\n%s\n\nstory:\n%s\npunctual story:\n%s", got, want.verdict(), w.story(), want.story())
		}
		for _, g := range w.led {
			if g.back < 0 || g.back > g.points {
				rt.Fatalf("%d of %d points of %s went back", g.back, g.points, g.reward)
			}
		}
	})
}

// A person may let an order take its offer that paid too little, in another currency, or for
// what was sold out; as long as it is open, and once.
func TestApprovedPayments(t *testing.T) {
	t.Parallel()
	p := compile(t, refunds)
	id := offerOf(t, p)
	visit := noon.Add(time.Hour)
	bought := visit.Add(time.Hour)
	ends := visit.Add(48 * time.Hour)
	review := func(e campaign.Event) string {
		w := enter(t, p, "main", paid("trial", "trial", "9.90", noon), event("v", "visited", visit, `{}`), e)
		w.stock["card"] = 0
		w.punctual(bought.Add(time.Minute))
		for key := range w.reviews {
			return key
		}
		t.Fatalf("no review\n%s", w.story())
		return ""
	}
	decide := func(key string, d campaign.ReviewDecision, at time.Time) campaign.Event {
		data, err := json.Marshal(campaign.Verdict{Review: key, Decision: d, By: "owner", Reason: "a coupon"})
		if err != nil {
			t.Fatal(err)
		}
		return event("d"+at.String(), campaign.EventReviewDecided, at, string(data))
	}
	less := paid("less", "card", "99.00", bought)
	dollars := paid("usd", "card", "100.00", bought)
	dollars.Properties = []byte(strings.Replace(string(dollars.Properties), "CNY", "USD", 1))
	for name, c := range map[string]struct {
		pay, decided campaign.Event
		stock        int // left at the decision
		more         []campaign.Event
		state        campaign.OfferState
		paid         int64
		points       int64
	}{
		"too little, approved":          {less, decide(review(less), campaign.Approve, bought.Add(time.Hour)), 1, nil, campaign.OfferTaken, 9900, 190},
		"too little, rejected":          {less, decide(review(less), campaign.Reject, bought.Add(time.Hour)), 1, nil, campaign.OfferLapsed, 0, 3},
		"another currency, approved":    {dollars, decide(review(dollars), campaign.Approve, bought.Add(time.Hour)), 1, nil, campaign.OfferTaken, 0, 190},
		"sold out, approved with stock": {paid("x", "card", "100.00", bought), decide(review(paid("x", "card", "100.00", bought)), campaign.Approve, bought.Add(time.Hour)), 1, nil, campaign.OfferTaken, 10000, 190},
		"sold out, approved without":    {paid("x", "card", "100.00", bought), decide(review(paid("x", "card", "100.00", bought)), campaign.Approve, bought.Add(time.Hour)), 0, nil, campaign.OfferLapsed, 0, 3},
		"approved in the grace":         {less, decide(review(less), campaign.Approve, ends.Add(9*time.Minute)), 1, nil, campaign.OfferTaken, 9900, 190},
		"approved after the lapse":      {less, decide(review(less), campaign.Approve, ends.Add(11*time.Minute)), 1, nil, campaign.OfferLapsed, 0, 3},
		"approved twice":                {less, decide(review(less), campaign.Approve, bought.Add(time.Hour)), 9, []campaign.Event{decide(review(less), campaign.Approve, bought.Add(2*time.Hour))}, campaign.OfferTaken, 9900, 190},
		"another's review":              {less, decide("x/review/y", campaign.Approve, bought.Add(time.Hour)), 1, nil, campaign.OfferLapsed, 0, 3},
		"approved, then refunded": {
			less, decide(review(less), campaign.Approve, bought.Add(time.Hour)), 1, []campaign.Event{refund("r", "o-less", "", bought.Add(2*time.Hour))}, campaign.OfferTaken, 9900, 10,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := append([]campaign.Event{paid("trial", "trial", "9.90", noon), event("v", "visited", visit, `{}`), c.pay, c.decided}, c.more...)
			w := enter(t, p, "main", events...)
			w.stock["card"] = 0
			w.punctual(bought.Add(time.Minute))
			w.stock["card"] = c.stock
			w.punctual(noon.Add(20 * day))
			if o := w.offers[id]; o.State != c.state || o.Paid.Minor != c.paid || w.points != c.points {
				t.Errorf("%s, paid %s, %d points; want %s, %d, %d\n%s", o.State, o.Paid, w.points, c.state, c.paid, c.points, w.story())
			}
		})
	}
}

// A journey that is over hears of refunds for a year from its end on, or from the payment on
// where that came later.
func TestRefundsAreHeardForAYear(t *testing.T) {
	t.Parallel()
	source, _, _ := strings.Cut(strings.ReplaceAll(refunds, `list_price: 150, lock: 48h, `, ""), "        taken:")
	p := compile(t, source)
	visit := noon.Add(time.Hour)
	for _, late := range []time.Duration{0, 200 * day} { // after the journey's end
		bought := visit.Add(late)
		w := enter(t, p, "main", paid("trial", "trial", "9.90", noon), event("v", "visited", visit, `{}`), paid("card", "card", "100.00", bought))
		w.punctual(bought.Add(time.Hour))
		if w.done == "" || len(w.offers) != 1 || w.offers[w.state.Offer.ID].State != campaign.OfferTaken {
			t.Fatal(w.story())
		}
		if got, want := w.turn(bought.Add(2*time.Hour)).WaitUntil, bought.Add(366*day); !got.Equal(want) {
			t.Errorf("paid %s after the end: it hears until %s, want %s", late, got, want)
		}
	}
}
