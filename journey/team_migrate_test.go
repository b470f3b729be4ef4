package journey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

const teamSteps = `
- team: {size: 3, within: 6h}
  label: together
  announce: hi
  remind: [{before: 1h, send: hi}]
  formed: [{tag: together}, {end: formed}]
  failed: [{end: failed}]
`

// Who waits in a team goes on waiting in it, until the same moment and with its size,
// whatever the new version says; its branches are the new version's.
func TestMigrateATeamGoesOn(t *testing.T) {
	t.Parallel()
	to := stepsOf(t, "- tag: later\n- team: {size: 5, within: 9h}\n  label: together\n  formed: [{end: new-formed}]\n  failed: [{end: new-failed}]")
	for _, formed := range []bool{true, false} {
		w := stepwise(t, teamSteps)
		w.turn(noon)
		code := w.state.Team.Code
		if m := w.migrate(noon.Add(time.Hour), to, moveTo("1", "2")); !m.Moves() {
			t.Fatalf("%+v", m)
		}
		want := "new-failed"
		if formed {
			want = "new-formed"
			w.teams.forms = noon.Add(5*time.Hour + 30*time.Minute)
			w.tell(news(code, w.teams.forms, w.teams.forms.Add(time.Second)))
		}
		w.on(noon.Add(time.Hour), noon.Add(6*time.Hour))
		if w.done != want || w.state.Team.Size != 3 || w.kinds(campaign.TraceTeamLeft) != 0 || len(w.sends) != 2 || !has(w, campaign.TraceMigrated, "how", "waits_on") {
			t.Errorf("%s\n%s", w.done, w.story())
		}
	}
}

// Who is moved elsewhere, or ended, leaves her team; that is not taken back.
func TestMigrateOutOfATeam(t *testing.T) {
	t.Parallel()
	to := stepsOf(t, "- wait: 1h\n- end: new")
	for _, still := range []bool{true, false} {
		w := stepwise(t, teamSteps)
		w.turn(noon)
		migrate := w.migrate
		if still {
			migrate = w.still
		}
		m := migrate(noon.Add(time.Hour), to, moveTo("1", "1"))
		if !m.Moves() || !w.teams.left || w.kinds(campaign.TraceTeamLeft) != 1 {
			t.Fatalf("%+v\n%s", m, w.story())
		}
		if b := w.back(noon.Add(time.Hour), stepsOf(t, teamSteps), 1, m, !still); b.Kept != campaign.KeptWithdrawn {
			t.Errorf("%+v", b)
		}
		w.on(noon.Add(time.Hour), noon.Add(9*time.Hour))
		if w.done != "new" || len(w.sends) != 1 {
			t.Errorf("%s, %d messages\n%s", w.done, len(w.sends), w.story())
		}
	}
	w := stepwise(t, teamSteps)
	w.turn(noon)
	if w.migrate(noon.Add(time.Hour), to, endAs("1", "stopped")); w.done != "stopped" || !w.teams.left {
		t.Errorf("%s\n%s", w.done, w.story())
	}
}

// A team that has been formed, of which the news is on its way, is not left: the member
// goes on in the version that she is on, and what was chosen for the step at which she
// stands then is done.
func TestMigrateOutOfATeamThatIsFormed(t *testing.T) {
	t.Parallel()
	source := strings.Replace(teamSteps, "{end: formed}", "{wait: 1d}, {end: formed}", 1)
	to := stepsOf(t, "- wait: 1h\n- end: new")
	form := func() *world {
		w := stepwise(t, source)
		w.turn(noon)
		w.teams.forms = noon.Add(time.Hour)
		return w
	}
	w := form()
	if m := w.migrate(noon.Add(2*time.Hour), to, moveTo("1", "1")); m.Kept != campaign.KeptMovedOn || w.done != "" {
		t.Errorf("%+v", m)
	}
	w.tell(news(w.state.Team.Code, w.teams.forms, noon.Add(3*time.Hour)))
	if w.on(noon.Add(2*time.Hour), noon.Add(2*day)); w.done != "formed" || strings.Join(w.member.Tags, "") != "together" || w.kinds(campaign.TraceTeamFormed) != 1 {
		t.Errorf("%s\n%s", w.done, w.story())
	}

	w = form()
	if m := w.migrate(noon.Add(2*time.Hour), to, moveTo("1", "1"), endAs("1.formed.2", "stopped")); m.Do != campaign.MigrationEnd || w.done != "stopped" {
		t.Errorf("%+v %s\n%s", m, w.done, w.story())
	}

	w = form() // paused: nothing is judged
	if m := w.still(noon.Add(2*time.Hour), to, moveTo("1", "1"), endAs("1.formed.2", "stopped")); m.Kept != campaign.KeptMovedOn || w.done != "" {
		t.Errorf("%+v", m)
	}
	if w.on(noon.Add(3*time.Hour), noon.Add(2*day)); w.done != "formed" || strings.Join(w.member.Tags, "") != "together" {
		t.Errorf("%s\n%s", w.done, w.story())
	}
}

// A move into a team step opens a team, and taking the move back leaves it.
func TestMigrateIntoATeamAndBack(t *testing.T) {
	t.Parallel()
	source := "- wait: 10h\n- end: old"
	for _, formed := range []bool{false, true} {
		w := stepwise(t, source)
		w.turn(noon)
		m := w.migrate(noon.Add(time.Hour), stepsOf(t, teamSteps), moveTo("1", "1"))
		if !m.Moves() || w.kinds(campaign.TraceTeamOpened) != 1 {
			t.Fatalf("%+v\n%s", m, w.story())
		}
		if formed {
			w.teams.forms = noon.Add(90 * time.Minute)
		}
		b := w.back(noon.Add(2*time.Hour), stepsOf(t, source), 1, m, true)
		w.on(noon.Add(2*time.Hour), noon.Add(day))
		switch {
		case formed && (b.Kept != campaign.KeptMovedOn || w.done != "formed"), !formed && (!b.Moves() || !w.teams.left || w.done != "old"):
			t.Errorf("formed %v: %+v %s\n%s", formed, b, w.done, w.story())
		}
	}
	// There and back into the same team: she waits in it as before.
	w := stepwise(t, teamSteps)
	w.turn(noon)
	m := w.migrate(noon.Add(time.Hour), stepsOf(t, teamSteps), moveTo("1", "1"))
	b := w.back(noon.Add(2*time.Hour), stepsOf(t, teamSteps), 1, m, true)
	w.teams.forms = noon.Add(3 * time.Hour)
	w.tell(news(w.state.Team.Code, w.teams.forms, w.teams.forms))
	if w.on(noon.Add(2*time.Hour), noon.Add(day)); !b.Moves() || w.done != "formed" || w.teams.left {
		t.Errorf("%+v %s\n%s", b, w.done, w.story())
	}
}

// A state of before there were teams, and one with a team, are read.
func TestStatesWithTeams(t *testing.T) {
	t.Parallel()
	w := stepwise(t, teamSteps)
	w.turn(noon)
	data, err := w.state.Save()
	if err != nil {
		t.Fatal(err)
	}
	back, err := journey.LoadState(data)
	if err != nil || *back.Team != *w.state.Team {
		t.Errorf("%+v, %v", back.Team, err)
	}
	if code, until, ok := back.WaitsForTeam(); !ok || code != w.state.Team.Code || !until.Equal(noon.Add(6*time.Hour)) {
		t.Errorf("%s until %s, %v", code, until, ok)
	}
	if old, err := journey.LoadState([]byte(`{"v":1,"entered":"2026-12-01T04:00:00Z","since":"2026-12-01T04:00:00Z","cursor":3}`)); err != nil || old.Team != nil {
		t.Errorf("%+v, %v", old, err)
	}
}
