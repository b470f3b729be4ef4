package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/devstack"
	"github.com/banyanhq/banyan/store"
)

func millionBench() *benchmark {
	return &benchmark{
		name: "million", title: "a great many members in one journey, by slices",
		about: "All members enter by an event, get one message with an offer that is locked for 48 hours, and let it lapse. The campaign's clock runs so fast that 48 hours take a minute or some. " +
			"A workflow per member goes the same way in the same run, with as many members as that allows, and its cost is multiplied.",
		sizes: []size{
			{name: "members", about: "members who enter", usual: 50_000, short: 200, full: 1_000_000},
			{name: "lock", about: "seconds that 48 hours take", usual: 120, short: 5, full: 600},
			{name: "apiece", about: "members of the comparison with a workflow per member", usual: 300, short: 5, full: 1000},
		},
		run: runMillion,
	}
}

const lapseCampaign = `
campaign: lapse
title: an offer that lapses
events:
  order.paid: {order: string, offer: string, amount: money}
offers:
  card: {title: 月卡, price: 199, list_price: 299, lock: 48h}
messages:
  card-offer: "月卡 {{ yuan(offer.price) }}（原价 {{ yuan(offer.list_price) }}），为你锁价到 {{ local(offer.expires_at) }}。"
journeys:
  one:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "card"}
    steps:
      - offer: card
        announce: card-offer
        lapsed:
          - end: lapsed
`

// fast shows 48 hours in so many seconds.
func fast(seconds int) *store.DemoClock {
	clock := noon()
	clock.Factor = int64(48*60*60) / int64(seconds)
	return clock
}

// longestHistory is the bound of the design: what a server suggests a new run at.
const longestHistory = 4096

func runMillion(ctx context.Context, r *run) (err error) {
	h, err := openHouse(ctx, r, devstack.StorePostgres)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, h.close()) }()
	c, err := h.start(roleBanyan, h.url)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, c.stop()) }()
	n, few := r.size("members"), r.size("apiece")
	of, apiece := number(float64(n))+" members", number(float64(few))+" members"
	const slicesBy, membersBy = "Banyan, drive: slices", "Banyan, drive: members"
	if err := h.lapse(ctx, "", "", "members", c, 5); err != nil {
		return err
	}
	if err := h.lapse(ctx, apiece, membersBy, "members", c, few); err != nil {
		return err
	}
	if err := h.lapse(ctx, of, slicesBy, "slices", c, n); err != nil {
		return err
	}
	longest, err := h.longest(ctx, "Slice")
	if err != nil {
		return err
	}
	r.add(of, "longest history", slicesBy, "events", float64(longest))
	r.atMost(of, "events in the longest history", float64(longest), longestHistory)
	if each := r.median(apiece, "CPU, all", membersBy); each > 0 {
		r.say("A workflow per member costs %s ms of CPU each (measured with %s), so %s members would take %s CPU-hours; by slices they took %s.",
			number(each), apiece, number(float64(n)), number(each*float64(n)/3.6e6), number(r.median(of, "CPU, all", slicesBy)*float64(n)/3.6e6))
	}
	return nil
}

// lapse lets n members enter, get their message and let the offer lapse.
func (h *house) lapse(ctx context.Context, of, by, drive string, c *child, n int) error {
	clock := fast(h.run.size("lock"))
	name, err := h.submit(ctx, driven(lapseCampaign, drive), clock)
	if err != nil {
		return err
	}
	view, err := h.store.Campaign(ctx, name)
	if err != nil {
		return err
	}
	before, err := h.databaseBytes(ctx, "banyan")
	if err != nil {
		return err
	}
	watch := h.watch(c)
	from := h.cost(c)
	const page = 10_000
	for first := 0; first < n; first += page {
		events := make([]campaign.Event, min(page, n-first))
		for i := range events {
			member := fmt.Sprintf("%s-%d", name, first+i)
			events[i] = paid(member+"-trial", member, "trial", "9.90", view.Now.Add(time.Since(from.at)*time.Duration(clock.Factor)))
		}
		if err := h.tell(ctx, events); err != nil {
			return err
		}
	}
	told := time.Now()
	if err := until(ctx, 500*time.Millisecond, h.pool, int64(n), `select count(*) from journeys where campaign = $1`, name); err != nil {
		return err
	}
	entered := time.Now()
	if err := until(ctx, 500*time.Millisecond, h.pool, int64(n), `select count(*) from messages where campaign = $1 and state not in ('claimed', 'unknown')`, name); err != nil {
		return err
	}
	sent := time.Now()
	if of == "" {
		watch()
		return h.store.End(ctx, name, false) // warm enough
	}
	if err := until(ctx, 500*time.Millisecond, h.pool, int64(n), `select count(*) from journeys where campaign = $1 and outcome = 'lapsed'`, name); err != nil {
		return err
	}
	to := h.cost(c)
	memory := watch()
	if err := h.retire(ctx, name); err != nil {
		return err
	}
	r := h.run
	// On so fast a clock an offer may be over before its message is out, which drops it.
	dropped, err := one[float64](ctx, h.pool, `select 100 * avg((state <> 'sent')::int)::float8 from messages where campaign = $1`, name)
	if err != nil {
		return err
	}
	r.add(of, "messages that came too late on the fast clock", by, "%", dropped)
	r.add(of, "time until all events were accepted", by, "s", told.Sub(from.at).Seconds())
	r.add(of, "time until all had entered", by, "s", entered.Sub(from.at).Seconds())
	r.add(of, "time until all messages were sent or dropped", by, "s", sent.Sub(from.at).Seconds())
	r.add(of, "time until all offers had lapsed", by, "s", to.at.Sub(from.at).Seconds())
	r.addCPU(of, by, from, to, n)
	after, err := h.databaseBytes(ctx, "banyan")
	if err != nil {
		return err
	}
	if n >= 1000 { // fewer drown in the tables' spare room
		r.add(of, "disk, Banyan's database", by, "kB each", float64(after-before)/1000/float64(n))
	}
	memory.note(r, of, by)
	return nil
}

// memories are the readings of a watch, in the order in which they were taken.
type memories struct{ worker, server []float64 }

// watch reads the memory of the worker and of Temporal once a second until the answered
// function is called.
func (h *house) watch(c *child) (stop func() memories) {
	var m memories
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			m.worker = append(m.worker, float64(used(c.pid).Memory)/1e6)
			m.server = append(m.server, float64(used(h.server).Memory)/1e6)
			select {
			case <-quit:
				return
			case <-tick.C:
			}
		}
	}()
	return func() memories {
		close(quit)
		<-done
		return m
	}
}

// note tells the most memory there was, and whether it grew: the last quarter of the
// readings beside the second.
func (m memories) note(r *run, of, by string) {
	if len(m.worker) < 8 || slices.Max(m.worker) == 0 {
		return // too short to say, or no /proc
	}
	r.add(of, "most memory, worker and router", by, "MB", slices.Max(m.worker))
	r.add(of, "most memory, Temporal", by, "MB", slices.Max(m.server))
	quarter := len(m.worker) / 4
	growth := median(m.worker[3*quarter:]) / median(m.worker[quarter:2*quarter])
	r.atMost(of, by+": memory of worker and router in the last quarter of the time, times that in the second", growth, 1.5)
}

// longest is the length of the longest history of a type of workflow, over all runs.
func (h *house) longest(ctx context.Context, workflowType string) (longest int64, err error) {
	var token []byte
	runs := 0
	for {
		page, err := h.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: "WorkflowType = '" + workflowType + "'", NextPageToken: token,
		})
		if err != nil {
			return 0, fmt.Errorf("list the workflows of type %s: %w", workflowType, err)
		}
		for _, w := range page.GetExecutions() {
			// Visibility knows the length of a history only after its end.
			about, err := h.client.DescribeWorkflowExecution(ctx, w.GetExecution().GetWorkflowId(), w.GetExecution().GetRunId())
			if err != nil {
				return 0, fmt.Errorf("look at a workflow of type %s: %w", workflowType, err)
			}
			longest = max(longest, about.GetWorkflowExecutionInfo().GetHistoryLength())
			runs++
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			break
		}
	}
	if runs == 0 {
		return 0, fmt.Errorf("there is no workflow of type %s", workflowType)
	}
	return longest, nil
}
