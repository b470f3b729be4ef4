package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

const small = `campaign: small
title: 小活动
member:
  visits: int
events:
  order.paid: {order: string}
journeys:
  only:
    start: {on: order.paid}
    goal: {on: order.paid}
    steps:
      - end: done
`

// TestTheWholeCommandLine goes the way of an operator and a marketer on their first day.
func TestTheWholeCommandLine(t *testing.T) {
	url := devtest.Database(t)
	c := &terminal{t: t}
	if out := c.must("migrate", "--database", url); !strings.Contains(out, "applied") {
		t.Error(out)
	}
	if out := c.must("migrate", "status", "--database", url); strings.Contains(out, "to come") {
		t.Error(out)
	}
	key := strings.TrimSpace(c.must("keys", "create", "--scope", "admin", "--database", url))

	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	server, err := starter.NewServer(starter.Config{Store: s, DemoClock: true})
	if err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	api := func(args ...string) []string { return append(args, "--server", listening.URL, "--key", key) }
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	says := func(want string, args ...string) {
		t.Helper()
		if out := c.must(api(args...)...); !strings.Contains(out, want) {
			t.Errorf("banyan %s: %q is not in\n%s", strings.Join(args, " "), want, out)
		}
	}
	refused := func(want string, args ...string) {
		t.Helper()
		if got := c.run(api(args...)...); got != exitFailed || !strings.Contains(c.stderr.String(), want) {
			t.Errorf("banyan %s: status %d, %q is not in\n%s", strings.Join(args, " "), got, want, c.stderr.String())
		}
	}

	campaign := file("small.yaml", small)
	says("small: version 1 stored", "submit", campaign)
	says("this text is version 1", "submit", campaign)
	refused("order.payd", "submit", file("bad.yaml", strings.Replace(small, "{on: order.paid}", "{on: order.payd}", 1)))
	says("小活动", "campaigns")
	says(`"state": "draft"`, "campaigns", "--json")
	says("small: running", "start", "small", "--demo-clock", "60", "--from", "2026-12-01T09:00:00+08:00")
	refused("running already", "start", "small")
	says("small: paused", "pause", "small")
	says("small: running", "resume", "small")

	var members strings.Builder
	members.WriteString("\ufeffid,visits,tags,joined_at,city\n")
	for i := range 2_500 {
		members.WriteString("m-" + strconv.Itoa(i) + "," + strconv.Itoa(i) + ",vip; new,2026-01-01T00:00:00+08:00,\"上海, 浦东\"\n")
	}
	says("2500 members, 2500 of them new or changed", "members", "import", file("members.csv", members.String()))
	says("2500 members, 0 of them", "members", "import", file("members.csv", members.String()))
	refused("line 3, attributes.visits", "members", "import", file("members.csv", "id,visits\na,1\nb,many\n"))
	refused("no column id", "members", "import", file("members.csv", "name\nx\n"))

	// How many will it reach? Of a file before it is submitted, and of what is stored.
	reach := file("reach.yaml", strings.Replace(small, "journeys:\n", "segments:\n  keen: member.visits >= 2000\n  new: '\"new\" in member.tags'\njourneys:\n"+
		"  keen-ones:\n    start: {segment: keen}\n    goal: {on: order.paid}\n    steps: [{end: done}]\n", 1))
	says("2500 members\nkeen  500 members, who enter keen-ones\nnew   2500 members\n", "segments", reach)
	says("small has no segments", "segments", "small")
	says("in the segments by which members enter, now\nkeen  500 members, who enter keen-ones\n", "submit", "--plan", reach)
	says(`"segment": "keen"`, "submit", "--plan", "--json", reach)
	says("small: version 2 stored", "submit", reach)
	says("keen  500 members, who enter keen-ones\nnew   2500 members\n", "segments", "small")
	says("new  2500 members\n", "segments", "small", "new")
	says("keen  500 members", "segments", reach, "keen")
	refused(`no segment "ken"`, "segments", reach, "ken")
	refused(`no segment "ken"`, "segments", "small", "ken")
	refused("order.payd", "segments", file("bad.yaml", strings.Replace(small, "{on: order.paid}", "{on: order.payd}", 1)))

	event := `{"id":"e-1","type":"order.paid","member":"m-1","time":"2026-01-02T00:00:00+08:00","properties":{"order":"o-1"}}`
	says("1 events accepted, 1 known already", "events", "send", file("events.ndjson", event+"\n\n"+event+"\n"))
	refused("line 1, type", "events", "send", file("events.ndjson", strings.Replace(event, "order.paid", "order.payd", 1)))

	says("m-1", "explain", "m-1")
	c.env = map[string]string{"LANG": "zh_CN.UTF-8"}
	says("会员 m-1", "explain", "m-1")
	says("member m-1", "explain", "m-1", "--lang", "en")
	refused("nobody", "explain", "nobody")
	says("nobody has entered yet", "report", "small")
	says(`"campaign": "small"`, "report", "small", "--json")

	says("admin", "keys", "list")
	shop := strings.TrimSpace(c.must(api("keys", "create", "--name", "shop", "--scope", "events:write", "--expires", "90d")...))
	if !strings.HasPrefix(shop, "byn_") {
		t.Errorf("not a key: %s", shop)
	}
	says("key 2 is revoked", "keys", "revoke", "2")
	// A --database is heeded although there is a key, and needs no server.
	c.env = map[string]string{"BANYAN_DATABASE_URL": url}
	if out := c.must("keys", "create", "--scope", "events:write", "--database", url, "--key", key, "--server", "http://127.0.0.1:1"); !strings.HasPrefix(out, "byn_") {
		t.Errorf("not a key: %s", out)
	}
	if out := c.must("keys", "create", "--scope", "events:write"); !strings.HasPrefix(out, "byn_") {
		t.Errorf("not a key: %s", out)
	}
	c.must("healthcheck", listening.URL+"/readyz")
	says("small: ended", "end", "small")
	refused("ended already", "end", "small", "--now")
}
