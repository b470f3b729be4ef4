// Package worker assembles and runs a worker process: it connects the store, the core
// and the channels to Temporal.
package worker

import (
	"context"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/activities"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
	"github.com/banyanhq/banyan/workflows"
)

// Config is what a worker is made of.
type Config struct {
	Store    *store.Store
	Client   client.Client
	Channels channels.Set
	Default  string // the default channel
	// Programs keeps the compiled campaigns, which a router in the same process may share;
	// nil: the worker has a cache of its own.
	Programs *turn.Cache
	Log      *slog.Logger
	// Measure may wrap what the activities stand on, for instance to count it, or change
	// how they work.
	Measure func(*activities.Activities)
	// GiveUp is how long a message is tried; activities.DefaultGiveUp unless set.
	GiveUp time.Duration
}

// stopTimeout is how long a stopping worker lets turns and sends finish that have begun.
// The slowest channel answers or gives up within five seconds, and the whole process has
// ten. What is cut off all the same is taken up by another worker under the same key.
const stopTimeout = 7 * time.Second

// restingPollers is how many polls for workflow tasks stay open, on the task queue and on
// the worker's own sticky one each, while nothing happens. Every poll that ends empty has the
// SDK give one up, down to a single one unless told otherwise; journeys start eagerly, without
// a poll, so that a worker with ten thousand waiting journeys had one poll left when a
// thousand of them fell due, and each turn waited for the one before it. A frontend of
// Temporal's lets 1,200 long polls of a namespace be open (frontend.namespaceCount), so
// 16 of each sort leave room for 37 workers on each frontend.
const restingPollers = 16

// Run runs a worker until ctx is done. It returns nil after a clean stop.
func Run(ctx context.Context, cfg Config) error {
	if cfg.GiveUp == 0 {
		cfg.GiveUp = activities.DefaultGiveUp
	}
	if cfg.Programs == nil {
		cfg.Programs = turn.NewCache()
	}
	taker := &turn.Taker{Store: cfg.Store, Programs: cfg.Programs, Via: []string{cfg.Default}, Log: cfg.Log}
	acts := &activities.Activities{
		Turns: taker, Sweeps: &turn.Sweeper{Taker: taker, Store: cfg.Store}, Messages: cfg.Store,
		Channels: cfg.Channels, Log: cfg.Log, GiveUp: cfg.GiveUp,
	}
	if cfg.Measure != nil {
		cfg.Measure(acts)
	}
	failed := make(chan error, 1)
	options := func() worker.Options {
		return worker.Options{
			WorkerStopTimeout: stopTimeout,
			// A journey is idle nearly always and a thousand may fall due at once: the
			// number of pollers follows the load, upwards from restingPollers.
			WorkflowTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{
				InitialNumberOfPollers: restingPollers, MinimumNumberOfPollers: restingPollers,
			}),
			ActivityTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
			// A turn holds a database connection, so more of them than connections only wait.
			// Every channel has room of its own beside them: it takes none from the turns.
			MaxConcurrentLocalActivityExecutionSize: cfg.Store.MaxConns() + activities.NearTries*len(cfg.Channels.Names()),
			OnFatalError: func(err error) {
				select {
				case failed <- err:
				default:
				}
			},
		}
	}
	var running []worker.Worker
	defer func() {
		// Stop waits for what has begun; all workers wait at the same time.
		done := make(chan struct{})
		for _, w := range running {
			go func() { w.Stop(); done <- struct{}{} }()
		}
		for range running {
			<-done
		}
	}()
	start := func(queue string, register func(worker.Worker)) error {
		w := worker.New(cfg.Client, queue, options())
		register(w)
		if err := w.Start(); err != nil {
			return campaign.Errorf(campaign.CodeUnavailable, "start the worker on task queue %s: %w", queue, err)
		}
		running = append(running, w)
		return nil
	}
	if err := start(campaign.TaskQueueJourneys, func(w worker.Worker) { Register(w, acts) }); err != nil {
		return err
	}
	for _, name := range cfg.Channels.Names() {
		if err := start(campaign.TaskQueueSend(name), func(w worker.Worker) {
			w.RegisterActivityWithOptions(acts.Send, activity.RegisterOptions{Name: campaign.ActivitySend})
			w.RegisterActivityWithOptions(acts.SendSlice, activity.RegisterOptions{Name: campaign.ActivitySendSlice})
		}); err != nil {
			return err
		}
	}
	cfg.Log.InfoContext(ctx, "worker runs", "channels", cfg.Channels.Names(), "default", cfg.Default)
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// Register registers the workflows and the activities of the journeys' task queue.
func Register(w worker.Registry, acts *activities.Activities) {
	w.RegisterWorkflowWithOptions(workflows.Journey, workflow.RegisterOptions{Name: campaign.WorkflowJourney})
	w.RegisterWorkflowWithOptions(workflows.Campaign, workflow.RegisterOptions{Name: campaign.WorkflowCampaign})
	w.RegisterWorkflowWithOptions(workflows.Slice, workflow.RegisterOptions{Name: campaign.WorkflowSlice})
	w.RegisterActivityWithOptions(acts.AdvanceSlice, activity.RegisterOptions{Name: campaign.ActivityAdvanceSlice})
	w.RegisterActivityWithOptions(acts.SendNow, activity.RegisterOptions{Name: campaign.ActivitySendNow})
	w.RegisterActivityWithOptions(acts.Advance, activity.RegisterOptions{Name: campaign.ActivityAdvance})
	w.RegisterActivityWithOptions(acts.Sweep, activity.RegisterOptions{Name: campaign.ActivitySweep})
}
