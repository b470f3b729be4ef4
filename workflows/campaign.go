package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/campaign"
)

// maxSweepsPerRun keeps the history of a campaign's workflow small: a page costs six
// events, a wait five.
const maxSweepsPerRun = 200

// Campaign lives as long as its campaign takes entrants, and sweeps over all members
// now and then for those whom a segment lets in.
func Campaign(ctx workflow.Context, in campaign.SweepInput) error {
	pokes := workflow.GetSignalChannel(ctx, campaign.SignalPoke)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		Summary:             "look for members whom a segment lets in",
		StartToCloseTimeout: 5 * time.Minute,
		HeartbeatTimeout:    20 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Minute},
	})
	for range maxSweepsPerRun {
		var result campaign.SweepResult
		if err := workflow.ExecuteActivity(ctx, campaign.ActivitySweep, in).Get(ctx, &result); err != nil {
			return err
		}
		if result.Over {
			return nil
		}
		if in.Start, in.After = result.Start, result.After; in.After != "" || in.Start != 0 {
			continue
		}
		workflow.SetCurrentDetails(ctx, "Sweeps over the members for segments that start a journey.")
		sel := workflow.NewSelector(ctx)
		timerCtx, cancel := workflow.WithCancel(ctx)
		sel.AddFuture(workflow.NewTimerWithOptions(timerCtx, result.Wait, workflow.TimerOptions{Summary: "next sweep"}), func(workflow.Future) {})
		sel.AddReceive(pokes, func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil) })
		sel.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
		sel.Select(ctx)
		cancel()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	for pokes.ReceiveAsync(nil) {
	}
	return workflow.NewContinueAsNewError(ctx, campaign.WorkflowCampaign, in)
}
