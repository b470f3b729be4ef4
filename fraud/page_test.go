package fraud_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/fraud"
)

// The page about the rules says what they do: each rule has its row with its defaults,
// and its cases are ones that are tested.
func TestPage(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../docs/referral-fraud.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	var rows []fraud.Name
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		name := fraud.Name(strings.Trim(strings.TrimSpace(cells[0]), "`"))
		if len(cells) != 8 || name == "rule" || strings.HasPrefix(string(name), "---") {
			continue
		}
		rows = append(rows, name)
		s := fraud.Default().Setting(name)
		effect, most, within := "`"+string(s.Effect)+"`", "", ""
		if volume(name) {
			effect += ", volume"
		}
		if s.Most > 0 {
			most = strconv.Itoa(s.Most)
		}
		if s.Within > 0 {
			within = campaign.FormatDuration(s.Within)
		}
		for i, want := range map[int]string{3: effect, 4: strconv.Itoa(s.Score), 5: most, 6: within} {
			if got := strings.TrimSpace(cells[i]); got != want {
				t.Errorf("%s: the page says %q, the rule is %q", name, got, want)
			}
		}
		for i, of := range map[int][]story{1: stopped, 2: passed} {
			found := false
			for _, s := range of {
				found = found || s.rule == name && s.what == cells[i]
			}
			if !found {
				t.Errorf("%s: the case %q of the page is not tested", name, cells[i])
			}
		}
	}
	if len(rows) != len(fraud.Names()) {
		t.Errorf("the page has %v, the rules are %v", rows, fraud.Names())
	}
	for i, name := range fraud.Names() {
		if i < len(rows) && rows[i] != name {
			t.Errorf("row %d is %s, the rule is %s", i+1, rows[i], name)
		}
	}
	// What is quoted is what is there.
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(page, "```go fraud/example_test.go\n")
	code, _, _ = strings.Cut(code, "```")
	if code == "" || !strings.Contains(string(example), code) {
		t.Errorf("the page's example is not in example_test.go:\n%s", code)
	}
	_, said, _ := strings.Cut(page, "```text\n")
	said, _, _ = strings.Cut(said, "\n```")
	if said == "" || !strings.Contains(string(example), said) {
		t.Errorf("nobody is told %q", said)
	}
}

// volume finds out whether a rule is one of volume: evidence of a score that rejects by its
// sum does, volume does not.
func volume(name fraud.Name) bool {
	for _, s := range stopped {
		if s.rule != name {
			continue
		}
		f := honest()
		s.change(&f)
		rules := fraud.Rules{HoldAt: 999, RejectAt: 1000}
		for _, other := range fraud.Names() {
			rules = rules.With(other, fraud.Setting{Off: true})
		}
		only := fraud.Default().Setting(name)
		only.Effect, only.Score = fraud.Allow, 1000
		if v := fraud.Judge(rules.With(name, only), f); hit(v, name) {
			return v.Effect != fraud.Reject
		}
	}
	return false
}
