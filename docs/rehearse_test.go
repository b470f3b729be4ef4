package docs_test

import (
	"strings"
	"testing"

	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/simulate"
)

// The page about rehearsals is played: its files are written, its commands run, and what
// they say begins as the page shows it.
func TestRehearse(t *testing.T) {
	t.Parallel()
	if commands := newPlay(t, "docs/rehearse.md").all(); commands < 8 {
		t.Errorf("only %d commands were found", commands)
	}
}

// Tests that stand in examples pass.
func TestTestsOfExamples(t *testing.T) {
	t.Parallel()
	tests := 0
	for _, page := range pages(t) {
		list, _ := blocks(t, page)
		for _, b := range list {
			if b.lang != "yaml" || strings.HasPrefix(b.info, "refused") || !strings.Contains(b.text, "\ntests:") || !strings.HasPrefix(b.text, "campaign:") {
				continue
			}
			def, list, problems := definitions.Tests(page, []byte(b.text))
			if def == nil {
				t.Errorf("%s:%d:\n%s", page, b.line+1, problems.Text(false))
				continue
			}
			plan, err := simulate.NewPlan(def)
			if err != nil {
				t.Fatal(err)
			}
			for i := range list {
				tests++
				v, err := simulate.Verify(plan, &list[i])
				if err != nil {
					t.Fatal(err)
				}
				if !v.OK {
					t.Errorf("%s:%d:\n%s", page, b.line+1, v.Failures.Text(false))
				}
			}
		}
	}
	if tests == 0 {
		t.Error("no tests were found")
	}
}
