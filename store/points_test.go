package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/simulate"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

const club = `
campaign: NAME
title: club
member:
  city: string
events:
  group.message: {group: string, text: string}
  group.left: {group: string}
  order.paid: {order: string, amount: money}
  order.refunded: {order: string}
  checked.in:
points:
  rules:
    speak: {on: group.message, when: size(event.text) >= 2, amount: 2, per_day: 10, reverse_on: {on: group.left, when: event.group == start.group}}
    purchase: {on: order.paid, amount: 'event.amount / money("10.00")', reverse_on: {on: order.refunded, when: event.order == start.order, below_zero: BELOW}}
    check-in: {on: checked.in, amount: 5, per_member: {times: 2, every: 24h}}
EXTRA
journeys:
  any:
    start: {api: true}
    goal: {on: order.paid, when: event.order == "none"}
    steps: [{end: done}]
  climb:
    start: [{on: order.paid, when: member.points >= 1000}]
    goal: {on: order.paid, when: event.order == "none"}
    steps: [{end: done}]
LEVELS`

// hall is a store with a campaign that has points, and what routes its events.
type hall struct {
	*store.Store
	taker *turn.Taker
	name  string
	below string
}

func newHall(tb testing.TB, s *store.Store, name, extra, levels string, clock *store.DemoClock) *hall {
	tb.Helper()
	h := &hall{Store: s, taker: &turn.Taker{Store: s, Programs: turn.NewCache(), Via: []string{"console"}}, name: name, below: "false"}
	if strings.Contains(extra, "#below") {
		h.below = "true"
	}
	h.submit(tb, extra, levels)
	if err := s.Start(tb.Context(), name, clock); err != nil {
		tb.Fatal(err)
	}
	return h
}

func (h *hall) submit(tb testing.TB, extra, levels string) {
	tb.Helper()
	source := []byte(strings.NewReplacer("NAME", h.name, "EXTRA", extra, "LEVELS", levels, "BELOW", h.below).Replace(club))
	def, problems := definitions.Check("club.yaml", source)
	if def == nil {
		tb.Fatal(problems.Text(false))
	}
	if _, err := h.Submit(tb.Context(), def, source); err != nil {
		tb.Fatal(err)
	}
}

func happening(id, member, typ string, at time.Time, properties map[string]any) campaign.Event {
	data, err := json.Marshal(properties)
	if err != nil {
		panic(err)
	}
	return campaign.Event{ID: id, Member: member, Type: typ, Time: at, Properties: data}
}

func said(id, member, group string, at time.Time) campaign.Event {
	return happening(id, member, "group.message", at, map[string]any{"group": group, "text": "大家好"})
}

func bought(id, member, order, yuan string, at time.Time) campaign.Event {
	return happening(id, member, "order.paid", at, map[string]any{"order": order, "amount": map[string]string{"amount": yuan, "currency": "CNY"}})
}

func refunded(id, member, order string, at time.Time) campaign.Event {
	return happening(id, member, "order.refunded", at, map[string]any{"order": order})
}

func (h *hall) tell(tb testing.TB, events ...campaign.Event) {
	tb.Helper()
	if _, err := h.StoreEvents(tb.Context(), events); err != nil {
		tb.Fatal(err)
	}
}

// route routes until nothing is left to route, some events at a time.
func (h *hall) route(ctx context.Context, most int) error {
	for {
		n, err := h.Route(ctx, most, func(tx *store.RouteTx) error {
			return h.taker.Route(ctx, tx, func(*turn.BrokenError) {})
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

func (h *hall) happens(tb testing.TB, events ...campaign.Event) {
	tb.Helper()
	h.tell(tb, events...)
	if err := h.route(tb.Context(), 500); err != nil {
		tb.Fatal(err)
	}
}

func (h *hall) number(tb testing.TB, sql string, args ...any) (n int64) {
	tb.Helper()
	if err := h.Pool().QueryRow(tb.Context(), sql, args...).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func (h *hall) balance(tb testing.TB, member string) int64 {
	tb.Helper()
	m, err := h.Member(tb.Context(), member)
	if err != nil {
		tb.Fatal(err)
	}
	return m.Points
}

// sound recomputes everything that points are kept in.
func (h *hall) sound(tb testing.TB) {
	tb.Helper()
	findings, err := h.Examine(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range findings {
		if !f.OK && slices.Contains([]string{"balances", "ledger", "grants", "budgets", "redemptions", "points", "expiry", "event numbers"}, f.Check) {
			tb.Errorf("%s: %s", f.Check, f.Detail)
		}
	}
}

var noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.FixedZone("", 8*3600))

func TestPointsByRules(t *testing.T) {
	t.Parallel()
	h := newHall(t, open(t), "club", "", "", nil)
	day := 24 * time.Hour
	var talk []campaign.Event
	for i := range 7 { // the cap of the day leaves five of them
		talk = append(talk, said(fmt.Sprint("s-", i), "m", "g-1", noon.Add(time.Duration(i)*time.Minute)))
	}
	h.happens(t, talk...)
	if n := h.balance(t, "m"); n != 10 {
		t.Errorf("speaking seven times gave %d points", n)
	}
	h.happens(t, talk...) // told again
	h.happens(t, happening("short", "m", "group.message", noon.Add(day), map[string]any{"group": "g-1", "text": "a"}))
	if n := h.balance(t, "m"); n != 10 {
		t.Errorf("what was told again, or did not fit the rule, made it %d points", n)
	}
	// By its own time: late events of the day before fill its cap and not today's, on the
	// campaign's calendar.
	h.happens(t, said("late", "m", "g-2", noon.Add(-day)), said("midnight", "m", "g-2", time.Date(2027, 3, 1, 23, 59, 0, 0, noon.Location())),
		said("after", "m", "g-2", time.Date(2027, 3, 2, 0, 1, 0, 0, noon.Location())))
	if n := h.balance(t, "m"); n != 14 {
		t.Errorf("%d points, of which the day before gave 2 and the day after 2", n)
	}
	// An amount by CEL, in whole points; what is worth none leaves nothing behind.
	h.happens(t, bought("b-1", "m", "o-1", "129.90", noon), bought("b-2", "m", "o-2", "9.99", noon))
	if n := h.balance(t, "m"); n != 26 {
		t.Errorf("%d points after a purchase of 129.90", n)
	}
	// Twice within any 24 hours, in whatever order they are told.
	h.happens(t, happening("c-1", "m", "checked.in", noon, nil), happening("c-3", "m", "checked.in", noon.Add(day), nil),
		happening("c-2", "m", "checked.in", noon.Add(12*time.Hour), nil), happening("c-4", "m", "checked.in", noon.Add(13*time.Hour), nil))
	if n := h.balance(t, "m"); n != 41 {
		t.Errorf("%d points after three of four check-ins", n)
	}
	// Leaving a group takes back what was said there, and what was refunded is gone once.
	h.happens(t, happening("l-1", "m", "group.left", noon.Add(3*day), map[string]any{"group": "g-1"}), refunded("r-1", "m", "o-1", noon.Add(day)),
		refunded("r-2", "m", "o-1", noon.Add(2*day)), refunded("r-3", "m", "o-9", noon.Add(day)))
	if n := h.balance(t, "m"); n != 41-10-12 {
		t.Errorf("%d points after the group was left and the order paid back", n)
	}
	// A cap counts what is left: the day has room again, and who comes back gets points again.
	h.happens(t, said("again", "m", "g-1", noon.Add(time.Hour)), said("back", "m", "g-1", noon.Add(4*day)))
	if n := h.balance(t, "m"); n != 19+2 {
		// The first lies before she left, so it is taken back at once.
		t.Errorf("%d points after she came back", n)
	}
	h.sound(t)
	report, err := h.Report(t.Context(), "club")
	if err != nil {
		t.Fatal(err)
	}
	want := []store.PointRuleReport{
		{Rule: "check-in", Gains: 3, Points: 15, RefusedPerMember: 5},
		{Rule: "purchase", Gains: 1, Points: 12, Reversed: 12},
		{Rule: "speak", Gains: 9, Points: 18, RefusedPerDay: 6, Reversed: 12},
	}
	if report.Points == nil || !slices.Equal(report.Points.Rules, want) {
		t.Errorf("%+v", report.Points)
	}
	points, err := h.MemberPoints(t.Context(), "m")
	if err != nil || points.Balance != 21 || len(points.Gains) != 17 {
		t.Errorf("%+v, %v", points, err)
	}
}

// Another version never pays for an event twice, and takes back what the old one gave by the
// old one's word.
func TestPointsOfAnotherVersion(t *testing.T) {
	t.Parallel()
	h := newHall(t, open(t), "club", "", "", nil)
	h.happens(t, bought("b-1", "m", "o-1", "100", noon))
	h.submit(t, "    extra: {on: order.paid, amount: 1}\n", "")
	// The event is routed once more, as after a fault.
	h.exec(t, `insert into intents (kind, member, event) values ('event', 'm', 'b-1')`)
	h.happens(t, bought("b-2", "m", "o-2", "50", noon))
	if n := h.balance(t, "m"); n != 10+1+5+1 {
		t.Errorf("%d points", n)
	}
	if err := h.End(t.Context(), "club", false); err != nil {
		t.Fatal(err)
	}
	// The end of the campaign is no way to keep what was paid back, and gives nothing.
	h.happens(t, refunded("r-1", "m", "o-1", noon.Add(time.Hour)), bought("b-3", "m", "o-3", "50", noon))
	if n := h.balance(t, "m"); n != 7 {
		t.Errorf("%d points after the end and a refund", n)
	}
	h.sound(t)
}

func (h *hall) exec(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	if _, err := h.Pool().Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatal(err)
	}
}

// A paused campaign gives nothing; what happened meanwhile is judged when it goes on, each
// event by its own time.
func TestPointsWaitForAPause(t *testing.T) {
	t.Parallel()
	h := newHall(t, open(t), "club", "", "", nil)
	h.happens(t, bought("b-0", "m", "o-0", "30", noon))
	if err := h.Pause(t.Context(), "club"); err != nil {
		t.Fatal(err)
	}
	h.happens(t, bought("b-1", "m", "o-1", "100", noon), bought("b-2", "m", "o-2", "20", noon), refunded("r-1", "m", "o-1", noon), refunded("r-0", "m", "o-0", noon))
	if n := h.balance(t, "m"); n != 0 {
		t.Errorf("%d points during the pause, where a refund takes back and nothing gives", n)
	}
	findings, err := h.Examine(t.Context())
	if i := slices.IndexFunc(findings, func(f store.Finding) bool { return f.Check == "router" }); err != nil || i < 0 || !findings[i].OK {
		t.Errorf("the doctor takes what waits for the end of the pause for a fault: %+v, %v", findings, err)
	}
	// However long it lasted, nothing has waited for the router when it is over.
	h.exec(t, `update intents set created_at = clock_timestamp() - interval '9 days'`)
	if err := h.Resume(t.Context(), "club"); err != nil {
		t.Fatal(err)
	}
	findings, err = h.Examine(t.Context())
	if i := slices.IndexFunc(findings, func(f store.Finding) bool { return f.Check == "router" }); err != nil || i < 0 || !findings[i].OK {
		t.Errorf("the doctor takes the pause for waiting: %+v, %v", findings, err)
	}
	sample, err := h.Sample(t.Context())
	if i := slices.IndexFunc(sample.Intents, func(g store.IntentGauge) bool { return g.Kind == store.IntentPoints }); err != nil || i < 0 || sample.Intents[i].Waiting != 2 || sample.Intents[i].Oldest > time.Hour {
		t.Errorf("%+v, %v", sample.Intents, err)
	}
	h.exec(t, `update intents set created_at = clock_timestamp() - interval '9 days', due_at = clock_timestamp() - interval '2 minutes'`)
	findings, err = h.Examine(t.Context())
	if i := slices.IndexFunc(findings, func(f store.Finding) bool { return f.Check == "router" }); err != nil || i < 0 || findings[i].OK {
		t.Errorf("the doctor does not see what waits since: %+v, %v", findings, err)
	}
	h.happens(t)
	if n := h.balance(t, "m"); n != 2 {
		t.Errorf("%d points after the pause, of the order that was not refunded", n)
	}
	h.sound(t)
}

// A campaign that is paused again before all that was held has been judged loses nothing.
func TestPointsWaitForAnotherPause(t *testing.T) {
	t.Parallel()
	h := newHall(t, open(t), "club", "", "", nil)
	do := func(what func(context.Context, string) error) {
		t.Helper()
		if err := what(t.Context(), "club"); err != nil {
			t.Fatal(err)
		}
	}
	do(h.Pause)
	var sales []campaign.Event
	for i := range 5 {
		sales = append(sales, bought(fmt.Sprint("b-", i), fmt.Sprint("m-", i%2), fmt.Sprint("o-", i), "10", noon))
	}
	h.happens(t, sales...)
	do(h.Resume)
	one, err := h.Route(t.Context(), 1, func(tx *store.RouteTx) error {
		return h.taker.Route(t.Context(), tx, func(*turn.BrokenError) {})
	})
	if err != nil || one != 1 {
		t.Fatalf("%d were routed, %v", one, err)
	}
	for range 2 {
		do(h.Pause)
		h.happens(t)
		if n := h.number(t, `select count(*) from intents where kind = 'points' and due_at = 'infinity'`); n != 4 {
			t.Errorf("%d events are held, want 4", n)
		}
		if n := h.balance(t, "m-0") + h.balance(t, "m-1"); n != 1 {
			t.Errorf("%d points during the pause, want 1", n)
		}
		do(h.Resume)
	}
	h.happens(t)
	if a, b := h.balance(t, "m-0"), h.balance(t, "m-1"); a != 3 || b != 2 {
		t.Errorf("%d and %d points after the pauses, want 3 and 2", a, b)
	}
	h.sound(t)
}

// resuming lets something happen while a batch of events is routed: behind its look at the
// campaigns, before it holds anything.
type resuming struct {
	turn.Programs
	first func()
}

func (r *resuming) Program(ctx context.Context, from turn.Definitions, digest string) (*journey.Program, error) {
	if first := r.first; first != nil {
		r.first = nil
		first()
	}
	return r.Programs.Program(ctx, from, digest)
}

// A campaign that goes on while events are held for its pause gives points for them, whoever of
// the two is first; and should one be held for ever all the same, the doctor finds it.
func TestResumingWhileEventsAreHeld(t *testing.T) {
	t.Parallel()
	h := newHall(t, open(t), "club", "", "", nil)
	pause := func() {
		t.Helper()
		if err := h.Pause(t.Context(), "club"); err != nil {
			t.Fatal(err)
		}
	}
	programs := h.taker.Programs
	resume := func() {
		if err := h.Resume(t.Context(), "club"); err != nil {
			t.Error(err)
		}
	}
	pause()
	h.taker.Programs = &resuming{programs, resume}
	h.happens(t, bought("b-0", "m", "o-0", "10", noon))
	if n := h.balance(t, "m"); n != 1 {
		t.Errorf("%d points of what was held when the campaign had just gone on, want 1", n)
	}
	// The same with what has been held before.
	pause()
	h.taker.Programs = programs
	h.happens(t, bought("b-1", "m", "o-1", "10", noon))
	resume()
	pause()
	h.taker.Programs = &resuming{programs, resume}
	h.happens(t)
	if n := h.balance(t, "m"); n != 2 {
		t.Errorf("%d points of what was held twice, want 2", n)
	}
	// The other way round: who resumes waits for the batch.
	pause()
	h.taker.Programs = programs
	h.tell(t, bought("b-2", "m", "o-2", "10", noon))
	resumed := make(chan struct{})
	if _, err := h.Route(t.Context(), 500, func(tx *store.RouteTx) error {
		if err := h.taker.Route(t.Context(), tx, func(*turn.BrokenError) {}); err != nil {
			return err
		}
		go func() {
			defer close(resumed)
			resume()
		}()
		until(t, "who resumes waits", func() bool {
			select {
			case <-resumed:
				t.Error("who resumed did not wait")
				return true
			default:
				return waiting(t, h.Store, "%from campaigns where name%for update%") == 1
			}
		})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	<-resumed
	h.happens(t)
	if n := h.balance(t, "m"); n != 3 {
		t.Errorf("%d points of what was held just before the campaign went on, want 3", n)
	}
	if list, err := h.Postponed(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	h.tell(t, bought("b-3", "m", "o-3", "10", noon))
	h.exec(t, `update intents set kind = 'points', campaign = 'club', due_at = 'infinity'`)
	list, err := h.Postponed(t.Context())
	if err != nil || len(list) != 1 || list[0].Kind != store.IntentPoints {
		t.Fatalf("%+v, %v", list, err)
	}
	pause()
	if during, err := h.Postponed(t.Context()); err != nil || len(during) != 0 {
		t.Errorf("during a pause %+v, %v", during, err)
	}
	h.exec(t, `update campaigns set state = 'running'`)
	if err := h.Hasten(t.Context(), []int64{list[0].ID}); err != nil {
		t.Fatal(err)
	}
	h.happens(t)
	if n := h.balance(t, "m"); n != 4 {
		t.Errorf("%d points after the repair, want 4", n)
	}
	h.sound(t)
}

// What was spent before it is taken back is owed where the rule says so, and else stays.
func TestReversalOfWhatWasSpent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		extra             string
		refund, buy, left int64
	}{{"", 0, 5, 5}, {"#below", -8, -3, 0}} {
		h := newHall(t, open(t), "club", c.extra, "", nil)
		h.happens(t, bought("b-1", "m", "o-1", "100", noon))
		if _, err := h.Reserve(t.Context(), store.Redemption{ID: "x", Member: "m", Points: 8, Order: "o", Span: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Capture(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		h.happens(t, refunded("r-1", "m", "o-1", noon.Add(time.Hour)))
		if n := h.balance(t, "m"); n != c.refund {
			t.Errorf("%s: %d points after the refund, want %d", c.extra, n, c.refund)
		}
		h.happens(t, bought("b-2", "m", "o-2", "50", noon))
		if n := h.balance(t, "m"); n != c.buy {
			t.Errorf("%s: %d points after another order, want %d", c.extra, n, c.buy)
		}
		_, err := h.Reserve(t.Context(), store.Redemption{ID: "y", Member: "m", Points: 5, Order: "o", Span: time.Hour})
		if (err == nil) != (c.left > 0) {
			t.Errorf("%s: reserving five points: %v", c.extra, err)
		}
		h.sound(t)
	}
}

// Caps are exact however many routers there are, and whatever the batches.
func TestPointsUnderConcurrency(t *testing.T) {
	t.Parallel()
	h := newHall(t, open(t), "club", "", "", nil)
	const members, each = 12, 25
	var all []campaign.Event
	for m := range members {
		for i := range each {
			all = append(all, said(fmt.Sprintf("s-%d-%d", m, i), fmt.Sprint("m-", m), "g", noon.Add(time.Duration(i)*time.Second)))
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var tellers, routers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		routers.Go(func() {
			for {
				if err := h.route(t.Context(), 7); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for part := range slices.Chunk(all, len(all)/4) {
		tellers.Go(func() {
			for _, e := range part {
				h.tell(t, e)
			}
		})
	}
	tellers.Wait()
	close(stop)
	routers.Wait()
	if err := h.route(t.Context(), 500); err != nil {
		t.Fatal(err)
	}
	for m := range members {
		if n := h.balance(t, fmt.Sprint("m-", m)); n != 10 {
			t.Errorf("member %d has %d points of a cap of 10", m, n)
		}
	}
	if n := h.number(t, `select count(*) from point_gains`); n != members*each {
		t.Errorf("%d of %d events were judged", n, members*each)
	}
	h.sound(t)
}

const levels = `  levels: {silver: {at: 10}, gold: {at: 30}}
  grace: 7d
  within: 30d
`

const climbers = `  risen:
    start: {on: level.changed, when: event.up}
    entry: every_time
    goal: {on: level.changed, when: event.to == "gold"}
    steps:
      - await: level.changed
        when: '!event.up'
        for: 300d
`

func (h *hall) level(tb testing.TB, member string) string {
	tb.Helper()
	m, err := h.Member(tb.Context(), member)
	if err != nil {
		tb.Fatal(err)
	}
	return m.Levels[h.name]
}

// A rise is at once and an event, once; a fall comes by itself, after the grace.
func TestLevels(t *testing.T) {
	t.Parallel()
	s := open(t)
	h := newHall(t, s, "club", levels, climbers, nil)
	other := newHall(t, s, "other", "  levels: {vip: {at: 1}}\n", strings.ReplaceAll(climbers, "gold", "vip"), nil)
	now, err := h.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	h.happens(t, bought("b-1", "m", "o-1", "90", now.Add(-40*day)))
	if got := h.level(t, "m"); got != "" || other.level(t, "m") != "vip" {
		t.Errorf("level %q with nine points, %q in the other campaign", got, other.level(t, "m"))
	}
	h.happens(t, bought("b-2", "m", "o-2", "110", now.Add(-36*day)))
	if got := h.level(t, "m"); got != "silver" {
		t.Errorf("level %q with twenty points", got)
	}
	if n := h.number(t, `select count(*) from journeys where campaign = 'club' and journey = 'risen'`); n != 1 {
		t.Errorf("%d journeys began with the rise", n)
	}
	if n := h.number(t, `select count(*) from journeys where campaign = 'other' and journey = 'risen'`); n != 1 {
		t.Errorf("%d journeys of the other campaign began, which has one level", n)
	}
	// Thirty days later nothing counts any more; seven days of grace are not over.
	sweeper := &turn.Sweeper{Taker: h.taker, Store: h.Store}
	sweep := func() {
		t.Helper()
		for {
			n, err := sweeper.Levels(t.Context(), 200)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
		}
		if err := h.route(t.Context(), 500); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	if got := h.level(t, "m"); got != "silver" {
		t.Errorf("level %q within the grace", got)
	}
	h.exec(t, `update point_members set low_since = low_since - interval '7 days', due_at = clock_timestamp() where campaign = 'club'`)
	sweep()
	sweep()
	if got := h.level(t, "m"); got != "" {
		t.Errorf("level %q after the grace", got)
	}
	if n := h.number(t, `select count(*) from events where type = 'level.changed' and properties ->> 'campaign' = 'club'`); n != 2 {
		t.Errorf("%d changes were told", n)
	}
	// Two levels at a time are one change, and what is taken back takes a level after the grace.
	h.happens(t, bought("b-3", "m", "o-3", "400", now))
	if got := h.level(t, "m"); got != "gold" {
		t.Errorf("level %q with forty points", got)
	}
	if n := h.number(t, `select count(*) from events where type = 'level.changed' and properties ->> 'to' = 'gold'`); n != 1 {
		t.Errorf("%d rises to gold", n)
	}
	h.happens(t, refunded("r-3", "m", "o-3", now))
	if got := h.level(t, "m"); got != "gold" {
		t.Errorf("level %q within the grace", got)
	}
	if n := h.number(t, `select count(*) from point_members where member = 'm' and campaign = 'club' and due_at > clock_timestamp() + interval '6 days'`); n != 1 {
		t.Error("nobody looks at her level when the grace is over")
	}
	h.sound(t)
}

// What is past its end is nobody's, whether it was booked or not; what is spent comes from
// what ends first; what comes back after its end expires.
func TestPointsEnd(t *testing.T) {
	t.Parallel()
	h := newHall(t, open(t), "club", "  expires: 10d\n", "", nil)
	now, err := h.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	h.happens(t, bought("b-1", "m", "o-1", "100", now.Add(-9*day)), bought("b-2", "m", "o-2", "200", now.Add(-5*day)))
	points, err := h.MemberPoints(t.Context(), "m")
	if err != nil || points.Balance != 30 || points.Soon != 30 || len(points.Batches) != 2 || points.Batches[0].Left != 10 || !points.Batches[0].EndsAt.Equal(now.Add(day).Truncate(time.Microsecond)) {
		t.Errorf("%+v, %v", points, err)
	}
	reserve := func(id string, n int64) {
		t.Helper()
		if _, err := h.Reserve(t.Context(), store.Redemption{ID: id, Member: "m", Points: n, Order: "o", Span: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	left := func(want ...int64) {
		t.Helper()
		var have []int64
		if err := h.Pool().QueryRow(t.Context(), `select array_agg(remaining order by id) from point_batches`).Scan(&have); err != nil || !slices.Equal(have, want) {
			t.Errorf("%v is left, want %v: %v", have, want, err)
		}
		h.sound(t)
	}
	reserve("x", 4)
	left(6, 20)
	reserve("y", 8)
	left(0, 18)
	if _, err := h.Cancel(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	left(4, 18)
	reserve("z", 4)
	// The first batch is over while some of it is reserved.
	h.exec(t, `update point_batches set ends_at = clock_timestamp() - interval '1 second' where points = 10`)
	h.exec(t, `update members set points_end = (select min(ends_at) from point_batches where remaining > 0)`)
	if _, err := h.Cancel(t.Context(), "z"); err != nil {
		t.Fatal(err)
	}
	if n := h.balance(t, "m"); n != 18 {
		t.Errorf("%d points after a cancel of what had ended", n)
	}
	left(0, 18)
	// And the second, before anybody has booked it.
	h.exec(t, `update point_batches set ends_at = clock_timestamp() - interval '1 second'`)
	h.exec(t, `update members set points_end = (select min(ends_at) from point_batches where remaining > 0)`)
	booked := func() int64 { return h.number(t, `select points from members where id = 'm'`) }
	points, err = h.MemberPoints(t.Context(), "m")
	if err != nil || h.balance(t, "m") != 0 || points.Balance != 0 || booked() != 18 {
		t.Errorf("%d points, %+v, %v, %d booked", h.balance(t, "m"), points, err, booked())
	}
	if err := h.InEntry(t.Context(), []string{"m"}, func(tx *store.EntryTx) error {
		if n := tx.Entrant("m").Member.Points; n != 0 {
			t.Errorf("a rule would read %d points", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Reserve(t.Context(), store.Redemption{ID: "late", Member: "m", Points: 1, Order: "o", Span: time.Hour}); campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("what had ended was reserved: %v", err)
	}
	for i, want := range []int{1, 0} {
		if n, err := h.ExpirePoints(t.Context(), 10); err != nil || n != want {
			t.Errorf("sweep %d: %d batches, %v", i, n, err)
		}
	}
	if booked() != 0 {
		t.Errorf("%d points are booked after the sweep", booked())
	}
	left(0, 0)
	// What has expired is not taken back a second time: of the second order nothing is left.
	h.happens(t, bought("b-3", "m", "o-3", "70", now), refunded("r-2", "m", "o-2", now))
	// Two of its points were spent; those are taken from what the member has else.
	if n := h.balance(t, "m"); n != 5 {
		t.Errorf("%d points: what had expired was taken back from others", n)
	}
	h.sound(t)
	report, err := h.Report(t.Context(), "club")
	if err != nil || report.Points.Expired != 4+18 {
		t.Errorf("%+v, %v", report.Points, err)
	}
}

// A sweep says how much it has found, so that whoever sweeps knows whether there may be more:
// members have several batches that end.
func TestAllPointsPastTheirEndAreSwept(t *testing.T) {
	t.Parallel()
	h := newHall(t, open(t), "club", "  expires: 10d\n", "", nil)
	now, err := h.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var sales []campaign.Event
	for i := range 12 {
		sales = append(sales, bought(fmt.Sprint("b-", i), fmt.Sprint("m-", i/4), fmt.Sprint("o-", i), "100", now))
	}
	h.happens(t, sales...)
	h.exec(t, `update point_batches set ends_at = clock_timestamp() - interval '1 hour' + id * interval '1 second'`)
	h.exec(t, `update members m set points_end = (select min(ends_at) from point_batches b where b.member = m.id and remaining > 0)`)
	var found []int
	for n := 4; n == 4; found = append(found, n) {
		if n, err = h.ExpirePoints(t.Context(), 4); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(found, []int{4, 4, 4, 0}) || h.number(t, `select sum(points) from members`) != 0 {
		t.Errorf("found %v, %d points are left", found, h.number(t, `select sum(points) from members`))
	}
	h.sound(t)
}

// A reward's points may have an end too, and segments know of it in SQL as in CEL.
func TestRewardsEnd(t *testing.T) {
	t.Parallel()
	s := open(t)
	reward := campaign.Reward{Name: "gift", Points: 100, Expires: 24 * time.Hour}
	k, name := newTill(t, s, nil, 2, reward)
	k.gift(t, &reward, 2)
	h := &hall{Store: s}
	if n := h.number(t, `select count(*) from point_batches where remaining = 100 and ends_at between clock_timestamp() + interval '23 hours' and clock_timestamp() + interval '24 hours'`); n != 4 {
		t.Errorf("%d batches", n)
	}
	h.exec(t, `update point_batches set ends_at = clock_timestamp() where id = (select min(id) from point_batches where member = $1)`, name+"-1")
	h.exec(t, `update members m set points_end = (select min(ends_at) from point_batches b where b.member = m.id and remaining > 0)`)
	var points []int64
	if err := s.EachInAudience(t.Context(), store.Condition{SQL: "true"}, func(m *campaign.Member) error {
		points = append(points, m.Points)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(points)
	if !slices.Equal(points, []int64{100, 200}) || h.balance(t, name+"-1") != 100 {
		t.Errorf("%v", points)
	}
	h.sound(t)
}

// The rehearsal comes to the same as the router: points, levels, what was taken back and what
// has ended.
func TestTheRehearsalGivesTheSamePoints(t *testing.T) {
	t.Parallel()
	s := open(t)
	runs := 0
	rapid.Check(t, func(r *rapid.T) {
		if runs++; runs > 20 {
			return
		}
		name := fmt.Sprint("same-", runs)
		extra := "  expires: 20d\n" + levels
		if runs%2 == 0 {
			extra = "#below\n" + extra
		}
		h := newHall(t, s, name, extra, "", nil)
		// Or the campaign of the run before would give points too.
		defer func() {
			if err := h.End(t.Context(), name, false); err != nil {
				t.Error(err)
			}
		}()
		now, err := h.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		now = now.Truncate(time.Second)
		var (
			events []campaign.Event
			lines  []string
		)
		at, member := now.Add(-60*24*time.Hour), name+"-m"
		for i := range rapid.IntRange(1, 30).Draw(r, "events") {
			at = at.Add(time.Duration(rapid.IntRange(0, 48).Draw(r, "hours")) * time.Hour)
			id, order := fmt.Sprintf("%s-%d", name, i), fmt.Sprint("o-", rapid.IntRange(1, 6).Draw(r, "order"))
			var e campaign.Event
			switch rapid.SampledFrom([]string{"buy", "buy", "talk", "talk", "check in", "refund", "leave"}).Draw(r, "what") {
			case "buy":
				e = bought(id, member, order, fmt.Sprintf("%d.50", rapid.IntRange(1, 200).Draw(r, "yuan")), at)
			case "talk":
				e = said(id, member, "g", at)
			case "check in":
				e = happening(id, member, "checked.in", at, nil)
			case "refund":
				e = refunded(id, member, order, at)
			case "leave":
				e = happening(id, member, "group.left", at, map[string]any{"group": "g"})
			}
			events = append(events, e)
			with := strings.NewReplacer(`{"amount":"`, "", `","currency":"CNY"}`, "", "null", "{}").Replace(string(e.Properties))
			with = strings.Replace(with, `"amount":`, `"offer":"x","amount":`, 1)
			lines = append(lines, fmt.Sprintf("{at: %s, event: %s, with: %s}", e.Time.Format(time.RFC3339), e.Type, with))
		}
		h.happens(t, events...)
		sweeper := &turn.Sweeper{Taker: h.taker, Store: h.Store}
		if _, err := sweeper.Levels(t.Context(), 200); err != nil {
			t.Fatal(err)
		}
		if _, err := h.ExpirePoints(t.Context(), 1000); err != nil {
			t.Fatal(err)
		}
		h.sound(t)
		changes := h.number(t, `select count(*) from events where member = $1 and type = 'level.changed'`, member)
		test := fmt.Sprintf("tests: [{name: same, start: %s, until: %s, expect: {points: %d}, events: [%s]}]\n",
			now.Add(-61*24*time.Hour).Format(time.RFC3339), now.Format(time.RFC3339), h.balance(t, member), strings.Join(lines, ", "))
		source := strings.NewReplacer("NAME", name, "EXTRA", extra, "LEVELS", "", "BELOW", h.below, "{order: string, amount: money}", "{order: string, offer: string, amount: money}").Replace(club)
		def, problems := definitions.Check("club.yaml", []byte(source))
		if def == nil {
			t.Fatal(problems.Text(false))
		}
		list, problems := definitions.TestsBeside("club.test.yaml", []byte(test), def)
		if problems.Refused() {
			t.Fatal(problems.Text(false), test)
		}
		plan, err := simulate.NewPlan(def)
		if err != nil {
			t.Fatal(err)
		}
		v, err := simulate.Verify(plan, &list[0])
		if err != nil {
			t.Fatal(err)
		}
		told := int64(0)
		for _, l := range v.Story {
			if l.Kind == campaign.TraceLevel {
				told++
			}
		}
		if !v.OK || told != changes {
			for _, l := range v.Story {
				t.Log(l.At.Format(time.DateTime), l.Words(campaign.English))
			}
			t.Errorf("%s%d changes of level were rehearsed, %d happened", v.Failures.Text(false), told, changes)
		}
		if t.Failed() {
			r.FailNow()
		}
	})
}

// everything that can happen to points happens once to a member of her own, so that what a
// run shows does not hang on what was drawn.
func (h *hall) everything(t *testing.T, now time.Time) {
	t.Helper()
	member, order := h.name+"-all", h.name+"-all-order"
	buy := func(n int) {
		t.Helper()
		h.tell(t, bought(fmt.Sprint(h.name, "/all/", n), member, fmt.Sprint(order, n), "150", now.Add(-24*time.Hour)))
		if err := h.route(t.Context(), 50); err != nil {
			t.Fatal(err)
		}
	}
	refund := func(n int) {
		t.Helper()
		h.tell(t, refunded(fmt.Sprint(h.name, "/back/", n), member, fmt.Sprint(order, n), now))
		if err := h.route(t.Context(), 50); err != nil {
			t.Fatal(err)
		}
	}
	reserve := func(id string) {
		t.Helper()
		var all int64
		if err := h.Pool().QueryRow(t.Context(), `select sum(remaining) from point_batches where member = (select id from members where id = $1)`, member).Scan(&all); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Reserve(t.Context(), store.Redemption{ID: h.name + id, Member: member, Points: all, Order: "o", Span: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	buy(1)
	reserve("-all-cancelled")
	if _, err := h.Cancel(t.Context(), h.name+"-all-cancelled"); err != nil {
		t.Fatal(err)
	}
	refund(1) // nothing of it is spent: all of it is taken
	buy(2)
	reserve("-all-captured")
	if _, err := h.Capture(t.Context(), h.name+"-all-captured"); err != nil {
		t.Fatal(err)
	}
	refund(2) // all of it is spent: it falls short, or she is below zero
	buy(3)
	buy(4)
	h.exec(t, `update point_batches set ends_at = clock_timestamp() where member = $1 and remaining > 0`, member)
	h.exec(t, `update members set points_end = clock_timestamp() where id = $1`, member)
	if _, err := h.ExpirePoints(t.Context(), 50); err != nil {
		t.Fatal(err)
	}
}

// Whatever the order in which points are earned, spent, given back, taken back and end, and
// however they meet: sums are zero, no batch is below zero, and every balance is what its
// entries say.
func TestPointsBalanceWhateverHappens(t *testing.T) {
	t.Parallel()
	s := open(t)
	runs := 0
	rapid.Check(t, func(r *rapid.T) {
		if runs++; runs > 20 {
			return // each of them says much, and takes a while
		}
		name := fmt.Sprint("club-", runs)
		extra := "  expires: 10d\n" + levels
		if runs%2 == 0 {
			extra = "#below\n" + extra
		}
		h := newHall(t, s, name, extra, "", nil)
		// Or the campaign of the run before would give points too.
		defer func() {
			if err := h.End(t.Context(), name, false); err != nil {
				t.Error(err)
			}
		}()
		now, err := h.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for m := range 3 { // something to spend from the beginning on
			h.tell(t, bought(fmt.Sprintf("%s/first/%d", name, m+1), fmt.Sprintf("%s-m%d", name, m+1), fmt.Sprintf("%s-o%d-1", name, m+1), "150", now.Add(-24*time.Hour)))
		}
		if err := h.route(t.Context(), 50); err != nil {
			t.Fatal(err)
		}
		h.everything(t, now)
		type deed struct {
			what, id  string
			member, n int
		}
		lists := make([][]deed, 4)
		for i := range lists {
			for j := range rapid.IntRange(1, 10).Draw(r, "deeds") {
				lists[i] = append(lists[i], deed{
					rapid.SampledFrom([]string{"buy", "buy", "talk", "refund", "leave", "reserve", "reserve", "capture", "capture", "cancel", "end", "sweep", "route", "kill"}).Draw(r, "what"),
					fmt.Sprintf("%s/%d/%d", name, i, j), rapid.IntRange(1, 3).Draw(r, "member"), rapid.IntRange(1, 5).Draw(r, "n"),
				})
			}
		}
		var all sync.WaitGroup
		for _, list := range lists {
			all.Go(func() {
				for _, d := range list {
					ctx, member, order := t.Context(), fmt.Sprintf("%s-m%d", name, d.member), fmt.Sprintf("%s-o%d-%d", name, d.member, d.n)
					redemption := fmt.Sprintf("%s-x%d-%d", name, d.member, d.n)
					var err error
					switch d.what {
					case "buy":
						h.tell(t, bought(d.id, member, order, fmt.Sprint(d.n*40), now.Add(-time.Duration(d.n)*48*time.Hour)))
					case "talk":
						h.tell(t, said(d.id, member, "g", now.Add(-time.Duration(d.n)*time.Minute)))
					case "refund":
						h.tell(t, refunded(d.id, member, order, now))
					case "leave":
						h.tell(t, happening(d.id, member, "group.left", now, map[string]any{"group": "g"}))
					case "reserve":
						_, err = h.Reserve(ctx, store.Redemption{ID: redemption, Member: member, Points: int64(d.n * 3), Order: "o", Span: time.Hour})
					case "capture":
						if _, err = h.Reserve(ctx, store.Redemption{ID: redemption, Member: member, Points: int64(d.n * 3), Order: "o", Span: time.Hour}); err == nil {
							_, err = h.Capture(ctx, redemption)
						}
					case "cancel":
						if _, err = h.Reserve(ctx, store.Redemption{ID: redemption + "c", Member: member, Points: int64(d.n), Order: "o", Span: time.Hour}); err == nil {
							_, err = h.Cancel(ctx, redemption+"c")
						}
					case "end": // time goes by for one of her batches
						_, err = h.Pool().Exec(ctx, `
							with m as (select id from members where id = $1 for update), b as (
							     update point_batches set ends_at = clock_timestamp() where id = (select max(id) from point_batches where member = (select id from m) and remaining > 0) returning member)
							select from b`, member)
						if err == nil {
							_, err = h.Pool().Exec(ctx, `update members m set points_end = (select min(ends_at) from point_batches b where b.member = m.id and b.remaining > 0) where id = $1`, member)
						}
					case "sweep":
						if _, err = h.ExpirePoints(ctx, 2); err == nil {
							_, err = h.ExpireRedemptions(ctx, 2)
						}
					case "route":
						err = h.route(ctx, d.n)
					case "kill":
						ctx, cancel := context.WithTimeout(ctx, rand.N(5*time.Millisecond))
						_ = h.route(ctx, 50)
						_, _ = h.ExpirePoints(ctx, 5)
						cancel()
					}
					if code := campaign.CodeOf(err); err != nil && code != campaign.CodeConflict && code != campaign.CodeNotFound {
						t.Errorf("%s: %v", d.what, err)
					}
				}
			})
		}
		all.Wait()
		if err := h.route(t.Context(), 50); err != nil {
			t.Fatal(err)
		}
		// The first end is moved by hand above, beside the lock, so it is set again.
		h.exec(t, `update members m set points_end = (select min(ends_at) from point_batches b where b.member = m.id and b.remaining > 0)`)
		h.sound(t)
		if t.Failed() {
			r.FailNow()
		}
	})
	h := &hall{Store: s}
	for _, what := range []string{"point_gains where taken > 0", "point_batches where expired > 0", "redemptions where state = 'captured'", "redemptions where state = 'cancelled'", "point_gains where short > 0", "point_members where level <> ''"} {
		if h.number(t, `select count(*) from `+what) == 0 {
			t.Errorf("there were no %s, so this shows little", what)
		}
	}
	if below := h.number(t, `select count(*) from point_batches where remaining < 0 or remaining > points`); below > 0 {
		t.Errorf("%d batches are below zero", below)
	}
}
