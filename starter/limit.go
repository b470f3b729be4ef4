package starter

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// buckets holds a token bucket for each key.
type buckets struct {
	mu    sync.Mutex
	limit rate.Limit
	burst int
	byKey map[int64]*rate.Limiter
}

// maxBuckets bounds what is remembered. Dropping all of them gives every key a full
// bucket once, which harms nobody.
const maxBuckets = 10_000

func newBuckets(limit rate.Limit, burst int) *buckets {
	return &buckets{limit: limit, burst: max(1, burst), byKey: make(map[int64]*rate.Limiter)}
}

// take takes a token; if there is none it says how long until there is one.
func (b *buckets) take(key int64) (wait time.Duration, ok bool) {
	b.mu.Lock()
	limiter, known := b.byKey[key]
	if !known {
		if len(b.byKey) >= maxBuckets {
			clear(b.byKey)
		}
		limiter = rate.NewLimiter(b.limit, b.burst)
		b.byKey[key] = limiter
	}
	b.mu.Unlock()
	reservation := limiter.Reserve()
	if wait = reservation.Delay(); wait > 0 {
		reservation.Cancel()
		return wait, false
	}
	return 0, true
}

// retryAfter is a span as the header says it, in whole seconds.
func retryAfter(wait time.Duration) string { return strconv.Itoa(int(math.Ceil(wait.Seconds()))) }

// limited answers 429 to a key that asks too often.
func (s *Server) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if key, ok := principal(r.Context()); ok {
			if wait, ok := s.buckets.take(key.ID); !ok {
				w.Header().Set("Retry-After", retryAfter(wait))
				writeProblem(w, problem(http.StatusTooManyRequests, "this key makes too many requests; wait as Retry-After says, or send batches"))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
