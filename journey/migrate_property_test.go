package journey_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/journey"
)

// everyStep moves whoever stands at a step that has a counterpart to it.
func everyStep(from, to *journey.Program, name string) (choices []campaign.MigrationChoice) {
	a, _ := from.Definition().Journey(name)
	b, _ := to.Definition().Journey(name)
	for step, other := range journey.Match(a, b) {
		choices = append(choices, moveTo(step, other))
	}
	return choices
}

// To be brought to the same definition changes nothing that happens, whenever it comes
// between and however often.
func TestMigrationToTheSameDefinitionChangesNothing(t *testing.T) {
	t.Parallel()
	p := compile(t, fitnessTrial(t))
	same := everyStep(p, p, "trial-to-card")
	rapid.Check(t, func(rt *rapid.T) {
		events, hours := someEvents(rt)
		end := noon.Add(45 * day)
		plain := enter(t, p, "trial-to-card", events...).punctual(end)

		w := enter(t, p, "trial-to-card", events...)
		now := w.events[0].Stored
		for _, e := range w.events {
			if e.Seq == w.state.Cursor {
				now = e.Stored
			}
		}
		for range rapid.IntRange(1, 4).Draw(rt, "migrations") {
			at := now.Add(hours("between", 6*24))
			if w.on(now, at); w.done != "" {
				break
			}
			now = at
			if rapid.Bool().Draw(rt, "paused") {
				w.still(at, p, same...)
			} else {
				w.migrate(at, p, same...)
			}
		}
		w.on(now, end)
		if want, got := plain.verdict()+plain.messages(), w.verdict()+w.messages(); want != got {
			rt.Fatalf("without:\n%s\nwith migrations:\n%s\n%s", want, got, w.story())
		}
	})
}

// The same of random steps: splits, repeats and waits in each other.
func TestMigrationOfRandomStepsToTheSameChangesNothing(t *testing.T) {
	t.Parallel()
	begin := time.Date(2027, 3, 26, 11, 0, 0, 0, time.UTC)
	rapid.Check(t, func(rt *rapid.T) {
		source := randomSteps(rt)
		if def, problems := definitions.Check("programs.yaml", []byte(source)); def == nil {
			rt.Fatalf("refused:\n%s\n%s", problems.Text(false), source)
		}
		p := compile(t, source)
		minutes := func(name string, most int) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(rt, name)) * time.Minute
		}
		events := []campaign.Event{event("e-1", "go", begin, fmt.Sprintf(`{"at":%q}`, begin.Add(minutes("at", 6*24*60)).Format(time.RFC3339)))}
		for i := range rapid.IntRange(0, 6).Draw(rt, "events") {
			e := event(fmt.Sprintf("e%d", i), rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "type"), begin.Add(minutes("time", 12*24*60)), `{}`)
			e.Stored = e.Time.Add(minutes("delay", 90))
			events = append(events, e)
		}
		end := begin.Add(400 * day)
		plain := enter(t, p, "j", events...).punctual(end)
		w, now := enter(t, p, "j", events...), begin
		same := everyStep(p, p, "j")
		for range rapid.IntRange(1, 5).Draw(rt, "migrations") {
			at := now.Add(time.Minute + minutes("between", 6*24*60))
			if w.on(now, at); w.done != "" {
				break
			}
			now = at
			w.migrate(at, p, same...)
		}
		w.on(now, end)
		if want, got := plain.verdict(), w.verdict(); want != got {
			rt.Fatalf("%s\nwithout:\n%s\nwith migrations:\n%s\n%s", source, want, got, w.story())
		}
	})
}

// A migration is of one moment: what comes of it does not depend on when turns ran
// before it and behind it.
func TestOutcomeOfAMigrationDoesNotDependOnWhenTurnsRun(t *testing.T) {
	t.Parallel()
	// Quiet hours and counts of what happened are judged by the moment of the turn.
	source := strings.NewReplacer(`quiet_hours: {from: "22:00", until: "08:00"}`, "", ">= 4", ">= 400").Replace(fitnessTrial(t))
	p := compile(t, source)
	changed := strings.NewReplacer("for: 7d", "for: 5d", "for: 3d", "for: 4d", "lock: 72h", "lock: 60h").Replace(source)
	if changed == source {
		t.Fatal("the model campaign is another")
	}
	to := compile(t, changed)
	moves := everyStep(p, to, "trial-to-card")
	rapid.Check(t, func(rt *rapid.T) {
		events, hours := someEvents(rt)
		at, end := noon.Add(hours("at", 14*24)), noon.Add(45*day)
		choices := slices.Clone(moves)
		for i := range choices {
			switch rapid.IntRange(0, 5).Draw(rt, "choice") {
			case 0:
				choices[i] = endAs(choices[i].Step, "called-off")
			case 1:
				choices[i].To = rapid.SampledFrom(moves).Draw(rt, "to").To
			}
		}
		play := func(before, behind func(w *world)) *world {
			w := enter(t, p, "trial-to-card", events...)
			before(w)
			if w.done == "" {
				w.migrate(at, to, choices...)
			} else {
				w.turn(at)
			}
			behind(w)
			return w
		}
		first := noon
		for _, e := range events {
			if e.ID == "trial" {
				first = e.Stored
			}
		}
		want := play(func(w *world) {
			if at.After(first) {
				w.on(first, at.Add(-time.Microsecond))
			}
		}, func(w *world) { w.on(at, end) })
		got := play(func(w *world) {
			for now := first.Add(hours("first", 12)); now.Before(at); now = now.Add(time.Minute + hours("gap", 12)) {
				w.turn(now)
			}
		}, func(w *world) {
			for now := at.Add(hours("then", 12)); now.Before(end); now = now.Add(time.Minute + hours("gap", 12)) {
				w.turn(now)
			}
			w.turn(end)
		})
		if want.verdict() != got.verdict() {
			rt.Fatalf("got:\n%s\n\nwant:\n%s\n\nstory:\n%s\npunctual story:\n%s", got.verdict(), want.verdict(), got.story(), want.story())
		}
	})
}

// There and back is as if nobody had gone anywhere, where both versions wait for the same.
func TestThereAndBackChangesNothing(t *testing.T) {
	t.Parallel()
	p := compile(t, fitnessTrial(t))
	to := compile(t, strings.NewReplacer("for: 7d", "for: 5d", "for: 3d", "for: 4d", "lock: 72h", "lock: 60h").Replace(fitnessTrial(t)))
	moves := everyStep(p, to, "trial-to-card")
	rapid.Check(t, func(rt *rapid.T) {
		events, hours := someEvents(rt)
		end := noon.Add(45 * day)
		plain := enter(t, p, "trial-to-card", events...).punctual(end)
		w := enter(t, p, "trial-to-card", events...)
		now := w.events[0].Stored
		for _, e := range w.events {
			if e.Seq == w.state.Cursor {
				now = e.Stored
			}
		}
		at := now.Add(hours("at", 12*24))
		if w.on(now, at); w.done == "" {
			running := rapid.Bool().Draw(rt, "running")
			m := w.migrate(at, to, moves...)
			if m.Moves() && w.done == "" {
				w.back(at, p, 1, m, running)
			}
		}
		w.on(at, end)
		if w.verdict()+w.messages() != plain.verdict()+plain.messages() {
			rt.Fatalf("plain:\n%s\nthere and back:\n%s\n%s", plain.verdict(), w.verdict(), w.story())
		}
	})
}
