package rules_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

func TestValues(t *testing.T) {
	env := newEnv(t)
	for src, want := range map[string]any{
		// Variables.
		`member.id`:                            "m-1024",
		`member.joined_at`:                     noon.Add(-24 * time.Hour).UTC(),
		`member.points`:                        int64(320),
		`member.source + "/" + member.inviter`: "poster/m-7",
		`member.name`:                          "王小明",
		`member.spent`:                         cny(19900),
		`member.visits`:                        int64(7),
		`member.score`:                         0.75,
		`member.vip`:                           true,
		`member.birthday`:                      time.Date(1990, 4, 30, 16, 0, 0, 0, time.UTC),
		`size(member.tags)`:                    int64(2),
		`member.tags[1]`:                       "早鸟",
		`event.id + event.type`:                "e-2order.paid",
		`event.time`:                           noon.Add(-time.Minute).UTC(),
		`event.order != start.order`:           true,
		`event.offer == offer.name`:            true,
		`start.amount`:                         cny(990),
		`offer.title`:                          "月卡",
		`offer.id`:                             "of-1",
		`campaign.name`:                        "fitness-trial",
		`campaign.title.startsWith("9.9")`:     true,
		`now`:                                  noon.UTC(),
		// The declared level is the attribute, and the built-in one where there is none.
		`member.level`: "silver",
		// Numbers.
		`member.points > 3.5`:         true,
		`member.score < 1`:            true,
		`member.score * 2.0`:          1.5,
		`double(member.points) / 2.0`: 160.0,
		`member.points in [320, 640]`: true,

		`member.city in ["北京", "上海"]`:      true,
		`member.name.matches("^王")`:        true,
		`member.tags.exists(t, t == "早鸟")`: true,

		`member.tags.filter(t, t.startsWith("p")).exists(t, t == "parent")`: true,
		`member.vip ? "a" : "b"`: "a",
		// Times.
		`now - member.joined_at < duration("168h")`:    true,
		`now - member.joined_at == duration("1d")`:     true,
		`now - member.joined_at <= duration("1d")`:     true,
		`now - member.joined_at < duration("24h")`:     false,
		`now - member.joined_at >= duration("1d")`:     true,
		`now - member.joined_at > duration("1d")`:      false,
		`member.joined_at - now < duration("1s")`:      true,
		`member.points - 20 < 301`:                     true,
		`now - duration("1h") < now`:                   true,
		`now > timestamp("2026-12-01T00:00:00+08:00")`: true,
		`now.getHours()`:                               int64(12),
		`now.getHours("UTC")`:                          int64(4),
		`(now + duration("13h")).getDate()`:            int64(4),
		`event.time.getDayOfWeek()`:                    int64(4),
		// Money.
		`event.amount >= money("199")`:                true,
		`event.amount / money("10.00") == 19`:         true,
		`money("9.9") == start.amount`:                true,
		`event.amount + start.amount`:                 cny(20890),
		`event.amount - start.amount`:                 cny(18910),
		`start.amount * 3`:                            cny(2970),
		`-start.amount`:                               cny(-990),
		`offer.list_price - offer.price > money("0")`: true,
		`offer.price < offer.list_price`:              true,
		`offer.price <= money(string(199))`:           true,
		`money("1.00") in [event.amount, money("1")]`: true,
		// Texts.
		`yuan(offer.price)`:              "¥199.00",
		`percent(0.155)`:                 "15.5%",
		`percent(1)`:                     "100%",
		`percent(-0.00001)`:              "0%",
		`local(offer.expires_at)`:        "12-03 20:15",
		`local(last("lesson.attended"))`: "",

		`format(offer.expires_at, "YYYY-MM-DD HH:mm:ss")`: "2026-12-03 20:15:00",
		`format(now, "YY年M月D日 H:m:s")`:                    "26年12月3日 12:0:0",
		`format(last("lesson.attended"), "YYYY")`:         "",
		`mask(member.phone)`:                              "138****5678",
		`mask(member.name)`:                               "王*明",
		`mask("王明")`:                                      "王*",
		`mask("王")`:                                       "*",
		`mask("")`:                                        "",
		`mask("12345678")`:                                "12****78",
		`mask("欧阳娜娜")`:                                    "欧**娜",
		// Behaviour and segments.
		`count("lesson.attended", duration("720h"))`:                     int64(5),
		`count("lesson.attended", duration("30d"))`:                      int64(5),
		`count("order.paid")`:                                            int64(2),
		`sum("order.paid", "amount")`:                                    cny(20890),
		`sum("order.paid", "amount", duration("30d")) < money("199.01")`: true,
		`sum("order.paid", "count")`:                                     3.0,
		`last("order.paid") == event.time`:                               true,
		`segment("newcomer") && segment("core")`:                         true,
		`segment("staff")`:                                               false,
		// Errors are absorbed by the side that decides.
		`10 / (member.points - 320) > 5 && member.points < 0`: false,
		`member.points > 0 || 10 / (member.points - 320) > 5`: true,
		`10 / (member.points - 320) > 5 || member.points > 0`: true,
		`count("lesson.attended") > 3 || true`:                true,
		// What is there.
		`has(member.city)`: true, `has(event.amount)`: true, `has(offer.price)`: true, `has(start.count)`: false, `start.count`: int64(0),
		`has(member.tags) && has(member.joined_at) && has(member.level)`: true,
	} {
		if got := value(t, env, src, facts()); got != want {
			t.Errorf("%s = %#v, want %#v", src, got, want)
		}
	}
}

func TestMissingAndUnfit(t *testing.T) {
	env := newEnv(t)
	f := facts()
	f.Event, f.Start = nil, &campaign.Event{Properties: raw(`[1]`)}
	f.Member.Level = ""
	f.Member.Attributes = map[string]json.RawMessage{
		"city": raw(`5`), "spent": raw(`"199"`), "visits": raw(`1.5`), "score": raw(`"x"`), "vip": raw(`"true"`),
		"birthday": raw(`"yesterday"`), "name": raw(`null`), "level": raw(`{}`), "phone": raw(`"broken`),
	}
	for src, want := range map[string]any{
		`member.city`: "", `member.spent`: cny(0), `member.visits`: int64(0), `member.score`: 0.0, `member.vip`: false,
		`member.birthday`: time.Time{}.UTC(), `member.name`: "", `member.level`: "", `member.phone`: "",
		`event.order`: "", `event.amount == money("0")`: true, `event.time`: time.Time{}.UTC(), `event.id`: "",
		`start.offer`: "", `yuan(event.amount)`: "¥0.00",
		`has(member.city) || has(member.spent) || has(member.visits) || has(member.score)`: false,
		`has(member.vip) || has(member.birthday) || has(member.name) || has(member.level)`: false,
		`has(event.amount) || has(event.id) || has(start.offer) || has(member.phone)`:      false,
	} {
		if got := value(t, env, src, f); got != want {
			t.Errorf("%s = %#v, want %#v", src, got, want)
		}
	}
	f.Offer = nil
	if got := value(t, env, `has(offer.price)`, f); got != false {
		t.Errorf("has(offer.price) without an offer = %v", got)
	}
}

func TestDecoding(t *testing.T) {
	env := newEnv(t)
	f := facts()
	for _, c := range []struct {
		attribute, json, src string
		want                 any
	}{
		{"visits", `3.0`, `member.visits`, int64(3)},
		{"visits", ` 12 `, `member.visits`, int64(12)},
		{"visits", `1e3`, `member.visits`, int64(1000)},
		{"visits", `9007199254740994.0`, `member.visits`, int64(0)},
		{"visits", `9223372036854775807`, `member.visits`, int64(9223372036854775807)},
		{"score", `0x10`, `member.score`, 0.0},
		{"score", `Infinity`, `member.score`, 0.0},
		{"score", `3`, `member.score`, 3.0},
		{"city", `"a\"b\u4e0a"`, `member.city`, `a"b上`},
		{"vip", `false`, `has(member.vip)`, true},
		{"spent", `{"amount":"","currency":""}`, `member.spent`, cny(0)},
		{"spent", `{"amount":"5","currency":"USD"}`, `member.spent`, campaign.Money{Minor: 500, Currency: "USD"}},
		{"level", `"gold"`, `member.level`, "gold"},
		{"birthday", `"0000-01-01T00:00:00Z"`, `has(member.birthday)`, false},
	} {
		f.Member.Attributes[c.attribute] = raw(c.json)
		if got := value(t, env, c.src, f); got != c.want {
			t.Errorf("%s with %s = %#v, want %#v", c.src, c.json, got, c.want)
		}
	}
}

func TestFactsMayChangeBetweenEvaluations(t *testing.T) {
	env := newEnv(t)
	f := facts()
	x := compile(t, env, `member.city + event.order + string(member.points) + string(size(member.tags)) + yuan(offer.price) + string("new" in member.tags)`,
		everywhere(), rules.WantText)
	check := func(want string) {
		t.Helper()
		if got, err := x.Value(f); err != nil || got != want {
			t.Errorf("got %v, %v, want %s", got, err, want)
		}
	}
	check("上海o-232" + "02¥199.00false")
	f.Member.Attributes["city"] = raw(`"北京"`)
	f.Event.Properties = raw(`{"order":"o-9"}`)
	f.Member.Points = 1
	f.Member.Tags[0] = "new"
	f.Offer.Price = cny(100)
	check("北京o-912¥1.00true")
	delete(f.Member.Attributes, "city")
	f.Event = nil
	check("12¥1.00true")
}

func TestEvaluationErrors(t *testing.T) {
	env := newEnv(t)
	f := facts()
	f.Member.Attributes["spent"] = raw(`{"amount":"92233720368547757.00","currency":"CNY"}`)
	f.Start.Properties = raw(`{"amount":{"amount":"1.00","currency":"USD"}}`)
	for src, want := range map[string]string{
		`count("lesson.attended") > 3`:                     `count("lesson.attended") was not fetched`,
		`sum("order.paid", "count", duration("1d")) > 1.0`: `sum("order.paid", "count", duration("24h")) was not fetched`,
		`member.spent + member.spent > money("1")`:         "too large",
		`member.spent * 1000 > money("1")`:                 "too large",
		`-member.spent - member.spent > money("1")`:        "too large",
		`start.amount > money("1")`:                        "cannot compare USD and CNY",
		`start.amount + money("1") == money("2")`:          "cannot add USD and CNY",
		`start.amount / money("1") == 2`:                   "cannot divide USD by CNY",
		`event.amount / (money("1") - money("1")) == 2`:    "division by an amount of 0",
		`10 / (member.points - 320) > 1`:                   "division by zero",
		`member.tags[9] == "x"`:                            "index out of bounds",
		`money(member.city) == money("1")`:                 "is not an amount of money",
		`format(now, member.phone + "Q") == ""`:            "means nothing in a time pattern",
		`member.points + 9223372036854775807 > 0`:          "overflow",
	} {
		_, err := compile(t, env, src, everywhere(), rules.WantBool).Bool(f)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
	x := compile(t, env, `start.amount == money("1")`, everywhere(), rules.WantBool)
	if same, err := x.Bool(f); err != nil || same {
		t.Errorf("1 USD is 1 CNY: %v, %v", same, err)
	}
}

func TestErrorCodes(t *testing.T) {
	env := newEnv(t)
	f := facts()
	f.Offer = nil
	for src, want := range map[string]campaign.Code{
		`offer.price == money("1")`:      campaign.CodeConflict,
		`count("lesson.attended") > 1`:   campaign.CodeInternal,
		`10 / (member.points - 320) > 1`: campaign.CodeInvalid,
	} {
		x := compile(t, env, src, everywhere(), rules.WantBool)
		if _, err := x.Bool(f); campaign.CodeOf(err) != want {
			t.Errorf("%s: %v has the code %s, want %s", src, err, campaign.CodeOf(err), want)
		}
	}
	x := compile(t, env, `member.id == "" || member.points == 0 || size(member.tags) == 0 || member.city == "" || now == member.joined_at`, everywhere(), rules.WantBool)
	for _, f := range []*rules.Facts{nil, {}} {
		if _, err := x.Bool(f); campaign.CodeOf(err) != campaign.CodeInternal || err == nil {
			t.Errorf("facts %v: %v", f, err)
		}
	}
	var none *rules.Expr
	if _, err := none.Bool(facts()); err == nil {
		t.Error("no expression, no error")
	}
	if _, err := compile(t, env, `member.name`, everywhere(), rules.WantAny).Bool(facts()); err == nil {
		t.Error("a text is a condition")
	}
}

func TestMoneyBounds(t *testing.T) {
	env := newEnv(t)
	f := facts()
	for src, want := range map[string]campaign.Money{
		`money("-0.01") * 9223372036854775807 - money("0.01")`:  cny(-1 << 63),
		`money("-0.01") + money("-0.01") * 9223372036854775807`: cny(-1 << 63),
		`money("0.01") * 9223372036854775807 * -1`:              cny(-9223372036854775807),
		`money("0.01") * 9223372036854775807`:                   cny(9223372036854775807),
		`money("46116860184273879.04") * -2`:                    cny(-1 << 63),
		`-money("46116860184273879.04") * 2`:                    cny(-1 << 63),
		`money("0") * 9223372036854775807`:                      cny(0),
		`money("5") - money("5")`:                               cny(0),
	} {
		x, issues := env.Compile(src, everywhere(), rules.WantAny)
		if x == nil {
			t.Errorf("%s: %v", src, issues)
			continue
		}
		if got, err := x.Value(f); err != nil || got != want {
			t.Errorf("%s = %v, %v, want %v", src, got, err, want)
		}
	}
}

func TestWants(t *testing.T) {
	env := newEnv(t)
	f := facts()
	for _, c := range []struct {
		src  string
		want rules.Want
		out  any
	}{
		{`member.points`, rules.WantType(campaign.TypeNumber), 320.0},
		{`member.points`, rules.WantType(campaign.TypeInt), int64(320)},
		{`offer.price`, rules.WantText, "¥199.00"},
		{`offer.expires_at`, rules.WantText, "12-03 20:15"},
		{`0.5`, rules.WantText, "0.5"},
		{`true`, rules.WantText, "true"},
		{`member.vip ? "gold" : "silver"`, rules.WantAttribute(fitness().Member[2]), "gold"},
		{`member.joined_at`, rules.WantType(campaign.TypeTime), noon.Add(-24 * time.Hour).UTC()},
		{`member.spent * 2`, rules.WantType(campaign.TypeMoney), cny(39800)},
	} {
		got, err := compile(t, env, c.src, everywhere(), c.want).Value(f)
		if err != nil || got != c.out {
			t.Errorf("%s = %#v, %v, want %#v", c.src, got, err, c.out)
		}
	}
}
