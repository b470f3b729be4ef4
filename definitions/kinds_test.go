package definitions_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/journey"
)

// TestEveryKindOfStepIsWhole names what a kind of step lacks: CONTRIBUTING.md says what
// belongs to one.
func TestEveryKindOfStepIsWhole(t *testing.T) {
	t.Parallel()
	accepted, pages := acceptedKinds(t), pagesOfLanguage(t)
	for _, kind := range campaign.StepKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			for _, file := range []string{
				fmt.Sprintf("step_%s.go", kind), fmt.Sprintf("../journey/step_%s.go", kind), fmt.Sprintf("testdata/err/step_%s.txtar", kind),
			} {
				if _, err := os.Stat(file); err != nil {
					t.Errorf("it has no file definitions/%s", file)
				}
			}
			if !accepted[kind] {
				t.Error("no file in definitions/testdata/ok has such a step")
			}
			name := fmt.Sprintf("step-%s.md", kind)
			page, ok := pages[name]
			if !ok {
				t.Fatalf("it has no page docs/language/%s: the heading \"# %s\", a sentence that says what it does, the table of its keys, an example fenced as `yaml steps`, its rules", name, kind)
			}
			if !strings.HasPrefix(page, fmt.Sprintf("# %s\n\n", kind)) {
				t.Errorf("docs/language/%s does not begin with the heading \"# %s\"", name, kind)
			}
			if !strings.Contains(pages["steps.md"], "]("+name+")") {
				t.Errorf("docs/language/steps.md does not name the page %s", name)
			}
			for what, words := range map[string]string{"a held-out member": `(?i)held[- ]out|holdout`, "a pause of the campaign": `(?i)\bpaus`} {
				if !regexp.MustCompile(words).MatchString(page) {
					t.Errorf("docs/language/%s does not say what the step does for %s", name, what)
				}
			}
			example := exampleOf(t, name, page, kind)
			if example == "" {
				t.Fatalf("docs/language/%s has no example of such a step fenced as `yaml steps`", name)
			}
			walk(t, kind, campaignOf(t, "steps", example))
		})
	}
}

// acceptedKinds are the kinds of the steps that stand in the accepted files.
func acceptedKinds(t *testing.T) map[campaign.StepKind]bool {
	t.Helper()
	files, err := filepath.Glob("testdata/ok/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[campaign.StepKind]bool{}
	var look func(campaign.Steps)
	look = func(steps campaign.Steps) {
		for _, s := range steps {
			kinds[s.Kind()] = true
			for _, b := range campaign.Children(s) {
				look(b.Steps)
			}
		}
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var def campaign.Definition
		if body := part(archive, result); body == nil || json.Unmarshal(body.Data, &def) != nil {
			t.Fatalf("%s has no %s that can be read", file, result)
		}
		for _, j := range def.Journeys {
			look(j.Steps)
		}
	}
	return kinds
}

// exampleOf finds the first example with such a step on a page.
func exampleOf(t *testing.T, name, page string, kind campaign.StepKind) string {
	t.Helper()
	for _, b := range blocksOf(t, name, page) {
		if b.info == "yaml steps" && regexp.MustCompile(`(?m)[-{] *`+string(kind)+`:`).MatchString(b.text) {
			return b.text
		}
	}
	return ""
}

// walk leads a member through a campaign and looks whether she came by such a
// step. Nothing happens to her but that time goes by.
func walk(t *testing.T, kind campaign.StepKind, source string) {
	t.Helper()
	def, problems := definitions.Check("example.yaml", []byte(source))
	if def == nil {
		t.Fatalf("the example is refused:\n%s", problems.Text(false))
	}
	p, err := journey.Compile(def)
	if err != nil {
		t.Fatal(err)
	}
	start, ok := p.StartByAPI("main")
	if !ok {
		t.Fatal("no start")
	}
	now := time.Date(2026, 12, 1, 4, 0, 0, 0, time.UTC)
	member := &campaign.Member{ID: "m-1", JoinedAt: now, Points: 10}
	adm, why, err := p.Admit(start, journey.Entrant{Campaign: def.Name, Member: member, Now: now})
	if err != nil || why != "" {
		t.Fatal(why, err)
	}
	came := false
	state := adm.State
	for range 50 { // some examples go round for ever
		in := journey.Input{
			ID: adm.ID, Version: 1, Now: now, Member: member, Answers: map[string]campaign.Answer{}, Taken: map[string]int{}, Via: []string{"console"},
			Behaviour: map[campaign.Behaviour]campaign.BehaviourValue{{Function: "count", Event: "lesson.attended", Within: 720 * time.Hour}: {}},
		}
		d, ask, err := p.Turn(state, in)
		for ; ask != nil && err == nil; d, ask, err = p.Turn(state, in) {
			in.Answers[ask.Key] = campaign.Answer{OK: true, Team: alone(ask.Team, now)}
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range d.Trace {
			came = came || line.Kind == campaign.TraceStep && strings.HasPrefix(line.Params["name"], string(kind))
		}
		if d.Done() {
			break
		}
		if d.WaitUntil.IsZero() || !d.WaitUntil.After(now) || d.Summary == "" {
			t.Fatalf("at step %s it waits for nothing: until %s, %q", d.StepName, d.WaitUntil, d.Summary)
		}
		now = d.WaitUntil
		if state, err = journey.LoadState(d.State); err != nil {
			t.Fatal(err)
		}
	}
	if !came {
		t.Errorf("nobody who is sent through the example comes to such a step:\n%s", source)
	}
}

// alone answers what is asked about a team in which there is nobody else.
func alone(ask *campaign.TeamAsk, now time.Time) *campaign.Team {
	switch {
	case ask == nil:
		return nil
	case ask.Do == campaign.TeamJoin:
		return &campaign.Team{Code: "CDFGHJKMNP", State: campaign.TeamOpen, Size: ask.Size, Joined: 1, EndsAt: ask.EndsAt, Leader: true}
	case ask.Do == campaign.TeamLook:
		return &campaign.Team{Code: ask.Code, State: campaign.TeamOpen, Size: 3, Joined: 1, Leader: true}
	}
	return &campaign.Team{Code: ask.Code, State: campaign.TeamFailed, Size: 3, Joined: 1, ClosedAt: now, Leader: true}
}

// TestContributingQuotesTheCode keeps the worked example true: each block that names a
// file stands in it, word for word.
func TestContributingQuotesTheCode(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	quotes := regexp.MustCompile("(?s)```go (\\S+)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(quotes) == 0 {
		t.Fatal("nothing is quoted")
	}
	for _, q := range quotes {
		code, err := os.ReadFile(filepath.Join("..", q[1]))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(code), q[2]) {
			t.Errorf("this does not stand in %s any more:\n%s", q[1], q[2])
		}
	}
}
