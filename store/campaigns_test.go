package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/store"
)

func definition(stock int, budget int64) *campaign.Definition {
	cny := func(minor int64) campaign.Money { return campaign.Money{Minor: minor, Currency: "CNY"} }
	return &campaign.Definition{
		Language: 1, Name: "trial", Title: "体验课", Timezone: "Asia/Shanghai", Currency: "CNY",
		Offers:   []campaign.Offer{{Name: "card", Price: cny(19900), ListPrice: cny(29900), Lock: 48 * time.Hour, Stock: stock}},
		Rewards:  []campaign.Reward{{Name: "first", Points: 100, Budget: budget}},
		Journeys: []campaign.Journey{{Name: "j", Steps: campaign.Steps{&campaign.End{StepCommon: campaign.StepCommon{ID: "1"}, Outcome: "done"}}}},
	}
}

func TestSubmit(t *testing.T) {
	s := open(t)
	submit := func(text string, stock int, budget int64) store.Submitted {
		t.Helper()
		got, err := s.Submit(t.Context(), definition(stock, budget), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	limits := func() (stock int, budget int64) {
		t.Helper()
		if err := s.Pool().QueryRow(t.Context(), "select (select stock from offer_stock), (select coalesce(cap, -1) from budgets)").Scan(&stock, &budget); err != nil {
			t.Fatal(err)
		}
		return stock, budget
	}
	current := func() int {
		t.Helper()
		view, err := s.Campaign(t.Context(), "trial")
		if err != nil {
			t.Fatal(err)
		}
		return view.Version
	}
	if got := submit("one", 10, 1000); got.Version != 1 || !got.New {
		t.Errorf("%+v", got)
	}
	if got := submit("one", 10, 1000); got.Version != 1 || got.New {
		t.Errorf("the same text again: %+v", got)
	}
	if got := submit("two", 20, 500); got.Version != 2 || !got.New {
		t.Errorf("%+v", got)
	}
	if stock, budget := limits(); stock != 20 || budget != 500 || current() != 2 {
		t.Errorf("stock %d, budget %d, version %d", stock, budget, current())
	}
	if got := submit("one", 10, 1000); got.Version != 1 || got.New || current() != 1 {
		t.Errorf("going back: %+v, current %d", got, current())
	}
	if stock, budget := limits(); stock != 10 || budget != 1000 {
		t.Errorf("stock %d, budget %d", stock, budget)
	}
	submit("three", 0, 0)
	if stock, budget := limits(); stock < 1e9 || budget != -1 {
		t.Errorf("limits were lifted: stock %d, budget %d", stock, budget)
	}
	v, err := s.CampaignVersion(t.Context(), "trial", 2)
	if err != nil || v.Source != "two" || v.Definition.Offers[0].Stock != 20 || v.Digest != campaign.Digest([]byte("two")) {
		t.Errorf("%+v %v", v, err)
	}
	if err := s.End(t.Context(), "trial", false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Submit(t.Context(), definition(1, 1), []byte("four")); campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("after the end: %v", err)
	}
	if got := submit("two", 20, 500); got.Version != 2 || current() != 3 {
		t.Errorf("an ended campaign changed its version: %+v, current %d", got, current())
	}
}

// Every state with everything that can be asked of it.
func TestCampaignStates(t *testing.T) {
	s := open(t)
	if _, err := s.Submit(t.Context(), definition(1, 1), []byte("x")); err != nil {
		t.Fatal(err)
	}
	asks := map[string]func() error{
		"start":  func() error { return s.Start(t.Context(), "trial", nil) },
		"pause":  func() error { return s.Pause(t.Context(), "trial") },
		"resume": func() error { return s.Resume(t.Context(), "trial") },
		"drain":  func() error { return s.End(t.Context(), "trial", true) },
		"end":    func() error { return s.End(t.Context(), "trial", false) },
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := s.Pool().Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("insert into members (id, joined_at) values ('m', now())")
	exec(`insert into journeys (campaign, version, digest, journey, member, entry, workflow_id, state, cursor, entered_by, entered_at)
		values ('trial', 1, '', 'j', 'm', 1, 'w', '{}', 0, 'api', now())`)
	for _, c := range []struct {
		from, ask string
		to        store.State // empty: a conflict
		pokes     int
	}{
		{"draft", "start", "running", 0},
		{"draft", "pause", "", 0},
		{"draft", "resume", "", 0},
		{"draft", "end", "ended", 1},
		{"running", "start", "", 0},
		{"running", "pause", "paused", 0},
		{"running", "resume", "", 0},
		{"running", "drain", "draining", 0},
		{"running", "end", "ended", 1},
		{"paused", "start", "", 0},
		{"paused", "pause", "", 0},
		{"paused", "resume", "running", 1},
		{"paused", "drain", "draining", 1},
		{"paused", "end", "ended", 1},
		{"draining", "start", "", 0},
		{"draining", "pause", "", 0},
		{"draining", "drain", "", 0},
		{"draining", "end", "ended", 1},
		{"ended", "start", "", 0},
		{"ended", "pause", "", 0},
		{"ended", "resume", "", 0},
		{"ended", "drain", "", 0},
		{"ended", "end", "", 0},
	} {
		exec("delete from intents")
		exec("update campaigns set state = '" + c.from + "'")
		err := asks[c.ask]()
		state, stateErr := s.CampaignState(t.Context(), "trial")
		if stateErr != nil {
			t.Fatal(stateErr)
		}
		var pokes int
		if err := s.Pool().QueryRow(t.Context(), "select count(*) from intents where kind = 'recheck' and campaign = 'trial'").Scan(&pokes); err != nil {
			t.Fatal(err)
		}
		switch {
		case c.to == "" && (campaign.CodeOf(err) != campaign.CodeConflict || string(state) != c.from || !strings.Contains(err.Error(), "trial")):
			t.Errorf("%s a %s one: %v, now %s", c.ask, c.from, err, state)
		case c.to != "" && (err != nil || state != c.to):
			t.Errorf("%s a %s one: %v, now %s, want %s", c.ask, c.from, err, state, c.to)
		case pokes != c.pokes:
			t.Errorf("%s a %s one: %d pokes, want %d", c.ask, c.from, pokes, c.pokes)
		}
	}
	exec("update campaigns set state = 'draining', ended_at = null")
	if names, err := s.EndDrained(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("ended with a journey under way: %v %v", names, err)
	}
	exec("update journeys set status = 'done', outcome = 'done'")
	exec(`insert into effects (key, kind, journey, turn, state) select 'k', 'send', id, 1, 'claimed' from journeys`)
	exec(`insert into messages (key, campaign, version, journey, member, step, name, kind, bodies, state, at)
		select 'k', 'trial', 1, id, 'm', '1', 'last', 'marketing', '[]', 'claimed', now() from journeys`)
	if names, err := s.EndDrained(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("ended with a message on its way: %v %v", names, err)
	}
	exec("update campaigns set state = 'running'")
	if err := s.End(t.Context(), "trial", true); err != nil {
		t.Fatal(err)
	}
	if state, err := s.CampaignState(t.Context(), "trial"); err != nil || state != store.StateDraining {
		t.Errorf("with a message on its way it is %s, %v", state, err)
	}
	exec("update messages set state = 'unknown'")
	exec("update effects set state = 'unknown'") // nobody will find out any more
	if names, err := s.EndDrained(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("not ended: %v %v", names, err)
	}
}

func TestDemoClock(t *testing.T) {
	s := open(t)
	if _, err := s.Submit(t.Context(), definition(1, 1), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), "trial", &store.DemoClock{Factor: campaign.MaxClockFactor + 1}); campaign.CodeOf(err) != campaign.CodeInvalid {
		t.Errorf("too fast: %v", err)
	}
	from := time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC)
	if err := s.Start(t.Context(), "trial", &store.DemoClock{Factor: 3600, From: from}); err != nil {
		t.Fatal(err)
	}
	view, err := s.Campaign(t.Context(), "trial")
	if err != nil {
		t.Fatal(err)
	}
	if !view.Clock.Start.Equal(from) || view.Now.Before(from) || view.Now.After(from.Add(24*time.Hour)) {
		t.Errorf("clock %+v shows %v", view.Clock, view.Now)
	}
	catalog, err := s.FreshCatalog(t.Context())
	if err != nil || len(catalog.Campaigns) != 1 || catalog.Campaigns[0].Clock.Factor != 3600 {
		t.Errorf("%+v %v", catalog, err)
	}
}

// The price is the locked one up to the end and at it, and the list price after it and
// once the offer is closed.
func TestOfferPrice(t *testing.T) {
	end := time.Date(2026, 12, 3, 20, 15, 0, 0, time.UTC)
	locked, list := campaign.Money{Minor: 19900, Currency: "CNY"}, campaign.Money{Minor: 29900, Currency: "CNY"}
	for _, c := range []struct {
		name      string
		state     campaign.OfferState
		expires   time.Time
		now       time.Time
		want      campaign.Money
		remaining time.Duration
	}{
		{"before the end", campaign.OfferOpen, end, end.Add(-time.Hour), locked, time.Hour},
		{"at the end", campaign.OfferOpen, end, end, locked, 0},
		{"after the end", campaign.OfferOpen, end, end.Add(time.Microsecond), list, 0},
		{"without a lock", campaign.OfferOpen, time.Time{}, end, locked, 0},
		{"taken", campaign.OfferTaken, end, end.Add(-time.Hour), list, 0},
		{"lapsed", campaign.OfferLapsed, end, end.Add(-time.Hour), list, 0},
		{"withdrawn", campaign.OfferWithdrawn, end, end.Add(-time.Hour), list, 0},
	} {
		o := store.Offer{State: c.state, Locked: locked, ListPrice: list, ExpiresAt: c.expires, Now: c.now}
		if got := o.Price(); got != c.want || o.Remaining() != c.remaining {
			t.Errorf("%s: %v, %v left", c.name, got, o.Remaining())
		}
	}
}

func TestMigrations(t *testing.T) {
	url := devtest.Database(t)
	var racing []chan error
	for range 4 {
		done := make(chan error, 1)
		racing = append(racing, done)
		go func() {
			_, err := store.Migrate(t.Context(), url)
			done <- err
		}()
	}
	for _, done := range racing {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for {
		name, err := store.MigrateDown(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if name == "" {
			break
		}
	}
	if n, err := store.Migrate(t.Context(), url); err != nil || n == 0 {
		t.Fatalf("%d migrations after going down: %v", n, err)
	}
	status, err := store.MigrationStatus(t.Context(), url)
	if err != nil || len(status) == 0 || !status[0].Applied {
		t.Errorf("%+v %v", status, err)
	}
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	findings, err := s.Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if !f.OK {
			t.Errorf("%+v", f)
		}
	}
}

func TestAnEmptyDatabaseIsNamed(t *testing.T) {
	s, err := store.Open(t.Context(), devtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	findings, err := s.Examine(t.Context())
	if err != nil || len(findings) != 1 || findings[0].OK || !strings.Contains(findings[0].Detail, "migrate") {
		t.Errorf("%+v %v", findings, err)
	}
}
