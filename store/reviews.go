package store

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Review is a question to a person, as it stands now. Its times are on the campaign's
// clock. It names the member by her id and holds nothing else of her.
type Review struct {
	ID          int64
	Kind        campaign.ReviewKind
	Campaign    string
	Version     int
	Journey     string
	JourneyRow  int64
	Member      string
	Step        string
	Offer       string
	Event       string
	Detail      map[string]string
	Role        string
	Backup      string
	About       string
	Otherwise   campaign.ReviewDecision
	State       campaign.ReviewState
	At          time.Time // opened
	EscalatesAt time.Time // zero: there is no backup
	ClosesAt    time.Time // zero: it waits for ever
	ClaimedBy   string    // empty where the claim fell to the backup with the question
	ClaimedAt   time.Time
	DecidedBy   string // empty in a closed one: nobody decided in time
	Reason      string
	DecidedAt   time.Time
	Now         time.Time

	key string
}

// Asked is the role that is asked now; empty where none is.
func (r *Review) Asked() string {
	switch {
	case r.State != campaign.ReviewOpen || r.over():
		return ""
	case r.escalated():
		return r.Backup
	}
	return r.Role
}

func (r *Review) escalated() bool { return !r.EscalatesAt.IsZero() && !r.Now.Before(r.EscalatesAt) }

// over reports whether the time to decide has passed, though no turn may have closed the
// review so far. The last moment itself is in time, as it is for a turn.
func (r *Review) over() bool { return !r.ClosesAt.IsZero() && r.Now.After(r.ClosesAt) }

// decidable answers why nobody can decide the review any more.
func (r *Review) decidable() error {
	const refused = campaign.CodeConflict
	at := func(t time.Time) string { return t.Format(time.RFC3339) }
	switch {
	case r.State == campaign.ReviewWithdrawn:
		return campaign.Errorf(refused, "review %d was withdrawn at %s, because the member left the journey; there is nothing to decide any more", r.ID, at(r.DecidedAt))
	case r.State != campaign.ReviewOpen && r.DecidedBy == "":
		return campaign.Errorf(refused, "the time for review %d was over at %s, and nobody had decided, so it counts as %s", r.ID, at(r.DecidedAt), r.State)
	case r.State != campaign.ReviewOpen:
		return campaign.Errorf(refused, "review %d was %s by %s at %s", r.ID, r.State, r.DecidedBy, at(r.DecidedAt))
	case r.over():
		return campaign.Errorf(refused, "the time for review %d was over at %s, and nobody had decided, so it counts as %s", r.ID, at(r.ClosesAt), r.Otherwise.State())
	}
	return nil
}

// free answers why somebody may not take the review in hand.
func (r *Review) free(who string) error {
	if r.ClaimedBy != "" && r.ClaimedBy != who {
		return campaign.Errorf(campaign.CodeConflict, "%s has claimed review %d since %s; it can be decided by others when the claim is released",
			r.ClaimedBy, r.ID, r.ClaimedAt.Format(time.RFC3339))
	}
	return nil
}

// ReviewFilter says which reviews a list is about; what is empty does not matter.
type ReviewFilter struct {
	State    campaign.ReviewState
	Campaign string
	Kind     campaign.ReviewKind
	Role     string // the one that is asked now
}

// Reviews lists reviews in the order in which they were opened, behind the one with the
// number after.
func (s *Store) Reviews(ctx context.Context, f ReviewFilter, after int64, most int) ([]Review, error) {
	var rows []db.ListReviewsRow
	var err error
	if f.State == campaign.ReviewOpen {
		var open []db.ListOpenReviewsRow
		open, err = s.queries.ListOpenReviews(ctx, db.ListOpenReviewsParams{
			After: after, Campaign: f.Campaign, Kind: string(f.Kind), Role: f.Role, Most: int32(most),
		})
		for _, row := range open {
			rows = append(rows, db.ListReviewsRow(row))
		}
	} else {
		rows, err = s.queries.ListReviews(ctx, db.ListReviewsParams{
			After: after, State: string(f.State), Campaign: f.Campaign, Kind: string(f.Kind), Role: f.Role, Most: int32(most),
		})
	}
	if err != nil {
		return nil, translate(err, "list the reviews")
	}
	out := make([]Review, len(rows))
	for i, row := range rows {
		if out[i], err = reviewOf(db.GetReviewRow(row)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Review reads one review.
func (s *Store) Review(ctx context.Context, id int64) (Review, error) {
	return review(ctx, s.queries, id)
}

func review(ctx context.Context, q *db.Queries, id int64) (Review, error) {
	row, err := q.GetReview(ctx, id)
	if err != nil {
		return Review{}, found(err, "review", strconv.FormatInt(id, 10))
	}
	return reviewOf(row)
}

// ClaimReview lets one person take a review in hand; to others it is refused until she
// releases it or the backup is asked. Claiming it again changes nothing.
func (s *Store) ClaimReview(ctx context.Context, id int64, who string) (Review, error) {
	return s.changeReview(ctx, id, "claim a review", func(q *db.Queries, r *Review) error {
		if err := errOr(r.decidable(), r.free(who)); err != nil {
			return err
		}
		if r.ClaimedBy == who {
			return nil
		}
		return q.ClaimReview(ctx, who, &r.Now, id)
	})
}

// ReleaseReview gives a claimed review back, whoever had claimed it.
func (s *Store) ReleaseReview(ctx context.Context, id int64) (Review, error) {
	return s.changeReview(ctx, id, "release a review", func(q *db.Queries, r *Review) error {
		if err := r.decidable(); err != nil {
			return err
		}
		return q.ClaimReview(ctx, "", nil, id)
	})
}

func (s *Store) changeReview(ctx context.Context, id int64, doing string, do func(*db.Queries, *Review) error) (out Review, err error) {
	err = s.inQuickTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		if err := q.LockReview(ctx, id); err != nil {
			return err
		}
		r, err := review(ctx, q, id)
		if err != nil {
			return err
		}
		if err := do(q, &r); err != nil {
			return err
		}
		out, err = review(ctx, q, id)
		return err
	})
	return out, translate(err, doing)
}

// DecideReview takes a person's decision, once: whoever comes second is told who decided,
// and whoever comes after the time is over what holds instead.
//
// Where a journey waits, the decision becomes an event of the member. It is stored under
// her lock like every other, so that the journey judges it in its place among them, and
// the router wakes the journey. Whether it was in time is decided here, by the clock that
// was read under that lock, and the journey comes to the same.
func (s *Store) DecideReview(ctx context.Context, id int64, decision campaign.ReviewDecision, who, reason string) (out Review, err error) {
	err = s.inQuickTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		member, err := q.ReviewMember(ctx, id)
		if err != nil {
			return found(err, "review", strconv.FormatInt(id, 10))
		}
		// Members before reviews, as a turn does it.
		held, err := q.LockMembers(ctx, []string{member})
		if err != nil {
			return err
		}
		if err := q.LockReview(ctx, id); err != nil {
			return err
		}
		row, err := q.GetReview(ctx, id)
		if err != nil {
			return err
		}
		for _, m := range held {
			if m.LastStored.After(row.Now) {
				row.Now = m.LastStored
			}
		}
		r, err := reviewOf(row)
		if err != nil {
			return err
		}
		if err := errOr(r.decidable(), r.free(who)); err != nil {
			return err
		}
		if err := q.DecideReview(ctx, db.DecideReviewParams{
			ID: id, State: string(decision.State()), Who: who, Reason: reason, At: &r.Now,
		}); err != nil {
			return err
		}
		if r.Kind == campaign.ReviewDecide {
			err = tellDecision(ctx, q, &r, row.Now, campaign.Verdict{Review: r.key, Decision: decision, By: who, Reason: reason})
		} else {
			if err = traceDecision(ctx, tx, &r, decision, who, reason); err == nil && r.Kind.Approvable() {
				err = tellDecision(ctx, q, &r, row.Now, campaign.Verdict{Review: r.key, Decision: decision, By: who, Reason: reason})
			}
		}
		if err != nil {
			return err
		}
		out, err = review(ctx, q, id)
		return err
	})
	if err == nil {
		s.Notify()
	}
	return out, translate(err, "decide a review")
}

// errOr is the first of two errors.
func errOr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// tellDecision stores the event by which the journey learns of a decision. A review is
// decided once, so its number makes the event's id.
func tellDecision(ctx context.Context, q *db.Queries, r *Review, stored time.Time, v campaign.Verdict) error {
	properties, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return q.StoreDecision(ctx, db.StoreDecisionParams{
		Event: campaign.OwnEventID("review/" + strconv.FormatInt(r.ID, 10)), Type: campaign.EventReviewDecided, Member: r.Member,
		At: r.Now, StoredAt: stored, Properties: properties,
	})
}

// traceDecision writes a decision about a payment into the story of the journey, which
// may long be over and does not wait for it.
func traceDecision(ctx context.Context, tx pgx.Tx, r *Review, decision campaign.ReviewDecision, who, reason string) error {
	var lines traceColumns
	if err := lines.add(r.JourneyRow, 0, r.Campaign, int32(r.Version), []campaign.TraceLine{{
		At: r.Now, Step: r.Step, Kind: campaign.TraceReviewDecided,
		Params: map[string]string{"decided": string(decision.State()), "by": who, "why": reason, "kind": string(r.Kind)},
	}}); err != nil {
		return err
	}
	var batch pgx.Batch
	lines.queue(&batch)
	return tx.SendBatch(ctx, &batch).Close()
}

func reviewOf(row db.GetReviewRow) (Review, error) {
	r := Review{
		ID: row.ID, Kind: campaign.ReviewKind(row.Kind), Campaign: row.Campaign, Version: int(row.Version), Journey: row.JourneyName,
		JourneyRow: row.Journey, Member: row.Member, Step: row.Step, Offer: row.Offer, Event: row.Event, Role: row.Role, Backup: row.Backup,
		About: row.About, Otherwise: campaign.ReviewDecision(row.Otherwise), State: campaign.ReviewState(row.State), At: row.At,
		EscalatesAt: orZero(row.EscalatesAt), ClosesAt: orZero(row.ClosesAt), ClaimedBy: row.ClaimedBy, ClaimedAt: orZero(row.ClaimedAt),
		DecidedBy: row.DecidedBy, Reason: row.Reason, DecidedAt: orZero(row.DecidedAt), key: row.Key,
		Now: clock(row.ClockFactor, row.ClockReal, row.ClockStart).At(row.Now),
	}
	if err := json.Unmarshal(row.Detail, &r.Detail); err != nil {
		return Review{}, err
	}
	if r.State == campaign.ReviewOpen && r.escalated() && r.ClaimedAt.Before(r.EscalatesAt) {
		r.ClaimedBy, r.ClaimedAt = "", time.Time{}
	}
	return r, nil
}
