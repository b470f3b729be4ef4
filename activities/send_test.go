package activities_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
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

// desk keeps one message, as the store would, and plays the channel.
type desk struct {
	out       campaign.Outgoing
	tried     []string
	notDone   []string
	settled   []campaign.Settlement
	fails     error // what the channel answers
	delivered []channels.Message
	safe      bool // the provider takes our key
	broken    error
}

func (d *desk) Outgoing(context.Context, string) (campaign.Outgoing, error) { return d.out, d.broken }

func (d *desk) Trying(_ context.Context, _, channel string) error {
	d.tried = append(d.tried, channel)
	d.out.InDoubt = true
	return nil
}

func (d *desk) NotDone(_ context.Context, _, reason string) error {
	d.notDone = append(d.notDone, reason)
	d.out.InDoubt = false
	return nil
}

func (d *desk) Settle(_ context.Context, _ *campaign.Outgoing, end campaign.Settlement) error {
	d.settled = append(d.settled, end)
	return nil
}

type line struct {
	*desk
	name string
}

func (l line) Name() string     { return l.name }
func (l line) Idempotent() bool { return l.safe }

func (l line) Deliver(_ context.Context, m channels.Message) (channels.Receipt, error) {
	l.delivered = append(l.delivered, m)
	return channels.Receipt{ProviderID: "p-1"}, l.fails
}

func message() campaign.Outgoing {
	return campaign.Outgoing{
		Key: "k", Campaign: "c", Journey: "j", JourneyRow: 7, Member: "m-1", Name: "hi", State: "claimed",
		Bodies: []campaign.ChannelBody{{Channel: "one", Body: "秘密"}, {Channel: "two", Body: "二"}},
		At:     time.Now(), Now: time.Now(),
	}
}

func send(t *testing.T, d *desk, channel string, giveUp time.Duration) (campaign.SendResult, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	a := &activities.Activities{
		Messages: d, Channels: channels.New(line{d, "one"}, line{d, "two"}), Log: slog.New(slog.DiscardHandler), GiveUp: giveUp,
	}
	env.RegisterActivityWithOptions(a.Send, activity.RegisterOptions{Name: campaign.ActivitySend})
	value, err := env.ExecuteActivity(campaign.ActivitySend, "k", channel)
	var result campaign.SendResult
	if err == nil {
		err = value.Get(&result)
	}
	return result, err
}

func TestSend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*desk)
		channel string
		giveUp  time.Duration
		want    campaign.SendResult
		retry   bool // ends with an error that Temporal tries again
		calls   int  // of the channel
		settled string
		notDone int
	}{
		"sent": {want: campaign.SendResult{Outcome: "sent"}, calls: 1, settled: "sent"},
		"settled already": {
			change: func(d *desk) { d.out.Settled, d.out.State = true, "sent" },
			want:   campaign.SendResult{Outcome: "sent"},
		},
		"held by a pause":   {change: func(d *desk) { d.out.Paused = true }, want: campaign.SendResult{Outcome: "held"}},
		"campaign ended":    {change: func(d *desk) { d.out.Ended = true }, want: campaign.SendResult{Outcome: "dropped"}, settled: "dropped"},
		"past its deadline": {change: func(d *desk) { d.out.Deadline = d.out.Now.Add(-1) }, want: campaign.SendResult{Outcome: "dropped"}, settled: "dropped"},
		"refused, another channel": {
			change: func(d *desk) { d.fails = channels.Refuse("gone", nil) },
			want:   campaign.SendResult{Outcome: "refused", Next: "two"}, calls: 1, notDone: 1,
		},
		"refused by the last channel": {
			change: func(d *desk) { d.fails = channels.Refuse("gone", nil) }, channel: "two",
			want: campaign.SendResult{Outcome: "refused"}, calls: 1, settled: "refused",
		},
		"a channel that is not there": {channel: "three", want: campaign.SendResult{Outcome: "refused"}, settled: "refused"},
		"busy": {
			change: func(d *desk) { d.fails = channels.TryAgain("http_429", time.Minute, nil) }, retry: true, calls: 1, notDone: 1,
		},
		"busy for too long": {
			change: func(d *desk) { d.fails = channels.TryAgain("http_500", 0, nil) }, giveUp: 1,
			want: campaign.SendResult{Outcome: "failed"}, calls: 1, settled: "failed",
		},
		"answer lost, the provider takes our key": {
			change: func(d *desk) { d.fails, d.safe = channels.Unknown("timeout", nil), true }, retry: true, calls: 1,
		},
		"answer lost, the provider does not": {
			change: func(d *desk) { d.fails = channels.Unknown("timeout", nil) },
			want:   campaign.SendResult{Outcome: "unknown"}, calls: 1, settled: "unknown",
		},
		"answer lost for too long": {
			change: func(d *desk) { d.fails, d.safe = channels.Unknown("timeout", nil), true }, giveUp: 1,
			want: campaign.SendResult{Outcome: "unknown"}, calls: 1, settled: "unknown",
		},
		"in doubt after a crash, not safe to repeat": {
			change: func(d *desk) { d.out.InDoubt = true },
			want:   campaign.SendResult{Outcome: "unknown"}, settled: "unknown",
		},
		"in doubt after a crash, safe to repeat": {
			change: func(d *desk) { d.out.InDoubt, d.safe = true, true },
			want:   campaign.SendResult{Outcome: "sent"}, calls: 1, settled: "sent",
		},
		"in doubt, then busy: the doubt stays": {
			change: func(d *desk) { d.out.InDoubt, d.safe, d.fails = true, true, channels.TryAgain("http_500", 0, nil) },
			retry:  true, calls: 1,
		},
		"in doubt, past its deadline": {
			change: func(d *desk) { d.out.InDoubt, d.safe, d.out.Deadline = true, true, d.out.Now.Add(-1) },
			want:   campaign.SendResult{Outcome: "unknown"}, settled: "unknown",
		},
		"the store is away": {
			change: func(d *desk) { d.broken = campaign.Errorf(campaign.CodeUnavailable, "away") }, retry: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &desk{out: message()}
			if c.change != nil {
				c.change(d)
			}
			if c.channel == "" {
				c.channel = "one"
			}
			if c.giveUp == 0 {
				c.giveUp = time.Hour
			}
			got, err := send(t, d, c.channel, c.giveUp)
			var app *temporal.ApplicationError
			if c.retry != (err != nil) || c.retry && (!errors.As(err, &app) || app.NonRetryable()) {
				t.Fatalf("error %v, want a retry: %v", err, c.retry)
			}
			if err != nil && strings.Contains(err.Error(), "秘密") {
				t.Errorf("the error holds the message: %v", err)
			}
			settled := ""
			if len(d.settled) == 1 {
				settled = string(d.settled[0].State)
			}
			if got != c.want || len(d.delivered) != c.calls || settled != c.settled || len(d.settled) > 1 || len(d.notDone) != c.notDone {
				t.Errorf("got %+v, %d calls, settled %v, not done %v", got, len(d.delivered), d.settled, d.notDone)
			}
		})
	}
}

// Errors say their class and nothing more: they are kept in histories.
func TestErrorsHoldNoText(t *testing.T) {
	t.Parallel()
	d := &desk{out: message(), broken: campaign.Errorf(campaign.CodeNotFound, "there is no message of 王小明")}
	_, err := send(t, d, "one", time.Hour)
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || !app.NonRetryable() || app.Type() != "not_found" || strings.Contains(err.Error(), "王小明") {
		t.Errorf("error %v", err)
	}
}
