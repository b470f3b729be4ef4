package rules_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

var update = flag.Bool("update", false, "write what the examples of the page of expressions give")

const expressionsPage = "../docs/language/expressions.md"

// shown is the campaign of the page of expressions: fitness, with a question.
func shown() *campaign.Definition {
	def := fitness()
	def.Journeys[0].Steps = append(def.Journeys[0].Steps, &campaign.AskQuestion{Answers: []campaign.AnswerForm{
		{Name: "goal", Type: campaign.TypeString, OneOf: []campaign.Choice{{Value: "lose"}, {Value: "muscle"}}},
		{Name: "times", Type: campaign.TypeInt},
	}}, &campaign.CallService{URL: "https://crm.example.com", SaveAs: "crm", Returns: []campaign.CallField{
		{Name: "level", Type: campaign.TypeString}, {Name: "score", Type: campaign.TypeInt},
	}})
	def.Rewards = []campaign.Reward{
		{Name: "first-card", Points: 100},
		{Name: "bring-friend", Points: 200, Budget: 100_000, BudgetPerDay: 2000},
		{Name: "welcome", Coupon: &campaign.Coupon{Codes: campaign.CodesGenerated, Value: campaign.Money{Minor: 2000, Currency: "CNY"}, Expires: 30 * 24 * time.Hour}},
		{Name: "vip-month", Benefit: &campaign.BenefitGrant{Benefit: "vip", For: 30 * 24 * time.Hour}},
		{Name: "locker", Benefit: &campaign.BenefitGrant{Benefit: "locker"}},
	}
	return def
}

func shownFacts() *rules.Facts {
	f := facts()
	f.Answers = map[string]json.RawMessage{"goal": raw(`"lose"`)}
	month := 30 * 24 * time.Hour
	f.Member.Benefits = []campaign.Benefit{{Name: "trial", Until: noon}, {Name: "vip", Until: noon.Add(month)}}
	f.Rewards = map[string]campaign.Piece{
		"welcome":   {Code: "K7QDW3RM9XHCF5T2", State: campaign.CouponGranted, From: noon.Add(-time.Hour), Until: noon.Add(month - time.Hour)},
		"vip-month": {State: campaign.CouponGranted, From: noon, Until: noon.Add(month)},
	}
	f.Calls = map[string]map[string]json.RawMessage{"crm": {"level": raw(`"gold"`), "score": raw("12")}}
	f.Team = &rules.TeamView{Code: "CDFGHJKMNP", Size: 3, Joined: 2, EndsAt: f.Offer.ExpiresAt, Leader: true}
	f.Behaviour[campaign.Behaviour{Function: "last", Event: "lesson.attended"}] = campaign.BehaviourValue{Last: noon.Add(-18 * time.Hour)}
	f.Behaviour[campaign.Behaviour{Function: "last", Event: "order.refunded"}] = campaign.BehaviourValue{}
	return f
}

func shownScope() rules.Scope {
	sc := everywhere()
	sc.Team = true
	sc.Calls = []rules.CallResult{{Name: "crm", Fields: []campaign.Property{{Name: "level", Type: campaign.TypeString}, {Name: "score", Type: campaign.TypeInt}}}}
	def := shown()
	for _, q := range def.Journeys[0].Steps.Questions() {
		for i := range q.Answers {
			sc.Answers = append(sc.Answers, q.Answers[i].Property())
		}
	}
	return sc
}

// variablesInCode are the variables that package rules has a name for, but those that
// nobody can write.
func variablesInCode(t *testing.T) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "schema.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) == 0 || !strings.HasPrefix(spec.Names[0].Name, "var") {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
			if name, err := strconv.Unquote(lit.Value); err == nil && !strings.HasPrefix(name, "@") {
				names = append(names, name)
			}
		}
		return true
	})
	if len(names) < 7 {
		t.Fatalf("only the variables %v were found", names)
	}
	return names
}

// sectionsOf parts the page at its headings of the third level.
func sectionsOf(page string) map[string]string {
	sections := map[string]string{}
	for _, part := range strings.Split("\n"+page, "\n### ")[1:] {
		title, body, _ := strings.Cut(part, "\n")
		body, _, _ = strings.Cut(body, "\n## ")
		for name := range strings.SplitSeq(title, ", ") {
			sections[name] = body
		}
	}
	return sections
}

// TestExpressionsPage checks that every variable with what can be read of it, and every
// function, has its section, and that nothing else has one.
func TestExpressionsPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(expressionsPage)
	if err != nil {
		t.Fatal(err)
	}
	sections := sectionsOf(string(page))
	known := map[string]bool{}
	for _, name := range rules.Functions() {
		known[name] = true
		body, ok := sections[name]
		if !ok {
			t.Errorf("the function %s has no section: write \"### %s\" with how it is called, what it gives, and an example fenced as `cel`", name, name)
			continue
		}
		if !regexp.MustCompile("(?s)```cel\n.*\\b" + name + `\(.*` + "```").MatchString(body) {
			t.Errorf("the section of the function %s has no example fenced as `cel` that calls it", name)
		}
	}
	env, issues := rules.New(shown())
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	fields, err := env.Fields(shownScope())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range variablesInCode(t) {
		known[name] = true
		body, ok := sections[name]
		if !ok {
			t.Errorf("the variable %s has no section: write \"### %s\" with what can be read of it and where, and an example fenced as `cel`", name, name)
			continue
		}
		of, ok := fields[name]
		if !ok {
			t.Errorf("the examples cannot read %s; add it to the scope in shownScope", name)
		}
		for _, field := range of {
			if !strings.Contains(body, name+"."+field) && !strings.Contains(body, "`"+field+"`") {
				t.Errorf("the section of %s does not name `%s`", name, field)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		if !known[name] {
			t.Errorf("%q has a section and is neither a variable nor a function", name)
		}
	}
}

// TestExpressionsOfThePage works every line out that is fenced as `cel`: behind it stands
// what it gives and what it costs at most. -update writes both.
func TestExpressionsOfThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(expressionsPage)
	if err != nil {
		t.Fatal(err)
	}
	env, issues := rules.New(shown())
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	lines := 0
	played := regexp.MustCompile("(?s)```cel\n(.*?)```").ReplaceAllStringFunc(string(page), func(block string) string {
		inner := strings.TrimSuffix(strings.TrimPrefix(block, "```cel\n"), "```")
		var sources, results []string
		width := 0
		for line := range strings.Lines(inner) {
			src, _, _ := strings.Cut(line, "  // ")
			src = strings.TrimSpace(src)
			sources, width = append(sources, src), max(width, utf8.RuneCountInString(src))
			lines++
			x := compile(t, env, src, shownScope(), rules.WantAny)
			v, err := x.Value(shownFacts())
			if err != nil {
				t.Errorf("%s: %v", src, err)
			}
			results = append(results, fmt.Sprintf("%s; costs %d", written(v), x.Cost()))
		}
		var out strings.Builder
		for i, src := range sources {
			out.WriteString(src + strings.Repeat(" ", width-utf8.RuneCountInString(src)) + "  // " + results[i] + "\n")
		}
		return "```cel\n" + out.String() + "```"
	})
	if lines < 60 {
		t.Errorf("only %d examples were found", lines)
	}
	if *update {
		if err := os.WriteFile(expressionsPage, []byte(played), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, want := strings.Split(string(page), "\n"), strings.Split(played, "\n")
	for i := range want {
		if have[i] != want[i] {
			t.Errorf("docs/language/expressions.md:%d says\n%s\nand it is\n%s", i+1, have[i], want[i])
		}
	}
}

// written shows a value as the page does.
func written(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case time.Time:
		if v.IsZero() {
			return "the zero time"
		}
		return v.In(shanghai).Format(time.DateTime)
	case campaign.Money:
		return v.String()
	}
	return fmt.Sprint(v)
}
