package e2e

import (
	"bytes"
	"io/fs"
	"maps"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/demo"
	"github.com/banyanhq/banyan/demo/recount"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

// TestDemo plays the whole demo, from the import over HTTP to the report, and compares
// every number with an independent count made from the two files. DEMO_RUNS=10 plays it
// ten times.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("ten days in two minutes")
	}
	runs := 1
	if n, err := strconv.Atoi(os.Getenv("DEMO_RUNS")); err == nil {
		runs = n
	}
	want, err := recount.Count(bytes.NewReader(demo.Members()), bytes.NewReader(demo.Events()))
	if err != nil {
		t.Fatal(err)
	}
	for run := range runs {
		t.Run(strconv.Itoa(run+1), func(t *testing.T) {
			began := time.Now()
			f := newFleet(t)
			f.runRouter()
			f.runWorker()
			result := f.playDemo()
			t.Logf("played in %s: %d events, %d of them duplicates", time.Since(began).Round(100*time.Millisecond), result.Told, result.Duplicates)

			got := result.Report.Numbers()
			delete(got, "refused first-card")
			for _, name := range slices.Sorted(maps.Keys(union(got, want))) {
				if !strings.HasPrefix(name, "tag ") && got[name] != want[name] {
					t.Errorf("%s: %d in the report, %d by the independent count", name, got[name], want[name])
				}
			}
			f.agreesBeyondReport(want)
		})
	}
}

// playDemo plays the demo through the API of a server that allows its clock.
func (f *fleet) playDemo() *demo.Result {
	f.t.Helper()
	api, err := starter.NewServer(starter.Config{Store: f.store, Entrances: f.router, Temporal: f.client, Log: f.log, DemoClock: true})
	if err != nil {
		f.t.Fatal(err)
	}
	server := httptest.NewServer(api)
	f.t.Cleanup(server.Close)
	key, _, err := f.store.CreateKey(f.ctx, "demo", []store.Scope{store.ScopeAdmin}, time.Time{})
	if err != nil {
		f.t.Fatal(err)
	}
	source, err := fs.ReadFile(definitions.Shipped(), demo.File)
	if err != nil {
		f.t.Fatal(err)
	}
	result, err := demo.Play(f.ctx, demo.Config{
		URL: server.URL, Key: key, Campaign: source, Members: demo.Members(), Events: demo.Events(),
	})
	if err != nil {
		f.t.Fatalf("%v\n%s", err, f.state())
	}
	return result
}

// agreesBeyondReport compares what the report does not show: what the receiver of
// messages got, the tags of the members, and the ledger.
func (f *fleet) agreesBeyondReport(want recount.Numbers) {
	f.t.Helper()
	delivered := recount.Numbers{}
	for _, m := range f.receiver.Delivered() {
		delivered["sent "+m.Message]++
		if m.Times != 1 {
			f.t.Errorf("message %s was taken %d times", m.Key, m.Times)
		}
	}
	for name, count := range want {
		switch kind, rest, _ := strings.Cut(name, " "); {
		case kind == "sent" && delivered[name] != count:
			f.t.Errorf("%s: %d at the receiver, %d by the independent count", name, delivered[name], count)
		case kind == "tag":
			if got := f.count(`select count(*) from members where $1 = any(tags)`, rest); got != count {
				f.t.Errorf("%s: %d members, %d by the independent count", name, got, count)
			}
		case name == "points":
			if got := f.count(`select sum(balance) from ledger_accounts where kind = 'member'`); got != count {
				f.t.Errorf("points: %d in the ledger, %d by the independent count", got, count)
			}
		}
	}
}

func union(a, b recount.Numbers) recount.Numbers {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
