package starter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

func event(id string, more string) string {
	return fmt.Sprintf(`{"id":%q,"type":"order.paid","member":"m-1","time":"2026-01-05T10:00:00+08:00"%s}`, id, more)
}

// Every one of these is refused with a problem document, and nothing is stored.
func TestBadInput(t *testing.T) {
	a := serve(t, func(c *starter.Config) {
		c.Entrances = entrances(func(string, string, string, json.RawMessage) (starter.EntryResult, error) {
			return starter.EntryResult{Reason: "already in"}, nil
		})
	})
	a.must("POST", "/v1/campaigns", trial)
	readOnly := a.newKey(store.ScopeReportsRead)
	expired, _, err := a.store.CreateKey(t.Context(), "old", []store.Scope{store.ScopeAdmin}, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	before := a.counts()
	year := time.Now().AddDate(1, 0, 0).Format(time.RFC3339)
	lines := func(n int, line string) string { return strings.Repeat(line+"\n", n) }
	ndjson := []string{"Content-Type", "application/x-ndjson"}

	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		says                     string
	}{
		{"no key", "POST", "/v1/events", event("e", ""), []string{"Authorization", ""}, 401, "send a key"},
		{"no key, unknown path", "GET", "/v2/secrets", "", []string{"Authorization", ""}, 401, "send a key"},
		{"no key, document", "GET", "/openapi.json", "", []string{"Authorization", ""}, 401, "send a key"},
		{"unknown key", "POST", "/v1/events", event("e", ""), []string{"Authorization", "Bearer byn_nothing"}, 401, "unknown"},
		{"expired key", "POST", "/v1/events", event("e", ""), []string{"Authorization", "Bearer " + expired}, 401, "expired"},
		{"wrong scope", "POST", "/v1/events", event("e", ""), []string{"Authorization", "Bearer " + readOnly}, 403, "events:write"},
		{"wrong scope, keys", "POST", "/v1/keys", `{"name":"x","scopes":["admin"]}`, []string{"Authorization", "Bearer " + readOnly}, 403, "admin"},
		{"no such path", "GET", "/v1/nothing", "", nil, 404, "openapi.json"},
		{"wrong method", "PATCH", "/v1/events", "", nil, 405, "POST"},
		{"malformed JSON", "POST", "/v1/events", `{"id": "e-1",`, nil, 400, "not JSON"},
		{"empty body", "POST", "/v1/events", "", nil, 400, "empty"},
		{"two values", "POST", "/v1/events", event("e", "") + event("f", ""), nil, 400, "after the JSON"},
		{"not UTF-8", "POST", "/v1/events", event("e", `,"properties":{"order":"`+"\xff"+`"}`), nil, 400, "UTF-8"},
		{"wrong type of a field", "POST", "/v1/events", `{"id":7,"type":"order.paid","member":"m","time":"2026-01-05T10:00:00Z"}`, nil, 422, "number"},
		{"unknown field", "POST", "/v1/events", event("e", `,"extra":1`), nil, 422, "extra"},
		{"no id", "POST", "/v1/events", event("", ""), nil, 422, "missing"},
		{"long id", "POST", "/v1/events", event(strings.Repeat("x", 129), ""), nil, 422, "128 bytes"},
		{"control character", "POST", "/v1/events", strings.Replace(event("e", ""), "m-1", `m\u0000`, 1), nil, 422, "control"},
		{"unknown event type", "POST", "/v1/events", strings.Replace(event("e", ""), "order.paid", "order.payd", 1), nil, 422, "did you mean order.paid?"},
		{"no time", "POST", "/v1/events", `{"id":"e","type":"order.paid","member":"m"}`, nil, 422, "missing"},
		{"time without offset", "POST", "/v1/events", `{"id":"e","type":"order.paid","member":"m","time":"2026-01-05T10:00:00"}`, nil, 422, "offset"},
		{"a year ahead", "POST", "/v1/events", `{"id":"e","type":"order.paid","member":"m","time":"` + year + `"}`, nil, 422, "ten minutes"},
		{"before 1970", "POST", "/v1/events", `{"id":"e","type":"order.paid","member":"m","time":"0001-01-01T00:00:00Z"}`, nil, 422, "1970"},
		{"string for a string", "POST", "/v1/events", event("e", `,"properties":{"order":7}`), nil, 422, "a string"},
		{"number as money", "POST", "/v1/events", event("e", `,"properties":{"amount":199}`), nil, 422, "money"},
		{"third decimal", "POST", "/v1/events", event("e", `,"properties":{"amount":"1.999"}`), nil, 422, "money"},
		{"unknown currency", "POST", "/v1/events", event("e", `,"properties":{"amount":{"amount":"1.00","currency":"XXX"}}`), nil, 422, "money"},
		{"fraction as int", "POST", "/v1/events", event("e", `,"properties":{"items":1.5}`), nil, 422, "whole number"},
		{"text as bool", "POST", "/v1/events", event("e", `,"properties":{"gift":"yes"}`), nil, 422, "true or false"},
		{"text as time", "POST", "/v1/events", event("e", `,"properties":{"at":"noon"}`), nil, 422, "a time"},
		{"properties no object", "POST", "/v1/events", event("e", `,"properties":[1]`), nil, 422, "object"},
		{"zero character", "POST", "/v1/events", event("e", `,"properties":{"x":"a\u0000b"}`), nil, 422, "zero"},
		{"huge number", "POST", "/v1/events", event("e", `,"properties":{"x":1e999}`), nil, 422, "too large"},
		{"long string", "POST", "/v1/events", event("e", `,"properties":{"x":"`+strings.Repeat("x", 70_000)+`"}`), nil, 422, "64 KiB"},
		{"deep", "POST", "/v1/events", event("e", `,"properties":{"x":`+strings.Repeat("[", 50)+strings.Repeat("]", 50)+`}`), nil, 422, "deeply"},
		{"huge body", "POST", "/v1/events", event("e", `,"properties":{"x":"`+strings.Repeat("x", 9<<20)+`"}`), nil, 413, "8 MiB"},
		{"one bad in a batch", "POST", "/v1/events/batch", `{"events":[` + event("a", "") + `,` + event("b", `,"properties":{"items":"x"}`) + `]}`, nil, 422, "events[1].properties.items"},
		{"empty batch", "POST", "/v1/events/batch", `{"events":[]}`, nil, 422, "nothing in the batch"},
		{"large batch", "POST", "/v1/events/batch", lines(1001, event("a", "")), ndjson, 413, "1,000"},
		{"bad line", "POST", "/v1/events/batch", event("a", "") + "\n{\n", ndjson, 400, "line 2"},
		{"bad definition", "POST", "/v1/campaigns", "campaign: x\njourneys: {}\n", nil, 422, "line"},
		{"no definition", "POST", "/v1/campaigns", "", nil, 422, "YAML"},
		{"unknown campaign", "GET", "/v1/campaigns/none", "", nil, 404, "none"},
		{"unknown campaign, start", "POST", "/v1/campaigns/none/start", "", nil, 404, "none"},
		{"unknown campaign, report", "GET", "/v1/campaigns/none/report", "", nil, 404, "none"},
		{"unknown version", "GET", "/v1/campaigns/fitness-trial/versions/9", "", nil, 404, "version 9"},
		{"version no number", "GET", "/v1/campaigns/fitness-trial/versions/x", "", nil, 422, "integer"},
		{"migrations of no campaign", "GET", "/v1/campaigns/none/migrations", "", nil, 404, "none"},
		{"no migration", "GET", "/v1/campaigns/fitness-trial/migrations/7", "", nil, 404, "7"},
		{"stop no migration", "POST", "/v1/campaigns/fitness-trial/migrations/7/stop", "", nil, 404, "7"},
		{"take no migration back", "POST", "/v1/campaigns/fitness-trial/migrations/7/revert", "", nil, 404, "7"},
		{"plan of no campaign", "POST", "/v1/campaigns/none/migrations/plan", `{}`, nil, 404, "none"},
		{"plan of two texts", "POST", "/v1/campaigns/fitness-trial/migrations/plan", `{"source":"campaign: x","version":1}`, nil, 422, "not both"},
		{"plan of a bad text", "POST", "/v1/campaigns/fitness-trial/migrations/plan", `{"source":"campaign: x"}`, nil, 422, "title"},
		{"plan of no version", "POST", "/v1/campaigns/fitness-trial/migrations/plan", `{"version":9}`, nil, 404, "version 9"},
		{"migration without choices", "POST", "/v1/campaigns/fitness-trial/migrations", `{"version":1,"choices":[]}`, nil, 422, "choices"},
		{"migration to no version", "POST", "/v1/campaigns/fitness-trial/migrations", `{"version":9,"choices":[{"do":"move"}]}`, nil, 404, "version 9"},
		{"migration by nothing", "POST", "/v1/campaigns/fitness-trial/migrations", `{"choices":[{"do":"jump"}]}`, nil, 422, "keep"},
		{"migration, wrong scope", "POST", "/v1/campaigns/fitness-trial/migrations", `{"choices":[{"do":"move"}]}`, []string{"Authorization", "Bearer " + readOnly}, 403, "campaigns:write"},
		{"migrations, bad cursor", "GET", "/v1/campaigns/fitness-trial/migrations?after=eA", "", nil, 422, "cursor"},
		{"demo clock", "POST", "/v1/campaigns/fitness-trial/start", `{"demo_clock":{"factor":60}}`, nil, 403, "BANYAN_DEMO_CLOCK"},
		{"pause a draft", "POST", "/v1/campaigns/fitness-trial/pause", "", nil, 409, "draft"},
		{"resume a draft", "POST", "/v1/campaigns/fitness-trial/resume", "", nil, 409, "draft"},
		{"unknown field in end", "POST", "/v1/campaigns/fitness-trial/end", `{"now":true}`, nil, 422, "now"},
		{"malformed end", "POST", "/v1/campaigns/fitness-trial/end", `{`, nil, 400, ""},
		{"reserved attribute", "PUT", "/v1/members/m-1", `{"attributes":{"points":5}}`, nil, 422, "points"},
		{"attribute of another type", "PUT", "/v1/members/m-1", `{"attributes":{"visits":"many"}}`, nil, 422, "whole number"},
		{"attribute not one of", "PUT", "/v1/members/m-1", `{"attributes":{"level":"iron"}}`, nil, 422, "bronze, silver, gold"},
		{"own inviter", "PUT", "/v1/members/m-1", `{"inviter":"m-1"}`, nil, 422, "inviter"},
		{"joined next year", "PUT", "/v1/members/m-1", `{"joined_at":"` + year + `"}`, nil, 422, "ten minutes"},
		{"long member id", "PUT", "/v1/members/" + strings.Repeat("x", 129), `{}`, nil, 422, "128 bytes"},
		{"member body a list", "PUT", "/v1/members/m-1", `[]`, nil, 422, "object is expected"},
		{"members too many", "POST", "/v1/members/batch", lines(1001, `{"id":"m"}`), ndjson, 413, "1,000"},
		{"member without id", "POST", "/v1/members/batch", `{"tags":["x"]}`, ndjson, 422, "members[0].id"},
		{"unknown member", "GET", "/v1/members/nobody", "", nil, 404, "nobody"},
		{"unknown member, story", "GET", "/v1/members/nobody/explain", "", nil, 404, "nobody"},
		{"unknown language", "GET", "/v1/members/nobody/explain?lang=fr", "", nil, 422, "lang"},
		{"unknown parameter", "GET", "/v1/campaigns?page=2", "", nil, 422, "page"},
		{"bad cursor", "GET", "/v1/members?after=!!", "", nil, 422, "cursor"},
		{"unknown offer", "GET", "/v1/offers/of_x", "", nil, 404, "of_x"},
		{"may not enter", "POST", "/v1/campaigns/fitness-trial/journeys/trial-to-card/entries", `{"member":"m-1"}`, nil, 409, "already in"},
		{"enter nobody", "POST", "/v1/campaigns/fitness-trial/journeys/trial-to-card/entries", `{}`, nil, 422, "member"},
		{"zero character in a path", "GET", "/v1/campaigns/a%00b", "", nil, 422, "no text"},
		{"no UTF-8 in a path", "GET", "/v1/offers/%ff", "", nil, 422, "no text"},
		{"zero character in a parameter", "GET", "/v1/members?tag=%00", "", nil, 422, "no text"},
		{"no UTF-8 in a member's id", "PUT", "/v1/members/%ff", "{}", nil, 422, "no text"},
		{"zero character in a key's name", "POST", "/v1/keys", `{"name":"a\u0000","scopes":["admin"]}`, nil, 422, "control"},
		{"unknown scope", "POST", "/v1/keys", `{"name":"x","scopes":["root"]}`, nil, 422, "root"},
		{"no scope", "POST", "/v1/keys", `{"name":"x","scopes":[]}`, nil, 422, "scopes"},
		{"unknown key to revoke", "DELETE", "/v1/keys/999999", "", nil, 404, "999999"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.t = t
			r := a.do(c.method, c.path, c.body, c.headers...)
			if r.status != c.status {
				t.Fatalf("status %d, want %d: %s", r.status, c.status, r.body)
			}
			if got := r.header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %q: %s", got, r.body)
			}
			var p starter.Problem
			r.json(t, &p)
			if p.Status != c.status || p.Title == "" || p.Detail == "" || !strings.HasPrefix(p.Type, "urn:banyan:problem:") {
				t.Errorf("not a whole problem: %s", r.body)
			}
			if text := strings.ReplaceAll(r.body, `\"`, `"`); !strings.Contains(text, c.says) {
				t.Errorf("does not say %q: %s", c.says, r.body)
			}
		})
	}
	a.t = t
	if after := a.counts(); after != before {
		t.Errorf("something was stored: %+v, before %+v", after, before)
	}
}

func TestEventsAreKeptAsDeclared(t *testing.T) {
	a := serve(t)
	a.must("POST", "/v1/campaigns", trial)
	r := a.must("POST", "/v1/events", event("e-1", `,"properties":{"amount":"9.9","order":null,"items":3,"extra":{"a":[1,2.50]}}`))
	if r.status != http.StatusAccepted || !strings.Contains(r.body, `"accepted"`) {
		t.Fatalf("%d %s", r.status, r.body)
	}
	var stored string
	if err := a.row("select properties::text from events where id = 'e-1'").Scan(&stored); err != nil {
		t.Fatal(err)
	}
	want := `{"extra": {"a": [1, 2.50]}, "items": 3, "amount": {"amount": "9.90", "currency": "CNY"}}`
	if stored != want {
		t.Errorf("stored %s\nwant   %s", stored, want)
	}
	// The same id with other content is a duplicate like any other.
	r = a.must("POST", "/v1/events/batch", `{"events":[`+event("e-1", `,"properties":{"items":4}`)+`,`+event("e-2", "")+`,`+event("e-2", "")+`]}`)
	var results starter.EventResults
	r.json(t, &results)
	if results.Accepted != 1 || results.Duplicates != 2 || results.Results[1].Status != store.EventAccepted {
		t.Errorf("%s", r.body)
	}
	if c := a.counts(); c.Events != 2 || c.Intents != 2 || c.Members != 1 {
		t.Errorf("%+v", c)
	}
}

func TestACampaignFromAnotherServerIsKnownAtOnce(t *testing.T) {
	a := serve(t)
	if r := a.do("POST", "/v1/events", event("e-1", "")); r.status != http.StatusUnprocessableEntity {
		t.Fatalf("%d %s", r.status, r.body)
	}
	other, err := store.Open(t.Context(), a.url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	server, err := starter.NewServer(starter.Config{Store: other})
	if err != nil {
		t.Fatal(err)
	}
	b := *a
	b.http = newServer(t, server)
	b.must("POST", "/v1/campaigns", trial)
	a.must("POST", "/v1/events", event("e-1", ""))
}

func TestIdempotencyKey(t *testing.T) {
	a := serve(t)
	key := []string{"Idempotency-Key", "k-1"}
	first := a.must("POST", "/v1/campaigns", trial, key...)
	again := a.must("POST", "/v1/campaigns", trial, key...)
	if again.status != first.status || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d %s, first %d %s", again.status, again.body, first.status, first.body)
	}
	if r := a.do("POST", "/v1/campaigns", trial+"# other\n", key...); r.status != http.StatusUnprocessableEntity {
		t.Errorf("another body: %d %s", r.status, r.body)
	}
	// A refusal is an answer too.
	started := []string{"Idempotency-Key", "k-2"}
	a.must("POST", "/v1/campaigns/fitness-trial/start", "", started...)
	if r := a.must("POST", "/v1/campaigns/fitness-trial/start", "", started...); !strings.Contains(r.body, "running") {
		t.Errorf("%s", r.body)
	}
	if r := a.do("POST", "/v1/campaigns/fitness-trial/start", "", "Idempotency-Key", "k-3"); r.status != http.StatusConflict {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := a.do("POST", "/v1/campaigns/fitness-trial/start", "", "Idempotency-Key", "k-3"); r.status != http.StatusConflict || r.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s", r.status, r.body)
	}
	// Another caller's keys are her own.
	other := "Bearer " + a.newKey(store.ScopeAdmin)
	if r := a.do("POST", "/v1/campaigns/fitness-trial/pause", "", "Idempotency-Key", "k-1", "Authorization", other); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestIdempotencyKeyWhileTheFirstCallIsAtWork(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	a := serve(t, func(c *starter.Config) {
		c.Entrances = entrances(func(string, string, string, json.RawMessage) (starter.EntryResult, error) {
			close(entered)
			<-leave
			return starter.EntryResult{ID: 7, WorkflowID: "journey/x", Entered: true}, nil
		})
	})
	a.must("POST", "/v1/campaigns", trial)
	enter := func() reply {
		return a.do("POST", "/v1/campaigns/fitness-trial/journeys/trial-to-card/entries", `{"member":"m-1"}`, "Idempotency-Key", "k")
	}
	var first reply
	var wg sync.WaitGroup
	wg.Go(func() { first = enter() })
	<-entered
	if r := enter(); r.status != http.StatusConflict || r.header.Get("Retry-After") == "" {
		t.Errorf("while the first is at work: %d %s", r.status, r.body)
	}
	close(leave)
	wg.Wait()
	if r := enter(); r.status != http.StatusCreated || r.body != first.body || !strings.Contains(r.body, `"journey":"7"`) {
		t.Errorf("afterwards: %d %s, first %s", r.status, r.body, first.body)
	}
}

func TestRateLimit(t *testing.T) {
	a := serve(t, func(c *starter.Config) { c.Rate = 0.5 })
	if r := a.do("GET", "/v1/campaigns", ""); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	r := a.do("GET", "/v1/campaigns", "")
	if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
	if r := a.do("GET", "/v1/campaigns", "", "Authorization", "Bearer "+a.newKey(store.ScopeAdmin)); r.status != http.StatusOK {
		t.Errorf("another key shares the bucket: %d", r.status)
	}
	if r := a.do("GET", "/healthz", "", "Authorization", ""); r.status != http.StatusOK {
		t.Errorf("a probe: %d", r.status)
	}
}

func TestMembers(t *testing.T) {
	a := serve(t)
	a.must("POST", "/v1/campaigns", trial)
	odd := "/v1/members/" + "a%2Fb%20%E4%BC%9A"
	r := a.must("PUT", odd, `{"attributes":{"city":"上海","visits":"12","spent":"9.9","x":{"y":1}},"tags":["vip","new"],"joined_at":"2026-01-01T00:00:00+08:00","source":"wechat"}`)
	var m starter.MemberAnswer
	r.json(t, &m)
	if m.ID != "a/b 会" || string(m.Attributes["visits"]) != "12" || m.Source != "wechat" || fmt.Sprint(m.Tags) != "[vip new]" {
		t.Errorf("%s", r.body)
	}
	if got := string(m.Attributes["spent"]); got != `{"amount":"9.90","currency":"CNY"}` && got != `{"amount": "9.90", "currency": "CNY"}` {
		t.Errorf("spent %s", got)
	}
	before := a.counts().Intents
	r = a.must("PUT", odd, `{"attributes":{"x":null},"tags":["gold"],"untag":["new"]}`)
	m = starter.MemberAnswer{}
	r.json(t, &m)
	if _, there := m.Attributes["x"]; there || fmt.Sprint(m.Tags) != "[vip gold]" || string(m.Attributes["city"]) != `"上海"` {
		t.Errorf("%s", r.body)
	}
	a.must("PUT", odd, `{"tags":["gold"],"source":"wechat"}`) // nothing new
	if after := a.counts().Intents; after != before+1 {
		t.Errorf("%d intents, want %d: only a change wakes the router", after, before+1)
	}
	r = a.must("POST", "/v1/members/batch", `{"id":"m-1","tags":["a"]}`+"\n\n"+`{"id":"m-2"}`+"\n"+`{"id":"m-1","tags":["b"],"attributes":{"visits":1}}`, "Content-Type", "application/x-ndjson")
	if !strings.Contains(r.body, `"members":3`) || !strings.Contains(r.body, `"changed":2`) {
		t.Errorf("%s", r.body)
	}
	var list starter.MemberList
	a.must("GET", "/v1/members?limit=2", "").json(t, &list)
	if len(list.Members) != 2 || list.Next == "" {
		t.Fatalf("%+v", list)
	}
	var rest starter.MemberList
	a.must("GET", "/v1/members?limit=2&after="+list.Next, "").json(t, &rest)
	if len(rest.Members) != 1 || rest.Next != "" || rest.Members[0].ID != "m-2" {
		t.Errorf("%+v", rest)
	}
	for _, path := range []string{"journeys", "offers", "messages", "points", "explain", "explain?lang=zh"} {
		a.must("GET", "/v1/members/m-1/"+path, "")
	}
}

func TestKeys(t *testing.T) {
	a := serve(t)
	r := a.must("POST", "/v1/keys", `{"name":"shop","scopes":["events:write"]}`, "Idempotency-Key", "k")
	var made starter.NewKeyAnswer
	r.json(t, &made)
	if !strings.HasPrefix(made.Key, "byn_") || !strings.HasPrefix(made.Key, made.Prefix) || len(made.Key) < 40 {
		t.Fatalf("%s", r.body)
	}
	if list := a.must("GET", "/v1/keys", ""); strings.Contains(list.body, made.Key) {
		t.Error("the secret is shown again")
	}
	var kept int
	if err := a.row("select count(*) from idempotency where convert_from(body, 'UTF8') like '%byn\\_%'").Scan(&kept); err != nil || kept != 0 {
		t.Errorf("a secret is kept: %d %v", kept, err)
	}
	bearer := []string{"Authorization", "Bearer " + made.Key}
	if r := a.do("POST", "/v1/events", "{}", bearer...); r.status == http.StatusUnauthorized || r.status == http.StatusForbidden {
		t.Errorf("%d %s", r.status, r.body)
	}
	a.must("DELETE", fmt.Sprintf("/v1/keys/%d", made.ID), "")
	if r := a.do("POST", "/v1/events", "{}", bearer...); r.status != http.StatusUnauthorized {
		t.Errorf("a revoked key still works: %d", r.status)
	}
}

func TestBootstrapKey(t *testing.T) {
	a := serve(t)
	const first, second = "a-long-admin-key-for-the-start", "another-long-admin-key-later"
	if err := a.store.SetBootstrapKey(t.Context(), "short"); err == nil {
		t.Error("a short key was taken")
	}
	for _, secret := range []string{first, first, second} {
		if err := a.store.SetBootstrapKey(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok, err := a.store.Authenticate(t.Context(), first); ok || err != nil {
		t.Errorf("the key before is still valid: %v", err)
	}
	if key, ok, err := a.store.Authenticate(t.Context(), second); !ok || err != nil || !key.May(store.ScopeEventsWrite) {
		t.Errorf("the key is not valid: %v", err)
	}
}

// While too much waits for the router, what would add to it is refused whole, with what
// to do; everything else is answered, and a repeat is a new try.
func TestBackPressure(t *testing.T) {
	a := serve(t, func(c *starter.Config) { c.MaxIntents = 20 })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); a.server.WatchPressure(ctx) }()
	defer func() { stop(); <-done }()
	a.must("POST", "/v1/campaigns", trial)
	if _, err := a.exec("insert into intents (kind, member) select 'member', 'm' from generate_series(1, 21)"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return a.do("PUT", "/v1/members/m-0", `{}`).status == http.StatusTooManyRequests })
	before := a.counts()
	for name, r := range map[string]reply{
		"one event": a.do("POST", "/v1/events", event("e-1", "")),
		"a batch":   a.do("POST", "/v1/events/batch", `{"events":[`+event("e-1", "")+`,`+event("e-2", "")+`]}`),
		"members":   a.do("POST", "/v1/members/batch", `{"id":"m-9"}`, "Content-Type", "application/x-ndjson", "Idempotency-Key", "k-1"),
	} {
		if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") != "5" || !strings.Contains(r.body, "nothing of this request was stored") {
			t.Errorf("%s: %d %v %s", name, r.status, r.header, r.body)
		}
	}
	if after := a.counts(); after != before {
		t.Errorf("something was stored: %+v, then %+v", before, after)
	}
	a.must("GET", "/v1/members", "")
	if _, err := a.exec("delete from intents"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return a.do("POST", "/v1/events", event("e-1", "")).status == http.StatusAccepted })
	// The refusal was not kept as the answer to this key.
	a.must("POST", "/v1/members/batch", `{"id":"m-9"}`, "Content-Type", "application/x-ndjson", "Idempotency-Key", "k-1")
}

// waitFor waits until a condition holds.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-limit:
			t.Fatal("waited in vain")
		case <-tick.C:
		}
	}
}
