package main

import (
	"context"
	"fmt"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/devstack"
	"github.com/banyanhq/banyan/store"
)

func journeysBench() *benchmark {
	return &benchmark{
		name: "journeys", title: "journeys a second",
		about: "From the first event told to the last journey done and the last message written down. The hand-written service is a plain Temporal " +
			"workflow for the same campaign: an activity for each send and for each write to PostgreSQL, signals that carry what happened, timers. " +
			"It runs on the same servers, one after the other, with the worker options that Banyan's worker has. The funnel goes in step: all have bought the trial, " +
			"then all have come, then all buy the card, then the gear.",
		sizes: []size{
			{name: "rounds", about: "times that each is measured", usual: 2, short: 1, full: 3},
			{name: "messages", about: "journeys of one message, a workflow each; 0 leaves them out", usual: 300, short: 10, full: 2000},
			{name: "funnels", about: "journeys of the funnel, a workflow each; 0 leaves them out", usual: 60, short: 4, full: 300},
			{name: "embedded", about: "1 measures on the embedded server, 0 does not", usual: 1, short: 0, full: 1},
			{name: "postgres", about: "1 measures with Temporal on PostgreSQL, 0 does not", usual: 1, short: 1, full: 1},
			{name: "slices", about: "how many times as many go by slices", usual: 20, short: 2, full: 50},
		},
		run: runJourneys,
	}
}

func runJourneys(ctx context.Context, r *run) error {
	servers := []struct{ size, store, name string }{
		{"embedded", devstack.StoreSQLite, "the embedded server"}, {"postgres", devstack.StorePostgres, "Temporal on PostgreSQL"},
	}
	for _, on := range servers {
		if r.size(on.size) == 0 {
			continue
		}
		if err := journeysOn(ctx, r, on.store, on.name); err != nil {
			return err
		}
	}
	return nil
}

const perSecond = "journeys a second"

func journeysOn(ctx context.Context, r *run, temporalStore, on string) (err error) {
	h, err := openHouse(ctx, r, temporalStore)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, h.close()) }()
	for _, walk := range []struct {
		name, size string
		of         *course
	}{
		{"one message", "messages", messageCourse},
		{"the funnel", "funnels", funnelCourse},
	} {
		if r.size(walk.size) == 0 {
			continue
		}
		of := walk.name + ", " + on
		compared := []func(int) error{func(int) error { return h.timed(ctx, of, byHand, roleHand, walk.of, "", r.size(walk.size)) }}
		for _, drive := range drives {
			n := r.size(walk.size)
			if drive == "slices" {
				n *= r.size("slices")
			}
			compared = append(compared, func(int) error { return h.timed(ctx, of, "Banyan, drive: "+drive, roleBanyan, walk.of, drive, n) })
		}
		if err := rounds(r.size("rounds"), compared...); err != nil {
			return err
		}
		for _, drive := range drives {
			limit := map[string]float64{"members": 1.5, "slices": 60}[drive]
			r.atLeast(of, "times the hand-written rate with drive: "+drive,
				r.median(of, perSecond, "Banyan, drive: "+drive)/r.median(of, perSecond, byHand), limit)
		}
	}
	return nil
}

// timed lets n journeys run in a process of their own and notes how long they took and
// what they cost.
func (h *house) timed(ctx context.Context, of, by, role string, walk *course, drive string, n int) (err error) {
	c, err := h.start(role, map[string]string{roleBanyan: h.url, roleHand: h.handURL}[role])
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, c.stop()) }()
	// The first journeys of a process pay for connections, plans and caches.
	if err := h.walk(ctx, role, walk, drive, min(10, n)); err != nil {
		return err
	}
	from := h.cost(c)
	if err := h.walk(ctx, role, walk, drive, n); err != nil {
		return err
	}
	to := h.cost(c)
	h.run.add(of, perSecond, by, "", float64(n)/to.at.Sub(from.at).Seconds())
	h.run.addCPU(of, by, from, to, n)
	return nil
}

// walk takes n members through a course, Banyan's way or by hand.
func (h *house) walk(ctx context.Context, role string, walk *course, drive string, n int) error {
	if role == roleHand {
		_, err := h.walkByHand(ctx, walk, n)
		return err
	}
	_, err := h.walkBanyan(ctx, walk, drive, n)
	return err
}

// course is a way through a campaign, in both forms.
type course struct {
	source func() (string, error)
	hand   any     // the hand-written workflow
	stages []stage // what happens after the start, each when all have arrived
}

// stage is what happens to everybody at one point of the course.
type stage struct {
	waiting     string // step name of those who have arrived, in Banyan's table
	handWaiting string // question that counts those who have arrived by hand; $1: how their ids begin
	event       func(member string, at time.Time) campaign.Event
	signal      string
	value       any
}

var messageCourse = &course{
	source: func() (string, error) { return messageCampaign, nil },
	hand:   handMessage,
}

var funnelCourse = &course{
	source: funnelCampaign,
	hand:   handFunnel,
	stages: []stage{
		{
			waiting: "await lesson.attended", handWaiting: `select count(*) from messages where name = 'welcome' and starts_with(journey, $1)`,
			event:  func(m string, at time.Time) campaign.Event { return attended(m+"-lesson", m, at) },
			signal: signalLesson, value: lesson{"intro"},
		},
		{
			waiting: "offer monthly-card", handWaiting: `select count(*) from messages where name = 'card-offer' and starts_with(journey, $1)`,
			event:  func(m string, at time.Time) campaign.Event { return paid(m+"-card", m, "monthly-card", "199.00", at) },
			signal: signalPaid, value: order{"o-card", "monthly-card", 19900},
		},
		{
			waiting: "offer gear", handWaiting: `select count(*) from messages where name = 'gear-offer' and starts_with(journey, $1)`,
			event:  func(m string, at time.Time) campaign.Event { return paid(m+"-gear", m, "gear", "380.00", at) },
			signal: signalPaid, value: order{"o-gear", "gear", 38000},
		},
	},
}

// poll is how often the benchmark looks whether everybody has arrived: often enough for
// the rates, seldom enough that the looking costs next to nothing.
const poll = 50 * time.Millisecond

// unsent counts a campaign's messages that are still on their way.
const unsent = `select count(*) from messages where campaign = $1 and state in ('claimed', 'unknown')`

// noon is what a campaign's clock shows at its start: an hour at which messages go out.
// The clock runs twice as fast as real time, because one that is set has to.
func noon() *store.DemoClock {
	return &store.DemoClock{Factor: 2, From: time.Date(2026, 12, 1, 10, 0, 0, 0, time.FixedZone("", 8*3600))}
}

// walkBanyan takes n new members through the course and answers the campaign's name.
func (h *house) walkBanyan(ctx context.Context, walk *course, drive string, n int) (name string, err error) {
	source, err := walk.source()
	if err != nil {
		return "", err
	}
	if name, err = h.submit(ctx, driven(source, drive), noon()); err != nil {
		return "", err
	}
	member := func(i int) string { return fmt.Sprintf("%s-%d", name, i) }
	if _, err := h.pool.Exec(ctx, `insert into members (id, joined_at, attributes)
		select $1 || '-' || i, '2026-11-30', '{"name":"小明","city":"上海","level":"silver"}' from generate_series(0, $2::int - 1) i`, name, n); err != nil {
		return "", fmt.Errorf("make members: %w", err)
	}
	tell := func(event func(member string, at time.Time) campaign.Event) error {
		view, err := h.store.Campaign(ctx, name)
		if err != nil {
			return err
		}
		events := make([]campaign.Event, n)
		for i := range events {
			events[i] = event(member(i), view.Now)
		}
		return h.tell(ctx, events)
	}
	if err := tell(func(m string, at time.Time) campaign.Event { return paid(m+"-trial", m, "trial", "9.90", at) }); err != nil {
		return "", err
	}
	for _, s := range walk.stages {
		if err := until(ctx, poll, h.pool, int64(n), `select count(*) from journeys where campaign = $1 and status = 'active' and step_name = $2`, name, s.waiting); err != nil {
			return "", err
		}
		if err := until(ctx, poll, h.pool, 0, unsent, name); err != nil {
			return "", err
		}
		if err := tell(s.event); err != nil {
			return "", err
		}
	}
	if err := until(ctx, poll, h.pool, int64(n), `select count(*) from journeys where campaign = $1 and status = 'done'`, name); err != nil {
		return "", err
	}
	if err := until(ctx, poll, h.pool, 0, unsent, name); err != nil {
		return "", err
	}
	return name, h.retire(ctx, name)
}

// walkByHand takes n new members through the hand-written workflow.
func (h *house) walkByHand(ctx context.Context, walk *course, n int) (entries []handEntry, err error) {
	h.run.houses++
	head := fmt.Sprintf("h%d-", h.run.houses)
	entries = make([]handEntry, n)
	for i := range entries {
		member := fmt.Sprintf("%s%d", head, i)
		entries[i] = handEntry{Journey: member, Member: member, Name: "小明"}
	}
	if _, err := h.hand.Exec(ctx, `insert into members (id, name) select $1 || i, '小明' from generate_series(0, $2::int - 1) i`, head, n); err != nil {
		return nil, fmt.Errorf("make members: %w", err)
	}
	if err := h.begin(ctx, walk.hand, entries); err != nil {
		return nil, err
	}
	for _, s := range walk.stages {
		if err := until(ctx, poll, h.hand, int64(n), s.handWaiting, head); err != nil {
			return nil, err
		}
		if err := h.signal(ctx, entries, s.signal, func(int) any { return s.value }); err != nil {
			return nil, err
		}
	}
	return entries, until(ctx, poll, h.hand, int64(n), `select count(*) from journeys where status = 'done' and starts_with(id, $1)`, head)
}
