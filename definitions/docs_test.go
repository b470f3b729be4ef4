package definitions_test

import (
	"os"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/definitions"
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
	"rewards":  "rewards:\n  first-card: {points: 100}\n",
	"messages": "messages:\n  welcome: Welcome\n  nudge: Come\n  card-offer: Now\n  lock-24h: Soon\n",
	"journeys": "journeys:\n  main:\n    start: {api: true}\n    goal: {on: order.paid}\n    steps:\n" +
		"      - offer: monthly-card\n",
}

// TestReference checks every example of docs/language.md. A block fenced as yaml is a
// whole campaign; fragment, journey and steps are parts of one.
func TestReference(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	lines := strings.Split(string(page), "\n")
	for i := 0; i < len(lines); i++ {
		kind, ok := strings.CutPrefix(lines[i], "```yaml")
		if !ok {
			continue
		}
		at := i + 1
		var block strings.Builder
		for i++; lines[i] != "```"; i++ {
			block.WriteString(lines[i] + "\n")
		}
		examples++
		source := campaignOf(t, strings.TrimSpace(kind), block.String())
		def, found := definitions.Check("example.yaml", []byte(source))
		agree(t, "docs/language.md", []byte(source), def != nil)
		if def == nil {
			t.Errorf("the example in line %d of docs/language.md is refused:\n%s\n%s", at, found.Text(false), source)
		}
	}
	if examples < 15 {
		t.Errorf("only %d examples were found", examples)
	}
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
