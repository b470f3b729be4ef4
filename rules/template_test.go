package rules_test

import (
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

func TestTemplates(t *testing.T) {
	env := newEnv(t)
	f := facts()
	for src, want := range map[string]string{
		// The language's own examples.
		`{{ member.name }}，月卡 {{ yuan(offer.price) }} 为你锁定到 {{ local(offer.expires_at) }}`: `王小明，月卡 ¥199.00 为你锁定到 12-03 20:15`,
		`还有 24 小时：{{ yuan(offer.price) }} 月卡将恢复 {{ yuan(offer.list_price) }}`:              `还有 24 小时：¥199.00 月卡将恢复 ¥299.00`,
		`【健身】上课提醒…`: `【健身】上课提醒…`,
		``:          ``,
		// Results of every kind.
		`{{offer.price}} {{offer.expires_at}} {{member.points}} {{member.score}} {{member.vip}} {{member.city}}`: `¥199.00 12-03 20:15 320 0.75 true 上海`,
		`{{ member.vip ? "贵宾" : "你好" }}`: `贵宾`,
		// Braces inside.
		`{{ "}}" }}{{ '{{' }} {{ r"\" }} {{ "\"}}" }} {{ '''a"}}'b''' }}`: `}}{{ \ "}} a"}}'b`,
		`{{ {"a": {"b": "c"}}["a"]["b"] }}`:                               `c`,
		`{ {{ member.points }} }`:                                         `{ 320 }`,
		"{{\n  member.name // who\n}}":                                    `王小明`,
	} {
		tpl, issues := env.CompileTemplate(src, everywhere())
		if len(issues) > 0 {
			t.Errorf("%s: %v", src, issues)
			continue
		}
		if got, err := tpl.Render(f); err != nil || got != want {
			t.Errorf("%s = %q, %v, want %q", src, got, err, want)
		}
	}
}

func TestTemplateIssues(t *testing.T) {
	env := newEnv(t)
	for _, c := range []struct {
		src string
		at  []string
		say []string
	}{
		{`你好 {{ member.nmae }}，{{ member.tags }}！`, []string{"nmae", "member.tags"}, []string{"has no `nmae`", "a text cannot show"}},
		{`价格 {{ yuan(offer.price)`, []string{"{{"}, []string{"never closed"}},
		{`价格 {{ "}}`, []string{"{{"}, []string{"never closed"}},
		{`a {{ }} b {{}}`, []string{"{{ }}", "{{}}"}, []string{"nothing stands between", "nothing stands between"}},
		{`月卡 member.name }} {{ member.city }}`, []string{"}}"}, []string{"closes nothing"}},
		{`{{ member.name }}}}`, []string{"}}"}, []string{"closes nothing"}},
		{`{{ member.name {{ member.city }}`, []string{"{{"}, []string{"never closed"}},
		{`第一行` + "\n" + `{{ member.points > }}`, []string{">"}, []string{"ends too early"}},
		{"\xff{{ member.name }}", []string{"\xff{{ member.name }}"}, []string{"not UTF-8"}},
	} {
		tpl, issues := env.CompileTemplate(c.src, everywhere())
		if tpl != nil || len(issues) != len(c.at) {
			t.Errorf("%q: %v", c.src, issues)
			continue
		}
		for i, issue := range issues {
			if at := c.src[issue.Offset : issue.Offset+issue.Length]; at != c.at[i] || !strings.Contains(issue.Message, c.say[i]) {
				t.Errorf("%q: at %q: %s, want at %q: %s", c.src, at, issue.Message, c.at[i], c.say[i])
			}
		}
	}
	if _, issues := env.CompileTemplate(strings.Repeat("长", rules.MaxTemplate/3+1), everywhere()); len(issues) != 1 {
		t.Errorf("a long text: %v", issues)
	}
	dear := strings.Repeat(`{{ member.tags.exists(t, t.contains(member.city)) }}`, 20)
	if _, issues := env.CompileTemplate(dear, everywhere()); len(issues) != 1 || !strings.Contains(issues[0].Message, "too dear") {
		t.Errorf("a dear text: %v", issues)
	}
}

func TestRenderErrors(t *testing.T) {
	env := newEnv(t)
	tpl, issues := env.CompileTemplate(`月卡 {{ offer.price }}`, everywhere())
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	f := facts()
	f.Offer = nil
	if got, err := tpl.Render(f); got != "" || campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("without an offer: %q, %v", got, err)
	}
	if _, err := tpl.Render(nil); err == nil {
		t.Error("rendered without facts")
	}
	var none *rules.Template
	if _, err := none.Render(f); err == nil {
		t.Error("rendered nothing")
	}
}
