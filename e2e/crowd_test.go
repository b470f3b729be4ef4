package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	waiting  []campaign.Event // for a batch
	batches  chan []campaign.Event
	accepted atomic.Int64
	failures atomic.Int64 // requests that failed, to be repeated
}

const (
	crowdBatch   = 10
	crowdSenders = 4
)

func member(i int) string { return fmt.Sprintf("m-%03d", i) }

// seen is what a member has seen of her journey.
type seen struct {
	member, outcome, card, gear string
}

// next is what a member does next, by her number; an empty id: nothing, for now or for
// ever. All is told at most once: the id says what it is.
func next(i int, s seen, now time.Time) campaign.Event {
	id := func(what string) string { return s.member + "-" + what }
	switch kind := i % 10; {
	case kind == 8: // takes her trial back
		return refunded(id("refund"), s.member, "o-"+s.member+"-trial", now)
	case kind == 7: // does not come
	case kind == 9: // comes when it is too late
		if s.outcome == "no-show" {
			return attended(id("late-lesson"), s.member, now)
		}
	case s.card == "" && s.outcome == "":
		return attended(id("lesson"), s.member, now)
	case s.card == "open" && kind <= 3:
		return paid(id("card"), s.member, "monthly-card", "199.00", now)
	case s.card == "open" && kind == 4:
		return paid(id("too-little"), s.member, "monthly-card", "9.00", now)
	case s.card == "lapsed" && kind == 6:
		return paid(id("too-late"), s.member, "monthly-card", "199.00", now)
	case s.gear == "open" && kind <= 1:
		return paid(id("gear"), s.member, "gear", "380.00", now)
	case s.gear == "open" && kind == 2 && s.outcome != "": // her journey is over, the offer is not
		return paid(id("gear"), s.member, "gear", "380.00", now)
	}
	return campaign.Event{}
}

// expected is how many events all members tell in the end.
func (c *crowd) expected() int {
	perTen := []int{4, 4, 4, 3, 3, 2, 3, 1, 2, 2}
	n := 0
	for i := range c.size {
		n += perTen[i%10]
	}
	return n
}

// run lets members act until all have done all, or ctx is done.
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
	started := 0
	for ctx.Err() == nil && len(c.told) < c.expected() {
		now, all, err := c.look(ctx)
		if err != nil {
			return err
		}
		var batch []campaign.Event
		for ; started < int(c.released.Load()); started++ {
			batch = append(batch, paid(member(started)+"-trial", member(started), "trial", "9.90", now))
		}
		for i := range c.size {
			if s, known := all[member(i)]; known {
				if e := next(i, s, now); e.ID != "" {
					batch = append(batch, e)
				}
			}
		}
		for _, e := range batch {
			if !c.told[e.ID] {
				c.told[e.ID] = true
				c.add(ctx, e)
			}
		}
		c.add(ctx)
		rest(ctx, 50*time.Millisecond)
	}
	return nil
}

// add collects events to a batch; called without one, it sends what there is.
func (c *crowd) add(ctx context.Context, events ...campaign.Event) {
	c.waiting = append(c.waiting, events...)
	if len(c.waiting) == 0 || len(events) > 0 && len(c.waiting) < crowdBatch {
		return
	}
	select {
	case c.batches <- c.waiting:
	case <-ctx.Done():
	}
	c.waiting = nil
}

// tell repeats a batch until it is accepted. That is safe: an event's id makes it count
// once, so an answer that a kill has swallowed does no harm.
func (c *crowd) tell(ctx context.Context, batch []campaign.Event) {
	for ctx.Err() == nil {
		r, err := c.api.send(ctx, batch)
		if err == nil {
			c.accepted.Add(int64(r.Accepted + r.Duplicates))
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
		       coalesce((select state from offers o where o.journey = j.id and o.offer = 'gear'), '')
		  from journeys j where j.campaign = $1`, c.j.campaign)
	if err != nil {
		return time.Time{}, nil, err
	}
	all := map[string]seen{}
	list, err := pgx.CollectRows(found, func(r pgx.CollectableRow) (s seen, err error) {
		return s, r.Scan(&s.member, &s.outcome, &s.card, &s.gear)
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
