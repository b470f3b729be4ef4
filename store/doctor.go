package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/store/db"
)

// Finding is what one check of the doctor found.
type Finding struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	// Items are what was found one by one, where it can be told apart.
	Items []Item `json:"items,omitempty"`
}

// Item is one thing that was found, and what was done about it or is to be done.
type Item struct {
	What   string `json:"what"`
	Done   string `json:"done,omitempty"`  // what a repair did
	ToDo   string `json:"to_do,omitempty"` // what is left for a person
	Mended bool   `json:"mended,omitempty"`
}

// Mended reports whether all that was found has been mended.
func (f *Finding) Mended() bool {
	return len(f.Items) > 0 && !slices.ContainsFunc(f.Items, func(i Item) bool { return !i.Mended })
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
			checkPoints, checkPostings, checkGrants, checkStock, checkBudgets, checkClawbacks, checkRedemptions, checkRules, checkBatches, checkCoupons, checkBenefits, checkReviews, checkTeams, checkReferrals, checkSequences, checkIntents, checkEffects,
		} {
			f, err := check(ctx, q)
			if err != nil {
				return err
			}
			findings = append(findings, f)
		}
		f, err := checkCallbacks(ctx, tx)
		findings = append(findings, f)
		return err
	})
	return findings, translate(err, "examine the database")
}

func (s *Store) schemaFinding(ctx context.Context) (f Finding, current bool, err error) {
	f.Check = "migrations"
	have, newest, err := s.Schema(ctx)
	switch {
	case err != nil:
		return f, false, err
	case have == 0:
		f.Detail = "the database is empty: run banyan migrate up"
		return f, false, nil
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

// Schema answers the database's version, 0 while it is empty, and the one that this
// build needs. A newer one will do as well.
func (s *Store) Schema(ctx context.Context) (have, need int64, err error) {
	if need, err = newestMigration(); err != nil {
		return 0, 0, err
	}
	err = s.pool.QueryRow(ctx, "select coalesce(max(version_id), 0) from goose_db_version where is_applied").Scan(&have)
	if hasCode(err, pgUndefinedTable) {
		err = nil
	}
	return have, need, translate(err, "read the database's version")
}

// none makes a finding of a count that must be zero.
func none(check, fine, wrong string, count int64) Finding {
	if count == 0 {
		return Finding{Check: check, OK: true, Detail: fine}
	}
	return Finding{Check: check, Detail: fmt.Sprintf(wrong, count)}
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

func checkClawbacks(ctx context.Context, q *db.Queries) (Finding, error) {
	n, err := q.DoctorClawbacks(ctx)
	return none("clawbacks", "what was taken back is what the ledger holds, and never more than was granted", "%d claw-backs that are not what the ledger holds, or more than was granted", n), err
}

func checkRedemptions(ctx context.Context, q *db.Queries) (Finding, error) {
	n, err := q.DoctorRedemptions(ctx)
	return none("redemptions", "what is reserved and redeemed is what the ledger holds", "%d sums of what is reserved or redeemed are not what the ledger holds", n), err
}

func checkRules(ctx context.Context, q *db.Queries) (Finding, error) {
	n, err := q.DoctorRules(ctx)
	return none("points", "every event gave its points once, and they are what caps, levels and days count", "%d events, days, members or levels do not agree with what the rules of points gave", n), err
}

func checkBatches(ctx context.Context, q *db.Queries) (Finding, error) {
	n, err := q.DoctorBatches(ctx)
	return none("expiry", "what is left of points with an end is their members', and what expired was booked", "%d members, batches or sums of points with an end do not agree", n), err
}

func checkReviews(ctx context.Context, q *db.Queries) (Finding, error) {
	r, err := q.DoctorReviews(ctx)
	if r.Forgotten+r.Untold == 0 {
		return Finding{Check: "reviews", OK: true, Detail: "every open review has a journey that waits for it, and every decision was told"}, err
	}
	return Finding{Check: "reviews", Detail: fmt.Sprintf("%d open reviews for which no journey waits, %d decisions that no journey was told of", r.Forgotten, r.Untold)}, err
}

func checkTeams(ctx context.Context, q *db.Queries) (Finding, error) {
	r, err := q.DoctorTeams(ctx, newsOfTeam)
	if r.Miscounted+r.Untold == 0 {
		return Finding{Check: "teams", OK: true, Detail: "every team counts its members, and those of a formed one were told"}, err
	}
	return Finding{Check: "teams", Detail: fmt.Sprintf("%d teams that count other members than they have, %d formed ones of which somebody was not told", r.Miscounted, r.Untold)}, err
}

func checkSequences(ctx context.Context, q *db.Queries) (Finding, error) {
	n, err := q.DoctorSequences(ctx)
	return none("event numbers", "every member's events are numbered to the last", "%d members whose last event has another number than they remember", n), err
}

func checkStock(ctx context.Context, q *db.Queries) (Finding, error) {
	rows, err := q.DoctorStock(ctx)
	var wrong []string
	for _, r := range rows {
		said := fmt.Sprintf("%s %s: %d counted, %d taken", r.Campaign, r.Offer, r.Taken, r.Counted)
		if int64(r.Held) != r.Holding {
			said += fmt.Sprintf("; %d counted as held, %d held by reservations", r.Held, r.Holding)
		}
		wrong = append(wrong, said)
	}
	return listed("stock", "every stock is the number of offers taken", wrong), err
}

func checkBudgets(ctx context.Context, q *db.Queries) (Finding, error) {
	rows, err := q.DoctorBudgets(ctx)
	var wrong []string
	for _, r := range rows {
		of := r.Campaign + " " + r.Reward
		if r.Day != "" {
			of += " on " + r.Day
		}
		said := fmt.Sprintf("%s: %d used, %d granted, %d left", of, r.Used, r.Granted, r.Available)
		if r.Wrong > 0 {
			said += fmt.Sprintf(", %d accounts that do not hold the sum of their entries", r.Wrong)
		}
		wrong = append(wrong, said)
	}
	return listed("budgets", "every budget's use is the sum of its grants, and what is left is in its accounts", wrong), err
}

func listed(check, fine string, wrong []string) Finding {
	if len(wrong) == 0 {
		return Finding{Check: check, OK: true, Detail: fine}
	}
	return Finding{Check: check, Detail: strings.Join(wrong, "; ")}
}

func checkIntents(ctx context.Context, q *db.Queries) (Finding, error) {
	f := Finding{Check: "router"}
	r, err := q.DoctorIntents(ctx)
	if r.Stuck > 0 {
		f.Detail = fmt.Sprintf("%d intents wait for too long, the oldest for %.0f s: are `banyan serve` and a worker running, and does Temporal answer?", r.Stuck, r.OldestSeconds)
		return f, err
	}
	f.OK, f.Detail = true, fmt.Sprintf("%d intents wait, none for long", r.Waiting)
	return f, err
}

func checkEffects(ctx context.Context, q *db.Queries) (Finding, error) {
	f := Finding{Check: "messages"}
	r, err := q.DoctorEffects(ctx)
	held := ""
	if r.Held > 0 {
		held = fmt.Sprintf("; %d are held by a pause and go out when it ends", r.Held)
	}
	if r.Claimed > 0 {
		f.Detail = fmt.Sprintf("%d were claimed more than an hour ago and are tried still: is the receiver well?%s", r.Claimed, held)
		return f, err
	}
	f.OK, f.Detail = true, "every message is settled or under way"+held
	return f, err
}
