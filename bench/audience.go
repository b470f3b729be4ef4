package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
	"github.com/banyanhq/banyan/store"
)

func audienceBench() *benchmark {
	return &benchmark{
		name: "audience", title: "an audience by CEL",
		about: "How many members a condition holds for. Banyan puts what it can of the condition to PostgreSQL and asks CEL about those who are left, if that was not all of it. " +
			"Beside it the same question in SQL, written by hand, and a loop in Go that reads all members. All three must count the same.",
		sizes: []size{
			{name: "members", about: "members asked about", usual: 300_000, short: 1000, full: 1_000_000},
			{name: "rounds", about: "times that each is measured", usual: 3, short: 1, full: 5},
		},
		run: runAudience,
	}
}

// question is a condition in the three ways.
type question struct {
	name, source, sql string
	plain             func(m *person) bool
}

// person is what the loop in Go reads of a member.
type person struct {
	points     int64
	joined     time.Time
	tags       []string
	attributes []byte
}

func (p *person) attribute(name string, into any) bool {
	var all map[string]json.RawMessage
	return json.Unmarshal(p.attributes, &all) == nil && json.Unmarshal(all[name], into) == nil
}

func questions() []question {
	since := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	return []question{
		{
			name:   "columns",
			source: `member.points > 300 && member.joined_at > timestamp("2026-11-01T00:00:00Z") && "parent" in member.tags`,
			sql:    `points > 300 and joined_at > '2026-11-01T00:00:00Z' and 'parent' = any (tags)`,
			plain: func(p *person) bool {
				return p.points > 300 && p.joined.After(since) && slices.Contains(p.tags, "parent")
			},
		},
		{
			name:   "attributes",
			source: `member.level == "gold" && member.visits >= 10`,
			sql:    `attributes ->> 'level' = 'gold' and (attributes ->> 'visits')::int >= 10`,
			plain: func(p *person) bool {
				var level string
				var visits int
				return p.attribute("level", &level) && level == "gold" && p.attribute("visits", &visits) && visits >= 10
			},
		},
		{
			name:   "a part that PostgreSQL is not asked",
			source: `member.points > 300 && member.name.matches("^小.明$")`,
			sql:    `points > 300 and attributes ->> 'name' ~ '^小.明$'`,
			plain: func(p *person) bool {
				var name string
				if p.points <= 300 || !p.attribute("name", &name) {
					return false
				}
				runes := []rune(name)
				return len(runes) == 3 && runes[0] == '小' && runes[2] == '明'
			},
		},
	}
}

func runAudience(ctx context.Context, r *run) (err error) {
	h, err := openHouse(ctx, r, "")
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, h.close()) }()
	// Spread by a multiplication, so that neighbours in the table are no neighbours in
	// what is asked.
	if _, err := h.pool.Exec(ctx, `
		insert into members (id, joined_at, points, tags, attributes)
		select 'm-' || i, timestamptz '2026-12-01' - (i::bigint * 7919 % 90) * interval '1 day', i::bigint * 104729 % 1000,
		       case when i % 5 = 0 then '{parent,早鸟}' else '{早鸟}' end::text[],
		       jsonb_build_object('level', (array['bronze', 'silver', 'gold'])[1 + i % 3], 'visits', i::bigint * 31 % 30,
		                          'name', (array['小王明', '小李明', '大明', '王小明'])[1 + i % 4], 'city', '上海')
		  from generate_series(1, $1::int) i`, r.size("members")); err != nil {
		return fmt.Errorf("make the members: %w", err)
	}
	if _, err := h.pool.Exec(ctx, `vacuum analyze members`); err != nil {
		return fmt.Errorf("analyze: %w", err)
	}
	env, issues := rules.New(&campaign.Definition{
		Language: 1, Name: "audience", Timezone: "Asia/Shanghai", Currency: "CNY",
		Member: []campaign.Property{
			{Name: "visits", Type: campaign.TypeInt}, {Name: "level", Type: campaign.TypeString}, {Name: "name", Type: campaign.TypeString},
		},
	})
	if len(issues) > 0 {
		return fmt.Errorf("the members cannot be declared: %v", issues)
	}
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for _, q := range questions() {
		x, issues := env.Compile(q.source, rules.Scope{}, rules.WantBool)
		if len(issues) > 0 {
			return fmt.Errorf("%s does not compile: %v", q.source, issues)
		}
		of := fmt.Sprintf("%s members, %s: `%s`", number(float64(r.size("members"))), q.name, q.source)
		pushed := x.Audience(now)
		counts := map[string]int64{}
		timed := func(by string, count func() (int64, error)) func(int) error {
			return func(int) error {
				began := time.Now()
				n, err := count()
				if err != nil {
					return err
				}
				counts[by] = n
				r.add(of, "time", by, "ms", float64(time.Since(began).Microseconds())/1000)
				return nil
			}
		}
		if err := rounds(r.size("rounds"),
			timed("Banyan, CEL", func() (int64, error) { return h.audience(ctx, x, pushed, now) }),
			timed("SQL by hand", func() (int64, error) {
				return one[int64](ctx, h.pool, `select count(*) from members where `+q.sql)
			}),
			timed("a loop in Go", func() (int64, error) { return h.countLoop(ctx, q.plain) }),
		); err != nil {
			return err
		}
		for by, n := range counts {
			if n != counts["SQL by hand"] || n == 0 {
				return fmt.Errorf("%s: the counts differ: %v (%s)", q.source, counts, by)
			}
		}
		ratio := r.median(of, "time", "Banyan, CEL") / r.median(of, "time", "SQL by hand")
		if pushed.Exact {
			r.atMost(of, "times the SQL by hand", ratio, 1.3)
		} else {
			r.say("`%s` is asked of PostgreSQL as far as `%s`, and CEL decides about those whom that lets through; that took %s times the SQL by hand.",
				q.source, strings.ReplaceAll(pushed.SQL, "`", "'"), number(ratio))
		}
	}
	return nil
}

// audience counts as Banyan does: PostgreSQL alone where its answer is exact, else CEL
// for whom it lets through.
func (h *house) audience(ctx context.Context, x *rules.Expr, pushed rules.Audience, now time.Time) (n int64, err error) {
	condition := store.Condition{SQL: pushed.SQL, Args: pushed.Args}
	if pushed.Exact {
		return h.store.CountAudience(ctx, condition)
	}
	err = h.store.EachInAudience(ctx, condition, func(m *campaign.Member) error {
		if holds, err := x.Bool(&rules.Facts{Now: now, Member: m}); err == nil && holds {
			n++
		}
		return nil
	})
	return n, err
}

// countLoop reads all members and decides in Go.
func (h *house) countLoop(ctx context.Context, holds func(*person) bool) (n int64, err error) {
	rows, err := h.pool.Query(ctx, `select points, joined_at, tags, attributes from members`)
	if err != nil {
		return 0, fmt.Errorf("read the members: %w", err)
	}
	defer rows.Close()
	var p person
	for rows.Next() {
		if err := rows.Scan(&p.points, &p.joined, &p.tags, &p.attributes); err != nil {
			return 0, fmt.Errorf("read a member: %w", err)
		}
		if holds(&p) {
			n++
		}
	}
	return n, rows.Err()
}
