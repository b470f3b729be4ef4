package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// Sampler asks the database what there is.
type Sampler interface {
	Sample(ctx context.Context) (store.Sample, error)
}

const (
	// sampleEvery is how old the gauges of the database are at most while counting is
	// quick. Scrapes are answered from the last sample, so that their number, and that of
	// the servers they ask, costs the database nothing.
	sampleEvery = 15 * time.Second
	// sampleShare bounds the share of the time that is spent counting: one part in so many.
	sampleShare = 20
)

// Pollers is the part of a Temporal client that knows who works on a task queue.
type Pollers interface {
	DescribeTaskQueue(ctx context.Context, queue string, kind enums.TaskQueueType) (*workflowservice.DescribeTaskQueueResponse, error)
}

// Gauges shows what the database and Temporal hold, as of the last sample.
type Gauges struct {
	from     Sampler
	temporal Pollers
	log      *slog.Logger

	mu      sync.Mutex
	last    store.Sample
	at      time.Time // when it was taken; zero: not yet
	asked   bool      // whether Temporal has been asked
	up      bool      // whether it answered
	workers int
}

// Gauges registers the gauges of a database and its Temporal. They are empty until Run
// has sampled them.
func (m *Metrics) Gauges(from Sampler, temporal Pollers, log *slog.Logger) (*Gauges, error) {
	g := &Gauges{from: from, temporal: temporal, log: log}
	if err := m.Registry.Register(g); err != nil {
		return nil, campaign.Errorf(campaign.CodeInternal, "register the gauges: %w", err)
	}
	return g, nil
}

// Run samples until ctx is done.
func (g *Gauges) Run(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		g.take(ctx)
		g.ask(ctx)
		wait := time.NewTimer(max(sampleEvery, sampleShare*time.Since(began)))
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

func (g *Gauges) take(ctx context.Context) {
	sample, err := g.from.Sample(ctx)
	if err != nil {
		if ctx.Err() == nil {
			g.log.WarnContext(ctx, "the gauges of the database are not brought up to date", "error", err)
		}
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last, g.at = sample, time.Now()
}

const (
	askTimeout = 5 * time.Second
	// A worker that waits for work asks for it again every minute.
	pollerPatience = 70 * time.Second
)

// ask asks Temporal who works on the journeys.
func (g *Gauges) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	d, err := g.temporal.DescribeTaskQueue(ctx, campaign.TaskQueueJourneys, enums.TASK_QUEUE_TYPE_WORKFLOW)
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	workers := map[string]bool{}
	for _, p := range d.GetPollers() {
		if time.Since(p.GetLastAccessTime().AsTime()) < pollerPatience {
			workers[p.GetIdentity()] = true
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked, g.up, g.workers = true, err == nil, len(workers)
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	intentsWaiting  = describe("banyan_intents_waiting", "Intents that wait for the router.", "kind")
	intentsOldest   = describe("banyan_intents_oldest_seconds", "How long the oldest of them has waited.", "kind")
	intentsAside    = describe("banyan_intents_aside", "Intents that the router could not decide and keeps, with the reason, to try again.", "kind")
	offersOpen      = describe("banyan_offers_open", "Offers that are open.", "campaign", "offer")
	budgetLeft      = describe("banyan_budget_points_left", "Points of a budget that are left.", "campaign", "reward")
	budgetCap       = describe("banyan_budget_points_cap", "Points of a budget in all.", "campaign", "reward")
	budgetKept      = describe("banyan_budget_points_kept", "Points that are left and given only after somebody has resumed the reward.", "campaign", "reward")
	budgetLeftToday = describe("banyan_budget_points_left_today", "Points that are left of today's budget, on the campaign's calendar.", "campaign", "reward")
	budgetPerDay    = describe("banyan_budget_points_per_day", "Points that the budget of a day has.", "campaign", "reward")
	codesLeft       = describe("banyan_coupon_codes_left", "Imported codes that are left to give.", "campaign", "reward")
	codesImported   = describe("banyan_coupon_codes_imported", "Codes that were imported.", "campaign", "reward")
	codesLowWater   = describe("banyan_coupon_codes_low_water", "At or below this the codes run low.", "campaign", "reward")
	stockLeft       = describe("banyan_stock_left", "Pieces of an offer's stock that are left.", "campaign", "offer")
	stockAll        = describe("banyan_stock_all", "Pieces of an offer's stock in all.", "campaign", "offer")
	journeysActive  = describe("banyan_journeys_active", "Journeys under way.", "campaign")
	journeysOverdue = describe("banyan_journeys_overdue", "Journeys that should have looked again five minutes ago.", "campaign")
	messagesClaimed = describe("banyan_messages_claimed", "Messages that are still to go out, but for what a pause holds.")
	messagesOldest  = describe("banyan_messages_oldest_seconds", "How long the oldest of them has been on its way.")
	messagesUnknown = describe("banyan_messages_unknown", "Messages of which nobody knows whether they arrived.")
	redemptionsOpen = describe("banyan_redemptions_reserved", "Redemptions that are reserved.")
	pointsReserved  = describe("banyan_redemption_points_reserved", "Points that they hold.")
	temporalUp      = describe("banyan_temporal_up", "1 while Temporal answers this server.")
	workersSeen     = describe("banyan_workers", "Workers that Temporal has seen asking for turns within the last minute.")
	sampleAge       = describe("banyan_sample_age_seconds", "How old the gauges of the database are.")
)

// Describe implements prometheus.Collector.
func (g *Gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		intentsWaiting, intentsOldest, intentsAside, offersOpen, budgetLeft, budgetCap, budgetKept, budgetLeftToday, budgetPerDay, codesLeft, codesImported, codesLowWater,
		stockLeft, stockAll, journeysActive, journeysOverdue,
		messagesClaimed, messagesOldest, messagesUnknown, redemptionsOpen, pointsReserved, temporalUp, workersSeen, sampleAge,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (g *Gauges) Collect(out chan<- prometheus.Metric) {
	g.mu.Lock()
	s, at, asked, up, workers := g.last, g.at, g.asked, g.up, g.workers
	g.mu.Unlock()
	put := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if asked {
		put(temporalUp, boolean(up))
	}
	if asked && up {
		put(workersSeen, float64(workers))
	}
	if at.IsZero() {
		return
	}
	put(sampleAge, time.Since(at).Seconds())
	byKind := map[store.IntentKind]store.IntentGauge{}
	for _, i := range s.Intents {
		byKind[i.Kind] = i
	}
	for _, kind := range []store.IntentKind{store.IntentEvent, store.IntentMember, store.IntentTeam, store.IntentReferral, store.IntentPoints, store.IntentStart, store.IntentPoke, store.IntentRecheck, store.IntentSlice} {
		put(intentsWaiting, float64(byKind[kind].Waiting), string(kind))
		put(intentsOldest, byKind[kind].Oldest.Seconds(), string(kind))
		put(intentsAside, float64(byKind[kind].Aside), string(kind))
	}
	for _, o := range s.Offers {
		put(offersOpen, float64(o.Open), o.Campaign, o.Offer)
	}
	for _, b := range s.Budgets {
		if b.Cap > 0 {
			put(budgetLeft, float64(b.Left), b.Campaign, b.Reward)
			put(budgetCap, float64(b.Cap), b.Campaign, b.Reward)
			put(budgetKept, float64(b.Kept), b.Campaign, b.Reward)
		}
		if b.PerDay > 0 {
			put(budgetLeftToday, float64(b.LeftToday), b.Campaign, b.Reward)
			put(budgetPerDay, float64(b.PerDay), b.Campaign, b.Reward)
		}
	}
	for _, p := range s.Pools {
		put(codesLeft, float64(p.Left), p.Campaign, p.Reward)
		put(codesImported, float64(p.Imported), p.Campaign, p.Reward)
		put(codesLowWater, float64(p.LowWater), p.Campaign, p.Reward)
	}
	for _, x := range s.Stock {
		put(stockLeft, float64(x.Stock-x.Taken), x.Campaign, x.Offer)
		put(stockAll, float64(x.Stock), x.Campaign, x.Offer)
	}
	for _, j := range s.Journeys {
		put(journeysActive, float64(j.Active), j.Campaign)
		put(journeysOverdue, float64(j.Overdue), j.Campaign)
	}
	put(messagesClaimed, float64(s.Messages.Claimed))
	put(messagesOldest, s.Messages.Oldest.Seconds())
	put(messagesUnknown, float64(s.Messages.Unknown))
	put(redemptionsOpen, float64(s.Reserved.Redemptions))
	put(pointsReserved, float64(s.Reserved.Points))
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Pool shows the connections of a program's pool. Two programs in one process have one
// each.
func (m *Metrics) Pool(program string, stats func() store.PoolStats) error {
	labelled := prometheus.WrapRegistererWith(prometheus.Labels{"program": program}, m.Registry)
	if err := labelled.Register(pool(stats)); err != nil {
		return campaign.Errorf(campaign.CodeInternal, "register the pool's metrics: %w", err)
	}
	return nil
}

type pool func() store.PoolStats

var (
	poolConnections = describe("banyan_database_connections", "Connections of the pool: in_use, idle.", "state")
	poolMax         = describe("banyan_database_connections_max", "How many connections the pool may have.")
	poolAcquires    = describe("banyan_database_acquires_total", "How often a connection was taken from the pool.")
	poolWaits       = describe("banyan_database_acquire_waits_total", "How often none was free, so that it had to be waited for.")
	poolWaited      = describe("banyan_database_acquire_wait_seconds_total", "How long all these waits took.")
	poolGiven       = describe("banyan_database_acquires_canceled_total", "How often the wait for a connection was given up.")
)

// Describe implements prometheus.Collector.
func (pool) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolConnections, poolMax, poolAcquires, poolWaits, poolWaited, poolGiven} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (p pool) Collect(out chan<- prometheus.Metric) {
	s := p()
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v)
	}
	gauge(poolConnections, s.InUse, "in_use")
	gauge(poolConnections, s.Idle, "idle")
	gauge(poolMax, s.Max)
	counter(poolAcquires, float64(s.Acquires))
	counter(poolWaits, float64(s.Waits))
	counter(poolWaited, s.Waited.Seconds())
	counter(poolGiven, float64(s.Given))
}
