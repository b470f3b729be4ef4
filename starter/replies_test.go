package starter_test

import (
	"strings"
	"testing"
)

// The event of a reply is known as soon as a campaign asks, and its text is a text.
func TestReplies(t *testing.T) {
	a := serve(t)
	a.must("POST", "/v1/campaigns", trial)
	reply := func(id, properties string) reply {
		return a.do("POST", "/v1/events", `{"id":"`+id+`","type":"reply.received","member":"m-1","time":"2026-01-05T10:00:00Z","properties":`+properties+`}`)
	}
	if got := reply("r-1", `{"text":"m"}`); got.status != 422 || !strings.Contains(got.body, "no campaign declares") {
		t.Errorf("before a campaign asks: %d %s", got.status, got.body)
	}
	a.must("POST", "/v1/campaigns", `
campaign: sizes
title: sizes
events:
  worn:
messages:
  size: Which size?
journeys:
  main:
    start: {api: true}
    goal: {on: worn}
    steps:
      - wait: 1h
      - choose:
          - when: "true"
            steps:
              - ask: {message: size, answers: {size: {one_of: [S, M]}}, for: 24h}
`)
	for _, c := range []struct {
		id, properties string
		status         int
	}{
		{"r-1", `{"text":"m"}`, 202},
		{"r-2", `{"text":"m","question":"a key"}`, 202},
		{"r-3", `{"text":7}`, 422},
		{"r-4", `{"text":"m","question":true}`, 422},
	} {
		if got := reply(c.id, c.properties); got.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.properties, got.status, got.body, c.status)
		}
	}
}
