package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/store/db"
)

// Sample is how much there is of what operators watch, at one moment.
type Sample struct {
	Intents  []IntentGauge
	Offers   []OfferGauge
	Budgets  []BudgetGauge
	Stock    []StockGauge
	Journeys []JourneyGauge
	Messages MessageGauge
	Reserved ReservedGauge
	Pools    []PoolGauge
}

// PoolGauge is what is left of imported codes; at LowWater or below they run low.
type PoolGauge struct {
	Campaign, Reward         string
	Imported, Left, LowWater int64
}

// ReservedGauge is what members have reserved to redeem.
type ReservedGauge struct{ Redemptions, Points int64 }

// IntentGauge is what waits for the router of one kind.
type IntentGauge struct {
	Kind    IntentKind
	Waiting int64         // but for those put aside
	Aside   int64         // could not be decided
	Oldest  time.Duration // how long the oldest that waits has waited
}

// OfferGauge is how many of an offer are open.
type OfferGauge struct {
	Campaign, Offer string
	Open            int64
}

// BudgetGauge is a budget of points or pieces, in all and for each day, with what is left of it; a
// limit of 0 is none.
type BudgetGauge struct {
	Campaign, Reward  string
	Cap, Left         int64 // Left has what is kept back, too
	Kept              int64 // until somebody resumes the reward
	PerDay, LeftToday int64
}

// StockGauge is an offer's stock and how much of it is taken or held for reservations.
type StockGauge struct {
	Campaign, Offer string
	Stock, Taken    int64
}

// JourneyGauge is how many journeys of a campaign are under way, and how many of them
// should have looked again five real minutes ago.
type JourneyGauge struct {
	Campaign        string
	Active, Overdue int64
}

// MessageGauge is what is still to go out, but for what a pause holds, and of how many
// messages nobody knows whether they arrived.
type MessageGauge struct {
	Claimed, Unknown int64
	Oldest           time.Duration // how long the oldest has been claimed
}

const (
	// maxGauges bounds the series of each sort, whatever campaigns there are.
	maxGauges = 1_000
	// sampleTimeout is for each question: an answer that takes longer is not worth having.
	sampleTimeout = "10s"
)

// Sample counts what operators watch. It reads whole tables, so it is for one who keeps
// the answer for a while.
func (s *Store) Sample(ctx context.Context) (Sample, error) {
	var out Sample
	err := s.inSnapshot(ctx, func(tx pgx.Tx, q *db.Queries) error {
		out = Sample{}
		if _, err := tx.Exec(ctx, "set local statement_timeout = '"+sampleTimeout+"'"); err != nil {
			return err
		}
		return out.read(ctx, q)
	})
	return out, translate(err, "count what operators watch")
}

func (out *Sample) read(ctx context.Context, q *db.Queries) error {
	intents, err := q.GaugeIntents(ctx)
	if err != nil {
		return err
	}
	for _, r := range intents {
		out.Intents = append(out.Intents, IntentGauge{IntentKind(r.Kind), r.Waiting, r.Aside, seconds(r.OldestSeconds)})
	}
	offers, err := q.GaugeOffers(ctx, maxGauges)
	if err != nil {
		return err
	}
	for _, r := range offers {
		out.Offers = append(out.Offers, OfferGauge{r.Campaign, r.Offer, r.Open})
	}
	budgets, err := q.GaugeBudgets(ctx, maxGauges)
	if err != nil {
		return err
	}
	for _, r := range budgets {
		out.Budgets = append(out.Budgets, BudgetGauge{r.Campaign, r.Reward, r.Cap, r.Available + r.Kept, r.Kept, r.PerDay, r.AvailableToday})
	}
	stock, err := q.GaugeStock(ctx, maxGauges)
	if err != nil {
		return err
	}
	for _, r := range stock {
		out.Stock = append(out.Stock, StockGauge{r.Campaign, r.Offer, int64(r.Stock), int64(r.Taken)})
	}
	journeys, err := q.GaugeJourneys(ctx, maxGauges)
	if err != nil {
		return err
	}
	for _, r := range journeys {
		out.Journeys = append(out.Journeys, JourneyGauge{r.Campaign, r.Active, r.Overdue})
	}
	pools, err := q.GaugePools(ctx, maxGauges)
	if err != nil {
		return err
	}
	for _, r := range pools {
		p := poolOf(r.Imported, r.Available, r.LowWater)
		out.Pools = append(out.Pools, PoolGauge{r.Campaign, r.Reward, p.Imported, p.Left, p.LowWater})
	}
	reserved, err := q.GaugeRedemptions(ctx)
	if err != nil {
		return err
	}
	out.Reserved = ReservedGauge{reserved.Reserved, reserved.Points}
	m, err := q.GaugeMessages(ctx)
	out.Messages = MessageGauge{m.Claimed, m.Unknown, seconds(m.OldestSeconds)}
	return err
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// CountIntents counts what waits for the router, up to most.
func (s *Store) CountIntents(ctx context.Context, most int64) (int64, error) {
	n, err := s.queries.CountIntents(ctx, int32(min(most, maxCount)))
	return n, translate(err, "count what waits")
}

const maxCount = 1<<31 - 1

// PoolStats are the connections of the pool, and how often somebody had to wait for one.
type PoolStats struct {
	InUse, Idle, Max       int
	Acquires, Waits, Given int64         // Waits: the pool was empty; Given: given up while waiting
	Waited                 time.Duration // all in all
}

// PoolStats reads the pool's counters.
func (s *Store) PoolStats() PoolStats {
	p := s.pool.Stat()
	return PoolStats{
		InUse: int(p.AcquiredConns()), Idle: int(p.IdleConns()), Max: int(p.MaxConns()),
		Acquires: p.AcquireCount(), Waits: p.EmptyAcquireCount(), Given: p.CanceledAcquireCount(), Waited: p.EmptyAcquireWaitTime(),
	}
}
