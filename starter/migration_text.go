package starter

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/store"
)

// WriteMigrationPlan writes for people what another version means for who is in flight.
func WriteMigrationPlan(w io.Writer, p *MigrationPlan) error {
	t := &text{w: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	which := fmt.Sprintf("version %d", p.Version)
	if p.Version == 0 {
		which = "a text that is not stored yet"
	}
	t.line("%s, %s: %s in flight on other versions", p.Campaign, which, countOf(p.Members, "member"))
	at := ""
	for i := range p.Steps {
		s := &p.Steps[i]
		if head := fmt.Sprintf("journey %s, version %d", s.Journey, s.Version); head != at {
			at = head
			t.head(head)
		}
		t.line("  %s\tstep %s\t%s\t%s", countOf(s.Members, "member"), stepAndLabel(s), s.Name, counterpart(s))
		t.line("  \t\t\t%s: %s", chosen(&s.Choice), s.Means)
	}
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

func stepAndLabel(s *journey.PlannedStep) string {
	if s.Label == "" {
		return s.Step
	}
	return s.Step + " (" + s.Label + ")"
}

// counterpart says where the step is in the new version.
func counterpart(s *journey.PlannedStep) string {
	if s.Match == "" {
		return "has no counterpart"
	}
	words := "is step " + s.Match
	if s.MatchName != s.Name {
		words += ", " + s.MatchName
	}
	if s.MatchLine > 0 {
		words += fmt.Sprintf(" (line %d)", s.MatchLine)
	}
	if len(s.Changed) > 0 {
		words += ", with another " + strings.Join(s.Changed, ", ")
	}
	return words
}

func chosen(c *campaign.MigrationChoice) string {
	switch {
	case c.To != "":
		return string(c.Do) + ":" + c.To
	case c.Outcome != "":
		return string(c.Do) + ":" + c.Outcome
	}
	return string(c.Do)
}

func countOf(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// keptWords says why a journey was kept although something was chosen for its step.
var keptWords = map[string]string{
	campaign.KeptOver: "it ended on its own version first", campaign.KeptEnding: "it was over but for delayed messages",
	campaign.KeptMovedOn: "it had gone on to another step", campaign.KeptFailed: "its turn could not be taken",
	campaign.KeptWithdrawn: "the review or the call for which it waited was withdrawn by the move, or its team was left",
}

// WriteMigrations writes for people how far migrations have come.
func WriteMigrations(w io.Writer, list []store.Migration) error {
	t := &text{w: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	if len(list) == 0 {
		t.line("there is no migration")
	}
	for i := range list {
		m := &list[i]
		what := fmt.Sprintf("to version %d", m.Version)
		if m.Reverts != 0 {
			what = fmt.Sprintf("takes back migration %d", m.Reverts)
		}
		t.line("migration %d\t%s\t%s\tfound %d\tmoved %d\tended %d\tkept %d\tfailed %d", m.ID, what, m.State, m.Found, m.Moved, m.Ended, m.Kept, m.Failed)
		for _, why := range slices.Sorted(maps.Keys(m.KeptWhy)) {
			words := keptWords[why]
			if words == "" {
				words = why
			}
			t.line("  %s left alone: %s", countOf(m.KeptWhy[why], "journey"), words)
		}
	}
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}
