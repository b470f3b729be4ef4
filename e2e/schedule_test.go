package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

const byCalendar = `
campaign: letters
title: 每天一封信
timezone: Europe/Berlin
events: {order.paid: {order: string, offer: string, amount: money}}
messages: {hi: "hi"}
segments:
  warm: '"warm" in member.tags'
journeys:
  letter:
    start: {schedule: 30 2 * * *, segment: warm}
    entry: every_time
    goal: {on: order.paid}
    steps:
      - wait: 1h
      - send: hi
`

func warmMembers(t *testing.T, f *fleet, members int) {
	t.Helper()
	var puts []store.MemberPut
	for i := range members {
		p := store.MemberPut{ID: fmt.Sprintf("m-%04d", i), JoinedAt: time.Now()}
		if i%2 == 0 {
			p.Tags = []string{"warm"}
		}
		puts = append(puts, p)
	}
	if _, err := f.store.PutMembers(f.ctx, puts); err != nil {
		t.Fatal(err)
	}
}

// letters checks what was let in: at moments of the calendar alone, everybody in the
// segment once for each but the last, which may be under way.
func letters(t *testing.T, f *fleet, warm int) {
	t.Helper()
	for sql, n := range map[string]int{
		`select count(*) from (select 1 from journeys group by member, entered_at having count(*) > 1) x`:  0,
		`select count(*) from journeys j join members m on m.id = j.member where not 'warm' = any(m.tags)`: 0,
		`select count(*) from journeys where entered_by <> 'schedule'`:                                     0,
		`select count(*) from journeys where entered_at <> (date_trunc('day', entered_at at time zone 'Europe/Berlin')
		   + case when (entered_at at time zone 'Europe/Berlin')::date = '2027-03-28' then interval '3h' else interval '150m' end) at time zone 'Europe/Berlin'`: 0,
	} {
		if got := f.count(sql); got != n {
			t.Errorf("%s: %d, want %d", sql, got, n)
		}
	}
	if got := f.count(`select count(*) from (select 1 from journeys where entered_at < (select max(moment) from schedules)
		group by entered_at having count(*) <> $1) x`, warm); got != 0 {
		t.Errorf("at %d moments not everybody entered", got)
	}
}

func (f *fleet) moments() int {
	return f.count(`select count(distinct entered_at) from journeys`)
}

// Whoever is in the segment enters at each moment, in the night in which clocks change
// too, though workers come and go.
func TestAStartByTheCalendar(t *testing.T) { overDrives(t, testAStartByTheCalendar) }

func testAStartByTheCalendar(t *testing.T, f *fleet) {
	const members = 60
	warmMembers(t, f, members)
	// A day in three seconds; clocks change in the second night.
	f.submit(byCalendar, 86_400/3, time.Date(2027, 3, 26, 23, 0, 0, 0, time.UTC))
	f.runRouter()
	for n := 1; n <= 3; n++ {
		stop := f.runWorker()
		f.until(fmt.Sprintf("the moment number %d has come", n), func() bool { return f.moments() >= n })
		stop()
	}
	if err := f.store.End(f.ctx, "letters", true); err != nil {
		t.Fatal(err)
	}
	f.runWorker()
	f.allDone()
	letters(t, f, members/2)
	for sql, n := range map[string]int{
		`select count(*) from messages where state = 'sent'`:                                                            f.count(`select count(*) from journeys`),
		`select count(*) from messages m join journeys j on j.id = m.journey where m.at < j.entered_at + interval '1h'`: 0,
	} {
		if got := f.count(sql); got != n {
			t.Errorf("%s: %d, want %d", sql, got, n)
		}
	}
}

// When the engine was away, the last of the moments that it has missed is made up for,
// and no other.
func TestAMissedMoment(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	warmMembers(t, f, 20)
	const factor = 86_400 / 2
	from := time.Date(2027, 5, 1, 12, 0, 0, 0, time.UTC)
	f.submit(byCalendar, factor, from)
	f.until("three moments have passed", func() bool { return f.now("letters").After(from.AddDate(0, 0, 3)) })
	if err := f.store.Pause(f.ctx, "letters"); err != nil { // members wait at the door
		t.Fatal(err)
	}
	before := f.now("letters")
	f.runRouter()
	f.runWorker()
	f.until("somebody has entered", func() bool { return f.moments() > 0 })
	var first time.Time
	if err := f.pool.QueryRow(f.ctx, `select min(entered_at) from journeys`).Scan(&first); err != nil {
		t.Fatal(err)
	}
	if !first.After(before.Add(-24 * time.Hour)) {
		t.Errorf("at %s they entered for %s", before, first)
	}
	f.until("a moment is over", func() bool { return f.moments() > 1 })
	letters(t, f, 10)
}

// Several sweeps at once, which are broken off wherever it hurts, let everybody in once
// for each moment.
func TestAMomentAmongManySweeps(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	const members, moments = 2400, 4 // three pages of members in the segment
	warmMembers(t, f, members)
	f.submit(byCalendar, 86_400/5, time.Date(2027, 3, 26, 23, 0, 0, 0, time.UTC))
	sweeper := &turn.Sweeper{Taker: &turn.Taker{Store: f.store, Programs: turn.NewCache(), Log: f.log}, Store: f.store}
	var (
		all   sync.WaitGroup
		count atomic.Int64
		stop  atomic.Bool
	)
	for range 3 {
		all.Go(func() {
			for !stop.Load() {
				ctx, cancel := context.WithCancel(f.ctx)
				n := count.Add(1)
				if n%3 == 0 { // a worker dies
					go func() {
						for range n % 5 {
							_ = f.pool.Ping(ctx)
						}
						cancel()
					}()
				}
				_, err := sweeper.Sweep(ctx, campaign.SweepInput{Campaign: "letters"}, func() bool { return n%4 != 0 && !stop.Load() })
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	f.until("some moments are over", func() bool { return f.moments() > moments || t.Failed() })
	stop.Store(true)
	all.Wait()
	letters(t, f, members/2)
}

// A version that starts at other moments is heard at once, and not after the hour for
// which the sweep before sleeps.
func TestANewScheduleIsHeardAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	warmMembers(t, f, 4)
	// A minute in three seconds: an hour is longer than the test's patience.
	f.submit(byCalendar, 20, time.Date(2027, 5, 1, 12, 0, 0, 0, time.UTC))
	f.runRouter()
	f.runWorker()
	f.until("the campaign sweeps", func() bool { return f.count(`select count(*) from schedules`) == 1 })
	f.version(strings.ReplaceAll(byCalendar, "30 2 * * *", "'* * * * *'"))
	f.until("they have entered", func() bool { return f.count(`select count(*) from journeys`) >= 2 })
	if n := f.count(`select count(*) from journeys where version <> 2 or entered_at <> date_trunc('minute', entered_at)`); n != 0 {
		t.Errorf("%d journeys began at other moments", n)
	}
	if n := f.count(`select count(*) from schedules`); n != 1 {
		t.Errorf("%d schedules are kept", n)
	}
}

// A sweep that finds another worker at its schedule waits a moment before it looks again,
// longer from time to time, and no longer than it is wanted.
func TestASweepWaitsForAnother(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	warmMembers(t, f, 4)
	f.submit(byCalendar, 86_400/5, time.Date(2027, 3, 26, 23, 0, 0, 0, time.UTC))
	// However often one looks, another was faster.
	if _, err := f.pool.Exec(f.ctx, `create function taken() returns trigger language plpgsql as 'begin return null; end';
		create trigger taken before update on schedules for each row execute function taken()`); err != nil {
		t.Fatal(err)
	}
	began := f.now("letters")
	f.until("a moment has come", func() bool { return f.now("letters").After(began.AddDate(0, 0, 2)) })
	tries := &counting{text: "update schedules"}
	s, err := store.Open(f.ctx, f.dsn, store.WithTracer(tries))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sweeper := &turn.Sweeper{Taker: &turn.Taker{Store: s, Programs: f.programs, Log: f.log}, Store: s}
	const span = 1500 * time.Millisecond
	start := time.Now()
	result, err := sweeper.Sweep(f.ctx, campaign.SweepInput{Campaign: "letters"}, func() bool { return time.Since(start) < span })
	if err != nil || result.Over {
		t.Fatalf("%+v, %v", result, err)
	}
	// At once, and then after 50, 150, 350, 750 and 1,550 ms at the earliest.
	if n := tries.n.Load(); n < 2 || n > 6 {
		t.Errorf("it tried %d times in %s", n, span)
	}

	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	tries.each = func(n int64) {
		if n >= 3 {
			cancel()
		}
	}
	tries.n.Store(0)
	if _, err := sweeper.Sweep(ctx, campaign.SweepInput{Campaign: "letters"}, func() bool { return true }); err == nil {
		t.Error("a sweep that is called off goes on")
	}
	if n := tries.n.Load(); n != 3 {
		t.Errorf("it tried %d times, and was called off at the third", n)
	}
}
