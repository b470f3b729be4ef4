package journey_test

import (
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

func TestPlanMigration(t *testing.T) {
	t.Parallel()
	one := stepsOf(t, locked+"\n- label: pause\n  wait: 1d\n- wait: 2d").Definition()
	two := stepsOf(t, "- tag: x\n"+strings.TrimPrefix(strings.ReplaceAll(locked, "30m", "20m"), "\n")+"\n- label: pause\n  wait: 3d").Definition()
	flight := journey.Flight{
		Versions: map[int]*campaign.Definition{1: one, 2: two},
		Stands:   []journey.Stand{{1, "j", "1", 5}, {1, "j", "", 2}, {1, "j", "2", 3}, {1, "j", "3", 1}, {2, "j", "2", 9}},
	}
	move, keep, end := campaign.MigrationMove, campaign.MigrationKeep, campaign.MigrationEnd

	plan, choices, problems := journey.PlanMigration(flight, two, 2, nil)
	if len(choices) != 0 || len(problems) != 0 || len(plan) != 3 {
		t.Fatalf("%v %v %v", plan, choices, problems)
	}
	for i, want := range []struct {
		step, match, changed string
		members              int64
		waits                bool
	}{{"1", "2", "remind", 7, true}, {"2", "3", "for", 3, true}, {"3", "", "", 1, false}} {
		p := plan[i]
		if p.Step != want.step || p.Match != want.match || strings.Join(p.Changed, " ") != want.changed || p.Members != want.members ||
			p.WaitsOn != want.waits || p.Choice.Do != keep || p.Means != "they finish on version 1" {
			t.Errorf("%+v", p)
		}
	}

	for _, c := range []struct {
		name  string
		rules []campaign.MigrationRule
		want  string // the choices, or the problems
	}{
		{"the most specific counts", []campaign.MigrationRule{
			{Do: end, Outcome: "off"}, {Journey: "j", Do: move}, {Journey: "j", Step: "3", Do: keep},
		}, "1 move 2, 1.taken.1 move 2.taken.1, 1.lapsed.1 move 2.lapsed.1, 2 move 3"},
		{"a label", []campaign.MigrationRule{{Journey: "j", Step: "pause", Do: move, To: "pause"}}, "2 move 3"},
		{"a version", []campaign.MigrationRule{{Version: 1, Journey: "j", Step: "3", Do: end, Outcome: "off"}}, "3 end off"},
		{"no counterpart", []campaign.MigrationRule{{Do: move}}, "0 to: step 3 (wait 48h) of journey j on version 1 has no counterpart in the new version; 1 member stands there"},
		{"no such step", []campaign.MigrationRule{{Journey: "j", Step: "9", Do: keep}}, `0 step: journey j has no step "9"`},
		{"no such target", []campaign.MigrationRule{{Journey: "j", Step: "1", Do: move, To: "9"}}, `0 to: journey j has no step "9" in the new version`},
		{"no such journey", []campaign.MigrationRule{{Journey: "k", Do: keep}}, `0 journey: there is no journey "k"`},
		{"no such version", []campaign.MigrationRule{{Version: 7, Do: keep}}, "0 version: nobody is in flight on version 7"},
		{"the version itself", []campaign.MigrationRule{{Version: 2, Do: keep}}, "0 version: version 2 is the one that the migration leads to"},
		{"nothing to do", []campaign.MigrationRule{{}}, `0 do: "" is nothing that can be done`},
		{"no outcome", []campaign.MigrationRule{{Do: end, Outcome: "Oh!"}}, `0 outcome: "Oh!" is not an outcome`},
		{"an outcome for nothing", []campaign.MigrationRule{{Do: move, Outcome: "off"}}, "0 outcome: only an end has an outcome"},
		{"a target for nothing", []campaign.MigrationRule{{Do: keep, To: "1"}}, "0 to: only a move has a step to go to"},
		{"a step of no journey", []campaign.MigrationRule{{Step: "1", Do: keep}}, "0 journey: a step belongs to a journey"},
		{"two that contradict", []campaign.MigrationRule{{Journey: "j", Step: "1", Do: move}, {Journey: "j", Step: "1", Do: keep}}, "1 : it says otherwise than rule 1 of step 1 of journey j"},
		{"the same twice", []campaign.MigrationRule{{Journey: "j", Step: "1", Do: move}, {Journey: "j", Step: "1", Do: move}}, "1 move 2"},
	} {
		plan, choices, problems := journey.PlanMigration(flight, two, 2, c.rules)
		var got []string
		for _, x := range choices {
			got = append(got, strings.TrimSpace(x.Step+" "+string(x.Do)+" "+x.To+x.Outcome))
		}
		for _, x := range problems {
			got = append(got, string(rune('0'+x.Rule))+" "+x.Field+": "+x.Message)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, strings.Join(got, ", "), c.want)
		}
		if len(problems) > 0 && (len(plan) > 0 || len(choices) > 0) {
			t.Errorf("%s: there is a plan although a rule cannot be followed", c.name)
		}
		for _, p := range problems {
			if p.Hint == "" {
				t.Errorf("%s: %s has no hint", c.name, p.Message)
			}
		}
	}

	// Nobody is in flight: a rule for all is about nobody.
	nobody := journey.Flight{Versions: map[int]*campaign.Definition{2: two}}
	if plan, choices, problems := journey.PlanMigration(nobody, two, 2, []campaign.MigrationRule{{Journey: "j", Step: "1", Do: move}}); len(plan)+len(choices)+len(problems) > 0 {
		t.Errorf("%v %v %v", plan, choices, problems)
	}
	// The journey is gone.
	gone := *two
	gone.Journeys = nil
	if _, _, problems := journey.PlanMigration(flight, &gone, 3, []campaign.MigrationRule{{Journey: "j", Do: move}}); len(problems) != 1 || problems[0].Field != "do" {
		t.Errorf("%v", problems)
	}
}
