package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// However many callers hand in whatever batches at once: each id is stored once, with
// one intent; each member's events are numbered upwards to the last, in an order in which
// the times of storing never go back; and who locks a member and then reads the clock
// has seen every event that was stored until then.
func TestIngestionUnderConcurrency(t *testing.T) {
	s := open(t)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		batches := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) campaign.Event {
			return event(
				fmt.Sprintf("r%d-e%d", round, rapid.IntRange(0, 40).Draw(rt, "id")),
				fmt.Sprintf("r%d-m%d", round, rapid.IntRange(0, 3).Draw(rt, "member")))
		}), 1, 12), 1, 8).Draw(rt, "batches")

		var (
			mu       sync.Mutex
			accepted = make(map[string]int)
			seen     []reading
			work     sync.WaitGroup
		)
		for _, batch := range batches {
			work.Go(func() {
				statuses, err := s.StoreEvents(t.Context(), batch)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				for i, status := range statuses {
					if status == store.EventAccepted {
						accepted[batch[i].ID]++
					}
				}
			})
			work.Go(func() {
				r, err := read(t.Context(), s, batch[0].Member)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, r)
			})
		}
		work.Wait()
		check(t.Context(), rt, s, round, batches, accepted, seen)
	})
}

// reading is what somebody saw who locked a member; its time is zero if there was none.
type reading struct {
	member string
	now    time.Time
	seq    int64
}

func read(ctx context.Context, s *store.Store, member string) (r reading, err error) {
	r.member = member
	err = pgx.BeginFunc(ctx, s.Pool(), func(tx pgx.Tx) error {
		locked, err := tx.Exec(ctx, "select from members where id = $1 for update", member)
		if err != nil || locked.RowsAffected() == 0 {
			return err // nobody is known yet, so nobody can be locked
		}
		if err := tx.QueryRow(ctx, "select clock_timestamp()").Scan(&r.now); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "select coalesce(max(seq), 0) from events where member = $1", member).Scan(&r.seq)
	})
	return r, err
}

func check(ctx context.Context, rt *rapid.T, s *store.Store, round int, batches [][]campaign.Event, accepted map[string]int, seen []reading) {
	var ids []string
	for _, batch := range batches {
		for _, e := range batch {
			ids = append(ids, e.ID)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, id := range ids {
		if accepted[id] != 1 {
			rt.Fatalf("%s was accepted %d times", id, accepted[id])
		}
	}
	like := fmt.Sprintf("r%d-%%", round)
	var stored, intents int
	if err := s.Pool().QueryRow(ctx,
		"select (select count(*) from events where id like $1), (select count(*) from intents where event like $1)", like).Scan(&stored, &intents); err != nil {
		rt.Fatal(err)
	}
	if stored != len(ids) || intents != len(ids) {
		rt.Fatalf("%d events and %d intents for %d ids", stored, intents, len(ids))
	}
	last := make(map[string]int64)
	at := make(map[string]time.Time)
	rows, err := s.Pool().Query(ctx, "select member, seq, stored_at from events where id like $1 order by member, seq", like)
	if err != nil {
		rt.Fatal(err)
	}
	var member string
	var seq int64
	var storedAt time.Time
	if _, err := pgx.ForEachRow(rows, []any{&member, &seq, &storedAt}, func() error {
		if seq <= last[member] || storedAt.Before(at[member]) {
			rt.Fatalf("%s: event %d at %v after event %d at %v", member, seq, storedAt, last[member], at[member])
		}
		for _, r := range seen {
			if r.member == member && seq > r.seq && storedAt.Before(r.now) {
				rt.Fatalf("%s: at %v event %d, stored at %v, was not seen", member, r.now, seq, storedAt)
			}
		}
		last[member], at[member] = seq, storedAt
		return nil
	}); err != nil {
		rt.Fatal(err)
	}
	for member, want := range last {
		var got int64
		var lastStored time.Time
		if err := s.Pool().QueryRow(ctx, "select event_seq, last_stored from members where id = $1", member).Scan(&got, &lastStored); err != nil {
			rt.Fatal(err)
		}
		if got != want || !lastStored.Equal(at[member]) {
			rt.Fatalf("%s remembers event %d at %v, the last is %d at %v", member, got, lastStored, want, at[member])
		}
	}
}
