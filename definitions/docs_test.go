package definitions_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/simulate"
)

// sections is what an example of the reference may lean on: every section that it does
// not write itself is taken from here.
var sections = map[string]string{
	"campaign": "campaign: example\n",
	"title":    "title: Example\n",
	"member":   "member:\n  name: string\n  city: string\n  visits: int\n",
	"events": "events:\n  order.paid: {order: string, offer: string, amount: money}\n  order.refunded: {order: string}\n" +
		"  lesson.attended: {lesson: string}\n",
	"segments": "segments:\n  regular: count(\"lesson.attended\", duration(\"720h\")) >= 4\n",
	"roles":    "roles:\n  coach: {backup: owner}\n  owner:\n",
	"offers": "offers:\n  trial: {price: 9.90}\n  monthly-card: {price: 199, list_price: 299, lock: 48h}\n" +
		"  gear: {price: 380}\n",
	"rewards": "rewards:\n  first-card: {points: 100}\n",
	"messages": "messages:\n  welcome: Welcome\n  nudge: Come\n  card-offer: Now\n  lock-24h: Soon\n" +
		"  team-open: Join\n  team-missing: Soon\n",
	"journeys": "journeys:\n  main:\n    start: {api: true}\n    goal: {on: order.paid}\n    steps:\n" +
		"      - offer: monthly-card\n",
}

// language is the reference of the campaign language: a page for each key and step.
const language = "../docs/language/"

// pagesOfLanguage are the pages of the reference, by their names.
func pagesOfLanguage(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(language + "*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no pages: %v", language, err)
	}
	pages := make(map[string]string, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.Base(file)] = string(text)
	}
	return pages
}

// fenced is a block of a page, behind "```" and what stands there.
type fenced struct {
	info, text string
	line       int    // of the fence, from 1
	above      string // the line above the fence
}

func blocksOf(t *testing.T, name, page string) (blocks []fenced) {
	t.Helper()
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		info, ok := strings.CutPrefix(lines[i], "```")
		if !ok {
			continue
		}
		b := fenced{info: info, line: i + 1}
		if i > 0 {
			b.above = lines[i-1]
		}
		for i++; i < len(lines) && lines[i] != "```"; i++ {
			b.text += lines[i] + "\n"
		}
		if i == len(lines) {
			t.Fatalf("%s:%d: this block does not end", name, b.line)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// example gives the campaign of a block fenced as yaml: a whole one, or a fragment, a
// journey or steps of one; ok is false for other blocks.
func (b *fenced) example(t *testing.T) (source string, ok bool) {
	t.Helper()
	kind, ok := strings.CutPrefix(b.info, "yaml")
	if !ok {
		return "", false
	}
	return campaignOf(t, strings.TrimSpace(kind), b.text), true
}

// TestReference checks every example of the reference.
func TestReference(t *testing.T) {
	t.Parallel()
	examples := 0
	for name, page := range pagesOfLanguage(t) {
		for _, b := range blocksOf(t, name, page) {
			source, ok := b.example(t)
			if !ok {
				continue
			}
			examples++
			def, found := definitions.Check("example.yaml", []byte(source))
			agree(t, name, []byte(source), def != nil)
			if def == nil {
				t.Errorf("the example in line %d of docs/language/%s is refused:\n%s\n%s", b.line, name, found.Text(false), source)
			}
		}
	}
	if examples < 40 {
		t.Errorf("only %d examples were found", examples)
	}
}

// story is what happens to the member of a story: a test's keys, in a comment above the
// block.
var story = regexp.MustCompile(`^<!-- (.*) -->$`)

// TestStories plays every block fenced as `text story`: it is what `banyan explain` tells
// of a member who went through the example before it. A comment above the block says what
// happened to her, such as <!-- events: [{at: +1d, event: lesson.attended}] -->; into an
// example that the API starts she is entered at once. -update writes the stories.
func TestStories(t *testing.T) {
	t.Parallel()
	stories := 0
	for name, page := range pagesOfLanguage(t) {
		source, lines := "", strings.Split(page, "\n")
		var told []string // the page with its stories as they are played
		from := 0
		for _, b := range blocksOf(t, name, page) {
			if s, ok := b.example(t); ok {
				source = s
			}
			if b.info != "text story" {
				continue
			}
			stories++
			have := tell(t, fmt.Sprintf("docs/language/%s:%d", name, b.line), source, b.above)
			if have != b.text && !*update {
				t.Errorf("docs/language/%s:%d (-page +played; -update writes it):\n%s", name, b.line, cmp.Diff(b.text, have))
			}
			told = append(told, lines[from:b.line]...)
			told = append(told, strings.Split(strings.TrimSuffix(have, "\n"), "\n")...)
			from = b.line + strings.Count(b.text, "\n")
		}
		if told = append(told, lines[from:]...); *update {
			if err := os.WriteFile(language+name, []byte(strings.Join(told, "\n")), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if stories < 15 {
		t.Errorf("only %d stories were found", stories)
	}
}

// tell plays a campaign's journey as a campaign test does.
func tell(t *testing.T, at, source, above string) string {
	t.Helper()
	happens := ""
	if m := story.FindStringSubmatch(above); m != nil {
		happens = m[1]
	}
	if strings.Contains(source, "start: {api: true}") {
		if !strings.Contains(happens, "events: [") {
			happens = strings.TrimPrefix(happens+", events: []", ", ")
		}
		happens = strings.Replace(happens, "events: [", "events: [{at: +0s, enter: main}, ", 1)
	}
	tests := []byte("tests: [{name: story, start: 2027-03-01 10:00, expect: {points: 0}, " + happens + "}]\n")
	def, found := definitions.Check("example.yaml", []byte(source))
	if def == nil {
		t.Fatalf("%s: the example is refused:\n%s", at, found.Text(false))
	}
	list, found := definitions.TestsBeside("story.test.yaml", tests, def)
	if found.Refused() {
		t.Fatalf("%s: what happens cannot be read:\n%s\n%s", at, found.Text(false), tests)
	}
	plan, err := simulate.NewPlan(def)
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := simulate.Verify(plan, &list[0])
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	for _, l := range verdict.Story {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", l.At.In(plan.Location()).Format(time.DateTime), l.Step, l.Words(campaign.English))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func campaignOf(t *testing.T, kind, block string) string {
	t.Helper()
	switch kind {
	case "":
		return block
	case "fragment":
		return complete(block)
	case "journey":
		return complete("journeys:\n  main:\n" + indent(block, 4))
	case "steps":
		return complete("journeys:\n  main:\n    start: {api: true}\n    goal: {on: order.refunded}\n    steps:\n" + indent(block, 6))
	}
	t.Fatalf("a block of kind %q is not known", kind)
	return ""
}

// complete adds the sections that a fragment does not have.
func complete(fragment string) string {
	for _, name := range []string{"campaign", "title", "member", "events", "segments", "roles", "offers", "rewards", "messages", "journeys"} {
		if !strings.HasPrefix(fragment, name+":") && !strings.Contains(fragment, "\n"+name+":") {
			fragment += sections[name]
		}
	}
	return fragment
}

func indent(block string, by int) string {
	space := strings.Repeat(" ", by)
	return space + strings.ReplaceAll(strings.TrimSuffix(block, "\n"), "\n", "\n"+space) + "\n"
}
