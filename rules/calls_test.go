package rules_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

func callDefinition() *campaign.Definition {
	crm := &campaign.CallService{
		URL: "https://crm.example.com/levels", SaveAs: "crm", For: time.Hour, Returns: []campaign.CallField{
			{Name: "level", Type: campaign.TypeString, OneOf: []string{"bronze", "gold"}},
			{Name: "score", Type: campaign.TypeInt},
			{Name: "share", Type: campaign.TypeNumber},
			{Name: "vip", Type: campaign.TypeBool},
			{Name: "since", Type: campaign.TypeTime},
			{Name: "spent", Type: campaign.TypeMoney},
		},
	}
	return &campaign.Definition{
		Name: "c", Title: "C", Timezone: "Asia/Shanghai", Currency: "CNY",
		Member: []campaign.Property{{Name: "city", Type: campaign.TypeString}},
		Journeys: []campaign.Journey{
			{Name: "calls", Starts: []campaign.Start{{API: true}}, Steps: campaign.Steps{crm, &campaign.CallService{URL: "https://hook.example.com", For: time.Hour}}},
			{Name: "quiet", Starts: []campaign.Start{{API: true}}, Steps: campaign.Steps{&campaign.End{Outcome: "x"}}},
		},
	}
}

// What a service answered is typed by what the step declares; what it did not answer is
// the zero value, and has() tells the two apart.
func TestCalls(t *testing.T) {
	t.Parallel()
	def := callDefinition()
	env, issues := rules.New(def)
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	scope := rules.StepScope(&def.Journeys[0])
	facts := &rules.Facts{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Member: &campaign.Member{ID: "m-1"}}
	answered := map[string]map[string]json.RawMessage{"crm": {
		"level": []byte(`"gold"`), "score": []byte(`7`), "share": []byte(`0.5`), "vip": []byte(`true`),
		"since": []byte(`"2026-01-02T03:04:05+08:00"`), "spent": []byte(`{"amount":"9.90","currency":"CNY"}`),
	}}
	for src, want := range map[string][2]bool{ // without an answer, and with one
		`calls.crm.level == "gold"`:                                 {false, true},
		`calls.crm.level == ""`:                                     {true, false},
		`calls.crm.score > 5 && calls.crm.share * 2.0 == 1.0`:       {false, true},
		`calls.crm.score == 0 && !calls.crm.vip`:                    {true, false},
		`has(calls.crm.level)`:                                      {false, true},
		`has(calls.crm)`:                                            {false, true},
		`calls.crm.since > timestamp("2026-01-01T00:00:00Z")`:       {false, true},
		`calls.crm.spent == money("9.90")`:                          {false, true},
		`["gold", "x"].exists(l, l == calls.crm.level)`:             {false, true},
		`(calls.crm.vip ? calls.crm.score : -1) == calls.crm.score`: {false, true},
	} {
		x, issues := env.Compile(src, scope, rules.WantBool)
		if x == nil {
			t.Errorf("%s: %v", src, issues)
			continue
		}
		if !x.Reads("calls") {
			t.Errorf("%s does not read calls", src)
		}
		for i, calls := range []map[string]map[string]json.RawMessage{nil, answered, nil} {
			facts.Calls = calls
			if got, err := x.Bool(facts); err != nil || got != want[i%2] {
				t.Errorf("%s with %v: %v, %v", src, calls, got, err)
			}
		}
	}
	if text, issues := env.CompileTemplate("{{ calls.crm.level }} {{ calls.crm.spent }}", rules.MessageScope(def)); text == nil {
		t.Error(issues)
	} else if facts.Calls = answered; true {
		if got, err := text.Render(facts); err != nil || !strings.HasPrefix(got, "gold ") {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestCallsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	def := callDefinition()
	env, _ := rules.New(def)
	for _, c := range []struct {
		journey   int
		src, want string
	}{
		{0, `calls.cmr.level == ""`, "`calls` has no `cmr`"},
		{0, `calls.crm.levle == ""`, "`calls.crm` has no `levle`"},
		{0, `calls.crm == 1`, "`calls.crm` is not a value by itself"},
		{0, `calls == 1`, "`calls` is not a value by itself"},
		{0, `calls.crm.score == "7"`, "cannot compare int and string"},
		{0, `calls.crm.level == "silver"`, "never true"},
		{0, `calls.crm.level.upper == ""`, "no fields"},
		{1, `calls.crm.level == ""`, "`calls` cannot be read here"},
	} {
		_, issues := env.Compile(c.src, rules.StepScope(&def.Journeys[c.journey]), rules.WantBool)
		if len(issues) != 1 || !strings.Contains(issues[0].Message+issues[0].Hint, c.want) {
			t.Errorf("%s: %+v, want %q", c.src, issues, c.want)
			continue
		}
		if issues[0].Offset < 0 || issues[0].Offset+issues[0].Length > len(c.src) || issues[0].Length == 0 {
			t.Errorf("%s: the place is %d+%d", c.src, issues[0].Offset, issues[0].Length)
		}
	}
	if _, issues := env.Compile(`calls.crm.levle == ""`, rules.StepScope(&def.Journeys[0]), rules.WantBool); issues[0].Offset != len("calls.crm.") {
		t.Errorf("the misspelt field is said to be at %d", issues[0].Offset)
	}
}

// What is sent is any JSON: maps and lists may hold values of several types.
func TestJSON(t *testing.T) {
	t.Parallel()
	def := callDefinition()
	env, _ := rules.New(def)
	scope := rules.StepScope(&def.Journeys[0])
	facts := &rules.Facts{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Member: &campaign.Member{ID: `m"1`, Points: 3, Tags: []string{"a", "b"}}}
	for src, want := range map[string]string{
		`{"member": member.id, "points": member.points, "ok": true}`: `{"member":"m\"1","ok":true,"points":3}`,
		`{"tags": member.tags, "list": [1, "x", 2.5]}`:               `{"list":[1,"x",2.5],"tags":["a","b"]}`,
		`{"at": now, "price": money("9.9"), "for": duration("48h")}`: `{"at":"2026-01-01T08:00:00+08:00","for":"48h","price":{"amount":"9.90","currency":"CNY"}}`,
		`{}`:            `{}`,
		`[]`:            `[]`,
		`member.points`: `3`,
		`member.id`:     `"m\"1"`,
		`{"a": {"b": has(calls.crm.level) ? calls.crm.level : "none"}}`: `{"a":{"b":"none"}}`,
	} {
		x, issues := env.Compile(src, scope, rules.WantJSON)
		if x == nil {
			t.Errorf("%s: %v", src, issues)
			continue
		}
		got, err := x.JSON(facts)
		if err != nil || string(got) != want {
			t.Errorf("%s is %s, %v", src, got, err)
		}
	}
	for src, want := range map[string]string{
		`{1: "a"}`:      "cannot hold",
		`{"a": null}`:   "no null",
		`type(1)`:       "",
		`{"a": nobody}`: "not known",
		`member`:        "not a value",
	} {
		if x, issues := env.Compile(src, scope, rules.WantJSON); x != nil || !strings.Contains(issues[0].Message, want) {
			t.Errorf("%s: %v", src, issues)
		}
	}
	// A list of mixed values stays refused where a condition is wanted.
	if x, _ := env.Compile(`member.city in ["a", 1]`, scope, rules.WantBool); x != nil {
		t.Error("a condition has a list of mixed values")
	}
	for _, src := range []string{`1.0 / 0.0`, `{"a": {member.points: 1}}`} {
		if x, _ := env.Compile(src, scope, rules.WantJSON); x != nil {
			if data, err := x.JSON(facts); err == nil {
				t.Errorf("%s is %s", src, data)
			}
		}
	}
}
