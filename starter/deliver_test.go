package starter_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/client"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

// temporal takes starts and pokes, each as slowly as it is told.
type temporal struct {
	client.Client
	slow func(ctx context.Context, workflow string) error // nil: at once

	mu       sync.Mutex
	taken    []string // workflows, in the order in which calls began
	inFlight int
	most     int // calls at a time
}

func (c *temporal) take(ctx context.Context, workflow string) error {
	c.mu.Lock()
	c.taken = append(c.taken, workflow)
	c.inFlight++
	c.most = max(c.most, c.inFlight)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.inFlight--
	}()
	if c.slow == nil {
		return nil
	}
	return c.slow(ctx, workflow)
}

func (c *temporal) SignalWorkflow(ctx context.Context, workflow, _, _ string, _ any) error {
	return c.take(ctx, workflow)
}

func (c *temporal) ExecuteWorkflow(ctx context.Context, o client.StartWorkflowOptions, _ any, _ ...any) (client.WorkflowRun, error) {
	return nil, c.take(ctx, o.ID)
}

func (c *temporal) calls() (taken []string, inFlight, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.taken), c.inFlight, c.most
}

// post is a router between a store and such a Temporal.
type post struct {
	t        *testing.T
	store    *store.Store
	pool     *pgxpool.Pool // to look behind the store
	temporal *temporal
}

func newPost(t *testing.T, temporal *temporal) *post {
	t.Helper()
	url := devtest.Database(t)
	if _, err := store.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	def := &campaign.Definition{
		Language: 1, Name: "c", Timezone: "Asia/Shanghai", Currency: "CNY",
		Journeys: []campaign.Journey{{Name: "j", Steps: campaign.Steps{&campaign.End{StepCommon: campaign.StepCommon{ID: "1"}, Outcome: "done"}}}},
	}
	if _, err := s.Submit(t.Context(), def, []byte("c")); err != nil {
		t.Fatal(err)
	}
	p := &post{t, s, pool, temporal}
	p.exec(`insert into members (id, joined_at) values ('m', now())`)
	return p
}

func (p *post) exec(sql string, args ...any) {
	p.t.Helper()
	if _, err := p.pool.Exec(p.t.Context(), sql, args...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *post) count(sql string) (n int) {
	p.t.Helper()
	if err := p.pool.QueryRow(p.t.Context(), sql).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// leave leaves an intent for each of n new journeys, whose workflows are named name-1 and so on.
func (p *post) leave(kind store.IntentKind, name string, n int) {
	p.t.Helper()
	p.exec(`with entered as (
			insert into journeys (campaign, version, digest, journey, member, entry, workflow_id, state, cursor, entered_by, entered_at)
			select 'c', 1, '', $1, 'm', i, $1 || '-' || i, '{}', 0, 'api', now() from generate_series(1, $2) i
			returning id)
		insert into intents (kind, campaign, journey) select $3, 'c', id from entered order by id`, name, n, string(kind))
	p.store.Notify()
}

func (p *post) run() (stop func()) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	r := &starter.Router{
		Store: p.store, Client: p.temporal, Log: slog.New(slog.DiscardHandler), Taker: &turn.Taker{Store: p.store, Programs: turn.NewCache()},
	}
	done := make(chan error, 1)
	go func() { done <- r.Deliver(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			p.t.Error(err)
		}
	})
	p.t.Cleanup(stop)
	return stop
}

func (p *post) until(what string, holds func() bool) {
	p.t.Helper()
	tick, limit := time.NewTicker(5*time.Millisecond), time.NewTimer(time.Minute)
	defer tick.Stop()
	defer limit.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit.C:
			taken, inFlight, _ := p.temporal.calls()
			p.t.Fatalf("waited in vain until %s; %d calls, %d in flight, %d intents", what, len(taken), inFlight, p.count(`select count(*) from intents`))
		}
	}
}

// Temporal keeps one call. Every other start and poke goes its way, the batch of that
// one is over and its connection given back, and when the call succeeds after all, it
// has been made once.
func TestASlowCallHoldsUpNobody(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	p := newPost(t, &temporal{slow: func(ctx context.Context, workflow string) error {
		if workflow != "poked-7" {
			return nil
		}
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	p.leave(store.IntentPoke, "poked", 700)
	p.run()
	p.until("all the others are done", func() bool { return p.count(`select count(*) from intents`) == 1 })
	p.until("nobody holds the slow one's row", func() bool {
		return p.count(`select count(*) from (select from intents where due_at > now() for update skip locked) i`) == 1
	})
	p.leave(store.IntentStart, "started", 1)
	p.until("one who comes later is started", func() bool { return p.count(`select count(*) from intents`) == 1 })
	if _, inFlight, most := p.temporal.calls(); inFlight != 1 || most > 16 {
		t.Errorf("%d calls are in flight, %d were; want the slow one, and never more than 16", inFlight, most)
	}
	close(release)
	p.until("the slow one is done", func() bool { return p.count(`select count(*) from intents`) == 0 })
	taken, _, _ := p.temporal.calls()
	slices.Sort(taken)
	if all := len(taken); all != 701 || len(slices.Compact(taken)) != all {
		t.Errorf("%d calls, want each of 701 once", all)
	}
}

// Temporal answers nothing at all. No more than the calls that may be in flight are
// made, no connection waits for them, what was not begun is free for other routers, and
// a router that is stopped meanwhile loses nothing.
func TestATemporalThatHangsHoldsNoConnection(t *testing.T) {
	t.Parallel()
	hangs := &temporal{slow: func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	p := newPost(t, hangs)
	p.leave(store.IntentStart, "started", 100)
	stop := p.run()
	p.until("the calls hang and the rest is free", func() bool {
		_, inFlight, _ := p.temporal.calls()
		return inFlight == 16 && p.store.ConnsInUse() == 0 &&
			p.count(`select count(*) from (select from intents where due_at <= now() for update skip locked) i`) == 84
	})
	stop()
	p.temporal = &temporal{}
	p.exec(`update intents set due_at = now()`)
	p.run()
	p.until("another router has started all of them", func() bool { return p.count(`select count(*) from intents`) == 0 })
	if _, _, most := hangs.calls(); most != 16 {
		t.Errorf("%d calls were in flight, want 16", most)
	}
}

// Who enters while a whole campaign looks again does not wait for the end of it.
func TestAStartOvertakesACampaignThatLooksAgain(t *testing.T) {
	t.Parallel()
	const many = 4_000
	reached, told := make(chan struct{}), make(chan struct{})
	midst := sync.OnceFunc(func() {
		close(reached)
		<-told
	})
	p := newPost(t, &temporal{slow: func(_ context.Context, workflow string) error {
		if workflow == "waiting-1000" {
			midst()
		}
		return nil
	}})
	p.leave(store.IntentRecheck, "waiting", many)
	p.run()
	<-reached
	before, _, _ := p.temporal.calls()
	p.leave(store.IntentStart, "fresh", 1)
	close(told)
	p.until("all is done", func() bool { return p.count(`select count(*) from intents`) == 0 })
	taken, _, _ := p.temporal.calls()
	// The rest of the batch that is under way goes first, and no other.
	if waited := slices.Index(taken, "fresh-1") - len(before); waited < 0 || waited > 256 {
		t.Errorf("%d others went before the start, want those of one batch at most", waited)
	}
	if len(taken) != many+1 {
		t.Errorf("%d calls, want %d", len(taken), many+1)
	}
}

// What Temporal refuses is tried again, and what it takes is not.
func TestWhatTemporalRefusesIsTriedAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	tries := map[string]int{}
	p := newPost(t, &temporal{slow: func(_ context.Context, workflow string) error {
		mu.Lock()
		defer mu.Unlock()
		if tries[workflow]++; workflow == "poked-2" && tries[workflow] == 1 {
			return errors.New("not today")
		}
		return nil
	}})
	p.leave(store.IntentPoke, "poked", 3)
	p.run()
	p.until("all is done", func() bool { return p.count(`select count(*) from intents`) == 0 })
	mu.Lock()
	defer mu.Unlock()
	if got := fmt.Sprint(tries); got != "map[poked-1:1 poked-2:2 poked-3:1]" {
		t.Errorf("tries %s", got)
	}
}

// A member is locked whose journeys are over and are to look back. They take one
// connection and not one each, and soon leave their places to others.
func TestJourneysThatAreOverTakeOneConnection(t *testing.T) {
	t.Parallel()
	p := newPost(t, &temporal{})
	lock, err := p.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Rollback(context.WithoutCancel(t.Context())) }()
	// Not the lock of a turn, lest the test's own journeys wait for it.
	if _, err := lock.Exec(t.Context(), `select from members where id = 'm' for no key update`); err != nil {
		t.Fatal(err)
	}
	const over = 40
	p.leave(store.IntentPoke, "over", over)
	p.exec(`update journeys set status = 'done'`)
	p.run()
	most := 0
	waiting := func() int {
		n := p.count(`select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`)
		most = max(most, n)
		return n
	}
	p.until("one waits for the member", func() bool { return waiting() > 0 })
	p.leave(store.IntentStart, "fresh", 1)
	p.until("another journey is started", func() bool {
		taken, _, _ := p.temporal.calls()
		return waiting() >= 0 && slices.Equal(taken, []string{"fresh-1"})
	})
	// One that gave up may still be on its way out when the next one comes.
	if most > 2 {
		t.Errorf("%d connections wait for the member, want 1", most)
	}
	if n := p.count(`select count(*) from intents where kind = 'poke'`); n != over {
		t.Errorf("%d pokes are left, want all %d", n, over)
	}
}
