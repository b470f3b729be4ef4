package store_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

func event(id, member string) campaign.Event {
	return campaign.Event{
		ID: id, Type: "order.paid", Member: member, Time: time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC),
		Properties: json.RawMessage(`{"offer":"trial"}`),
	}
}

func TestTheSameEventFiveTimesAtOnce(t *testing.T) {
	s := open(t)
	for round := range 10 {
		var wg sync.WaitGroup
		var mu sync.Mutex
		accepted := 0
		for i := range 5 {
			wg.Go(func() {
				// Two of them name another member: the id alone decides.
				got, err := s.StoreEvents(t.Context(), []campaign.Event{event(fmt.Sprintf("e-%d", round), fmt.Sprintf("m-%d", i/3))})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if got[0] == store.EventAccepted {
					accepted++
				}
			})
		}
		wg.Wait()
		if accepted != 1 {
			t.Fatalf("round %d: accepted %d times", round, accepted)
		}
	}
	var events, intents int
	if err := s.Pool().QueryRow(t.Context(), "select (select count(*) from events), (select count(*) from intents where kind = 'event')").Scan(&events, &intents); err != nil {
		t.Fatal(err)
	}
	if events != 10 || intents != 10 {
		t.Fatalf("%d events, %d intents; want 10 of each", events, intents)
	}
}

func BenchmarkStoreEvents(b *testing.B) {
	s := open(b)
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetParallelism(16) // callers for each core, as an API has them
			var n int64
			var mu sync.Mutex
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					mu.Lock()
					n++
					k := n
					mu.Unlock()
					batch := make([]campaign.Event, size)
					for i := range batch {
						batch[i] = event(fmt.Sprintf("b%d-%d-%d-%d", size, b.N, k, i), fmt.Sprintf("m-%d", (int(k)*size+i*7919)%20000))
					}
					if _, err := s.StoreEvents(b.Context(), batch); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
