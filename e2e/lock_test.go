package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

// lockSource has no quiet hours, so that a night on the demo clock changes nothing. Its
// grace is the room for a slow machine: an order that is to arrive just after the end
// may arrive a day later on the campaign's clock.
const lockSource = `
campaign: lock
title: 月卡锁价 48 小时
events:
  order.paid: {order: string, offer: string, amount: money}
offers:
  monthly-card: {title: 月卡, price: 199, list_price: 299, lock: 48h, grace: 24h}
messages:
  lock-24h: {kind: service, text: "锁价还剩 24 小时"}
  receipt: {kind: service, text: "月卡开好了"}
  comeback: "下次再来"
journeys:
  card:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "monthly-card"}
    on_goal: continue
    steps:
      - offer: monthly-card
        remind:
          - {before: 24h, send: lock-24h}
        taken:
          - send: receipt
          - end: taken
        lapsed:
          - tag: thrifty
          - send: comeback
          - end: lapsed
`

// On this clock an hour is a second: the lock is 48 s, its grace 24 s.
const lockFactor = 3600

// lockLimit is how long a test of the lock waits: far beyond lock and grace.
const lockLimit = 4 * time.Minute

// lockCase is one member and what she pays.
type lockCase struct {
	amount string
	paid   time.Duration // after the lock's end
	told   time.Duration // when the order is told, after the lock's end; or as soon as the machine can
	taken  bool
	review string
}

var lockCases = map[string]lockCase{
	"paid at 47:59:59 and told at 48:00:05":                      {"199.00", -time.Second, 5 * time.Second, true, ""},
	"paid at the very end and told after it":                     {"199.00", 0, 5 * time.Second, true, ""},
	"paid the locked price at 48:00:01 and told at once":         {"199.00", time.Second, time.Second, false, "paid_after_end"},
	"paid the list price at 48:00:01 and told at once":           {"299.00", time.Second, time.Second, false, ""},
	"paid the list price at 48:00:01 and told after the grace":   {"299.00", time.Second, 25 * time.Hour, false, ""},
	"paid the locked price at 48:00:01 and told after the grace": {"199.00", time.Second, 25 * time.Hour, false, "paid_after_end"},
	"paid at 47:59:59 and told after the grace":                  {"199.00", -time.Second, 25 * time.Hour, false, "late_payment"},
	"paid a fen too little in time":                              {"198.99", -40 * time.Hour, -40 * time.Hour, false, "underpaid"},
	"paid nothing":                                               {},
}

// The 48-hour lock on a real Temporal, PostgreSQL and HTTP API.
func TestLockOf48Hours(t *testing.T) { overDrives(t, testLockOf48Hours) }

func testLockOf48Hours(t *testing.T, f *fleet) {
	f.submit(lockSource, lockFactor, time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC))
	f.runRouter()
	f.runWorker()
	f.runWorker()
	quotes := f.serveAPI(store.ScopeMembersRead)

	// The clock moves in steps of its factor; a hair beside them, the end falls between
	// two readings and never on one.
	start := f.now("lock").Add(time.Microsecond)
	names := make(map[string]string, len(lockCases)) // case by member
	var trials []campaign.Event
	for name := range lockCases {
		member := fmt.Sprintf("m-%d", len(names))
		names[member] = name
		trials = append(trials, paid(member+"-trial", member, "trial", "9.90", start))
	}
	f.events(trials...)
	f.until("every offer is open", func() bool { return f.count(`select count(*) from offers where state = 'open'`) == len(lockCases) })

	var members sync.WaitGroup
	for member, name := range names {
		offer := f.text(`select id from offers where member = $1`, member)
		members.Go(func() { f.watchPrice(quotes, offer) })
		members.Go(func() { f.pay(quotes, offer, member, lockCases[name]) })
	}
	members.Wait()
	f.within(lockLimit, "every journey is over and every order told", func() bool {
		return f.count(`select count(*) from journeys where status = 'active'`) == 0 &&
			f.count(`select count(*) from intents`) == 0 && f.count(`select count(*) from events where type = 'order.paid'`) == 2*len(lockCases)-1+storm
	})
	f.allDone()
	for member, name := range names {
		c := lockCases[name]
		t.Run(name, func(t *testing.T) { f.judgeLock(t, member, c) })
	}
	judge := newJudge(t, f.store, f.pool, f.programs, "lock")
	for member, name := range names {
		held, alone := judge.held(member), judge.alone(member)
		held.sends, alone.sends = nil, nil // a reminder lawfully depends on when its turn ran
		if held.text() != alone.text() {
			t.Errorf("%s: PostgreSQL holds\n%s\nthe core alone says\n%s", name, held.text(), alone.text())
		}
	}
}

// storm is how many orders for other things come in while the silent member's lock ends.
const storm = 20

// pay tells a member's order at its moment.
func (f *fleet) pay(quotes *api, offer, member string, c lockCase) {
	o, err := quotes.offer(f.ctx, offer)
	if err != nil || o.ExpiresAt == nil {
		f.t.Errorf("%s: %v", member, err)
		return
	}
	end := *o.ExpiresAt
	if c.amount == "" {
		// Nobody pays; but turns are woken from all sides while the offer lapses.
		f.sleepUntil(end.Add(24*time.Hour - time.Second))
		var all sync.WaitGroup
		for i := range storm {
			all.Go(func() {
				e := paid(fmt.Sprintf("%s-other-%d", member, i), member, "gear", "380.00", end)
				if _, err := f.store.StoreEvents(f.ctx, []campaign.Event{e}); err != nil {
					f.t.Error(err)
				}
			})
		}
		all.Wait()
		return
	}
	f.sleepUntil(end.Add(c.told))
	if _, err := f.store.StoreEvents(f.ctx, []campaign.Event{paid(member+"-card", member, "monthly-card", c.amount, end.Add(c.paid))}); err != nil {
		f.t.Error(err)
	}
}

// sleepUntil returns when the campaign's clock has reached a moment.
func (f *fleet) sleepUntil(at time.Time) {
	for now := f.now("lock"); now.Before(at); now = f.now("lock") {
		rest(f.ctx, campaign.Clock{Factor: lockFactor}.RealSpan(at.Sub(now)))
	}
}

// watchPrice asks for the price all the time, most often around the end, until a while
// after the end. Each answer says itself at what moment it was given, and lies between
// two readings of the campaign's clock.
func (f *fleet) watchPrice(quotes *api, id string) {
	locked, listed, moments := 0, 0, 0
	for f.ctx.Err() == nil {
		before := f.now("lock")
		o, err := quotes.offer(f.ctx, id)
		after := f.now("lock")
		if err != nil || o.ExpiresAt == nil {
			f.t.Errorf("ask for the price: %v", err)
			return
		}
		end, price := *o.ExpiresAt, o.Price.Amount
		switch {
		case o.State == campaign.OfferTaken:
			if price != "299.00" {
				f.t.Errorf("an offer that was taken is quoted %s", price)
			}
			return
		case price == "199.00":
			locked++
		case price == "299.00":
			listed++
		}
		if want := priceAt(o); price != want {
			f.t.Errorf("quoted %s with %d s left of the lock, want %s", price, o.RemainingSeconds, want)
		}
		if !after.After(end) && price != "199.00" || before.After(end) && price != "299.00" {
			f.t.Errorf("quoted %s between %s and %s; the lock ends %s", price, stamp(before), stamp(after), stamp(end))
		}
		if before.After(end.Add(4 * time.Hour)) {
			break
		}
		pause := 500 * time.Millisecond
		if left := end.Sub(after); left < 2*time.Hour {
			moments++
			pause = 20 * time.Millisecond
		}
		rest(f.ctx, pause)
	}
	if locked == 0 || listed == 0 {
		f.t.Errorf("the price was asked %d times before the end and %d times after", locked, listed)
	}
	f.t.Logf("the price was asked %d times before the end, %d times after, %d times around it", locked, listed, moments)
}

// priceAt is the right price at the moment that the answer itself names. The remaining
// seconds are rounded up: there are some left as long as the lock holds.
func priceAt(o starter.OfferAnswer) string {
	if o.RemainingSeconds > 0 {
		return "199.00"
	}
	return "299.00"
}

// judgeLock looks at everything that one member's lock has left behind.
func (f *fleet) judgeLock(t *testing.T, member string, c lockCase) {
	t.Helper()
	want := map[string]int{"taken": 0, "lapsed": 1}
	outcome, message := "lapsed", "comeback"
	if c.taken {
		want = map[string]int{"taken": 1, "lapsed": 0}
		outcome, message = "taken", "receipt"
	}
	for state, n := range want {
		if got := f.count(`select count(*) from offers where member = $1 and state = $2`, member, state); got != n {
			t.Errorf("%d offers are %s, want %d", got, state, n)
		}
		if got := f.count(`select count(*) from trace t join journeys j on j.id = t.journey where j.member = $1 and t.kind = $2`, member, "offer_"+state); got != n {
			t.Errorf("the story says %d times that the offer was %s, want %d", got, state, n)
		}
	}
	if got := f.text(`select outcome from journeys where member = $1`, member); got != outcome {
		t.Errorf("outcome %s, want %s", got, outcome)
	}
	if got := f.text(`select coalesce(string_agg(kind, ','), '') from reviews where member = $1`, member); got != c.review {
		t.Errorf("reviews %q, want %q", got, c.review)
	}
	if c.review == "underpaid" && f.count(`select count(*) from trace t join journeys j on j.id = t.journey where j.member = $1 and t.kind = 'underpaid'`, member) != 1 {
		t.Error("the story does not say that too little was paid")
	}
	if got := f.count(`select count(*) from journeys where member = $1 and goal_at is not null`, member); (got == 1) != (c.amount != "") {
		t.Errorf("the goal was recorded %d times", got)
	}
	// The reminder was decided 24 h before the end, for everybody: nobody had paid yet
	// but her who paid too little.
	if n := f.count(`select count(*) from trace t join journeys j on j.id = t.journey join offers o on o.journey = j.id
		where j.member = $1 and t.kind = 'send' and t.params ->> 'message' = 'lock-24h' and t.at = o.expires_at - interval '24 hours'`, member); n != 1 {
		t.Errorf("the reminder was sent %d times 24 h before the end", n)
	}
	got := map[string]int{}
	for _, r := range f.receiver.Delivered() {
		if r.Member == member {
			got[r.Message] += r.Times
		}
	}
	if len(got) != 2 || got["lock-24h"] != 1 || got[message] != 1 {
		t.Errorf("received %v, want lock-24h and %s once each", got, message)
	}
}

// A worker that is down when the lock ends catches up: the price changes without it,
// who paid in time has the offer, and the other's lapses once.
func TestWorkerDownAtExpiry(t *testing.T) { overDrives(t, testWorkerDownAtExpiry) }

func testWorkerDownAtExpiry(t *testing.T, f *fleet) {
	f.submit(lockSource, 2*lockFactor, time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC))
	f.runRouter()
	quotes := f.serveAPI(store.ScopeMembersRead)
	stop := f.runWorker()
	start := f.now("lock").Add(time.Microsecond)
	f.events(paid("silent-trial", "silent", "trial", "9.90", start), paid("payer-trial", "payer", "trial", "9.90", start))
	f.until("both offers are open", func() bool { return f.count(`select count(*) from offers where state = 'open'`) == 2 })
	stop()
	f.events(paid("payer-card", "payer", "monthly-card", "199.00", start.Add(time.Second)))
	if late := f.count(`select count(*) from offers where state <> 'open'`); late != 0 {
		t.Fatal("the worker did not stop before the lock's end")
	}
	f.within(lockLimit, "lock and grace are over", func() bool {
		var grace time.Time
		if err := f.pool.QueryRow(f.ctx, `select max(grace_until) from offers`).Scan(&grace); err != nil {
			t.Fatal(err)
		}
		return f.now("lock").After(grace.Add(time.Hour))
	})
	if n := f.count(`select count(*) from offers where state = 'open'`); n != 2 {
		t.Fatalf("%d offers are open without a worker, want 2", n)
	}
	for _, member := range []string{"silent", "payer"} {
		o, err := quotes.offer(f.ctx, f.text(`select id from offers where member = $1`, member))
		if err != nil || o.Price.Amount != "299.00" || o.RemainingSeconds != 0 {
			t.Errorf("%s is quoted %+v after the end, %v; want 299.00", member, o, err)
		}
	}

	f.runWorker()
	f.allDone()
	for member, want := range map[string]string{"silent": "lapsed lapsed 1 {thrifty}", "payer": "taken taken 0 {}"} {
		if got := f.text(`select o.state || ' ' || j.outcome || ' ' || (select count(*) from trace t where t.journey = j.id and t.kind = 'offer_lapsed') || ' ' || m.tags::text
			from offers o join journeys j on j.id = o.journey join members m on m.id = j.member where j.member = $1`, member); got != want {
			t.Errorf("%s: %s, want %s", member, got, want)
		}
	}
	if got := f.text(`select (closed_at = expires_at)::text from offers where member = 'silent'`); got != "true" {
		t.Error("the offer did not lapse at its end, but when the worker was back")
	}
	got := map[string]int{}
	for _, r := range f.receiver.Delivered() {
		got[r.Member+" "+r.Message] += r.Times
	}
	if got["silent comeback"] != 1 || got["payer receipt"] != 1 || got["silent receipt"]+got["payer comeback"] != 0 {
		t.Errorf("received %v", got)
	}
}
