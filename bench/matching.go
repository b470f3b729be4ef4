package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

func matchingBench() *benchmark {
	return &benchmark{
		name: "matching", title: "finding the journeys that wait for an event",
		about: "An event is routed to the journeys of its member that listen to its type, while N journeys of N members wait. " +
			"Routed is what the router does in PostgreSQL: lock the member, find the journeys, decide on entries, leave pokes, commit.",
		sizes: []size{
			{name: "most", about: "journeys that wait at the end; it begins with a hundred", usual: 100_000, short: 1000, full: 1_000_000},
			{name: "events", about: "events routed in each round", usual: 1000, short: 100, full: 2000},
			{name: "rounds", about: "times that each is measured", usual: 5, short: 1, full: 5},
		},
		run: runMatching,
	}
}

func runMatching(ctx context.Context, r *run) (err error) {
	h, err := openHouse(ctx, r, "")
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, h.close()) }()
	name, err := h.submit(ctx, awaitCampaign, nil)
	if err != nil {
		return err
	}
	m := &matcher{h: h, name: name, taker: &turn.Taker{Store: h.store, Programs: turn.NewCache(), Via: []string{"console"}}}
	const of = "one event, its member in one journey"
	by := func(n int) string { return number(float64(n)) + " waiting" }
	least, most := 100, r.size("most")
	if err := m.round(ctx, "", "", m.waiting, r.size("events")); err != nil { // nobody there: warms the caches
		return err
	}
	for n := least; n <= most; n *= 10 {
		if err := m.wait(ctx, n); err != nil {
			return err
		}
		for range r.size("rounds") {
			if err := m.round(ctx, of, by(n), n, r.size("events")); err != nil {
				return err
			}
		}
	}
	r.atMost(of, fmt.Sprintf("times the cost with %d waiting, with %s", least, by(most)),
		r.median(of, routed, by(most))/r.median(of, routed, by(least)), 1.5)
	return nil
}

const routed = "routed"

type matcher struct {
	h       *house
	name    string
	taker   *turn.Taker
	waiting int
	told    int
}

// wait adds members whose journeys wait until there are n.
func (m *matcher) wait(ctx context.Context, n int) error {
	if _, err := m.h.pool.Exec(ctx, `insert into members (id, joined_at) select 'm-' || i, now() from generate_series($1::int + 1, $2::int) i on conflict do nothing`, m.waiting, n); err != nil {
		return fmt.Errorf("make members: %w", err)
	}
	if _, err := m.h.pool.Exec(ctx, `
		insert into journeys (campaign, version, digest, journey, member, entry, workflow_id, state, turn, cursor, step, step_name,
		                      listens, wait_until, entered_by, entered_at)
		select v.campaign, v.version, v.digest, 'one', 'm-' || i, 1, 'journey/' || v.campaign || '/one/m-' || i || '/1', '{}', 1, 0,
		       '0', 'await lesson.attended', '{lesson.attended,order.paid}', now() + interval '30 days', 'event', now()
		  from campaign_versions v, generate_series($1::int + 1, $2::int) i
		 where v.campaign = $3`, m.waiting, n, m.name); err != nil {
		return fmt.Errorf("make journeys: %w", err)
	}
	m.waiting = n
	_, err := m.h.pool.Exec(ctx, `vacuum analyze journeys, members`)
	return err
}

// round stores events for members all over, one for each at most, and routes them: the
// pokes of a journey that hears several would be one.
func (m *matcher) round(ctx context.Context, of, by string, members, events int) error {
	if members > 0 {
		events = min(events, members)
	}
	told := make([]campaign.Event, events)
	for i := range told {
		m.told++
		told[i] = attended(fmt.Sprintf("e-%d", m.told), fmt.Sprintf("m-%d", 1+m.told*7919%max(1, members)), time.Now())
	}
	if err := m.h.tell(ctx, told); err != nil {
		return err
	}
	began, done := time.Now(), 0
	for {
		n, err := m.h.store.Route(ctx, routeBatch, func(tx *store.RouteTx) error {
			var broken error
			err := m.taker.Route(ctx, tx, func(b *turn.BrokenError) { broken = b })
			return errors.Join(err, broken)
		})
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		done += n
	}
	took := time.Since(began)
	if done != events {
		return fmt.Errorf("of %d events %d were routed", events, done)
	}
	pokes, err := one[int](ctx, m.h.pool, `with gone as (delete from intents returning kind) select count(*) from gone where kind = 'poke'`)
	if err != nil {
		return err
	}
	if of == "" {
		return nil
	}
	if pokes != events {
		return fmt.Errorf("of %d events %d found their journey", events, pokes)
	}
	m.h.run.add(of, routed, by, "µs", float64(took.Microseconds())/float64(events))
	return nil
}

// routeBatch is how many events the router takes at a time.
const routeBatch = 500
