package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/workflows"
)

type (
	advance = func(context.Context, int64, int) (campaign.TurnResult, error)
	send    = func(context.Context, string, string) (campaign.SendResult, error)
)

func environment(t *testing.T, advance advance, send send) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivityWithOptions(advance, activity.RegisterOptions{Name: campaign.ActivityAdvance})
	if send == nil {
		send = func(context.Context, string, string) (campaign.SendResult, error) { return campaign.SendResult{}, nil }
	}
	env.RegisterActivityWithOptions(send, activity.RegisterOptions{Name: campaign.ActivitySend})
	return env
}

// The campaign goes on while the answer "held" is still on its way: the poke that says
// so is the last one, and the message must not wait for another.
func TestAPokeWhileAHeldMessageIsTried(t *testing.T) {
	t.Parallel()
	var (
		env   *testsuite.TestWorkflowEnvironment
		tries int
	)
	env = environment(t, func(context.Context, int64, int) (campaign.TurnResult, error) {
		return campaign.TurnResult{
			Turn: 1, Outcome: "completed", Sends: []campaign.SendRef{{Key: "k", Channel: "webhook", Message: "welcome"}},
		}, nil
	}, func(context.Context, string, string) (campaign.SendResult, error) {
		if tries++; tries == 1 {
			env.SignalWorkflow(campaign.SignalPoke, nil)
			return campaign.SendResult{Outcome: campaign.SendHeld}, nil
		}
		return campaign.SendResult{Outcome: campaign.SendSent}, nil
	})
	env.SetWorkflowRunTimeout(time.Hour)
	env.ExecuteWorkflow(workflows.Journey, campaign.TurnInput{Journey: 1})
	if err := env.GetWorkflowError(); err != nil || tries != 2 {
		t.Errorf("tried %d times, ended with %v", tries, err)
	}
}

// A turn that cannot be taken for weeks does not fill the history up.
func TestATurnThatFailsForWeeks(t *testing.T) {
	t.Parallel()
	env := environment(t, func(context.Context, int64, int) (campaign.TurnResult, error) {
		return campaign.TurnResult{}, temporal.NewNonRetryableApplicationError("Advance: internal", string(campaign.CodeInternal), nil)
	}, nil)
	env.SetContinueAsNewSuggested(true)
	env.SetWorkflowRunTimeout(30 * 24 * time.Hour)
	env.ExecuteWorkflow(workflows.Journey, campaign.TurnInput{Journey: 1, Turn: 4, Step: "wait 1h"})
	var again *workflow.ContinueAsNewError
	if err := env.GetWorkflowError(); !errors.As(err, &again) {
		t.Errorf("ended with %v, want to continue as new", err)
	}
}
