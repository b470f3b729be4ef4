package starter

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

const (
	// deliverBatch is how many intents one transaction takes at most.
	deliverBatch = 256
	// maxCalls is how many calls to Temporal are in flight.
	maxCalls = 16
	// batchTime is how long a batch begins calls, batchGrace how long it then waits for
	// those that it began: together the longest that its transaction keeps a connection
	// without a word to PostgreSQL, and that who has just come waits for the next batch.
	batchTime  = 500 * time.Millisecond
	batchGrace = 500 * time.Millisecond
	// deliverTimeout bounds one call to Temporal.
	deliverTimeout = 10 * time.Second
	// afterTimeout bounds the wait for a journey that is over. Those behind it wait in
	// places of calls; what it has not come to it looks at the next time.
	afterTimeout = 3 * time.Second
	// deliverRetry is how long a start or poke waits that Temporal did not take.
	deliverRetry = 2 * time.Second
)

// courier brings starts and pokes to Temporal while a router runs. However many calls
// there are, it takes one connection for its batches and one for journeys that are over.
//
// A batch does not end with its slowest call: one that Temporal keeps goes on without
// it. Its intent is put off until the call must have ended, and dropped as soon as it
// has succeeded. Should the router die meanwhile, the intent falls due and is brought
// once more, which changes nothing.
type courier struct {
	*Router
	calls chan struct{} // one for each call in flight
	turns chan struct{} // one for who lets a journey look back that is over
	crew  sync.WaitGroup

	mu        sync.Mutex
	delivered []int64 // intents whose calls outlasted their batches and succeeded
}

func newCourier(r *Router) *courier {
	return &courier{Router: r, calls: make(chan struct{}, maxCalls), turns: make(chan struct{}, 1)}
}

// run delivers until ctx is done.
func (c *courier) run(ctx context.Context, woken <-chan struct{}) {
	c.loop(ctx, "deliver", routerPoll, woken, c.deliver)
	c.crew.Wait()
}

// deliver brings one batch of starts and pokes to Temporal. It answers how many intents
// are done with, and those for which there was no time; 0 when Temporal takes nothing
// and is not to be pressed.
func (c *courier) deliver(ctx context.Context) (int, error) {
	if err := c.dropDelivered(ctx); err != nil {
		return 0, err
	}
	// Nothing is taken from PostgreSQL before there is room for a call.
	select {
	case c.calls <- struct{}{}:
		<-c.calls
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	untouched := 0
	n, err := c.Store.Deliver(ctx, deliverBatch, func(list []store.Delivery) (stay []store.Undelivered) {
		stay, untouched = c.bringSome(ctx, list)
		return stay
	})
	if err != nil || n == 0 {
		return 0, err
	}
	return n + untouched, nil
}

func (c *courier) dropDelivered(ctx context.Context) error {
	c.mu.Lock()
	list := c.delivered
	c.delivered = nil
	c.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	return c.Store.Delivered(ctx, list) // what fails to be dropped is brought once more
}

// batch is the calls for a list of deliveries.
type batch struct {
	list    []store.Delivery
	answers chan reply
	begun   int          // so many from the front of the list
	open    map[int]bool // begun and not answered
	stay    []store.Undelivered
	ended   bool // written and read under the courier's lock
}

type reply struct {
	call int
	err  error
}

// bringSome brings what it can in the time it has, the front of the list first. It
// answers what stays; untouched of those were not begun.
func (c *courier) bringSome(ctx context.Context, list []store.Delivery) (stay []store.Undelivered, untouched int) {
	b := &batch{list: list, answers: make(chan reply, len(list)), open: map[int]bool{}}
	full, end := time.NewTimer(batchTime), time.NewTimer(batchTime+batchGrace)
	defer full.Stop()
	defer end.Stop()
	for most, over := len(list), false; !over && (b.begun < most || len(b.open) > 0); {
		room := c.calls
		if b.begun == most {
			room = nil
		}
		select {
		case room <- struct{}{}:
			c.begin(ctx, b)
		case a := <-b.answers:
			b.settle(a)
		case <-full.C:
			most = b.begun
		case <-end.C:
			over = true
		}
	}
	c.mu.Lock()
	b.ended = true
	c.mu.Unlock()
	for len(b.answers) > 0 {
		b.settle(<-b.answers)
	}
	for call := range b.open {
		b.stay = append(b.stay, store.Undelivered{Delivery: list[call], Wait: deliverTimeout + deliverRetry})
	}
	for _, d := range list[b.begun:] {
		b.stay = append(b.stay, store.Undelivered{Delivery: d})
	}
	return b.stay, len(list) - b.begun
}

// begin makes the next call of a batch, whose place among those in flight is taken.
func (c *courier) begin(ctx context.Context, b *batch) {
	call := b.begun
	b.begun++
	b.open[call] = true
	c.crew.Go(func() {
		d := b.list[call]
		err := c.bring(ctx, d)
		<-c.calls
		c.watch().Delivered(d.Kind, err == nil)
		if err != nil && ctx.Err() == nil {
			c.Log.WarnContext(ctx, "start or poke not delivered, to be tried again", "kind", d.Kind, "campaign", d.ID.Campaign, "journey", d.Row, "slice", d.Slice, "error", err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case !b.ended:
			b.answers <- reply{call, err}
		case err == nil:
			c.delivered = append(c.delivered, d.Intents...)
		}
	})
}

func (b *batch) settle(a reply) {
	delete(b.open, a.call)
	if a.err != nil {
		b.stay = append(b.stay, store.Undelivered{Delivery: b.list[a.call], Wait: deliverRetry})
	}
}

func (c *courier) bring(ctx context.Context, d store.Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	if c.Follow != nil {
		ctx = c.Follow(ctx, d.Event)
	}
	switch {
	case d.Kind == store.IntentSlice:
		// Its workflow ends with its campaign; who comes later wakes a new run.
		_, err := c.Client.SignalWithStartWorkflow(ctx, d.Workflow, campaign.SignalPoke, nil, SliceOptions(d), campaign.WorkflowSlice,
			campaign.SliceInput{Slice: d.Slice})
		return err
	case d.Done && d.Kind == store.IntentStart:
		return nil
	case d.Done:
		if err := c.after(ctx, d.Row); err != nil {
			return err
		}
		if !d.Unsettled && d.Kind != store.IntentRecheck {
			return nil
		}
		// Its workflow may still hold a message that a paused campaign kept back, or not know
		// yet that a migration has ended the journey.
		err := c.Client.SignalWorkflow(ctx, d.Workflow, "", campaign.SignalPoke, nil)
		if gone := new(serviceerror.NotFound); errors.As(err, &gone) {
			return nil
		}
		return err
	case d.Kind == store.IntentStart:
		return c.start(ctx, d)
	default:
		err := c.Client.SignalWorkflow(ctx, d.Workflow, "", campaign.SignalPoke, nil)
		var gone *serviceerror.NotFound
		if errors.As(err, &gone) {
			if d.Turn > 0 {
				c.Log.WarnContext(ctx, "a journey is under way but its workflow is gone; run banyan doctor --repair", "campaign", d.ID.Campaign, "journey", d.Row)
			}
			// Before the first turn the workflow has not been started yet, and that
			// turn will see what this poke is about.
			return nil
		}
		return err
	}
}

func (c *courier) start(ctx context.Context, d store.Delivery) error {
	// From the first turn on, although a migration may have taken that already: it is
	// answered with what was decided then, and that is to be sent.
	_, err := c.Client.ExecuteWorkflow(ctx, StartOptions(d), campaign.WorkflowJourney, campaign.TurnInput{Journey: d.Row})
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return nil
	}
	return err
}

// after lets a journey that is over look back. A turn holds a connection, and no more
// than one of the store's is for deliveries besides that of their batch.
func (c *courier) after(ctx context.Context, row int64) error {
	ctx, cancel := context.WithTimeout(ctx, afterTimeout)
	defer cancel()
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
		return c.Taker.After(ctx, row)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// StartOptions are how a journey's workflow is started: its id is the identity of the
// entry, so that a second start does nothing, and the search attributes by which the
// Temporal web UI finds it are set without costing an event. Where a worker shares the
// client, the server hands it the first workflow task with the answer.
func StartOptions(d store.Delivery) client.StartWorkflowOptions {
	keyword := temporal.NewSearchAttributeKeyKeyword
	return client.StartWorkflowOptions{
		ID:                                       d.Workflow,
		TaskQueue:                                campaign.TaskQueueJourneys,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		EnableEagerStart:                         true,
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
