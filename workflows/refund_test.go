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

func refundRef(key string) campaign.SendRef {
	return campaign.SendRef{Key: key, Channel: campaign.ChannelRefund, Message: "refund of gear"}
}

// A shop that is away for hours holds up neither messages nor calls, and the journey's
// workflow does not end before the shop has answered.
func TestARefundHoldsUpNothing(t *testing.T) {
	t.Parallel()
	first := waits("team", time.Hour)
	first.Sends = []campaign.SendRef{refundRef("r"), callRef("c"), ref("a")}
	s := newScript(t, first, done("failed"))
	at := map[string]time.Duration{}
	s.send = func(key, _ string, _ int) (campaign.SendResult, error) {
		at[key] = s.env.Now().Sub(s.began)
		if key == "r" && at[key] < 7*time.Hour {
			return campaign.SendResult{}, temporal.NewApplicationErrorWithOptions("down", "retry", temporal.ApplicationErrorOptions{NextRetryDelay: 90 * time.Minute})
		}
		return campaign.SendResult{Outcome: campaign.SendSent}, nil
	}
	if err := s.run(t, campaign.TurnInput{}); err != nil {
		t.Fatal(err)
	}
	if at["a"] >= time.Hour || at["c"] >= time.Hour || at["r"] < 7*time.Hour {
		t.Errorf("out at %v", at)
	}
	if ended := s.env.Now().Sub(s.began); ended < 7*time.Hour {
		t.Errorf("it ended after %s, with a refund on its way", ended)
	}
}

// A request that a paused campaign holds is carried into the next run, and made there.
func TestContinueAsNewCarriesHeldRefunds(t *testing.T) {
	t.Parallel()
	first := waits("one", time.Hour)
	first.Sends = []campaign.SendRef{refundRef("r"), ref("a")}
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
	resumed := newScript(t, done("completed"))
	if err := resumed.run(t, carried); err != nil {
		t.Fatal(err)
	}
	slices.Sort(resumed.sends)
	equal(t, "sends", resumed.sends, []string{"a via webhook", "r via refund"})
}
