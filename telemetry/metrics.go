// Package telemetry is how operators see inside: the metrics of both programs and their
// traces. It wraps the parts of the others from outside, so that what does the work has
// no measuring in it.
//
// Labels are words that somebody has chosen once: campaigns, offers, rewards, channels,
// outcomes, codes. A member, a journey or a text never is one.
package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"

	"github.com/banyanhq/banyan/activities"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/store"
)

// Metrics are what a program counts and times.
type Metrics struct {
	Registry *prometheus.Registry

	turns       *prometheus.CounterVec
	turnSeconds prometheus.Histogram
	sends       *prometheus.CounterVec
	attempts    *prometheus.CounterVec
	sendSeconds *prometheus.HistogramVec
	delivered   *prometheus.CounterVec
	routed      *prometheus.CounterVec
	heldUp      *prometheus.CounterVec
	temporal    client.MetricsHandler
}

// Buckets in seconds. A turn is a transaction of milliseconds, a send a call over the
// network that gives up within seconds; what Temporal's SDK times is both.
var (
	turnBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	sendBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	sdkBuckets  = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
)

// NewMetrics makes a registry with Go's own metrics, those of the process and Banyan's.
func NewMetrics(version string, log *slog.Logger) (*Metrics, error) {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		turns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "banyan_turns_total", Help: "Turns by how they ended: taken, idle (nothing to do), over (the journey's last), failed; failures by code.",
		}, []string{"result", "code"}),
		turnSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "banyan_turn_seconds", Help: "How long turns took, the failed ones too.", Buckets: turnBuckets,
		}),
		sends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "banyan_sends_total", Help: "Messages that were settled, by channel and outcome: sent, refused, dropped, failed, unknown.",
		}, []string{"channel", "outcome"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "banyan_send_attempts_total", Help: "Calls of a channel, by what it answered: ok, retry, refused, unknown, config, and the channel's own reason.",
		}, []string{"channel", "class", "reason"}),
		sendSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "banyan_send_seconds", Help: "How long calls of a channel took.", Buckets: sendBuckets,
		}, []string{"channel"}),
		delivered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "banyan_router_delivered_total", Help: "Starts and pokes that the router brought to Temporal, or could not bring.",
		}, []string{"kind", "result"}),
		routed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "banyan_router_routed_total", Help: "Events and changed members that the router decided, or could not decide.",
		}, []string{"result"}),
		heldUp: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "banyan_router_held_up_total", Help: "Events that were kept for later because this build cannot load the campaign.",
		}, []string{"campaign"}),
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "banyan_build_info", Help: "Always 1; the label says which build this is.", ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 })
	for _, c := range []prometheus.Collector{
		m.turns, m.turnSeconds, m.sends, m.attempts, m.sendSeconds, m.delivered, m.routed, m.heldUp, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := m.Registry.Register(c); err != nil {
			return nil, campaign.Errorf(campaign.CodeInternal, "register the metrics: %w", err)
		}
	}
	// An alert on a rate needs the series to be there before the first failure.
	for _, result := range []string{"taken", "idle", "over"} {
		m.turns.WithLabelValues(result, "")
	}
	m.turns.WithLabelValues("failed", string(campaign.CodeInternal))
	var err error
	m.temporal, err = sdkMetrics(m.Registry, log)
	return m, err
}

// sdkMetrics brings the metrics of Temporal's SDK into the registry, by OpenTelemetry:
// its labels differ from call to call, which a plain collector of Prometheus refuses.
func sdkMetrics(registry *prometheus.Registry, log *slog.Logger) (client.MetricsHandler, error) {
	exporter, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithoutScopeInfo(), otelprom.WithoutTargetInfo())
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInternal, "set up Temporal's metrics: %w", err)
	}
	provider := metric.NewMeterProvider(metric.WithReader(exporter), metric.WithView(metric.NewView(
		metric.Instrument{Kind: metric.InstrumentKindHistogram},
		metric.Stream{Aggregation: metric.AggregationExplicitBucketHistogram{Boundaries: sdkBuckets}},
	)))
	return opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter: provider.Meter("temporal"), UseMonotonicCounters: true,
		OnError: func(err error) { log.Warn("a metric of Temporal's SDK is not counted", "error", err) },
	}), nil
}

// Temporal is the handler to give to a client of Temporal.
func (m *Metrics) Temporal() client.MetricsHandler { return m.temporal }

// Activities measures the turns, sends and settlements of a worker.
func (m *Metrics) Activities(a *activities.Activities) {
	a.Turns = turns{a.Turns, m}
	a.Messages = messages{a.Messages, m}
	a.Channels = m.channels(a.Channels)
}

type turns struct {
	activities.Turns
	m *Metrics
}

func (t turns) Advance(ctx context.Context, journey int64, turn int) (campaign.TurnResult, error) {
	began := time.Now()
	result, err := t.Turns.Advance(ctx, journey, turn)
	t.m.turnSeconds.Observe(time.Since(began).Seconds())
	switch {
	case err != nil && errors.Is(err, context.Canceled): // the worker is being stopped
	case err != nil:
		t.m.turns.WithLabelValues("failed", string(campaign.CodeOf(err))).Inc()
	case result.Outcome != "":
		t.m.turns.WithLabelValues("over", "").Inc()
	case result.Turn < turn:
		t.m.turns.WithLabelValues("idle", "").Inc()
	default:
		t.m.turns.WithLabelValues("taken", "").Inc()
	}
	return result, err
}

// AdvanceSlice counts the turns of a page one by one, and does not time them: they share
// their transactions.
func (t turns) AdvanceSlice(ctx context.Context, in campaign.SliceInput, goOn func() bool) (campaign.SliceResult, error) {
	result, err := t.Turns.AdvanceSlice(ctx, in, goOn)
	t.m.turns.WithLabelValues("taken", "").Add(float64(result.Turned))
	if err != nil && !errors.Is(err, context.Canceled) {
		t.m.turns.WithLabelValues("failed", string(campaign.CodeOf(err))).Inc()
	}
	return result, err
}

type messages struct {
	activities.Messages
	m *Metrics
}

func (s messages) Record(ctx context.Context, attempts ...campaign.Attempt) error {
	err := s.Messages.Record(ctx, attempts...)
	for i := range attempts {
		if a := &attempts[i]; err == nil && a.State != "" {
			s.m.sends.WithLabelValues(a.Channel, string(a.State)).Inc()
		}
	}
	return err
}

func (m *Metrics) channels(set channels.Set) channels.Set {
	var all []channels.Channel
	for _, name := range set.Names() {
		c, _ := set.Get(name)
		all = append(all, measured{c, m})
		for _, outcome := range []campaign.SendOutcome{
			campaign.SendSent, campaign.SendRefused, campaign.SendDropped, campaign.SendFailed, campaign.SendUnknown,
		} {
			m.sends.WithLabelValues(name, string(outcome))
		}
	}
	return channels.New(all...)
}

// measured is a channel whose calls are counted and timed.
type measured struct {
	channels.Channel
	m *Metrics
}

func (c measured) Deliver(ctx context.Context, message channels.Message) (channels.Receipt, error) {
	began := time.Now()
	receipt, err := c.Channel.Deliver(ctx, message)
	c.m.sendSeconds.WithLabelValues(c.Name()).Observe(time.Since(began).Seconds())
	class, reason := "ok", ""
	if f := channels.AsFailure(err); f != nil {
		class, reason = string(f.Class), f.Reason
	}
	c.m.attempts.WithLabelValues(c.Name(), class, reason).Inc()
	return receipt, err
}

// Idempotent is as the channel itself says.
func (c measured) Idempotent() bool { return channels.Idempotent(c.Channel) }

// Forgets is as the channel itself says.
func (c measured) Forgets() time.Duration { return channels.Forgets(c.Channel) }

// Reaches is as the channel itself says.
func (c measured) Reaches() (campaign.IdentityKind, string) { return channels.Reaches(c.Channel) }

// Delivered counts a start or a poke. Metrics observe a router.
func (m *Metrics) Delivered(kind store.IntentKind, done bool) {
	m.delivered.WithLabelValues(string(kind), resultWord(done)).Inc()
}

// Routed counts events and changed members.
func (m *Metrics) Routed(n int, done bool) {
	m.routed.WithLabelValues(resultWord(done)).Add(float64(n))
}

// HeldUp counts an event that is kept for a campaign that cannot be loaded.
func (m *Metrics) HeldUp(name string) { m.heldUp.WithLabelValues(name).Inc() }

func resultWord(done bool) string {
	if done {
		return "done"
	}
	return "again"
}
