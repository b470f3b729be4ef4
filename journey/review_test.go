package journey_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
)

const askedForReview = `
campaign: diary
title: diary
events:
  go: {}
  a: {}
  left: {}
  bought: {}
roles:
  coach: {title: 教练, backup: owner}
  owner:
journeys:
  one:
    start: {on: go}
    exit: {on: left}
    goal: {on: bought}
    steps:
      - await: a
        for: 1d
      - review: {by: coach, about: Good enough?, for: 6h, otherwise: reject}
        approved:
          - tag: wall
          - await: a
            for: 6h
          - end: shown
        rejected:
          - await: a
            for: 2h
            otherwise:
              - end: kept
          - end: shown-later
`

// reviewKey is the key of the review that the journey's second step opens.
func reviewKey(w *world) string { return w.id.EffectKey(1, "2", 2, "") }

// decide stores a person's decision as the store does, which refuses one that comes
// after the time.
func (w *world) decide(key string, decision campaign.ReviewDecision, by string, at time.Time) {
	w.t.Helper()
	r, ok := w.reviews[key]
	if !ok || r.State != campaign.ReviewOpen || at.After(r.ClosesAt) {
		w.t.Fatalf("review %s cannot be decided at %s: %+v", key, at, r)
	}
	r.State = decision.State()
	w.reviews[key] = r
	w.tell(verdictEvent(key, decision, by, at))
}

// tell stores an event behind those that there are.
func (w *world) tell(e campaign.Event) {
	e.Seq = int64(len(w.events) + 1)
	w.events = append(w.events, e)
}

func verdictEvent(key string, decision campaign.ReviewDecision, by string, at time.Time) campaign.Event {
	properties, _ := json.Marshal(campaign.Verdict{Review: key, Decision: decision, By: by, Reason: "because"})
	return event("decided-"+key, campaign.EventReviewDecided, at, string(properties))
}

func TestReview(t *testing.T) {
	t.Parallel()
	p := compile(t, askedForReview)
	opened := noon.Add(time.Hour)
	for name, c := range map[string]struct {
		decision campaign.ReviewDecision
		after    time.Duration // of the opening
		outcome  string
		trace    []campaign.TraceKind
	}{
		"approved":                    {campaign.Approve, time.Hour, "shown", []campaign.TraceKind{campaign.TraceReviewOpened, campaign.TraceReviewDecided}},
		"rejected":                    {campaign.Reject, time.Hour, "kept", []campaign.TraceKind{campaign.TraceReviewOpened, campaign.TraceReviewDecided}},
		"approved at the last moment": {campaign.Approve, 6 * time.Hour, "shown", []campaign.TraceKind{campaign.TraceReviewOpened, campaign.TraceReviewDecided}},
		"approved by the backup": {campaign.Approve, 7 * time.Hour, "shown", []campaign.TraceKind{
			campaign.TraceReviewOpened, campaign.TraceReviewBackup, campaign.TraceReviewDecided,
		}},
		"approved by the backup at the last moment": {campaign.Approve, 12 * time.Hour, "shown", []campaign.TraceKind{
			campaign.TraceReviewOpened, campaign.TraceReviewBackup, campaign.TraceReviewDecided,
		}},
		"decided by nobody": {"", 0, "kept", []campaign.TraceKind{campaign.TraceReviewOpened, campaign.TraceReviewBackup, campaign.TraceReviewOver}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := enter(t, p, "one", event("e-1", "go", noon, `{}`), event("e-2", "a", opened, `{}`))
			w.turn(noon)
			d := w.turn(opened)
			if len(d.Reviews) != 1 || !slices.Contains(d.Listens, campaign.EventReviewDecided) || !d.WaitUntil.Equal(opened.Add(6*time.Hour)) {
				t.Fatalf("%+v", d)
			}
			if r := d.Reviews[0]; r.Key != reviewKey(w) || r.Role != "coach" || r.Backup != "owner" || r.About != "Good enough?" ||
				r.Otherwise != campaign.Reject || !r.EscalatesAt.Equal(opened.Add(6*time.Hour)) || !r.ClosesAt.Equal(opened.Add(12*time.Hour)) {
				t.Errorf("%+v", r)
			}
			if strings.Contains(d.Summary, w.id.Member) || !strings.Contains(d.Summary, "教练") {
				t.Errorf("summary %q", d.Summary)
			}
			if c.decision != "" {
				w.decide(reviewKey(w), c.decision, "li", opened.Add(c.after))
			}
			w.punctual(noon.Add(3 * day))
			if w.done != c.outcome {
				t.Errorf("outcome %q\n%s", w.done, w.story())
			}
			var got []campaign.TraceKind
			for _, l := range w.trace {
				if strings.HasPrefix(string(l.Kind), "review") {
					got = append(got, l.Kind)
				}
				if l.Kind == campaign.TraceReviewDecided && (l.Params["by"] != "li" || l.Params["why"] != "because") {
					t.Errorf("%+v", l)
				}
			}
			if !slices.Equal(got, c.trace) {
				t.Errorf("trace %v, want %v", got, c.trace)
			}
		})
	}
}

// Without a backup the time is over once.
func TestReviewWithoutABackup(t *testing.T) {
	t.Parallel()
	p := compile(t, strings.Replace(askedForReview, "by: coach", "by: owner", 1))
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`), event("e-2", "a", noon.Add(time.Hour), `{}`))
	w.punctual(noon.Add(9*time.Hour - time.Second))
	if w.done != "" {
		t.Fatalf("outcome %q", w.done)
	}
	w.turn(noon.Add(9 * time.Hour))
	if w.done != "kept" || w.kinds(campaign.TraceReviewBackup) != 0 {
		t.Errorf("outcome %q\n%s", w.done, w.story())
	}
}

// The step behind a decision begins when it was taken, however late the turn runs, and
// an event that came between the two is judged by it.
func TestTheStepBehindADecisionBeginsWhenItWasTaken(t *testing.T) {
	t.Parallel()
	p := compile(t, askedForReview)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`), event("e-2", "a", noon.Add(time.Hour), `{}`))
	w.turn(noon)
	w.turn(noon.Add(time.Hour))
	w.decide(reviewKey(w), campaign.Approve, "li", noon.Add(2*time.Hour))
	w.tell(event("e-3", "a", noon.Add(3*time.Hour), `{}`))
	w.turn(noon.Add(20 * time.Hour))
	if w.done != "shown" || w.kinds(campaign.TraceHappened) != 2 {
		t.Errorf("outcome %q\n%s", w.done, w.story())
	}
}

// A decision about another review, or of a visit that is over, changes nothing.
func TestADecisionAboutAnotherReview(t *testing.T) {
	t.Parallel()
	p := compile(t, `
campaign: diary
title: diary
events:
  go: {}
roles:
  owner:
journeys:
  one:
    start: {on: go}
    exit: {on: go, when: "false"}
    steps:
      - review: {by: owner, for: 1h, otherwise: reject}
        label: again
        approved:
          - end: good
        rejected:
          - goto: again
`)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`))
	w.turn(noon)
	first := w.id.EffectKey(1, "1", 1, "")
	w.decide(first, campaign.Reject, "li", noon.Add(time.Minute))
	w.turn(noon.Add(2 * time.Minute))
	for _, key := range []string{first, "another", ""} {
		w.tell(verdictEvent(key, campaign.Approve, "li", noon.Add(3*time.Minute)))
	}
	broken := event("broken", campaign.EventReviewDecided, noon.Add(3*time.Minute), `[]`)
	w.tell(broken)
	w.turn(noon.Add(4 * time.Minute))
	if w.done != "" || w.kinds(campaign.TraceReviewDecided) != 1 {
		t.Fatalf("outcome %q\n%s", w.done, w.story())
	}
	second := w.id.EffectKey(1, "1", 3, "")
	w.decide(second, campaign.Approve, "li", noon.Add(5*time.Minute))
	w.turn(noon.Add(6 * time.Minute))
	if w.done != "good" || len(w.reviews) != 2 {
		t.Errorf("outcome %q, reviews %v\n%s", w.done, w.reviews, w.story())
	}
}

// A review whose journey is left is withdrawn; a decision that a turn finds behind that
// is told, and changes nothing.
func TestAReviewIsWithdrawn(t *testing.T) {
	t.Parallel()
	for leaving, outcome := range map[string]string{"left": campaign.OutcomeExited, "bought": campaign.OutcomeConverted} {
		t.Run(leaving, func(t *testing.T) {
			t.Parallel()
			p := compile(t, askedForReview)
			w := enter(t, p, "one", event("e-1", "go", noon, `{}`), event("e-2", "a", noon.Add(time.Hour), `{}`))
			w.turn(noon)
			w.turn(noon.Add(time.Hour))
			w.tell(event("e-3", leaving, noon.Add(2*time.Hour), `{}`))
			w.tell(verdictEvent(reviewKey(w), campaign.Approve, "li", noon.Add(3*time.Hour)))
			w.turn(noon.Add(4 * time.Hour))
			if w.done != outcome || w.reviews[reviewKey(w)].State != campaign.ReviewWithdrawn {
				t.Errorf("outcome %q, reviews %v", w.done, w.reviews)
			}
			if w.kinds(campaign.TraceReviewDropped) != 1 || w.kinds(campaign.TraceReviewTooLate) != 1 || w.kinds(campaign.TraceTagged) != 0 {
				t.Error(w.story())
			}
		})
	}
}

// Nobody is asked about a held-out member; her journey takes as long as if nobody
// decided, and what holds then holds.
func TestNobodyIsAskedAboutAHeldOutMember(t *testing.T) {
	t.Parallel()
	p := compile(t, askedForReview)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`), event("e-2", "a", noon.Add(time.Hour), `{}`))
	w.state.Holdout = true
	w.punctual(noon.Add(15*time.Hour - time.Second))
	if w.done != "" {
		t.Fatalf("outcome %q\n%s", w.done, w.story())
	}
	w.turn(noon.Add(15 * time.Hour))
	if w.done != "kept" || len(w.reviews) != 0 || w.kinds(campaign.TraceReviewSkipped) != 1 || w.kinds(campaign.TraceReviewBackup) != 0 {
		t.Errorf("outcome %q, reviews %v\n%s", w.done, w.reviews, w.story())
	}
}

// Whoever is asked has the whole time, though the engine was down when it should have asked.
func TestAReviewBeginsNowWhenTheEngineIsLate(t *testing.T) {
	t.Parallel()
	for late, opened := range map[time.Duration]time.Duration{9 * time.Minute: 0, 5 * time.Hour: 5 * time.Hour} {
		p := compile(t, askedForReview)
		w := enter(t, p, "one", event("e-1", "go", noon, `{}`), event("e-2", "a", noon.Add(time.Hour), `{}`))
		w.turn(noon)
		w.turn(noon.Add(time.Hour + late))
		if r := w.reviews[reviewKey(w)]; !r.At.Equal(noon.Add(time.Hour + opened)) {
			t.Errorf("%s late: opened at %s", late, r.At)
		}
	}
}

// What comes of a review does not depend on when turns run.
func TestReviewsDoNotDependOnWhenTurnsRun(t *testing.T) {
	t.Parallel()
	p := compile(t, askedForReview)
	rapid.Check(t, func(rt *rapid.T) {
		minutes := func(name string, from, most int) time.Duration {
			return time.Duration(rapid.IntRange(from, most).Draw(rt, name)) * time.Minute
		}
		opened := noon.Add(time.Hour)
		events := []campaign.Event{event("e-1", "go", noon, `{}`), event("e-2", "a", opened, `{}`)}
		for i := range rapid.IntRange(0, 8).Draw(rt, "events") {
			kind := rapid.SampledFrom([]string{"a", "a", "a", "a", "left", "bought"}).Draw(rt, "type")
			e := event(fmt.Sprintf("x-%d", i), kind, opened.Add(minutes("time", 1, 1500)), `{}`)
			e.Stored = e.Time.Add(minutes("delay", 0, 30))
			events = append(events, e)
		}
		key := enter(t, p, "one", events...).id.EffectKey(1, "2", 2, "")
		// The turn that opens it may be nine minutes late, and before that nobody can decide.
		if after := minutes("decided", 10, 1500); after <= 12*time.Hour {
			decision := rapid.SampledFrom([]campaign.ReviewDecision{campaign.Approve, campaign.Reject}).Draw(rt, "decision")
			events = append(events, verdictEvent(key, decision, "li", opened.Add(after)))
		}
		end := noon.Add(4 * day)
		want := enter(t, p, "one", events...).punctual(end)

		w := enter(t, p, "one", events...)
		w.turn(noon)
		for now := opened.Add(minutes("late", 0, 9)); now.Before(end); now = now.Add(minutes("gap", 1, 800)) {
			w.turn(now)
		}
		w.turn(end)
		if w.done == "" {
			rt.Fatalf("the journey did not end\n%s", w.story())
		}
		if got := w.verdict(); got != want.verdict() {
			rt.Fatalf("got:\n%s\n\nwant:\n%s\n\nstory:\n%s\npunctual story:\n%s", got, want.verdict(), w.story(), want.story())
		}
	})
}
