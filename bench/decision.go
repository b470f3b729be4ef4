package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

func decisionBench() *benchmark {
	return &benchmark{
		name: "decision", title: "one decision in CEL, beside the same predicate in Go",
		about: "Each case asks 4,096 different members or events in turn. The Go functions read the same stored facts: " +
			"columns as they are, attributes and properties as the JSON that PostgreSQL keeps.",
		sizes: []size{
			{name: "rounds", about: "times that each is measured", usual: 5, short: 1, full: 9},
			{name: "milliseconds", about: "how long each measurement runs", usual: 300, short: 5, full: 1000},
		},
		run: runDecision,
	}
}

// predicate is a condition in both languages.
type predicate struct {
	name, source string
	plain        func(f *rules.Facts) bool
	scalar       bool // the goal holds for plain facts
}

func predicates() []predicate {
	since := time.Date(2026, 12, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600))
	return []predicate{
		{
			name: "numbers, times and tags", scalar: true,
			source: `member.points > 3 && member.joined_at > timestamp("2026-12-01T00:00:00+08:00") && "parent" in member.tags`,
			plain: func(f *rules.Facts) bool {
				return f.Member.Points > 3 && f.Member.JoinedAt.After(since) && slices.Contains(f.Member.Tags, "parent")
			},
		},
		{
			name: "number", scalar: true, source: `member.points > 3`,
			plain: func(f *rules.Facts) bool { return f.Member.Points > 3 },
		},
		{
			name: "behaviour", scalar: true, source: `count("lesson.attended", duration("720h")) >= 4 && !("staff" in member.tags)`,
			plain: func(f *rules.Facts) bool {
				return f.Behaviour[regularVisits].Count >= 4 && !slices.Contains(f.Member.Tags, "staff")
			},
		},
		{
			name: "attributes", source: `member.visits > 3 && member.level == "gold"`,
			plain: func(f *rules.Facts) bool {
				var visits int64
				return json.Unmarshal(f.Member.Attributes["visits"], &visits) == nil && visits > 3 && f.Member.Level == "gold"
			},
		},
		{
			name: "event with money", source: `event.offer == "monthly-card" && event.amount >= money("199")`,
			plain: func(f *rules.Facts) bool {
				var e struct {
					Offer  string
					Amount struct{ Amount, Currency string }
				}
				if json.Unmarshal(f.Event.Properties, &e) != nil || e.Amount.Currency != "CNY" {
					return false
				}
				whole, fraction, _ := strings.Cut(e.Amount.Amount, ".")
				var minor int64
				if _, err := fmt.Sscan(whole+(fraction + "00")[:2], &minor); err != nil {
					return false
				}
				return e.Offer == "monthly-card" && minor >= 19900
			},
		},
	}
}

var regularVisits = campaign.Behaviour{Function: "count", Event: "lesson.attended", Within: 720 * time.Hour}

func decisionFacts() []*rules.Facts {
	now := time.Date(2026, 12, 3, 12, 0, 0, 0, time.FixedZone("", 8*3600))
	all := make([]*rules.Facts, 4096)
	for i := range all {
		m := &campaign.Member{
			ID: fmt.Sprintf("m-%d", i), Points: int64(i % 50), JoinedAt: now.Add(-time.Duration(i%100) * time.Hour),
			Level: []string{"bronze", "silver", "gold"}[i%3], Tags: []string{"早鸟"},
			Attributes: map[string]json.RawMessage{
				"visits": json.RawMessage(fmt.Sprint(i % 30)), "level": json.RawMessage(`"` + []string{"bronze", "silver", "gold"}[i%3] + `"`),
			},
		}
		if i%2 == 0 {
			m.Tags = append(m.Tags, "parent")
		}
		all[i] = &rules.Facts{
			Now: now, Member: m,
			Event: &campaign.Event{
				ID: fmt.Sprintf("e-%d", i), Type: "order.paid", Member: m.ID, Time: now,
				Properties: json.RawMessage(fmt.Sprintf(`{"order":"o-%d","offer":"monthly-card","amount":{"amount":"%d.00","currency":"CNY"}}`, i, 190+i%20)),
			},
			Behaviour: map[campaign.Behaviour]campaign.BehaviourValue{regularVisits: {Count: int64(i % 8)}},
		}
	}
	return all
}

func runDecision(_ context.Context, r *run) error {
	testing.Init()
	if err := flag.Set("test.benchtime", fmt.Sprintf("%dms", r.size("milliseconds"))); err != nil {
		return fmt.Errorf("set how long to measure: %w", err)
	}
	env, issues := rules.New(&campaign.Definition{
		Language: 1, Name: "decision", Timezone: "Asia/Shanghai", Currency: "CNY",
		Member: []campaign.Property{{Name: "visits", Type: campaign.TypeInt}, {Name: "level", Type: campaign.TypeString}},
		Events: []campaign.EventType{
			{Name: "order.paid", Properties: []campaign.Property{
				{Name: "order", Type: campaign.TypeString}, {Name: "offer", Type: campaign.TypeString}, {Name: "amount", Type: campaign.TypeMoney},
			}},
			{Name: "lesson.attended", Properties: []campaign.Property{{Name: "lesson", Type: campaign.TypeString}}},
		},
	})
	if len(issues) > 0 {
		return fmt.Errorf("the facts cannot be declared: %v", issues)
	}
	facts := decisionFacts()
	for _, p := range predicates() {
		x, issues := env.Compile(p.source, rules.Scope{Event: []string{"order.paid"}}, rules.WantBool)
		if len(issues) > 0 {
			return fmt.Errorf("%s does not compile: %v", p.source, issues)
		}
		for _, f := range facts {
			if got, err := x.Bool(f); err != nil || got != p.plain(f) {
				return fmt.Errorf("%s: CEL says %v (%w), Go says %v", p.source, got, err, p.plain(f))
			}
		}
		of := fmt.Sprintf("%s: `%s`", p.name, p.source)
		measure := func(by string, decide func(f *rules.Facts) bool) func(int) error {
			return func(int) error {
				result := testing.Benchmark(func(b *testing.B) { //nolint:thelper // it is no helper
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						decide(facts[i%len(facts)])
					}
				})
				r.add(of, "time", by, "ns", float64(result.T.Nanoseconds())/float64(result.N))
				r.add(of, "allocations", by, "", float64(result.AllocsPerOp()))
				return nil
			}
		}
		if err := rounds(r.size("rounds"),
			measure("CEL", func(f *rules.Facts) bool { ok, _ := x.Bool(f); return ok }),
			measure("Go", p.plain),
		); err != nil {
			return err
		}
		ratio := r.median(of, "time", "CEL") / r.median(of, "time", "Go")
		if p.scalar {
			r.atMost(of, "allocations of a decision", r.median(of, "allocations", "CEL"), 0)
		}
		r.atMost(of, "times Go's", ratio, 25)
	}
	return nil
}
