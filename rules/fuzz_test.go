package rules_test

import (
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/banyanhq/banyan/rules"
)

var seeds = []string{
	`now - member.joined_at < duration("168h")`, `count("lesson.attended", duration("720h")) >= 4`, `"staff" in member.tags`,
	`event.offer == "monthly-card" && !segment("staff")`, `event.order == start.order`, `event.amount > 199`,
	`member.tags.exists(t, t.startsWith("早"))`, `member.level == "golden"`, `has(member.city) ? yuan(offer.price) : mask(member.phone)`,
	`sum("order.paid", "amount", duration("30d")) * 3 > money("9.90")`, `format(now, "YYYY年M月D日")`, `“x” == 上海`, `((((`, `"abc`, `r'\`, `a..b`,
	`{"a": 1}["a"]`, `member`, `@segment.core`, `-(-9223372036854775808)`, `1 / 0 > 0`, `member.tags[99]`, `x.y.z(1)`, "has(a.b)\n&&", `'''`,
}

// FuzzCompile holds that nothing makes the compiler or an evaluation panic, that there is
// either an expression or an issue, and that issues lie inside the text.
func FuzzCompile(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	env := newEnv(f)
	f.Fuzz(func(t *testing.T, src string) {
		for _, want := range []rules.Want{rules.WantBool, rules.WantText} {
			x, issues := env.Compile(src, everywhere(), want)
			checkIssues(t, src, x == nil, issues)
			if x != nil {
				_, _ = x.Value(facts())
				_, _ = x.Value(&rules.Facts{})
			}
		}
	})
}

// FuzzTemplate holds the same of templates.
func FuzzTemplate(f *testing.F) {
	for _, s := range seeds {
		f.Add("你好 {{ " + s + " }}！")
	}
	for _, s := range []string{"{{", "}}", "{{}}", "{{{}}}", "{{ '}}' }}", "{{ r'\\' }}", "\xff{{"} {
		f.Add(s)
	}
	env := newEnv(f)
	f.Fuzz(func(t *testing.T, src string) {
		tpl, issues := env.CompileTemplate(src, everywhere())
		checkIssues(t, src, tpl == nil, issues)
		if tpl == nil {
			return
		}
		if text, err := tpl.Render(facts()); err == nil && !utf8.ValidString(text) {
			t.Errorf("%q renders %q", src, text)
		}
		_, _ = tpl.Render(&rules.Facts{})
	})
}

func checkIssues(t *testing.T, src string, refused bool, issues []rules.Issue) {
	t.Helper()
	if refused != (len(issues) > 0) {
		t.Fatalf("%q: refused is %v with %v", src, refused, issues)
	}
	for _, i := range issues {
		if i.Offset < 0 || i.Length < 0 || i.Offset+i.Length > len(src) || i.Message == "" || !slices.Contains(rules.Checks(), i.Check) {
			t.Fatalf("%q: issue %+v", src, i)
		}
	}
}
