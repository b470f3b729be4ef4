package workflows_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/workflows"
)

// sliceScript plays PostgreSQL for a slice's workflow.
type sliceScript struct {
	env    *testsuite.TestWorkflowEnvironment
	began  time.Time
	rounds []time.Duration // when turns were asked for
	counts int
	turn   func(round int) campaign.SliceResult
	sends  []time.Duration
	send   func(n int) campaign.SendSliceResult
}

func newSliceScript(turn func(int) campaign.SliceResult, send func(int) campaign.SendSliceResult) *sliceScript {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	s := &sliceScript{env: suite.NewTestWorkflowEnvironment(), turn: turn, send: send}
	s.env.SetTestTimeout(30 * time.Second)
	s.began = s.env.Now()
	s.env.RegisterWorkflowWithOptions(workflows.Slice, workflow.RegisterOptions{Name: campaign.WorkflowSlice})
	s.env.RegisterActivityWithOptions(func(_ context.Context, in campaign.SliceInput) (campaign.SliceResult, error) {
		s.rounds = append(s.rounds, s.env.Now().Sub(s.began))
		if in.Count {
			s.counts++
		}
		return s.turn(len(s.rounds)), nil
	}, activity.RegisterOptions{Name: campaign.ActivityAdvanceSlice})
	s.env.RegisterActivityWithOptions(func(context.Context, campaign.SliceInput) (campaign.SendSliceResult, error) {
		s.sends = append(s.sends, s.env.Now().Sub(s.began))
		return s.send(len(s.sends)), nil
	}, activity.RegisterOptions{Name: campaign.ActivitySendSlice})
	return s
}

func (s *sliceScript) run(in campaign.SliceInput) error {
	s.env.ExecuteWorkflow(workflows.Slice, in)
	return s.env.GetWorkflowError()
}

// seconds rounds moments, for timers of the test environment fire a hair late.
func seconds(list []time.Duration) (out []int) {
	for _, d := range list {
		out = append(out, int(d.Round(time.Second)/time.Second))
	}
	return out
}

func TestASliceTurnsWhenSomebodyIsDueOrPoked(t *testing.T) {
	t.Parallel()
	s := newSliceScript(func(round int) campaign.SliceResult {
		return []campaign.SliceResult{{Wait: 0}, {Wait: 48 * time.Hour}, {Wait: time.Hour}, {Wait: -1}, {Wait: -1, Over: true}}[round-1]
	}, nil)
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(campaign.SignalPoke, nil) }, 10*time.Second)
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(campaign.SignalPoke, nil) }, 5*time.Hour)
	if err := s.run(campaign.SliceInput{Slice: 1}); err != nil {
		t.Fatal(err)
	}
	equal(t, "seconds of the turns", seconds(s.rounds), []int{0, 0, 10, 3610, 5 * 3600})
	if s.counts != 3 {
		t.Errorf("members were counted %d times, want not more often than every 30 s", s.counts)
	}
}

func TestASliceSendsUntilNothingIsLeft(t *testing.T) {
	t.Parallel()
	s := newSliceScript(func(round int) campaign.SliceResult {
		switch round {
		case 1:
			return campaign.SliceResult{Wait: time.Hour, Channels: []string{"webhook"}}
		default:
			return campaign.SliceResult{Wait: -1, Over: true}
		}
	}, func(n int) campaign.SendSliceResult {
		return []campaign.SendSliceResult{{Wait: 0}, {Wait: 20 * time.Second}, {Wait: -1}}[n-1]
	})
	if err := s.run(campaign.SliceInput{Slice: 1}); err != nil {
		t.Fatal(err)
	}
	equal(t, "seconds of the sends", seconds(s.sends), []int{0, 0, 20})
}

// A run ends while messages are left: they are in PostgreSQL, and the next run finds them.
func TestASliceContinuesAsNewWithMessagesLeft(t *testing.T) {
	t.Parallel()
	s := newSliceScript(func(int) campaign.SliceResult { return campaign.SliceResult{Channels: []string{"webhook"}} },
		func(int) campaign.SendSliceResult { return campaign.SendSliceResult{} })
	err := s.run(campaign.SliceInput{Slice: 7, Most: 3})
	var again *workflow.ContinueAsNewError
	if !errors.As(err, &again) {
		t.Fatalf("ended with %v, want to continue as new", err)
	}
	var in campaign.SliceInput
	if err := convert(again, &in); err != nil || in != (campaign.SliceInput{Slice: 7, Most: 3}) || len(s.rounds) != 3 {
		t.Errorf("goes on with %+v after %d rounds, %v", in, len(s.rounds), err)
	}
}

// Somebody who comes while the last round is under way is not left behind.
func TestAPokeAtTheEndOfASlice(t *testing.T) {
	t.Parallel()
	var s *sliceScript
	s = newSliceScript(func(round int) campaign.SliceResult {
		if round == 1 {
			s.env.SignalWorkflow(campaign.SignalPoke, nil)
		}
		return campaign.SliceResult{Wait: -1, Over: true}
	}, nil)
	if err := s.run(campaign.SliceInput{Slice: 1}); err != nil || len(s.rounds) != 2 {
		t.Errorf("%d rounds, %v; want a second one for the poke", len(s.rounds), err)
	}
}
