package e2e

import (
	"bytes"
	"io/fs"
	"net/http/httptest"
	"os"
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
			result, err := f.playDemo(true)
			if err != nil {
				t.Fatalf("%v\n%s", err, f.state())
			}
			t.Logf("played in %s: %d events, %d of them duplicates", time.Since(began).Round(100*time.Millisecond), result.Told, result.Duplicates)

			for _, difference := range recount.Compare(result.Report.Numbers(), want) {
				t.Error(difference)
			}
			f.agreesBeyondReport(want)
		})
	}
}

// A server that was not told to allow it refuses a demo clock, and the campaign is as it
// was. Where it is allowed the campaign keeps it.
func TestDemoClock(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	if _, err := f.playDemo(false); err == nil || !strings.Contains(err.Error(), "403") || !strings.Contains(err.Error(), "BANYAN_DEMO_CLOCK") {
		t.Errorf("a server of production answered: %v", err)
	}
	view, err := f.store.Campaign(f.ctx, demo.Campaign)
	if err != nil {
		t.Fatal(err)
	}
	if view.State != store.StateDraft || view.Clock.Fast() {
		t.Errorf("the campaign is %s, its clock %+v", view.State, view.Clock)
	}
	if err := f.store.Start(f.ctx, demo.Campaign, &store.DemoClock{Factor: demo.Factor, From: demo.From}); err != nil {
		t.Fatal(err)
	}
	if view, err = f.store.Campaign(f.ctx, demo.Campaign); err != nil {
		t.Fatal(err)
	}
	if view.Clock.Factor != demo.Factor || !view.Clock.Start.Equal(demo.From) || view.Now.Before(demo.From) {
		t.Errorf("the campaign shows %s by its clock %+v", view.Now, view.Clock)
	}
}

// playDemo plays the demo through the API of a server that allows its clock, or not.
func (f *fleet) playDemo(clock bool) (*demo.Result, error) {
	f.t.Helper()
	api, err := starter.NewServer(starter.Config{Store: f.store, Entrances: f.router, Temporal: f.client, Log: f.log, DemoClock: clock})
	if err != nil {
		f.t.Fatal(err)
	}
	server := httptest.NewServer(api)
	f.t.Cleanup(server.Close)
	key, _, err := f.store.CreateKey(f.ctx, "demo", []store.Scope{
		store.ScopeCampaignsWrite, store.ScopeMembersWrite, store.ScopeEventsWrite, store.ScopeReportsRead,
	}, time.Time{})
	if err != nil {
		f.t.Fatal(err)
	}
	source, err := fs.ReadFile(definitions.Shipped(), demo.File)
	if err != nil {
		f.t.Fatal(err)
	}
	return demo.Play(f.ctx, demo.Config{
		URL: server.URL, Key: key, Campaign: source, Members: demo.Members(), Events: demo.Events(),
	})
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
			if got := f.count(`select sum(balance) from ledger_accounts where kind = 'member'`); got != count-want["back points"] {
				f.t.Errorf("points: %d in the ledger; by the independent count %d were granted, and %d went back", got, count, want["back points"])
			}
		}
	}
}
