package journey_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// The price is judged before anything else: what is below it comes into no team, unless a
// person approves it. Then it pays for a place from that moment on.
func TestOfferTeamPriceComesFirst(t *testing.T) {
	t.Parallel()
	p := compile(t, gearSource)
	at := noon.Add
	less := gearOrder("e-2", "o-1", "379.99", "", at(time.Hour))
	inDollars := func(amount string) campaign.Event {
		e := gearOrder("e-2", "o-1", amount, "", at(time.Hour))
		e.Properties = []byte(strings.Replace(string(e.Properties), "CNY", "USD", 1))
		return e
	}
	dollars, more := inDollars("380.00"), inDollars("600.00")
	type decision struct {
		does  campaign.ReviewDecision
		after time.Duration // after noon
	}
	for name, c := range map[string]struct {
		pays    campaign.Event
		decided []decision
		more    []campaign.Event
		stock   int // until the decision; after it there are 500
		others  time.Duration
		joins   bool // by the code of a team with two members, which ends at twelve hours after noon
		outcome string
		state   campaign.OfferState
		closed  time.Duration
		paid    int64 // minor units, that count
		refund  int64
		left    int
		seats   []string // orders
		reason  string   // for which something was refused
	}{
		"nobody decides": {pays: less, stock: 500, outcome: "lapsed", state: campaign.OfferLapsed, closed: 24 * time.Hour, left: 500},
		"rejected": {
			pays: less, decided: []decision{{campaign.Reject, 2 * time.Hour}}, stock: 500, outcome: "lapsed", state: campaign.OfferLapsed, closed: 24 * time.Hour, left: 500,
		},
		"approved, and others come": {
			pays: less, decided: []decision{{campaign.Approve, 2 * time.Hour}}, stock: 500, others: 25 * time.Hour,
			outcome: "together", state: campaign.OfferTaken, closed: 25 * time.Hour, paid: 37999, left: 499, seats: []string{"o-1"},
		},
		"approved, and nobody comes: a team's time begins with the decision": {
			pays: less, decided: []decision{{campaign.Approve, 2 * time.Hour}}, stock: 500,
			outcome: "alone", state: campaign.OfferLapsed, closed: 26 * time.Hour, refund: 37999, left: 500, seats: []string{"o-1"},
		},
		"approved as the last of a team": {
			pays: gearOrder("e-2", "o-1", "379.99", teamCode, at(time.Hour)), decided: []decision{{campaign.Approve, 2 * time.Hour}}, stock: 500, joins: true,
			outcome: "together", state: campaign.OfferTaken, closed: 2 * time.Hour, paid: 37999, left: 499, seats: []string{"o-1"},
		},
		"approved after that team's end": {
			pays: gearOrder("e-2", "o-1", "379.99", teamCode, at(time.Hour)), decided: []decision{{campaign.Approve, 13 * time.Hour}}, stock: 500, joins: true,
			outcome: "alone", state: campaign.OfferLapsed, closed: 37 * time.Hour, refund: 37999, left: 500, seats: []string{"o-1"}, reason: campaign.TeamEnded,
		},
		"approved in that team's grace, which is for orders that were right in time": {
			pays: gearOrder("e-2", "o-1", "379.99", teamCode, at(time.Hour)), decided: []decision{{campaign.Approve, 12*time.Hour + 5*time.Minute}}, stock: 500, joins: true,
			outcome: "alone", state: campaign.OfferLapsed, closed: 36*time.Hour + 5*time.Minute, refund: 37999, left: 500, seats: []string{"o-1"}, reason: campaign.TeamEnded,
		},
		"approved after the lock": {
			pays: less, decided: []decision{{campaign.Approve, 25 * time.Hour}}, stock: 500, outcome: "lapsed", state: campaign.OfferLapsed, closed: 24 * time.Hour, left: 500,
		},
		"approved twice": {
			pays: less, decided: []decision{{campaign.Approve, 2 * time.Hour}, {campaign.Approve, 3 * time.Hour}}, stock: 500, others: 5 * time.Hour,
			outcome: "together", state: campaign.OfferTaken, closed: 5 * time.Hour, paid: 37999, left: 499, seats: []string{"o-1"},
		},
		"another currency, approved": {
			pays: dollars, decided: []decision{{campaign.Approve, 2 * time.Hour}}, stock: 500, others: 5 * time.Hour,
			outcome: "together", state: campaign.OfferTaken, closed: 5 * time.Hour, left: 499, seats: []string{"o-1"},
		},
		"more than the list price in another currency, approved": {
			pays: more, decided: []decision{{campaign.Approve, 2 * time.Hour}}, stock: 500, others: 5 * time.Hour,
			outcome: "together", state: campaign.OfferTaken, closed: 5 * time.Hour, left: 499, seats: []string{"o-1"},
		},
		"sold out, and approved when there is stock": {
			pays: gearOrder("e-2", "o-1", "380.00", "", at(time.Hour)), decided: []decision{{campaign.Approve, 2 * time.Hour}}, others: 5 * time.Hour,
			outcome: "together", state: campaign.OfferTaken, closed: 5 * time.Hour, paid: 38000, left: 499, seats: []string{"o-1"}, reason: campaign.RefusedStock,
		},
		"approved when she waits with another order already": {
			pays: less, decided: []decision{{campaign.Approve, 3 * time.Hour}}, more: []campaign.Event{gearOrder("e-3", "o-2", "380.00", "", at(2*time.Hour))}, stock: 500, others: 5 * time.Hour,
			outcome: "together", state: campaign.OfferTaken, closed: 5 * time.Hour, paid: 38000, left: 499, seats: []string{"o-2"}, reason: campaign.TeamOrdered,
		},
		"approved when the shop has paid her back": {
			pays: less, decided: []decision{{campaign.Approve, 3 * time.Hour}}, more: []campaign.Event{refunded("e-3", "o-1", at(2*time.Hour))}, stock: 500,
			outcome: "lapsed", state: campaign.OfferLapsed, closed: 24 * time.Hour, left: 500, reason: campaign.RefusedRefunded,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := enter(t, p, "main", append([]campaign.Event{event("e-1", "go", noon, "{}"), c.pays}, c.more...)...)
			w.market = newMarket(c.stock)
			if c.joins {
				w.market.teams[teamCode] = &buyers{offer: "gear", Team: campaign.Team{
					Code: teamCode, State: campaign.TeamOpen, Size: 3, EndsAt: at(12 * time.Hour), ClosesAt: at(12*time.Hour + 10*time.Minute),
				}}
				w.market.others(teamCode, 2, noon)
			}
			w.run(at(90 * time.Minute))
			if len(w.market.seats) != 0 || len(w.reviews) != 1 {
				t.Fatalf("before anybody decides: places %v, reviews %v\n%s", w.market.seats, w.reviews, w.story())
			}
			w.market.left = 500
			for _, d := range c.decided {
				w.store(verdictEvent(gearReview(w, "e-2"), d.does, "owner", at(d.after)))
			}
			if c.others > 0 {
				w.run(at(c.others - time.Minute))
				own := w.state.Team.Code
				w.market.others(own, 2, at(c.others))
				w.store(news(own, at(c.others), at(c.others)))
			}
			w.punctual(at(80 * time.Hour))
			if o := w.offers[journeyOffer(w)]; w.done != c.outcome || o.State != c.state || !o.ClosedAt.Equal(at(c.closed)) || o.Paid.Minor != c.paid {
				t.Errorf("ended as %q, the offer %s since %s for %s\n%s", w.done, o.State, o.ClosedAt, o.Paid, w.story())
			}
			var seats []string
			for order := range w.market.seats {
				seats = append(seats, order)
			}
			if !slices.Equal(seats, c.seats) || w.market.left != c.left || len(w.market.sizes) > 0 {
				t.Errorf("places of %v, %d left, %v\n%s", seats, w.market.left, w.market.sizes, w.story())
			}
			if asked := len(w.refunds); asked > 1 || (asked == 1) != (c.refund > 0) || asked == 1 && w.refunds[0].Amount.Minor != c.refund {
				t.Errorf("it asks for %+v", w.refunds)
			}
			if c.reason != "" && !has(w, campaign.TraceOfferRefused, "reason", c.reason) && !has(w, campaign.TraceTeamNotJoined, "reason", c.reason) {
				t.Errorf("nothing was refused because of %s\n%s", c.reason, w.story())
			}
		})
	}
}

// An order that was reserved at the till pays for a place after the lock's end, with the piece
// that is held for it.
func TestOfferTeamAtTheTill(t *testing.T) {
	t.Parallel()
	p := compile(t, gearSource)
	at := noon.Add
	late := 24*time.Hour + 5*time.Minute
	w := enter(t, p, "main", event("e-1", "go", noon, "{}"), gearOrder("e-2", "o-other", "380.00", "", at(late)), gearOrder("e-3", "o-till", "380.00", "", at(late)))
	w.market = newMarket(1)
	made := at(24*time.Hour - 2*time.Minute)
	w.store(reserve("r", journeyOffer(w), "o-till", made, made.Add(campaign.ReservationSpan), false))
	w.run(at(late))
	if !slices.Equal(w.market.held, []string{"o-till"}) || w.state.Offer.Order != "o-till" || w.market.left != 0 || !w.state.Team.EndsAt.Equal(at(late+24*time.Hour)) {
		t.Fatalf("held for %v, the team is %+v\n%s", w.market.held, w.state.Team, w.story())
	}
	w.punctual(at(80 * time.Hour))
	if w.done != "alone" || w.market.left != 1 || len(w.refunds) != 1 {
		t.Errorf("ended as %q, %d left, refunds %+v\n%s", w.done, w.market.left, w.refunds, w.story())
	}
}

// What an order leads to besides the offer goes back with it.
const grantingGear = `
campaign: shop
title: shop
events:
  order.paid: {order: string, offer: string, amount: money, team: string}
  order.refunded: {order: string, amount: money, refund: string}
  order.charged_back: {order: string}
offers:
  gear: {price: 380, list_price: 520, team: {size: 3, within: 24h}, stock: 500, per_member: 1, on_refund: restock}
rewards:
  hello: {points: 5}
  bought: {points: 20}
  sorry: {points: 7}
journeys:
  main:
    start: {on: order.paid}
    goal: {on: order.paid, when: 'event.offer == "gear"'}
    on_goal: continue
    steps:
      - grant: hello
      - offer: gear
        taken:
          - grant: bought
          - end: together
        failed:
          - grant: sorry
          - end: alone
        lapsed:
          - grant: sorry
          - end: lapsed
`

// A refund means one thing, whether the shop was asked for it or not, before the team is
// complete or after, and however often it is told: of each thing that the order led to as
// much goes back as of the order, once.
func TestRefundsOfBuyers(t *testing.T) {
	t.Parallel()
	p := compile(t, grantingGear)
	at := noon.Add
	hours := func(n int) time.Time { return at(time.Duration(n) * time.Hour) }
	hello, all := "5 of 5 of hello by order o-1 back", "20 of 20 of bought by order o-1 back"
	for name, c := range map[string]struct {
		refunds []campaign.Event
		others  int // hours after noon; 0: nobody comes
		unheard bool
		outcome string
		asked   int64 // minor units
		told    int
		left    int
		books   []string
	}{
		"the team fails, and nothing is told": {outcome: "alone", asked: 38000, left: 500, books: []string{"points 12"}},
		"the team fails, and the shop tells twice": {
			refunds: []campaign.Event{refunded("b-1", "o-1", hours(30)), refunded("b-2", "o-1", hours(31))},
			outcome: "alone", asked: 38000, told: 1, left: 500, books: []string{"points 7", hello},
		},
		"the team fails, and the shop pays in parts": {
			refunds: []campaign.Event{refund("b-1", "o-1", "100.00", hours(30)), refund("b-2", "o-1", "280.00", hours(31)), refund("b-3", "o-1", "280.00", hours(32))},
			outcome: "alone", asked: 38000, told: 1, left: 500, books: []string{"points 7", hello},
		},
		"the team fails, and the shop pays a part": {
			refunds: []campaign.Event{refund("b-1", "o-1", "200.00", hours(30))},
			outcome: "alone", asked: 38000, left: 500, books: []string{"points 10", "2 of 5 of hello by order o-1 back"},
		},
		"the team fails, and the bank takes the money": {
			refunds: []campaign.Event{event("b-1", campaign.EventOrderChargedBack, hours(30), `{"order":"o-1"}`)},
			outcome: "alone", asked: 38000, told: 1, left: 500, books: []string{"points 7", hello},
		},
		"a part goes back, she stays in her team, and it fails": {
			refunds: []campaign.Event{refund("b-1", "o-1", "100.00", hours(2)), refund("b-2", "o-1", "280.00", hours(30))},
			outcome: "alone", asked: 28000, told: 1, left: 500, books: []string{"points 7", hello},
		},
		"a part goes back, and the team is complete": {
			refunds: []campaign.Event{refund("b-1", "o-1", "190.00", hours(2))}, others: 3,
			outcome: "together", left: 499, books: []string{"points 13", "2 of 5 of hello by order o-1 back", "10 of 20 of bought by order o-1 back", "goal back 19000, whole false"},
		},
		"parts go back until it is all, before the team is complete": {
			refunds: []campaign.Event{refund("b-1", "o-1", "100.00", hours(2)), refund("b-2", "o-1", "280.00", hours(3))},
			outcome: "lapsed", left: 500, books: []string{"points 7", hello},
		},
		"the bank takes the money before the team is complete": {
			refunds: []campaign.Event{event("b-1", campaign.EventOrderChargedBack, hours(2), `{"order":"o-1"}`)},
			outcome: "lapsed", left: 500, books: []string{"points 7", hello},
		},
		"all of it goes back after the team was complete": {
			refunds: []campaign.Event{refunded("b-1", "o-1", hours(5)), refunded("b-2", "o-1", hours(6))}, others: 3,
			outcome: "together", left: 500, books: []string{"points 0", hello, all, "goal back 38000, whole true", "offer gear back, restock true"},
		},
		"and the news of the team is on its way": {
			refunds: []campaign.Event{refunded("b-1", "o-1", hours(5))}, others: 3, unheard: true,
			outcome: "together", left: 500, books: []string{"points 0", hello, all, "goal back 38000, whole true", "offer gear back, restock true"},
		},
		"another currency": {
			refunds: []campaign.Event{event("b-1", campaign.EventOrderRefunded, hours(2), `{"order":"o-1","amount":{"amount":"380.00","currency":"USD"}}`)},
			outcome: "alone", asked: 38000, left: 500, books: []string{"points 12"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := enter(t, p, "main", append([]campaign.Event{gearOrder("e-1", "o-1", "380.00", "", noon)}, c.refunds...)...)
			w.market = newMarket(500)
			if c.others > 0 {
				w.run(hours(c.others).Add(-time.Minute))
				own := w.state.Team.Code
				w.market.others(own, 2, hours(c.others))
				if !c.unheard {
					w.store(news(own, hours(c.others), hours(c.others)))
				}
			}
			w.punctual(hours(80))
			got := w.books()
			slices.Sort(got)
			slices.Sort(c.books)
			if w.done != c.outcome || !slices.Equal(got, c.books) || w.market.left != c.left {
				t.Errorf("ended as %q with %q, %d left; want %q, %q, %d\n%s", w.done, got, w.market.left, c.outcome, c.books, c.left, w.story())
			}
			var asked int64
			for _, r := range w.refunds {
				asked += r.Amount.Minor
			}
			if asked != c.asked || len(w.refunds) > 1 || len(w.told) != c.told || c.told == 1 && w.told[0].Key != w.refunds[0].Key {
				t.Errorf("asked for %+v, and heard of %+v\n%s", w.refunds, w.told, w.story())
			}
		})
	}
}

// A refund that overtakes its payment: an order that has gone back pays for no place.
func TestAnOrderThatWentBackJoinsNoTeam(t *testing.T) {
	t.Parallel()
	p := compile(t, gearSource)
	order := gearOrder("e-2", "o-1", "380.00", "", noon.Add(time.Hour))
	order.Stored = order.Stored.Add(5 * time.Minute)
	w := enter(t, p, "main", event("e-1", "go", noon, "{}"), order, refunded("e-3", "o-1", noon.Add(time.Hour+time.Minute)))
	w.market = newMarket(500)
	w.punctual(noon.Add(80 * time.Hour))
	if w.done != "lapsed" || w.goal != nil || len(w.market.seats) != 0 || len(w.refunds) != 0 || len(w.reviews) != 0 || !has(w, campaign.TraceOfferRefused, "reason", campaign.RefusedRefunded) {
		t.Errorf("ended as %q, places %v, refunds %v, reviews %v\n%s", w.done, w.market.seats, w.refunds, w.reviews, w.story())
	}
}

// A journey that is over is woken for the refund that it has asked for, which counts once. It
// goes on hearing of orders, because one of before its end may still be its goal.
func TestAJourneyThatIsOverHearsOfTheRefundItAskedFor(t *testing.T) {
	t.Parallel()
	p := compile(t, gearSource)
	w := enter(t, p, "main", event("e-1", "go", noon, "{}"), gearOrder("e-2", "o-1", "380.00", "", noon.Add(time.Hour)))
	w.market = newMarket(500)
	w.punctual(noon.Add(40 * time.Hour))
	if w.done != "alone" || !slices.Contains(w.listens, campaign.EventOrderRefunded) {
		t.Fatalf("ended as %q, it listens to %v\n%s", w.done, w.listens, w.story())
	}
	w.store(refunded("e-3", "o-1", noon.Add(50*time.Hour)))
	w.store(refunded("e-4", "o-1", noon.Add(51*time.Hour)))
	w.punctual(noon.Add(60 * time.Hour))
	if len(w.told) != 1 {
		t.Errorf("told %v, it listens to %v\n%s", w.told, w.listens, w.story())
	}
}
