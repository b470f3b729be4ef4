package main

import (
	"context"
	"fmt"

	"go.temporal.io/api/enums/v1"

	"github.com/banyanhq/banyan/devstack"
)

func historyBench() *benchmark {
	return &benchmark{
		name: "history", title: "what a journey leaves behind",
		about: "Every workflow's history is read after its end. The paper minimum is what the sends and waits of the same way can cost on Temporal: " +
			"5 + 6k + 5m + 4s + 2c events and 3 + 4k + 3m + 3s transitions for k activities, m timers that fire, s signals that wake and c timers that a signal cancels, " +
			"with an activity for each send and nothing else. With sends as local activities a send costs an event and no transition: that is the lower minimum. " +
			"Rows and bytes are those of the service's own database, with its indexes, without Temporal's.",
		sizes: []size{{name: "journeys", about: "journeys of each kind", usual: 100, short: 4, full: 500}},
		run:   runHistory,
	}
}

// paper counts what a way through a campaign must cost on Temporal.
type paper struct{ sends, fired, signals, cancelled int }

func (p paper) events() float64 {
	return float64(5 + 6*p.sends + 5*p.fired + 4*p.signals + 2*p.cancelled)
}

// local counts the same with sends that need no task of their own.
func (p paper) local() paper {
	return paper{fired: p.fired, signals: p.signals, cancelled: p.cancelled}
}

func (p paper) transitions() float64 { return float64(3 + 4*p.sends + 3*p.fired + 3*p.signals) }

func runHistory(ctx context.Context, r *run) (err error) {
	h, err := openHouse(ctx, r, devstack.StorePostgres)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, h.close()) }()
	n := r.size("journeys")
	for _, way := range []struct {
		of    string
		walk  *course
		paper paper
	}{
		{"one message", messageCourse, paper{sends: 1}},
		// welcome, card offer, receipt, gear offer; a lesson and two orders, each of which
		// comes before the timer that waits beside it.
		{"the funnel", funnelCourse, paper{sends: 4, signals: 3, cancelled: 3}},
	} {
		of := way.of
		r.add(of, eventsEach, "paper minimum", "", way.paper.events())
		r.add(of, transitionsEach, "paper minimum", "", way.paper.transitions())
		r.add(of, eventsEach, "paper minimum, local sends", "", way.paper.local().events()+float64(way.paper.sends))
		r.add(of, transitionsEach, "paper minimum, local sends", "", way.paper.local().transitions())
		if err := h.leavesByHand(ctx, of, way.walk, n); err != nil {
			return err
		}
		for _, drive := range drives {
			if err := h.leaves(ctx, of, way.walk, drive, n); err != nil {
				return err
			}
		}
		got := r.median(of, eventsEach, "Banyan, drive: members")
		if way.walk == messageCourse {
			r.atMost(of, "history events with drive: members", got, 14)
		} else {
			r.atMost(of, "times the paper minimum's events with drive: members", got/way.paper.events(), 1.3)
		}
	}
	return nil
}

const (
	eventsEach      = "history events"
	transitionsEach = "state transitions"
)

func (h *house) leavesByHand(ctx context.Context, of string, walk *course, n int) error {
	before, err := h.rows(ctx, byHand)
	if err != nil {
		return err
	}
	c, err := h.start(roleHand, h.handURL)
	if err != nil {
		return err
	}
	entries, err := h.walkByHand(ctx, walk, n)
	if err == nil {
		ids := make([]string, len(entries))
		for i, e := range entries {
			ids[i] = e.Journey
		}
		err = h.histories(ctx, of, byHand, ids, n)
	}
	if err := firstOf(err, c.stop()); err != nil {
		return err
	}
	after, err := h.rows(ctx, byHand)
	h.left(of, byHand, before, after, n)
	return err
}

func (h *house) leaves(ctx context.Context, of string, walk *course, drive string, n int) error {
	by := "Banyan, drive: " + drive
	before, err := h.rows(ctx, by)
	if err != nil {
		return err
	}
	c, err := h.start(roleBanyan, h.url)
	if err != nil {
		return err
	}
	name, err := h.walkBanyan(ctx, walk, drive, n)
	if err == nil {
		var ids []string
		if ids, err = h.workflows(ctx, name, drive); err == nil {
			err = h.histories(ctx, of, by, ids, n)
		}
	}
	if err := firstOf(err, c.stop()); err != nil {
		return err
	}
	after, err := h.rows(ctx, by)
	h.left(of, by, before, after, n)
	return err
}

// workflows are the ids of the workflows that turn a campaign's journeys.
func (h *house) workflows(ctx context.Context, name, drive string) (ids []string, err error) {
	if drive == "members" {
		err = h.pool.QueryRow(ctx, `select array_agg(workflow_id order by id) from journeys where campaign = $1`, name).Scan(&ids)
		return ids, err
	}
	err = h.pool.QueryRow(ctx, `select array_agg(workflow_id order by id) from slices where campaign = $1`, name).Scan(&ids)
	return ids, err
}

// histories adds up the histories of workflows and notes the mean for each of n journeys.
func (h *house) histories(ctx context.Context, of, by string, ids []string, n int) error {
	var events, bytes, transitions, longest float64
	for _, id := range ids {
		// The last write of a journey comes a moment before the end of its workflow.
		if by == byHand || by == "Banyan, drive: members" {
			if err := h.client.GetWorkflow(ctx, id, "").Get(ctx, nil); err != nil {
				return fmt.Errorf("wait for workflow %s: %w", id, err)
			}
		}
		about, err := h.client.DescribeWorkflowExecution(ctx, id, "")
		if err != nil {
			return fmt.Errorf("look at workflow %s: %w", id, err)
		}
		info := about.GetWorkflowExecutionInfo()
		transitions += float64(info.GetStateTransitionCount())
		all, size := 0, 0
		for history := h.client.GetWorkflowHistory(ctx, id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); history.HasNext(); {
			e, err := history.Next()
			if err != nil {
				return fmt.Errorf("read the history of %s: %w", id, err)
			}
			all++
			size += e.Size()
		}
		events += float64(all)
		bytes += float64(size)
		longest = max(longest, float64(all))
	}
	h.run.add(of, eventsEach, by, "", events/float64(n))
	h.run.add(of, "history bytes", by, "", bytes/float64(n))
	h.run.add(of, transitionsEach, by, "", transitions/float64(n))
	h.run.add(of, "longest history", by, "events", longest)
	return nil
}

// kept is what a database holds.
type kept struct{ rows, bytes int64 }

func (h *house) rows(ctx context.Context, by string) (k kept, err error) {
	pool := h.pool
	if by == byHand {
		pool = h.hand
	}
	// Frozen rows and a fresh map: only what is needed is left.
	if _, err := pool.Exec(ctx, "vacuum full analyze"); err != nil {
		return k, fmt.Errorf("put away dead rows: %w", err)
	}
	err = pool.QueryRow(ctx, `
		select coalesce(sum(s.n_live_tup), 0)::bigint, coalesce(sum(pg_total_relation_size(s.relid)), 0)::bigint
		  from pg_stat_user_tables s`).Scan(&k.rows, &k.bytes)
	return k, err
}

func (h *house) left(of, by string, before, after kept, n int) {
	h.run.add(of, "rows in PostgreSQL", by, "", float64(after.rows-before.rows)/float64(n))
	h.run.add(of, "bytes in PostgreSQL", by, "", float64(after.bytes-before.bytes)/float64(n))
}
