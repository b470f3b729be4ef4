package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

func grantsBench() *benchmark {
	return &benchmark{
		name: "grants", title: "points granted within a budget",
		about: "A grant locks its member, claims its key, draws from the budget's account and is booked by double entry, in one transaction; the budget is exact, and lends blocks of itself to leases. " +
			"pgbench does what one would write by hand: it takes from the budget in one row, on condition that enough is left, and notes the grant. Then everybody waits for that row. " +
			"PostgreSQL waits for the disk at every commit.",
		sizes: []size{
			{name: "rounds", about: "times that each is measured", usual: 3, short: 1, full: 5},
			{name: "seconds", about: "how long each measurement runs", usual: 6, short: 1, full: 15},
			{name: "clients", about: "connections that grant side by side", usual: 48, short: 8, full: 48},
			{name: "members", about: "members to whom is granted", usual: 20000, short: 500, full: 100000},
			{name: "page", about: "members in a page of a journey with drive: slices", usual: 500, short: 50, full: 500},
		},
		run: runGrants,
	}
}

const grantCampaign = `
campaign: grants
title: grants
events:
  go: {}
rewards:
  budgeted: {points: 10, budget: 1000000000000}
  daily: {points: 10, budget: {total: 1000000000000, per_day: 100000000000}}
  free: {points: 10}
journeys:
  way:
    start: {api: true}
    goal: {on: go}
    steps:
      - grant: budgeted
      - grant: daily
      - grant: free
`

// hotRow is a budget as one would write it by hand.
const hotRow = `
create table hot_budget (id int primary key, cap bigint not null, used bigint not null) with (fillfactor = 50);
insert into hot_budget values (1, 1000000000000, 0);
create table hot_grants (key text primary key, member text not null, points bigint not null, at timestamptz not null default clock_timestamp());
create table hot_points (member text primary key, points bigint not null) with (fillfactor = 80);
create sequence hot_number;
insert into hot_points select id, 0 from members;
`

const hotScript = `\set m random(1, %d)
begin;
update hot_budget set used = used + 10 where id = 1 and used + 10 <= cap;
insert into hot_grants (key, member, points) select 'g-' || n, '%s-' || :m, 10 from nextval('hot_number') as n;
update hot_points set points = points + 10 where member = '%s-' || :m;
commit;
`

// granter grants to members in turn, each time under a key of its own.
type granter struct {
	h    *house
	name string
	rows []int64
	zone *time.Location
	last atomic.Int64
}

func runGrants(ctx context.Context, r *run) (err error) {
	clients := r.size("clients")
	g, s, done, err := openGranter(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, done()) }()
	bench, err := g.h.pgbench()
	if err != nil {
		return err
	}
	// What a connection makes once, its plans, is made before anything is measured.
	warm, warming := errgroup.WithContext(ctx)
	for range 4 * clients {
		warm.Go(func() error {
			for _, reward := range []string{"budgeted", "daily", "free"} {
				if err := g.grant(warming, s, reward, 1); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := warm.Wait(); err != nil {
		return err
	}
	const what = "granted"
	single := fmt.Sprintf("one grant a transaction, %d clients", clients)
	if err := rounds(r.size("rounds"),
		g.measure(ctx, s, single, "Banyan, a budget", clients, 1, "budgeted"),
		g.pgbench(ctx, bench, hotScript, single, what, "pgbench, one hot row", "grants/s", clients),
		g.measure(ctx, s, single, "Banyan, a budget in all and a day", clients, 1, "daily"),
		g.measure(ctx, s, single, "Banyan, no budget", clients, 1, "free"),
	); err != nil {
		return err
	}
	const writers = 4
	page := r.size("page")
	many := fmt.Sprintf("%d grants a transaction, %d clients", page, writers)
	if err := rounds(r.size("rounds"),
		g.measure(ctx, s, many, "Banyan, a budget", writers, page, "budgeted"),
		g.measure(ctx, s, many, "Banyan, a budget in all and a day", writers, page, "daily"),
	); err != nil {
		return err
	}
	for _, by := range []string{"Banyan, a budget", "Banyan, a budget in all and a day"} {
		r.atLeast(single, by+", grants a second", r.median(single, what, by), 3000)
	}
	r.atLeast(single, "times the rate of one hot row", r.median(single, what, "Banyan, a budget")/r.median(single, what, "pgbench, one hot row"), 2)
	r.atLeast(many, "Banyan, a budget, grants a second", r.median(many, what, "Banyan, a budget"), 10000)
	return g.sound(ctx)
}

// openGranter opens a house with members who can be granted to, and a store with a connection
// for each client; done closes both.
func openGranter(ctx context.Context, r *run) (g *granter, s *store.Store, done func() error, err error) {
	h, err := openHouse(ctx, r, "")
	if err != nil {
		return nil, nil, nil, err
	}
	done = h.close
	defer func() {
		if err != nil {
			err = firstOf(err, done())
		}
	}()
	if s, err = store.Open(ctx, h.url, store.WithApplicationName("bench"), store.WithMaxConns(r.size("clients"))); err != nil {
		return nil, nil, nil, err
	}
	done = func() error {
		s.Close()
		return h.close()
	}
	g = &granter{h: h}
	if g.zone, err = time.LoadLocation("Asia/Shanghai"); err != nil {
		return nil, nil, nil, fmt.Errorf("find the timezone: %w", err)
	}
	return g, s, done, g.open(ctx)
}

// open makes the members, each with a journey, and the table of the budget by hand.
func (g *granter) open(ctx context.Context) (err error) {
	if g.name, err = g.h.submit(ctx, grantCampaign, nil); err != nil {
		return err
	}
	n := g.h.run.size("members")
	for _, sql := range []string{
		`insert into members (id, joined_at) select $1 || '-' || i, now() from generate_series(1, $2::int) i`,
		`insert into journeys (campaign, version, digest, journey, member, entry, workflow_id, state, cursor, entered_by, entered_at)
			select $1, 1, '', 'way', $1 || '-' || i, 1, $1 || '/' || i, '{}', 0, 'api', now() from generate_series(1, $2::int) i`,
	} {
		if _, err := g.h.pool.Exec(ctx, sql, g.name, n); err != nil {
			return fmt.Errorf("make the members: %w", err)
		}
	}
	if _, err := g.h.pool.Exec(ctx, hotRow); err != nil {
		return fmt.Errorf("make the budget by hand: %w", err)
	}
	rows, err := g.h.pool.Query(ctx, `select id from journeys order by id`)
	if err != nil {
		return fmt.Errorf("list the journeys: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("list the journeys: %w", err)
		}
		g.rows = append(g.rows, id)
	}
	return rows.Err()
}

// grant grants a reward to the next members, in one transaction.
func (g *granter) grant(ctx context.Context, s *store.Store, reward string, n int) error {
	first := g.last.Add(int64(n)) - int64(n)
	rows, keys := make([]int64, n), make([]string, n)
	for i := range rows {
		rows[i] = g.rows[(first+int64(i))%int64(len(g.rows))]
		keys[i] = "g-" + strconv.FormatInt(first+int64(i), 10)
	}
	return g.grantTo(ctx, s, reward, rows, keys)
}

// grantTo grants a reward under keys to the members of journeys, in one transaction.
func (g *granter) grantTo(ctx context.Context, s *store.Store, reward string, rows []int64, keys []string) error {
	return s.InTurns(ctx, rows, func(page *store.PageTx) error {
		questions := make([]store.Question, len(rows))
		for i, row := range rows {
			turn, err := page.Turn(row)
			if err != nil {
				return err
			}
			questions[i] = store.Question{Of: turn, Turn: 1, Ask: &campaign.Ask{
				Key:   keys[i],
				Grant: &campaign.GrantAsk{Reward: reward, Points: 10, Step: "1", Zone: g.zone},
			}}
		}
		answers, err := page.Answer(ctx, questions)
		for _, a := range answers {
			if err == nil && !a.OK {
				err = fmt.Errorf("a grant was refused: %s", a.Reason)
			}
		}
		return err
	})
}

// clean puts away what was measured before, so that every measurement begins alike.
func (g *granter) clean(ctx context.Context) error {
	for _, sql := range []string{`truncate hot_grants`, `vacuum analyze members, journeys, ledger_accounts, budgets, hot_budget, hot_points`, `checkpoint`} {
		if _, err := g.h.pool.Exec(ctx, sql); err != nil {
			return fmt.Errorf("clean up: %w", err)
		}
	}
	return nil
}

func (g *granter) measure(ctx context.Context, s *store.Store, of, by string, clients, size int, reward string) func(int) error {
	return func(int) error {
		if err := g.clean(ctx); err != nil {
			return err
		}
		var granted atomic.Int64
		length := time.Duration(g.h.run.size("seconds")) * time.Second
		began := time.Now()
		group, ctx := errgroup.WithContext(ctx)
		for range clients {
			group.Go(func() error {
				for time.Since(began) < length {
					if err := g.grant(ctx, s, reward, size); err != nil {
						return err
					}
					granted.Add(int64(size))
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		g.h.run.add(of, "granted", by, "grants/s", float64(granted.Load())/time.Since(began).Seconds())
		return nil
	}
}

func (g *granter) pgbench(ctx context.Context, bench, text, of, what, by, unit string, clients int) func(int) error {
	return func(int) error {
		if err := g.clean(ctx); err != nil {
			return err
		}
		script, err := os.CreateTemp("", "banyan-bench-*.sql")
		if err != nil {
			return fmt.Errorf("write pgbench's script: %w", err)
		}
		defer func() { _ = os.Remove(script.Name()) }()
		if _, err := fmt.Fprintf(script, text, g.h.run.size("members"), g.name, g.name); err != nil {
			return fmt.Errorf("write pgbench's script: %w", err)
		}
		if err := script.Close(); err != nil {
			return fmt.Errorf("write pgbench's script: %w", err)
		}
		cmd := exec.CommandContext(ctx, bench, "--no-vacuum", "--protocol=prepared", "--client="+strconv.Itoa(clients), "--jobs=2",
			"--time="+strconv.Itoa(g.h.run.size("seconds")), "--file="+script.Name(), g.h.url)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("run pgbench: %w\n%s", err, out)
		}
		match := tps.FindSubmatch(out)
		if match == nil {
			return fmt.Errorf("pgbench says no rate:\n%s", out)
		}
		n, err := strconv.ParseFloat(string(match[1]), 64)
		g.h.run.add(of, what, by, unit, n)
		return err
	}
}

// sound asks the doctor whether all that was granted adds up.
func (g *granter) sound(ctx context.Context) error {
	findings, err := g.h.store.Examine(ctx)
	if err != nil {
		return err
	}
	for _, f := range findings {
		if !f.OK {
			return fmt.Errorf("the books are wrong: %s: %s", f.Check, f.Detail)
		}
	}
	return nil
}
