package starter

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

// Router carries stored events to the journeys that they start or concern, again and
// again until it is done. Any number of routers may run at once.
//
// It works in two halves. The first decides in PostgreSQL alone: whom an event lets in
// and whose journey wants to hear it, leaving starts and pokes. The second brings
// those to Temporal. While Temporal is away the first half goes on, and nothing is lost.
type Router struct {
	Store  *store.Store
	Taker  *turn.Taker
	Client client.Client
	Log    *slog.Logger
	// Watch is told what the router does; nil: nobody watches.
	Watch Watch
	// Follow puts a delivery into the trace of the event that started its journey; nil:
	// nothing is traced.
	Follow func(ctx context.Context, event string) context.Context
}

// Watch is told what a router does, for instance to count it. It is called from several
// goroutines.
type Watch interface {
	Routed(n int, done bool)                    // events and changed members
	Delivered(kind store.IntentKind, done bool) // a start or a poke
	HeldUp(campaign string)                     // events are kept for a campaign that cannot be loaded
}

type nobody struct{}

func (nobody) Routed(int, bool)                 {}
func (nobody) Delivered(store.IntentKind, bool) {}
func (nobody) HeldUp(string)                    {}

func (r *Router) watch() Watch {
	if r.Watch == nil {
		return nobody{}
	}
	return r.Watch
}

const (
	// routeBatch is how many events one transaction routes: enough to spread the cost of
	// the commit, few enough that the locked members do not wait long.
	routeBatch = 200
	// deliverBatch is how many starts and pokes one transaction brings to Temporal,
	// deliverers how many at a time.
	deliverBatch = 128
	deliverers   = 16
	// routerPoll is how often a router looks without having been woken. Notifications
	// may be lost, and a postponed intent falls due without one.
	routerPoll = time.Second
	// deliverRetry is how long a start or poke waits that Temporal did not take.
	deliverRetry = 2 * time.Second
	// routeRetry is how long an event waits that could not be decided. That is a fault
	// of ours, so it waits for a mended program and not for luck.
	routeRetry = time.Minute
	// deliverTimeout bounds one call to Temporal, batchTimeout the calls of a batch: while
	// Temporal is away each of them takes its whole time, and PostgreSQL breaks off a
	// transaction that is idle for a minute.
	deliverTimeout = 10 * time.Second
	batchTimeout   = 30 * time.Second
	// tendEvery is how often campaigns are looked after: their workflows started, drained
	// ones ended.
	tendEvery = 2 * time.Second
)

// Run routes until ctx is done.
func (r *Router) Run(ctx context.Context) error {
	var halves sync.WaitGroup
	events, pokes := make(chan struct{}, 1), make(chan struct{}, 1)
	halves.Go(func() {
		for range r.Store.Listen(ctx) {
			wake(events)
			wake(pokes)
		}
	})
	halves.Go(func() { r.loop(ctx, "route", routerPoll, events, r.route) })
	halves.Go(func() { r.loop(ctx, "deliver", routerPoll, pokes, r.deliver) })
	halves.Go(func() { r.loop(ctx, "tend", tendEvery, nil, r.tend) })
	halves.Wait()
	return nil
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it will look anyway
	}
}

// loop works until there is nothing to do, then waits to be woken.
func (r *Router) loop(ctx context.Context, name string, every time.Duration, woken <-chan struct{}, work func(context.Context) (int, error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		n, err := work(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			r.Log.WarnContext(ctx, "router held up", "half", name, "code", campaign.CodeOf(err), "error", err)
		case n > 0:
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-woken:
		}
	}
}

// route decides for one batch of events and changed members. Should one of them be
// impossible to decide, the others are taken one by one and only that one is put off.
func (r *Router) route(ctx context.Context) (int, error) {
	n, err := r.routeSome(ctx, routeBatch)
	if err != nil && campaign.CodeOf(err) != campaign.CodeUnavailable && ctx.Err() == nil {
		r.Log.WarnContext(ctx, "a batch of events could not be routed; taking them one by one", "error", err)
		n, err = r.oneByOne(ctx)
	}
	if err == nil && n > 0 {
		r.watch().Routed(n, true)
		r.Store.Notify()
	}
	return n, err
}

func (r *Router) oneByOne(ctx context.Context) (done int, err error) {
	for range routeBatch {
		var at store.Intent
		n, err := r.routeSome(ctx, 1, &at)
		switch {
		case err == nil && n == 0:
			return done, nil
		case err == nil:
			done++
		case campaign.CodeOf(err) == campaign.CodeUnavailable || at.ID == 0 || ctx.Err() != nil:
			return done, err
		default:
			r.Log.ErrorContext(ctx, "an event could not be routed; it is kept and tried again", "intent", at.ID, "kind", at.Kind, "error", err)
			r.watch().Routed(1, false)
			if err := r.Store.Postpone(ctx, at.ID, routeRetry); err != nil {
				return done, err
			}
		}
	}
	return done, nil
}

func (r *Router) routeSome(ctx context.Context, most int, last ...*store.Intent) (int, error) {
	return r.Store.Route(ctx, most, func(tx *store.RouteTx) error {
		for _, at := range last {
			*at = tx.Intents[len(tx.Intents)-1]
		}
		return r.Taker.Route(ctx, tx, func(broken *turn.BrokenError) {
			r.Log.ErrorContext(ctx, "a campaign cannot be loaded by this build; its events are kept", "campaign", broken.Campaign, "error", broken)
			r.watch().HeldUp(broken.Campaign)
		})
	})
}

// deliver brings one batch of starts and pokes to Temporal.
func (r *Router) deliver(ctx context.Context) (int, error) {
	return r.Store.Deliver(ctx, deliverBatch, func(deliveries []store.Delivery) ([]store.Delivery, time.Duration) {
		ctx, cancel := context.WithTimeout(ctx, batchTimeout)
		defer cancel()
		var (
			mu    sync.Mutex
			again []store.Delivery
			work  = make(chan store.Delivery)
			crew  sync.WaitGroup
		)
		for range min(deliverers, len(deliveries)) {
			crew.Go(func() {
				for d := range work {
					err := r.bring(ctx, d)
					r.watch().Delivered(d.Kind, err == nil)
					if err != nil {
						r.Log.WarnContext(ctx, "start or poke not delivered, to be tried again", "kind", d.Kind, "campaign", d.ID.Campaign, "journey", d.Row, "slice", d.Slice, "error", err)
						mu.Lock()
						again = append(again, d)
						mu.Unlock()
					}
				}
			})
		}
		for _, d := range deliveries {
			work <- d
		}
		close(work)
		crew.Wait()
		return again, deliverRetry
	})
}

func (r *Router) bring(ctx context.Context, d store.Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	if r.Follow != nil {
		ctx = r.Follow(ctx, d.Event)
	}
	switch {
	case d.Kind == store.IntentSlice:
		// Its workflow ends with its campaign; who comes later wakes a new run.
		_, err := r.Client.SignalWithStartWorkflow(ctx, d.Workflow, campaign.SignalPoke, nil, SliceOptions(d), campaign.WorkflowSlice,
			campaign.SliceInput{Slice: d.Slice})
		return err
	case d.Done && d.Kind == store.IntentPoke:
		if err := r.Taker.After(ctx, d.Row); err != nil {
			return err
		}
		if !d.Unsettled {
			return nil
		}
		// Its workflow may still hold a message that a paused campaign kept back.
		err := r.Client.SignalWorkflow(ctx, d.Workflow, "", campaign.SignalPoke, nil)
		if gone := new(serviceerror.NotFound); errors.As(err, &gone) {
			return nil
		}
		return err
	case d.Done:
		return nil
	case d.Kind == store.IntentStart:
		return r.start(ctx, d)
	default:
		err := r.Client.SignalWorkflow(ctx, d.Workflow, "", campaign.SignalPoke, nil)
		var gone *serviceerror.NotFound
		if errors.As(err, &gone) {
			if d.Turn > 0 {
				r.Log.WarnContext(ctx, "a journey is under way but its workflow is gone; run banyan doctor --repair", "campaign", d.ID.Campaign, "journey", d.Row)
			}
			// Before the first turn the workflow has not been started yet, and that
			// turn will see what this poke is about.
			return nil
		}
		return err
	}
}

func (r *Router) start(ctx context.Context, d store.Delivery) error {
	_, err := r.Client.ExecuteWorkflow(ctx, StartOptions(d), campaign.WorkflowJourney, campaign.TurnInput{Journey: d.Row, Turn: d.Turn})
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return nil
	}
	return err
}

// StartOptions are how a journey's workflow is started: its id is the identity of the
// entry, so that a second start does nothing, and the search attributes by which the
// Temporal web UI finds it are set without costing an event.
func StartOptions(d store.Delivery) client.StartWorkflowOptions {
	keyword := temporal.NewSearchAttributeKeyKeyword
	return client.StartWorkflowOptions{
		ID:                                       d.Workflow,
		TaskQueue:                                campaign.TaskQueueJourneys,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            d.ID.Campaign + " · " + d.ID.Journey + " · v" + strconv.Itoa(d.Version),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			keyword(campaign.AttributeCampaign).ValueSet(d.ID.Campaign),
			keyword(campaign.AttributeJourney).ValueSet(d.ID.Journey),
			keyword(campaign.AttributeMember).ValueSet(d.ID.Member),
			keyword(campaign.AttributeVersion).ValueSet(strconv.Itoa(d.Version)),
		),
	}
}

// SliceOptions are how the workflow of a slice is started.
func SliceOptions(d store.Delivery) client.StartWorkflowOptions {
	keyword := temporal.NewSearchAttributeKeyKeyword
	return client.StartWorkflowOptions{
		ID:                    d.Workflow,
		TaskQueue:             campaign.TaskQueueJourneys,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         d.ID.Campaign + " · " + d.ID.Journey + " · a slice of its members",
		TypedSearchAttributes: temporal.NewSearchAttributes(
			keyword(campaign.AttributeCampaign).ValueSet(d.ID.Campaign),
			keyword(campaign.AttributeJourney).ValueSet(d.ID.Journey),
		),
	}
}

// tend looks after campaigns: one whose journeys start by segment has a workflow that
// sweeps over the members, and one that has drained is ended.
func (r *Router) tend(ctx context.Context) (int, error) {
	if _, err := r.Store.EndDrained(ctx); err != nil {
		return 0, err
	}
	running, err := r.Store.RunningCampaigns(ctx)
	if err != nil {
		return 0, err
	}
	for _, c := range running {
		program, err := r.Taker.Programs.Program(ctx, r.Store, c.Digest)
		if err != nil || len(program.StartsBySegment()) == 0 {
			continue // one that cannot be loaded is told of by whoever routes an event
		}
		if err := r.sweepWorkflow(ctx, c.Name); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func (r *Router) sweepWorkflow(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	_, err := r.Client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       campaign.SweepWorkflowID(name),
		TaskQueue:                campaign.TaskQueueJourneys,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            name + " · members whom a segment lets in",
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(campaign.AttributeCampaign).ValueSet(name),
		),
	}, campaign.WorkflowCampaign, campaign.SweepInput{Campaign: name})
	return err
}

// Enter enters a member into a journey on a caller's word. properties become those of
// `start`.
func (r *Router) Enter(ctx context.Context, campaignName, name, member string, properties json.RawMessage) (EntryResult, error) {
	var out EntryResult
	err := r.Store.InEntry(ctx, []string{member}, func(tx *store.EntryTx) error {
		c, err := tx.Campaign(ctx, campaignName)
		if err != nil {
			return err
		}
		var start *campaign.Event
		if len(properties) > 0 {
			start = &campaign.Event{Type: journey.ByAPI, Member: member, Time: c.Now, Stored: c.Now, Properties: properties}
		}
		e, err := r.Taker.ByAPI(ctx, tx, member, c, name, start)
		if err != nil {
			return err
		}
		out = EntryResult{Entered: e.Row != 0, Reason: e.Why}
		if out.Entered {
			out.ID, out.WorkflowID = e.Row, e.Workflow
		}
		return nil
	})
	return out, err
}
