package journey_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// rounds says when each round of a repeat began, in hours after noon.
func (w *world) rounds() string {
	var at []string
	for _, l := range w.trace {
		if l.Kind == campaign.TraceRound {
			at = append(at, fmt.Sprintf("%s@%g", l.Params["round"], l.At.Sub(noon).Hours()))
		}
	}
	return strings.Join(at, " ")
}

func TestRepeat(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps, rounds, outcome string
		events                 []campaign.Event
	}{
		"with no time between": {
			"- repeat: {times: 3, steps: [{send: hi}]}\n- end: x", "1@0 2@0 3@0", "x", nil,
		},
		"every day": {
			"- repeat: {times: 3, every: 1d, steps: [{send: hi}]}\n- end: x", "1@0 2@24 3@48", "x", nil,
		},
		"from begin to begin": {
			"- repeat: {times: 3, every: 1d, steps: [{wait: 6h}]}\n- end: x", "1@0 2@24 3@48", "x", nil,
		},
		"a round that takes longer": {
			"- repeat: {times: 3, every: 1d, steps: [{wait: 30h}]}\n- end: x", "1@0 2@30 3@60", "x", nil,
		},
		"until it holds": {
			"- repeat:\n    times: 9\n    every: 1d\n    until: member.visits >= 2\n    steps: [{set: {visits: member.visits + 1}}]\n- end: x",
			"1@0 2@24", "x", nil,
		},
		"until what holds already": {
			"- tag: vip\n- repeat:\n    times: 9\n    until: segment(\"tagged\")\n    steps: [{send: hi}]\n- end: x", "", "x", nil,
		},
		"it leaves at once, not when the next round would begin": {
			"- repeat:\n    times: 9\n    every: 7d\n    until: segment(\"tagged\")\n    steps: [{await: pong, for: 1d}, {tag: vip}]\n- wait: 1h\n- end: x",
			"1@0", "x",
			[]campaign.Event{event("a", "pong", noon.Add(2*time.Hour), `{}`)},
		},
		"one in another": {
			"- repeat:\n    times: 2\n    every: 1d\n    steps: [{repeat: {times: 2, every: 1h, steps: [{send: hi}]}}]\n- end: x",
			"1@0 1@0 2@1 2@24 1@24 2@25", "x", nil,
		},
		"a jump out of it, and back to its begin": {
			"- label: top\n  repeat:\n    times: 3\n    every: 1h\n    steps:\n" +
				"      - await: pong\n        for: 30m\n        otherwise: [{goto: top}]\n      - goto: out\n- label: out\n  end: x",
			"1@0 1@0.5 1@1", "x",
			[]campaign.Event{event("a", "pong", noon.Add(75*time.Minute), `{}`)},
		},
		"a jump out of both": {
			"- repeat:\n    times: 3\n    steps:\n      - repeat: {times: 2, every: 1h, steps: [{await: pong, for: 90m, otherwise: [{goto: next}]}]}\n" +
				"      - {wait: 1h, label: next}\n- end: x",
			"1@0 1@0 2@1 2@3.5 1@3.5 3@6 1@6", "x",
			[]campaign.Event{event("a", "pong", noon.Add(30*time.Minute), `{}`)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := stepwise(t, c.steps, c.events...)
			w.punctual(noon.Add(90 * day))
			if got := w.rounds(); got != c.rounds || w.done != c.outcome {
				t.Errorf("rounds %s, outcome %q; want %s, %q\n%s", got, w.done, c.rounds, c.outcome, w.story())
			}
			if len(w.state.Rounds) != 0 {
				t.Errorf("it is still in %+v", w.state.Rounds)
			}
			keys := map[string]bool{}
			for _, s := range w.sends {
				if keys[s.Key] {
					t.Errorf("two messages share the key %s", s.Key)
				}
				keys[s.Key] = true
			}
		})
	}
}

// A journey between two rounds says when the next one begins.
func TestTheWaitForARound(t *testing.T) {
	t.Parallel()
	w := stepwise(t, "- repeat: {times: 3, every: 7d, steps: [{send: hi}]}")
	d := w.turn(noon)
	if d.Step != "1" || d.StepName != "repeat 3 times every 7d" || !d.WaitUntil.Equal(noon.Add(7*day)) || d.Summary != "next round at 12-08 12:00" {
		t.Errorf("%s %s, %s until %s", d.Step, d.StepName, d.Summary, d.WaitUntil)
	}
	w.turn(noon.Add(8 * day)) // a day late: the third round is not
	if !w.due.Equal(noon.Add(14 * day)) {
		t.Errorf("the third round is due at %s", w.due)
	}
}
