package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/simulate"
)

const rehearsedClub = `
campaign: club
title: Club
events: {joined: {}, came: {}}
messages: {come: "Come!"}
journeys:
  main:
    start: {on: joined}
    goal: {on: came}
    steps:
      - await: came
        for: 1d
        otherwise:
          - send: come
`

// A number after --against is a version on the server.
func TestSimulateAgainstVersion(t *testing.T) {
	t.Parallel()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"source": strings.Replace(rehearsedClub, "for: 1d", "for: 3d", 1)})
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "club.yaml")
	if err := os.WriteFile(file, []byte(rehearsedClub), 0o644); err != nil {
		t.Fatal(err)
	}
	c := &terminal{t: t}
	out := c.must("simulate", file, "--members", "200", "--for", "20d", "--against", "3", "--server", server.URL, "--key", "byn_test")
	if len(asked) != 1 || asked[0] != "GET /v1/campaigns/club/versions/3" {
		t.Errorf("asked %v", asked)
	}
	if !strings.Contains(out, "B  club, version 3\n") || !strings.Contains(out, "sent come") {
		t.Errorf("it says\n%s", out)
	}
}

// On a terminal a long run says how far it is, and at the end how fast it was; elsewhere
// and in a short run it says nothing.
func TestRehearsalLine(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	long := &rehearsalLine{w: &b, on: true, began: time.Now().Add(-10 * time.Second)}
	long.progress(250, 1000)
	long.progress(251, 1000) // too soon after the one before
	if got := b.String(); !strings.HasSuffix(got, "250 of 1000 members, 25%, 30s left") {
		t.Errorf("it says %q", got)
	}
	long.clear()
	long.done(&simulate.Report{Members: 1000, Events: 5000, Turns: 9000})
	if got := b.String(); !strings.Contains(got, "1000 members, 5000 events and 9000 turns in 1") || !strings.HasSuffix(got, " members a second\n") {
		t.Errorf("it says %q", got)
	}
	b.Reset()
	for _, quiet := range []*rehearsalLine{{w: &b, on: true, began: time.Now()}, {w: &b, began: time.Now().Add(-time.Minute)}} {
		quiet.progress(1, 2)
		quiet.clear()
		quiet.done(&simulate.Report{})
	}
	if b.Len() > 0 {
		t.Errorf("it says %q", b.String())
	}
}
