package call

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// breakerFailures is after how many failures in a row a host is left alone: more than a
	// restart brings, and few beside the members of a campaign.
	breakerFailures = 5
	// breakerRest is for how long at first; it doubles with every probe that fails.
	breakerRest = 5 * time.Second
	// breakerLongest bounds it, so that a service that is mended is found soon.
	breakerLongest = 2 * time.Minute
	// maxBreakers bounds the hosts that are remembered. Campaigns name them, so there are few.
	maxBreakers = 1_000
)

type health int

const (
	well health = iota
	ill
	unsaid
)

// breakers are the circuit breakers of a process, one for each host and port.
type breakers struct {
	mu   sync.Mutex
	host map[string]*breaker
}

func (b *breakers) of(host string) *breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	one, ok := b.host[host]
	if !ok {
		if b.host == nil || len(b.host) >= maxBreakers {
			b.host = map[string]*breaker{}
		}
		one = new(breaker)
		b.host[host] = one
	}
	return one
}

// breaker keeps calls from a host that fails: closed, it lets all through; after
// breakerFailures in a row it is open until its rest is over; then it lets one through, by
// whose end it closes or opens again.
type breaker struct {
	mu       sync.Mutex
	failures int // in a row
	rest     time.Duration
	until    time.Time // open until then; zero: closed
	probing  time.Time // since when one is under way that decides; zero: none
}

// enter reports whether a call is to wait, and for how long.
func (b *breaker) enter(now time.Time) (wait time.Duration, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return 0, false
	case now.Before(b.until):
		return jittered(b.until.Sub(now)), true
	case !b.probing.IsZero() && now.Sub(b.probing) < breakerLongest: // longer than any call takes
		return jittered(breakerRest), true
	}
	b.probing = now
	return 0, false
}

// leave takes down how a call ended that was let through.
func (b *breaker) leave(now time.Time, h health) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = time.Time{}
	switch h {
	case well:
		b.failures, b.rest, b.until = 0, 0, time.Time{}
	case ill:
		if b.failures++; b.failures < breakerFailures {
			return
		}
		// Calls that were under way when it opened tell nothing new.
		if !b.until.IsZero() && now.Before(b.until) {
			return
		}
		b.rest = min(max(2*b.rest, breakerRest), breakerLongest)
		b.until = now.Add(b.rest)
	case unsaid:
	}
}

// jittered spreads those who wait for the same moment behind it, so that they do not come
// all at once.
func jittered(d time.Duration) time.Duration {
	return d + rand.N(d/4+time.Second)
}
