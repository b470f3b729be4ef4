package workflows_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/workflows"
)

// script plays PostgreSQL: it answers turns from a list and remembers what was asked.
type script struct {
	mu      sync.Mutex
	env     *testsuite.TestWorkflowEnvironment
	answers []any // campaign.TurnResult or error, in order; the last one is repeated
	asked   []int
	at      []time.Duration
	sends   []string
	began   time.Time
	send    func(key, channel string, n int) (campaign.SendResult, error)
	sendNow func(key string) (campaign.SendResult, error)
}

func newScript(t *testing.T, answers ...any) *script {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	s := &script{env: suite.NewTestWorkflowEnvironment(), answers: answers}
	s.env.SetTestTimeout(30 * time.Second)
	s.began = s.env.Now()
	s.env.RegisterWorkflowWithOptions(workflows.Journey, workflow.RegisterOptions{Name: campaign.WorkflowJourney})
	s.env.RegisterActivityWithOptions(s.advance, activity.RegisterOptions{Name: campaign.ActivityAdvance})
	s.env.RegisterActivityWithOptions(s.deliver, activity.RegisterOptions{Name: campaign.ActivitySend})
	s.env.RegisterActivityWithOptions(s.deliverNow, activity.RegisterOptions{Name: campaign.ActivitySendNow})
	return s
}

func (s *script) advance(_ context.Context, _ int64, turn int) (campaign.TurnResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, turn)
	s.at = append(s.at, s.env.Now().Sub(s.began))
	next := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	switch a := next.(type) {
	case error:
		return campaign.TurnResult{}, a
	case campaign.TurnResult:
		if a.Turn == 0 {
			a.Turn = turn
		}
		return a, nil
	}
	return campaign.TurnResult{}, errors.New("the script holds something else")
}

func (s *script) deliver(_ context.Context, key, channel string) (campaign.SendResult, error) {
	s.mu.Lock()
	s.sends = append(s.sends, key+" via "+channel)
	n := len(s.sends)
	s.mu.Unlock()
	if s.send != nil {
		return s.send(key, channel, n)
	}
	return campaign.SendResult{Outcome: campaign.SendSent}, nil
}

func (s *script) deliverNow(_ context.Context, key, channel string) (campaign.SendResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sends = append(s.sends, key+" at hand via "+channel)
	return s.sendNow(key)
}

func (s *script) poke(after time.Duration) {
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(campaign.SignalPoke, nil) }, after)
}

func (s *script) run(t *testing.T, in campaign.TurnInput) error {
	t.Helper()
	s.env.ExecuteWorkflow(workflows.Journey, in)
	if !s.env.IsWorkflowCompleted() {
		t.Fatal("the workflow did not end")
	}
	return s.env.GetWorkflowError()
}

func done(outcome string) campaign.TurnResult {
	return campaign.TurnResult{Step: "ended", Wait: -1, Outcome: outcome}
}

func waits(step string, d time.Duration) campaign.TurnResult {
	return campaign.TurnResult{Step: step, Wait: d, Due: int64(d), Summary: "waits"}
}

func ref(key string) campaign.SendRef {
	return campaign.SendRef{Key: key, Channel: "webhook", Message: key}
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
}

// A message goes out in the worker that took the turn if that has its channel at hand.
// What does not is tried by the channel's queue, after its rest, and nothing overtakes it.
func TestSendsAtHand(t *testing.T) {
	t.Parallel()
	near := func(key string) campaign.SendRef {
		r := ref(key)
		r.Near = true
		return r
	}
	last := done("completed")
	last.Sends = []campaign.SendRef{near("sent"), near("rests"), near("crowd"), near("lost"), near("refused"), ref("far")}
	s := newScript(t, last)
	s.sendNow = func(key string) (campaign.SendResult, error) {
		switch key {
		case "rests":
			return campaign.SendResult{Outcome: campaign.SendLater, After: time.Minute}, nil
		case "crowd":
			return campaign.SendResult{Outcome: campaign.SendLater}, nil
		case "lost":
			return campaign.SendResult{}, errors.New("the worker is being stopped")
		case "refused":
			return campaign.SendResult{Outcome: campaign.SendRefused, Next: "sms"}, nil
		}
		return campaign.SendResult{Outcome: campaign.SendSent}, nil
	}
	var rested time.Duration
	s.send = func(key, _ string, _ int) (campaign.SendResult, error) {
		if key == "rests" {
			rested = s.env.Now().Sub(s.began)
		}
		return campaign.SendResult{Outcome: campaign.SendSent}, nil
	}
	if err := s.run(t, campaign.TurnInput{Journey: 1}); err != nil {
		t.Fatal(err)
	}
	equal(t, "sends", s.sends, []string{
		"sent at hand via webhook",
		"rests at hand via webhook", "rests via webhook",
		"crowd at hand via webhook", "crowd via webhook",
		"lost at hand via webhook", "lost via webhook",
		"refused at hand via webhook", "refused via sms",
		"far via webhook",
	})
	if rested < time.Minute {
		t.Errorf("tried again after %s, want a minute of rest", rested)
	}
}

func TestTurnsUntilTheOutcome(t *testing.T) {
	t.Parallel()
	first := waits("await", time.Hour)
	first.Sends = []campaign.SendRef{ref("a"), ref("b")}
	s := newScript(t, first, done("completed"))
	if err := s.run(t, campaign.TurnInput{Journey: 7}); err != nil {
		t.Fatal(err)
	}
	var outcome string
	if err := s.env.GetWorkflowResult(&outcome); err != nil || outcome != "completed" {
		t.Errorf("outcome %q %v", outcome, err)
	}
	equal(t, "turns", s.asked, []int{1, 2})
	equal(t, "sends", s.sends, []string{"a via webhook", "b via webhook"})
	if s.at[1] != time.Hour {
		t.Errorf("the second turn ran after %s, want 1h", s.at[1])
	}
}

// A poke that changes nothing keeps the timer: the wait is not begun anew.
func TestPokeKeepsTheTimer(t *testing.T) {
	t.Parallel()
	same := waits("await", time.Hour)
	again := same
	again.Turn, again.Wait = 1, 30*time.Minute // idle: the number is not used up
	s := newScript(t, same, again, done("late"))
	s.poke(30 * time.Minute)
	timers := 0
	s.env.SetOnTimerScheduledListener(func(string, time.Duration) { timers++ })
	if err := s.run(t, campaign.TurnInput{}); err != nil {
		t.Fatal(err)
	}
	equal(t, "turns", s.asked, []int{1, 2, 2})
	if timers != 1 || s.at[2] != time.Hour {
		t.Errorf("%d timers, last turn after %s; want one timer and 1h", timers, s.at[2])
	}
}

// Many pokes at once are one turn.
func TestPokesCoalesce(t *testing.T) {
	t.Parallel()
	s := newScript(t, waits("await", time.Hour), done("woken"))
	s.env.RegisterDelayedCallback(func() {
		for range 10 {
			s.env.SignalWorkflow(campaign.SignalPoke, nil)
		}
	}, time.Minute)
	if err := s.run(t, campaign.TurnInput{}); err != nil {
		t.Fatal(err)
	}
	equal(t, "turns", s.asked, []int{1, 2})
}

// While PostgreSQL is away the turn is tried again until it is back.
func TestTurnThatFailsIsTakenAgain(t *testing.T) {
	t.Parallel()
	broken := temporal.NewApplicationError("away", string(campaign.CodeUnavailable))
	s := newScript(t, broken, broken, broken, broken, broken, broken, broken, done("completed"))
	if err := s.run(t, campaign.TurnInput{}); err != nil {
		t.Fatal(err)
	}
	for _, turn := range s.asked {
		if turn != 1 {
			t.Errorf("turns %v, want the first one again and again", s.asked)
		}
	}
}

// A fault of ours is waited out, so that a mended worker finds the journey where it stood.
func TestFaultDoesNotEndAJourney(t *testing.T) {
	t.Parallel()
	s := newScript(t, temporal.NewApplicationError("bug", string(campaign.CodeInternal)), done("completed"))
	if err := s.run(t, campaign.TurnInput{}); err != nil {
		t.Fatal(err)
	}
	gone := newScript(t, temporal.NewNonRetryableApplicationError("gone", string(campaign.CodeNotFound), nil))
	if err := gone.run(t, campaign.TurnInput{}); err == nil {
		t.Error("a journey that does not exist ends its workflow")
	}
}

// The next channel is tried when one says permanently no.
func TestNextChannel(t *testing.T) {
	t.Parallel()
	end := done("completed")
	end.Sends = []campaign.SendRef{ref("a")}
	s := newScript(t, end)
	s.send = func(_, channel string, _ int) (campaign.SendResult, error) {
		if channel == "webhook" {
			return campaign.SendResult{Outcome: campaign.SendRefused, Next: "console"}, nil
		}
		return campaign.SendResult{Outcome: campaign.SendSent}, nil
	}
	if err := s.run(t, campaign.TurnInput{}); err != nil {
		t.Fatal(err)
	}
	equal(t, "sends", s.sends, []string{"a via webhook", "a via console"})
}

// A message that a paused campaign holds goes out after the poke of the resume, and
// the journey does not end before.
func TestHeldMessage(t *testing.T) {
	t.Parallel()
	end := done("completed")
	end.Sends = []campaign.SendRef{ref("a")}
	s := newScript(t, end)
	s.send = func(_, _ string, n int) (campaign.SendResult, error) {
		if n == 1 {
			return campaign.SendResult{Outcome: campaign.SendHeld}, nil
		}
		return campaign.SendResult{Outcome: campaign.SendSent}, nil
	}
	s.poke(time.Hour)
	if err := s.run(t, campaign.TurnInput{}); err != nil {
		t.Fatal(err)
	}
	equal(t, "sends", s.sends, []string{"a via webhook", "a via webhook"})
}

// A send that takes long does not deafen the journey: a poke is answered meanwhile.
func TestListensWhileSending(t *testing.T) {
	t.Parallel()
	first := waits("await", 48*time.Hour)
	first.Sends = []campaign.SendRef{ref("a")}
	s := newScript(t, first, done("woken"))
	fails := temporal.NewApplicationErrorWithOptions("busy", "retry", temporal.ApplicationErrorOptions{NextRetryDelay: 3 * time.Hour})
	s.send = func(_, _ string, n int) (campaign.SendResult, error) {
		if n == 1 {
			return campaign.SendResult{}, fails
		}
		return campaign.SendResult{Outcome: campaign.SendSent}, nil
	}
	s.poke(time.Hour)
	if err := s.run(t, campaign.TurnInput{}); err != nil {
		t.Fatal(err)
	}
	if s.at[1] != time.Hour {
		t.Errorf("the poke was answered after %s, want 1h", s.at[1])
	}
	equal(t, "sends", s.sends, []string{"a via webhook", "a via webhook"})
}

func TestContinuesAsNew(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*script) campaign.TurnInput{
		"by its own count": func(*script) campaign.TurnInput { return campaign.TurnInput{Journey: 7, Most: 2} },
		"by the server's suggestion": func(s *script) campaign.TurnInput {
			s.env.RegisterDelayedCallback(func() { s.env.SetContinueAsNewSuggested(true) }, 90*time.Minute)
			return campaign.TurnInput{Journey: 7}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			second, third := waits("two", 2*time.Hour), waits("three", 3*time.Hour)
			s := newScript(t, waits("one", time.Hour), second, third)
			in := prepare(s)
			err := s.run(t, in)
			var next *workflow.ContinueAsNewError
			if !errors.As(err, &next) {
				t.Fatalf("ended with %v, want continue-as-new", err)
			}
			var carried campaign.TurnInput
			if err := s.env.GetWorkflowError(); err == nil {
				t.Fatal("no error")
			}
			if err := convert(next, &carried); err != nil {
				t.Fatal(err)
			}
			want := campaign.TurnInput{Journey: 7, Turn: len(s.asked), Step: []string{"one", "two", "three"}[len(s.asked)-1], Most: in.Most}
			if carried.Journey != want.Journey || carried.Turn != want.Turn || carried.Step != want.Step || carried.Most != want.Most || len(carried.Held) != 0 {
				t.Errorf("carried %+v, want %+v", carried, want)
			}
		})
	}
}

// Messages that are not out yet are carried into the next run.
func TestContinueAsNewCarriesHeldMessages(t *testing.T) {
	t.Parallel()
	first := waits("one", time.Hour)
	first.Sends = []campaign.SendRef{ref("a"), ref("b")}
	s := newScript(t, first, waits("two", 2*time.Hour))
	s.send = func(string, string, int) (campaign.SendResult, error) {
		return campaign.SendResult{Outcome: campaign.SendHeld}, nil
	}
	err := s.run(t, campaign.TurnInput{Most: 2})
	var next *workflow.ContinueAsNewError
	if !errors.As(err, &next) {
		t.Fatalf("ended with %v", err)
	}
	var carried campaign.TurnInput
	if err := convert(next, &carried); err != nil {
		t.Fatal(err)
	}
	if len(carried.Held) != 2 || carried.Held[0].Key != "a" {
		t.Errorf("carried %+v, want both messages", carried.Held)
	}
	resumed := newScript(t, done("completed"))
	if err := resumed.run(t, carried); err != nil {
		t.Fatal(err)
	}
	equal(t, "sends", resumed.sends, []string{"a via webhook", "b via webhook"})
	equal(t, "turns", resumed.asked, []int{3})
}
