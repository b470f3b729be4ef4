package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/store"
)

// posted is a store with campaigns whose journeys wait to be brought to Temporal.
type posted struct {
	*store.Store
	t *testing.T
}

func newPosted(t *testing.T, campaigns ...string) *posted {
	t.Helper()
	p := &posted{open(t), t}
	p.exec("insert into members (id, joined_at) values ('m', now())")
	for _, name := range campaigns {
		def := definition(1, 1)
		def.Name = name
		if _, err := p.Submit(t.Context(), def, []byte(name)); err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *posted) exec(sql string, args ...any) {
	p.t.Helper()
	if _, err := p.Pool().Exec(p.t.Context(), sql, args...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *posted) count(sql string, args ...any) (n int) {
	p.t.Helper()
	if err := p.Pool().QueryRow(p.t.Context(), sql, args...).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// journeys lets n members enter a campaign's journey whose name is its own.
func (p *posted) journeys(campaign, journey string, n int) {
	p.t.Helper()
	p.exec(`insert into journeys (campaign, version, digest, journey, member, entry, workflow_id, state, cursor, entered_by, entered_at)
		select $1, 1, '', $2, 'm', i, $1 || '/' || $2 || '/' || i, '{}', 0, 'api', now() from generate_series(1, $3) i`, campaign, journey, n)
}

// intents leaves one of a kind for each journey of that name.
func (p *posted) intents(kind store.IntentKind, campaign, journey string) {
	p.t.Helper()
	p.exec(`insert into intents (kind, campaign, journey) select $1, campaign, id from journeys where campaign = $2 and journey = $3 order by id`,
		string(kind), campaign, journey)
}

func (p *posted) deliver(most int, do func([]store.Delivery) []store.Undelivered) int {
	p.t.Helper()
	n, err := p.Deliver(p.t.Context(), most, do)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// every delivers everything that comes.
func every(list *[]store.Delivery) func([]store.Delivery) []store.Undelivered {
	return func(batch []store.Delivery) []store.Undelivered {
		*list = append(*list, batch...)
		return nil
	}
}

// A campaign with very many journeys is resumed. Whatever comes after that, in this or
// another campaign, is in the very next batch and among its first.
func TestAResumedCampaignHoldsUpNobody(t *testing.T) {
	p := newPosted(t, "flood", "other")
	const many = 5_000
	p.journeys("flood", "waiting", many)
	if err := p.Pause(t.Context(), "flood"); err != nil {
		t.Fatal(err)
	}
	if err := p.Resume(t.Context(), "flood"); err != nil {
		t.Fatal(err)
	}
	p.journeys("flood", "fresh", 1)
	p.intents(store.IntentStart, "flood", "fresh")
	p.intents(store.IntentPoke, "flood", "fresh")
	p.journeys("other", "fresh", 1)
	p.intents(store.IntentPoke, "other", "fresh")
	p.exec(`insert into slices (campaign, journey, slice, workflow_id) values ('other', 'crowd', 0, 's')`)
	p.exec(`insert into intents (kind, slice) select 'slice', id from slices`)

	var batch []store.Delivery
	if n := p.deliver(100, every(&batch)); n != 24 || len(batch) != n {
		t.Fatalf("%d intents done in %d deliveries, want 20 of the flood and 4 others", n, len(batch))
	}
	var first []string
	for _, d := range batch[:5] {
		first = append(first, fmt.Sprint(d.Kind, " ", d.ID.Campaign))
	}
	slices.Sort(first)
	if want := []string{"poke flood", "poke other", "recheck flood", "slice other", "start flood"}; !slices.Equal(first, want) {
		t.Errorf("the first five are %v, want %v", first, want)
	}
	// What is left is the flood's alone, and now it has the whole batch, in its order.
	batch = nil
	if n := p.deliver(100, every(&batch)); n != 100 {
		t.Errorf("%d intents done, want 100 of the flood", n)
	}
	if !slices.IsSortedFunc(batch, func(a, b store.Delivery) int { return int(a.Row - b.Row) }) {
		t.Error("the flood is not in its order")
	}
}

// So many campaigns have something to bring that a batch has no room for one of each:
// those who have waited longest come first, and each comes once.
func TestMoreCampaignsThanABatchHolds(t *testing.T) {
	p := newPosted(t, "c")
	const campaigns, each = 30, 3
	p.journeys("c", "j", campaigns*each)
	p.exec(`insert into intents (kind, campaign, journey, due_at)
		select 'start', 'c-' || entry % $1, id, now() - interval '1 hour' + entry * interval '1 second' from journeys`, campaigns)
	p.exec(`insert into intents (kind, campaign, journey, due_at) select 'start', 'late', id, now() + interval '1 hour' from journeys`)
	var got []store.Delivery
	for round := range campaigns * each / 10 {
		before := len(got)
		if n := p.deliver(10, every(&got)); n != 10 {
			t.Fatalf("round %d: %d intents done, want 10", round, n)
		}
		if !slices.IsSortedFunc(got[before:], func(a, b store.Delivery) int { return int(a.Row - b.Row) }) {
			t.Errorf("round %d is not in its order", round)
		}
	}
	for i, d := range got {
		if int64(i) != d.Row-got[0].Row {
			t.Fatalf("delivery %d is of journey %d", i, d.Row)
		}
	}
	if n := p.deliver(10, every(&got)); n != 0 {
		t.Errorf("%d intents done that are not due", n)
	}
}

// What stays is tried at once or after a while, the rest is gone, and a router that dies
// gives everything back.
func TestWhatIsNotDeliveredStays(t *testing.T) {
	p := newPosted(t, "c")
	p.journeys("c", "j", 4)
	p.intents(store.IntentPoke, "c", "j")
	p.intents(store.IntentPoke, "c", "j")
	var ids [][]int64
	n := p.deliver(100, func(list []store.Delivery) []store.Undelivered {
		for _, d := range list {
			ids = append(ids, d.Intents)
		}
		return []store.Undelivered{{Delivery: list[0]}, {Delivery: list[1], Wait: time.Minute}, {Delivery: list[2], Wait: time.Hour}}
	})
	if n != 2 || len(ids) != 4 || len(ids[3]) != 2 {
		t.Fatalf("%d done, deliveries %v; want one of four, with both of its pokes", n, ids)
	}
	for i, want := range []string{"due_at <= now()", "due_at between created_at + interval '1 second' and now() + interval '1 minute'", "due_at > now() + interval '1 minute'"} {
		if n := p.count(`select count(*) from intents where id = any($1) and `+want, ids[i]); n != 2 {
			t.Errorf("of journey %d %d intents have %s, want 2", i, n, want)
		}
	}
	if n := p.count(`select count(*) from intents`); n != 6 {
		t.Errorf("%d intents are left, want 6", n)
	}
	if err := p.Delivered(t.Context(), ids[1]); err != nil {
		t.Fatal(err)
	}
	dying, cancel := context.WithCancel(t.Context())
	if n, err := p.Deliver(dying, 100, func([]store.Delivery) []store.Undelivered { cancel(); return nil }); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d done by a router that died: %v", n, err)
	}
	// PostgreSQL gives the rows back when it has seen that the connection is gone.
	var again []store.Delivery
	n = 0
	until(t, "PostgreSQL has noticed the death", func() bool { n += p.deliver(100, every(&again)); return n > 0 })
	if n != 2 || len(again) != 1 || !slices.Equal(again[0].Intents, ids[0]) {
		t.Errorf("%d done, %v; want what the dead router held, %v", n, again, ids[0])
	}
	if n := p.count(`select count(*) from intents`); n != 2 {
		t.Errorf("%d intents are left, want the 2 that are not due", n)
	}
}

// Several routers at once never hold the same intent, and together bring every one.
func TestRoutersDeliverSideBySide(t *testing.T) {
	p := newPosted(t, "a", "b")
	const routers, each = 4, 300
	for _, c := range []string{"a", "b"} {
		p.journeys(c, "j", each)
		p.intents(store.IntentStart, c, "j")
		p.intents(store.IntentRecheck, c, "j")
	}
	var (
		mu    sync.Mutex
		seen  = map[string]int{}
		crew  sync.WaitGroup
		holds sync.WaitGroup // all of them are inside a batch
	)
	holds.Add(routers)
	for range routers {
		crew.Go(func() {
			in := sync.OnceFunc(func() { holds.Done(); holds.Wait() })
			for n := 1; n > 0; {
				var err error
				n, err = p.Deliver(t.Context(), 100, func(list []store.Delivery) []store.Undelivered {
					in()
					mu.Lock()
					defer mu.Unlock()
					for _, d := range list {
						seen[fmt.Sprint(d.Kind, d.Row)]++
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	crew.Wait()
	for what, times := range seen {
		if times != 1 {
			t.Errorf("%s was brought %d times", what, times)
		}
	}
	if len(seen) != 4*each {
		t.Errorf("%d deliveries, want %d", len(seen), 4*each)
	}
	if n := p.count(`select count(*) from intents`); n != 0 {
		t.Errorf("%d intents are left", n)
	}
}
