package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

const hello = `
campaign: hello
title: one message
events:
  order.paid: {order: string, offer: string, amount: money}
messages:
  welcome: "你好，{{ start.offer }}"
journeys:
  one:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "card"}
    steps:
      - send: welcome
`

// history counts the events of a workflow's history by type.
func (f *fleet) history(workflow string) map[string]int {
	f.t.Helper()
	counts := map[string]int{}
	events := f.client.GetWorkflowHistory(f.ctx, workflow, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			f.t.Fatal(err)
		}
		counts[e.EventType.String()]++
		counts["all"]++
	}
	return counts
}

func TestOneMessage(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.submit(hello, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	now := time.Now()
	f.events(paid("e-1", "m-1", "trial", "9.90", now), paid("e-2", "m-2", "gear", "380.00", now))
	f.until("the journey is over", func() bool { return f.count(`select count(*) from journeys where status = 'done'`) == 1 })
	f.allDone()

	delivered := f.receiver.Delivered()
	if len(delivered) != 1 {
		t.Fatalf("%d messages delivered, want 1", len(delivered))
	}
	for _, r := range delivered {
		if r.Member != "m-1" || r.Body != "你好，trial" || r.Times != 1 {
			t.Errorf("delivered %+v", r)
		}
	}
	workflow := f.text(`select workflow_id from journeys`)
	if workflow != "journey/hello/one/m-1/1" {
		t.Errorf("workflow id %q", workflow)
	}
	var outcome string
	if err := f.client.GetWorkflow(f.ctx, workflow, "").Get(f.ctx, &outcome); err != nil || outcome != campaign.OutcomeCompleted {
		t.Errorf("the workflow answered %q, %v", outcome, err)
	}
	// The least that one send can cost: 5 for the workflow, 1 for the turn, 1 for the send;
	// and one for the search attributes that say how it ended. A machine that takes seconds
	// for these adds three for each workflow task more.
	h := f.history(workflow)
	if h["all"] > 14 || h["ActivityTaskScheduled"] > 0 {
		t.Errorf("a one-message journey took %d history events, want at most 14 and no activity task: %v", h["all"], h)
	}
	t.Logf("history of a one-message journey: %v", h)
}

// The same event, five times in parallel, changes things once; so does its order.
func TestSameEventManyTimes(t *testing.T) { overDrives(t, testSameEventManyTimes) }

func testSameEventManyTimes(t *testing.T, f *fleet) {
	f.submit(read(t, "../definitions/fitness-trial.yaml"), 3600, time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC))
	f.runRouter()
	f.runRouter()
	f.runWorker()
	start := f.now("fitness-trial")
	lesson := start.Add(time.Hour)
	storm := func(e campaign.Event) {
		var wg sync.WaitGroup
		accepted := make(chan store.EventStatus, 5)
		for range 5 {
			wg.Go(func() {
				status, err := f.store.StoreEvents(f.ctx, []campaign.Event{e})
				if err != nil {
					t.Error(err)
					return
				}
				accepted <- status[0]
			})
		}
		wg.Wait()
		close(accepted)
		n := 0
		for s := range accepted {
			if s == store.EventAccepted {
				n++
			}
		}
		if n != 1 {
			t.Errorf("event %s was accepted %d times", e.ID, n)
		}
	}
	storm(paid("e-1", "m-1", "trial", "9.90", start))
	storm(attended("e-2", "m-1", lesson))
	f.until("the offer is open", func() bool { return f.count(`select count(*) from offers where state = 'open'`) == 1 })
	storm(paid("e-3", "m-1", "monthly-card", "199.00", lesson.Add(time.Hour)))
	f.until("the reward is granted", func() bool { return f.count(`select count(*) from grants`) == 1 })
	for sql, want := range map[string]int{
		`select count(*) from events`:   3,
		`select count(*) from journeys`: 1,
		`select count(*) from offers where offer = 'monthly-card' and state = 'taken'`:                            1,
		`select points from members where id = 'm-1'`:                                                             100,
		`select count(*) from ledger_entries e join ledger_postings p on p.id = e.posting where p.kind = 'grant'`: 2,
		`select sum(amount)::int from ledger_entries`:                                                             0,
		`select balance from ledger_accounts where kind = 'member' and owner = 'm-1'`:                             100,
	} {
		if got := f.count(sql); got != want {
			t.Errorf("%s: %d, want %d", sql, got, want)
		}
	}
}

// A reservation of points that nobody captures goes back to the member by itself, while a
// router runs.
func TestReservationsAreGivenBack(t *testing.T) {
	f := newFleet(t)
	f.submit(shop, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	now := time.Now()
	f.events(campaign.Event{ID: "go-1", Type: "go", Member: "m-1", Time: now})
	f.until("the reward is granted", func() bool { return f.count(`select points from members where id = 'm-1'`) == 100 })
	r, err := f.store.Reserve(f.ctx, store.Redemption{ID: "r-1", Member: "m-1", Points: 70, Order: "o-1", Span: time.Second})
	if err != nil || f.count(`select points from members where id = 'm-1'`) != 30 {
		t.Fatalf("%+v, %v", r, err)
	}
	f.until("the points are given back", func() bool { return f.count(`select points from members where id = 'm-1'`) == 100 })
	if _, err := f.store.Capture(f.ctx, "r-1"); campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("captured after that: %v", err)
	}
}

const shop = `
campaign: shop
title: stock and budget
events:
  order.paid: {order: string, offer: string, amount: money}
  go: {}
offers:
  thing: {title: 限量, price: 100, lock: 48h, stock: 50}
rewards:
  gift: {points: 100, budget: 1000}
journeys:
  sale:
    start: {api: true}
    goal: {on: order.paid, when: event.offer == "thing"}
    on_goal: continue
    steps:
      - offer: thing
        taken:
          - end: got
        lapsed:
          - end: none
  gifts:
    start: {on: go}
    goal: {on: go, when: "false"}
    steps:
      - grant: gift
`

// Stock 50 and 500 orders at once: 50 taken. A budget of 1,000 points and 100 members
// with 100 points each at once: 10 granted, 90 refused and recorded.
func TestStockAndBudgetAreExact(t *testing.T) { overDrives(t, testStockAndBudgetAreExact) }

func testStockAndBudgetAreExact(t *testing.T, f *fleet) {
	f.submit(shop, 1, time.Time{})
	f.runRouter()
	f.runRouter()
	f.runWorker()
	f.runWorker()
	now := time.Now()
	const members = 500
	var seed []campaign.Event
	for i := range members {
		seed = append(seed, paid(fmt.Sprintf("seed-%d", i), fmt.Sprintf("m-%d", i), "other", "1.00", now))
	}
	f.events(seed...)
	var wg sync.WaitGroup
	gate := make(chan struct{}, 16)
	for i := range members {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			if r, err := f.router.Enter(f.ctx, "shop", "sale", fmt.Sprintf("m-%d", i), nil); err != nil || !r.Entered {
				t.Errorf("m-%d did not enter: %+v %v", i, r, err)
			}
		})
	}
	wg.Wait()
	f.until("all offers are open", func() bool { return f.count(`select count(*) from offers where state = 'open'`) == members })

	paidAt := f.now("shop")
	for i := range members {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			e := paid(fmt.Sprintf("order-%d", i), fmt.Sprintf("m-%d", i), "thing", "100.00", paidAt)
			if _, err := f.store.StoreEvents(f.ctx, []campaign.Event{e}); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 100 {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			e := campaign.Event{ID: fmt.Sprintf("go-%d", i), Type: "go", Member: fmt.Sprintf("m-%d", i), Time: now}
			if _, err := f.store.StoreEvents(f.ctx, []campaign.Event{e}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f.until("every order is judged", func() bool {
		return f.count(`select count(*) from offers where state = 'taken'`)+f.count(`select count(*) from reviews`) == members &&
			f.count(`select count(*) from grants`) == 100
	})
	for sql, want := range map[string]int{
		`select count(*) from offers where state = 'taken'`:                         50,
		`select taken from offer_stock where offer = 'thing'`:                       50,
		`select count(*) from reviews where kind = 'paid_not_taken'`:                450,
		`select count(*) from trace where kind = 'offer_refused'`:                   450,
		`select count(*) from grants where state = 'granted'`:                       10,
		`select count(*) from grants where state = 'refused' and reason = 'budget'`: 90,
		`select used::int from budget_balances where reward = 'gift'`:               1000,
		`select sum(points)::int from members`:                                      1000,
		`select sum(amount)::int from ledger_entries`:                               0,
		`select sum(balance)::int from ledger_accounts where kind = 'member'`:       1000,
	} {
		if got := f.count(sql); got != want {
			t.Errorf("%s: %d, want %d", sql, got, want)
		}
	}
}

const patient = `
campaign: patient
title: %s
events:
  order.paid: {order: string, offer: string, amount: money}
  lesson.attended: {lesson: string}
rewards:
  gift: {points: 10}
messages:
  first: "%s"
journeys:
  way:
    start: {on: order.paid}
    entry: every_time
    goal: {on: order.paid, when: "false"}
    steps:
      - await: lesson.attended
        for: 30d
        otherwise:
          - end: none
      - send: first
      - grant: gift
      - end: %s
`

// A definition that changes does not change under a member's feet; a pause holds sends
// and grants while time goes on; a drained campaign lets everybody finish.
func TestVersionsPauseAndEnd(t *testing.T) { overDrives(t, testVersionsPauseAndEnd) }

func testVersionsPauseAndEnd(t *testing.T, f *fleet) {
	name := f.submit(fmt.Sprintf(patient, "one", "第一版", "old"), 1, time.Time{})
	f.runRouter()
	f.runWorker()
	now := time.Now()
	f.events(paid("o-1", "m-1", "x", "1.00", now), paid("o-2", "m-2", "x", "1.00", now))
	waiting := func(n int) func() bool {
		return func() bool {
			return f.count(`select count(*) from journeys where status = 'active' and step_name = 'await lesson.attended'`) == n
		}
	}
	f.until("two members wait", waiting(2))
	f.version(fmt.Sprintf(patient, "two", "第二版", "new"))
	f.events(paid("o-3", "m-3", "x", "1.00", time.Now()))
	f.until("three members wait", waiting(3))
	f.events(attended("l-1", "m-1", time.Now()), attended("l-3", "m-3", time.Now()))
	f.until("two are done", func() bool { return f.count(`select count(*) from journeys where status = 'done'`) == 2 })
	f.allSettled()
	if old, fresh := f.text(`select version || outcome from journeys where member = 'm-1'`), f.text(`select version || outcome from journeys where member = 'm-3'`); old != "1old" || fresh != "2new" {
		t.Errorf("m-1 went %s, m-3 %s; want 1old, 2new", old, fresh)
	}
	for _, r := range f.receiver.Delivered() {
		if want := map[string]string{"m-1": "第一版", "m-3": "第二版"}[r.Member]; r.Body != want {
			t.Errorf("%s got %q, want %q", r.Member, r.Body, want)
		}
	}

	if err := f.store.Pause(f.ctx, name); err != nil {
		t.Fatal(err)
	}
	workflow := f.driver("m-2")
	rounds := func() (n int) {
		h := f.history(workflow)
		return h[enums.EVENT_TYPE_MARKER_RECORDED.String()] + h[enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED.String()]
	}
	before := rounds()
	f.events(attended("l-2", "m-2", time.Now()))
	f.until("the poke has been taken", func() bool { return f.count(`select count(*) from intents`) == 0 && rounds() > before })
	if sent, granted := len(f.receiver.Delivered()), f.count(`select count(*) from grants`); sent != 2 || granted != 2 {
		t.Errorf("while paused: %d messages and %d grants, want 2 and 2 from before", sent, granted)
	}
	if err := f.store.Resume(f.ctx, name); err != nil {
		t.Fatal(err)
	}
	f.until("m-2 is done", func() bool { return f.count(`select count(*) from journeys where status = 'done'`) == 3 })
	f.allSettled()
	if got := f.text(`select version || outcome from journeys where member = 'm-2'`); got != "1old" {
		t.Errorf("m-2 went %s, want 1old", got)
	}

	report, err := f.store.Report(f.ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	entered := map[int]int64{}
	for _, j := range report.Journeys {
		entered[j.Version] = j.Entered
	}
	if entered[1] != 2 || entered[2] != 1 {
		t.Errorf("the report shows %v entered by version, want 2 and 1", entered)
	}

	f.events(paid("o-4", "m-4", "x", "1.00", time.Now()))
	f.until("m-4 waits", waiting(1))
	if err := f.store.End(f.ctx, name, true); err != nil {
		t.Fatal(err)
	}
	f.events(paid("o-5", "m-5", "x", "1.00", time.Now()), attended("l-4", "m-4", time.Now()))
	f.until("m-4 is done", func() bool { return f.count(`select count(*) from journeys where status = 'done'`) == 4 })
	f.until("the campaign has ended", func() bool { return f.text(`select state from campaigns`) == "ended" })
	f.until("the intents are done", func() bool { return f.count(`select count(*) from intents`) == 0 })
	if n := f.count(`select count(*) from journeys where member = 'm-5'`); n != 0 {
		t.Error("a member entered a draining campaign")
	}
}

// A campaign that is ended at once ends its journeys and withdraws their offers.
func TestEndNow(t *testing.T) { overDrives(t, testEndNow) }

func testEndNow(t *testing.T, f *fleet) {
	f.submit(shop, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	f.events(paid("seed", "m-1", "other", "1.00", time.Now()))
	if r, err := f.router.Enter(f.ctx, "shop", "sale", "m-1", nil); err != nil || !r.Entered {
		t.Fatalf("%+v %v", r, err)
	}
	f.until("the offer is open", func() bool { return f.count(`select count(*) from offers where state = 'open'`) == 1 })
	if err := f.store.End(f.ctx, "shop", false); err != nil {
		t.Fatal(err)
	}
	f.until("the journey is over", func() bool { return f.count(`select count(*) from journeys where status = 'done'`) == 1 })
	if got := f.text(`select o.state || ' ' || j.outcome from offers o join journeys j on j.id = o.journey`); got != "withdrawn ended" {
		t.Errorf("got %s", got)
	}
}

func (f *fleet) allSettled() {
	f.t.Helper()
	f.until("every message is settled", func() bool {
		return f.count(`select count(*) from messages where state in ('claimed', 'unknown')`) == 0
	})
}

// While Temporal is not asked and no worker runs, events are kept; when they are back
// everything is caught up with.
func TestNothingIsLostWhileNobodyWorks(t *testing.T) {
	overDrives(t, testNothingIsLostWhileNobodyWorks)
}

func testNothingIsLostWhileNobodyWorks(t *testing.T, f *fleet) {
	f.submit(hello, 1, time.Time{})
	now := time.Now()
	for i := range 20 {
		f.events(paid(fmt.Sprintf("e-%d", i), fmt.Sprintf("m-%d", i), "trial", "9.90", now))
	}
	if n := f.count(`select count(*) from intents`); n != 20 {
		t.Fatalf("%d intents, want 20", n)
	}
	stop := f.runRouter()
	f.until("the starts are delivered", func() bool { return f.count(`select count(*) from intents`) == 0 })
	stop()
	if n := len(f.receiver.Delivered()); n != 0 {
		t.Fatalf("%d messages without a worker", n)
	}
	f.runWorker()
	f.allDone()
	if n := len(f.receiver.Delivered()); n != 20 {
		t.Errorf("%d messages, want 20", n)
	}
}
