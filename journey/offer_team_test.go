package journey_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

// market keeps the truth about teams of buyers and their stock, as the store does.
type market struct {
	left  int // pieces of stock
	teams map[string]*buyers
	seats map[string]string // by order: the code of its team
	held  []string          // orders whose piece was held for them
	sizes []string          // what is wrong, should it ever be
}

type buyers struct {
	campaign.Team
	offer string
	in    []string // members, the leader first
}

func newMarket(stock int) *market {
	return &market{left: stock, teams: map[string]*buyers{}, seats: map[string]string{}}
}

func (k *market) back(string) { k.left++ }

func (k *market) answer(w *world, ask *campaign.Ask) campaign.Answer {
	a, who := ask.Team, w.member.ID
	if a.Do == campaign.TeamJoin {
		return k.join(w, ask)
	}
	t := k.teams[a.Code]
	open := t.State == campaign.TeamOpen
	switch {
	case !open || a.Do == campaign.TeamLook:
	case a.Do == campaign.TeamClose:
		t.State, t.ClosedAt = campaign.TeamFailed, t.EndsAt
	case a.Do == campaign.TeamLeave:
		t.in = slices.DeleteFunc(t.in, func(m string) bool { return m == who })
		if t.Joined--; t.Joined == 0 {
			t.State, t.ClosedAt = campaign.TeamWithdrawn, w.now
		}
	}
	return k.say(t, who, open, "")
}

func (k *market) join(w *world, ask *campaign.Ask) campaign.Answer {
	a, who := ask.Team, w.member.ID
	if _, had := k.seats[a.Buy.Order]; had {
		return campaign.Answer{Reason: campaign.TeamOrderTwice}
	}
	if a.Buy.Stock > 0 {
		if k.left == 0 {
			return campaign.Answer{Reason: campaign.RefusedStock}
		}
		k.left--
	}
	if a.Buy.ID != "" {
		k.held = append(k.held, a.Buy.Order)
	}
	t, reason := k.teams[a.Code], ""
	switch {
	case a.Code == "":
	case t == nil:
		reason = campaign.TeamUnknown
	case t.offer != a.Buy.Offer:
		reason = campaign.TeamElsewhere
	case t.State == campaign.TeamFormed:
		reason = campaign.TeamFull
	case t.State != campaign.TeamOpen || w.now.After(t.Closes()) || a.Buy.Paid.After(t.EndsAt):
		reason = campaign.TeamEnded
	case slices.Contains(t.in, who):
		reason = campaign.TeamTwice
	default:
		k.seats[a.Buy.Order] = t.Code
		t.in = append(t.in, who)
		if t.Joined++; t.Joined == t.Size {
			t.State, t.ClosedAt = campaign.TeamFormed, earlier(w.now, t.EndsAt)
		}
		return k.say(t, who, true, "")
	}
	code := campaign.TeamCode([]byte(ask.Key))
	t = &buyers{offer: a.Buy.Offer, in: []string{who}, Team: campaign.Team{
		Code: code, State: campaign.TeamOpen, Size: a.Size, Joined: 1, EndsAt: a.EndsAt, ClosesAt: a.EndsAt.Add(a.Buy.Grace),
	}}
	k.teams[code], k.seats[a.Buy.Order] = t, code
	return k.say(t, who, true, reason)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (k *market) say(t *buyers, who string, ok bool, reason string) campaign.Answer {
	if t.Joined != len(t.in) || t.Joined > t.Size || (t.State == campaign.TeamFormed) != (t.Joined == t.Size) {
		k.sizes = append(k.sizes, fmt.Sprintf("%+v has %v in it", t.Team, t.in))
	}
	team := t.Team
	team.Leader = len(t.in) > 0 && t.in[0] == who
	return campaign.Answer{OK: ok, Reason: reason, Team: &team}
}

// others lets so many members come into a team.
func (k *market) others(code string, n int, now time.Time) {
	t := k.teams[code]
	for i := range n {
		t.in = append(t.in, fmt.Sprintf("other-%d", i))
	}
	if t.Joined += n; t.Joined == t.Size {
		t.State, t.ClosedAt = campaign.TeamFormed, now
	}
}

const gearSource = `
campaign: shop
title: shop
events:
  go: {}
  a: {}
  left: {}
  order.paid: {order: string, offer: string, amount: money, team: string}
  order.refunded: {order: string}
messages:
  offer: "{{ yuan(offer.price) }} {{ local(offer.expires_at) }}"
  ends: "ends"
  open: "{{ team.code }} {{ team.joined }}/{{ team.size }} {{ local(team.ends_at) }} {{ team.leader }} {{ event.id }}"
  missing: "{{ team.missing }}"
  formed: "{{ team.size }} {{ event.id }} {{ offer.name }}"
  failed: "{{ team.joined }}/{{ team.size }}"
offers:
  gear: {price: 380, list_price: 520, team: {size: 3, within: 24h}, stock: 500, per_member: 1}
journeys:
  main:
    start: {on: go}
    exit: {on: left}
    goal: {on: order.paid, when: 'event.offer == "gear"'}
    on_goal: continue
    steps:
      - offer: gear
        announce: offer
        remind: {before: 2h, send: ends}
        team: {announce: open, remind: {before: 2h, send: missing}}
        taken:
          - send: formed
          - end: together
        failed:
          - send: failed
          - end: alone
        lapsed:
          - end: lapsed
`

func gearOrder(id, order, amount, team string, at time.Time) campaign.Event {
	return event(id, "order.paid", at, fmt.Sprintf(`{"order":%q,"offer":"gear","amount":{"amount":%q,"currency":"CNY"},"team":%q}`, order, amount, team))
}

// gearReview is the key of the review about the payment of an event.
func gearReview(w *world, event string) string {
	return w.id.EffectKey(1, "1", 1, "") + "/review/" + event
}

func refunded(id, order string, at time.Time) campaign.Event {
	return event(id, campaign.EventOrderRefunded, at, fmt.Sprintf(`{"order":%q}`, order))
}

// gearCode is the code of the team that the order of an event opens at the journey's first step.
func gearCode(w *world, event string) string {
	return campaign.TeamCode([]byte(w.id.EffectKey(1, "1", 1, "") + "/team/" + event))
}

func TestOfferTeam(t *testing.T) {
	t.Parallel()
	p, endsOnGoal := compile(t, gearSource), compile(t, strings.Replace(gearSource, "on_goal: continue", "", 1))
	another := compile(t, strings.Replace(gearSource, `goal: {on: order.paid, when: 'event.offer == "gear"'}
    on_goal: continue`, "goal: {on: a}", 1))
	at := noon.Add
	late := func(e campaign.Event, by time.Duration) campaign.Event {
		e.Stored = e.Stored.Add(by)
		return e
	}
	mine := func(id string, d time.Duration) campaign.Event { return gearOrder(id, "o-1", "380.00", "", at(d)) }
	for name, c := range map[string]struct {
		p        *journey.Program
		events   []campaign.Event
		joins    string        // the code of a team with a member in it
		have     int           // members of that team
		others   int           // who come into her own team
		when     time.Duration // after noon
		unheard  bool          // the news of it is lost
		stock    int           // 0: 500
		outcome  string
		offer    campaign.OfferState
		closed   time.Duration
		refund   campaign.RefundReason
		goal     bool
		messages string
		reviews  []campaign.ReviewKind
		left     int // of the stock, besides what others took
	}{
		"nobody orders": {outcome: "lapsed", offer: campaign.OfferLapsed, closed: 24 * time.Hour, messages: "offer ends", left: 500},
		"opens a team, and it is complete": {
			events: []campaign.Event{mine("e-2", time.Hour)}, others: 2, when: 3 * time.Hour,
			outcome: "together", offer: campaign.OfferTaken, closed: 3 * time.Hour, goal: true, messages: "offer open formed", left: 499,
		},
		"complete, and the news is lost": {
			events: []campaign.Event{mine("e-2", time.Hour)}, others: 2, when: 3 * time.Hour, unheard: true,
			outcome: "together", offer: campaign.OfferTaken, closed: 3 * time.Hour, goal: true, messages: "offer open formed", left: 499,
		},
		"nobody else comes": {
			events: []campaign.Event{mine("e-2", time.Hour)}, outcome: "alone", offer: campaign.OfferLapsed, closed: 25 * time.Hour,
			refund: campaign.RefundTeamFailed, messages: "offer open missing failed", left: 500,
		},
		"too few come": {
			events: []campaign.Event{mine("e-2", time.Hour)}, others: 1, when: 2 * time.Hour, outcome: "alone", offer: campaign.OfferLapsed, closed: 25 * time.Hour,
			refund: campaign.RefundTeamFailed, messages: "offer open missing failed", left: 500,
		},
		"joins as the last": {
			events: []campaign.Event{gearOrder("e-2", "o-1", "380.00", "cdfgh-jkmnp", at(time.Hour))}, joins: teamCode, have: 2,
			outcome: "together", offer: campaign.OfferTaken, closed: time.Hour, goal: true, messages: "offer formed", left: 499,
		},
		"joins one that is full, and opens her own": {
			events: []campaign.Event{gearOrder("e-2", "o-1", "380.00", teamCode, at(time.Hour))}, joins: teamCode, have: 3,
			outcome: "alone", offer: campaign.OfferLapsed, closed: 25 * time.Hour, refund: campaign.RefundTeamFailed, messages: "offer open missing failed", left: 500,
		},
		"an order paid in time and told within the grace joins": {
			events: []campaign.Event{late(gearOrder("e-2", "o-1", "380.00", teamCode, at(12*time.Hour)), 9*time.Minute)}, joins: teamCode, have: 2,
			outcome: "together", offer: campaign.OfferTaken, closed: 12 * time.Hour, goal: true, messages: "offer formed", left: 499,
		},
		"an order paid after the team's end opens another": {
			events: []campaign.Event{gearOrder("e-2", "o-1", "380.00", teamCode, at(12*time.Hour+time.Minute))}, joins: teamCode, have: 2,
			outcome: "alone", offer: campaign.OfferLapsed, closed: 36*time.Hour + time.Minute, refund: campaign.RefundTeamFailed, messages: "offer open missing failed", left: 500,
		},
		"sold out": {
			events: []campaign.Event{mine("e-2", time.Hour)}, stock: -1, outcome: "lapsed", offer: campaign.OfferLapsed, closed: 24 * time.Hour, goal: true,
			messages: "offer ends", reviews: []campaign.ReviewKind{campaign.ReviewSoldOut},
		},
		"paid too little": {
			events: []campaign.Event{gearOrder("e-2", "o-1", "379.99", "", at(time.Hour))}, outcome: "lapsed", offer: campaign.OfferLapsed, closed: 24 * time.Hour, goal: true,
			messages: "offer ends", reviews: []campaign.ReviewKind{campaign.ReviewUnderpaid}, left: 500,
		},
		"says not which order it is": {
			events: []campaign.Event{gearOrder("e-2", "", "380.00", "", at(time.Hour))}, outcome: "lapsed", offer: campaign.OfferLapsed, closed: 24 * time.Hour, goal: true,
			messages: "offer ends", reviews: []campaign.ReviewKind{campaign.ReviewSoldOut}, left: 500,
		},
		"pays the list price, and buys alone": {
			events: []campaign.Event{gearOrder("e-2", "o-1", "520.00", "", at(time.Hour))}, outcome: "together", offer: campaign.OfferTaken, closed: time.Hour, goal: true,
			messages: "offer formed", left: 499,
		},
		"orders twice": {
			events: []campaign.Event{mine("e-2", time.Hour), gearOrder("e-3", "o-2", "380.00", "", at(2*time.Hour))}, others: 2, when: 3 * time.Hour,
			outcome: "together", offer: campaign.OfferTaken, closed: 3 * time.Hour, goal: true, messages: "offer open formed",
			reviews: []campaign.ReviewKind{campaign.ReviewSoldOut}, left: 499,
		},
		"the shop tells of the order twice": {
			events: []campaign.Event{mine("e-2", time.Hour), mine("e-3", 2*time.Hour)}, others: 2, when: 3 * time.Hour,
			outcome: "together", offer: campaign.OfferTaken, closed: 3 * time.Hour, goal: true, messages: "offer open formed", left: 499,
		},
		"the shop pays her back before the team is complete": {
			events: []campaign.Event{mine("e-2", time.Hour), refunded("e-3", "o-1", at(2*time.Hour))}, outcome: "lapsed", offer: campaign.OfferLapsed,
			closed: 24 * time.Hour, messages: "offer open", left: 500,
		},
		"is paid back, and the shop tells of the same order again": {
			events:  []campaign.Event{mine("e-2", time.Hour), refunded("e-3", "o-1", at(2*time.Hour)), mine("e-4", 3*time.Hour)},
			outcome: "lapsed", offer: campaign.OfferLapsed, closed: 24 * time.Hour, messages: "offer open", left: 500,
		},
		"the shop tells of the order twice, and nobody comes": {
			events: []campaign.Event{mine("e-2", time.Hour), mine("e-3", 2*time.Hour)}, outcome: "alone", offer: campaign.OfferLapsed, closed: 25 * time.Hour,
			refund: campaign.RefundTeamFailed, messages: "offer open missing failed", left: 500,
		},
		"is paid back, and orders anew": {
			events: []campaign.Event{mine("e-2", time.Hour), refunded("e-3", "o-1", at(2*time.Hour)), gearOrder("e-4", "o-2", "380.00", teamCode, at(3*time.Hour))}, joins: teamCode, have: 2,
			outcome: "together", offer: campaign.OfferTaken, closed: 3 * time.Hour, goal: true, messages: "offer open formed", left: 499,
		},
		"is paid back after the lock": {
			events: []campaign.Event{mine("e-2", 23*time.Hour), refunded("e-3", "o-1", at(30*time.Hour))}, outcome: "lapsed", offer: campaign.OfferLapsed,
			closed: 24 * time.Hour, messages: "offer ends open", left: 500,
		},
		"is paid back when the team is complete": {
			events: []campaign.Event{mine("e-2", time.Hour), refunded("e-3", "o-1", at(4*time.Hour))}, others: 2, when: 3 * time.Hour, unheard: true,
			outcome: "together", offer: campaign.OfferTaken, closed: 3 * time.Hour, goal: true, messages: "offer open formed", left: 499,
		},
		"leaves the journey": {
			events: []campaign.Event{mine("e-2", time.Hour), event("e-3", "left", at(2*time.Hour), "{}")}, outcome: "exited", offer: campaign.OfferWithdrawn,
			closed: 2 * time.Hour, refund: campaign.RefundLeft, messages: "offer open", left: 500,
		},
		"leaves when the team is complete": {
			events: []campaign.Event{mine("e-2", time.Hour), event("e-3", "left", at(4*time.Hour), "{}")}, others: 2, when: 3 * time.Hour, unheard: true,
			outcome: "exited", offer: campaign.OfferTaken, closed: 3 * time.Hour, goal: true, messages: "offer open", left: 499,
		},
		"the goal ends the journey when the team is complete": {
			p: endsOnGoal, events: []campaign.Event{mine("e-2", time.Hour)}, others: 2, when: 3 * time.Hour,
			outcome: "converted", offer: campaign.OfferTaken, closed: 3 * time.Hour, goal: true, messages: "offer open", left: 499,
		},
		"another goal waits for the team": {
			p: another, events: []campaign.Event{mine("e-2", time.Hour), event("e-3", "a", at(2*time.Hour), "{}")}, others: 2, when: 3 * time.Hour,
			outcome: "converted", offer: campaign.OfferTaken, closed: 3 * time.Hour, goal: true, messages: "offer open", left: 499,
		},
		"another goal, and the team fails": {
			p: another, events: []campaign.Event{mine("e-2", time.Hour), event("e-3", "a", at(2*time.Hour), "{}")},
			outcome: "converted", offer: campaign.OfferLapsed, closed: 25 * time.Hour, goal: true, refund: campaign.RefundTeamFailed, messages: "offer open missing", left: 500,
		},
		"another goal, and the shop pays her back": {
			p: another, events: []campaign.Event{mine("e-2", time.Hour), event("e-3", "a", at(2*time.Hour), "{}"), refunded("e-4", "o-1", at(3*time.Hour))},
			outcome: "converted", offer: campaign.OfferWithdrawn, closed: 3 * time.Hour, goal: true, messages: "offer open", left: 500,
		},
		"and not when it fails": {
			p: endsOnGoal, events: []campaign.Event{mine("e-2", time.Hour)}, outcome: "alone", offer: campaign.OfferLapsed, closed: 25 * time.Hour,
			refund: campaign.RefundTeamFailed, messages: "offer open missing failed", left: 500,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := p
			if c.p != nil {
				program = c.p
			}
			stock := 500
			if c.stock != 0 {
				stock = max(0, c.stock)
			}
			w := enter(t, program, "main", append([]campaign.Event{event("e-1", "go", noon, "{}")}, c.events...)...)
			w.market = newMarket(stock)
			if c.joins != "" {
				team := &buyers{offer: "gear", Team: campaign.Team{
					Code: teamCode, State: campaign.TeamOpen, Size: 3, EndsAt: at(12 * time.Hour), ClosesAt: at(12*time.Hour + 10*time.Minute),
				}}
				w.market.teams[teamCode] = team
				w.market.others(teamCode, c.have, noon)
			}
			if c.others > 0 {
				w.run(at(c.when - time.Minute))
				own := gearCode(w, "e-2")
				w.market.others(own, c.others, at(c.when))
				if w.market.teams[own].State == campaign.TeamFormed && !c.unheard {
					w.store(news(own, at(c.when), at(c.when)))
				}
			}
			w.punctual(noon.Add(80 * time.Hour))
			if w.done != c.outcome || w.messages() != c.messages {
				t.Errorf("ended as %q with messages %q, want %q and %q\n%s", w.done, w.messages(), c.outcome, c.messages, w.story())
			}
			for _, o := range w.offers {
				if o.State != c.offer || !o.ClosedAt.Equal(at(c.closed)) {
					t.Errorf("the offer is %s since %s, want %s since %s\n%s", o.State, o.ClosedAt, c.offer, at(c.closed), w.story())
				}
			}
			var why campaign.RefundReason
			for _, r := range w.refunds {
				if why = r.Reason; r.Amount.Minor != 38000 || r.Order != "o-1" || !strings.HasSuffix(r.Key, "/team/e-2/refund") || r.Team != gearCode(w, "e-2") {
					t.Errorf("it asks for %+v", r)
				}
			}
			if len(w.refunds) > 1 || why != c.refund {
				t.Errorf("refunds: %+v, want %q", w.refunds, c.refund)
			}
			if (w.goal != nil) != c.goal {
				t.Errorf("goal: %+v, want %v\n%s", w.goal, c.goal, w.story())
			}
			var kinds []campaign.ReviewKind
			for _, r := range w.reviews {
				kinds = append(kinds, r.Kind)
			}
			if !slices.Equal(kinds, c.reviews) {
				t.Errorf("reviews: %v, want %v", kinds, c.reviews)
			}
			if w.market.left != c.left {
				t.Errorf("%d are left, want %d\n%s", w.market.left, c.left, w.story())
			}
			if len(w.market.sizes) > 0 {
				t.Error(w.market.sizes)
			}
		})
	}
}

// run takes turns punctually until a moment, and none after it.
func (w *world) run(until time.Time) {
	w.t.Helper()
	now := w.events[0].Stored
	for range 10_000 {
		w.turn(now)
		next := until.Add(1)
		for _, e := range w.events {
			if e.Stored.After(now) && e.Stored.Before(next) {
				next = e.Stored
			}
		}
		if !w.due.IsZero() && w.due.After(now) && w.due.Before(next) {
			next = w.due
		}
		if next.After(until) {
			return
		}
		now = next
	}
	w.t.Fatal("the journey does not come to rest")
}

// Who is held out is in no team: her order takes the offer as it would without a campaign,
// and nobody is asked to pay it back.
func TestOfferTeamHeldOut(t *testing.T) {
	t.Parallel()
	p := compile(t, gearSource)
	w := enter(t, p, "main", event("e-1", "go", noon, "{}"), gearOrder("e-2", "o-1", "380.00", "", noon.Add(time.Hour)))
	w.state.Holdout = true
	w.market = newMarket(1)
	w.punctual(noon.Add(50 * time.Hour))
	if w.done != "together" || len(w.refunds) != 0 || len(w.sends) != 0 || w.market.left != 1 || len(w.market.teams) != 0 {
		t.Errorf("ended as %q, refunds %v, sends %v, teams %v\n%s", w.done, w.refunds, w.sends, w.market.teams, w.story())
	}
}

// A friend orders by the code that another shared: the order lets her into the journey and
// pays for her place as well.
func TestOfferTeamByTheOrderThatStarts(t *testing.T) {
	t.Parallel()
	p := compile(t, strings.Replace(gearSource, "start: {on: go}", "start: {on: order.paid}", 1))
	w := enter(t, p, "main", gearOrder("e-1", "o-1", "380.00", teamCode, noon))
	w.market = newMarket(500)
	w.market.teams[teamCode] = &buyers{offer: "gear", Team: campaign.Team{Code: teamCode, State: campaign.TeamOpen, Size: 3, EndsAt: noon.Add(time.Hour)}}
	w.market.others(teamCode, 2, noon)
	w.turn(noon.Add(40 * time.Minute)) // the engine was away for longer than the grace
	w.punctual(noon.Add(50 * time.Hour))
	if w.goal == nil || w.done != "together" || w.offers[journeyOffer(w)].State != campaign.OfferTaken || w.market.left != 499 {
		t.Errorf("ended as %q\n%s", w.done, w.story())
	}
}

func journeyOffer(w *world) string { return campaign.OfferID(w.id.EffectKey(1, "1", 1, "")) }

// Whatever members do, and however late or often their journeys look: every team has its
// size, nobody gets the offer without a complete team, everybody else who has paid is paid
// back once under one key, and the stock is what was not sold.
func TestOfferTeamProperty(t *testing.T) {
	t.Parallel()
	p := compile(t, gearSource)
	rapid.Check(t, func(rt *rapid.T) {
		const members = 7
		stock := rapid.IntRange(0, members+1).Draw(rt, "stock")
		k := newMarket(stock)
		worlds := make([]*world, members)
		var heard []string         // codes of teams that there may be
		short := map[string]bool{} // orders that pay too little: whether a person approves
		for i := range worlds {
			id := fmt.Sprintf("m-%d", i)
			w := &world{
				t: t, p: p, member: campaign.Member{ID: id, JoinedAt: noon.Add(-time.Hour)}, market: k,
				stock: map[string]int{}, budget: map[string]int64{}, offers: map[string]campaign.OfferEffect{}, reviews: map[string]campaign.Review{},
			}
			from := noon.Add(time.Duration(rapid.IntRange(0, 300).Draw(rt, "from")) * time.Minute)
			w.store(event(id+"-go", "go", from, "{}"))
			adm, why, err := p.Admit(p.StartsOn("go")[0], journey.Entrant{Campaign: "shop", Member: &w.member, Event: &w.events[0], Now: from})
			if err != nil || why != "" {
				rt.Fatalf("not admitted: %q %v", why, err)
			}
			w.id, w.state = adm.ID, adm.State
			for n := range rapid.IntRange(0, 2).Draw(rt, "orders") {
				at := from.Add(time.Duration(rapid.IntRange(1, 1500).Draw(rt, "ordered")) * time.Minute)
				code := rapid.SampledFrom(append([]string{""}, heard...)).Draw(rt, "code")
				order, amount := fmt.Sprintf("order-%s-%d", id, n), rapid.SampledFrom([]string{"380.00", "380.00", "379.00"}).Draw(rt, "amount")
				e := gearOrder(fmt.Sprintf("%s-o%d", id, n), order, amount, code, at)
				e.Stored = at.Add(time.Duration(rapid.IntRange(0, 12).Draw(rt, "late")) * time.Minute)
				w.store(e)
				heard = append(heard, gearCode(w, e.ID))
				if amount == "380.00" {
					continue
				}
				if short[order] = rapid.Bool().Draw(rt, "approved"); short[order] {
					w.store(verdictEvent(gearReview(w, e.ID), campaign.Approve, "owner", e.Stored.Add(time.Duration(rapid.IntRange(1, 600).Draw(rt, "decided"))*time.Minute)))
				}
			}
			switch rapid.IntRange(0, 5).Draw(rt, "leaves") {
			case 0:
				w.store(event(id+"-left", "left", from.Add(time.Duration(rapid.IntRange(1, 3000).Draw(rt, "left"))*time.Minute), "{}"))
			case 1:
				w.store(refunded(id+"-back", fmt.Sprintf("order-%s-0", id), from.Add(time.Duration(rapid.IntRange(1, 3000).Draw(rt, "back"))*time.Minute)))
			}
			worlds[i] = w
		}
		// Time goes on; at each moment some journeys look, and nobody has to.
		told := map[string]bool{}
		now := noon
		for now.Before(noon.Add(120 * time.Hour)) {
			now = now.Add(time.Duration(rapid.IntRange(10, 360).Draw(rt, "minutes")) * time.Minute)
			for _, i := range rapid.SliceOfN(rapid.IntRange(0, members-1), 0, members).Draw(rt, "look") {
				if w := worlds[i]; !w.events[0].Stored.After(now) {
					w.turn(now)
				}
			}
			for code, team := range k.teams {
				if team.State != campaign.TeamFormed || told[code] {
					continue
				}
				if told[code] = true; rapid.Bool().Draw(rt, "told") { // else the news is lost
					for _, w := range worlds {
						if slices.Contains(team.in, w.member.ID) && w.done == "" {
							w.store(news(code, team.ClosedAt, now))
						}
					}
				}
			}
		}
		for range 3 {
			now = now.Add(48 * time.Hour)
			for _, w := range worlds {
				w.turn(now)
			}
		}
		if len(k.sizes) > 0 {
			rt.Fatal(k.sizes)
		}
		sold, keys := 0, map[string]bool{}
		for _, w := range worlds {
			if w.done == "" {
				rt.Fatalf("the journey of %s does not end:\n%s", w.member.ID, w.story())
			}
			taken := ""
			for _, o := range w.offers {
				switch o.State {
				case campaign.OfferTaken:
					sold++
					taken = o.Order
					if team := k.teams[o.Team]; team == nil || team.State != campaign.TeamFormed || !slices.Contains(team.in, w.member.ID) {
						rt.Fatalf("%s has the offer, and her team is %+v\n%s", w.member.ID, k.teams[o.Team], w.story())
					}
				case campaign.OfferOpen:
					rt.Fatalf("the offer of %s stays open\n%s", w.member.ID, w.story())
				case campaign.OfferLapsed, campaign.OfferWithdrawn:
				}
			}
			asked := map[string]bool{}
			for _, r := range w.refunds {
				if keys[r.Key] || asked[r.Order] || r.Order == taken || r.Amount.Minor != 38000 && r.Amount.Minor != 37900 {
					rt.Fatalf("%+v is asked, of %s who has %q\n%s", r, w.member.ID, taken, w.story())
				}
				keys[r.Key], asked[r.Order] = true, true
			}
			for n := range 2 { // every place that is not hers has been paid back, by us or by the shop before
				order := fmt.Sprintf("order-%s-%d", w.member.ID, n)
				code, seat := k.seats[order]
				back := slices.ContainsFunc(w.trace, func(l campaign.TraceLine) bool { return l.Kind == campaign.TraceTeamLeft && l.Params["team"] == code })
				if approved, below := short[order]; below && !approved && seat {
					rt.Fatalf("%s has a place by an order that is below the price\n%s", w.member.ID, w.story())
				}
				if seat && order != taken && !asked[order] && !back && !w.repaid(order) {
					rt.Fatalf("%s has paid with %s, got nothing, and nobody pays her back\n%s", w.member.ID, order, w.story())
				}
			}
		}
		// The shop pays back what it is asked for, and tells of it twice.
		for _, w := range worlds {
			for i, r := range w.refunds {
				for n := range 2 {
					w.store(refunded(fmt.Sprintf("%s-told-%d-%d", w.member.ID, i, n), r.Order, now))
				}
			}
			w.turn(now.Add(time.Minute))
			for _, r := range w.refunds {
				if n := len(slices.DeleteFunc(slices.Clone(w.told), func(t campaign.RefundTold) bool { return t.Key != r.Key })); n != 1 {
					rt.Fatalf("that %s is done is heard %d times\n%s", r.Key, n, w.story())
				}
			}
		}
		if stock > 0 && k.left != stock-sold {
			rt.Fatalf("of %d pieces %d were sold, and %d are left", stock, sold, k.left)
		}
		for code, team := range k.teams {
			if team.State == campaign.TeamOpen {
				rt.Fatalf("team %s stays open: %+v", code, team)
			}
		}
	})
}

// repaid reports whether the shop has told that it paid an order back.
func (w *world) repaid(order string) bool {
	return slices.ContainsFunc(w.events, func(e campaign.Event) bool {
		return e.Type == campaign.EventOrderRefunded && strings.Contains(string(e.Properties), `"`+order+`"`)
	})
}

// store stores an event of the member's. Events that are stored later are numbered behind it.
func (w *world) store(e campaign.Event) {
	e.Member = w.member.ID
	at := slices.IndexFunc(w.events, func(x campaign.Event) bool { return x.Stored.After(e.Stored) })
	if at < 0 {
		at = len(w.events)
	}
	w.events = slices.Insert(w.events, at, e)
	for i := range w.events {
		w.events[i].Seq = int64(i + 1)
	}
}
