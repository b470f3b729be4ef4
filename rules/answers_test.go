package rules_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

func asks(answers ...campaign.AnswerForm) *campaign.AskQuestion {
	return &campaign.AskQuestion{Message: "m", Answers: answers, For: time.Hour}
}

// asking is a definition of two journeys, of which the first asks.
func asking() *campaign.Definition {
	goal := campaign.AnswerForm{Name: "goal", Type: campaign.TypeString, OneOf: []campaign.Choice{{Value: "lose"}, {Value: "muscle"}}}
	more := campaign.AnswerForm{Name: "goal", Type: campaign.TypeString, OneOf: []campaign.Choice{{Value: "both"}}}
	return &campaign.Definition{
		Name: "c", Timezone: "Asia/Shanghai", Currency: "CNY",
		Events: []campaign.EventType{{Name: "go"}},
		Journeys: []campaign.Journey{
			{Name: "one", Starts: []campaign.Start{{Event: "go"}}, Steps: campaign.Steps{
				asks(goal, campaign.AnswerForm{Name: "times", Type: campaign.TypeInt}),
				&campaign.Choose{Otherwise: campaign.Steps{asks(more, campaign.AnswerForm{Name: "weight", Type: campaign.TypeNumber})}},
			}},
			{Name: "two", Starts: []campaign.Start{{API: true}}, Steps: campaign.Steps{&campaign.End{Outcome: "x"}}},
			{Name: "three", Starts: []campaign.Start{{API: true}}, Steps: campaign.Steps{
				asks(campaign.AnswerForm{Name: "times", Type: campaign.TypeString, MaxLength: 9}),
			}},
		},
	}
}

// Answers are read by their declared types; what was not answered reads as nothing.
func TestAnswersInExpressions(t *testing.T) {
	t.Parallel()
	def := asking()
	env, issues := rules.New(def)
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	one := rules.StepScope(&def.Journeys[0])
	given := map[string]json.RawMessage{"goal": json.RawMessage(`"lose"`), "times": json.RawMessage("7")}
	for src, want := range map[string]bool{
		`answers.goal == "lose" && answers.times + 1 == 8`:  true,
		`has(answers.goal) && !has(answers.weight)`:         true,
		`answers.weight == 0.0`:                             true,
		`answers.goal in ["muscle", "both"]`:                false,
		`answers.times > 7 || answers.goal.startsWith("l")`: true,
		`string(answers.times) == "7" && member.id == "m"`:  true,
	} {
		x, issues := env.Compile(src, one, rules.WantBool)
		if len(issues) > 0 {
			t.Errorf("%s: %v", src, issues)
			continue
		}
		facts := &rules.Facts{Member: &campaign.Member{ID: "m"}, Answers: given}
		if got, err := x.Bool(facts); err != nil || got != want {
			t.Errorf("%s: %v, %v", src, got, err)
		}
		// The same expression for somebody who answered nothing.
		facts = &rules.Facts{Member: &campaign.Member{ID: "m"}}
		if _, err := x.Bool(facts); err != nil {
			t.Errorf("%s without answers: %v", src, err)
		}
	}
	x, _ := env.Compile(`answers.goal == "lose"`, one, rules.WantBool)
	for range 2 {
		for _, c := range []struct {
			answers map[string]json.RawMessage
			want    bool
		}{{given, true}, {nil, false}, {map[string]json.RawMessage{"goal": json.RawMessage(`"muscle"`)}, false}} {
			if got, err := x.Bool(&rules.Facts{Member: &campaign.Member{}, Answers: c.answers}); err != nil || got != c.want {
				t.Errorf("%s: %v, %v", c.answers, got, err)
			}
		}
	}
	text, issues := env.CompileTemplate("{{ answers.goal }}, {{ answers.weight }}", rules.MessageScope(def))
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	if got, err := text.Render(&rules.Facts{Member: &campaign.Member{}, Answers: given}); err != nil || !strings.HasPrefix(got, "lose, 0") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAnswersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	def := asking()
	env, _ := rules.New(def)
	one, two := rules.StepScope(&def.Journeys[0]), rules.StepScope(&def.Journeys[1])
	for _, c := range []struct {
		src   string
		scope rules.Scope
		says  string
	}{
		{`answers.gaol == "lose"`, one, "no `gaol`"},
		{`answers.goal == "loose"`, one, "lose"},
		{`answers.goal > 3`, one, "string and int"},
		{`answers.times == "7"`, one, "int and string"},
		{`answers == "lose"`, one, "not a value by itself"},
		{`answers.goal == "lose"`, two, "no question has been asked"},
		{`answers.goal == "lose"`, rules.StartScope("go"), "no question has been asked"},
		{`answers.goal == "lose"`, rules.SegmentScope(), "no question has been asked"},
		{`answers.times == 7`, rules.MessageScope(def), "int in one question and string in another"},
	} {
		_, issues := env.Compile(c.src, c.scope, rules.WantBool)
		if len(issues) == 0 || !strings.Contains(issues[0].Message+issues[0].Hint, c.says) {
			t.Errorf("%s: %+v, want %q", c.src, issues, c.says)
		}
	}
}
