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

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

const diary = `campaign: diary
title: diary
roles:
  coach: {backup: owner}
  owner:
events:
  liked:
journeys:
  wall:
    start: {api: true}
    goal: {on: liked}
    steps:
      - review: {by: coach, about: Good enough?, for: 24h, otherwise: reject}
`

// Whoever decides sees what waits, takes it in hand, and decides it once.
func TestReviewsOnTheCommandLine(t *testing.T) {
	url := devtest.Database(t)
	if _, err := store.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	taker := &turn.Taker{Store: s, Programs: turn.NewCache(), Via: []string{"console"}}
	server, err := starter.NewServer(starter.Config{Store: s, Entrances: &starter.Router{Store: s, Taker: taker}})
	if err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	key, _, err := s.CreateKey(t.Context(), "console page", []store.Scope{store.ScopeAdmin}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	c := &terminal{t: t}
	run := func(args ...string) string {
		t.Helper()
		return c.must(append(args, "--server", listening.URL, "--key", key)...)
	}
	says := func(out string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Errorf("%q is not in\n%s", w, out)
			}
		}
	}
	refused := func(status int, want string, args ...string) {
		t.Helper()
		if got := c.run(append(args, "--server", listening.URL, "--key", key)...); got != status || !strings.Contains(c.stderr.String(), want) {
			t.Errorf("%v: status %d, %q is not in\n%s", args, got, want, c.stderr.String())
		}
	}
	file := filepath.Join(t.TempDir(), "diary.yaml")
	if err := os.WriteFile(file, []byte(diary), 0o600); err != nil {
		t.Fatal(err)
	}
	run("submit", file)
	run("start", "diary")
	says(run("reviews", "list"), "nothing waits")
	for i := range 2 {
		member := "m-" + strconv.Itoa(i+1)
		if _, err := s.PutMembers(t.Context(), []store.MemberPut{{ID: member}}); err != nil {
			t.Fatal(err)
		}
		run("enter", "diary", "wall", member)
		if _, err := taker.Advance(t.Context(), int64(i+1), 1); err != nil {
			t.Fatal(err)
		}
	}
	says(run("reviews", "list", "--role", "coach", "--campaign", "diary"), "1  open  diary/wall  member m-1  Good enough?  ask coach until", "\n2  open")
	says(run("reviews", "list", "--role", "owner"), "nothing waits")
	says(run("reviews", "show", "1"), "asked now    coach", "otherwise    reject", "backup       owner")
	says(run("reviews", "claim", "1", "--as", "li"), "review 1 is claimed by li")
	refused(exitFailed, "li has claimed review 1", "reviews", "reject", "1", "--reason", "too short", "--as", "wang")
	says(run("reviews", "release", "1"), "review 1 is free")
	says(run("reviews", "claim", "1"), "claimed by console page")
	t.Setenv("BANYAN_REVIEWER", "li")
	refused(exitFailed, "console page has claimed review 1", "reviews", "approve", "1", "--reason", "good")
	run("reviews", "release", "1")
	says(run("reviews", "approve", "1", "--reason", "a good story"), "review 1 is approved by li at", "a good story")
	t.Setenv("BANYAN_REVIEWER", "")
	refused(exitFailed, "approved by li at", "reviews", "reject", "1", "--reason", "too short")
	refused(exitUsage, "reason", "reviews", "reject", "2")
	refused(exitFailed, "no review", "reviews", "show", "7")
	says(run("reviews", "reject", "2", "--reason", "too short"), "review 2 is rejected by console page at")
	says(run("reviews", "list", "--state", "all"), "1  approved", "by li at", "2  rejected")
	says(run("reviews", "show", "2"), "rejected     by console page at")
	var list []starter.ReviewAnswer
	if err := json.Unmarshal([]byte(run("reviews", "list", "--state", "approved", "--json")), &list); err != nil || len(list) != 1 || list[0].State != campaign.ReviewApproved {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := taker.Advance(t.Context(), 1, 2); err != nil {
		t.Fatal(err)
	}
	says(run("explain", "m-1", "--lang", "en"), "asked coach for a decision", "approved by li: a good story")
}
