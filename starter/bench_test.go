package starter_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/banyanhq/banyan/starter"
)

// BenchmarkEvents tells events through the whole API, one a request and in batches.
func BenchmarkEvents(b *testing.B) {
	a := serve(b, func(c *starter.Config) { c.Rate = 1e6 })
	a.must(http.MethodPost, "/v1/campaigns", trial)
	// The two that Go's client keeps open would measure how fast connections are made.
	a.http.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 200
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("%d a request", size), func(b *testing.B) {
			var request atomic.Int64
			b.SetParallelism(16) // callers for each core
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := int(request.Add(1))
					var body strings.Builder
					for i := range size {
						fmt.Fprintf(&body, `{"id":"b%d-%d-%d-%d","type":"order.paid","member":"m-%d","time":"2026-01-05T10:00:00+08:00","properties":{"order":"o-%d","offer":"trial","amount":{"amount":"9.90","currency":"CNY"}}}`+"\n",
							size, b.N, n, i, (n*size+i*7919)%20_000, i)
					}
					if size == 1 {
						a.must(http.MethodPost, "/v1/events", body.String())
						continue
					}
					a.must(http.MethodPost, "/v1/events/batch", body.String(), "Content-Type", "application/x-ndjson")
				}
			})
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
