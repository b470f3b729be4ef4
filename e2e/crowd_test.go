package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
)

// crowd is the members of the kill test: each does what her number says, when she has
// seen what leads to it. What she does is told over the HTTP API, again and again until
// it is accepted, as a shop that means to lose nothing does it.
type crowd struct {
	j    *judge
	api  *api
	size int

	released atomic.Int64 // members up to this number may begin
	told     map[string]bool
	batches  chan []campaign.Event
	flying   atomic.Int64 // requests under way
	failures atomic.Int64 // requests that failed, to be repeated
}

const (
	crowdBatch   = 10
	crowdSenders = 4
)

func member(i int) string { return fmt.Sprintf("m-%03d", i) }

// seen is what a member has seen of her journey.
type seen struct {
	member, outcome  string
	month, day, gear string // the states of her offers
}

// next is what a member does next, by her number; an empty id: nothing, for now or for
// ever. All is told at most once: the id says what it is.
func next(i int, s seen, now time.Time) campaign.Event {
	id := func(what string) string { return s.member + "-" + what }
	kind := i % 10
	lesson := attended(id("lesson"), s.member, now)
	if kind >= 4 && kind <= 6 {
		lesson.Properties = json.RawMessage(`{"lesson":"yoga"}`)
	}
	leaves := i%20 == 18 && s.month == "open"
	switch comes := kind != 7 && kind != 9 && i%20 != 8; {
	case i%20 == 8 || leaves: // takes her trial back, at once or while an offer is open
		return refunded(id("refund"), s.member, "o-"+s.member+"-trial", now)
	case kind == 9 && s.outcome == "no-show": // comes when it is too late
		return attended(id("late-lesson"), s.member, now)
	case comes && s.month+s.day+s.outcome == "":
		return lesson
	case s.month == "open" && kind <= 3:
		return paid(id("card"), s.member, "monthly-card", "199.00", now)
	case s.day == "open" && kind == 4:
		return paid(id("too-little"), s.member, "day-card", "9.00", now)
	case s.day == "lapsed" && kind == 6:
		return paid(id("too-late"), s.member, "day-card", "19.00", now)
	case s.gear == "open" && kind <= 1:
		return paid(id("gear"), s.member, "gear", "380.00", now)
	case s.gear == "open" && kind == 2 && s.outcome != "": // her journey is over, the offer is not
		return paid(id("gear"), s.member, "gear", "380.00", now)
	}
	return campaign.Event{}
}

// run lets members act until all journeys are over and nobody has anything to tell any
// more, or ctx is done.
func (c *crowd) run(ctx context.Context) error {
	var senders sync.WaitGroup
	for range crowdSenders {
		senders.Go(func() {
			for batch := range c.batches {
				c.tell(ctx, batch)
			}
		})
	}
	defer senders.Wait()
	defer close(c.batches)
	for started := 0; ctx.Err() == nil; {
		now, all, err := c.look(ctx)
		if err != nil {
			return err
		}
		var batch []campaign.Event
		for ; started < int(c.released.Load()); started++ {
			batch = append(batch, paid(member(started)+"-trial", member(started), "trial", "9.90", now))
		}
		over := 0
		for i := range c.size {
			s, known := all[member(i)]
			if !known {
				continue
			}
			if s.outcome != "" {
				over++
			}
			if e := next(i, s, now); e.ID != "" && !c.told[e.ID] {
				c.told[e.ID] = true
				batch = append(batch, e)
			}
		}
		if over == c.size && len(batch) == 0 {
			return nil
		}
		for part := range slices.Chunk(batch, crowdBatch) {
			select {
			case c.batches <- part:
			case <-ctx.Done():
			}
		}
		rest(ctx, 50*time.Millisecond)
	}
	return nil
}

// tell repeats a batch until it is accepted. That is safe: an event's id makes it count
// once, so an answer that a kill has swallowed does no harm.
func (c *crowd) tell(ctx context.Context, batch []campaign.Event) {
	for ctx.Err() == nil {
		c.flying.Add(1)
		r, err := c.api.send(ctx, batch)
		c.flying.Add(-1)
		if err == nil {
			if r.Accepted+r.Duplicates != len(batch) {
				c.j.t.Errorf("of %d events %d were accepted and %d known", len(batch), r.Accepted, r.Duplicates)
			}
			return
		}
		var refused *refusal
		if errors.As(err, &refused) && refused.status < http.StatusInternalServerError && refused.status != http.StatusTooManyRequests {
			c.j.t.Errorf("events were refused: %v", err)
			return
		}
		c.failures.Add(1)
		rest(ctx, 100*time.Millisecond)
	}
}

// look reads where everybody stands, and the campaign's clock after that: what somebody
// does because of it comes after it.
func (c *crowd) look(ctx context.Context) (time.Time, map[string]seen, error) {
	found, err := c.j.pool.Query(ctx, `
		select j.member, j.outcome,
		       coalesce((select state from offers o where o.journey = j.id and o.offer = 'monthly-card'), ''),
		       coalesce((select state from offers o where o.journey = j.id and o.offer = 'day-card'), ''),
		       coalesce((select state from offers o where o.journey = j.id and o.offer = 'gear'), '')
		  from journeys j where j.campaign = $1`, c.j.campaign)
	if err != nil {
		return time.Time{}, nil, err
	}
	all := map[string]seen{}
	list, err := pgx.CollectRows(found, func(r pgx.CollectableRow) (s seen, err error) {
		return s, r.Scan(&s.member, &s.outcome, &s.month, &s.day, &s.gear)
	})
	for _, s := range list {
		all[s.member] = s
	}
	if err != nil {
		return time.Time{}, nil, err
	}
	var now time.Time
	err = c.j.pool.QueryRow(ctx, `select clock_timestamp()`).Scan(&now)
	return c.j.clock.At(now), all, err
}
