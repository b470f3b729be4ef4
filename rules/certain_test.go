package rules_test

import (
	"testing"

	"github.com/banyanhq/banyan/rules"
)

func condition(t *testing.T, env *rules.Env, src string) *rules.Expr {
	t.Helper()
	x, issues := env.Compile(src, everywhere(), rules.WantBool)
	if x == nil {
		t.Fatalf("%s: %v", src, issues)
	}
	return x
}

func TestAlways(t *testing.T) {
	env := newEnv(t)
	for src, want := range map[string]string{
		"true": "true", "1 > 2": "false", `!("a" in ["a"])`: "false", `duration("1h") < duration("2h")`: "true",
		"member.vip": "", "now > now": "", "1 / 0 > 1": "", `segment("staff")`: "", `count("order.paid") >= 0`: "",
	} {
		got := ""
		if answer, certain := condition(t, env, src).Always(); certain {
			got = map[bool]string{true: "true", false: "false"}[answer]
		}
		if got != want {
			t.Errorf("%s is always %q, want %q", src, got, want)
		}
	}
}

// TestOpposites checks pairs of which one certainly holds, pairs that are one, and pairs
// of which nothing is known. What is claimed is compared with what they answer.
func TestOpposites(t *testing.T) {
	env := newEnv(t)
	for _, c := range []struct {
		a, b           string
		same, opposite bool
	}{
		{"member.points > 100", "member.points <= 100", false, true},
		{"member.points > 100", "100 < member.points", true, false},
		{"member.points > 100", "100 >= member.points", false, true},
		{"member.points >= 4", "member.points < 4", false, true},
		{"member.points >= 4", "member.points < 5", false, false},
		{`member.city == "a"`, `"a" != member.city`, false, true},
		{`(member.city == "a")`, `"a"==member.city`, true, false},
		{"member.vip", "!member.vip", false, true},
		{"!(!member.vip)", "member.vip", true, false},
		{`segment("staff")`, `!segment("staff")`, false, true},
		{`segment("staff") && member.vip`, `!(segment("staff") && member.vip)`, false, true},
		{`count("order.paid", duration("7d")) > 1`, `count("order.paid", duration("8d")) <= 1`, false, false},
		{`event.offer == "1"`, `event.offer == "2"`, false, false},
		{"has(member.city)", "!has(member.city)", false, true},
		{`member.tags[0] == "a"`, `member.tags[0] != "a"`, false, false}, // neither may have an answer
		{"10 / member.points > 1", "10 / member.points <= 1", false, false},
		{`offer.price < money("1")`, `offer.price >= money("1")`, false, true},
		{`member.tags.exists(t, t == "a")`, `!member.tags.exists(t, t == "a")`, false, false}, // not looked into
	} {
		a, b := condition(t, env, c.a), condition(t, env, c.b)
		if a.Same(b) != c.same || b.Same(a) != c.same || a.Opposite(b) != c.opposite || b.Opposite(a) != c.opposite {
			t.Errorf("%s, %s: same %v, opposite %v", c.a, c.b, a.Same(b), a.Opposite(b))
		}
		for _, f := range []*rules.Facts{facts(), {}} {
			x, err := a.Bool(f)
			y, err2 := b.Bool(f)
			if err != nil || err2 != nil {
				continue
			}
			if c.same && x != y || c.opposite && x == y {
				t.Errorf("%s is %v, %s is %v", c.a, x, c.b, y)
			}
		}
	}
}
