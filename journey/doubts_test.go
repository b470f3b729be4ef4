package journey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/definitions"
)

const doubtful = `campaign: doubtful
title: Doubtful
events:
  ping: {}
  pong: {}
  order.paid: {order: string, offer: string, amount: money}
`

// What the checker warns of as impossible does not happen, and what it does not warn of
// does: the same campaigns are checked and walked.
func TestWhatIsWarnedOfDoesNotHappen(t *testing.T) {
	t.Parallel()
	const offer = "- offer: card\n  announce: first\n  remind:\n    - {before: 2h, send: last}\n"
	capped := func(lock, limit, kind string) string {
		return "offers: {card: {price: 199, lock: " + lock + "}}\nmessages: {first: First, last: {kind: " + kind + ", text: Last}}\n" +
			"limits: {messages_per_member: " + limit + "}\n"
	}
	for name, c := range map[string]struct {
		rest, keys, steps string
		warning           string // empty: none
		sent              string
	}{
		"the goal ends it":         {"messages: {last: Last}\n", "goal: {on: pong}", "- await: pong\n  for: 1d\n  otherwise: [{end: alone}]\n- send: last", "await-never", ""},
		"the goal does not end it": {"messages: {last: Last}\n", "goal: {on: pong}\n    on_goal: continue", "- await: pong\n  for: 1d\n  otherwise: [{end: alone}]\n- send: last", "", "last"},
		"the exit takes her out":   {"messages: {last: Last}\n", "goal: {on: order.paid}\n    exit: {on: pong}", "- await: pong\n  for: 1d\n  otherwise: [{end: alone}]\n- send: last", "await-never", ""},

		"one a day, and a lock of a day":     {capped("24h", "{times: 1, every: 24h}", "marketing"), "goal: {on: pong}", offer, "reminder-capped", "first"},
		"one a day, and a lock of two":       {capped("48h", "{times: 1, every: 24h}", "marketing"), "goal: {on: pong}", offer, "", "first last"},
		"two a day, and a lock of a day":     {capped("24h", "{times: 2, every: 24h}", "marketing"), "goal: {on: pong}", offer, "", "first last"},
		"one a day, and a service message":   {capped("24h", "{times: 1, every: 24h}", "service"), "goal: {on: pong}", offer, "", "first last"},
		"one for ever":                       {capped("30d", "1", "marketing"), "goal: {on: pong}", offer, "reminder-capped", "first"},
		"one a day, room is made in time":    {capped("27h", "{times: 1, every: 24h}", "marketing"), "goal: {on: pong}", offer, "", "first last"},
		"one a day, room is made at the end": {capped("24h", "{times: 1, every: 23h}", "marketing"), "goal: {on: pong}", offer, "", "first last"},
		"a message just before":              {capped("24h", "{times: 2, every: 24h}", "marketing"), "goal: {on: pong}", "- send: first\n" + offer, "reminder-capped", "first first"},

		"longer than the lock": {capped("1h", "9", "marketing"), "goal: {on: pong}", offer, "reminder-never", "first"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := doubtful + c.rest + "journeys:\n  main:\n    start: {on: ping}\n    " + c.keys + "\n    steps:\n      " +
				strings.ReplaceAll(strings.TrimSuffix(c.steps, "\n"), "\n", "\n      ") + "\n"
			_, found := definitions.Check("test.yaml", []byte(source))
			var warned []string
			for _, p := range found {
				warned = append(warned, p.Check)
			}
			if strings.Join(warned, " ") != c.warning {
				t.Errorf("warned of %q, want %q\n%s", warned, c.warning, found.Text(false))
			}
			w := enter(t, compile(t, source), "main", event("in", "ping", noon, `{}`), event("out", "pong", noon.Add(time.Hour), `{}`))
			if !strings.Contains(c.steps, "await") {
				w = enter(t, compile(t, source), "main", event("in", "ping", noon, `{}`))
			}
			w.punctual(noon.Add(40 * day))
			if w.messages() != c.sent {
				t.Errorf("sent %q, want %q\n%s", w.messages(), c.sent, w.story())
			}
		})
	}
}

// A question whose answer is the goal leads nowhere, as the checker warns.
func TestNothingGoesOnFromAnAnswerThatIsTheGoal(t *testing.T) {
	t.Parallel()
	const asks = doubtful + "  reply.received: {text: string}\nmessages: {ask: Ask, last: Last}\njourneys:\n  main:\n    start: {on: ping}\n    goal: {on: reply.received}\n" +
		"    on_goal: end\n    steps:\n      - ask: {message: ask, answers: {times: int}, for: 1d}\n        otherwise: [{end: silent}]\n      - send: last\n"
	for source, want := range map[string]struct{ warning, sent string }{
		asks: {"await-never", "ask"},
		strings.Replace(asks, "on_goal: end", "on_goal: continue", 1): {"", "ask last"},
	} {
		_, found := definitions.Check("test.yaml", []byte(source))
		if warned := strings.Contains(found.Text(false), "[await-never]"); warned != (want.warning != "") {
			t.Errorf("warned %v:\n%s", warned, found.Text(false))
		}
		w := enter(t, compile(t, source), "main", event("in", "ping", noon, `{}`), event("out", "reply.received", noon.Add(time.Hour), `{"text": "3"}`))
		w.punctual(noon.Add(40 * day))
		if w.messages() != want.sent {
			t.Errorf("sent %q, want %q\n%s", w.messages(), want.sent, w.story())
		}
	}
}
