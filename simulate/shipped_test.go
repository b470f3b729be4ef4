package simulate

import (
	"io/fs"
	"slices"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

// The tests of a shipped campaign leave nothing out: in one or another of them every
// message is sent, every reward granted, every offer taken and lapsed, every way ends,
// every goal is reached, and whoever is held out is looked at.
func TestShippedTestsLeaveNothingOut(t *testing.T) {
	t.Parallel()
	for _, name := range definitions.ShippedNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			def, tests := shippedWithTests(t, name)
			p, err := NewPlan(def)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for i := range tests {
				v, err := Verify(p, &tests[i])
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range v.Story {
					seen[shows(l.Kind, l.Params[about[l.Kind]])] = true
				}
			}
			for _, want := range everything(def) {
				if !seen[want] {
					t.Errorf("no test of %s shows: %s", name, want)
				}
			}
		})
	}
}

// about is the parameter that says what a line of a story is about.
var about = map[campaign.TraceKind]string{
	campaign.TraceSend: "message", campaign.TraceGranted: "reward", campaign.TraceOfferTaken: "offer",
	campaign.TraceOfferLapsed: "offer", campaign.TraceEnded: "outcome",
}

func shows(kind campaign.TraceKind, what string) string { return string(kind) + " " + what }

// everything is what tests of a campaign ought to show.
func everything(def *campaign.Definition) []string {
	want := []string{shows(campaign.TraceGoal, "")}
	for i := range def.Messages {
		want = append(want, shows(campaign.TraceSend, def.Messages[i].Name))
	}
	for i := range def.Rewards {
		want = append(want, shows(campaign.TraceGranted, def.Rewards[i].Name))
	}
	var walk func(campaign.Steps)
	walk = func(steps campaign.Steps) {
		for _, s := range steps {
			if s, ok := s.(*campaign.MakeOffer); ok {
				want = append(want, shows(campaign.TraceOfferTaken, s.Offer), shows(campaign.TraceOfferLapsed, s.Offer))
			}
			if s, ok := s.(*campaign.End); ok {
				want = append(want, shows(campaign.TraceEnded, s.Outcome))
			}
			for _, b := range campaign.Children(s) {
				walk(b.Steps)
			}
		}
	}
	for i := range def.Journeys {
		j := &def.Journeys[i]
		walk(j.Steps)
		if j.Holdout > 0 {
			want = append(want, shows(campaign.TraceHeldOut, ""))
		}
		if j.Exit != nil {
			want = append(want, shows(campaign.TraceExited, ""))
		}
	}
	slices.Sort(want)
	return slices.Compact(want)
}

// The populations of shipped campaigns bring members to every step but those that the
// list names, and nothing goes wrong on the way.
func TestShippedPopulationsComeEverywhere(t *testing.T) {
	t.Parallel()
	rare := map[string][]string{
		// Who has attended four lessons before she buys the card is rarer than a thousandth.
		"fitness-trial": {"tag regular"},
	}
	for _, name := range definitions.ShippedNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			def, _ := shippedWithTests(t, name)
			p, err := NewPlan(def)
			if err != nil {
				t.Fatal(err)
			}
			pop := populationFrom(t, p, read(t, name+definitions.PopulationSuffix))
			from, span := p.DefaultFrom(first), 150*day
			if name == "win-back" { // its members have to fall asleep before it begins
				from, span = from.Add(-120*day), 270*day
			}
			r := rehearse(t, Config{Plan: p, From: from, Span: span, People: Made(p, pop, 3000, 1, from, span)})
			for i := range r.Journeys {
				for _, s := range r.Journeys[i].Steps {
					if s.Reached == 0 && !slices.Contains(rare[name], s.Name) {
						t.Errorf("%s: nobody comes to step %s (%s)", r.Journeys[i].Journey, s.ID, s.Name)
					}
				}
			}
			if len(r.Faults) > 0 {
				t.Errorf("faults: %v", r.Faults)
			}
		})
	}
}

func shippedWithTests(t *testing.T, name string) (*campaign.Definition, []definitions.Test) {
	t.Helper()
	file := name + definitions.CampaignSuffix
	def, problems := definitions.Check(file, []byte(read(t, file)))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	file = name + definitions.TestsSuffix
	tests, problems := definitions.TestsBeside(file, []byte(read(t, file)), def)
	if len(tests) == 0 || len(problems) > 0 {
		t.Fatalf("%d tests\n%s", len(tests), problems.Text(false))
	}
	return def, tests
}

func read(t *testing.T, file string) string {
	t.Helper()
	source, err := fs.ReadFile(definitions.Shipped(), file)
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}
