package rules_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// fitness is the campaign of the language's own page, with some more to read.
func fitness() *campaign.Definition {
	return &campaign.Definition{
		Language: 1, Name: "fitness-trial", Title: "9.9 元体验课 → 月卡", Timezone: "Asia/Shanghai", Currency: "CNY",
		Member: []campaign.Property{
			{Name: "name", Type: campaign.TypeString},
			{Name: "city", Type: campaign.TypeString},
			{Name: "level", Type: campaign.TypeString, OneOf: []string{"bronze", "silver", "gold"}},
			{Name: "spent", Type: campaign.TypeMoney},
			{Name: "visits", Type: campaign.TypeInt},
			{Name: "score", Type: campaign.TypeNumber},
			{Name: "vip", Type: campaign.TypeBool},
			{Name: "birthday", Type: campaign.TypeTime},
			{Name: "phone", Type: campaign.TypeString},
		},
		Events: []campaign.EventType{
			{Name: "order.paid", Properties: []campaign.Property{
				{Name: "order", Type: campaign.TypeString},
				{Name: "offer", Type: campaign.TypeString},
				{Name: "amount", Type: campaign.TypeMoney},
				{Name: "count", Type: campaign.TypeInt},
			}},
			{Name: "order.refunded", Properties: []campaign.Property{
				{Name: "order", Type: campaign.TypeString},
				{Name: "amount", Type: campaign.TypeString},
			}},
			{Name: "lesson.attended", Properties: []campaign.Property{{Name: "lesson", Type: campaign.TypeString}}},
		},
		Segments: []campaign.Segment{
			{Name: "newcomer", When: `now - member.joined_at < duration("168h")`},
			{Name: "regular", When: `count("lesson.attended", duration("720h")) >= 4`},
			{Name: "staff", When: `"staff" in member.tags`},
			{Name: "core", When: `segment("regular") && !segment("staff")`},
		},
		Offers: []campaign.Offer{{Name: "monthly-card", Title: "月卡"}},
		Rewards: []campaign.Reward{
			{Name: "first-card", Points: 100},
			{Name: "bring-friend", Points: 200, Budget: 100_000, BudgetPerDay: 2000},
		},
		Journeys: []campaign.Journey{{
			Name:   "trial-to-card",
			Starts: []campaign.Start{{Event: "order.paid"}},
			Steps: campaign.Steps{
				&campaign.Await{Events: []string{"lesson.attended"}, Otherwise: campaign.Steps{
					&campaign.Await{Events: []string{"order.refunded"}},
				}},
				&campaign.MakeOffer{Offer: "monthly-card"},
			},
		}},
	}
}

func newEnv(t testing.TB) *rules.Env {
	t.Helper()
	env, issues := rules.New(fitness())
	for _, issue := range issues {
		t.Errorf("issue: %v", issue)
	}
	return env
}

// everywhere reads all there is, with events whose properties agree.
func everywhere() rules.Scope {
	return rules.Scope{Event: []string{"order.paid"}, Start: []string{"order.paid"}, HasStart: true, Offer: true, Budgets: true}
}

var (
	shanghai = time.FixedZone("CST", 8*3600)
	noon     = time.Date(2026, 12, 3, 12, 0, 0, 0, shanghai)
	regular  = campaign.Behaviour{Function: "count", Event: "lesson.attended", Within: 720 * time.Hour}
)

func cny(minor int64) campaign.Money { return campaign.Money{Minor: minor, Currency: "CNY"} }

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func facts() *rules.Facts {
	return &rules.Facts{
		Now: noon,
		Member: &campaign.Member{
			ID: "m-1024", JoinedAt: noon.Add(-24 * time.Hour), Source: "poster", Inviter: "m-7", Level: "silver",
			Tags: []string{"parent", "早鸟"}, Points: 320,
			Attributes: map[string]json.RawMessage{
				"name": raw(`"王小明"`), "city": raw(`"上海"`), "spent": raw(`{"amount":"199.00","currency":"CNY"}`),
				"visits": raw(`7`), "score": raw(`0.75`), "vip": raw(`true`), "birthday": raw(`"1990-05-01T00:00:00+08:00"`),
				"phone": raw(`"13812345678"`),
			},
		},
		Event: &campaign.Event{
			ID: "e-2", Type: "order.paid", Time: noon.Add(-time.Minute),
			Properties: raw(`{"order":"o-2","offer":"monthly-card","amount":{"amount":"199.00","currency":"CNY"},"count":2}`),
		},
		Start: &campaign.Event{
			ID: "e-1", Type: "order.paid", Time: noon.Add(-time.Hour),
			Properties: raw(`{"order":"o-1","offer":"trial","amount":{"amount":"9.90","currency":"CNY"}}`),
		},
		Offer: &rules.OfferView{
			ID: "of-1", Name: "monthly-card", Title: "月卡", Price: cny(19900), ListPrice: cny(29900),
			ExpiresAt: time.Date(2026, 12, 3, 12, 15, 0, 0, time.UTC),
		},
		Behaviour: map[campaign.Behaviour]campaign.BehaviourValue{
			regular: {Count: 5},
			{Function: "budget", Event: "bring-friend", Property: "left"}:                           {Count: 1400},
			{Function: "budget", Event: "bring-friend", Property: "left_today"}:                     {Count: 600},
			{Function: "count", Event: "order.paid"}:                                                {Count: 2},
			{Function: "sum", Event: "order.paid", Property: "amount"}:                              {Minor: 20890},
			{Function: "sum", Event: "order.paid", Property: "amount", Within: 30 * 24 * time.Hour}: {Minor: 19900},
			{Function: "sum", Event: "order.paid", Property: "count"}:                               {Sum: 3},
			{Function: "last", Event: "order.paid"}:                                                 {Last: noon.Add(-time.Minute)},
			{Function: "last", Event: "lesson.attended"}:                                            {},
		},
	}
}

func compile(t testing.TB, env *rules.Env, src string, sc rules.Scope, want rules.Want) *rules.Expr {
	t.Helper()
	x, issues := env.Compile(src, sc, want)
	if len(issues) > 0 || x == nil {
		t.Fatalf("%s: %v", src, issues)
	}
	return x
}

func value(t testing.TB, env *rules.Env, src string, f *rules.Facts) any {
	t.Helper()
	v, err := compile(t, env, src, everywhere(), rules.WantAny).Value(f)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return v
}
