package telemetry_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/banyanhq/banyan/activities"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/telemetry"
)

type desk struct {
	activities.Messages
	result campaign.TurnResult
	err    error
}

func (d *desk) Advance(context.Context, int64, int) (campaign.TurnResult, error) {
	return d.result, d.err
}

func (d *desk) AdvanceSlice(context.Context, campaign.SliceInput, func() bool) (campaign.SliceResult, error) {
	return campaign.SliceResult{Turned: 500}, nil
}

func (d *desk) Record(context.Context, ...campaign.Attempt) error { return d.err }

type line struct {
	err  error
	safe bool
}

func (line) Name() string { return "post" }

func (l line) Deliver(context.Context, channels.Message) (channels.Receipt, error) {
	return channels.Receipt{ProviderID: "p"}, l.err
}

func (l line) Idempotent() bool { return l.safe }

func metrics(t *testing.T) *telemetry.Metrics {
	t.Helper()
	m, err := telemetry.NewMetrics("v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func wants(t *testing.T, m *telemetry.Metrics, text string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(m.Registry, strings.NewReader(text), names...); err != nil {
		t.Error(err)
	}
}

func TestTurnsAreCounted(t *testing.T) {
	t.Parallel()
	m := metrics(t)
	d := &desk{}
	a := &activities.Activities{Turns: d, Messages: d}
	m.Activities(a)
	for _, c := range []struct {
		result campaign.TurnResult
		err    error
	}{
		{result: campaign.TurnResult{Turn: 3}},
		{result: campaign.TurnResult{Turn: 2}},
		{result: campaign.TurnResult{Turn: 3, Outcome: "lapsed"}},
		{err: campaign.Errorf(campaign.CodeUnavailable, "away")},
		{err: context.Canceled},
	} {
		d.result, d.err = c.result, c.err
		got, err := a.Turns.Advance(t.Context(), 1, 3)
		if got.Turn != c.result.Turn || !errors.Is(err, c.err) {
			t.Errorf("the answer was changed: %+v %v", got, err)
		}
	}
	if r, err := a.Turns.AdvanceSlice(t.Context(), campaign.SliceInput{}, nil); r.Turned != 500 || err != nil {
		t.Errorf("the answer was changed: %+v %v", r, err)
	}
	wants(t, m, `
# HELP banyan_turns_total Turns by how they ended: taken, idle (nothing to do), over (the journey's last), failed; failures by code.
# TYPE banyan_turns_total counter
banyan_turns_total{code="",result="idle"} 1
banyan_turns_total{code="",result="over"} 1
banyan_turns_total{code="",result="taken"} 501
banyan_turns_total{code="internal",result="failed"} 0
banyan_turns_total{code="unavailable",result="failed"} 1
`, "banyan_turns_total")
}

func TestSendsAreCounted(t *testing.T) {
	t.Parallel()
	m := metrics(t)
	for _, safe := range []bool{false, true} {
		d := &desk{}
		l := line{err: channels.TryAgain("http_429", 0, nil), safe: safe}
		a := &activities.Activities{Turns: d, Messages: d, Channels: channels.New(l)}
		m.Activities(a)
		via, ok := a.Channels.Get("post")
		if !ok || channels.Idempotent(via) != safe {
			t.Fatalf("what the channel promises was changed: %v", channels.Idempotent(via))
		}
		if _, err := via.Deliver(t.Context(), channels.Message{Member: "m-1", Body: "秘密"}); channels.AsFailure(err).Reason != "http_429" {
			t.Errorf("the answer was changed: %v", err)
		}
		if err := a.Messages.Record(t.Context(), campaign.Attempt{Channel: "post", State: campaign.SendSent}, campaign.Attempt{Channel: "post"}); err != nil {
			t.Error(err)
		}
		d.err = errors.New("away")
		if err := a.Messages.Record(t.Context(), campaign.Attempt{Channel: "post", State: campaign.SendSent}, campaign.Attempt{Channel: "post"}); err == nil {
			t.Error("a failure was swallowed")
		}
	}
	wants(t, m, `
# HELP banyan_send_attempts_total Calls of a channel, by what it answered: ok, retry, refused, unknown, config, and the channel's own reason.
# TYPE banyan_send_attempts_total counter
banyan_send_attempts_total{channel="post",class="retry",reason="http_429"} 2
# HELP banyan_sends_total Messages that were settled, by channel and outcome: sent, refused, dropped, failed, unknown.
# TYPE banyan_sends_total counter
banyan_sends_total{channel="post",outcome="dropped"} 0
banyan_sends_total{channel="post",outcome="failed"} 0
banyan_sends_total{channel="post",outcome="refused"} 0
banyan_sends_total{channel="post",outcome="sent"} 2
banyan_sends_total{channel="post",outcome="unknown"} 0
`, "banyan_send_attempts_total", "banyan_sends_total")
}

type ledger struct {
	asked  int
	sample store.Sample
	err    error
}

func (l *ledger) Sample(context.Context) (store.Sample, error) {
	l.asked++
	return l.sample, l.err
}

func (l *ledger) DescribeTaskQueue(context.Context, string, enums.TaskQueueType) (*workflowservice.DescribeTaskQueueResponse, error) {
	poller := func(name string, ago time.Duration) *taskqueue.PollerInfo {
		return &taskqueue.PollerInfo{Identity: name, LastAccessTime: timestamppb.New(time.Now().Add(-ago))}
	}
	return &workflowservice.DescribeTaskQueueResponse{Pollers: []*taskqueue.PollerInfo{
		poller("one", 0), poller("one", time.Minute), poller("two", time.Second), poller("gone", 3*time.Minute),
	}}, l.err
}

// Scrapes are answered from the last sample, however many there are.
func TestScrapesDoNotAskTheDatabase(t *testing.T) {
	t.Parallel()
	m := metrics(t)
	l := &ledger{sample: store.Sample{
		Intents: []store.IntentGauge{{Kind: store.IntentPoke, Waiting: 7, Oldest: 90 * time.Second}},
		Budgets: []store.BudgetGauge{{Campaign: "c", Reward: "r", Cap: 100, Left: 40, Kept: 25, PerDay: 30, LeftToday: 10}}, Reserved: store.ReservedGauge{Redemptions: 2, Points: 90},
	}}
	g, err := m.Gauges(l, l, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); g.Run(ctx) }()
	for n := 0; n == 0; {
		families, err := m.Registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "banyan_workers" {
				n = len(f.GetMetric())
			}
		}
	}
	for range 100 {
		wants(t, m, `
# HELP banyan_budget_points_kept Points that are left and given only after somebody has resumed the reward.
# TYPE banyan_budget_points_kept gauge
banyan_budget_points_kept{campaign="c",reward="r"} 25
# HELP banyan_budget_points_left Points of a budget that are left.
# TYPE banyan_budget_points_left gauge
banyan_budget_points_left{campaign="c",reward="r"} 40
# HELP banyan_budget_points_left_today Points that are left of today's budget, on the campaign's calendar.
# TYPE banyan_budget_points_left_today gauge
banyan_budget_points_left_today{campaign="c",reward="r"} 10
# HELP banyan_intents_oldest_seconds How long the oldest of them has waited.
# TYPE banyan_intents_oldest_seconds gauge
banyan_intents_oldest_seconds{kind="event"} 0
banyan_intents_oldest_seconds{kind="member"} 0
banyan_intents_oldest_seconds{kind="points"} 0
banyan_intents_oldest_seconds{kind="poke"} 90
banyan_intents_oldest_seconds{kind="recheck"} 0
banyan_intents_oldest_seconds{kind="referral"} 0
banyan_intents_oldest_seconds{kind="slice"} 0
banyan_intents_oldest_seconds{kind="start"} 0
banyan_intents_oldest_seconds{kind="team"} 0
# HELP banyan_redemption_points_reserved Points that they hold.
# TYPE banyan_redemption_points_reserved gauge
banyan_redemption_points_reserved 90
`, "banyan_budget_points_kept", "banyan_budget_points_left", "banyan_budget_points_left_today", "banyan_redemption_points_reserved", "banyan_intents_oldest_seconds")
	}
	cancel()
	<-done
	if l.asked != 1 {
		t.Errorf("the database was asked %d times", l.asked)
	}
	wants(t, m, `
# HELP banyan_temporal_up 1 while Temporal answers this server.
# TYPE banyan_temporal_up gauge
banyan_temporal_up 1
# HELP banyan_workers Workers that Temporal has seen asking for turns within the last minute.
# TYPE banyan_workers gauge
banyan_workers 2
`, "banyan_temporal_up", "banyan_workers")
}
