package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// RedemptionState is the life of a redemption: reserved, then one of the others for good.
type RedemptionState string

// States of a redemption.
const (
	RedemptionReserved  RedemptionState = "reserved"
	RedemptionCaptured  RedemptionState = "captured"
	RedemptionCancelled RedemptionState = "cancelled"
	RedemptionExpired   RedemptionState = "expired"
)

// Bounds of a reservation.
const (
	MinReservation = time.Second
	MaxReservation = 30 * 24 * time.Hour
	// MaxRedemption is how many points one redemption may take: what a reward's budget may
	// have at most.
	MaxRedemption = 1_000_000_000_000
)

// Redemption is points that a member redeems with an order. Its times are real.
type Redemption struct {
	ID         string // the caller's
	Member     string
	Points     int64
	Order      string
	State      RedemptionState
	Span       time.Duration // of the reservation, as it was asked for
	ReservedAt time.Time
	ExpiresAt  time.Time // captured until then, and at that moment
	ClosedAt   time.Time // zero: reserved
}

// Reserve sets points of a member aside for an order. The same redemption again is answered
// as it stands; another one under its id is a conflict, and so is one for which she has
// too few points.
func (s *Store) Reserve(ctx context.Context, ask Redemption) (out Redemption, err error) {
	switch {
	case ask.Points <= 0 || ask.Points > MaxRedemption:
		return out, campaign.Errorf(campaign.CodeInvalid, "a redemption takes 1 to %d points", MaxRedemption)
	case ask.Span < MinReservation || ask.Span > MaxReservation:
		return out, campaign.Errorf(campaign.CodeInvalid, "points are reserved for 1s to %s", campaign.FormatDuration(MaxReservation))
	}
	err = s.inMembers(ctx, []string{ask.Member}, func(tx pgx.Tx, q *db.Queries, members []db.Member, now time.Time) error {
		if len(members) == 0 {
			return campaign.Errorf(campaign.CodeNotFound, "there is no member %q", ask.Member)
		}
		row, err := q.GetRedemption(ctx, ask.ID)
		switch {
		case err == nil:
			out = redemptionOf(row)
			if out.Member != ask.Member || out.Points != ask.Points || out.Order != ask.Order || out.Span != ask.Span {
				return campaign.Errorf(campaign.CodeConflict, "redemption %q is another one: %d points of %s for order %s", ask.ID, out.Points, out.Member, out.Order)
			}
			return nil
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		// What is past its end is not hers any more. What she reserved and let expire is hers
		// again, whether the sweep has come or not: as much of it as she needs.
		if err := expirePoints(ctx, tx, []string{ask.Member}, now); err != nil {
			return err
		}
		has, err := q.MemberPoints(ctx, ask.Member)
		for n := ownAtOnce; err == nil && n == ownAtOnce && has < ask.Points; {
			if n, err = expire(ctx, tx, q, []string{ask.Member}, ownAtOnce, now); err != nil {
				return err
			}
			has, err = q.MemberPoints(ctx, ask.Member)
		}
		if err != nil {
			return err
		}
		if has < ask.Points {
			return campaign.Errorf(campaign.CodeConflict, "%s has %d points, %d are asked for", ask.Member, has, ask.Points)
		}
		if err := q.ReserveRedemption(ctx, db.ReserveRedemptionParams{
			ID: ask.ID, Member: ask.Member, Points: ask.Points, OrderID: ask.Order, Seconds: ask.Span.Seconds(), Now: now,
		}); err != nil {
			return err
		}
		if err := q.MovePoints(ctx, db.MovePointsParams{
			Key: "redemption/" + ask.ID + "/reserve", Kind: "reserve", Member: ask.Member, FromKind: "member", ToKind: "reserved", Points: ask.Points,
		}); err != nil {
			return err
		}
		if err := reserveBatches(ctx, tx, ask.ID, ask.Member, ask.Points, now); err != nil {
			return err
		}
		out, err = redemption(ctx, q, ask.ID)
		return err
	})
	if hasCode(err, pgUnique) {
		// Another member's under the same id came first, and was not there yet when we looked.
		err = campaign.Errorf(campaign.CodeConflict, "redemption %q is another one", ask.ID)
	}
	return out, translate(err, "reserve points")
}

// Capture spends what was reserved, up to the moment at which the reservation ends.
func (s *Store) Capture(ctx context.Context, id string) (Redemption, error) {
	return s.closeRedemption(ctx, id, RedemptionCaptured, "capture a redemption")
}

// Cancel gives back what was reserved. What has expired is given back already.
func (s *Store) Cancel(ctx context.Context, id string) (Redemption, error) {
	return s.closeRedemption(ctx, id, RedemptionCancelled, "cancel a redemption")
}

func (s *Store) closeRedemption(ctx context.Context, id string, to RedemptionState, doing string) (out Redemption, err error) {
	member, err := s.queries.RedemptionMember(ctx, id)
	if err != nil {
		return out, found(err, "redemption", id)
	}
	err = s.inMembers(ctx, []string{member}, func(tx pgx.Tx, q *db.Queries, _ []db.Member, now time.Time) error {
		r, err := redemption(ctx, q, id)
		if err != nil {
			return err
		}
		switch over := now.After(r.ExpiresAt); {
		case r.State == to, to == RedemptionCancelled && r.State == RedemptionExpired:
			out = r
			return nil
		case r.State == RedemptionReserved && over && to == RedemptionCaptured, r.State == RedemptionExpired:
			return campaign.Errorf(campaign.CodeConflict, "the reservation of redemption %q ended at %s", id, r.ExpiresAt.UTC().Format(time.RFC3339))
		case r.State == RedemptionReserved && over:
			to = RedemptionExpired
		case r.State != RedemptionReserved:
			return campaign.Errorf(campaign.CodeConflict, "redemption %q was %s at %s", id, r.State, r.ClosedAt.UTC().Format(time.RFC3339))
		}
		if err := finish(ctx, tx, q, &r, to, now); err != nil {
			return err
		}
		out, err = redemption(ctx, q, id)
		return err
	})
	return out, translate(err, doing)
}

// finish gives a reserved redemption its last state, and its points where they belong then.
func finish(ctx context.Context, tx pgx.Tx, q *db.Queries, r *Redemption, state RedemptionState, now time.Time) error {
	kind, to := "release", "member"
	if state == RedemptionCaptured {
		kind, to = "capture", "redeemed"
	}
	if err := q.CloseRedemption(ctx, string(state), now, r.ID); err != nil {
		return err
	}
	if err := q.MovePoints(ctx, db.MovePointsParams{
		Key: "redemption/" + r.ID + "/" + kind, Kind: kind, Member: r.Member, FromKind: "reserved", ToKind: to, Points: r.Points,
	}); err != nil || state == RedemptionCaptured {
		return err
	}
	return releaseBatches(ctx, tx, r.ID, r.Member, now)
}

// ownAtOnce is how many reservations of her own are looked for at a time.
const ownAtOnce = 50

// expire gives these locked members back what they let expire, of at most so many
// reservations, and says of how many.
func expire(ctx context.Context, tx pgx.Tx, q *db.Queries, members []string, most int, now time.Time) (n int, err error) {
	rows, err := q.OverdueOf(ctx, members, now, int32(most))
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		r := redemptionOf(row)
		if err := finish(ctx, tx, q, &r, RedemptionExpired, now); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// ExpireRedemptions gives back what was reserved too long ago, of at most so many
// redemptions, and says of how many it has found that they are due.
func (s *Store) ExpireRedemptions(ctx context.Context, most int) (n int, err error) {
	members, err := s.queries.OverdueRedemptions(ctx, int32(most))
	if err != nil || len(members) == 0 {
		return 0, translate(err, "look for expired reservations")
	}
	done, err := orAlone(ctx, unique(members), func(list []string) error {
		return s.inMembers(ctx, list, func(tx pgx.Tx, q *db.Queries, _ []db.Member, now time.Time) error {
			_, err := expire(ctx, tx, q, list, most, now)
			return err
		})
	})
	return swept(len(members), done), translate(err, "give back expired reservations")
}

// inMembers does something with these members locked, at the moment that the clock shows
// after that.
func (s *Store) inMembers(ctx context.Context, ids []string, do func(tx pgx.Tx, q *db.Queries, members []db.Member, now time.Time) error) error {
	return s.inQuickTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		members, err := q.LockMembers(ctx, ids)
		if err != nil {
			return err
		}
		now, err := q.RedemptionClock(ctx)
		if err != nil {
			return err
		}
		return do(tx, q, members, now)
	})
}

// Redemption reads one redemption.
func (s *Store) Redemption(ctx context.Context, id string) (Redemption, error) {
	r, err := redemption(ctx, s.queries, id)
	if err != nil {
		return r, found(err, "redemption", id)
	}
	return r, nil
}

// MemberRedemptions lists a member's redemptions, the newest first, those after the one given.
func (s *Store) MemberRedemptions(ctx context.Context, member, after string, size int) ([]Redemption, error) {
	if _, err := s.queries.GetMember(ctx, member); err != nil {
		return nil, found(err, "member", member)
	}
	rows, err := s.queries.ListRedemptions(ctx, member, after, int32(size))
	if err != nil {
		return nil, translate(err, "list redemptions")
	}
	out := make([]Redemption, len(rows))
	for i, row := range rows {
		out[i] = redemptionOf(row)
	}
	return out, nil
}

func redemption(ctx context.Context, q *db.Queries, id string) (Redemption, error) {
	row, err := q.GetRedemption(ctx, id)
	return redemptionOf(row), err
}

func redemptionOf(r db.Redemption) Redemption {
	return Redemption{
		ID: r.ID, Member: r.Member, Points: r.Points, Order: r.OrderID, State: RedemptionState(r.State),
		Span:       time.Duration(r.Span.Days)*24*time.Hour + time.Duration(r.Span.Microseconds)*time.Microsecond,
		ReservedAt: r.ReservedAt, ExpiresAt: r.ExpiresAt, ClosedAt: orZero(r.ClosedAt),
	}
}
