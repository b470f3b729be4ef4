package simulate

import (
	"os"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/definitions"
)

func teamsCampaign(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile("testdata/campaigns/teams.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// The example on the page of the step does what its tests say.
func TestTeamPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/language/step-team.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(page), "```yaml\n")
	example, _, closed := strings.Cut(example, "```")
	if !ok || !closed {
		t.Fatal("the page has no example")
	}
	def, tests, problems := definitions.Tests("step-team.md", []byte(example))
	if len(problems) > 0 || len(tests) < 2 {
		t.Fatalf("%d tests\n%s", len(tests), problems.Text(false))
	}
	p, err := NewPlan(def)
	if err != nil {
		t.Fatal(err)
	}
	for i := range tests {
		v, err := Verify(p, &tests[i])
		if err != nil || !v.OK {
			t.Errorf("%v\n%s", err, v.Failures.Text(false))
		}
	}
}

// What a population declares of teams comes true, and nothing else: with a chance of one
// half, half of the teams are formed, all of them in time.
func TestTeamsOfAPopulation(t *testing.T) {
	t.Parallel()
	p := planFrom(t, strings.Replace(teamsCampaign(t), "holdout: 50%", "holdout: 0%", 1))
	pop := populationFrom(t, p, `
population: friends
behaviour:
  - {on: arrive, do: order.paid, with: {offer: team, amount: 1}}
  - {on: {wait: team.formed}, do: team.formed, chance: 50%, after: 1h-23h}
  - {on: {event: team.formed}, do: left, chance: 10%, after: 10m}
late: {share: 50%, by: 2h-3h}
`)
	r := rehearse(t, Config{Plan: p, From: first, Span: 10 * day, People: Made(p, pop, 4000, 1, first, day)})
	main := r.Journeys[0]
	step := main.Steps[0]
	if step.Reached != 4000 || step.Happened < 1850 || step.Happened > 2150 || step.Happened+step.TimedOut != 4000 {
		t.Errorf("%+v", step)
	}
	outcomes := map[string]int64{}
	for _, c := range main.Outcomes {
		outcomes[c.Name] = c.Count
	}
	if outcomes["exited"] < 120 || outcomes["exited"] > 280 || outcomes["alone"] != step.TimedOut {
		t.Errorf("%+v", main.Outcomes)
	}
	if len(r.Faults) > 0 {
		t.Errorf("faults: %v", r.Faults)
	}
}

// Nobody told of a population: some teams come together, and it can be written down.
func TestDerivedTeams(t *testing.T) {
	t.Parallel()
	p := planFrom(t, teamsCampaign(t))
	pop := Derive(p, first)
	text := YAML(pop)
	if !strings.Contains(text, "on: {wait: team.formed}\n    do: team.formed") {
		t.Error(text)
	}
	back := populationFrom(t, p, text)
	back.Derived = true
	if a, b := jsonOf(t, pop), jsonOf(t, back); a != b {
		t.Errorf("it changes on its way through a file:\n%s\n%s", a, b)
	}
	r := rehearse(t, Config{Plan: p, From: first, Span: 30 * day, People: Made(p, pop, 2000, 1, first, 10*day)})
	for _, j := range r.Journeys {
		if s := j.Steps[0]; s.Happened == 0 || s.TimedOut == 0 {
			t.Errorf("%s: %+v", j.Journey, s)
		}
	}
}

// A test that tells of a team in which nobody waits fails where it says so.
func TestNoTeamIsWaitedFor(t *testing.T) {
	t.Parallel()
	source, _, _ := strings.Cut(teamsCampaign(t), "tests:\n")
	def, tests, problems := definitions.Tests("teams.yaml", []byte(source+`tests:
  - name: too late
    events:
      - {at: +0s, event: order.paid, with: {offer: pair, amount: 1}}
      - {at: +11m, event: team.formed}
    expect: {outcome: alone}
`))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	p, err := NewPlan(def)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Verify(p, &tests[0])
	if err != nil || v.OK || !strings.Contains(v.Failures.Text(false), "no team is waited for at") {
		t.Errorf("%v %+v", err, v)
	}
}
