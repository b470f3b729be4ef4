package main

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

func TestMigrationRules(t *testing.T) {
	t.Parallel()
	move, keep, end := campaign.MigrationMove, campaign.MigrationKeep, campaign.MigrationEnd
	for text, want := range map[string]campaign.MigrationRule{
		"*=move":                 {Do: move},
		"*/*=keep":               {Do: keep},
		"main=keep":              {Journey: "main", Do: keep},
		"main/*=end:off":         {Journey: "main", Do: end, Outcome: "off"},
		"main/2=move":            {Journey: "main", Step: "2", Do: move},
		"main/3.taken.1=move:hi": {Journey: "main", Step: "3.taken.1", Do: move, To: "hi"},
		"v2/main/2=move:4":       {Version: 2, Journey: "main", Step: "2", Do: move, To: "4"},
		"v2/*=move":              {Version: 2, Do: move},
		"v2=keep":                {Journey: "v2", Do: keep}, // a journey of that name
	} {
		got, ok := migrationRule(text)
		if !ok || got != want {
			t.Errorf("%s: %+v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "=", "main", "main/2", "=move", "/2=move", "main/=move", "a/b/c=move", "v2/a/b/c=move", "main/2=", "main/2=jump", "main/2=move:", "main/2=end", "main/2=end:", "main/2=keep:3"} {
		if rule, ok := migrationRule(text); ok {
			t.Errorf("%q is read as %+v", text, rule)
		}
	}
}

const (
	before = `campaign: move
title: 迁移
events:
  order.paid: {order: string}
messages:
  hi: "你好"
journeys:
  main:
    start: {on: order.paid}
    goal: {on: order.paid, when: event.order == "card"}
    steps:
      - wait: 30d
      - label: bye
        send: hi
`
	after = `campaign: move
title: 迁移
events:
  order.paid: {order: string}
messages:
  hi: "你好"
journeys:
  main:
    start: {on: order.paid}
    goal: {on: order.paid, when: event.order == "card"}
    steps:
      - send: hi
      - wait: 20d
      - label: bye
        send: hi
`
)

// A marketer sees what another version means for who is in flight, is told what she
// wrote wrong before anything is stored, and brings them over.
func TestSubmitAndMigrate(t *testing.T) {
	url := devtest.Database(t)
	c := &terminal{t: t}
	c.must("migrate", "--database", url)
	key := strings.TrimSpace(c.must("keys", "create", "--scope", "admin", "--database", url))
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	server, err := starter.NewServer(starter.Config{Store: s})
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
		if diff := cmp.Diff(want, c.must(api(args...)...)); diff != "" {
			t.Errorf("banyan %s:\n%s", strings.Join(args, " "), diff)
		}
	}
	refused := func(status int, want string, args ...string) {
		t.Helper()
		if got := c.run(api(args...)...); got != status || !strings.Contains(c.stderr.String(), want) {
			t.Errorf("banyan %s: status %d, %q is not in\n%s", strings.Join(args, " "), got, want, c.stderr.String())
		}
	}
	one, two := file("one.yaml", before), file("two.yaml", after)

	says("move, a text that is not stored yet: 0 members in flight on other versions\n", "submit", one, "--plan")
	c.must(api("submit", one)...)
	says("there is no migration\n", "migrations", "move")
	c.must(api("start", "move")...)
	taker := &turn.Taker{Store: s, Programs: turn.NewCache(), Via: []string{"console"}}
	for i := range 3 {
		id := strconv.Itoa(i)
		if _, err := s.StoreEvents(t.Context(), []campaign.Event{{ID: id, Type: "order.paid", Member: "m-" + id, Time: time.Now(), Properties: json.RawMessage(`{"order":"o"}`)}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Route(t.Context(), 10, func(tx *store.RouteTx) error { return taker.Route(t.Context(), tx, nil) }); err != nil {
		t.Fatal(err)
	}
	for row := int64(1); row <= 2; row++ { // the third has not begun
		if _, err := taker.Advance(t.Context(), row, 1); err != nil {
			t.Fatal(err)
		}
	}

	says(`move, a text that is not stored yet: 3 members in flight on other versions

journey main, version 1
  3 members  step 1  wait 30d  has no counterpart
                               keep: they finish on version 1
`, "submit", two, "--plan")
	says(`move, a text that is not stored yet: 3 members in flight on other versions

journey main, version 1
  3 members  step 1  wait 30d  has no counterpart
                               move:2: step 2 (wait 20d) begins anew
`, "submit", two, "--plan", "--migrate", "main/1=move:2")
	if out := c.must(api("submit", two, "--plan", "--json")...); !strings.Contains(out, `"means": "they finish on version 1"`) {
		t.Error(out)
	}

	refused(exitFailed, "--migrate *=move: step 1 (wait 30d) of journey main on version 1 has no counterpart in the new version; 3 members stand there (keep them", "submit", two, "--migrate", "*=move")
	refused(exitFailed, `--migrate main/7=keep: journey main has no step "7" (allowed: 1 (wait 30d), 2 or bye (send hi))`, "submit", two, "--migrate", "main/7=keep")
	refused(exitFailed, `--migrate main/1=move:9: journey main has no step "9" in the new version (allowed: 1 (send hi), 2 (wait 20d), 3 or bye (send hi))`, "submit", two, "--migrate", "main/1=move:9")
	refused(exitUsage, "cannot be read: write JOURNEY/STEP=keep", "submit", two, "--migrate", "main/1=jump")
	refused(exitUsage, "--check", "submit", two, "--check", "--migrate", "main/1=keep")
	refused(exitFailed, "order.payd", "submit", file("bad.yaml", strings.ReplaceAll(after, "{on: order.paid}", "{on: order.payd}")), "--plan")
	if list, err := s.VersionDigests(t.Context(), "move"); err != nil || len(list) != 1 {
		t.Fatalf("something was stored all the same: %v, %v", list, err)
	}

	says("move: version 2 stored\nmove: migration 1 to version 2 begins, 3 journeys found; `banyan migrations move 1` says how far it has come\n",
		"submit", two, "--migrate", "main/1=move:2", "--migrate", "main/bye=end:over")
	refused(exitFailed, "version 2 is stored, and new entrants take it, but nobody is moved: migration 1 of campaign move is under way", "submit", two, "--migrate", "*=keep")
	says("migration 1  to version 2  running  found 3  moved 0  ended 0  kept 0  failed 0\n", "migrations", "move")
	for n := 1; n > 0; {
		if n, err = taker.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	says("migration 1  to version 2  done  found 3  moved 3  ended 0  kept 0  failed 0\n", "migrations", "move", "1")
	says("move, version 2: 0 members in flight on other versions\n", "submit", two, "--plan")
	says("move: this text is version 2\nmove: migration 2 to version 2 begins, 0 journeys found; `banyan migrations move 2` says how far it has come\n",
		"submit", two, "--migrate", "*=move")
	says("migration 2  to version 2  stopped  found 0  moved 0  ended 0  kept 0  failed 0\n", "migrations", "move", "2", "--stop")
	refused(exitFailed, "is stopped already", "migrations", "move", "2", "--stop")
	refused(exitUsage, "name it", "migrations", "move", "--stop")
	refused(exitFailed, "there is no migration", "migrations", "move", "9")
	says("migration 3  takes back migration 1  running  found 3  moved 0  ended 0  kept 0  failed 0\n", "migrations", "move", "1", "--revert")
	for n := 1; n > 0; {
		if n, err = taker.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	says("migration 3  takes back migration 1  done  found 3  moved 3  ended 0  kept 0  failed 0\n", "migrations", "move", "3")
	refused(exitFailed, "migration 3 takes migration 1 back", "migrations", "move", "3", "--revert")
	if out := c.must(api("submit", two, "--plan")...); !strings.Contains(out, "journey main, version 1\n  3 members  step 1  wait 30d") {
		t.Error(out)
	}
	if out := c.must(api("migrations", "move", "--json")...); strings.Count(out, `"state"`) != 3 {
		t.Error(out)
	}
	if out := c.must(api("explain", "m-1", "--lang", "en")...); !strings.Contains(out, "moved from version 1, step 1, to version 2, step 2, which begins anew") {
		t.Error(out)
	}
}
