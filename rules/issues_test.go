package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// TestIssues compiles expressions with one mistake each. at is what the issue underlines;
// message and hint are looked for in it.
func TestIssues(t *testing.T) {
	env := newEnv(t)
	for _, c := range []struct{ src, at, message, hint string }{
		// Syntax.
		{"", "", "the expression is empty", "write a condition"},
		{" \n", " \n", "the expression is empty", ""},
		{`member.points ==`, "==", "ends too early", "has to follow"},
		{`member.points = 1`, "=", "`=` cannot stand here", "write =="},
		{`member.vip and member.vip`, "and", "`and` is not expected here", "write &&"},
		{`member.vip or member.vip`, "or", "`or` is not expected here", "write ||"},
		{`not member.vip`, "member", "`member` is not expected here", "for `not` write !"},
		{`member.city contains "x"`, "contains", "not expected here", ".contains("},
		{`member.vip && && true`, "&&", "`&&` is not expected here", ""},
		{`(member.vip && (true)`, "(", "`)` is missing", ""},
		{`member.tags[0`, "[", "`]` is missing", ""},
		{`member.vip)`, ")", "`)` is not expected here", "nothing is open"},
		{`“x” == member.city`, "“", "`“` cannot stand here", `write "`},
		{`member.city == "a" ， true`, "，", "`，` cannot stand here", "write ,"},
		{`member.city == 上海`, "上", "cannot stand here", `in quotes: "上海"`},
		{`member.city == "abc`, `"abc`, "the text that begins here is not closed", `write " at its end`},
		{`member.city == "\q"`, `"\q"`, "this text cannot be read", `\\`},
		{`member.vip ? true`, "true", "a `?` needs its `:`", "this : that"},
		{`member.vip ⚡`, "⚡", "cannot stand here", ""},
		{`if`, "if", "keeps for itself", ""},
		{`member.points > 99999999999999999999`, "99999999999999999999", "the number is too large", ""},
		{`has(member)`, "member", "has() asks for a field", ""},
		{`member.tags.exists(1, true)`, "1", "the first argument is a name", ""},
		{`member.tags.exists(x)`, "exists", "`exists` is not called this way", "list.exists(x,"},
		// Names.
		{`evnt.amount > money("1")`, "evnt", "`evnt` is not known", "did you mean `event`?"},
		{`campain.name == ""`, "campain", "`campain` is not known", "`campaign`"},
		{`amount > money("1")`, "amount", "`amount` is not known", "`event.amount`"},
		{`gold == member.level`, "gold", "`gold` is not known", `in quotes: "gold"`},
		{`count > 3`, "count", "`count` is not known", "it is a function"},
		{`event.offr == "x"`, "offr", "`event` has no `offr`", "did you mean `offer`?"},
		{`member.城`, "城", "cannot stand here", ""},
		{`has(member.cty)`, "cty", "`member` has no `cty`", "`city`"},
		{`member.zzzzzz == 1`, "zzzzzz", "`member` has no `zzzzzz`", "it has name, city"},
		{`member == member`, "member", "`member` is not a value by itself", "read one of its fields"},
		{`strin(1) == "1"`, "strin", "there is no function `strin`", "did you mean `string`?"},
		{`now.getHour() > 1`, "getHour", "there is no function `getHour`", "`getHours`"},
		{`dyn(1) == 1`, "dyn", "there is no function `dyn`", "known are segment"},
		{`math.floor(1.0) == 1.0`, "floor", "there is no function `floor`", ""},
		{`now.local() == ""`, "local", "`local` is not called this way", "write local(time)"},
		{`getHours(now) > 1`, "getHours", "`getHours` is not called this way", "time.getHours()"},
		{`Foo{x: 1} == Foo{x: 1}`, "{", "cannot build an object", ""},
		{`member.tags.exists(event, true)`, "exists", "`event` is a variable already", ""},
		{`b"x" == b"x"`, "b", "no values of this kind", ""},
		{`member.city == null`, "null", "campaigns have no null", "has(member.city)"},
		// one_of.
		{`member.level == "golden"`, `"golden"`, "never true: level is one of bronze, silver, gold", "`gold`"},
		{`"golden" != member.level`, `"golden"`, "always true: level is one of bronze, silver, gold", "`gold`"},
		{`member.level in ["gold", "sliver"]`, `"sliver"`, "never true: level is one of", "`silver`"},
		// Types.
		{`event.amount > 199`, ">", "`>` cannot compare money and int", `write money("199")`},
		{`event.amount == 9.9`, "==", "`==` cannot compare money and number", `write money("9.9")`},
		{`event.amount > "199"`, ">", "money and string", `write money("199")`},
		{`3 * event.amount > money("1")`, "*", "int and money", "on the left"},
		{`event.amount * 0.9 > money("1")`, "*", "money and number", "whole number"},
		{`event.amount / 2 > money("1")`, "/", "money and int", "divided by money alone"},
		{`event.amount.minor > 1`, "minor", "no field `minor`", ""},
		{`member.score == 1`, "==", "number and int", "write 1.0"},
		{`member.score * double(member.points) == member.points`, "==", "number and int", "double(x)"},
		{`member.city > 1`, ">", "string and int", `write "1"`},
		{`"a" + 1 == ""`, "+", "`+` cannot join string and int", "string(x)"},
		{`"a" + event.amount == ""`, "+", "string and money", "yuan(x)"},
		{`"a" + now == ""`, "+", "string and time", "local(x)"},
		{`now > "2026-12-01"`, ">", "time and string", "timestamp("},
		{`now - member.joined_at < 7`, "<", "duration and int", "duration("},
		{`!member.points`, "!", "`!` turns a condition around, and this is int", ""},
		{`-member.city == ""`, "-", "`-` cannot be used on string", ""},
		{`member.points && true`, "points", "a condition is true or false, and this is int", ""},
		{`member.points ? true : false`, "?", "a condition is true or false, and this is int", ""},
		{`member.vip ? "s" : 1`, "?", "these are string and int", ""},
		{`[1, "a"] == [1]`, `"a"`, "int is wanted here, and this is string", "one type"},
		{`5 in member.tags`, "in", "cannot look for int in a list of string", ""},
		{`member.points[0] == 1`, "[", "this is int; only lists have elements", ""},
		{`member.city.exists(x, true)`, "city", "this is string, not a list", ""},
		{`member.name.x == ""`, "x", "string has no fields", ""},
		{`yuan(5) == ""`, "yuan", "`yuan` does not take int", "write yuan(money)"},
		{`size() == 1`, "size", "`size` is called with something", "size(text)"},
		{`event.amount`, "event.amount", "a condition is true or false, and this is money", ""},
		{` member.tags `, "member.tags", "this is a list of string", ""},
		// Constants.
		{`money(199) < event.amount`, "199", "an amount is written in quotes", `write money("199")`},
		{`money("1.999") < event.amount`, `"1.999"`, "at most two decimal places", ""},
		{`money() < event.amount`, "money", "not called this way", `money("9.90")`},
		{`now - now < duration("3 days")`, `"3 days"`, "is not a duration", `duration("7d")`},
		{`now < timestamp("2026-12-01")`, `"2026-12-01"`, "is not a time", "T00:00:00+08:00"},
		{`member.city.matches("(")`, `"("`, "the pattern cannot be read: missing closing )", ""},
		{`member.city.matches("(a{100}){5}")`, `"(a{100}){5}"`, "the pattern repeats too much", ""},
		{`member.city.matches(member.name)`, "name", "the pattern of matches() is written out", "contains()"},
		{`format(now, "YYYY-QQ") == ""`, `"YYYY-QQ"`, "`QQ` means nothing in a time pattern", "YYYY-MM-DD"},
		{`format(now, "MMM") == ""`, `"MMM"`, "`MMM` means nothing", ""},
		{`segment("regulr")`, `"regulr"`, "there is no segment `regulr`", "`regular`"},
		{`segment(member.city)`, "city", "in quotes", ""},
		{`segment()`, "segment", "not called this way", ""},
		{`count("lesson.atended") > 1`, `"lesson.atended"`, "there is no event `lesson.atended`", "`lesson.attended`"},
		{`count(member.city) > 1`, "city", "the event is written out", ""},
		{`count("order.paid", "7d") > 1`, `"7d"`, "a duration that is written out", `duration("7d")`},
		{`count("order.paid", duration(member.city)) > 1`, "duration", "a duration that is written out", ""},
		{`count("order.paid", duration("-1h")) > 1`, "duration", "longer than nothing", ""},
		{`count("order.paid", duration("x")) > 1`, "duration", "is not a duration", ""},
		{`sum("order.paid", "amuont") > money("1")`, `"amuont"`, "has no property `amuont`", "`amount`"},
		{`sum("order.paid", "order") > 1.0`, `"order"`, "`order` is string", "amount, count"},
		{`sum("order.paid", member.city) > 1.0`, "city", "the property is written out", ""},
		{`sum("order.paid", "amount") > 1`, ">", "money and int", `money("1")`},
		{`last("order.paid", duration("1h")) > now`, "last", "not called this way", ""},
		// Budgets.
		{`budget("bring-freind").left > 0`, `"bring-freind"`, "there is no reward `bring-freind`", "`bring-friend`"},
		{`budget("first-card").left > 0`, `"first-card"`, "`first-card` has no budget that all members share", "known are bring-friend"},
		{`budget("bring-friend").rest > 0`, "rest", "the budget of `bring-friend` has no `rest`", "left, left_today"},
		{`budget("bring-friend") > 0`, "budget", "`budget` is not called this way", `budget("reward").left`},
		{`budget().left > 0`, "budget", "not called this way", ""},
		{`budget(member.city).left > 0`, "city", "the name of a reward is written out", ""},
		{`has(budget("bring-friend").left)`, "budget", "not called this way", ""},
		{`budget("bring-friend").left`, `budget("bring-friend").left`, "a condition is true or false, and this is int", ""},
		// Limits.
		{`member.tags.all(a, member.tags.all(b, a == b))`, "all", "inside another one", ""},
		{strings.Repeat("(", 60) + "true" + strings.Repeat(")", 60), strings.Repeat("(", 60) + "true" + strings.Repeat(")", 60), "nested too deeply; 50 levels", ""},
		{strings.Repeat("!", 4093) + "true", strings.Repeat("!", 4093) + "true", "4097 bytes long; 4096 are allowed", ""},
		{
			`member.tags.exists(t, t.contains(event.order + event.offer + member.city))`,
			`member.tags.exists(t, t.contains(event.order + event.offer + member.city))`, "too dear: it costs up to ", "",
		},
	} {
		x, issues := env.Compile(c.src, everywhere(), rules.WantBool)
		if x != nil || len(issues) == 0 {
			t.Errorf("%s compiles", c.src)
			continue
		}
		issue := issues[0]
		if issue.Offset < 0 || issue.Offset+issue.Length > len(c.src) {
			t.Errorf("%s: %d+%d is outside", c.src, issue.Offset, issue.Length)
			continue
		}
		at := c.src[issue.Offset : issue.Offset+issue.Length]
		if at != c.at || !strings.Contains(issue.Message, c.message) || !strings.Contains(issue.Hint, c.hint) || issue.Where != "" {
			t.Errorf("%s\n at %q: %s (%s)\nwant at %q: %s (%s)", c.src, at, issue.Message, issue.Hint, c.at, c.message, c.hint)
		}
		for _, other := range issues[1:] {
			if c.src != `member == member` && !strings.HasPrefix(c.src, `b"`) && !strings.HasPrefix(c.src, "Foo") {
				t.Errorf("%s: an echo: %v", c.src, other)
			}
		}
	}
}

func TestIssuesAllAtOnce(t *testing.T) {
	env := newEnv(t)
	src := "member.cty == \"上海\" &&\n  evnt.amount > 5 && member.score == 1 && segment(\"nobody\")"
	_, issues := env.Compile(src, everywhere(), rules.WantBool)
	var at []string
	for _, i := range issues {
		at = append(at, src[i.Offset:i.Offset+i.Length])
	}
	if want := []string{"cty", "evnt", "==", `"nobody"`}; !slices.Equal(at, want) {
		t.Errorf("issues at %q, want %q", at, want)
	}
	if !slices.Contains(issues[0].Allowed, "city") || !slices.Contains(issues[3].Allowed, "newcomer") {
		t.Errorf("allowed: %v, %v", issues[0].Allowed, issues[3].Allowed)
	}
}

func TestScopes(t *testing.T) {
	env := newEnv(t)
	def := fitness()
	j := &def.Journeys[0]
	for _, c := range []struct {
		name, src string
		scope     rules.Scope
		message   string // empty: compiles
	}{
		{"start", `event.offer == "trial" && !segment("staff")`, rules.StartScope("order.paid"), ""},
		{"start", `start.offer == "trial"`, rules.StartScope("order.paid"), "`start` cannot be read here"},
		{"start", `offer.price == money("1")`, rules.StartScope("order.paid"), "`offer` cannot be read here"},
		{"exit", `event.order == start.order`, rules.TriggerScope(j, "order.refunded"), ""},
		{"exit", `event.offer == "x"`, rules.TriggerScope(j, "order.refunded"), "`event` has no `offer`"},
		{"goal", `event.offer == offer.name`, rules.TriggerScope(j, "order.paid"), ""},
		{"step", `event.lesson == "" && event.order == start.order && offer.price > money("1")`, rules.StepScope(j), ""},
		{"step", `event.amount == money("1")`, rules.StepScope(j), "`event.amount` is money in order.paid and string in order.refunded"},
		{"step", `start.amount == money("1")`, rules.StepScope(j), ""},
		{"message", `offer.title + event.lesson == ""`, rules.MessageScope(def), ""},
		{"segment", `event.id == ""`, rules.SegmentScope(), "`event` cannot be read here"},
		{"segment", `member.points > 1 && now > member.joined_at && campaign.name != ""`, rules.SegmentScope(), ""},
		{"api", `start.id == start.type && start.time < now`, rules.Scope{HasStart: true}, ""},
		{"api", `start.order == ""`, rules.Scope{HasStart: true}, "`start` has no `order`"},
		{"unknown event", `event.id == ""`, rules.StartScope("nobody.knows"), ""},
	} {
		_, issues := env.Compile(c.src, c.scope, rules.WantBool)
		switch {
		case c.message == "" && len(issues) > 0:
			t.Errorf("%s: %s: %v", c.name, c.src, issues)
		case c.message != "" && (len(issues) != 1 || !strings.Contains(issues[0].Message, c.message)):
			t.Errorf("%s: %s: %v, want %q", c.name, c.src, issues, c.message)
		}
	}
}

func TestWantIssues(t *testing.T) {
	env := newEnv(t)
	level := fitness().Member[2]
	for _, c := range []struct {
		src     string
		want    rules.Want
		message string
		hint    string
	}{
		{`member.points`, rules.WantType(campaign.TypeMoney), "a value of type money is wanted here, and this is int", "money("},
		{`199`, rules.WantType(campaign.TypeMoney), "this is int", `write money("199")`},
		{`member.score`, rules.WantType(campaign.TypeInt), "a value of type int is wanted here, and this is number", ""},
		{`member.vip`, rules.WantAttribute(level), "`level` is string, and this is bool", ""},
		{`member.vip ? "gold" : "golden"`, rules.WantAttribute(level), "level is one of bronze, silver, gold", "`gold`"},
		{`member.tags`, rules.WantText, "a text cannot show a list of string", "size(list)"},
		{`now - now`, rules.WantText, "a text cannot show duration", ""},
		{`member.tags`, rules.WantAny, "a single value is wanted here", ""},
	} {
		_, issues := env.Compile(c.src, everywhere(), c.want)
		if len(issues) != 1 || !strings.Contains(issues[0].Message, c.message) || !strings.Contains(issues[0].Hint, c.hint) {
			t.Errorf("%s: %v, want %s (%s)", c.src, issues, c.message, c.hint)
		}
	}
}
