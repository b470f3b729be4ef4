package starter_test

import (
	"bytes"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

// What a marketer reads before and while members are brought to another version.
func TestMigrationText(t *testing.T) {
	t.Parallel()
	choice := func(do campaign.MigrationDo, to, outcome string) campaign.MigrationChoice {
		return campaign.MigrationChoice{Do: do, To: to, Outcome: outcome}
	}
	var text bytes.Buffer
	if err := starter.WriteMigrationPlan(&text, &starter.MigrationPlan{Campaign: "spring", Members: 1_203, Steps: []journey.PlannedStep{
		{
			Version: 1, Journey: "main", Step: "2", Label: "lesson", Name: "await lesson.attended", Members: 1_000, Match: "3", MatchName: "await lesson.attended", MatchLine: 31,
			WaitsOn: true, Choice: choice(campaign.MigrationMove, "3", ""), Means: "the wait goes on, now at step 3 (await lesson.attended)",
		},
		{
			Version: 1, Journey: "main", Step: "4", Name: "wait 1d", Members: 1, Match: "5", MatchName: "wait 2d", MatchLine: 40, Changed: []string{"for"},
			Choice: choice(campaign.MigrationKeep, "", ""), Means: "they finish on version 1",
		},
		{
			Version: 2, Journey: "main", Step: "1", Name: "offer card", Members: 202, Choice: choice(campaign.MigrationEnd, "", "called-off"),
			Means: "the journey ends as called-off, and open offers are withdrawn",
		},
	}}); err != nil {
		t.Fatal(err)
	}
	text.WriteString("\n")
	if err := starter.WriteMigrations(&text, []store.Migration{
		{ID: 1, Version: 3, State: store.MigrationDone, Found: 1_203, Moved: 990, Ended: 202, Kept: 10, Failed: 1, KeptWhy: map[string]int64{
			campaign.KeptOver: 7, campaign.KeptMovedOn: 2, campaign.KeptEnding: 1, campaign.KeptFailed: 1,
		}},
		{ID: 2, Version: 3, Reverts: 1, State: store.MigrationRunning, Found: 12},
	}); err != nil {
		t.Fatal(err)
	}
	golden(t, "migration.golden", text.String())
}
