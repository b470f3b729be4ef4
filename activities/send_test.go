package activities_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
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
	settled   []campaign.Attempt
	doubted   []campaign.Attempt
	recorded  []campaign.Attempt
	page      []campaign.Outgoing // of a slice
	next      map[string]time.Duration
	mu        sync.Mutex
	fails     error // what the channel answers
	delivered []channels.Message
	safe      bool // the provider takes our key
	broken    error
	asked     []int                      // how large pages were to be
	returned  map[string]json.RawMessage // what a service answers
}

func (d *desk) Outgoing(context.Context, ...string) ([]campaign.Outgoing, error) {
	return []campaign.Outgoing{d.out}, d.broken
}

func (d *desk) OutgoingInSlice(_ context.Context, _ int, _ string, most int) ([]campaign.Outgoing, error) {
	d.asked = append(d.asked, most)
	list := d.page[:min(most, len(d.page))]
	d.page = d.page[len(list):]
	return list, d.broken
}

func (d *desk) NextInSlice(context.Context, int) (map[string]time.Duration, error) {
	return d.next, nil
}

func (d *desk) Trying(_ context.Context, channel string, keys ...string) error {
	for range keys {
		d.tried = append(d.tried, channel)
	}
	d.out.InDoubt = true
	return nil
}

func (d *desk) Record(_ context.Context, attempts ...campaign.Attempt) error {
	for _, a := range attempts {
		switch {
		case a.State != "":
			d.settled = append(d.settled, a)
		case a.NotDone:
			d.notDone = append(d.notDone, a.Reason)
			d.out.InDoubt = false
		default:
			d.doubted = append(d.doubted, a)
		}
		d.recorded = append(d.recorded, a)
	}
	return nil
}

type line struct {
	*desk
	name string
}

func (l line) Name() string     { return l.name }
func (l line) Idempotent() bool { return l.safe }

func (l line) Deliver(_ context.Context, m channels.Message) (channels.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delivered = append(l.delivered, m)
	return channels.Receipt{ProviderID: "p-1", Returned: l.returned}, l.fails
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
			change: func(d *desk) { d.fails, d.out.Trying = channels.TryAgain("http_500", 0, nil), time.Minute }, giveUp: time.Second,
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
			change: func(d *desk) {
				d.fails, d.safe, d.out.Trying = channels.Unknown("timeout", nil), true, time.Minute
			}, giveUp: time.Second,
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
		"in doubt, and its deadline passes on the way": {
			change: func(d *desk) {
				d.out.InDoubt, d.safe, d.fails = true, true, channels.Refuse(channels.ReasonDeadline, nil)
			},
			want: campaign.SendResult{Outcome: "unknown"}, calls: 1, settled: "unknown",
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

// A slice's messages go out in pages. One that fails is tried again later, by itself.
func TestSendSlice(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	run := func(d *desk) (campaign.SendSliceResult, error) {
		env := suite.NewTestActivityEnvironment()
		a := &activities.Activities{
			Messages: d, Channels: channels.New(line{d, "one"}, line{d, "two"}), Log: slog.New(slog.DiscardHandler), GiveUp: time.Hour,
		}
		env.RegisterActivityWithOptions(a.SendSlice, activity.RegisterOptions{Name: campaign.ActivitySendSlice})
		value, err := env.ExecuteActivity(campaign.ActivitySendSlice, campaign.SliceInput{Slice: 1, Via: "one"})
		var result campaign.SendSliceResult
		if err == nil {
			err = value.Get(&result)
		}
		return result, err
	}
	many := func(n int, change func(i int, o *campaign.Outgoing)) *desk {
		d := &desk{}
		for i := range n {
			o := message()
			o.Key = fmt.Sprint("k-", i)
			if change != nil {
				change(i, &o)
			}
			d.page = append(d.page, o)
		}
		return d
	}

	d := many(450, nil)
	if r, err := run(d); err != nil || !reflect.DeepEqual(r, campaign.SendSliceResult{Sent: 450, Wait: -1}) || len(d.delivered) != 450 || len(d.settled) != 450 {
		t.Errorf("%+v %v, %d delivered, %d settled", r, err, len(d.delivered), len(d.settled))
	}
	keys := map[string]bool{}
	for _, m := range d.delivered {
		keys[m.Key] = true
	}
	if len(keys) != 450 {
		t.Errorf("%d keys delivered", len(keys))
	}

	d = many(3, func(i int, o *campaign.Outgoing) { o.Attempts = i * 4 })
	d.fails = channels.TryAgain("http_500", 3*time.Second, nil)
	d.next = map[string]time.Duration{"one": 3 * time.Second, "two": 0, "three": time.Hour}
	if r, err := run(d); err != nil || !reflect.DeepEqual(r, campaign.SendSliceResult{Wait: 3 * time.Second, Channels: []string{"two"}}) || len(d.notDone) != 3 {
		t.Errorf("%+v %v, not done %v", r, err, d.notDone)
	}
	for i, want := range []time.Duration{3 * time.Second, 16 * time.Second, 256 * time.Second} {
		if got := d.recorded[i].Again; got != want {
			t.Errorf("attempt %d is followed by another after %s, want %s", i*4+1, got, want)
		}
	}

	d = many(2, func(i int, o *campaign.Outgoing) { o.InDoubt = i == 0 })
	if _, err := run(d); err != nil || len(d.delivered) != 1 || len(d.tried) != 1 || d.recorded[0].State != campaign.SendUnknown || d.recorded[1].State != campaign.SendSent {
		t.Errorf("%v: %d delivered, %d tried, recorded %+v; want the one in doubt left alone", err, len(d.delivered), len(d.tried), d.recorded)
	}

	d = many(2, func(_ int, o *campaign.Outgoing) { o.Paused = true })
	if r, err := run(d); err != nil || r.Wait != -1 || len(d.delivered) != 0 || len(d.recorded) != 0 {
		t.Errorf("paused: %+v %v, %d delivered", r, err, len(d.delivered))
	}

	d = many(1, nil)
	d.fails = channels.Refuse("gone", nil)
	if _, err := run(d); err != nil || d.recorded[0].Next != "two" || d.recorded[0].State != "" {
		t.Errorf("%v %+v, want the next channel", err, d.recorded)
	}
}
