package rules_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

func TestBrokenDefinition(t *testing.T) {
	def := fitness()
	def.Timezone = "Asia/Shangai"
	def.Member = append(def.Member,
		campaign.Property{Name: "points", Type: campaign.TypeInt},
		campaign.Property{Name: "source", Type: campaign.TypeInt},
		campaign.Property{Name: "in", Type: campaign.TypeInt},
		campaign.Property{Name: "shoe-size", Type: campaign.TypeInt},
		campaign.Property{Name: "mood", Type: "text"},
	)
	def.Events[1].Properties = append(def.Events[1].Properties, campaign.Property{Name: "time", Type: campaign.TypeTime})
	def.Segments = []campaign.Segment{
		{Name: "a", When: `segment("b") && member.vip`},
		{Name: "b", When: `member.vip || segment("c")`},
		{Name: "c", When: `segment("a")`},
		{Name: "self", When: `!segment("self")`},
		{Name: "typo", When: `member.pionts > 5`},
		{Name: "number", When: `member.points`},
		{Name: "fine", When: `member.points > 5`},
		{Name: "on-broken", When: `segment("typo") || segment("fine")`},
	}
	env, issues := rules.New(def)
	want := map[string]string{
		"timezone":                   "`Asia/Shangai` is not a timezone",
		"member.points":              "`points` is built in",
		"member.source":              "it cannot be declared as int",
		"member.in":                  "a word of the expression language",
		"member.shoe-size":           "cannot read a name such as",
		"member.mood":                "`text` is not a type",
		"events.order.refunded.time": "every event has `time` by itself",
		"segments.c":                 "in a circle: a → b → c → a",
		"segments.self":              "in a circle: self → self",
		"segments.typo":              "`member` has no `pionts`",
		"segments.number":            "this is int",
	}
	for _, issue := range issues {
		message, ok := want[issue.Where]
		if !ok || !strings.Contains(issue.Message, message) {
			t.Errorf("issue %v, want %q", issue, message)
		}
		delete(want, issue.Where)
	}
	for where, message := range want {
		t.Errorf("no issue at %s: %s", where, message)
	}
	if i := slices.IndexFunc(issues, func(i rules.Issue) bool { return i.Where == "segments.c" }); i >= 0 {
		if at := `segment("a")`[issues[i].Offset:][:issues[i].Length]; at != `"a"` {
			t.Errorf("the circle is at %q", at)
		}
	}
	for name, there := range map[string]bool{"fine": true, "typo": false, "c": false, "nobody": false, "on-broken": true} {
		if _, ok := env.Segment(name); ok != there {
			t.Errorf("segment %s: %v", name, ok)
		}
	}
	// What is built in stays as it is, and broken segments have no answer.
	f := facts()
	if got := value(t, env, `member.points`, f); got != int64(320) {
		t.Errorf("points = %v", got)
	}
	if got := value(t, env, `segment("on-broken")`, f); got != true {
		t.Errorf("on-broken = %v", got)
	}
	if _, err := compile(t, env, `segment("typo")`, everywhere(), rules.WantBool).Bool(f); err == nil {
		t.Error("a broken segment has an answer")
	}
}

func TestWhatAnExpressionAsks(t *testing.T) {
	env := newEnv(t)
	sc := everywhere()
	x := compile(t, env, `segment("core") && count("order.paid") > 1 && segment("regular") && last("order.paid") < now && count("order.paid") < 9`,
		sc, rules.WantBool)
	want := []campaign.Behaviour{
		{Function: "count", Event: "order.paid"},
		{Function: "last", Event: "order.paid"},
		{Function: "count", Event: "lesson.attended", Within: 720 * time.Hour},
	}
	if got := x.Behaviours(); !reflect.DeepEqual(got, want) {
		t.Errorf("behaviours = %v", got)
	}
	if got := x.Segments(); !slices.Equal(got, []string{"core", "regular", "staff"}) {
		t.Errorf("segments = %v", got)
	}
	for variable, reads := range map[string]bool{"member": true, "now": true, "offer": false, "event": false} {
		if x.Reads(variable) != reads {
			t.Errorf("reads %s: %v", variable, !reads)
		}
	}
	alone := compile(t, env, `count("order.paid") > 1`, sc, rules.WantBool)
	if alone.Reads("member") || x.Cost() <= alone.Cost() || alone.Cost() == 0 {
		t.Errorf("reads member: %v; costs %d and %d", alone.Reads("member"), x.Cost(), alone.Cost())
	}
	tpl, issues := env.CompileTemplate(`{{ member.name }} {{ segment("regular") }} {{ offer.price }}`, sc)
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	if !tpl.Reads("offer") || tpl.Reads("start") || !slices.Equal(tpl.Segments(), []string{"regular"}) || len(tpl.Behaviours()) != 1 || tpl.Cost() == 0 {
		t.Errorf("template asks %v, %v, costs %d", tpl.Segments(), tpl.Behaviours(), tpl.Cost())
	}
}

func TestCostOfSegments(t *testing.T) {
	def := fitness()
	dear := `member.tags.exists(t, t.contains(member.city))`
	def.Segments = []campaign.Segment{
		{Name: "a", When: dear},
		{Name: "b", When: `segment("a") || ` + dear},
		{Name: "c", When: `segment("b") || ` + dear},
		{Name: "d", When: `segment("c") || ` + dear},
		{Name: "e", When: `segment("d") || ` + dear},
	}
	env, issues := rules.New(def)
	a, ok := env.Segment("a")
	if !ok {
		t.Fatal(issues)
	}
	last := uint64(0)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		x, ok := env.Segment(name)
		if !ok {
			break
		}
		if x.Cost() <= last {
			t.Errorf("%s costs %d after %d", name, x.Cost(), last)
		}
		last = x.Cost()
	}
	if a.Cost()*5 > rules.MaxCost && len(issues) == 0 {
		t.Error("five dear segments are accepted")
	}
	twice := compile(t, env, `segment("a") && segment("a")`, rules.SegmentScope(), rules.WantBool)
	if twice.Cost() > a.Cost()+10 {
		t.Errorf("asked twice, a segment costs %d instead of %d", twice.Cost(), a.Cost())
	}
}

func TestCache(t *testing.T) {
	env := newEnv(t)
	one := compile(t, env, `member.vip`, rules.Scope{Event: []string{"order.paid", "lesson.attended", "order.paid"}}, rules.WantBool)
	two := compile(t, env, `member.vip`, rules.Scope{Event: []string{"lesson.attended", "order.paid"}}, rules.WantBool)
	if one != two {
		t.Error("the same expression is compiled twice")
	}
	if three := compile(t, env, `member.vip`, rules.SegmentScope(), rules.WantBool); three == one {
		t.Error("another scope gives the same expression")
	}
	if text := compile(t, env, `member.vip`, rules.Scope{Event: []string{"lesson.attended", "order.paid"}}, rules.WantText); text == one {
		t.Error("another want gives the same expression")
	}
	_, issues := env.Compile(`member.vp`, rules.SegmentScope(), rules.WantBool)
	issues[0].Offset = 99
	if _, again := env.Compile(`member.vp`, rules.SegmentScope(), rules.WantBool); again[0].Offset == 99 {
		t.Error("issues are shared with the caller")
	}
	if testing.Short() {
		return
	}
	for i := range 1200 {
		compile(t, env, fmt.Sprintf(`member.points > %d`, i), rules.SegmentScope(), rules.WantBool)
	}
	if again := compile(t, env, `member.vip`, rules.SegmentScope(), rules.WantBool); again == nil {
		t.Error("nothing is compiled after the cache was full")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"monthly-card", "trial", "gear", "北京烤鸭店", "AB", "order.paid", "order.refunded"}
	for name, want := range map[string]string{
		"montly-card": "monthly-card", "monthly_card": "monthly-card", "Trial": "trial", "trail": "trial", "gaer": "gear",
		"北京烤鸡店": "北京烤鸭店", "monthly": "monthly-card", "paid": "order.paid", "ab": "AB", "xy": "", "": "", "order": "", "orderpaid": "order.paid",
		"nothing-like-it": "", "trial": "",
	} {
		if got := rules.Nearest(name, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
	if got := rules.Nearest("x", nil); got != "" {
		t.Errorf("Nearest of none = %q", got)
	}
}
