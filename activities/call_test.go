package activities_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/banyanhq/banyan/activities"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// claim is a call that has an hour.
func claim() campaign.Outgoing {
	o := message()
	o.Kind, o.Name, o.Deadline = campaign.KindCall, "crm", o.Now.Add(time.Hour)
	o.Bodies = []campaign.ChannelBody{{Channel: campaign.ChannelCall, Body: "{}"}}
	return o
}

func environment(d *desk, giveUp time.Duration) (*activities.Activities, *testsuite.TestActivityEnvironment) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	d.safe = true
	a := &activities.Activities{Messages: d, Channels: channels.New(line{d, campaign.ChannelCall}), Log: slog.New(slog.DiscardHandler), GiveUp: giveUp}
	env.RegisterActivityWithOptions(a.Send, activity.RegisterOptions{Name: campaign.ActivitySend})
	env.RegisterActivityWithOptions(a.SendSlice, activity.RegisterOptions{Name: campaign.ActivitySendSlice})
	return a, env
}

// How a call ends, and when it comes again.
func TestCallsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change          func(*desk)
		settled, reason string
		notDone         int
		made            int
		least, most     time.Duration // until the next try
	}{
		"answered": {settled: "sent", made: 1},
		"refused":  {change: func(d *desk) { d.fails = channels.Refuse("http_404", nil) }, settled: "refused", reason: "http_404", made: 1},
		"refused at the second try": {
			change:  func(d *desk) { d.out.InDoubt, d.fails = true, channels.Refuse("answer_unfit", nil) },
			settled: "refused", reason: "answer_unfit", made: 1,
		},
		"down": {
			change: func(d *desk) { d.fails = channels.TryAgain("http_500", 0, nil) }, made: 1, notDone: 1,
			least: 500 * time.Millisecond, most: time.Second,
		},
		"down for the sixth time": {
			change: func(d *desk) { d.fails, d.out.Attempts = channels.TryAgain("http_500", 0, nil), 5 }, made: 1, notDone: 1,
			least: 16 * time.Second, most: 32 * time.Second,
		},
		"down for two days": {
			change: func(d *desk) {
				d.fails, d.out.Trying, d.out.Attempts = channels.TryAgain("http_500", 0, nil), 48*time.Hour, 500
			},
			made: 1, notDone: 1, least: 150 * time.Second, most: 5 * time.Minute,
		},
		"busy, and says for how long": {
			change: func(d *desk) { d.fails = channels.TryAgain("http_429", 10*time.Minute, nil) }, made: 1, notDone: 1,
			least: 10 * time.Minute, most: 10 * time.Minute,
		},
		"busy for longer than there is time": {
			change: func(d *desk) {
				d.fails, d.out.Deadline = channels.TryAgain("http_429", time.Hour, nil), d.out.Now.Add(20*time.Second)
			},
			made: 1, notDone: 1, least: 20 * time.Second, most: 21 * time.Second,
		},
		"left alone, after many tries": {
			change: func(d *desk) {
				d.fails, d.out.Attempts = channels.TryAgain(channels.ReasonCircuitOpen, 3*time.Second, nil), 50
			},
			made: 1, notDone: 1, least: 3 * time.Second, most: 3 * time.Second,
		},
		"the answer was lost": {
			change: func(d *desk) { d.fails = channels.Unknown("timeout", nil) }, made: 1, least: 500 * time.Millisecond, most: time.Second,
		},
		"no secret": {
			change: func(d *desk) { d.fails = channels.Misconfigured("no_secret", nil) }, made: 1, notDone: 1,
			least: 500 * time.Millisecond, most: time.Second,
		},
		"its time is over": {
			change: func(d *desk) { d.out.Deadline = d.out.Now.Add(-1) }, settled: "dropped", reason: campaign.ReasonNotMade,
		},
		"its time is over, and it may have been made": {
			change: func(d *desk) { d.out.Deadline, d.out.InDoubt = d.out.Now.Add(-1), true }, settled: "failed", reason: campaign.ReasonNoAnswer,
		},
		"its time ends on the way": {
			change: func(d *desk) { d.fails = channels.Refuse(channels.ReasonDeadline, nil) }, settled: "dropped", reason: campaign.ReasonNotMade, made: 1,
		},
		"its time ends on the way, and it may have been made": {
			change:  func(d *desk) { d.out.InDoubt, d.fails = true, channels.Refuse(channels.ReasonDeadline, nil) },
			settled: "failed", reason: campaign.ReasonNoAnswer, made: 1,
		},
		"the campaign was ended": {change: func(d *desk) { d.out.Ended = true }, settled: "dropped", reason: campaign.ReasonEnded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &desk{out: claim()}
			if c.change != nil {
				c.change(d)
			}
			_, env := environment(d, time.Hour)
			_, err := env.ExecuteActivity(campaign.ActivitySend, "k", campaign.ChannelCall)
			if again := c.settled == ""; (err != nil) != again {
				t.Fatalf("error %v", err)
			}
			var failed *temporal.ApplicationError
			if errors.As(err, &failed) {
				if rest := failed.NextRetryDelay(); rest < c.least || rest > c.most {
					t.Errorf("again after %s, want %s to %s", rest, c.least, c.most)
				}
			}
			if len(d.delivered) != c.made || len(d.notDone) != c.notDone {
				t.Errorf("made %d times, %d certainly not", len(d.delivered), len(d.notDone))
			}
			if c.settled != "" && (len(d.settled) != 1 || string(d.settled[0].State) != c.settled || d.settled[0].Reason != c.reason) {
				t.Errorf("settled %+v, want %s %s", d.settled, c.settled, c.reason)
			}
		})
	}
}

// What was answered goes to the store with the attempt.
func TestWhatIsAnsweredIsRecorded(t *testing.T) {
	t.Parallel()
	d := &desk{out: claim(), returned: map[string]json.RawMessage{"level": []byte(`"gold"`)}}
	_, env := environment(d, time.Hour)
	if _, err := env.ExecuteActivity(campaign.ActivitySend, "k", campaign.ChannelCall); err != nil {
		t.Fatal(err)
	}
	if len(d.settled) != 1 || string(d.settled[0].Returned["level"]) != `"gold"` {
		t.Errorf("%+v", d.settled)
	}
}

// Of a slice no more calls are in hand than are made at once, and each rests as a call does.
func TestCallsOfASlice(t *testing.T) {
	t.Parallel()
	d := &desk{fails: channels.TryAgain("http_429", 2*time.Hour, nil)}
	for range 40 {
		d.page = append(d.page, claim())
	}
	_, env := environment(d, time.Hour)
	if _, err := env.ExecuteActivity(campaign.ActivitySendSlice, campaign.SliceInput{Slice: 1, Via: campaign.ChannelCall}); err != nil {
		t.Fatal(err)
	}
	if len(d.recorded) != 40 || len(d.asked) == 0 || d.asked[0] > 16 {
		t.Fatalf("%d were recorded by pages of %v", len(d.recorded), d.asked)
	}
	for _, a := range d.recorded {
		if a.Again < time.Hour-time.Minute || a.Again > time.Hour+time.Minute { // when its time is over, and not later
			t.Fatalf("again after %s", a.Again)
		}
	}
}
