// Package workflows holds the turn loop and the few workflows that use it. A workflow
// here knows turns, timers, pokes, sends and continue-as-new; it knows nothing of
// steps, and there is no CEL, no YAML, no clock and no chance in it. So the core can
// be mended while a million journeys are in flight.
package workflows

import (
	"errors"
	"strconv"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/campaign"
)

// maxTurnsPerRun is after how many turns a run continues as new even if the server
// does not suggest it yet, so that the path is walked often. 500 turns with a timer
// and a send each are some 6,000 events, far from the limit of 51,200.
const maxTurnsPerRun = 500

// Journey turns one member's journey until it is over, and answers its outcome.
func Journey(ctx workflow.Context, in campaign.TurnInput) (string, error) {
	j := &journey{
		in: in, turn: in.Turn, step: in.Step, most: in.Most,
		pokes: workflow.GetSignalChannel(ctx, campaign.SignalPoke),
		sends: new(sender), calls: new(sender), refunds: new(sender),
	}
	if j.most <= 0 {
		j.most = maxTurnsPerRun
	}
	workflow.Go(ctx, j.sends.run)
	j.send(ctx, in.Held)
	return j.run(ctx)
}

type journey struct {
	in    campaign.TurnInput
	turn  int // the last turn taken
	taken int // turns in this run
	step  string
	most  int
	pokes workflow.ReceiveChannel
	sends *sender
	calls *sender // of services, which may take long and hold up no message

	refunds *sender // of a shop that is asked to pay back, which may take longer

	timer  workflow.Future
	cancel workflow.CancelFunc
	due    int64 // what the timer waits for
}

// send hands out what a turn has claimed. The other senders begin with the first call, and
// with the first refund.
func (j *journey) send(ctx workflow.Context, refs []campaign.SendRef) {
	for _, ref := range refs {
		s := j.sends
		switch ref.Channel {
		case campaign.ChannelCall:
			s = j.calls
		case campaign.ChannelRefund:
			s = j.refunds
		}
		if s != j.sends && !s.runs {
			s.runs = true
			workflow.Go(ctx, s.run)
		}
		s.add(ref)
	}
}

// rest reports whether nothing is on its way out.
func (j *journey) rest() bool { return j.sends.rest() && j.calls.rest() && j.refunds.rest() }

// done reports whether nothing is left to go out.
func (j *journey) done() bool {
	return j.rest() && len(j.sends.queue)+len(j.calls.queue)+len(j.refunds.queue) == 0
}

func (j *journey) run(ctx workflow.Context) (string, error) {
	for {
		result, err := j.advance(ctx)
		if err != nil {
			return "", err
		}
		j.turn = result.Turn
		if err := j.show(ctx, result); err != nil {
			return "", err
		}
		j.send(ctx, result.Sends)
		if result.Outcome != "" {
			j.stopTimer()
			if err := j.finish(ctx); err != nil {
				return "", err
			}
			return result.Outcome, nil
		}
		if j.taken++; j.full(ctx) && j.rest() {
			return "", j.again(ctx)
		}
		if result.Wait == 0 {
			continue
		}
		if err := j.wait(ctx, result); err != nil {
			return "", err
		}
	}
}

// advance takes the next turn, however long PostgreSQL is away.
func (j *journey) advance(ctx workflow.Context) (result campaign.TurnResult, err error) {
	for try := 0; ; try++ {
		err = workflow.ExecuteLocalActivity(localActivity(ctx), campaign.ActivityAdvance, j.in.Journey, j.turn+1).Get(ctx, &result)
		if err == nil || !worthRetry(err) {
			return result, err
		}
		workflow.SetCurrentDetails(ctx, "**Held up**: the turn could not be taken and is tried again. "+kindOf(err))
		if err := j.pause(ctx, retryWait(try)); err != nil {
			return result, err
		}
		// A turn that fails for weeks must not fill the history up.
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && j.rest() {
			return result, j.again(ctx)
		}
	}
}

// retryWait is how long a failed turn waits before it is tried again; the local
// activity has tried a few times in quick succession already.
func retryWait(try int) time.Duration {
	return min(5*time.Second<<min(try, 10), 5*time.Minute)
}

func localActivity(ctx workflow.Context) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		Summary: "decide what comes next",
		// A turn is a transaction of milliseconds. What takes longer waits for a lock.
		StartToCloseTimeout: 10 * time.Second,
		// When thousands fall due at once, most of the time is spent in the worker's
		// queue. To give up there would only make the crowd larger.
		ScheduleToCloseTimeout: 5 * time.Minute,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 2 * time.Second, MaximumAttempts: 5,
			NonRetryableErrorTypes: []string{string(campaign.CodeNotFound), string(campaign.CodeInvalid), string(campaign.CodeInternal)},
		},
	})
}

// worthRetry reports whether a failed turn is to be tried again. Only a journey that
// does not exist ends its workflow. A fault of ours is waited out: when the worker has
// been mended the journey goes on where it stood.
func worthRetry(err error) bool {
	if temporal.IsCanceledError(err) {
		return false
	}
	var app *temporal.ApplicationError
	return !errors.As(err, &app) || app.Type() != string(campaign.CodeNotFound)
}

// kindOf names the class of an error. Its text stays in the worker's log: what is
// shown here is kept in histories.
func kindOf(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return "Kind of error: " + app.Type() + "."
	}
	return "Kind of error: " + string(campaign.CodeUnavailable) + "."
}

// show makes the Temporal web UI answer where the member is and what she waits for.
// The search attribute is written only when the step has changed: each write costs an
// event and an update of the visibility store.
func (j *journey) show(ctx workflow.Context, result campaign.TurnResult) error {
	details := "**" + result.Step + "**"
	if result.Summary != "" {
		details += " – " + result.Summary
	}
	workflow.SetCurrentDetails(ctx, details)
	if result.Step == j.step && result.Outcome == "" && result.Version == 0 {
		return nil
	}
	j.step = result.Step
	updates := []temporal.SearchAttributeUpdate{stepAttribute.ValueSet(result.Step)}
	if result.Version != 0 {
		updates = append(updates, versionAttribute.ValueSet(strconv.Itoa(result.Version)))
	}
	if result.Outcome != "" {
		updates = append(updates, outcomeAttribute.ValueSet(result.Outcome))
	}
	return workflow.UpsertTypedSearchAttributes(ctx, updates...)
}

var (
	stepAttribute    = temporal.NewSearchAttributeKeyKeyword(campaign.AttributeStep)
	outcomeAttribute = temporal.NewSearchAttributeKeyKeyword(campaign.AttributeOutcome)
	versionAttribute = temporal.NewSearchAttributeKeyKeyword(campaign.AttributeVersion)
)

// wait sleeps until the moment that the turn named, or the next poke. A poke that
// changed nothing keeps the timer.
func (j *journey) wait(ctx workflow.Context, result campaign.TurnResult) error {
	if j.timer != nil && j.due != result.Due {
		j.stopTimer()
	}
	if j.timer == nil && result.Wait > 0 {
		timerCtx, cancel := workflow.WithCancel(ctx)
		j.timer = workflow.NewTimerWithOptions(timerCtx, result.Wait, workflow.TimerOptions{Summary: result.Summary})
		j.cancel, j.due = cancel, result.Due
	}
	return j.sleep(ctx)
}

func (j *journey) sleep(ctx workflow.Context) error {
	sel := workflow.NewSelector(ctx)
	if j.timer != nil {
		sel.AddFuture(j.timer, func(workflow.Future) { j.timer, j.cancel, j.due = nil, nil, 0 })
	}
	sel.AddReceive(j.pokes, func(workflow.ReceiveChannel, bool) { j.drain() })
	sel.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
	sel.Select(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	j.drain()
	return nil
}

// drain takes all pokes that have come: they all say the same.
func (j *journey) drain() {
	for j.pokes.ReceiveAsync(nil) {
		j.sends.poked++
		j.calls.poked++
		j.refunds.poked++
	}
}

// pause waits before another try of a failed turn; a poke does not hurry it.
func (j *journey) pause(ctx workflow.Context, d time.Duration) error { return workflow.Sleep(ctx, d) }

func (j *journey) stopTimer() {
	if j.timer != nil {
		j.cancel()
		j.timer, j.cancel, j.due = nil, nil, 0
	}
}

// finish waits until the last message is out. Pokes are received meanwhile, because a
// message that a paused campaign holds is tried again after the next one.
func (j *journey) finish(ctx workflow.Context) error {
	if j.done() {
		return nil
	}
	idle := false
	workflow.Go(ctx, func(ctx workflow.Context) {
		for !idle {
			if j.sleep(ctx) != nil {
				return
			}
		}
	})
	err := workflow.Await(ctx, j.done)
	idle = true
	return err
}

func (j *journey) full(ctx workflow.Context) bool {
	return j.taken >= j.most || workflow.GetInfo(ctx).GetContinueAsNewSuggested()
}

// again continues as new. The pokes are drained first: the new run begins with a turn,
// which sees all that they were about.
func (j *journey) again(ctx workflow.Context) error {
	j.drain()
	return workflow.NewContinueAsNewError(ctx, campaign.WorkflowJourney, campaign.TurnInput{
		Journey: j.in.Journey, Turn: j.turn, Step: j.step, Held: append(append(j.sends.queue, j.calls.queue...), j.refunds.queue...), Most: j.in.Most,
	})
}
