package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

// The smallest unit of the language is a second; on this clock a minute is 25 ms.
const (
	orders = `
campaign: orders
title: every kind of race
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string}
  lesson.attended: {lesson: string}
offers:
  monthly-card: {title: 月卡, price: 199, list_price: 299, lock: 6m, grace: 4m}
rewards:
  gift: {points: 10}
messages:
  welcome: "你好，{{ start.offer }}"
  receipt: "收到 {{ event.id }}"
journeys:
  way:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "monthly-card"}
    on_goal: continue
    exit: {on: order.refunded, when: event.order == start.order}
    steps:
      - send: welcome
      - await: lesson.attended
        for: 4m
        grace: 1m
        otherwise:
          - wait: 1m
          - await: lesson.attended
            for: 3m
            otherwise:
              - end: no-show
      - grant: gift
      - offer: monthly-card
        taken:
          - tag: buyer
          - send: receipt
        lapsed:
          - tag: thrifty
          - end: lapsed
      - await: lesson.attended
        for: 3m
        otherwise:
          - end: one-lesson
      - end: champion
`
	ordersFactor = 2400
)

// keeper is PostgreSQL with its turns, without Temporal: the test itself is the clock
// that wakes journeys.
type keeper struct {
	*fleet
	taker *turn.Taker
	judge *judge
}

func newKeeper(t *testing.T, drive campaign.Drive) *keeper {
	t.Helper()
	k := newKeeperOf(t, orders, drive)
	k.judge = newJudge(t, k.store, k.pool, k.programs, "orders")
	return k
}

// newKeeperOf keeps a campaign of the caller's, which nobody judges.
func newKeeperOf(t *testing.T, source string, drive campaign.Drive) *keeper {
	t.Helper()
	dsn := devtest.Database(t)
	ctx := t.Context()
	if _, err := store.Migrate(ctx, dsn); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(ctx, dsn, store.WithMaxConns(16))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	f := &fleet{t: t, ctx: ctx, dsn: dsn, store: s, pool: pool, programs: turn.NewCache(), log: slog.New(slog.DiscardHandler), drive: drive}
	f.submit(source, ordersFactor, time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC))
	return &keeper{fleet: f, taker: &turn.Taker{Store: s, Programs: f.programs, Via: []string{"webhook"}}}
}

func newJudge(t testing.TB, s *store.Store, pool *pgxpool.Pool, programs turn.Programs, name string) *judge {
	t.Helper()
	view, err := s.Campaign(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := programs.Program(t.Context(), s, view.Versions[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return &judge{t: t, ctx: t.Context(), pool: pool, campaign: name, clock: view.Clock, program: p}
}

// enter lets a member in by what is stored of her, as the router does.
func (k *keeper) enter(member string) (row int64) {
	k.t.Helper()
	for {
		_, err := k.store.Route(k.ctx, 10, func(tx *store.RouteTx) error {
			return k.taker.Route(k.ctx, tx, func(broken *turn.BrokenError) { k.t.Error(broken) })
		})
		if err == nil {
			err = k.pool.QueryRow(k.ctx, `select id from journeys where member = $1`, member).Scan(&row)
		}
		if !errors.Is(err, pgx.ErrNoRows) { // another may hold her event and be about to let her in
			if err != nil {
				k.t.Error(err)
			}
			return row
		}
	}
}

// advance takes a turn of a journey, by itself or with all of its slice who are due.
func (k *keeper) advance(row int64, number int) (r campaign.TurnResult, err error) {
	if !k.sliced() {
		return k.taker.Advance(k.ctx, row, number)
	}
	// As the router does when an event has come.
	if _, err := k.pool.Exec(k.ctx, `with m as (select id from members where id = (select member from journeys where id = $1) for update)
		update journeys j set due_at = clock_timestamp() from m where j.id = $1 and j.member = m.id`, row); err != nil {
		return r, err
	}
	var slice int
	if err := k.pool.QueryRow(k.ctx, `select slice from journeys where id = $1`, row).Scan(&slice); err != nil {
		return r, err
	}
	if _, err := k.taker.AdvanceSlice(k.ctx, campaign.SliceInput{Slice: slice}, func() bool { return true }); err != nil {
		return r, err
	}
	var wait float64
	err = k.pool.QueryRow(k.ctx, `select turn, outcome, step_name, coalesce(extract(epoch from due_at - clock_timestamp()), -1)::float8 from journeys where id = $1`, row).
		Scan(&r.Turn, &r.Outcome, &r.Step, &wait)
	r.Wait = time.Duration(wait * float64(time.Second))
	return r, err
}

// finish turns a journey until it is over, and once more for what came after.
func (k *keeper) finish(row int64) {
	for taken := 0; ; {
		r, err := k.advance(row, taken+1)
		if err != nil {
			k.t.Error(err)
			return
		}
		taken = r.Turn
		if r.Outcome != "" {
			break
		}
		if r.Wait < 0 && !k.sliced() { // others may have turned her between
			k.t.Errorf("journey %d would wait for ever: %+v", row, r)
			return
		}
		rest(k.ctx, r.Wait)
	}
	if k.sliced() {
		if _, err := k.advance(row, 0); err != nil {
			k.t.Error(err)
		}
		return
	}
	if err := k.taker.After(k.ctx, row); err != nil {
		k.t.Error(err)
	}
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func refunded(id, member, order string, at time.Time) campaign.Event {
	return campaign.Event{ID: id, Type: "order.refunded", Member: member, Time: at, Properties: json.RawMessage(fmt.Sprintf(`{"order":%q}`, order))}
}

// Events, timers and turns race with each other, and one turn with itself, while
// effects run and waits begin. What PostgreSQL holds in the end is what the core alone
// makes of the same events.
func TestRacesEndAsTheCoreAloneSays(t *testing.T) { overKeepers(t, testRacesEndAsTheCoreAloneSays) }

// overKeepers runs a test over both drives.
func overKeepers(t *testing.T, test func(*testing.T, *keeper)) {
	t.Parallel()
	for _, drive := range drives {
		t.Run(string(drive), func(t *testing.T) {
			t.Parallel()
			k := newKeeper(t, drive)
			test(t, k)
			if n := k.count(`select count(*) from journeys where (slice is not null) <> $1`, k.sliced()); n != 0 {
				t.Errorf("%d journeys are not driven by %s", n, drive)
			}
		})
	}
}

func testRacesEndAsTheCoreAloneSays(t *testing.T, k *keeper) {
	const atOnce = 8
	members := 120
	if testing.Short() {
		members = 40
	}
	var crowd sync.WaitGroup
	gate := make(chan struct{}, atOnce)
	for i := range members {
		crowd.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			k.race(fmt.Sprintf("m-%d", i), rand.New(rand.NewPCG(2026, uint64(i))))
		})
	}
	crowd.Wait()
	outcomes := map[string]int{}
	for i := range members {
		outcomes[k.judge.compare(fmt.Sprintf("m-%d", i), fmt.Sprintf("seed %d", i))]++
	}
	k.sound()
	t.Logf("%d members: %s", members, logged(outcomes))
}

// sound checks what must hold between the tables whatever happened.
func (k *keeper) sound() {
	k.t.Helper()
	findings, err := k.store.Examine(k.ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, f := range findings {
		// Nobody routes or sends here, so intents and messages are left lying.
		if !f.OK && f.Check != "router" && f.Check != "messages" {
			k.t.Errorf("%s: %s", f.Check, f.Detail)
		}
	}
	for _, sql := range []string{
		`select count(*) from (select 1 from grants group by key having count(*) > 1) d`,
		`select count(*) from journeys j where slice is null and turn <> (select count(*) from turns where journey = j.id)`,
		`select count(*) from offers where state = 'open'`,
	} {
		if n := k.count(sql); n != 0 {
			k.t.Errorf("%s: %d", sql, n)
		}
	}
}

// race is one member: two who tell events and three who take turns, all at their own
// pace.
func (k *keeper) race(member string, chance *rand.Rand) {
	start := k.now("orders")
	first := paid(member+"-trial", member, "trial", "9.90", start)
	var told [2][]campaign.Event
	for i := range 2 + chance.IntN(10) {
		e := someEvent(chance, fmt.Sprintf("%s-%d", member, i), member, start)
		told[i%2] = append(told[i%2], e)
	}
	if early := told[0]; len(early) > 0 && chance.IntN(3) == 0 {
		// Stored before the event that starts the journey, in the same batch or earlier.
		if told[0] = early[1:]; chance.IntN(2) == 0 {
			k.tell(early[0], first)
		} else {
			k.tell(early[0])
			k.tell(first)
		}
	} else {
		k.tell(first)
	}
	pause := pauses(chance)
	seeds := [6]uint64{chance.Uint64(), chance.Uint64(), chance.Uint64(), chance.Uint64(), chance.Uint64(), chance.Uint64()}

	var all sync.WaitGroup
	for i, events := range told {
		all.Go(func() {
			chance := rand.New(rand.NewPCG(seeds[i], 1))
			for len(events) > 0 {
				rest(k.ctx, pause(chance))
				n := 1 + chance.IntN(min(2, len(events)))
				k.tell(events[:n]...)
				events = events[n:]
			}
		})
	}
	rest(k.ctx, pause(chance)/4)
	row := k.enter(member)
	if row == 0 {
		all.Wait()
		return
	}
	answers := &sameAnswers{t: k.t, by: map[int]campaign.TurnResult{}}
	for i := range 3 {
		all.Go(func() {
			chance := rand.New(rand.NewPCG(seeds[2+i], 2))
			for taken := 0; k.ctx.Err() == nil; {
				r, err := k.advance(row, taken+1)
				if err != nil {
					k.t.Error(err)
					return
				}
				if r.Turn > taken {
					answers.check(r)
				}
				taken = r.Turn
				if r.Outcome != "" {
					return
				}
				// As the workflow does, but sometimes woken early, as by a poke.
				rest(k.ctx, min(pause(chance), max(r.Wait, 0)))
			}
		})
	}
	all.Wait()
	k.finish(row)
}

func (k *keeper) tell(events ...campaign.Event) {
	if _, err := k.store.StoreEvents(k.ctx, events); err != nil {
		k.t.Error(err)
	}
}

// pauses gives a member a pace: hasty ones race within one transaction's time, slow
// ones around the ends of waits.
func pauses(chance *rand.Rand) func(*rand.Rand) time.Duration {
	most := []time.Duration{2 * time.Millisecond, 20 * time.Millisecond, 150 * time.Millisecond}[chance.IntN(3)]
	return func(chance *rand.Rand) time.Duration { return time.Duration(chance.Int64N(int64(most))) }
}

// someEvent happens at a full minute after the start, or a hair beside it: the ends of
// all waits are full minutes.
func someEvent(chance *rand.Rand, id, member string, start time.Time) campaign.Event {
	at := func(from, to int) time.Time {
		return start.Add(time.Duration(from+chance.IntN(to-from))*time.Minute + time.Duration(chance.IntN(3)-1)*time.Microsecond)
	}
	switch chance.IntN(12) {
	case 0, 1, 2, 3:
		return attended(id, member, at(0, 9))
	case 4, 5, 6, 7, 8:
		return paid(id, member, "monthly-card", []string{"199.00", "299.00", "199.00", "100.00"}[chance.IntN(4)], at(2, 16))
	case 9:
		return refunded(id, member, "o-"+member+"-trial", at(0, 16))
	case 10:
		return refunded(id, member, "another", at(0, 16))
	}
	return paid(id, member, "gear", "380.00", at(0, 16))
}

// sameAnswers checks that a turn that is asked for again is answered the same.
type sameAnswers struct {
	t  testing.TB
	mu sync.Mutex
	by map[int]campaign.TurnResult
}

func (s *sameAnswers) check(r campaign.TurnResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Wait = 0 // who asks again is told to look again at once
	if before, ok := s.by[r.Turn]; ok && !reflect.DeepEqual(before, r) {
		s.t.Errorf("turn %d was answered %+v and then %+v", r.Turn, before, r)
	}
	s.by[r.Turn] = r
}

// logged writes counts in a stable order.
func logged(counts map[string]int) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		text += fmt.Sprintf("%s %d  ", name, counts[name])
	}
	return text
}
