package simulate

import (
	"os"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/definitions"
)

func callsPlan(t *testing.T) *Plan {
	t.Helper()
	source, err := os.ReadFile("testdata/campaigns/calls.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return planFrom(t, string(source))
}

// A population says how services answer, how likely and how fast, and a rehearsal counts
// no call as a message and no answer as an event that somebody told.
func TestServicesAnswerAsDeclared(t *testing.T) {
	t.Parallel()
	p := callsPlan(t)
	pop := populationFrom(t, p, `
population: services
behaviour:
  - {on: arrive, do: lesson.attended, with: {lesson: yoga}}
  - {on: {call: crm}, answer: {level: gold, score: 3}, chance: 40%, after: 1s}
  - {on: {call: crm}, refuse: true, chance: 50%, after: 30m}
  - {on: {call: crm}, answer: {level: bronze, score: 1}, after: 2h}
  - {on: {call: hook.example.com}, answer: {}, after: 5s}
`)
	const members = 4000
	r := rehearse(t, Config{Plan: p, From: first, Span: 30 * day, People: Made(p, pop, members, 1, first, 10*day)})
	j := r.Journeys[0]
	if r.Events != members {
		t.Errorf("%d events were told, want %d", r.Events, members)
	}
	outcomes := map[string]int64{}
	for _, c := range j.Outcomes {
		outcomes[c.Name] = c.Count
	}
	// 40 of 100 are answered in time; what comes after the hour changes nothing.
	if gold := outcomes["gold"]; gold < j.Entered*37/100 || gold > j.Entered*43/100 || outcomes["gold"]+outcomes["no-crm"] != j.Entered {
		t.Errorf("of %d: %v", j.Entered, outcomes)
	}
	step := j.Steps[0]
	if step.Happened != outcomes["gold"] || step.TimedOut < j.Entered*27/100 || step.TimedOut > j.Entered*33/100 {
		t.Errorf("%+v", step)
	}
	sent, byDay := int64(0), int64(0)
	for _, m := range r.Messages {
		sent += m.Sent
	}
	for _, d := range r.Days {
		byDay += d.Messages
	}
	if sent != j.Entered || byDay != sent {
		t.Errorf("%d messages, %d by day, for %d entrants: a call counts as one", sent, byDay, j.Entered)
	}
}

// Without a population services answer now one thing and now another, mostly.
func TestDerivedServices(t *testing.T) {
	t.Parallel()
	p := callsPlan(t)
	pop := Derive(p, first)
	back := populationFrom(t, p, YAML(pop))
	back.Derived = true
	if a, b := jsonOf(t, pop), jsonOf(t, back); a != b {
		t.Errorf("it changes on its way through a file:\n%s\n%s\n%s", YAML(pop), a, b)
	}
	r := rehearse(t, Config{Plan: p, From: first, Span: 30 * day, People: Made(p, pop, 2000, 1, first, 20*day)})
	outcomes := map[string]int64{}
	for _, c := range r.Journeys[0].Outcomes {
		outcomes[c.Name] = c.Count
	}
	for _, name := range []string{"gold", "other", "no-crm"} {
		if outcomes[name] == 0 {
			t.Errorf("nobody ends as %s: %v", name, outcomes)
		}
	}
	if outcomes["no-crm"] > r.Journeys[0].Entered/8 {
		t.Errorf("too few calls are answered: %v", outcomes)
	}
}

func TestServicesThatCannotBe(t *testing.T) {
	t.Parallel()
	p := callsPlan(t)
	for line, want := range map[string]string{
		"{on: {call: cmr}, refuse: true}":                                  "unknown call",
		"{on: {call: crm}}":                                                "missing-key",
		"{on: {call: crm}, do: lesson.attended}":                           "missing-key",
		"{on: arrive, refuse: true}":                                       "event-or-enter",
		"{on: {call: crm}, refuse: true, answer: {level: gold, score: 1}}": "event-or-enter",
		"{on: {call: crm}, refuse: false}":                                 "unknown-value",
		"{on: {call: crm}, answer: {level: gold}}":                         `lacks "score"`,
		"{on: {call: crm}, answer: {level: platinum, score: 1}}":           "unknown-value",
		"{on: {call: crm}, answer: {level: gold, score: 1, colour: red}}":  "unknown-property",
		"{on: {call: crm}, answer: {level: gold, score: 1}, enter: main}":  "event-or-enter",
	} {
		_, problems := definitions.CheckPopulation("p.yaml", []byte("population: p\nbehaviour:\n  - "+line+"\n"), p.def)
		if text := problems.Text(false); len(problems) != 1 || !strings.Contains(text, want) {
			t.Errorf("%s: want %q\n%s", line, want, text)
		}
	}
}
