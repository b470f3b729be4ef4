package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

// Two versions of a campaign in which a member waits in each way that there is: which, is
// said by the order that lets her in.
const (
	moving = `
campaign: moving
title: 迁移
events:
  order.paid: {order: string, offer: string, amount: money}
  lesson.attended: {lesson: string}
offers:
  card: {title: 月卡, price: 199, list_price: 299, lock: 20d, grace: 1d}
messages:
  hello: "你好"
  old: "旧"
limits:
  quiet_hours: {from: "22:00", until: "08:00"}
journeys:
  way:
    start: {on: order.paid, when: event.offer != "card"}
    steps:
      - choose:
          - when: start.offer == "send"
            steps: [{label: hi, send: hello}, {end: old}]
          - when: start.offer == "wait"
            steps: [{label: pause, wait: 30d}, {send: old}, {end: old}]
          - when: start.offer == "await"
            steps:
              - {label: lesson, await: lesson.attended, when: event.lesson == "yogha", for: 30d, otherwise: [{end: late}]}
              - end: old
          - when: start.offer == "lock"
            steps:
              - {label: card, offer: card, taken: [{end: taken-old}], lapsed: [{end: lapsed-old}]}
          - when: start.offer == "left"
            steps:
              - {label: leave, offer: card, taken: [{end: taken-old}], lapsed: [{end: lapsed-old}]}
          - when: start.offer == "stay"
            steps: [{label: stay, wait: 30d}, {end: old}]
        otherwise: [{label: out, wait: 30d}, {end: old}]
`
	moved = `
campaign: moving
title: 迁移
events:
  order.paid: {order: string, offer: string, amount: money}
  lesson.attended: {lesson: string}
offers:
  card: {title: 月卡, price: 249, list_price: 299, lock: 5d}
messages:
  hello: "你好！"
  fixed: "新"
journeys:
  way:
    start: {on: order.paid, when: event.offer != "card"}
    steps:
      - tag: new
      - choose:
          - when: start.offer == "send"
            steps: [{label: hi, send: hello}, {end: new}]
          - when: start.offer == "wait"
            steps: [{label: pause, wait: 1h}, {send: fixed}, {end: new}]
          - when: start.offer == "await"
            steps:
              - {label: lesson, await: lesson.attended, when: event.lesson == "yoga", for: 1d, otherwise: [{end: late}]}
              - end: new
          - when: start.offer == "lock"
            steps:
              - {label: card, offer: card, taken: [{end: taken-new}], lapsed: [{end: lapsed-new}]}
        otherwise: [{label: fresh, send: fixed}, {end: new}]
`
)

// decide records a migration to the version that new entrants take, as the API does.
func (f *fleet) decide(name string, rules ...campaign.MigrationRule) store.Migration {
	f.t.Helper()
	flight, err := f.store.Flight(f.ctx, name, 0)
	if err == nil {
		flight, err = f.store.Flight(f.ctx, name, flight.Version)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	in := journey.Flight{Versions: flight.Definitions}
	for _, s := range flight.Steps {
		in.Stands = append(in.Stands, journey.Stand{Version: s.Version, Journey: s.Journey, Step: s.Step, Members: s.Members})
	}
	_, choices, problems := journey.PlanMigration(in, flight.Definitions[flight.Version], flight.Version, rules)
	if len(problems) > 0 {
		f.t.Fatal(problems)
	}
	m, err := f.store.CreateMigration(f.ctx, name, flight.Version, choices, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

func toStep(step, to string) campaign.MigrationRule {
	return campaign.MigrationRule{Journey: "way", Step: step, Do: campaign.MigrationMove, To: to}
}

// Members who wait in each way are brought to another version while what drives them is
// dead and routers die in the middle. Each is come to once, and nothing is sent twice.
func TestMigration(t *testing.T) { overDrives(t, testMigration) }

func testMigration(t *testing.T, f *fleet) {
	kinds := []string{"send", "wait", "await", "lock", "left", "stay", "out"}
	const each = 40                                                    // more than a page in all
	f.submit(moving, 2, time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)) // 23:00 in Shanghai
	stopRouter, stopWorker := f.runRouter(), f.runWorker()
	now := f.now("moving")
	var events []campaign.Event
	for _, kind := range kinds {
		for i := range each {
			member := fmt.Sprintf("%s-%d", kind, i)
			events = append(events, paid("in-"+member, member, kind, "9.90", now))
		}
	}
	f.events(events...)
	f.until("everybody waits", func() bool {
		return f.count(`select count(*) from journeys where status = 'active' and step <> ''`) == len(events)
	})
	deadline := f.text(`select wait_until::text from journeys where member = 'wait-0'`)
	f.until("nothing is on its way", func() bool { return f.count(`select count(*) from intents`) == 0 })
	// What happens from here on is judged in the turns of the migration, or behind it.
	stopWorker()
	now = f.now("moving")
	f.events(
		paid("card-lock-0", "lock-0", "card", "199.00", now),
		paid("card-left-0", "left-0", "card", "199.00", now),
		campaign.Event{ID: "yoga-await-0", Type: "lesson.attended", Member: "await-0", Time: now, Properties: []byte(`{"lesson":"yoga"}`)},
	)
	f.version(moved)
	m := f.decide("moving", toStep("hi", ""), toStep("pause", ""), toStep("lesson", ""), toStep("card", ""), toStep("leave", "fresh"),
		campaign.MigrationRule{Journey: "way", Step: "out", Do: campaign.MigrationEnd, Outcome: "called-off"})
	for range 3 { // one dies somewhere, and another works beside it
		stopRouter()
		stopRouter = f.runRouter()
	}
	f.runRouter()
	f.until("the migration is done", func() bool { return f.text(`select state from migrations where id = $1`, m.ID) == "done" })
	m, err := f.store.Migration(f.ctx, "moving", m.ID)
	if err != nil {
		t.Fatal(err)
	}
	// The two who had paid in time took their offers first, by their own version.
	if m.Moved != 5*each-2 || m.Ended != each || m.Kept != 2 || m.KeptWhy[campaign.KeptOver] != 2 || m.Failed != 0 {
		t.Errorf("%+v", m)
	}
	if n := f.count(`select count(*) from migration_moves where done <> 'keep' and (from_state is null or turn = 0 or from_version <> 1 or from_digest = '')`); n != 0 {
		t.Errorf("%d moves lack what it takes to go back", n)
	}
	if got := f.text(`select wait_until::text from journeys where member = 'wait-0'`); got != deadline {
		t.Errorf("she was to wait until %s, now until %s", deadline, got)
	}

	f.runWorker()
	outcomes := func() string {
		return f.text(`select string_agg(l, ', ' order by l) from (select split_part(member, '-', 1) || ' v' || version || ' ' || case when outcome = '' then 'waits' else outcome end || ' ' || count(*) as l
			from journeys group by split_part(member, '-', 1), version, outcome) x`)
	}
	want := fmt.Sprintf("await v2 new 1, await v2 waits %d, left v1 taken-old 1, left v2 new %d, lock v1 taken-old 1, lock v2 waits %d, out v1 called-off %d, send v2 new %d, stay v1 waits %d, wait v2 waits %d",
		each-1, each-1, each-1, each, each, each, each)
	f.until("everybody is where she belongs: "+want, func() bool { return outcomes() == want })
	f.until("every message is out", func() bool {
		return f.count(`select count(*) from messages where state <> 'sent'`) == 0 && f.count(`select count(*) from intents`) == 0
	})
	bodies := map[string]int{}
	for _, r := range f.receiver.Delivered() {
		bodies[r.Body]++
	}
	if len(bodies) != 2 || bodies["你好！"] != each || bodies["新"] != each-1 {
		t.Errorf("delivered %v", bodies)
	}
	if n := f.count(`select count(*) from messages where version <> 2`) + f.count(`select count(*) from trace where kind = 'migrated' and version <> 1`) +
		f.count(`select count(*) from trace t join journeys j on j.id = t.journey where t.kind = 'send' and t.version <> j.version`); n != 0 {
		t.Errorf("%d things are of the wrong version", n)
	}

	report, err := f.store.Report(f.ctx, "moving")
	if err != nil {
		t.Fatal(err)
	}
	if r := report.Journeys; len(r) != 2 || r[0].Version != 1 || r[0].Entered != 2+2*each || r[0].Moved != 5*each-2 || r[0].Steps[0].Reached != 7*each || r[1].Moved != 0 {
		t.Errorf("the report says %+v", r)
	}

	// The offers that were made hold at their price; those that were left are withdrawn.
	f.events(paid("card-lock-1", "lock-1", "card", "199.00", f.now("moving")),
		campaign.Event{ID: "yoga-await-1", Type: "lesson.attended", Member: "await-1", Time: f.now("moving"), Properties: []byte(`{"lesson":"yoga"}`)})
	f.until("she took the offer, and the lesson counted", func() bool {
		return f.text(`select outcome from journeys where member = 'lock-1'`) == "taken-new" && f.text(`select outcome from journeys where member = 'await-1'`) == "new"
	})
	offers := f.text(`select string_agg(l, ', ' order by l) from (select state || ' ' || count(*) as l from offers group by state) x`)
	if want := fmt.Sprintf("open %d, taken 3, withdrawn %d", each-2, each-1); offers != want {
		t.Errorf("offers: %s, want %s", offers, want)
	}
	if !f.sliced() {
		f.movedWorkflows(each+2*(each-2), each)
	}
	for _, finding := range f.examine() {
		if !finding.OK {
			t.Errorf("%s: %s", finding.Check, finding.Detail)
		}
	}
}

func (f *fleet) examine() []store.Finding {
	f.t.Helper()
	findings, err := f.store.Examine(f.ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	return findings
}

// movedWorkflows checks that the Temporal web UI finds members under way by the version
// that they are on.
func (f *fleet) movedWorkflows(moved, stayed int) {
	f.t.Helper()
	count := func(query string) int {
		n, err := f.client.CountWorkflow(f.ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: f.namespace, Query: query})
		if err != nil {
			f.t.Fatal(err)
		}
		return int(n.GetCount())
	}
	f.until("the versions are shown", func() bool {
		return count(`ExecutionStatus = "Running" AND Version = "2"`) == moved && count(`ExecutionStatus = "Running" AND Version = "1"`) == stayed
	})
}

// A migration of a paused campaign moves members as they stand, also those who wait at
// the door: nothing is sent by the version that is left.
func TestMigrationWhilePaused(t *testing.T) { overDrives(t, testMigrationWhilePaused) }

func testMigrationWhilePaused(t *testing.T, f *fleet) {
	source := func(text string) string {
		return `
campaign: mended
title: 改错
events:
  order.paid: {order: string, offer: string, amount: money}
messages:
  hello: "` + text + `"
journeys:
  way:
    start: {on: order.paid, when: event.offer == "trial"}
    steps:
      - wait: 10h
      - send: hello
`
	}
	f.submit(source("打错了"), 3600, time.Time{})
	f.runRouter()
	f.runWorker()
	f.events(paid("e-1", "m-1", "trial", "9.90", f.now("mended")))
	f.until("she waits", func() bool { return f.count(`select count(*) from journeys where step = '1'`) == 1 })
	if err := f.store.Pause(f.ctx, "mended"); err != nil {
		t.Fatal(err)
	}
	f.events(paid("e-2", "m-2", "trial", "9.90", f.now("mended")))
	f.until("another has come", func() bool { return f.count(`select count(*) from journeys`) == 2 })
	due := f.now("mended").Add(11 * time.Hour)
	f.until("the message is overdue", func() bool { return f.now("mended").After(due) })
	f.version(source("改好了"))
	m := f.decide("mended", campaign.MigrationRule{Do: campaign.MigrationMove})
	f.until("the migration is done", func() bool { return f.text(`select state from migrations where id = $1`, m.ID) == "done" })
	if n := f.count(`select count(*) from journeys where version = 2 and status = 'active'`); n != 2 || f.count(`select count(*) from messages`) != 0 {
		t.Errorf("%d were moved, %d messages", n, f.count(`select count(*) from messages`))
	}
	if err := f.store.Resume(f.ctx, "mended"); err != nil {
		t.Fatal(err)
	}
	f.allDone()
	for _, r := range f.receiver.Delivered() {
		if r.Body != "改好了" || r.Times != 1 {
			t.Errorf("%+v", r)
		}
	}
	if n := len(f.receiver.Delivered()); n != 2 {
		t.Errorf("%d messages delivered, want 2", n)
	}
}

// An event may be stored, and its poke taken together with the one of a migration, after
// the migration's turn was taken. The answer to that turn makes the workflow look again.
func TestPokesTakenTogetherWithAMigration(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	v1 := strings.Replace(strings.Replace(moving, `"yogha"`, `"yoga"`, 1), "limits:\n  quiet_hours: {from: \"22:00\", until: \"08:00\"}\n", "", 1)
	f.submit(v1, 1, time.Time{})
	taker := &turn.Taker{Store: f.store, Programs: f.programs, Via: []string{"webhook"}}
	now := f.now("moving")
	f.events(paid("in", "m-1", "await", "9.90", now))
	if _, err := f.store.Route(f.ctx, 10, func(tx *store.RouteTx) error {
		return taker.Route(f.ctx, tx, func(broken *turn.BrokenError) { t.Error(broken) })
	}); err != nil {
		t.Fatal(err)
	}
	var row int64
	if err := f.pool.QueryRow(f.ctx, `select id from journeys`).Scan(&row); err != nil {
		t.Fatal(err)
	}
	first, err := taker.Advance(f.ctx, row, 1)
	if err != nil || first.Turn != 1 || first.Wait <= 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	// Two migrations and an event, before the workflow has asked again.
	f.version(moved)
	f.decide("moving", toStep("lesson", ""))
	for range 3 {
		if _, err := taker.Migrate(f.ctx); err != nil {
			t.Fatal(err)
		}
	}
	f.version(moved + "# once more\n")
	f.decide("moving", toStep("lesson", ""))
	for range 3 {
		if _, err := taker.Migrate(f.ctx); err != nil {
			t.Fatal(err)
		}
	}
	f.events(campaign.Event{ID: "yoga", Type: "lesson.attended", Member: "m-1", Time: f.now("moving"), Properties: []byte(`{"lesson":"yoga"}`)})
	for i, want := range []campaign.TurnResult{{Turn: 2, Version: 2}, {Turn: 3, Version: 3}} {
		r, err := taker.Advance(f.ctx, row, 2+i)
		if err != nil || r.Turn != want.Turn || r.Wait != 0 || r.Version != want.Version || r.Outcome != "" {
			t.Errorf("turn %d is answered with %+v, %v", 2+i, r, err)
		}
	}
	if r, err := taker.Advance(f.ctx, row, 4); err != nil || r.Outcome != "new" || r.Version != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if n := f.count(`select count(*) from migrations where state = 'done' and moved = 1`); n != 2 {
		t.Errorf("%d migrations are done", n)
	}
}

// What a migration moved is brought back, as if nothing had been; who has gone on since
// is kept.
func TestMigrationTakenBack(t *testing.T) { overDrives(t, testMigrationTakenBack) }

func testMigrationTakenBack(t *testing.T, f *fleet) {
	f.submit(moving, 2, time.Date(2026, 12, 1, 2, 0, 0, 0, time.UTC)) // 10:00 in Shanghai
	f.runRouter()
	f.runWorker()
	now := f.now("moving")
	f.events(paid("in-1", "left-1", "left", "9.90", now), paid("in-2", "left-2", "left", "9.90", now),
		paid("in-3", "await-1", "await", "9.90", now), paid("in-4", "await-2", "await", "9.90", now))
	waiting := func(n int) {
		t.Helper()
		f.until("everybody waits, and nothing is on its way", func() bool {
			return f.count(`select count(*) from journeys where status = 'active' and step <> ''`) == n && f.count(`select count(*) from intents`) == 0
		})
	}
	waiting(4)
	f.version(strings.Replace(moved, "[{label: fresh, send: fixed}", "[{label: fresh, wait: 10d}, {send: fixed}", 1))
	done := func(m store.Migration) store.Migration {
		t.Helper()
		f.until("the migration is done", func() bool { return f.text(`select state from migrations where id = $1`, m.ID) == "done" })
		m, err := f.store.Migration(f.ctx, "moving", m.ID)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := done(f.decide("moving", toStep("leave", "fresh"), toStep("lesson", "")))
	if m.Moved != 4 || f.count(`select count(*) from offers where state = 'withdrawn'`) != 2 {
		t.Fatalf("%+v", m)
	}
	waiting(4)
	f.events(campaign.Event{ID: "yoga", Type: "lesson.attended", Member: "await-2", Time: f.now("moving"), Properties: []byte(`{"lesson":"yoga"}`)})
	f.until("one has gone on", func() bool { return f.text(`select outcome from journeys where member = 'await-2'`) == "new" })
	f.events(paid("in-5", "await-3", "await", "9.90", f.now("moving"))) // by the new version, and none of its business

	back, err := f.store.RevertMigration(f.ctx, "moving", m.ID)
	if err != nil || back.Reverts != m.ID || back.Found != 3 {
		t.Fatalf("%+v, %v", back, err)
	}
	if back = done(back); back.Moved != 3 || back.Kept+back.Failed != 0 {
		t.Errorf("%+v", back)
	}
	waiting(4)
	if n := f.count(`select count(*) from journeys where version = 1 and status = 'active'`); n != 3 {
		t.Errorf("%d journeys are on the first version again, want 3", n)
	}
	if n := f.count(`select count(*) from offers where state = 'open' and closed_at is null`); n != 2 {
		t.Errorf("%d offers are open again, want 2", n)
	}
	f.events(paid("card", "left-1", "card", "199.00", f.now("moving")),
		campaign.Event{ID: "yogha", Type: "lesson.attended", Member: "await-1", Time: f.now("moving"), Properties: []byte(`{"lesson":"yogha"}`)})
	f.until("the first version judges again", func() bool {
		return f.text(`select outcome from journeys where member = 'left-1'`) == "taken-old" && f.text(`select outcome from journeys where member = 'await-1'`) == "old"
	})
	if !f.sliced() {
		f.movedWorkflows(1, 1)
	}
	if _, err := f.store.RevertMigration(f.ctx, "moving", back.ID); campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("what takes back is taken back: %v", err)
	}
	for _, finding := range f.examine() {
		if !finding.OK {
			t.Errorf("%s: %s", finding.Check, finding.Detail)
		}
	}
}
