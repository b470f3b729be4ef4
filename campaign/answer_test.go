package campaign_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/banyanhq/banyan/campaign"
)

func bound(n float64) *float64 { return &n }

func TestAnswers(t *testing.T) {
	t.Parallel()
	goal := campaign.AnswerForm{Name: "goal", Type: campaign.TypeString, OneOf: []campaign.Choice{
		{Value: "Lose", Words: []string{"减肥", "1"}}, {Value: "muscle", Words: []string{"增肌", "2"}},
	}}
	times := campaign.AnswerForm{Name: "times", Type: campaign.TypeInt, Min: bound(0), Max: bound(14)}
	weight := campaign.AnswerForm{Name: "weight", Type: campaign.TypeNumber, Min: bound(30)}
	note := campaign.AnswerForm{Name: "note", Type: campaign.TypeString, MaxLength: 3}
	for _, c := range []struct {
		form campaign.AnswerForm
		text string
		want string // JSON; empty: it does not fit
	}{
		{goal, "lose", `"Lose"`},
		{goal, "  LOSE！", `"Lose"`},
		{goal, "ｌｏｓｅ", `"Lose"`},
		{goal, "减肥。", `"Lose"`},
		{goal, "１", `"Lose"`},
		{goal, "2.", `"muscle"`},
		{goal, "\u3000增肌 ~", `"muscle"`},
		{goal, "12", ""},
		{goal, "lose weight", ""},
		{goal, "", ""},
		{times, " 7 ", "7"},
		{times, "７", "7"},
		{times, "7。", "7"},
		{times, "0", "0"},
		{times, "14", "14"},
		{times, "15", ""},
		{times, "-1", ""},
		{times, "7.5", ""},
		{times, "7 times", ""},
		{times, "99999999999999999999", ""},
		{weight, "60", "60"},
		{weight, "60.5", "60.5"},
		{weight, "29.9", ""},
		{weight, "1e3", ""},
		{weight, "inf", ""},
		{weight, "NaN", ""},
		{weight, "0x40", ""},
		{weight, "60.5.5", ""},
		{note, " 好吗 ", `"好吗"`},
		{note, "好好好好", ""},
		{note, " \n ", ""},
	} {
		value, ok := c.form.Read(c.text)
		if string(value) != c.want || ok != (c.want != "") {
			t.Errorf("%s from %q: %s, %v, want %q", c.form.Name, c.text, value, ok, c.want)
		}
	}
}

// Whatever somebody writes, an answer is one that its form allows.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{"1", "１", "减肥。", "7.5", "-0", "", "\xff", "~", "１２３", "İ", "1e9", "+3", strings.Repeat("x", 2000)} {
		f.Add(text)
	}
	forms := []campaign.AnswerForm{
		{Type: campaign.TypeString, OneOf: []campaign.Choice{{Value: "a", Words: []string{"1", "减肥"}}, {Value: "b"}}},
		{Type: campaign.TypeInt, Min: bound(-3), Max: bound(3)},
		{Type: campaign.TypeNumber, Min: bound(-3), Max: bound(3)},
		{Type: campaign.TypeString, MaxLength: 5},
	}
	f.Fuzz(func(t *testing.T, text string) {
		if plain := campaign.PlainWord(text); campaign.PlainWord(plain) != plain && utf8.ValidString(text) {
			t.Errorf("%q becomes %q and then %q", text, plain, campaign.PlainWord(plain))
		}
		for _, form := range forms {
			value, ok := form.Read(text)
			if !ok {
				continue
			}
			var v any
			if err := json.Unmarshal(value, &v); err != nil {
				t.Fatalf("%q became %q: %v", text, value, err)
			}
			switch v := v.(type) {
			case float64:
				if v < -3 || v > 3 {
					t.Errorf("%q became %v", text, v)
				}
			case string:
				if len(form.OneOf) > 0 && v != "a" && v != "b" || len(form.OneOf) == 0 && (v == "" || utf8.RuneCountInString(v) > 5) {
					t.Errorf("%q became %q", text, v)
				}
			default:
				t.Errorf("%q became %T", text, v)
			}
		}
	})
}
