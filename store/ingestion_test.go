package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// told is what one caller was answered.
type told struct {
	status store.EventStatus
	err    error
}

// tell hands in one event in the background.
func tell(ctx context.Context, s *store.Store, e campaign.Event) <-chan told {
	answer := make(chan told, 1)
	go func() {
		statuses, err := s.StoreEvents(ctx, []campaign.Event{e})
		if err != nil {
			answer <- told{err: err}
			return
		}
		answer <- told{status: statuses[0]}
	}()
	return answer
}

// until waits for a condition that somebody else brings about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func waiting(t *testing.T, s *store.Store, query string) int {
	t.Helper()
	var n int
	if err := s.Pool().QueryRow(t.Context(),
		"select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like $1", query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// busy keeps all quick workers at work: each waits for a new member whom a transaction
// has made that is not committed. What is handed in meanwhile goes together afterwards.
func busy(t *testing.T, s *store.Store) (free func()) {
	t.Helper()
	tx, err := s.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var answers []<-chan told
	for i := range store.QuickWorkers {
		member := fmt.Sprintf("busy-%d", i)
		if _, err := tx.Exec(t.Context(), "insert into members (id, joined_at) values ($1, now())", member); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, tell(t.Context(), s, event(member, member)))
		until(t, "the worker waits", func() bool { return waiting(t, s, "%insert into members%") == i+1 })
	}
	return func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, answer := range answers {
			if got := <-answer; got.err != nil {
				t.Error(got.err)
			}
		}
	}
}

// queue hands events in one after the other, each when the one before has its place.
func queue(t *testing.T, s *store.Store, events ...campaign.Event) (answers []<-chan told) {
	t.Helper()
	for _, e := range events {
		before := s.Queued()
		answers = append(answers, tell(t.Context(), s, e))
		until(t, "the event is queued", func() bool { return s.Queued() == before+1 })
	}
	return answers
}

func accepted(t *testing.T, answers []<-chan told) {
	t.Helper()
	for i, answer := range answers {
		if got := <-answer; got.err != nil || got.status != store.EventAccepted {
			t.Fatalf("event %d: %q, %v", i, got.status, got.err)
		}
	}
}

func count(t *testing.T, s *store.Store, query string, args ...any) (n int) {
	t.Helper()
	if err := s.Pool().QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEventsThatWaitAreStoredTogether(t *testing.T) {
	s := open(t)
	free := busy(t, s)
	var events []campaign.Event
	for i := range 40 {
		events = append(events, event(fmt.Sprintf("e-%02d", i), fmt.Sprintf("m-%d", i%3)))
	}
	answers := queue(t, s, events...)
	free()
	accepted(t, answers)
	// xmin is the transaction that wrote a row.
	if n := count(t, s, "select count(distinct xmin::text) from events where id like 'e-%'"); n != 1 {
		t.Errorf("%d transactions, want 1", n)
	}
	// The order in which they came is the order of each member's events, without a gap.
	if n := count(t, s, `select count(*) from (select id, row_number() over (partition by member order by id) as n, seq
		from events where id like 'e-%') e where n <> seq`); n != 0 {
		t.Errorf("%d events are out of order", n)
	}
	if n := count(t, s, "select count(*) from intents i join events e on e.id = i.event where e.id like 'e-%'"); n != len(events) {
		t.Errorf("%d intents for %d events", n, len(events))
	}
}

func TestTheSameEventTwiceInAGroup(t *testing.T) {
	s := open(t)
	if _, err := s.StoreEvents(t.Context(), []campaign.Event{event("old", "m")}); err != nil {
		t.Fatal(err)
	}
	free := busy(t, s)
	answers := queue(t, s, event("e", "m"), event("e", "m"), event("e", "other"), event("old", "m"), event("f", "m"))
	free()
	for i, want := range []store.EventStatus{
		store.EventAccepted, store.EventDuplicate, store.EventDuplicate, store.EventDuplicate, store.EventAccepted,
	} {
		if got := <-answers[i]; got.err != nil || got.status != want {
			t.Errorf("event %d: %q, %v; want %q", i, got.status, got.err, want)
		}
	}
	if n := count(t, s, "select count(*) from intents where event in ('e', 'f', 'old')"); n != 3 {
		t.Errorf("%d intents, want 3", n)
	}
}

// What PostgreSQL refuses of one event is no matter of the others'.
func TestOneBadEventInAGroup(t *testing.T) {
	s := open(t)
	free := busy(t, s)
	var events []campaign.Event
	bad := map[int]json.RawMessage{
		3: json.RawMessage(`{"text":"a\u0000b"}`), 4: json.RawMessage(`{"n":1e400000}`), 11: json.RawMessage(`{"broken"`),
	}
	for i := range 20 {
		e := event(fmt.Sprintf("e-%02d", i), "m")
		if p, ok := bad[i]; ok {
			e.Properties = p
		}
		events = append(events, e)
	}
	answers := queue(t, s, events...)
	free()
	for i, answer := range answers {
		got := <-answer
		if _, refused := bad[i]; refused {
			if campaign.CodeOf(got.err) != campaign.CodeInvalid {
				t.Errorf("event %d was answered %q, %v; want a refusal as invalid", i, got.status, got.err)
			}
			continue
		}
		if got.err != nil || got.status != store.EventAccepted {
			t.Errorf("event %d: %q, %v", i, got.status, got.err)
		}
	}
	if n := count(t, s, "select count(*) from events where member = 'm'"); n != len(events)-len(bad) {
		t.Errorf("%d events stored, want %d", n, len(events)-len(bad))
	}
}

// A caller who gives up is answered at once; the others' events are stored.
func TestACallerWhoGivesUp(t *testing.T) {
	s := open(t)
	free := busy(t, s)
	first := queue(t, s, event("e-0", "m"))
	ctx, cancel := context.WithCancel(t.Context())
	gone := tell(ctx, s, event("e-1", "m"))
	until(t, "the event is queued", func() bool { return s.Queued() == 2 })
	last := queue(t, s, event("e-2", "m"))
	cancel()
	if got := <-gone; !errors.Is(got.err, context.Canceled) {
		t.Fatalf("the caller who gave up was answered %q, %v", got.status, got.err)
	}
	free()
	accepted(t, append(first, last...))
	if n := count(t, s, "select count(*) from events where id = 'e-1'"); n != 0 {
		t.Error("an event was stored whose caller had gone before its turn")
	}
}

// A member who is held delays her own events alone, however many they are, and they
// take one connection.
func TestAHeldMemberDelaysNoOther(t *testing.T) {
	s := open(t)
	if _, err := s.StoreEvents(t.Context(), []campaign.Event{event("h-0", "held"), event("f-0", "free")}); err != nil {
		t.Fatal(err)
	}
	tx, err := s.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "select from members where id = 'held' for update"); err != nil {
		t.Fatal(err)
	}
	held := []<-chan told{tell(t.Context(), s, event("h-1", "held"))}
	until(t, "the first event waits for the member", func() bool { return waiting(t, s, "%with held%") == 1 })
	held = append(held, queue(t, s, event("h-2", "held"), event("h-3", "held"), event("h-4", "held"))...)
	accepted(t, []<-chan told{tell(t.Context(), s, event("f-1", "free")), tell(t.Context(), s, event("f-2", "free"))})
	if n := waiting(t, s, "%"); n != 1 {
		t.Errorf("%d connections wait for the member, want 1", n)
	}
	select {
	case got := <-held[0]:
		t.Fatalf("an event of a member whom somebody holds was answered %q, %v", got.status, got.err)
	default:
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	accepted(t, held)
	if n := count(t, s, "select count(*) from events where member = 'held' and id = 'h-' || (seq - 1)"); n != 5 {
		t.Errorf("%d of 5 events are in their order", n)
	}
}

// Two events of a free member that come at once do not take each other for held: neither
// has to wait for a member whom somebody really holds.
func TestTwoEventsOfAFreeMember(t *testing.T) {
	s := open(t)
	if _, err := s.StoreEvents(t.Context(), []campaign.Event{event("h-0", "held"), event("f-0", "free")}); err != nil {
		t.Fatal(err)
	}
	holder, err := s.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := holder.Exec(t.Context(), "select from members where id = 'held' for update"); err != nil {
		t.Fatal(err)
	}
	held := tell(t.Context(), s, event("h-1", "held"))
	until(t, "the first event waits for the member", func() bool { return waiting(t, s, "%with held%") == 1 })

	// A worker that has locked the free member waits for the id, which somebody else may take.
	other, err := s.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := other.Exec(t.Context(), `insert into events (id, member, seq, type, time, stored_at)
		values ('f-1', 'held', 99, 'lesson.attended', now(), now())`); err != nil {
		t.Fatal(err)
	}
	answers := []<-chan told{tell(t.Context(), s, event("f-1", "free"))}
	until(t, "the worker waits for the id", func() bool { return waiting(t, s, "%skip locked%") == 1 })
	answers = append(answers, queue(t, s, event("f-2", "free"))...)
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	accepted(t, answers)
	if err := holder.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	accepted(t, []<-chan told{held})
}

// When the connection goes, everybody in the group is told so and may try again, and the
// next event is stored.
func TestAGroupWhoseConnectionBreaks(t *testing.T) {
	s := open(t)
	free := busy(t, s)
	answers := queue(t, s, event("e-0", "m"), event("e-1", "held"), event("e-2", "m"))
	tx, err := s.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "insert into members (id, joined_at) values ('held', now())"); err != nil {
		t.Fatal(err)
	}
	free()
	until(t, "the group waits", func() bool { return waiting(t, s, "%insert into members%") == 1 })
	count(t, s, `select count(pg_terminate_backend(pid)) from pg_stat_activity
		where datname = current_database() and wait_event_type = 'Lock'`)
	for i, answer := range answers {
		if got := <-answer; campaign.CodeOf(got.err) != campaign.CodeUnavailable {
			t.Errorf("event %d was answered %q, %v; want unavailable", i, got.status, got.err)
		}
	}
	accepted(t, []<-chan told{tell(t.Context(), s, event("e-0", "m"))})
}

// Each caller waits for one answer before the next event, as a client does; meanwhile
// others hold the members now and then. Nobody's events change places.
func TestTheOrderOfOneCaller(t *testing.T) {
	s := open(t)
	const callers, members, each = 6, 3, 40
	var callersDone, holder sync.WaitGroup
	stop := make(chan struct{})
	holder.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			err := pgx.BeginFunc(t.Context(), s.Pool(), func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), "select pg_sleep(0.002) from members where id = $1 for update", fmt.Sprintf("m-%d", i%members))
				return err
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for caller := range callers {
		callersDone.Go(func() {
			for i := range each {
				e := event(fmt.Sprintf("c%d-%03d", caller, i), fmt.Sprintf("m-%d", (i+caller)%members))
				if got := <-tell(t.Context(), s, e); got.err != nil || got.status != store.EventAccepted {
					t.Errorf("%s: %q, %v", e.ID, got.status, got.err)
				}
			}
		})
	}
	callersDone.Wait()
	close(stop)
	holder.Wait()
	if n := count(t, s, `select count(*) from (
		select seq, stored_at, lag(seq) over caller as before, lag(stored_at) over caller as stored_before
		  from events window caller as (partition by member, split_part(id, '-', 1) order by id)
		) e where seq <= before or stored_at < stored_before`); n != 0 {
		t.Errorf("%d events changed places", n)
	}
	if n := count(t, s, `select count(*) from (
		select stored_at, lag(stored_at) over (partition by member order by seq) as before from events) e where stored_at < before`); n != 0 {
		t.Errorf("the clock went back for %d events", n)
	}
	if n := count(t, s, "select count(*) from events"); n != callers*each {
		t.Errorf("%d events, want %d", n, callers*each)
	}
}
