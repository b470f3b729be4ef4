package starter

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/banyanhq/banyan/store"
)

// DefaultMaxIntents is how much may wait for the router before the API takes nothing
// that would add to it. An outage of Temporal leaves a start for each new journey and a
// poke for each event that one listens to; a million of them are some 100 MB and minutes
// of catching up, and a shop that sends 100 events a second fills it in three hours.
const DefaultMaxIntents = 1_000_000

const (
	// pressureEvery is how old the count is at most, while counting is quick; it never
	// takes more than one part in pressureShare of the time.
	pressureEvery = time.Second
	pressureShare = 10
	// pressureRetry is what callers are told to wait: time to route some ten thousand
	// events, and not so long that a caller who waits looks broken.
	pressureRetry = 5 * time.Second
)

// pressure knows whether too much waits for the router.
type pressure struct {
	count func(ctx context.Context, most int64) (int64, error)
	most  int64 // 0: no limit
	log   *slog.Logger
	high  atomic.Bool
}

func newPressure(s *store.Store, most int64, log *slog.Logger) *pressure {
	return &pressure{count: s.CountIntents, most: most, log: log}
}

// run counts until ctx is done.
func (p *pressure) run(ctx context.Context) {
	for p.most > 0 && ctx.Err() == nil {
		began := time.Now()
		p.look(ctx)
		wait := time.NewTimer(max(pressureEvery, pressureShare*time.Since(began)))
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

// look counts once. Between the first refusal and the next acceptance lies a tenth of
// the limit, so that the API does not flicker.
func (p *pressure) look(ctx context.Context) {
	limit := p.most
	if p.high.Load() {
		limit -= limit / 10
	}
	n, err := p.count(ctx, limit+1)
	if err != nil {
		return // PostgreSQL is away: what is to be stored will say so itself
	}
	if high := n > limit; p.high.Swap(high) != high {
		if high {
			p.log.WarnContext(ctx, "too much waits for the router; events, members and entries are refused for now", "limit", p.most)
		} else {
			p.log.InfoContext(ctx, "the router has caught up; everything is taken again")
		}
	}
}

// refusal is the answer to a request that would add to what waits, or nil.
func (p *pressure) refusal() *Problem {
	if !p.high.Load() {
		return nil
	}
	return problem(http.StatusTooManyRequests, "nothing of this request was stored: more than "+strconv.FormatInt(p.most, 10)+
		" events, changes and starts wait to be worked off. Send it again, unchanged, after Retry-After; "+
		"if this lasts, the operators of Banyan must look whether its router and Temporal are well (banyan doctor)")
}
