package activities_test

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/banyanhq/banyan/activities"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// How a request to pay an order back ends, and when it comes again: what is owed is owed, and
// nothing is said that nobody knows.
func TestRefundsEnd(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		change          func(*desk)
		settled, reason string
		notDone         int
		made            int
		held            bool
	}{
		"taken":                            {settled: "sent", made: 1},
		"taken when the campaign is over":  {change: func(d *desk) { d.out.Ended = true }, settled: "sent", made: 1},
		"taken, after an answer was lost":  {change: func(d *desk) { d.out.InDoubt = true }, settled: "sent", made: 1},
		"the campaign is paused":           {change: func(d *desk) { d.out.Paused = true }, held: true},
		"settled already":                  {change: func(d *desk) { d.out.Settled, d.out.State = true, "sent" }, held: true},
		"refused":                          {change: func(d *desk) { d.fails = channels.Refuse("http_404", nil) }, settled: "refused", reason: "http_404", made: 1},
		"refused after an answer was lost": {change: func(d *desk) { d.fails, d.out.InDoubt = channels.Refuse("http_409", nil), true }, settled: "unknown", reason: "http_409", made: 1},
		"down":                             {change: func(d *desk) { d.fails = channels.TryAgain("http_500", 0, nil) }, made: 1, notDone: 1},
		"down for a day":                   {change: func(d *desk) { d.fails, d.out.Trying = channels.TryAgain("http_500", 0, nil), 2*day }, settled: "failed", reason: "http_500", made: 1},
		"down for a day after an answer was lost": {
			change: func(d *desk) {
				d.fails, d.out.Trying, d.out.InDoubt = channels.TryAgain("http_500", 0, nil), 2*day, true
			}, settled: "unknown", reason: campaign.ReasonUnknown, made: 1,
		},
		"the answer is lost":                   {change: func(d *desk) { d.fails = channels.Unknown("timeout", nil) }, made: 1},
		"the answer is lost for a day":         {change: func(d *desk) { d.fails, d.out.Trying = channels.Unknown("timeout", nil), 2*day }, settled: "unknown", reason: campaign.ReasonUnknown, made: 1},
		"no shop is configured, for two weeks": {change: func(d *desk) { d.fails, d.out.Trying = channels.Misconfigured("no_shop", nil), 14*day }, made: 1, notDone: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &desk{out: message(), safe: true}
			d.out.Kind, d.out.Name = campaign.KindRefund, "gear"
			d.out.Bodies = []campaign.ChannelBody{{Channel: campaign.ChannelRefund, Body: "{}"}}
			if c.change != nil {
				c.change(d)
			}
			var suite testsuite.WorkflowTestSuite
			suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
			env := suite.NewTestActivityEnvironment()
			a := &activities.Activities{Messages: d, Channels: channels.New(line{d, campaign.ChannelRefund}), Log: slog.New(slog.DiscardHandler), GiveUp: day}
			env.RegisterActivityWithOptions(a.Send, activity.RegisterOptions{Name: campaign.ActivitySend})
			_, err := env.ExecuteActivity(campaign.ActivitySend, "k", campaign.ChannelRefund)
			if again := c.settled == "" && !c.held; (err != nil) != again {
				t.Fatalf("error %v", err)
			}
			if len(d.delivered) != c.made || len(d.notDone) != c.notDone {
				t.Errorf("made %d times, %d certainly not", len(d.delivered), len(d.notDone))
			}
			got := slices.Concat(d.settled, d.doubted)
			if c.settled != "" && (len(got) != 1 || string(got[0].State) != c.settled || got[0].Reason != c.reason) {
				t.Errorf("settled %+v, want %s %s", got, c.settled, c.reason)
			}
			if c.settled == "" && len(got) != 0 && got[0].State != "" {
				t.Errorf("settled %+v", got)
			}
		})
	}
}
