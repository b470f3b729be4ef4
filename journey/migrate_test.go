package journey_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

// stepsOf compiles the steps of a journey in the campaign of stepwise.
func stepsOf(t testing.TB, body string, changes ...string) *journey.Program {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(body), "\n")
	for i := range lines {
		lines[i] = "      " + lines[i]
	}
	return compile(t, strings.NewReplacer(changes...).Replace(steps+strings.Join(lines, "\n")))
}

func moveTo(step, to string) campaign.MigrationChoice {
	return campaign.MigrationChoice{Version: 1, Journey: "j", Step: step, Do: campaign.MigrationMove, To: to}
}

func endAs(step, outcome string) campaign.MigrationChoice {
	return campaign.MigrationChoice{Version: 1, Journey: "j", Step: step, Do: campaign.MigrationEnd, Outcome: outcome}
}

// migrate takes a turn that migrates, and goes on with the version that it leads to.
func (w *world) migrate(now time.Time, to *journey.Program, choices ...campaign.MigrationChoice) *campaign.Migrated {
	w.t.Helper()
	return w.migrateBy(now, to, (*journey.Migration).Turn, choices)
}

// still moves the member while her campaign is paused.
func (w *world) still(now time.Time, to *journey.Program, choices ...campaign.MigrationChoice) *campaign.Migrated {
	w.t.Helper()
	return w.migrateBy(now, to, (*journey.Migration).Still, choices)
}

func (w *world) migrateBy(now time.Time, to *journey.Program,
	step func(*journey.Migration, journey.State, journey.Input) (campaign.Decision, *campaign.Ask, error), choices []campaign.MigrationChoice,
) *campaign.Migrated {
	w.t.Helper()
	m, err := journey.NewMigration(w.p, to, w.id.Journey, max(1, w.version)+1, "digest", choices)
	if err != nil {
		w.t.Fatal(err)
	}
	types, questions := m.NeedsIn(&w.state)
	d := w.take(now, types, questions, func(s journey.State, in journey.Input) (campaign.Decision, *campaign.Ask, error) {
		return step(m, s, in)
	}, nil)
	if d.Migrated == nil {
		w.t.Fatal("a turn that migrates does not say how it ended")
	}
	if d.Migrated.Moves() {
		w.p, w.version = to, d.Migrated.Version
	}
	return d.Migrated
}

// on plays until a moment, with a turn at the very moment of everything, from a moment on.
func (w *world) on(from, end time.Time) *world {
	w.t.Helper()
	for now := from; ; {
		w.turn(now)
		next := end
		for _, e := range w.events {
			if e.Stored.After(now) && e.Stored.Before(next) {
				next = e.Stored
			}
		}
		if !w.due.IsZero() && w.due.Before(next) {
			next = w.due
		}
		if !next.After(now) {
			next = now.Add(time.Microsecond)
		}
		if !next.Before(end) {
			w.turn(end)
			return w
		}
		now = next
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, from, to, want string
	}{
		{"the same text", "- wait: 1h\n- send: hi", "- wait: 1h\n- send: hi", "1-1 2-2"},
		{"a step before it", "- await: pong\n  for: 1d\n  otherwise: [{end: no}]", "- wait: 1h\n- await: pong\n  for: 1d\n  otherwise: [{end: no}]", "1-2 1.otherwise.1-2.otherwise.1"},
		{"another span", "- wait: 1h\n- send: hi", "- wait: 2h\n- send: hi", "1-1 2-2"},
		{"by label, wherever it is", "- label: a\n  wait: 1h\n- wait: 2h", "- wait: 2h\n- tag: x\n- label: a\n  wait: 5h", "1-3 2-1"},
		{"by label, another kind", "- label: a\n  wait: 1h", "- label: a\n  await: pong\n  for: 1h", "1-1"},
		{"another kind", "- wait: 1h", "- await: pong\n  for: 1h", ""},
		{"two of a name, moved", "- wait: 1h\n- tag: x\n- wait: 1h", "- tag: x\n- wait: 1h\n- tag: y\n- wait: 1h", "2-1"},
		{"a labelled step is no other's", "- label: a\n  wait: 1h\n- label: b\n  wait: 2h", "- label: b\n  wait: 2h", "2-1"},
		{"a label that is new", "- wait: 1h", "- label: a\n  wait: 1h", "1-1"},
	} {
		from, _ := stepsOf(t, c.from).Definition().Journey("j")
		to, _ := stepsOf(t, c.to).Definition().Journey("j")
		var got []string
		for a, b := range journey.Match(from, to) {
			got = append(got, a+"-"+b)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
	if len(journey.Match(nil, nil)) != 0 {
		t.Error("no journey has a step")
	}
}

func has(w *world, kind campaign.TraceKind, key, value string) bool {
	return slices.ContainsFunc(w.trace, func(l campaign.TraceLine) bool { return l.Kind == kind && l.Params[key] == value })
}

// Who waits goes on waiting until the moment that she was promised; what comes behind
// is the new version's.
func TestMigrateAWaitGoesOn(t *testing.T) {
	t.Parallel()
	w := stepwise(t, "- wait: 1d\n- end: old")
	w.turn(noon)
	m := w.migrate(noon.Add(6*time.Hour), stepsOf(t, "- tag: later\n- wait: 1d\n- wait: 2d\n- end: new"), moveTo("1", "2"))
	if !m.Moves() || m.From != "1" || m.To != "2" || m.Version != 2 || m.Digest != "digest" || len(m.Before) == 0 {
		t.Errorf("%+v", m)
	}
	if want := noon.Add(day); !w.due.Equal(want) {
		t.Errorf("waits until %s, want %s", w.due, want)
	}
	w.on(noon.Add(7*time.Hour), noon.Add(4*day))
	if w.done != "new" || len(w.member.Tags) != 0 || !has(w, campaign.TraceMigrated, "how", "waits_on") {
		t.Errorf("%s %v\n%s", w.done, w.member.Tags, w.story())
	}
}

// To another step than the counterpart it is entered anew, now.
func TestMigrateAnew(t *testing.T) {
	t.Parallel()
	w := stepwise(t, "- wait: 1d\n- end: old")
	w.turn(noon)
	at := noon.Add(6 * time.Hour)
	w.migrate(at, stepsOf(t, "- wait: 1d\n- tag: jumped\n- wait: 2h\n- end: new"), moveTo("1", "2"))
	if want := at.Add(2 * time.Hour); !w.due.Equal(want) || !slices.Equal(w.member.Tags, []string{"jumped"}) {
		t.Errorf("waits until %s, tags %v\n%s", w.due, w.member.Tags, w.story())
	}
	if w.on(at, noon.Add(day)); w.done != "new" || !has(w, campaign.TraceMigrated, "how", "anew") {
		t.Errorf("%s\n%s", w.done, w.story())
	}
}

// An await with another condition lets through whom the old one kept, because of what
// has happened already.
func TestMigrateAnAwaitWithAnotherCondition(t *testing.T) {
	t.Parallel()
	await := func(when, end string) string {
		return "- await: pong\n  when: " + when + "\n  for: 2d\n  otherwise: [{end: late}]\n- end: " + end
	}
	for _, c := range []struct{ when, done string }{{"event.n > 5", "new"}, {"event.n > 50", "late"}} {
		w := stepwise(t, await("event.n > 10", "old"), event("q", "pong", noon.Add(time.Hour), `{"n":7}`))
		w.turn(noon.Add(2 * time.Hour))
		w.migrate(noon.Add(3*time.Hour), stepsOf(t, await(c.when, "new")), moveTo("1", "1"))
		if w.on(noon.Add(4*time.Hour), noon.Add(3*day)); w.done != c.done {
			t.Errorf("%s: %s\n%s", c.when, w.done, w.story())
		}
	}
}

const locked = `
- offer: once
  announce: hi
  remind: [{before: 30m, send: hi}]
  taken: [{end: taken}]
  lapsed: [{end: lapsed}]`

// An offer that was made stays as it was promised.
func TestMigrateAnOfferThatGoesOn(t *testing.T) {
	t.Parallel()
	to := stepsOf(t, strings.ReplaceAll(locked, "end: taken", "end: new"), "lock: 1h", "lock: 5h", "price: 50, lock", "price: 80, lock")
	w := stepwise(t, locked, paid("o", "once", "50", noon.Add(40*time.Minute)))
	w.turn(noon)
	w.migrate(noon.Add(10*time.Minute), to, moveTo("1", "1"))
	w.on(noon.Add(11*time.Minute), noon.Add(day))
	if w.done != "new" || len(w.offers) != 1 || w.messages() != "hi hi" || len(w.reviews) != 0 {
		t.Errorf("%s, %d offers, messages %s\n%s", w.done, len(w.offers), w.messages(), w.story())
	}
}

// Reminders are those of the new version: one that both have is not sent twice, one
// that is gone is not sent, one that is new is sent if its moment is to come.
func TestMigrateReminders(t *testing.T) {
	t.Parallel()
	remind := func(list string) string { return strings.Replace(locked, "[{before: 30m, send: hi}]", list, 1) }
	const old = "[{before: 50m, send: hi}, {before: 30m, send: hi}, {before: 10m, send: hi}]"
	for _, c := range []struct {
		list string
		sent int // with the announcement and the one before the migration
	}{
		{old, 4},
		{"[{before: 50m, send: hi}]", 2},
		{"[{before: 40m, send: hi}, {before: 30m, send: hi}]", 3},
		{"[{before: 50m, send: hi}, {before: 30m, send: hi}, {before: 20m, send: hi}, {before: 10m, send: hi}]", 5},
		{"[{before: 20m, send: hi}]", 3},
	} {
		w := stepwise(t, remind(old))
		w.turn(noon)
		w.turn(noon.Add(10 * time.Minute)) // of the first reminder
		w.migrate(noon.Add(25*time.Minute), stepsOf(t, remind(c.list)), moveTo("1", "1"))
		if w.on(noon.Add(26*time.Minute), noon.Add(day)); len(w.sends) != c.sent || w.done != "lapsed" {
			t.Errorf("%s: %d messages, want %d\n%s", c.list, len(w.sends), c.sent, w.story())
		}
		keys := map[string]bool{}
		for _, s := range w.sends {
			keys[s.Key] = true
		}
		if len(keys) != len(w.sends) {
			t.Errorf("%s: two messages under one key", c.list)
		}
	}
}

// An offer that is left is withdrawn with its reminders; who pays for it all the same is
// seen by a person.
func TestMigrateLeavesAnOffer(t *testing.T) {
	t.Parallel()
	w := stepwise(t, locked, paid("o", "once", "50", noon.Add(20*time.Minute)), paid("o2", "once", "49", noon.Add(30*time.Minute)))
	w.turn(noon)
	w.migrate(noon.Add(10*time.Minute), stepsOf(t, "- wait: 1d\n- end: new"), moveTo("1", "1"))
	w.on(noon.Add(11*time.Minute), noon.Add(2*day))
	for _, o := range w.offers {
		if o.State != campaign.OfferWithdrawn || !o.ClosedAt.Equal(noon.Add(10*time.Minute)) {
			t.Errorf("%+v", o)
		}
	}
	if w.done != "new" || w.messages() != "hi" || !has(w, campaign.TraceNotSent, "reason", campaign.ReasonMigrated) || len(w.reviews) != 1 {
		t.Errorf("%s, %s, %d reviews\n%s", w.done, w.messages(), len(w.reviews), w.story())
	}
}

// The end is one like any other: offers are withdrawn, and nothing more is sent.
func TestMigrateToAnEnd(t *testing.T) {
	t.Parallel()
	w := stepwise(t, "- offer: open\n- wait: 1d\n- send: hi", paid("o", "open", "50", noon.Add(2*time.Hour)))
	w.turn(noon)
	m := w.migrate(noon.Add(time.Hour), stepsOf(t, "- send: hi"), endAs("2", "called-off"))
	if m.Do != campaign.MigrationEnd || w.done != "called-off" || m.Version != 1 {
		t.Errorf("%+v %s", m, w.done)
	}
	w.on(noon.Add(90*time.Minute), noon.Add(2*day))
	for _, o := range w.offers {
		if o.State != campaign.OfferWithdrawn {
			t.Errorf("%+v", o)
		}
	}
	if len(w.sends) != 0 {
		t.Errorf("sent %s", w.messages())
	}
}

// What has happened until now is the old version's: it is judged before anything moves.
func TestMigrateAfterTheOldVersionHasJudged(t *testing.T) {
	t.Parallel()
	to := stepsOf(t, "- wait: 1d\n- wait: 2d\n- end: new")
	for _, c := range []struct {
		name, body string
		events     []campaign.Event
		kept, done string
	}{
		{"ended by its own version", "- wait: 1h\n- end: old", nil, campaign.KeptOver, "old"},
		{"stands at another step", "- wait: 1h\n- await: pong\n  for: 3d\n  otherwise: [{end: old}]", nil, campaign.KeptMovedOn, "old"},
		{"left", "- wait: 3d\n- end: old", []campaign.Event{event("r", "order.refunded", noon.Add(time.Hour), `{"order":"x"}`)}, campaign.KeptOver, campaign.OutcomeExited},
	} {
		w := stepwise(t, c.body, c.events...)
		m := w.migrate(noon.Add(5*time.Hour), to, moveTo("1", "1"))
		if w.on(noon.Add(6*time.Hour), noon.Add(5*day)); m.Kept != c.kept || w.done != c.done || m.Moves() {
			t.Errorf("%s: %+v, %s", c.name, m, w.done)
		}
	}
	w := stepwise(t, "- send: hi\n- end: old")
	w.p = stepsOf(t, "- send: hi\n- end: old", "journeys:", "limits: {quiet_hours: {from: \"11:00\", until: \"13:00\"}}\njourneys:")
	w.turn(noon) // the message is delayed, and the step waits for it
	if m := w.migrate(noon.Add(time.Minute), stepsOf(t, "- send: hi\n- end: new"), moveTo("1", "1")); !m.Moves() || w.messages() != "hi" {
		t.Errorf("%+v %s", m, w.messages())
	}
	if w.on(noon.Add(2*time.Minute), noon.Add(day)); w.done != "new" || w.messages() != "hi" {
		t.Errorf("%s %s", w.done, w.messages())
	}
}

// A delayed message whose step is left is not sent, and one that the new version does not
// have is not either.
func TestMigrateDelayedMessages(t *testing.T) {
	t.Parallel()
	quiet := []string{"journeys:", "limits: {quiet_hours: {from: \"11:00\", until: \"13:00\"}}\njourneys:"}
	for name, to := range map[string]*journey.Program{
		"left":    stepsOf(t, "- tag: x\n- send: hi\n- end: new", quiet...),
		"unknown": stepsOf(t, "- send: ho\n- end: new", append(slices.Clone(quiet), "  hi:", "  ho:")...),
	} {
		w := stepwise(t, "- send: hi\n- end: old")
		w.p = stepsOf(t, "- send: hi\n- end: old", quiet...)
		w.turn(noon)
		w.migrate(noon.Add(time.Minute), to, moveTo("1", "1"))
		w.on(noon.Add(2*time.Minute), noon.Add(day))
		if w.done != "new" || len(w.sends) != 1 || !has(w, campaign.TraceNotSent, "reason", campaign.ReasonMigrated) {
			t.Errorf("%s: %s, %s\n%s", name, w.done, w.messages(), w.story())
		}
	}
}

// Nothing is judged while the campaign is paused; the new version does it afterwards.
func TestMigrateStill(t *testing.T) {
	t.Parallel()
	w := stepwise(t, "- wait: 1h\n- send: hi\n- end: old")
	w.turn(noon)
	to := stepsOf(t, "- wait: 1h\n- tag: fixed\n- end: new")
	m := w.still(noon.Add(3*time.Hour), to, moveTo("1", "1"))
	if !m.Moves() || w.done != "" || len(w.sends) != 0 || len(w.member.Tags) != 0 {
		t.Fatalf("%+v\n%s", m, w.story())
	}
	if w.on(noon.Add(4*time.Hour), noon.Add(day)); w.done != "new" || len(w.sends) != 0 || !slices.Equal(w.member.Tags, []string{"fixed"}) {
		t.Errorf("%s %v\n%s", w.done, w.member.Tags, w.story())
	}

	// One that has not begun begins with the new version, or at the step that was chosen.
	for to, want := range map[string]string{"1": "new", "2": "new"} {
		w := stepwise(t, "- wait: 1h\n- end: old")
		m := w.still(noon.Add(time.Minute), stepsOf(t, "- tag: one\n- wait: 1h\n- end: new"), moveTo("1", to))
		w.on(noon.Add(2*time.Minute), noon.Add(day))
		if tagged := len(w.member.Tags) == 1; !m.Moves() || m.From != "1" || w.done != want || tagged != (to == "1") {
			t.Errorf("to %s: %+v, %s %v\n%s", to, m, w.done, w.member.Tags, w.story())
		}
	}
}

// What a journey remembers of steps that the new version does not have does no harm.
func TestMigrateForgetsWhatIsGone(t *testing.T) {
	t.Parallel()
	const old = `
- await: pong
  for: 1h
  otherwise: [{tag: late}]
- offer: open
- offer: once
  taken: []
  lapsed: []
- wait: 1d
- end: old`
	late := event("q", "pong", noon.Add(30*time.Minute), `{"n":1}`)
	late.Stored = noon.Add(5 * time.Hour)
	w := stepwise(t, old, late, paid("open", "open", "50", noon.Add(6*time.Hour)), paid("again", "once", "50", noon.Add(6*time.Hour)))
	w.on(noon, noon.Add(3*time.Hour))
	to := stepsOf(t, "- wait: 1d\n- end: new", "  open: {title: 常驻, price: 50, stock: 1}\n", "", "  once: {title: 一次, price: 50, lock: 1h, per_member: 1}\n", "  other: {title: x, price: 1}\n")
	w.stock["open"] = 0
	m := w.migrate(noon.Add(4*time.Hour), to, moveTo("4", "1"))
	if !m.Moves() {
		t.Fatalf("%+v\n%s", m, w.story())
	}
	if w.on(noon.Add(4*time.Hour), noon.Add(5*day)); w.done != "new" {
		t.Errorf("%s\n%s", w.done, w.story())
	}
	if !has(w, campaign.TraceOfferRefused, "reason", campaign.RefusedStock) {
		t.Errorf("the stock of an offer that the new version does not have is not asked for\n%s", w.story())
	}
}

func TestMigrationRefusesAStepThatIsNot(t *testing.T) {
	t.Parallel()
	p := stepsOf(t, "- wait: 1h")
	if _, err := journey.NewMigration(p, p, "j", 2, "d", []campaign.MigrationChoice{moveTo("1", "9")}); campaign.CodeOf(err) != campaign.CodeInvalid {
		t.Error(err)
	}
	if _, err := journey.NewMigration(p, p, "nobody", 2, "d", nil); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Error(err)
	}
}

// back takes the last move back.
func (w *world) back(now time.Time, to *journey.Program, version int, m *campaign.Migrated, running bool) *campaign.Migrated {
	w.t.Helper()
	reversal, err := journey.NewMigration(w.p, to, w.id.Journey, version, "digest of before", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	before, err := journey.LoadState(m.Before)
	if err != nil {
		w.t.Fatal(err)
	}
	types, questions := reversal.NeedsIn(&w.state, &before)
	d := w.take(now, types, questions, reversal.Back(before, running), nil)
	if d.Migrated.Moves() {
		w.p, w.version = to, version
	}
	return d.Migrated
}

// An offer that a move withdrew is open again when it is taken back, at its price and
// until its end, and its reminder is sent; a later migration uses no key twice.
func TestMigrateThereAndBack(t *testing.T) {
	t.Parallel()
	old := stepsOf(t, locked)
	to := stepsOf(t, "- offer: open\n- send: hi\n- wait: 10d\n- end: new")
	for _, running := range []bool{true, false} {
		w := stepwise(t, locked, paid("o", "once", "50", noon.Add(45*time.Minute)))
		w.turn(noon)
		first := w.migrate(noon.Add(5*time.Minute), to, moveTo("1", "1"))
		b := w.back(noon.Add(10*time.Minute), old, 1, first, running)
		if !b.Moves() || b.Version != 1 || b.Digest != "digest of before" || len(b.Before) == 0 {
			t.Fatalf("%+v", b)
		}
		second := w.migrate(noon.Add(15*time.Minute), to, moveTo("1", "1"))
		w.back(noon.Add(20*time.Minute), old, 1, second, running)
		w.on(noon.Add(20*time.Minute), noon.Add(day))
		if w.done != "taken" || !has(w, campaign.TraceMigrated, "how", "back") {
			t.Errorf("%s\n%s", w.done, w.story())
		}
		states := map[campaign.OfferState]int{}
		for _, o := range w.offers {
			states[o.State]++
		}
		if states[campaign.OfferTaken] != 1 || states[campaign.OfferWithdrawn] != 2 || len(w.offers) != 3 {
			t.Errorf("offers %v\n%s", states, w.story())
		}
		keys := map[string]bool{}
		for _, s := range w.sends {
			keys[s.Key] = true
		}
		// The announcement, the message of each move, and the reminder.
		if len(w.sends) != 4 || len(keys) != 4 {
			t.Errorf("%d messages under %d keys\n%s", len(w.sends), len(keys), w.story())
		}
	}
	// One that is over stays over.
	w := stepwise(t, "- wait: 1h\n- end: old")
	w.turn(noon)
	m := w.migrate(noon.Add(time.Minute), stepsOf(t, "- end: new"), moveTo("1", "1"))
	if b := w.back(noon.Add(2*time.Minute), stepsOf(t, "- wait: 1h\n- end: old"), 1, m, true); b.Kept != campaign.KeptOver || w.done != "new" {
		t.Errorf("%+v %s", b, w.done)
	}
}

// Who pays for an offer that a move opened is seen by a person, though the move was taken back:
// whether she paid before that or after, and however often it was done.
func TestMigrateBackFromAnOffer(t *testing.T) {
	t.Parallel()
	old := stepsOf(t, locked)
	to := stepsOf(t, "- offer: open\n- wait: 10d\n- end: new")
	for _, running := range []bool{true, false} {
		for _, after := range []time.Duration{7 * time.Minute, 30 * time.Minute, 5 * time.Hour} {
			w := stepwise(t, locked, paid("o", "open", "49", noon.Add(after)))
			w.turn(noon)
			for _, at := range []time.Duration{5 * time.Minute, 15 * time.Minute} {
				m := w.migrate(noon.Add(at), to, moveTo("1", "1"))
				if b := w.back(noon.Add(at+5*time.Minute), old, 1, m, running); !b.Moves() {
					t.Fatalf("%+v\n%s", b, w.story())
				}
			}
			w.on(noon.Add(20*time.Minute), noon.Add(day))
			if w.done != "lapsed" || len(w.reviews) != 1 || len(w.state.Closed) != 3 {
				t.Errorf("paid %s later: %s, reviews %v, closed %+v\n%s", after, w.done, w.reviews, w.state.Closed, w.story())
			}
		}
	}
}
