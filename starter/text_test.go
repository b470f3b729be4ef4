package starter_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

var update = flag.Bool("update", false, "write the golden files")

// played is a server with a campaign of two versions that has run for a while.
func played(t *testing.T) *api {
	t.Helper()
	a := serve(t)
	a.must("POST", "/v1/campaigns", trial)
	a.must("POST", "/v1/campaigns", trial+"# the same again, in a second version\n")
	a.must("POST", "/v1/campaigns/fitness-trial/start", "")
	script, err := os.ReadFile("testdata/played.sql")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), a.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.PgConn().Exec(t.Context(), string(script)).ReadAll(); err != nil {
		t.Fatal(err)
	}
	return a
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (run with -update to accept):\n%s", name, diff)
	}
}

func TestReport(t *testing.T) {
	a := played(t)
	var report store.Report
	a.must("GET", "/v1/campaigns/fitness-trial/report", "").json(t, &report)
	report.Now = time.Date(2026, 12, 5, 2, 0, 0, 0, time.UTC)
	var text bytes.Buffer
	if err := starter.WriteReport(&text, &report); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.golden", text.String())

	report.Calls = []store.CallReport{{Version: 1, Call: "crm", State: "sent", Calls: 7}, {Version: 1, Call: "crm", State: "refused", Reason: "http_404", Calls: 2}}
	text.Reset()
	if err := starter.WriteReport(&text, &report); err != nil || !strings.Contains(text.String(), "answered") || !strings.Contains(text.String(), "http_404") {
		t.Errorf("%v\n%s", err, text.String())
	}

	// The parts agree with the whole.
	for _, j := range report.Journeys {
		sum := j.Active
		for _, o := range j.Outcomes {
			sum += o.Members
		}
		if sum != j.Entered || j.Goal.Converted.Of+j.HeldOut != j.Entered {
			t.Errorf("%s, version %d: %d entered, %d under way or ended", j.Journey, j.Version, j.Entered, sum)
		}
	}
	for _, o := range report.Offers {
		if o.Opened != o.Taken+o.Lapsed+o.Withdrawn+o.Open {
			t.Errorf("%+v", o)
		}
	}
}

func TestExplain(t *testing.T) {
	a := played(t)
	for _, lang := range []campaign.Lang{campaign.English, campaign.Chinese} {
		var all strings.Builder
		for _, member := range []string{"m-02", "m-03", "m-04", "m-05"} {
			var story starter.Explanation
			a.must("GET", "/v1/members/"+member+"/explain?lang="+string(lang), "").json(t, &story)
			if err := starter.WriteExplanation(&all, &story, lang); err != nil {
				t.Fatal(err)
			}
			all.WriteString("\n")
		}
		golden(t, "explain."+string(lang)+".golden", all.String())
	}
}

func TestOffersNow(t *testing.T) {
	a := played(t)
	for _, c := range []struct{ offer, says string }{
		// By the clock on the wall these ended long ago or lie far ahead; taken ones cost the list price always.
		{"of_0002", `"state":"taken","price":{"amount":"299.00","currency":"CNY"}`},
		{"of_0005", `"state":"lapsed","price":{"amount":"299.00","currency":"CNY"}`},
	} {
		if r := a.must("GET", "/v1/offers/"+c.offer, ""); !strings.Contains(r.body, c.says) {
			t.Errorf("%s: %s", c.offer, r.body)
		}
	}
	if _, err := a.exec("update offers set expires_at = clock_timestamp() + interval '10 hours' where id = 'of_0003'"); err != nil {
		t.Fatal(err)
	}
	r := a.must("GET", "/v1/offers/of_0003", "")
	if !strings.Contains(r.body, `"state":"open","price":{"amount":"199.00"`) || !strings.Contains(r.body, `"remaining_seconds":3`) {
		t.Error(r.body)
	}
	if _, err := a.exec("update offers set expires_at = clock_timestamp() - interval '1 millisecond' where id = 'of_0003'"); err != nil {
		t.Fatal(err)
	}
	r = a.must("GET", "/v1/offers/of_0003", "")
	if !strings.Contains(r.body, `"state":"open","price":{"amount":"299.00"`) || !strings.Contains(r.body, `"remaining_seconds":0`) {
		t.Error(r.body)
	}
}

// The doctor finds nothing where all is well, and each thing that is made wrong.
func TestDoctor(t *testing.T) {
	a := played(t)
	ill := func() (checks []string) {
		t.Helper()
		findings, err := a.store.Examine(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if !f.OK {
				checks = append(checks, f.Check)
			}
		}
		return checks
	}
	if _, err := a.exec("update journeys set wait_until = clock_timestamp() + interval '1 day' where status = 'active'"); err != nil {
		t.Fatal(err)
	}
	if got := ill(); got != nil {
		t.Fatalf("all is well, and the doctor says %v", got)
	}
	// Many journeys look again after a pause, and that may take its time.
	if _, err := a.exec("insert into intents (kind, journey, created_at) values ('recheck', 0, now() - interval '30 minutes')"); err != nil {
		t.Fatal(err)
	}
	if got := ill(); got != nil {
		t.Errorf("half an hour after a campaign was resumed the doctor says %v", got)
	}
	for _, c := range []struct{ check, harm, cure string }{
		{"balances", "update members set points = points + 1 where id = 'm-02'", "update members set points = points - 1 where id = 'm-02'"},
		{"balances", "update ledger_accounts set balance = 7 where owner = 'm-02'", "update ledger_accounts set balance = 100 where owner = 'm-02'"},
		{"ledger", "insert into ledger_postings (key, kind) values ('x', 'grant')", ""},
		{"stock", "update offer_stock set taken = taken + 1", "update offer_stock set taken = taken - 1"},
		{"budgets", "update budgets set outside = outside + 1", "update budgets set outside = outside - 1"},
		{"budgets", "update ledger_accounts set balance = balance + 1 where kind = 'budget'", "update ledger_accounts set balance = balance - 1 where kind = 'budget'"},
		{"redemptions", "insert into redemptions (id, member, points, order_id, span, state, reserved_at, expires_at) values ('r', 'm-02', 5, 'o', '1h', 'reserved', now(), now() + interval '1h')", "delete from redemptions where id = 'r'"},
		{
			"redemptions", "insert into redemptions (id, member, points, order_id, span, state, reserved_at, expires_at, closed_at) values ('r', 'm-02', 5, 'o', '1h', 'captured', now(), now(), now())",
			"delete from redemptions where id = 'r'",
		},
		{
			"reviews", "insert into reviews (key, kind, campaign, journey, member, step, at) select 'k', 'decision', campaign, id, member, 'none', now() from journeys limit 1",
			"delete from reviews where key = 'k'",
		},
		{
			"reviews", "insert into reviews (key, kind, campaign, journey, member, state, decided_by, decided_at, at) " +
				"select 'k', 'decision', campaign, id, member, 'approved', 'li', now(), now() from journeys limit 1",
			"delete from reviews where key = 'k'",
		},
		{
			"teams", "insert into teams (key, code, campaign, version, journey, place, size, joined, came, state, opened_at, ends_at, closes_at) " +
				"select 'k', 'CDFGHJKMNP', campaign, version, journey, '1', 3, 1, 1, 'open', now(), now(), now() from journeys limit 1",
			"delete from teams",
		},
		{
			"teams", "with t as (insert into teams (key, code, campaign, version, journey, place, size, joined, came, state, opened_at, ends_at, closes_at, closed_at) " +
				"select 'k', 'CDFGHJKMNP', campaign, version, journey, '1', 2, 2, 2, 'formed', now(), now(), now(), now() from journeys limit 1 returning id) " +
				"insert into team_members (team, number, member, journey, joined_at, campaign) " +
				"select t.id, n, 'm-' || n, j.id, now(), j.campaign from t, (select id, campaign from journeys limit 1) j, generate_series(1, 2) n",
			"with gone as (delete from team_members returning team) delete from teams where id in (select team from gone)",
		},
		{"event numbers", "update members set event_seq = 5 where id = 'm-02'", "update members set event_seq = 0 where id = 'm-02'"},
		{"router", "insert into intents (kind, member, created_at) values ('member', 'm-02', now() - interval '1 hour')", "delete from intents"},
		{
			"messages", "update effects set state = 'claimed', claimed_at = now() - interval '2 hours' where key = 'send-1'",
			"update effects set state = 'settled' where key = 'send-1'",
		},
	} {
		before := len(ill())
		if _, err := a.exec(c.harm); err != nil {
			t.Fatal(err)
		}
		got := ill()
		if len(got) <= before || !strings.Contains(strings.Join(got, ","), c.check) {
			t.Errorf("after %q: %v", c.harm, got)
		}
		if c.cure != "" {
			if _, err := a.exec(c.cure); err != nil {
				t.Fatal(err)
			}
		}
	}
}
