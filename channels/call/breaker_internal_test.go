package call

import (
	"testing"
	"time"

	"github.com/banyanhq/banyan/channels"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func TestBreaker(t *testing.T) {
	var b breaker
	enter := func(now time.Time, open bool) {
		t.Helper()
		wait, got := b.enter(now)
		if got != open || got != (wait > 0) {
			t.Fatalf("at %s: open %v for %s, want %v", now.Sub(noon), got, wait, open)
		}
	}
	for range breakerFailures - 1 {
		enter(noon, false)
		b.leave(noon, ill)
	}
	b.leave(noon, well) // one that is well begins the count anew
	for range breakerFailures {
		enter(noon, false)
		b.leave(noon, ill)
	}
	enter(noon, true)
	b.leave(noon.Add(time.Second), ill) // one that was under way makes the rest no longer
	enter(noon.Add(breakerRest-time.Second), true)

	// One is let through to see; the others wait for what comes of it.
	enter(noon.Add(breakerRest), false)
	enter(noon.Add(breakerRest), true)
	b.leave(noon.Add(breakerRest), ill)
	enter(noon.Add(2*breakerRest), true)
	enter(noon.Add(3*breakerRest), false)
	b.leave(noon.Add(3*breakerRest), unsaid) // cut off: another one is let through
	enter(noon.Add(3*breakerRest), false)
	// One that never comes back is not waited for for ever.
	enter(noon.Add(3*breakerRest+breakerLongest), false)
	b.leave(noon.Add(3*breakerRest+breakerLongest), well)
	enter(noon.Add(3*breakerRest+breakerLongest), false)
	enter(noon.Add(3*breakerRest+breakerLongest), false)

	for at, i := noon.Add(time.Hour), 0; i < 40; i++ { // its rest has an end
		if wait, open := b.enter(at); open {
			if wait > breakerLongest+breakerLongest/4+time.Second {
				t.Fatalf("waits %s", wait)
			}
			at = at.Add(wait)
			continue
		}
		b.leave(at, ill)
	}
}

func TestBreakersAreOfHosts(t *testing.T) {
	var b breakers
	for range breakerFailures {
		b.of("a").leave(noon, ill)
	}
	if _, open := b.of("a").enter(noon); !open {
		t.Error("a is let through")
	}
	if _, open := b.of("b").enter(noon); open {
		t.Error("b suffers for a")
	}
	for i := range 2 * maxBreakers {
		b.of(string(rune('c' + i)))
	}
	if len(b.host) > maxBreakers {
		t.Errorf("%d hosts are remembered", len(b.host))
	}
}

// A service that answers is well, be it with a refusal; one that is busy says so itself.
func TestVerdict(t *testing.T) {
	for want, list := range map[health][]*channels.Failure{
		well:   {nil, channels.Refuse("http_404", nil), channels.Refuse("answer_unfit", nil), channels.Refuse("redirect_307", nil)},
		ill:    {channels.TryAgain("http_500", 0, nil), channels.TryAgain("dns", 0, nil), channels.Unknown("timeout", nil), channels.Unknown("connection_lost", nil)},
		unsaid: {channels.TryAgain("http_429", 0, nil), channels.Unknown("canceled", nil), channels.Refuse("deadline", nil), channels.Refuse("private_address", nil)},
	} {
		for _, f := range list {
			if got := verdict(f); got != want {
				t.Errorf("%v is %d, want %d", f, got, want)
			}
		}
	}
}
