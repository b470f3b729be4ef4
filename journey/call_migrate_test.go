package journey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// A call that is under way goes on in another version that asks the same, with the time
// that it was given; another question is another call.
func TestACallThatMigrates(t *testing.T) {
	t.Parallel()
	move := campaign.MigrationChoice{Version: 1, Journey: "one", Step: "2", Do: campaign.MigrationMove, To: "2"}
	at := noon.Add(time.Hour + time.Minute)
	w, _ := called(t, calling)
	if m := w.migrate(at, compile(t, strings.Replace(calling, "for: 1h", "for: 5h", 1)), move); !m.Moves() {
		t.Fatalf("%+v", m)
	}
	if len(w.sends) != 1 || !w.due.Equal(noon.Add(2*time.Hour)) {
		t.Fatalf("sends %v, due %s", w.sends, w.due)
	}
	w.tell(answerEvent(callKey(w), at.Add(time.Minute), "level", `"gold"`, "score", "3"))
	w.punctual(noon.Add(2 * day))
	if w.done != "gold" {
		t.Errorf("outcome %q\n%s", w.done, w.story())
	}

	w, _ = called(t, calling)
	if m := w.migrate(at, compile(t, strings.Replace(calling, "/levels", "/grades", 1)), move); !m.Moves() {
		t.Fatalf("%+v", m)
	}
	if len(w.sends) != 2 || w.sends[1].Key == w.sends[0].Key || w.kinds(campaign.TraceCallDropped) != 1 {
		t.Fatalf("%+v\n%s", w.sends, w.story())
	}
	w.tell(answerEvent(w.sends[0].Key, at.Add(time.Minute), "level", `"bronze"`, "score", "3"))
	w.tell(answerEvent(w.sends[1].Key, at.Add(2*time.Minute), "level", `"gold"`, "score", "3"))
	w.punctual(noon.Add(2 * day))
	if w.done != "gold" {
		t.Errorf("outcome %q\n%s", w.done, w.story())
	}
}

// A move that gave a call up is not taken back; one that led to a call is, and the call is
// given up.
func TestACallThereAndBack(t *testing.T) {
	t.Parallel()
	at := noon.Add(time.Hour + time.Minute)
	move := func(from, to string) campaign.MigrationChoice {
		return campaign.MigrationChoice{Version: 1, Journey: "one", Step: from, Do: campaign.MigrationMove, To: to}
	}
	old, other := compile(t, calling), compile(t, strings.Replace(calling, "/levels", "/grades", 1))
	for _, running := range []bool{true, false} {
		w, _ := called(t, calling)
		there := w.migrate(at, other, move("2", "2"))
		if b := w.back(at.Add(time.Minute), old, 1, there, running); b.Moves() || b.Kept != campaign.KeptWithdrawn {
			t.Errorf("running %v: %+v", running, b)
		}

		// The same question goes on there and back.
		w, _ = called(t, calling)
		there = w.migrate(at, compile(t, strings.Replace(calling, "for: 1h", "for: 5h", 1)), move("2", "2"))
		if b := w.back(at.Add(time.Minute), old, 1, there, running); !b.Moves() {
			t.Errorf("running %v: %+v", running, b)
		}
		w.tell(answerEvent(callKey(w), at.Add(2*time.Minute), "level", `"gold"`, "score", "3"))
		w.punctual(noon.Add(2 * day))
		if w.done != "gold" || len(w.sends) != 2 {
			t.Errorf("running %v: outcome %q, sends %v\n%s", running, w.done, w.sends, w.story())
		}

		// From a step before it.
		w = enter(t, old, "one", event("e-1", "go", noon, `{}`))
		w.turn(noon)
		there = w.migrate(noon.Add(time.Minute), other, move("1", "2"))
		if len(w.sends) != 1 {
			t.Fatalf("%+v\n%s", w.sends, w.story())
		}
		if b := w.back(noon.Add(2*time.Minute), old, 1, there, running); !b.Moves() || w.kinds(campaign.TraceCallDropped) != 1 {
			t.Errorf("running %v: %+v\n%s", running, b, w.story())
		}
	}
}
