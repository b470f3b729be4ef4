package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/simulate"
)

// What the campaign waits for is in whole days, and members act between ten and five
// o'clock, so that little depends on when exactly a turn runs. Whoever it does depend on is
// found by rehearsing her with a late engine, and left out.
const fidelity = `
campaign: fidelity
title: What the rehearsal foretells
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string}
  lesson.attended: {lesson: string}
member: {visits: int}
segments:
  regular: count("lesson.attended", duration("60h")) >= 2
  dear: '"price-sensitive" in member.tags'
offers:
  trial: {price: 9.90}
  card: {price: 199, list_price: 299, lock: 1d, grace: 2h, per_member: 1}
  gear: {price: 380}
rewards:
  gift: {points: 100, per_member: 1}
  loyal: {points: 7}
messages:
  welcome: "Welcome, {{ start.order }}"
  nudge: {text: "Come", when_capped: drop}
  card-offer: "{{ yuan(offer.price) }} until {{ local(offer.expires_at) }}"
  card-soon: {text: "Soon over", kind: service}
  receipt: {text: "Thank you", kind: service}
  comeback: "Another time"
  gear-offer: "Gear"
  more: "More"
  often: "You come often"
limits:
  quiet_hours: {from: "22:00", until: "08:00"}
  messages_per_member: {times: 2, every: 12h}
journeys:
  main:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "card"}
    on_goal: continue
    exit: {on: order.refunded, when: event.order == start.order}
    holdout: 20%
    steps:
      - send: welcome
      - await: lesson.attended
        for: 1d
        grace: 2h
        otherwise:
          - send: nudge
          - await: lesson.attended
            for: 1d
            otherwise:
              - end: no-show
      - offer: card
        announce: card-offer
        remind:
          - {before: 6h, send: card-soon}
        taken:
          - grant: gift
          - send: receipt
          - set: {visits: member.visits + 1}
        lapsed:
          - tag: price-sensitive
          - send: comeback
          - wait: 12h
          - end: lapsed
      - offer: gear
        announce: gear-offer
      - choose:
          - when: segment("regular")
            steps:
              - tag: regular
      - send: more
      - wait: 1d
      - end: champion
  often:
    start: {on: lesson.attended, when: segment("regular")}
    entry: {again_after: 12h}
    drive: slices
    goal: {on: order.paid, when: event.offer == "gear"}
    steps:
      - grant: loyal
      - send: often
      - await: [order.paid, lesson.attended]
        for: 1d
        otherwise:
          - tag: quiet
  dear:
    start: {segment: dear}
    goal: {on: order.refunded}
    steps:
      - grant: loyal
      - end: found
`

const (
	// fidelityFactor is how fast the clock runs: a day in 48 seconds.
	fidelityFactor  = 1800
	fidelityMembers = 200
)

// What the rehearsal foretells is what the engine does: 200 random members go through
// Temporal and PostgreSQL on a demo clock, and through the simulator with the same events
// as they were stored, and every send, offer, grant and outcome is compared.
func TestRehearsalForetellsTheEngine(t *testing.T) {
	if testing.Short() {
		t.Skip("five days in four minutes")
	}
	t.Parallel()
	f := newFleet(t)
	zone := time.FixedZone("Asia/Shanghai", 8*3600)
	begin := time.Date(2026, 12, 1, 9, 30, 0, 0, zone)
	f.submit(fidelity, fidelityFactor, begin)
	f.runRouter()
	f.runWorker()
	plan := fidelityPlan(t)
	f.tellAll(fidelityStories(time.Date(2026, 12, 1, 0, 0, 0, 0, zone)))
	end := time.Date(2026, 12, 6, 12, 0, 0, 0, zone)
	for f.now("fidelity").Before(end) && f.count(`select count(*) from journeys where status = 'active'`) > 0 {
		rest(f.ctx, 200*time.Millisecond)
	}
	f.allDone()

	view, err := f.store.Campaign(f.ctx, "fidelity")
	if err != nil {
		t.Fatal(err)
	}
	played := f.courses(view.Clock)
	late := func(c *course, by time.Duration) *simulate.Course {
		foretold, err := simulate.FollowLate(plan, campaign.Member{ID: c.member}, c.events, begin, end, by)
		if err != nil {
			t.Fatal(err)
		}
		return foretold
	}
	foretold, outcomes, lates := map[string]*course{}, map[string]int{}, []time.Duration{}
	for _, c := range played {
		f := late(c, 0)
		foretold[c.member] = foretoldOf(f)
		lates = append(lates, c.late(foretold[c.member]))
		for _, e := range f.Entries {
			outcomes[e.ID.Journey+" "+e.Outcome]++
		}
	}
	slices.Sort(lates)
	lag := max(lates[len(lates)*9/10], 15*time.Minute) // what nine of ten members keep
	if lag > 2*time.Hour {
		t.Skipf("for one member in ten the engine was more than %s late on the campaign's clock: the machine is too busy to say anything", lag)
	}
	leftOut, stragglers := 0, 0
	for _, c := range played {
		want := foretold[c.member]
		depends := false
		for by := 4 * lag; by >= time.Minute && !depends; by /= 2 {
			depends = foretoldOf(late(c, by)).differences(want) != nil
		}
		switch {
		case depends:
			leftOut++
			continue
		case c.late(want) > 4*lag:
			stragglers++
			continue
		}
		for _, d := range c.differences(want) {
			t.Errorf("%s: %s", c.member, d)
		}
		if c.early(want) {
			t.Errorf("%s was sent a message before its time:\n  the engine: %v\n  foretold:   %v", c.member, c.sends, want.sends)
		}
	}
	if leftOut > fidelityMembers/2 || stragglers > fidelityMembers/10 {
		t.Errorf("%d members are left out because it matters to them that the engine was %s late, and %d because it was later still: the test compares too few",
			leftOut, lag, stragglers)
	}
	if len(played) != fidelityMembers {
		t.Errorf("%d members, want %d", len(played), fidelityMembers)
	}
	for _, want := range []string{"main champion", "main lapsed", "main no-show", "main exited", "often completed", "often converted", "dear found"} {
		if outcomes[want] == 0 {
			t.Errorf("nobody ended as %s, so nothing is shown about it: %v", want, outcomes)
		}
	}
	t.Logf("%v; %s late on the campaign's clock, which matters to %d members; %d were later", outcomes, lag, leftOut, stragglers)
}

func fidelityPlan(t *testing.T) *simulate.Plan {
	t.Helper()
	def, problems := definitions.Check("fidelity.yaml", []byte(fidelity))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	plan, err := simulate.NewPlan(def)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// telling is an event and when it is told.
type telling struct {
	at    time.Time
	event campaign.Event
}

// fidelityStories makes up what happens to the members. Every one of them is told by her
// first event.
func fidelityStories(midnight time.Time) (all []telling) {
	chance := rand.New(rand.NewPCG(20261201, 7))
	hour := func(day, from, until int) time.Time {
		return midnight.AddDate(0, 0, day).Add(time.Duration(from)*time.Hour + time.Duration(chance.Int64N(int64(until-from)*3600))*time.Second)
	}
	likely := func(percent int) bool { return chance.IntN(100) < percent }
	for i := range fidelityMembers {
		m := fmt.Sprintf("f-%03d", i)
		tell := func(e campaign.Event) {
			told := e.Time
			switch {
			case e.Type == "order.paid" && likely(10):
				told = told.Add(2*time.Hour + 10*time.Minute + time.Duration(chance.IntN(40))*time.Minute) // behind the grace
			case likely(15):
				told = told.Add(time.Duration(5+chance.IntN(45)) * time.Minute)
			}
			all = append(all, telling{told, e})
			if likely(10) { // the shop tells of it again
				all = append(all, telling{told.Add(time.Duration(chance.IntN(90)) * time.Minute), e})
			}
		}
		start := hour(0, 10, 16)
		first := paid(m+"-trial", m, "trial", "9.90", start)
		all = append(all, telling{start, first})
		lessonDay := chance.IntN(3)
		for n := range 1 + chance.IntN(3) {
			if likely(75) {
				if at := hour(min(lessonDay+n, 3), 10, 17); at.After(start.Add(time.Minute)) {
					tell(attended(fmt.Sprintf("%s-lesson-%d", m, n), m, at))
				}
			}
		}
		if likely(60) {
			at := hour(lessonDay+chance.IntN(2), 10, 17)
			if at.After(start.Add(time.Minute)) {
				tell(paid(m+"-card", m, "card", []string{"199.00", "199.00", "199.00", "199.00", "299.00", "150.00"}[chance.IntN(6)], at))
			}
		}
		if likely(35) {
			tell(paid(m+"-gear", m, "gear", []string{"380.00", "380.00", "379.99"}[chance.IntN(3)], hour(1+chance.IntN(3), 10, 17)))
		}
		if likely(10) {
			tell(campaign.Event{
				ID: m + "-refund", Type: "order.refunded", Member: m, Time: hour(1+chance.IntN(2), 10, 17),
				Properties: json.RawMessage(fmt.Sprintf(`{"order":"o-%s-trial"}`, m)),
			})
		}
	}
	slices.SortStableFunc(all, func(a, b telling) int { return a.at.Compare(b.at) })
	return all
}

// tellAll tells each event when the campaign's clock shows its moment.
func (f *fleet) tellAll(all []telling) {
	f.t.Helper()
	for len(all) > 0 {
		now := f.now("fidelity")
		due := 0
		var batch []campaign.Event
		seen := map[string]bool{}
		for due < len(all) && !all[due].at.After(now) && !seen[all[due].event.Member] {
			seen[all[due].event.Member] = true // one for each member, so that each has a moment of its own
			batch = append(batch, all[due].event)
			due++
		}
		if due == 0 {
			rest(f.ctx, min(100*time.Millisecond, campaign.Clock{Factor: fidelityFactor}.RealSpan(all[0].at.Sub(now))))
			continue
		}
		f.events(batch...)
		all = all[due:]
	}
}

// course is what the engine did with one member, and what it was told of her.
type course struct {
	member   string
	events   []simulate.PastEvent
	sends    []sent
	offers   []string
	grants   []string
	outcomes []string
	tags     string
	points   int64
	visits   string
}

type sent struct {
	message string
	at      time.Time
}

// courses reads from the database what became of every member.
func (f *fleet) courses(clock campaign.Clock) []*course {
	f.t.Helper()
	var list []*course
	of := map[string]*course{}
	f.each(`select id, array_to_string(tags, ','), points, coalesce(attributes ->> 'visits', '') from members order by id`, func(r pgx.Rows) error {
		c := &course{}
		err := r.Scan(&c.member, &c.tags, &c.points, &c.visits)
		list, of[c.member] = append(list, c), c
		return err
	})
	f.each(`select id, type, member, time, stored_at, properties from events order by member, seq`, func(r pgx.Rows) error {
		var e simulate.PastEvent
		err := r.Scan(&e.ID, &e.Type, &e.Member, &e.Time, &e.Stored, &e.Properties)
		e.Stored = clock.At(e.Stored)
		of[e.Member].events = append(of[e.Member].events, e)
		return err
	})
	f.each(`select member, name, at from messages where state = 'sent' order by member, at, name`, func(r pgx.Rows) error {
		var member string
		var s sent
		err := r.Scan(&member, &s.message, &s.at)
		of[member].sends = append(of[member].sends, s)
		return err
	})
	f.each(`select member, offer || ' ' || state || ' ' || coalesce(order_id, '') || ' ' || coalesce(paid, 0) from offers order by opened_at, 2`, func(r pgx.Rows) error {
		var member, line string
		err := r.Scan(&member, &line)
		of[member].offers = append(of[member].offers, line)
		return err
	})
	f.each(`select member, reward from grants where state = 'granted' order by at, reward`, func(r pgx.Rows) error {
		var member, reward string
		err := r.Scan(&member, &reward)
		of[member].grants = append(of[member].grants, reward)
		return err
	})
	f.each(`select member, journey || ' ' || entry || ' ' || holdout::text || ' ' || outcome || ' ' || coalesce(goal_event, '') from journeys order by 2`, func(r pgx.Rows) error {
		var member, line string
		err := r.Scan(&member, &line)
		of[member].outcomes = append(of[member].outcomes, line)
		return err
	})
	return list
}

func (f *fleet) each(sql string, read func(pgx.Rows) error) {
	f.t.Helper()
	rows, err := f.pool.Query(f.ctx, sql)
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		f.t.Fatal(err)
	}
}

// foretoldOf puts what was foretold into the same form.
func foretoldOf(f *simulate.Course) *course {
	c := &course{tags: strings.Join(f.Member.Tags, ","), points: f.Member.Points, visits: string(f.Member.Attributes["visits"])}
	for _, o := range f.Offers {
		c.offers = append(c.offers, fmt.Sprintf("%s %s %s %d", o.Offer, o.State, o.Order, o.Paid.Minor))
	}
	for _, g := range f.Grants {
		c.grants = append(c.grants, g.Reward)
	}
	for _, e := range f.Entries {
		c.outcomes = append(c.outcomes, fmt.Sprintf("%s %d %t %s %s", e.ID.Journey, e.ID.Entry, e.Holdout, e.Outcome, e.Goal))
	}
	for _, s := range f.Sends {
		c.sends = append(c.sends, sent{s.Message, s.At})
	}
	return c
}

// differences lists in what two courses differ, apart from when.
func (c *course) differences(want *course) (list []string) {
	compare := func(what string, got, want []string) {
		got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
		if !slices.Equal(got, want) {
			list = append(list, fmt.Sprintf("%s\n  the engine: %v\n  foretold:   %v", what, got, want))
		}
	}
	compare("offers", c.offers, want.offers)
	compare("grants", c.grants, want.grants)
	compare("outcomes", c.outcomes, want.outcomes)
	compare("tags", []string{c.tags}, []string{want.tags})
	compare("points", []string{fmt.Sprint(c.points)}, []string{fmt.Sprint(want.points)})
	compare("visits", []string{c.visits}, []string{want.visits})
	compare("sends", names(c.sends), names(want.sends))
	return list
}

func names(list []sent) (names []string) {
	for _, s := range list {
		names = append(names, s.message)
	}
	return names
}

// late is by how much a message went out later than was foretold, at most.
func (c *course) late(foretold *course) (late time.Duration) {
	got, want := byName(c.sends), byName(foretold.sends)
	for i := range min(len(got), len(want)) {
		if got[i].message == want[i].message {
			late = max(late, got[i].at.Sub(want[i].at))
		}
	}
	return late
}

// early reports whether a message went out before it was foretold. The database keeps
// microseconds.
func (c *course) early(foretold *course) bool {
	got, want := byName(c.sends), byName(foretold.sends)
	for i := range min(len(got), len(want)) {
		if got[i].at.Before(want[i].at.Add(-time.Second)) {
			return true
		}
	}
	return false
}

func byName(list []sent) []sent {
	return slices.SortedStableFunc(slices.Values(list), func(a, b sent) int {
		if n := strings.Compare(a.message, b.message); n != 0 {
			return n
		}
		return a.at.Compare(b.at)
	})
}
