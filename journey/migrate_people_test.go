package journey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

// people compiles steps that ask a member or a person.
func people(t testing.TB, body string) *journey.Program {
	t.Helper()
	return stepsOf(t, body, "journeys:\n", "roles:\n  coach: {backup: owner}\n  owner:\njourneys:\n")
}

const (
	question = "- label: ask\n  ask: {message: hi, answers: {n: int}, for: 20d}\n  otherwise: [{end: silent-V}]\n- end: answered-V"
	judged   = "- label: judge\n  review: {by: coach, for: 20d, otherwise: reject}\n  approved: [{end: approved-V}]\n  rejected: [{end: rejected-V}]"
)

func version(body, v string) string { return strings.ReplaceAll(body, "-V", "-"+v) }

// waits is a member who stands at the only step of a version.
func waits(t *testing.T, body string) *world {
	t.Helper()
	w := enter(t, people(t, version(body, "old")), "j", event("p", "ping", noon, `{"n":3}`))
	w.turn(noon)
	return w
}

// elsewhere leads to a step beside the others, at which nobody is asked.
const elsewhere = "- choose:\n    - when: member.visits > 100\n      steps: [{label: away, wait: 10d}, {end: away}]\n"

// labelled is the id of the step with a label.
func labelled(t testing.TB, p *journey.Program, label string) string {
	t.Helper()
	j, _ := p.Definition().Journey("j")
	for _, s := range journey.StepsOf(j) {
		if s.Common().Label == label {
			return s.Common().ID
		}
	}
	t.Fatalf("there is no step %s", label)
	return ""
}

// Who waits for a reply goes on waiting for it under another version, and is asked once; she
// answers by the new version, or, when the move is taken back, by the old one.
func TestMigrateAQuestion(t *testing.T) {
	t.Parallel()
	to := people(t, elsewhere+version(question, "new"))
	for name, c := range map[string]struct {
		to      string
		back    bool
		outcome string
		sends   int
	}{
		"goes on":                 {"ask", false, "answered-new", 1},
		"goes on, taken back":     {"ask", true, "answered-old", 1},
		"leaves":                  {"away", false, "away", 1},
		"leaves, taken back":      {"away", true, "answered-old", 1},
		"ends":                    {"", false, "called-off", 1},
		"stays where it is asked": {"keep", false, "answered-old", 1},
	} {
		for _, running := range []bool{true, false} {
			w := waits(t, question)
			choice := endAs("1", "called-off")
			if c.to != "" && c.to != "keep" {
				choice = moveTo("1", labelled(t, to, c.to))
			}
			if c.to != "keep" {
				move := w.migrate
				if !running {
					move = w.still
				}
				m := move(noon.Add(time.Hour), to, choice)
				if !m.Moves() && m.Do != campaign.MigrationEnd {
					t.Fatalf("%s: %+v", name, m)
				}
				if c.back {
					if b := w.back(noon.Add(2*time.Hour), people(t, version(question, "old")), 1, m, running); !b.Moves() {
						t.Fatalf("%s: %+v", name, b)
					}
				}
			}
			w.tell(reply("r", "7", noon.Add(3*time.Hour)))
			w.on(noon.Add(3*time.Hour), noon.Add(30*day))
			if w.done != c.outcome || len(w.sends) != c.sends {
				t.Errorf("%s, running %v: %s after %d messages\n%s", name, running, w.done, len(w.sends), w.story())
			}
		}
	}
}

// A question that quiet hours or a cap hold back is left with its step, and put when the move
// is taken back.
func TestMigrateAQuestionThatHasNotGoneOut(t *testing.T) {
	t.Parallel()
	night := noon.Add(11 * time.Hour) // 23:00
	quiet := func(body string) *journey.Program {
		return stepsOf(t, body, "journeys:\n", "limits:\n  quiet_hours: {from: \"22:00\", until: \"08:00\"}\njourneys:\n")
	}
	to := quiet(elsewhere + version(question, "new"))
	for _, back := range []bool{false, true} {
		w := enter(t, quiet(version(question, "old")), "j", event("p", "ping", night, `{"n":3}`))
		w.turn(night)
		m := w.migrate(night.Add(time.Hour), to, moveTo("1", labelled(t, to, "away")))
		if len(w.sends) != 0 || !m.Moves() {
			t.Fatalf("%+v\n%s", m, w.story())
		}
		want := "away"
		if back {
			w.back(night.Add(2*time.Hour), quiet(version(question, "old")), 1, m, true)
			want = "answered-old"
		}
		w.tell(reply("r", "7", night.Add(12*time.Hour)))
		w.on(night.Add(2*time.Hour), night.Add(30*day))
		if asked := len(w.sends) == 1; w.done != want || asked != back {
			t.Errorf("back %v: %s after %d messages\n%s", back, w.done, len(w.sends), w.story())
		}
	}
}

// A question that the very turn of the migration would have put does not go out when the
// member is moved away; taken back, she is asked it.
func TestMigrateAQuestionOfTheSameTurn(t *testing.T) {
	t.Parallel()
	before := "- await: ping\n  for: 5d\n" + question
	to := people(t, elsewhere+version(question, "new"))
	for _, running := range []bool{true, false} {
		w := enter(t, people(t, version(before, "old")), "j", event("p", "ping", noon, `{"n":3}`))
		w.turn(noon)
		w.tell(event("p-2", "ping", noon.Add(time.Hour), `{"n":3}`))
		m := w.migrate(noon.Add(2*time.Hour), to, moveTo("2", labelled(t, to, "away")))
		if !m.Moves() || len(w.sends) != 0 {
			t.Fatalf("%+v after %d messages\n%s", m, len(w.sends), w.story())
		}
		w.back(noon.Add(3*time.Hour), people(t, version(before, "old")), 1, m, running)
		w.turn(noon.Add(4 * time.Hour))
		w.tell(reply("r", "7", noon.Add(5*time.Hour)))
		w.on(noon.Add(5*time.Hour), noon.Add(30*day))
		if w.done != "answered-old" || len(w.sends) != 1 {
			t.Errorf("running %v: %s after %d messages\n%s", running, w.done, len(w.sends), w.story())
		}
	}
}

// A review that is waited for goes on under another version with who is asked and until when,
// and its decision leads the way of that version. One that a move leaves is withdrawn for
// good: who was to decide has been told so.
func TestMigrateAReview(t *testing.T) {
	t.Parallel()
	to := people(t, elsewhere+version(judged, "new"))
	old := people(t, version(judged, "old"))
	key := func(w *world) string { return w.id.EffectKey(1, "1", 1, "") }
	for _, running := range []bool{true, false} {
		for _, back := range []bool{false, true} {
			w := waits(t, judged)
			closes := w.reviews[key(w)].ClosesAt
			move := w.migrate
			if !running {
				move = w.still
			}
			m := move(noon.Add(time.Hour), to, moveTo("1", labelled(t, to, "judge")))
			want := "approved-new"
			if back {
				if b := w.back(noon.Add(2*time.Hour), old, 1, m, running); !b.Moves() {
					t.Fatalf("%+v", b)
				}
				want = "approved-old"
			}
			if r := w.reviews[key(w)]; len(w.reviews) != 1 || r.State != campaign.ReviewOpen || !r.ClosesAt.Equal(closes) {
				t.Errorf("reviews %+v", w.reviews)
			}
			w.decide(key(w), campaign.Approve, "li", noon.Add(30*day)) // the backup's time
			w.turn(noon.Add(30 * day))
			if w.done != want {
				t.Errorf("running %v, back %v: %s\n%s", running, back, w.done, w.story())
			}
		}

		w := waits(t, judged)
		m := w.migrate(noon.Add(time.Hour), to, moveTo("1", labelled(t, to, "away")))
		if w.reviews[key(w)].State != campaign.ReviewWithdrawn {
			t.Errorf("reviews %+v", w.reviews)
		}
		if b := w.back(noon.Add(2*time.Hour), old, 1, m, running); b.Moves() || b.Kept != campaign.KeptWithdrawn {
			t.Errorf("running %v: %+v", running, b)
		}
		if w.on(noon.Add(3*time.Hour), noon.Add(30*day)); w.done != "away" || len(w.reviews) != 1 {
			t.Errorf("%s with %d reviews\n%s", w.done, len(w.reviews), w.story())
		}
	}

	// A move that opens a review withdraws it when it is taken back.
	w := waits(t, "- label: away\n  wait: 10d\n- end: over-V")
	m := w.migrate(noon.Add(time.Hour), to, moveTo("1", labelled(t, to, "judge")))
	w.back(noon.Add(2*time.Hour), people(t, version("- label: away\n  wait: 10d\n- end: over-V", "old")), 1, m, true)
	if r := w.reviews[w.id.EffectKey(2, labelled(t, to, "judge"), 2, "")]; r.State != campaign.ReviewWithdrawn {
		t.Errorf("reviews %+v\n%s", w.reviews, w.story())
	}

	// Where it ends instead, nobody is asked any more.
	w = waits(t, judged)
	w.migrate(noon.Add(time.Hour), to, endAs("1", "called-off"))
	if w.done != "called-off" || w.reviews[key(w)].State != campaign.ReviewWithdrawn {
		t.Errorf("%s, reviews %+v", w.done, w.reviews)
	}
}
