package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/activities"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/devstack"
)

func tuningBench() *benchmark {
	b := &benchmark{
		name: "tuning", title: "other ways to run a member's journey",
		about: "The shipped configuration takes turns with one that differs in one respect, on the same servers, with drive: members and Temporal on PostgreSQL; " +
			"each runs in a process of its own. A ratio is that of a variant to the shipped process that ran just before it. " +
			"Some of the variants are not meant to be used: they show what something costs, or what a change of the design would bring. " +
			"Events and transitions are those of some of the journeys. At last journeys that wait are told several events each that do not end their wait, " +
			"at once and one after the other.",
		sizes: []size{
			{name: "rounds", about: "times that each pair is measured", usual: 2, short: 1, full: 5},
			{name: "messages", about: "journeys of one message, a workflow each; 0 leaves them out", usual: 150, short: 3, full: 500},
			{name: "funnels", about: "journeys of the funnel, a workflow each; 0 leaves them out", usual: 40, short: 0, full: 150},
			{name: "listeners", about: "journeys that wait and are told events; 0 leaves them out", usual: 100, short: 3, full: 300},
			{name: "told", about: "events that each of those is told", usual: 5, short: 2, full: 5},
		},
		run: runTuning,
	}
	for _, v := range variants {
		b.sizes = append(b.sizes, size{
			name: v.name, about: v.by + ": 1 with one message, 2 with the funnel, 3 with both, 0 not at all",
			usual: v.usual, short: v.short, full: onMessage | onFunnel,
		})
	}
	return b
}

// The courses on which a variant is measured, as bits of its size.
const (
	onMessage = 1
	onFunnel  = 2
)

// variant is a way to run a router and a worker that differs from the shipped one. What
// is zero is as shipped.
type variant struct {
	name         string // of its size
	by           string
	usual, short int

	regular    bool // turns are regular activities, which the server may hand out with the workflow task
	dispatched bool // as regular ones, and always through the task queue
	lateStart  bool // the first workflow task comes through the task queue and not with the answer to the start
	queueSends bool // every send through its channel's task queue
	noUpserts  bool // search attributes are never written
	cache      *int
	workers    func(*worker.Options)
	garbage    int // percent by which the heap grows between collections
}

var variants = []*variant{
	{name: "regular", by: "turns as regular activities", usual: onMessage, short: onMessage, regular: true},
	{name: "dispatched", by: "turns as regular activities, never eager", usual: onMessage, regular: true, dispatched: true},
	{name: "late", by: "no eager start", usual: onMessage | onFunnel, short: onMessage, lateStart: true},
	{name: "sends", by: "every send through its channel's task queue", usual: onMessage | onFunnel, short: onMessage, queueSends: true},
	{name: "upserts", by: "search attributes never updated", usual: onMessage | onFunnel, noUpserts: true},
	{name: "uncached", by: "no sticky cache", usual: onFunnel, cache: new(0)},
	// Far fewer than the journeys that wait: nearly every poke meets one that was dropped.
	{name: "cached", by: "a sticky cache of 16", usual: onFunnel, cache: new(16)},
	{name: "pollers", by: "two pollers of each kind", usual: onMessage, workers: func(o *worker.Options) {
		two := worker.NewPollerBehaviorSimpleMaximum(worker.PollerBehaviorSimpleMaximumOptions{MaximumNumberOfPollers: 2})
		o.WorkflowTaskPollerBehavior, o.ActivityTaskPollerBehavior = two, two
	}},
	{name: "tasks", by: "four workflow tasks at a time", usual: onMessage, workers: func(o *worker.Options) { o.MaxConcurrentWorkflowTaskExecutionSize = 4 }},
	{name: "garbage", by: "garbage collected at 400 %", usual: onMessage, garbage: 400},
}

func runTuning(ctx context.Context, r *run) (err error) {
	h, err := openHouse(ctx, r, devstack.StorePostgres)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, h.close()) }()
	for _, walk := range []struct {
		name, size string
		bit        int
		of         *course
	}{
		{"one message", "messages", onMessage, messageCourse},
		{"the funnel", "funnels", onFunnel, funnelCourse},
	} {
		if r.size(walk.size) == 0 {
			continue
		}
		var pairs []func(int) error
		for _, v := range variants {
			if r.size(v.name)&walk.bit != 0 {
				pairs = append(pairs, func(int) error { return h.pair(ctx, walk.name, v, walk.of, r.size(walk.size)) })
			}
		}
		if err := rounds(r.size("rounds"), pairs...); err != nil {
			return err
		}
	}
	r.atMost("one message", "history events as shipped", r.median("one message", eventsEach, shipped), 14)
	if n := r.size("listeners"); n > 0 {
		return h.pokes(ctx, n, r.size("told"))
	}
	return nil
}

const shipped = "as shipped"

// pair measures the shipped configuration and a variant, one after the other.
func (h *house) pair(ctx context.Context, of string, v *variant, walk *course, n int) error {
	base, err := h.tuned(ctx, of, &variant{by: shipped}, walk, n)
	if err != nil {
		return err
	}
	got, err := h.tuned(ctx, of, v, walk, n)
	if err != nil {
		return fmt.Errorf("%s: %w", v.by, err)
	}
	h.run.add(of, "times the shipped rate", v.by, "", base.took.Seconds()/got.took.Seconds())
	if base.cpu > 0 {
		h.run.add(of, "times the shipped CPU", v.by, "", got.cpu.Seconds()/base.cpu.Seconds())
	}
	return nil
}

// spent is what some journeys took.
type spent struct{ took, cpu time.Duration }

func spentBetween(from, to cost) spent {
	cpu := func(c cost) time.Duration { return c.worker.CPU + c.server.CPU + c.postgre.CPU }
	return spent{to.at.Sub(from.at), cpu(to) - cpu(from)}
}

// tuned lets n journeys run in a process of a variant.
func (h *house) tuned(ctx context.Context, of string, v *variant, walk *course, n int) (s spent, err error) {
	c, err := h.start(roleBanyan, h.url, envTuning+"="+v.name)
	if err != nil {
		return s, err
	}
	defer func() { err = firstOf(err, c.stop()) }()
	if _, err := h.walkBanyan(ctx, walk, "members", min(10, n)); err != nil {
		return s, err
	}
	from := h.cost(c)
	name, err := h.walkBanyan(ctx, walk, "members", n)
	if err != nil {
		return s, err
	}
	to := h.cost(c)
	h.run.add(of, perSecond, v.by, "", float64(n)/to.at.Sub(from.at).Seconds())
	h.run.addCPU(of, v.by, from, to, n)
	ids, err := h.some(ctx, name)
	if err != nil {
		return s, err
	}
	for _, id := range ids {
		// The last write of a journey comes a moment before the end of its workflow.
		if err := h.client.GetWorkflow(ctx, id, "").Get(ctx, nil); err != nil {
			return s, fmt.Errorf("wait for workflow %s: %w", id, err)
		}
	}
	t, err := h.tally(ctx, ids)
	if err != nil {
		return s, err
	}
	each := func(n int64) float64 { return float64(n) / float64(len(ids)) }
	h.run.add(of, eventsEach, v.by, "", each(t.events))
	h.run.add(of, transitionsEach, v.by, "", each(t.transitions))
	h.run.add(of, "eager starts that the server granted", v.by, "%", 100*each(t.eager))
	return spentBetween(from, to), nil
}

// sample is how many of the journeys' histories are read: they hardly differ.
const sample = 20

// some are the workflows of some of a campaign's journeys.
func (h *house) some(ctx context.Context, name string) ([]string, error) {
	ids, err := h.workflows(ctx, name, "members")
	return ids[:min(sample, len(ids))], err
}

// tally is what histories hold, all together.
type tally struct{ events, transitions, tasks, turns, signals, eager int64 }

func (h *house) tally(ctx context.Context, ids []string) (t tally, err error) {
	for _, id := range ids {
		about, err := h.client.DescribeWorkflowExecution(ctx, id, "")
		// A turn is in PostgreSQL a moment before its workflow task is over.
		for ; err == nil && about.GetPendingWorkflowTask() != nil; about, err = h.client.DescribeWorkflowExecution(ctx, id, "") {
			time.Sleep(poll)
		}
		if err != nil {
			return t, fmt.Errorf("look at workflow %s: %w", id, err)
		}
		t.transitions += about.GetWorkflowExecutionInfo().GetStateTransitionCount()
		for history := h.client.GetWorkflowHistory(ctx, id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); history.HasNext(); {
			e, err := history.Next()
			if err != nil {
				return t, fmt.Errorf("read the history of %s: %w", id, err)
			}
			t.events++
			switch e.GetEventType() {
			case enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
				t.tasks++
			case enums.EVENT_TYPE_MARKER_RECORDED:
				t.turns++
			case enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
				t.signals++
			case enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
				if e.GetWorkflowExecutionStartedEventAttributes().GetEagerExecutionAccepted() {
					t.eager++
				}
			default: // only one more event
			}
		}
	}
	return t, nil
}

// pokes tells n waiting journeys several events each, at once and then one after the
// other: what the coalescing of pokes saves.
func (h *house) pokes(ctx context.Context, n, told int) (err error) {
	c, err := h.start(roleBanyan, h.url)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, c.stop()) }()
	name, err := h.submit(ctx, awaitCampaign, nil)
	if err != nil {
		return err
	}
	events := func(first, last int, offer string) (list []campaign.Event) {
		for i := range n {
			member := fmt.Sprintf("%s-%d", name, i)
			for at := first; at < last; at++ {
				list = append(list, paid(fmt.Sprintf("%s-%s-%d", member, offer, at), member, offer, "9.90", time.Now()))
			}
		}
		return list
	}
	if err := h.tell(ctx, events(0, 1, "trial")); err != nil {
		return err
	}
	if err := until(ctx, poll, h.pool, int64(n), `select count(*) from journeys where campaign = $1 and turn > 0`, name); err != nil {
		return err
	}
	ids, err := h.some(ctx, name)
	if err != nil {
		return err
	}
	of := fmt.Sprintf("%d events for a journey that waits", told)
	before, err := h.tally(ctx, ids)
	if err != nil {
		return err
	}
	for _, way := range []struct {
		by   string
		step int
	}{{"told at once", told}, {"told one after the other", 1}} {
		from := h.cost(c)
		for at := 0; at < told; at += way.step {
			if err := h.tell(ctx, events(at, at+way.step, strings.ReplaceAll(way.by, " ", "-"))); err != nil {
				return err
			}
			if err := until(ctx, poll, h.pool, int64(n), heard, name); err != nil {
				return err
			}
		}
		to := h.cost(c)
		h.run.addCPU(of, way.by, from, to, n)
		after, err := h.tally(ctx, ids)
		if err != nil {
			return err
		}
		for _, got := range []struct {
			what string
			n    int64
		}{
			{"pokes", after.signals - before.signals},
			{"workflow tasks", after.tasks - before.tasks},
			{"turns", after.turns - before.turns},
			{eventsEach, after.events - before.events},
			{transitionsEach, after.transitions - before.transitions},
		} {
			h.run.add(of, got.what, way.by, "", float64(got.n)/float64(len(ids)))
		}
		before = after
	}
	h.run.atMost(of, "pokes for those told at once", h.run.median(of, "pokes", "told at once"), 2)
	return nil
}

// heard counts a campaign's journeys that have judged every event of their member, and
// for which no poke is on its way any more.
const heard = `select count(*) from journeys j where j.campaign = $1 and j.cursor = (select max(e.seq) from events e where e.member = j.member)
	and not exists (select from intents i where i.journey = j.id)`

// envTuning names the variant that a process is.
const envTuning = "BENCH_TUNING"

// tune is the variant of that name; one without a name is as shipped.
func tune(name string) (*variant, error) {
	if name == "" {
		return &variant{}, nil
	}
	for _, v := range variants {
		if v.name == name {
			return v, nil
		}
	}
	return nil, fmt.Errorf("there is no variant %q", name)
}

// apply changes this process and the options of its client, and through those the
// workers that are made from it. The answer is for worker.Config.Measure: it changes the
// activities.
func (v *variant) apply(o *client.Options) (note func(*activities.Activities), err error) {
	if v.name == "" {
		return nil, nil
	}
	if v.cache != nil {
		worker.SetStickyWorkflowCacheSize(*v.cache)
	}
	if v.garbage != 0 {
		debug.SetGCPercent(v.garbage)
	}
	plugin, err := temporal.NewSimplePlugin(temporal.SimplePluginOptions{
		Name: v.name,
		ConfigureWorker: func(_ context.Context, of worker.PluginConfigureWorkerOptions) error {
			if v.workers != nil {
				v.workers(of.WorkerOptions)
			}
			return nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make a plugin: %w", err)
	}
	o.Plugins = append(o.Plugins, plugin)
	// What is a client's interceptor and a worker's is used as both.
	o.Interceptors = append(o.Interceptors, &tuningInterceptor{v: v})
	return func(a *activities.Activities) { a.QueueSends = v.queueSends }, nil
}

// tuningInterceptor changes what a client and workflows ask for.
type tuningInterceptor struct {
	interceptor.InterceptorBase
	v *variant
}

func (t *tuningInterceptor) InterceptClient(next interceptor.ClientOutboundInterceptor) interceptor.ClientOutboundInterceptor {
	return &tunedClient{ClientOutboundInterceptorBase: interceptor.ClientOutboundInterceptorBase{Next: next}, v: t.v}
}

func (t *tuningInterceptor) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &tunedInbound{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, v: t.v}
}

type tunedClient struct {
	interceptor.ClientOutboundInterceptorBase
	v *variant
}

func (t *tunedClient) ExecuteWorkflow(ctx context.Context, in *interceptor.ClientExecuteWorkflowInput) (client.WorkflowRun, error) {
	in.Options.EnableEagerStart = in.Options.EnableEagerStart && !t.v.lateStart
	return t.Next.ExecuteWorkflow(ctx, in)
}

type tunedInbound struct {
	interceptor.WorkflowInboundInterceptorBase
	v *variant
}

func (t *tunedInbound) Init(next interceptor.WorkflowOutboundInterceptor) error {
	return t.Next.Init(&tunedOutbound{WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{Next: next}, v: t.v})
}

type tunedOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	v *variant
}

func (t *tunedOutbound) ExecuteLocalActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	if !t.v.regular || name != campaign.ActivityAdvance {
		return t.Next.ExecuteLocalActivity(ctx, name, args...)
	}
	local := workflow.GetLocalActivityOptions(ctx)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		Summary: local.Summary, StartToCloseTimeout: local.StartToCloseTimeout, ScheduleToCloseTimeout: local.ScheduleToCloseTimeout,
		RetryPolicy: local.RetryPolicy, DisableEagerExecution: t.v.dispatched,
	})
	return t.Next.ExecuteActivity(ctx, name, args...)
}

func (t *tunedOutbound) UpsertTypedSearchAttributes(ctx workflow.Context, updates ...temporal.SearchAttributeUpdate) error {
	if t.v.noUpserts {
		return nil
	}
	return t.Next.UpsertTypedSearchAttributes(ctx, updates...)
}
