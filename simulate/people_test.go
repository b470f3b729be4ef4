package simulate

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

// The derived population can be written down, is read back as it was, and moves members
// through every step of the model campaign that chance may lead to.
func TestDerivedPopulation(t *testing.T) {
	t.Parallel()
	p := planFrom(t, shipped(t))
	pop := Derive(p, first)
	text := YAML(pop)
	back := populationFrom(t, p, text)
	back.Derived = true
	if a, b := jsonOf(t, pop), jsonOf(t, back); a != b {
		t.Errorf("it changes on its way through a file:\n%s\n%s\n%s", text, a, b)
	}
	r := rehearse(t, Config{Plan: p, From: first, Span: 90 * day, People: Made(p, pop, 2000, 1, first, 90*day)})
	for _, s := range r.Journeys[0].Steps {
		if s.Reached == 0 && s.Name != "tag regular" {
			t.Errorf("nobody comes to step %s (%s)", s.ID, s.Name)
		}
	}
	if len(r.Faults) > 0 {
		t.Errorf("faults: %v", r.Faults)
	}
}

// A start whose condition is on other properties is found too, and starts by the API and
// by a segment let members in.
func TestDerivedStarts(t *testing.T) {
	t.Parallel()
	p := planFrom(t, `
campaign: ways
title: Ways in
member: {city: {type: string, one_of: [beijing, shanghai]}, visits: int}
events:
  form.sent: {kind: string, score: int, agreed: bool, worth: money, at: time}
segments:
  often: member.visits >= 5
messages: {hello: hello}
journeys:
  form:
    start: {on: form.sent, when: 'event.kind == "survey" && event.score > 41 && event.agreed && event.worth >= money("30.00")'}
    goal: {on: form.sent, when: event.kind == "other"}
    steps: [{send: hello}]
  called:
    start: {api: true}
    goal: {on: form.sent}
    steps: [{send: hello}]
  visitors:
    start: {segment: often}
    goal: {on: form.sent}
    steps: [{send: hello}]
`)
	r := rehearse(t, Config{Plan: p, From: first, Span: 60 * day, People: Made(p, Derive(p, first), 400, 1, first, 60*day)})
	for _, j := range r.Journeys {
		if j.Entered < 100 {
			t.Errorf("%d entered %s", j.Entered, j.Journey)
		}
	}
}

// Chance is as it is declared: shares, spans, hours, late arrivals, segments.
func TestPopulationBehavesAsDeclared(t *testing.T) {
	t.Parallel()
	p := planFrom(t, `
campaign: chance
title: Chance
member: {city: string}
events:
  came: {}
  went: {}
  never: {}
segments:
  north: member.city == "north"
messages: {hello: hello}
journeys:
  main:
    start: {on: came}
    goal: {on: went}
    on_goal: continue
    steps:
      - await: went
        for: 30d
      - tag: gone
`)
	pop := populationFrom(t, p, `
population: declared
arrive: {per_day: 500}
joined: 1d-11d
member: {city: {north: 30%, south: 60%}}
tags: {vip: 25%}
hours: {0-12: 0, 12-18: 1, 18-24: 3}
late: {share: 20%, by: 1h-2h}
behaviour:
  - {on: arrive, do: came}
  - {on: {event: came}, do: went, chance: 40%, segments: {north: 80%}, after: 1d-3d, times: 2}
  - {on: {event: went}, do: never, after: 10d, unless: {event: went}}
`)
	people := Made(p, pop, 4000, 9, first, 60*day)
	var cities, tags, goers, northGoers, norths, evenings, events, late, never, joined int
	for i := range people.Count() {
		w := &observer{}
		l := &life{p: p, from: first, keeper: &counter{}, watch: w}
		people.begin(i, l)
		w.people = people.behaves(i, l)
		if at := l.queue.list[0].at; at.Before(first.Add(time.Duration(i/500)*day)) || !at.Before(first.Add(time.Duration(i/500+1)*day)) {
			t.Fatalf("number %d comes at %s", i, at)
		}
		if err := l.run(first.Add(60 * day)); err != nil {
			t.Fatal(err)
		}
		if len(l.member.Attributes) > 0 {
			cities++
		}
		if len(l.member.Tags) > 0 && (l.member.Tags[0] == "vip" || len(l.member.Tags) > 1) {
			tags++
		}
		went := 0
		for k := range l.events {
			e := &l.events[k]
			events++
			if h := e.Time.In(p.loc).Hour(); h < 12 {
				t.Fatalf("%s at %s", e.Type, e.Time)
			} else if h >= 18 {
				evenings++
			}
			if d := e.Stored.Sub(e.Time); d > 0 {
				late++
				if d < time.Hour || d > 2*time.Hour {
					t.Fatalf("an event is %s late", d)
				}
			}
			switch e.Type {
			case "went":
				went++
			case "never":
				never++
			}
		}
		if went == 1 || went > 2 {
			t.Fatalf("went %d times", went)
		}
		north := string(l.member.Attributes["city"]) == `"north"`
		if north {
			norths++
		}
		if went > 0 {
			goers++
			if north {
				northGoers++
			}
		}
		if d := l.events[0].Time.Sub(l.member.JoinedAt); d > 6*day {
			joined++
		}
	}
	near := func(what string, got, of int, want float64) {
		t.Helper()
		if share := float64(got) / float64(of); share < want-0.04 || share > want+0.04 {
			t.Errorf("%s: %.3f of %d, want %.2f", what, share, of, want)
		}
	}
	near("have a city", cities, 4000, 0.9)
	near("have the tag", tags, 4000, 0.25)
	near("of the north go", northGoers, norths, 0.8)
	near("of the others go", goers-northGoers, 4000-norths, 0.4)
	near("are late", late, events, 0.2)
	near("joined more than six days before", joined, 4000, 0.5)
	near("happen in the evening", evenings, events, 0.75)
	// Each goes twice, and the second time keeps from happening what the first began.
	if never != goers {
		t.Errorf("never happened %d times with %d goers", never, goers)
	}
}

// observer lets a member react, and sees nothing.
type observer struct {
	people *behaviour
}

func (o *observer) arrived(l *life)                                       { o.people.arrived(l) }
func (o *observer) happened(l *life, e *campaign.Event)                   { o.people.heard(l, e) }
func (o *observer) decided(l *life, w *walk, d *campaign.Decision)        { o.people.decided(l, w, d) }
func (o *observer) entered(*life, *walk)                                  {}
func (o *observer) answered(*life, *walk, *campaign.Ask, campaign.Answer) {}

// Imported members are known from the start or from when they join, and come as the
// population says.
func TestImportedMembersCome(t *testing.T) {
	t.Parallel()
	p := planFrom(t, `
campaign: imported
title: Imported
member: {city: string}
events: {came: {}}
segments: {north: member.city == "north"}
journeys:
  known:
    start: {segment: north}
    goal: {on: came}
    on_goal: continue
    steps: [{wait: 60d}]
  come:
    start: {on: came}
    goal: {on: came}
    steps: [{tag: here}]
`)
	pop := populationFrom(t, p, "population: x\narrive: {per_day: 1}\nbehaviour: [{on: arrive, do: came}]\n")
	var csv strings.Builder
	csv.WriteString("id,city,joined_at\n")
	for i := range 10 {
		fmt.Fprintf(&csv, "m-%d,north,%s\n", i, first.Add(time.Duration(i-8)*24*time.Hour+time.Hour).Format(time.RFC3339))
	}
	members, err := p.ReadMembers("members.csv", strings.NewReader(csv.String()), first)
	if err != nil {
		t.Fatal(err)
	}
	r := rehearse(t, Config{Plan: p, From: first, Span: 10 * day, People: Imported(p, pop, members, 1, first, 10*day)})
	if k, c := r.Journeys[0], r.Journeys[1]; k.Entered != 10 || c.Entered != 10 || r.Members != 10 {
		t.Errorf("%d known, %d came, of %d", k.Entered, c.Entered, r.Members)
	}
	// The first eight are known at the start, the others on the days on which they join; and one comes a day.
	if d := r.Days[0]; d.Entered != 8+1+1 {
		t.Errorf("%d entered on the first day, want 9 who are known and one who comes", d.Entered)
	}
	for i, d := range r.Days[2:] {
		if d.Entered != 1 {
			t.Errorf("%d entered on day %d", d.Entered, i+3)
		}
	}
}

// Every campaign that the checker accepts can be rehearsed, with a population derived from
// it. A new kind of step that asks something new fails here until a rehearsal can answer.
func TestEveryAcceptedCampaignCanBeRehearsed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../definitions/testdata/ok/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no campaigns: %v", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		def, problems := definitions.Check(file, archive.Files[0].Data)
		if def == nil {
			t.Fatal(problems)
		}
		p, err := NewPlan(def)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		from := p.DefaultFrom(first)
		pop := Derive(p, from)
		if _, problems := definitions.CheckPopulation("derived.yaml", []byte(YAML(pop)), def); problems.Refused() {
			t.Errorf("%s: the derived population is refused:\n%s", file, problems.Text(false))
		}
		if _, err := Rehearse(t.Context(), Config{Plan: p, From: from, Span: 20 * day, People: Made(p, pop, 40, 1, from, 20*day)}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
