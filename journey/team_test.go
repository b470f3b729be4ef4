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
	"github.com/banyanhq/banyan/journey"
)

// teams keeps the truth about the one team that a test is about, as the store does.
type teams struct {
	campaign.Team
	invited bool      // there is a team, into which the code leads
	forms   time.Time // when its last place is taken; zero: never
	asked   []campaign.TeamDo
	left    bool
}

const teamCode = "CDFGHJKMNP"

func (k *teams) answer(ask *campaign.Ask, now time.Time) campaign.Answer {
	k.asked = append(k.asked, ask.Team.Do)
	formed := !k.left && !k.forms.IsZero() && !k.forms.After(now) && !k.forms.After(k.EndsAt)
	if ask.Team.Do == campaign.TeamJoin {
		t := campaign.Team{Code: campaign.TeamCode([]byte(ask.Key)), State: campaign.TeamOpen, Size: ask.Team.Size, Joined: 1, EndsAt: ask.Team.EndsAt, Leader: true}
		reason := ""
		if ask.Team.Code != "" {
			reason = campaign.TeamUnknown
		}
		if k.invited && ask.Team.Code == teamCode {
			t, reason = k.Team, ""
			if t.Joined++; t.Joined == t.Size {
				t.State, t.ClosedAt = campaign.TeamFormed, now
			}
		}
		k.Team, k.left = t, false
		return campaign.Answer{OK: true, Reason: reason, Team: &t}
	}
	t := k.Team
	switch {
	case formed:
		t.State, t.Joined, t.ClosedAt = campaign.TeamFormed, t.Size, k.forms
		return campaign.Answer{Team: &t}
	case ask.Team.Do == campaign.TeamClose:
		t.State, t.ClosedAt = campaign.TeamFailed, t.EndsAt
	case ask.Team.Do == campaign.TeamLeave:
		k.left = true
	}
	return campaign.Answer{OK: true, Team: &t}
}

const togetherSource = `
campaign: together
title: together
events:
  go: {team: string}
  a: {}
  left: {}
  bought: {}
messages:
  open: "{{ team.code }} {{ team.joined }}/{{ team.size }} {{ team.missing }} {{ local(team.ends_at) }} {{ team.leader }}"
  missing: "{{ team.missing }} {{ team.leader }}"
rewards:
  together: {points: 5}
limits:
  quiet_hours: {from: "22:00", until: "08:00"}
journeys:
  one:
    start: {on: go}
    exit: {on: left}
    goal: {on: bought}
    steps:
      - await: a
        for: 1d
      - team: {size: 3, within: 6h, join: start.team}
        announce: open
        remind: [{before: 2h, send: missing}]
        formed:
          - grant: together
          - await: a
            for: 6h
          - end: shown
        failed:
          - await: a
            for: 2h
            otherwise:
              - end: alone
          - end: alone-later
`

func goTo(team string) campaign.Event {
	return event("e-1", "go", noon, fmt.Sprintf(`{"team":%q}`, team))
}

// news is the event by which the journey is told that the team is complete.
func news(code string, formed, stored time.Time) campaign.Event {
	properties, _ := json.Marshal(campaign.Formation{Team: code})
	e := event("news-"+code+stored.Format(time.RFC3339), campaign.EventTeamFormed, formed, string(properties))
	e.Stored = stored
	return e
}

// ownCode is the code of the team that the journey's second step opens.
func ownCode(w *world) string { return campaign.TeamCode([]byte(w.id.EffectKey(1, "2", 2, ""))) }

func TestTeam(t *testing.T) {
	t.Parallel()
	p := compile(t, togetherSource)
	came := noon.Add(time.Hour) // to the team step, whose time ends at 19:00
	for name, c := range map[string]struct {
		join    string
		joined  int           // members of the team that the code leads to; 0: there is none
		forms   time.Duration // after she came; 0: never
		late    time.Duration // of the news; -1: it never comes
		leaves  string
		after   time.Duration
		outcome string
		kinds   []campaign.TraceKind
		grants  int
	}{
		"opens, and it is formed":    {forms: time.Hour, outcome: "shown", grants: 1, kinds: []campaign.TraceKind{campaign.TraceTeamOpened, campaign.TraceTeamFormed}},
		"formed at the last moment":  {forms: 6 * time.Hour, outcome: "shown", grants: 1, kinds: []campaign.TraceKind{campaign.TraceTeamOpened, campaign.TraceTeamFormed}},
		"formed, and the news late":  {forms: 6 * time.Hour, late: time.Hour, outcome: "shown", grants: 1, kinds: []campaign.TraceKind{campaign.TraceTeamOpened, campaign.TraceTeamFormed}},
		"formed, and the news never": {forms: 3 * time.Hour, late: -1, outcome: "shown", grants: 1, kinds: []campaign.TraceKind{campaign.TraceTeamOpened, campaign.TraceTeamFormed}},
		"nobody comes":               {outcome: "alone", kinds: []campaign.TraceKind{campaign.TraceTeamOpened, campaign.TraceTeamFailed}},
		"joins":                      {join: "cdfgh jkmnp", joined: 1, forms: time.Hour, outcome: "shown", grants: 1, kinds: []campaign.TraceKind{campaign.TraceTeamJoined, campaign.TraceTeamFormed}},
		"joins as the last":          {join: teamCode, joined: 2, outcome: "shown", grants: 1, kinds: []campaign.TraceKind{campaign.TraceTeamJoined, campaign.TraceTeamFormed}},
		"joins, and it fails":        {join: teamCode, joined: 1, outcome: "alone", kinds: []campaign.TraceKind{campaign.TraceTeamJoined, campaign.TraceTeamFailed}},
		"an unknown code":            {join: teamCode, outcome: "alone", kinds: []campaign.TraceKind{campaign.TraceTeamNotJoined, campaign.TraceTeamOpened, campaign.TraceTeamFailed}},
		"no code at all":             {join: "let me in", outcome: "alone", kinds: []campaign.TraceKind{campaign.TraceTeamNotJoined, campaign.TraceTeamOpened, campaign.TraceTeamFailed}},
		"leaves":                     {leaves: "left", after: time.Hour, outcome: "exited", kinds: []campaign.TraceKind{campaign.TraceTeamOpened, campaign.TraceTeamLeft}},
		"leaves before it is formed": {leaves: "left", after: time.Hour, forms: 2 * time.Hour, late: -1, outcome: "exited", kinds: []campaign.TraceKind{campaign.TraceTeamOpened, campaign.TraceTeamLeft}},
		"buys":                       {leaves: "bought", after: time.Hour, outcome: "converted", kinds: []campaign.TraceKind{campaign.TraceTeamOpened, campaign.TraceTeamLeft}},
		// The news is on its way when she leaves: she has formed a team first.
		"leaves after it is formed": {forms: time.Hour, late: time.Hour, leaves: "left", after: 90 * time.Minute, outcome: "exited", grants: 1, kinds: []campaign.TraceKind{campaign.TraceTeamOpened, campaign.TraceTeamFormed}},
		"buys after it is formed":   {forms: time.Hour, late: time.Hour, leaves: "bought", after: 90 * time.Minute, outcome: "converted", grants: 1, kinds: []campaign.TraceKind{campaign.TraceTeamOpened, campaign.TraceTeamFormed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := enter(t, p, "one", goTo(c.join), event("e-2", "a", came, `{}`))
			if c.joined > 0 {
				w.teams.invited = true
				w.teams.Team = campaign.Team{Code: teamCode, State: campaign.TeamOpen, Size: 3, Joined: c.joined, EndsAt: came.Add(6 * time.Hour)}
			}
			if c.forms > 0 {
				w.teams.forms = came.Add(c.forms)
			}
			w.turn(noon)
			d := w.turn(came)
			if c.joined < 2 && (!slices.Contains(d.Listens, campaign.EventTeamFormed) || !d.WaitUntil.Equal(came.Add(4*time.Hour)) ||
				strings.Contains(d.Summary, w.id.Member) || strings.Contains(d.Summary, w.state.Team.Code)) {
				t.Fatalf("%+v", d)
			}
			if c.forms > 0 && c.late >= 0 {
				w.tell(news(w.state.Team.Code, w.teams.forms, w.teams.forms.Add(c.late)))
			}
			if c.leaves != "" {
				w.tell(event("e-3", c.leaves, came.Add(c.after), `{}`))
			}
			w.on(came, noon.Add(3*day))
			if w.done != c.outcome || len(w.grants) != c.grants {
				t.Errorf("outcome %q, grants %v\n%s", w.done, w.grants, w.story())
			}
			var got []campaign.TraceKind
			for _, l := range w.trace {
				if strings.HasPrefix(string(l.Kind), "team") {
					got = append(got, l.Kind)
				}
				if l.Kind == campaign.TraceTeamNotJoined && (l.Params["reason"] != campaign.TeamUnknown || l.Params["team"] != strings.TrimPrefix(c.join, "let me in")) {
					t.Errorf("%+v", l)
				}
			}
			if !slices.Equal(got, c.kinds) {
				t.Errorf("trace %v, want %v\n%s", got, c.kinds, w.story())
			}
			// The step behind begins when the last place was taken.
			until := came.Add(c.forms + 6*time.Hour).In(time.FixedZone("", 8*3600)).Format("01-02 15:04")
			for _, l := range w.trace {
				if l.Kind == campaign.TraceWaiting && l.Step == "2.formed.2" && l.Params["until"] != until {
					t.Errorf("%+v, want %s", l, until)
				}
			}
		})
	}
}

// The messages have the numbers of the moment at which they go out, and do not go out when
// there is nothing to wait for any more.
func TestTeamMessages(t *testing.T) {
	t.Parallel()
	p := compile(t, togetherSource)
	came := noon.Add(time.Hour)
	start := func(at time.Time) *world {
		w := enter(t, p, "one", event("e-1", "go", at.Add(-time.Hour), `{}`), event("e-2", "a", at, `{}`))
		w.turn(at.Add(-time.Hour))
		w.turn(at)
		return w
	}
	bodies := func(w *world) (out []string) {
		for _, s := range w.sends {
			out = append(out, s.Bodies[0].Body)
		}
		return out
	}

	w := start(came)
	w.teams.Joined, w.teams.Leader = 2, true
	w.turn(came.Add(4 * time.Hour))
	if got := bodies(w); len(got) != 2 || !strings.HasPrefix(got[0], ownCode(w)+" 1/3 2 ") || !strings.HasSuffix(got[0], "19:00 true") || got[1] != "1 true" {
		t.Errorf("%q", got)
	}

	// It is formed, and the news of it is still on its way when the reminder is due.
	w = start(came)
	w.teams.forms = came.Add(3 * time.Hour)
	w.turn(came.Add(4 * time.Hour))
	if got := bodies(w); len(got) != 1 || !has(w, campaign.TraceNotSent, "reason", campaign.ReasonTeamEnded) {
		t.Errorf("%q\n%s", got, w.story())
	}

	// Announced at night: it goes out in the morning, if it is of use then.
	night := noon.Add(14 * time.Hour) // 02:00; it ends at 08:00
	w = start(night)
	w.on(night, night.Add(7*time.Hour))
	if got := bodies(w); len(got) != 0 || !has(w, campaign.TraceNotSent, "detail", "the team's time ends first") {
		t.Errorf("%q\n%s", got, w.story())
	}
	night = noon.Add(15 * time.Hour) // 03:00; it ends at 09:00
	w = start(night)
	w.teams.Joined, w.teams.Leader = 2, false
	w.on(night, night.Add(5*time.Hour))
	if got := bodies(w); len(got) == 0 || !strings.HasPrefix(got[0], ownCode(w)+" 2/3 1 ") || !strings.HasSuffix(got[0], "false") {
		t.Errorf("%q\n%s", got, w.story())
	}
}

// News about another team, from after the end, or of no team, changes nothing.
func TestNewsAboutAnotherTeam(t *testing.T) {
	t.Parallel()
	p := compile(t, togetherSource)
	came := noon.Add(time.Hour)
	w := enter(t, p, "one", goTo(""), event("e-2", "a", came, `{}`))
	w.turn(noon)
	w.turn(came)
	for i, e := range []campaign.Event{
		news(teamCode, came, came.Add(time.Minute)), news("", came, came.Add(2*time.Minute)),
		news(ownCode(w), came.Add(7*time.Hour), came.Add(3*time.Minute)), event("x", campaign.EventTeamFormed, came, `[]`),
	} {
		e.ID, e.Stored = fmt.Sprint("n-", i), came.Add(time.Duration(i+1)*time.Minute)
		w.tell(e)
	}
	w.turn(came.Add(time.Hour))
	if w.done != "" || w.kinds(campaign.TraceTeamFormed) != 0 {
		t.Error(w.story())
	}
}

// A held-out member comes into no team, waits as long, and goes on as if nobody had come.
func TestAHeldOutMemberComesIntoNoTeam(t *testing.T) {
	t.Parallel()
	p := compile(t, togetherSource)
	came := noon.Add(time.Hour)
	for _, leaves := range []string{"", "left"} {
		w := enter(t, p, "one", goTo(teamCode), event("e-2", "a", came, `{}`))
		w.state.Holdout = true
		w.teams.invited = true
		w.turn(noon)
		d := w.turn(came)
		if slices.Contains(d.Listens, campaign.EventTeamFormed) {
			t.Errorf("%+v", d)
		}
		want := "alone"
		if leaves != "" {
			w.tell(event("e-3", leaves, came.Add(time.Hour), `{}`))
			want = campaign.OutcomeExited
		}
		w.on(came, noon.Add(3*day))
		if w.done != want || len(w.teams.asked) != 0 || w.kinds(campaign.TraceTeamSkipped) != 1 || w.kinds(campaign.TraceTeamLeft) != 0 {
			t.Errorf("%q, asked %v\n%s", w.done, w.teams.asked, w.story())
		}
	}
}

// The end of the campaign leaves the team; one that has been formed stays so.
func TestTheCampaignEndsWhileATeamWaits(t *testing.T) {
	t.Parallel()
	p := compile(t, togetherSource)
	came := noon.Add(time.Hour)
	for _, formed := range []bool{false, true} {
		w := enter(t, p, "one", goTo(""), event("e-2", "a", came, `{}`))
		w.turn(noon)
		w.turn(came)
		if formed {
			w.teams.forms = came.Add(time.Hour)
		}
		types, questions, err := p.Needs("one")
		if err != nil {
			t.Fatal(err)
		}
		w.take(came.Add(2*time.Hour), types, questions, func(s journey.State, in journey.Input) (campaign.Decision, *campaign.Ask, error) {
			in.EndNow = true
			return p.Turn(s, in)
		}, nil)
		if w.done != campaign.OutcomeEnded || (w.kinds(campaign.TraceTeamFormed) == 1) != formed || (w.kinds(campaign.TraceTeamLeft) == 1) == formed {
			t.Errorf("formed %v: %q\n%s", formed, w.done, w.story())
		}
	}
}

// Who opens a team has the whole time, though the engine was down when she came.
func TestATeamBeginsNowWhenTheEngineIsLate(t *testing.T) {
	t.Parallel()
	p := compile(t, togetherSource)
	for late, opened := range map[time.Duration]time.Duration{9 * time.Minute: 0, 5 * time.Hour: 5 * time.Hour} {
		w := enter(t, p, "one", goTo(""), event("e-2", "a", noon.Add(time.Hour), `{}`))
		w.turn(noon)
		w.turn(noon.Add(time.Hour + late))
		if want := noon.Add(7*time.Hour + opened); !w.teams.EndsAt.Equal(want) {
			t.Errorf("%s late: ends at %s, want %s", late, w.teams.EndsAt, want)
		}
	}
}

// An expression that has no value brings no code along.
func TestATeamCodeThatHasNoValue(t *testing.T) {
	t.Parallel()
	p := compile(t, strings.Replace(togetherSource, "join: start.team", `join: 'string(1 / (size(start.team) - size(start.team)))'`, 1))
	w := enter(t, p, "one", goTo(teamCode), event("e-2", "a", noon.Add(time.Hour), `{}`))
	w.turn(noon)
	w.turn(noon.Add(time.Hour))
	if w.kinds(campaign.TraceFault) != 1 || w.kinds(campaign.TraceTeamOpened) != 1 || w.kinds(campaign.TraceTeamNotJoined) != 0 {
		t.Error(w.story())
	}
}

// What comes of a team does not depend on when turns run, nor on when the news comes.
func TestTeamsDoNotDependOnWhenTurnsRun(t *testing.T) {
	t.Parallel()
	p := compile(t, togetherSource)
	formed, failed := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		minutes := func(name string, from, most int) time.Duration {
			return time.Duration(rapid.IntRange(from, most).Draw(rt, name)) * time.Minute
		}
		came := noon.Add(time.Hour)
		events := []campaign.Event{goTo(""), event("e-2", "a", came, `{}`)}
		for i := range rapid.IntRange(0, 6).Draw(rt, "events") {
			kind := rapid.SampledFrom([]string{"a", "a", "a", "a", "left", "bought"}).Draw(rt, "type")
			e := event(fmt.Sprintf("x-%d", i), kind, came.Add(minutes("time", 1, 900)), `{}`)
			e.Stored = e.Time.Add(minutes("delay", 0, 30))
			events = append(events, e)
		}
		code := ownCode(enter(t, p, "one", events...))
		// The turn that opens it may be nine minutes late, and before that nobody can join.
		var forms time.Time
		if after := minutes("forms", 10, 500); after <= 6*time.Hour {
			forms = came.Add(after)
			if rapid.Bool().Draw(rt, "told") {
				events = append(events, news(code, forms, forms.Add(minutes("news", 0, 90))))
			}
		}
		world := func() *world {
			w := enter(t, p, "one", events...)
			w.teams.forms = forms
			return w
		}
		end := noon.Add(4 * day)
		want := world().punctual(end)
		formed, failed = formed+want.kinds(campaign.TraceTeamFormed), failed+want.kinds(campaign.TraceTeamFailed)

		w := world()
		w.turn(noon)
		for now := came.Add(minutes("late", 0, 9)); now.Before(end); now = now.Add(minutes("gap", 1, 800)) {
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
	if !t.Failed() && !testing.Short() && (formed == 0 || failed == 0) {
		t.Errorf("formed %d, failed %d", formed, failed)
	}
}
