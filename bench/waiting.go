package main

import (
	"context"
	"fmt"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/devstack"
)

func waitingBench() *benchmark {
	return &benchmark{
		name: "waiting", title: "journeys that wait, and how punctually they wake",
		about: "Journeys wait on a timer of 48 hours, on servers of their own for each of the compared, with Temporal on PostgreSQL. " +
			"Memory is measured when all wait and the Go processes have collected their garbage. Then some more fall due at one moment; " +
			"the delay is from that moment to the message's `sent_at`.",
		sizes: []size{
			{name: "least", about: "journeys that wait at first", usual: 1000, short: 10, full: 1000},
			{name: "most", about: "journeys that wait in the end", usual: 4000, short: 20, full: 100_000},
			{name: "due", about: "journeys that fall due at one moment", usual: 1000, short: 10, full: 1000},
		},
		run: runWaiting,
	}
}

func runWaiting(ctx context.Context, r *run) error {
	contenders := []*waiters{{by: byHand, role: roleHand}}
	for _, drive := range drives {
		contenders = append(contenders, &waiters{by: "Banyan, drive: " + drive, role: roleBanyan, drive: drive})
	}
	for _, w := range contenders {
		if err := w.measure(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", w.by, err)
		}
	}
	least, most := waitingCase(r.size("least")), waitingCase(r.size("most"))
	for _, drive := range drives {
		by := "Banyan, drive: " + drive
		for _, what := range []string{diskEach, startEach} {
			r.atMost(by, fmt.Sprintf("times the %s of the first %s", what, least), r.median(most, what, by)/r.median(least, what, by), 1.3)
		}
		of := dueCase(r)
		r.atMost(by, "times the hand-written p99 from due to sent", r.median(of, "p99", by)/r.median(of, "p99", byHand), 1.2)
	}
	return nil
}

const (
	diskEach  = "disk each"
	startEach = "time to start each"
)

func waitingCase(n int) string { return number(float64(n)) + " waiting" }

func dueCase(r *run) string {
	return fmt.Sprintf("%s due at one moment while %s wait", number(float64(r.size("due"))), number(float64(r.size("most"))))
}

// waiters is one of the compared.
type waiters struct {
	by, role, drive string
	h               *house
	c               *child
	waiting         int
	disk            int64
}

func (w *waiters) measure(ctx context.Context, r *run) (err error) {
	if w.h, err = openHouse(ctx, r, devstack.StorePostgres); err != nil {
		return err
	}
	defer func() { err = firstOf(err, w.h.close()) }()
	if w.c, err = w.h.start(w.role, map[string]string{roleBanyan: w.h.url, roleHand: w.h.handURL}[w.role]); err != nil {
		return err
	}
	defer func() { err = firstOf(err, w.c.stop()) }()
	// A few that are done at once warm all caches.
	if err := w.due(ctx, "", 10, 2*time.Second); err != nil {
		return err
	}
	if w.disk, err = w.bytes(ctx); err != nil {
		return err
	}
	for _, n := range []int{r.size("least"), r.size("most")} {
		if err := w.wait(ctx, n); err != nil {
			return err
		}
	}
	// Twice the time that it takes to start them, so that all wait when they fall due.
	n := r.size("due")
	each := max(r.median(waitingCase(r.size("least")), startEach, w.by), r.median(waitingCase(r.size("most")), startEach, w.by))
	return w.due(ctx, dueCase(r), n, 5*time.Second+time.Duration(2*float64(n)*each)*time.Millisecond)
}

// wait starts journeys until n wait, and measures what they hold.
func (w *waiters) wait(ctx context.Context, n int) error {
	of, r, more := waitingCase(n), w.h.run, n-w.waiting
	from := w.h.cost(w.c)
	id, err := w.start(ctx, more, time.Now().Add(48*time.Hour), 48*time.Hour)
	if err != nil {
		return err
	}
	to := w.h.cost(w.c)
	if w.role == roleBanyan {
		if err := w.h.retire(ctx, id); err != nil {
			return err
		}
	}
	w.waiting = n
	r.add(of, startEach, w.by, "ms", float64(to.at.Sub(from.at).Microseconds())/1000/float64(more))
	r.addCPU(of, w.by, from, to, more)
	disk, err := w.bytes(ctx)
	if err != nil {
		return err
	}
	r.add(of, diskEach, w.by, "kB", float64(disk-w.disk)/1000/float64(more))
	w.disk = disk
	worker, err := w.c.freshHeap()
	if err != nil {
		return err
	}
	if worker > 0 {
		r.add(of, "memory, worker", w.by, "MB", float64(worker)/1e6)
		r.add(of, "memory, Temporal", w.by, "MB", float64(used(w.h.server).Memory)/1e6)
		r.add(of, "memory, PostgreSQL", w.by, "MB", float64(used(w.h.database).Memory)/1e6)
	}
	return nil
}

// bytes is what all databases take on disk.
func (w *waiters) bytes(ctx context.Context) (int64, error) {
	return one[int64](ctx, w.h.pool, `select sum(pg_database_size(datname))::bigint from pg_database where datname <> 'template0'`)
}

// due starts n journeys that fall due at one moment, and waits until all are done.
func (w *waiters) due(ctx context.Context, of string, n int, in time.Duration) error {
	due := time.Now().Add(in).Truncate(time.Millisecond)
	id, err := w.start(ctx, n, due, in)
	if err != nil {
		return err
	}
	if of != "" && time.Now().After(due) {
		return fmt.Errorf("%d journeys took longer to start than the %s until they fall due; fewer may do, with --waiting.due", n, in)
	}
	pool, done := w.h.pool, `select count(*) from journeys where campaign = $1 and status = 'done'`
	late := `select extract(epoch from sent_at - $2) * 1000 from messages where campaign = $1`
	if w.role == roleHand {
		pool, done = w.h.hand, `select count(*) from journeys where starts_with(id, $1) and status = 'done'`
		late = `select extract(epoch from sent_at - $2) * 1000 from messages where starts_with(journey, $1)`
	}
	if err := until(ctx, 50*time.Millisecond, pool, int64(n), done, id); err != nil {
		return err
	}
	if w.role == roleBanyan {
		if err := until(ctx, 50*time.Millisecond, pool, 0, unsent, id); err != nil {
			return err
		}
		if err := w.h.retire(ctx, id); err != nil {
			return err
		}
	}
	if of == "" {
		return nil
	}
	return w.h.run.latencies(ctx, w.h, of, w.by, late, id, due)
}

// start starts n journeys that wait until a moment, and waits until all of them do. It
// answers the campaign, or how the ids of those by hand begin.
func (w *waiters) start(ctx context.Context, n int, due time.Time, wait time.Duration) (id string, err error) {
	h := w.h
	if w.role == roleHand {
		h.run.houses++
		id = fmt.Sprintf("h%d-", h.run.houses)
		entries := make([]handEntry, n)
		for i := range entries {
			member := fmt.Sprintf("%s%d", id, i)
			entries[i] = handEntry{Journey: member, Member: member, Due: due}
		}
		if err := h.begin(ctx, handWait, entries); err != nil {
			return "", err
		}
		return id, until(ctx, poll, h.hand, int64(n), `select count(*) from journeys where starts_with(id, $1)`, id)
	}
	wait = wait.Truncate(time.Second)
	if id, err = h.submit(ctx, driven(fmt.Sprintf(waitCampaign, campaign.FormatDuration(wait)), w.drive), nil); err != nil {
		return "", err
	}
	events := make([]campaign.Event, n)
	for i := range events {
		member := fmt.Sprintf("%s-%d", id, i)
		events[i] = paid(member+"-trial", member, "trial", "9.90", due.Add(-wait))
	}
	if err := h.tell(ctx, events); err != nil {
		return "", err
	}
	return id, until(ctx, poll, h.pool, int64(n), `select count(*) from journeys where campaign = $1 and turn > 0`, id)
}
