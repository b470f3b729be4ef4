package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/store/db"
)

// Finding is what one check of the doctor found.
type Finding struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Examine recomputes what must be true of the data and compares. It changes nothing.
func (s *Store) Examine(ctx context.Context) ([]Finding, error) {
	schema, current, err := s.schemaFinding(ctx)
	if err != nil || !current {
		return []Finding{schema}, err
	}
	findings := []Finding{schema}
	err = s.inSnapshot(ctx, func(tx pgx.Tx, q *db.Queries) error {
		findings = findings[:1]
		// Sums over everything take longer than anything else that Banyan asks.
		if _, err := tx.Exec(ctx, "set local statement_timeout = '10min'"); err != nil {
			return err
		}
		for _, check := range []func(context.Context, *db.Queries) (Finding, error){
			checkPoints, checkPostings, checkGrants, checkStock, checkBudgets, checkSequences, checkIntents, checkEffects, checkOverdue,
		} {
			f, err := check(ctx, q)
			if err != nil {
				return err
			}
			findings = append(findings, f)
		}
		return nil
	})
	return findings, translate(err, "examine the database")
}

func (s *Store) schemaFinding(ctx context.Context) (f Finding, current bool, err error) {
	f.Check = "migrations"
	newest, err := newestMigration()
	if err != nil {
		return f, false, err
	}
	var have int64
	err = s.pool.QueryRow(ctx, "select coalesce(max(version_id), 0) from goose_db_version where is_applied").Scan(&have)
	switch {
	case hasCode(err, pgUndefinedTable):
		f.Detail = "the database is empty: run banyan migrate up"
		return f, false, nil
	case err != nil:
		return f, false, translate(err, "read the database's version")
	case have < newest:
		f.Detail = fmt.Sprintf("the database has version %d, this build needs %d: run banyan migrate up", have, newest)
		return f, false, nil
	case have > newest:
		f.OK, f.Detail = true, fmt.Sprintf("the database has version %d, newer than this build's %d", have, newest)
		return f, true, nil
	}
	f.OK, f.Detail = true, fmt.Sprintf("version %d", have)
	return f, true, nil
}

// none makes a finding of a count that must be zero.
func none(check, fine, wrong string, count int64) Finding {
	if count == 0 {
		return Finding{check, true, fine}
	}
	return Finding{check, false, fmt.Sprintf(wrong, count)}
}

func checkPoints(ctx context.Context, q *db.Queries) (Finding, error) {
	n, err := q.DoctorPoints(ctx)
	return none("balances", "every member's points are the sum of her entries", "%d members have points that are not the sum of their entries", n), err
}

func checkPostings(ctx context.Context, q *db.Queries) (Finding, error) {
	n, err := q.DoctorPostings(ctx)
	return none("ledger", "every posting sums to zero", "%d postings are empty or do not sum to zero", n), err
}

func checkGrants(ctx context.Context, q *db.Queries) (Finding, error) {
	n, err := q.DoctorGrants(ctx)
	return none("grants", "every grant is booked once", "%d grants without a posting, or postings without a grant", n), err
}

func checkSequences(ctx context.Context, q *db.Queries) (Finding, error) {
	n, err := q.DoctorSequences(ctx)
	return none("event numbers", "every member's events are numbered to the last", "%d members whose last event has another number than they remember", n), err
}

func checkStock(ctx context.Context, q *db.Queries) (Finding, error) {
	rows, err := q.DoctorStock(ctx)
	var wrong []string
	for _, r := range rows {
		wrong = append(wrong, fmt.Sprintf("%s %s: %d counted, %d taken", r.Campaign, r.Offer, r.Taken, r.Counted))
	}
	return listed("stock", "every stock is the number of offers taken", wrong), err
}

func checkBudgets(ctx context.Context, q *db.Queries) (Finding, error) {
	rows, err := q.DoctorBudgets(ctx)
	var wrong []string
	for _, r := range rows {
		wrong = append(wrong, fmt.Sprintf("%s %s: %d used, %d granted", r.Campaign, r.Reward, r.Used, r.Granted))
	}
	return listed("budgets", "every budget's use is the sum of its grants", wrong), err
}

func listed(check, fine string, wrong []string) Finding {
	if len(wrong) == 0 {
		return Finding{check, true, fine}
	}
	return Finding{check, false, strings.Join(wrong, "; ")}
}

func checkIntents(ctx context.Context, q *db.Queries) (Finding, error) {
	r, err := q.DoctorIntents(ctx)
	if r.Stuck > 0 {
		return Finding{"router", false, fmt.Sprintf(
			"%d intents wait for more than a minute, the oldest for %.0f s: is a server running, and does Temporal answer?", r.Stuck, r.OldestSeconds)}, err
	}
	return Finding{"router", true, fmt.Sprintf("%d intents wait, none for long", r.Waiting)}, err
}

func checkEffects(ctx context.Context, q *db.Queries) (Finding, error) {
	r, err := q.DoctorEffects(ctx)
	if r.Claimed > 0 || r.Unknown > 0 {
		return Finding{"messages", false, fmt.Sprintf(
			"%d claimed more than an hour ago and not settled, %d whose outcome is unknown", r.Claimed, r.Unknown)}, err
	}
	return Finding{"messages", true, "every message is settled or under way"}, err
}

func checkOverdue(ctx context.Context, q *db.Queries) (Finding, error) {
	n, err := q.DoctorOverdue(ctx)
	return none("journeys", "no journey has slept through its moment", "%d journeys are overdue by five minutes: is a worker running?", n), err
}
