package workflows_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/campaign"
)

func callRef(key string) campaign.SendRef {
	return campaign.SendRef{Key: key, Channel: campaign.ChannelCall, Message: "crm"}
}

// A call that is tried for hours holds up no message of its journey, and the journey ends
// when it is settled.
func TestACallHoldsUpNoMessage(t *testing.T) {
	t.Parallel()
	first, second := waits("call crm", time.Hour), waits("wait 1h", time.Hour)
	first.Sends = []campaign.SendRef{callRef("c"), ref("a")}
	second.Sends, second.Due = []campaign.SendRef{ref("b")}, 1
	s := newScript(t, first, second, done("completed"))
	at := map[string]time.Duration{}
	s.send = func(key, _ string, _ int) (campaign.SendResult, error) {
		at[key] = s.env.Now().Sub(s.began)
		if key == "c" && at[key] < 5*time.Hour {
			return campaign.SendResult{}, temporal.NewApplicationErrorWithOptions("down", "retry", temporal.ApplicationErrorOptions{NextRetryDelay: 90 * time.Minute})
		}
		return campaign.SendResult{Outcome: campaign.SendSent}, nil
	}
	if err := s.run(t, campaign.TurnInput{}); err != nil {
		t.Fatal(err)
	}
	if at["a"] >= time.Hour || at["b"] < time.Hour || at["b"] >= 90*time.Minute || at["c"] < 5*time.Hour {
		t.Errorf("out at %v", at)
	}
	if ended := s.env.Now().Sub(s.began); ended < 5*time.Hour {
		t.Errorf("it ended after %s, with a call on its way", ended)
	}
}

// A call that a paused campaign holds is carried into the next run, and made there.
func TestContinueAsNewCarriesHeldCalls(t *testing.T) {
	t.Parallel()
	first := waits("one", time.Hour)
	first.Sends = []campaign.SendRef{callRef("c"), ref("a")}
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
	if len(carried.Held) != 2 {
		t.Errorf("carried %+v, want both", carried.Held)
	}
	resumed := newScript(t, done("completed"))
	if err := resumed.run(t, carried); err != nil {
		t.Fatal(err)
	}
	slices.Sort(resumed.sends)
	equal(t, "sends", resumed.sends, []string{"a via webhook", "c via call"})
}

// A call held by a pause is made after the poke with which the campaign goes on.
func TestAHeldCallIsMadeAfterAPoke(t *testing.T) {
	t.Parallel()
	first := waits("call crm", 48*time.Hour)
	first.Sends = []campaign.SendRef{callRef("c")}
	s := newScript(t, first, done("woken"))
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
	equal(t, "sends", s.sends, []string{"c via call", "c via call"})
}
