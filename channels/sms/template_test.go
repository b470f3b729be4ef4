package sms_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/sms"
)

// parse reads templates of these texts, with ids 1, 2…
func parse(tb testing.TB, longest int, texts ...string) []sms.Template {
	tb.Helper()
	file := fmt.Sprintf("longest: %d\ntemplates:\n", longest)
	for i, text := range texts {
		file += fmt.Sprintf("  - {id: %d, text: %q}\n", i+1, text)
	}
	templates, err := sms.ParseTemplates([]byte(file))
	if err != nil {
		tb.Fatal(err)
	}
	return templates
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, id, parameters string
		longest              int
	}{
		{text: "小林，月卡 199 元为你锁定到 12-03", id: "1", parameters: "小林|199|12-03"},
		{text: "小林，月卡 199 元为你锁定到 ", id: ""},    // a parameter is not empty
		{text: "，月卡 199 元为你锁定到 12-03", id: ""}, // nor is the first
		{text: "小林，月卡 199 元为你锁定到 12-03 20:15", id: ""},
		{text: "小林，月卡 199 元为你锁定到 12-03 20:15", id: "1", parameters: "小林|199|12-03 20:15", longest: 11},
		{text: "课程今晚八点开始", id: "2"},
		{text: "课程今晚八点开始。", id: ""},
		{text: "小林，你好", id: "3", parameters: "小林"},
		{text: "小林，你好，你好", id: "3", parameters: "小林，你好"},
		{text: "你的课在 8 点，老师是 Lin", id: "5", parameters: "8|Lin"}, // 4 would give it too, with less of its own
		{text: "你的课在 8 点", id: "4", parameters: "8 点"},
		{text: "a-b-c", id: "6", parameters: "a|b-c"}, // the earlier is the shorter
		{text: "{1}，你好", id: "3", parameters: "{1}"},
		{text: "", id: ""},
	} {
		longest := c.longest
		if longest == 0 {
			longest = 5
		}
		templates := parse(t, longest, "{1}，月卡 {2} 元为你锁定到 {3}", "课程今晚八点开始", "{1}，你好", "你的课在 {1}", "你的课在 {1} 点，老师是 {2}", "{1}-{2}")
		got, parameters, ok := sms.Match(templates, c.text)
		if got.ID != c.id || ok != (c.id != "") || strings.Join(parameters, "|") != c.parameters {
			t.Errorf("%q: template %q with %q, want %q with %s", c.text, got.ID, parameters, c.id, c.parameters)
		}
		if ok && got.Render(parameters...) != c.text {
			t.Errorf("%q is given as %q", c.text, got.Render(parameters...))
		}
	}
}

// Longest is each template's own.
func TestLongest(t *testing.T) {
	t.Parallel()
	templates, err := sms.ParseTemplates([]byte(`{"longest": 2, "templates": [{"id": "a", "text": "你好 {1}"}, {"id": "b", "text": "再见 {1}", "longest": 4}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"你好 小林": "a", "你好 欧阳小林": "", "再见 欧阳小林": "b", "再见 欧阳小小林": ""} {
		if got, _, _ := sms.Match(templates, text); got.ID != want {
			t.Errorf("%s: %q, want %q", text, got.ID, want)
		}
	}
}

// TestEveryTextOfATemplateMatches: what a template gives is matched, with parameters that
// give it again and keep the rules, by this template or one with as much text of its own.
func TestEveryTextOfATemplateMatches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(templateText(), 1, 4).Draw(t, "templates")
		longest := rapid.IntRange(1, 6).Draw(t, "longest")
		var templates []sms.Template
		for i, text := range texts {
			parsed, err := sms.ParseTemplates(fmt.Appendf(nil, "templates: [{id: t%d, text: %q, longest: %d}]", i, text, longest))
			if err != nil {
				t.Fatal(err)
			}
			templates = append(templates, parsed...)
		}
		which := rapid.SampledFrom(templates).Draw(t, "which")
		parameters := make([]string, strings.Count(which.Text, "{"))
		for i := range parameters {
			parameters[i] = rapid.StringOfN(rapid.SampledFrom([]rune("ab，1点")), 1, longest, -1).Draw(t, "parameter")
		}
		text := which.Render(parameters...)
		got, found, ok := sms.Match(templates, text)
		if !ok {
			t.Fatalf("%q of %q is not matched", text, which.Text)
		}
		if got.Render(found...) != text || len(found) != strings.Count(got.Text, "{") {
			t.Fatalf("%q is given as %q by %q", text, got.Render(found...), got.Text)
		}
		if fixed(got.Text) < fixed(which.Text) {
			t.Fatalf("%q is given by %q, which has less of its own than %q", text, got.Text, which.Text)
		}
		for _, p := range found {
			if n := utf8.RuneCountInString(p); n < 1 || n > longest {
				t.Fatalf("%q: parameter %q of %q has %d characters", text, p, got.Text, n)
			}
		}
	})
}

// templateText draws texts of templates over a few characters, so that they can be cut in
// many ways.
func templateText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		literal := rapid.StringOfN(rapid.SampledFrom([]rune("ab，1点")), 1, 3, -1)
		var b strings.Builder
		if rapid.Bool().Draw(t, "begins with text") {
			b.WriteString(literal.Draw(t, "literal"))
		}
		n := rapid.IntRange(0, 4).Draw(t, "parameters")
		for i := range n {
			fmt.Fprintf(&b, "{%d}", i+1)
			if i < n-1 || n == 1 || rapid.Bool().Draw(t, "ends with text") {
				b.WriteString(literal.Draw(t, "literal"))
			}
		}
		if n == 0 {
			b.WriteString(literal.Draw(t, "literal"))
		}
		return b.String()
	})
}

func fixed(template string) int {
	return utf8.RuneCountInString(regexp.MustCompile(`\{\d+\}`).ReplaceAllString(template, ""))
}

// pattern is a template as a regular expression: another way to the same answer.
func pattern(text string, longest int) *regexp.Regexp {
	parts := regexp.MustCompile(`\{\d+\}`).Split(text, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(fmt.Sprintf(`(?s)\A%s\z`, strings.Join(parts, fmt.Sprintf("(.{1,%d}?)", longest))))
}

func sameAsPattern(t interface{ Fatalf(string, ...any) }, templates []sms.Template, text string, longest int) {
	_, parameters, ok := sms.Match(templates, text)
	want := pattern(templates[0].Text, longest).FindStringSubmatch(text)
	if ok != (want != nil) || ok && !slices.Equal(parameters, want[1:]) {
		t.Fatalf("%q by %q: %q, %v; a regular expression says %q", text, templates[0].Text, parameters, ok, want)
	}
}

func TestMatchIsWhatARegularExpressionSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		longest := rapid.IntRange(1, 6).Draw(t, "longest")
		source := fmt.Sprintf("templates: [{id: a, text: %q, longest: %d}]", templateText().Draw(t, "template"), longest)
		templates, err := sms.ParseTemplates([]byte(source))
		if err != nil {
			t.Fatal(err)
		}
		sameAsPattern(t, templates, rapid.StringOfN(rapid.SampledFrom([]rune("ab，1点")), 0, 14, -1).Draw(t, "text"), longest)
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("{1}，月卡 {2} 元", "小林，月卡 199 元", uint8(5))
	f.Add("a{1}a{2}a", strings.Repeat("a", 200), uint8(0))
	f.Add("{1}", "x", uint8(1))
	f.Add("\xff{1}", "\xffx", uint8(1))
	f.Fuzz(func(t *testing.T, template, text string, longest uint8) {
		source := fmt.Appendf(nil, "templates: [{id: a, text: %q, longest: %d}]", template, longest)
		templates, err := sms.ParseTemplates(source)
		if err != nil || !utf8.ValidString(text) || len(text) > 2000 {
			return
		}
		got, parameters, ok := sms.Match(templates, text)
		if ok && got.Render(parameters...) != text {
			t.Fatalf("%q is given as %q", text, got.Render(parameters...))
		}
		if longest > 0 {
			sameAsPattern(t, templates, text, int(longest))
		}
	})
}

func FuzzParseTemplates(f *testing.F) {
	f.Add([]byte("templates:\n  - {id: 1110, text: '{1}，你好', kind: marketing}\n"))
	f.Add([]byte(`{"longest": 12, "templates": [{"id": "a", "text": "x{1}y{2}"}]}`))
	f.Add([]byte("templates: [&a {id: a, text: b}, *a]"))
	f.Add([]byte("templates: [{id: a, text: '{1}{2}'}]"))
	f.Fuzz(func(t *testing.T, source []byte) {
		templates, err := sms.ParseTemplates(source)
		if (err == nil) != (len(templates) > 0) {
			t.Fatalf("%d templates, %v", len(templates), err)
		}
		for _, template := range templates {
			if template.ID == "" || strings.TrimSpace(template.Text) != template.Text || template.Text == "" {
				t.Errorf("%+v", template)
			}
		}
	})
}

// A text that can be cut in very many ways is judged at once: to try them all would take
// longer than anybody lives.
func TestMatchIsNotSlow(t *testing.T) {
	t.Parallel()
	template := ""
	for i := range 60 {
		template += fmt.Sprintf("a{%d}", i+1)
	}
	templates := parse(t, 2, template)
	if _, _, ok := sms.Match(templates, strings.Repeat("a", 181)); ok { // 60 and twice 60 are the most
		t.Error("it matches")
	}
	if _, parameters, ok := sms.Match(templates, strings.Repeat("a", 180)); !ok || len(parameters) != 60 {
		t.Error("it does not match")
	}
}

// Of templates with as much text of their own the first is taken.
func TestTheFirstOfEqualTemplates(t *testing.T) {
	t.Parallel()
	if got, _, _ := sms.Match(parse(t, 0, "你{1}好", "{1}你好"), "你你好"); got.ID != "1" {
		t.Errorf("template %s", got.ID)
	}
	if got, _, _ := sms.Match(parse(t, 0, "{1}你好", "你{1}好"), "你你好"); got.ID != "1" {
		t.Errorf("template %s", got.ID)
	}
}

func TestTemplateFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ source, problem string }{
		"good":         {"templates: [{id: 1110, text: '{1}，你好', kind: marketing, international: true}]", ""},
		"JSON":         {`{"templates": [{"id": "1110", "text": "{1}，你好"}]}`, ""},
		"empty":        {" \n", "it is empty"},
		"no YAML":      {"templates: [", "cannot be read"},
		"no list":      {"templates: []", "lists no template"},
		"other key":    {"templates: [{id: a, text: b, type: c}]", "type"},
		"no id":        {"templates: [{text: b}]", "the id that the provider gave it"},
		"twice":        {"templates: [{id: a, text: b}, {id: a, text: c}]", "template 2 (a): the id stands twice"},
		"no text":      {"templates: [{id: a}]", "write its text as it was approved"},
		"no such kind": {"templates: [{id: a, text: b, kind: notice}]", "marketing or service"},
		"side by side": {"templates: [{id: a, text: 'x {1}{2}'}]", "side by side"},
		"order":        {"templates: [{id: a, text: '{2} and {1}'}]", "{2} stands where {1} is expected"},
		"from 0":       {"templates: [{id: a, text: 'x {0}'}]", "{0} stands where {1} is expected"},
		"used twice":   {"templates: [{id: a, text: '{1} and {1}'}]", "{1} stands where {2} is expected"},
		"all of it":    {"templates: [{id: a, text: '{1}'}]", "no text of its own"},
		"longest":      {"templates: [{id: a, text: b, longest: -1}]", "below 0"},
		"too many":     {"templates:\n" + strings.Repeat("  - {id: a, text: b}\n", sms.MaxTemplates+1), "1000 are the most"},
	} {
		templates, err := sms.ParseTemplates([]byte(c.source))
		if got := text(err); (got == "") != (c.problem == "") || !strings.Contains(got, c.problem) {
			t.Errorf("%s: %v, want one with %q", name, err, c.problem)
		}
		if err == nil && (templates[0].ID != "1110" || templates[0].Text != "{1}，你好") {
			t.Errorf("%s: %+v", name, templates)
		}
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	templates, err := sms.ParseTemplates([]byte(`
templates:
  - {id: "1", text: "{1}，月卡 {2} 元为你锁定。拒收请回复R", kind: marketing}
  - {id: "2", text: "课程 {1} 开始", kind: service}
  - {id: "3", text: "Hello {1}, reply STOP to end", international: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	chinese := sms.Wording{Sign: "榕树"}
	for _, c := range []struct {
		message campaign.Message
		wording sms.Wording
		want    bool
	}{
		{campaign.Message{Text: "{{ member.name }}，月卡 {{ yuan(offer.price) }} 元为你锁定。\n"}, chinese, true},
		{campaign.Message{Text: "【榕树】{{ member.name }}，月卡 {{ 1 }} 元为你锁定。拒收请回复R。"}, chinese, false}, // a full stop too many
		{campaign.Message{Text: "【榕树】{{ member.name }}，月卡 {{ 1 }} 元为你锁定。拒收请回复R"}, chinese, true},
		{campaign.Message{Text: "月卡 199 元为你锁定。"}, chinese, false},
		{campaign.Message{Text: "课程 {{ member.name }} 开始"}, chinese, false}, // it is marketing
		{campaign.Message{Text: "课程 {{ member.name }} 开始", Kind: campaign.KindService}, chinese, true},
		{campaign.Message{Text: "other", Texts: map[string]string{"sms": "{{ a }}{{ b }}，月卡 9 元为你锁定。"}}, chinese, true},
		{campaign.Message{Text: "{{ a }}，月卡 9 元为你锁定。"}, sms.Wording{OptOut: sms.OptOutRefuse}, false},
		{campaign.Message{Text: "Hello {{ a }}"}, sms.Wording{OptOutText: "reply STOP to end"}, false},
		{campaign.Message{Text: "Hello {{ a }},"}, sms.Wording{OptOutText: "reply STOP to end"}, true},
		{campaign.Message{Text: "{{ a }}"}, chinese, false},
	} {
		if got := sms.Fits(templates, c.wording, &c.message); got != c.want {
			t.Errorf("%+v: %v", c.message, got)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
