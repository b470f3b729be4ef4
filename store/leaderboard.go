package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// MaxRank is up to which rank a member's own is told exactly. To find it, as many entries of
// an index are counted; behind it is told that she is behind it.
const MaxRank = 10_000

// Ranking names one ranking of a campaign: over a period of its calendar, as a whole or, of a
// group of its leaderboard, within one part.
type Ranking struct {
	Campaign    string
	Board, Part string
	Period      campaign.Period
	At          time.Time // a moment in the period; zero: now
}

// Ranked is a member's place. Members with the same points have the same rank; in a list they
// stand in the order of their ids.
type Ranked struct {
	Rank   int64 // 0: behind MaxRank, or without points
	Member string
	Points int64
}

// Leaderboard is the top of a ranking.
type Leaderboard struct {
	Begins, Ends time.Time // of the period, campaign time; zero: all time
	Top          []Ranked
	Own          *Ranked // of the member who was asked about
}

const (
	topSQL = `
select member, points from point_scores
 where campaign = $1 and board = $2 and part = $3 and period = $4 and begins = $5::date and points > 0
 order by points desc, member limit $6`

	// How many are before the first of the list who has her points, and before a member.
	beforeSQL = `
select count(*) from (
       select from point_scores where campaign = $1 and board = $2 and part = $3 and period = $4 and begins = $5::date and points > $6
        order by points desc limit $7) better`

	ownSQL = `
select points from point_scores where member = $1 and campaign = $2 and board = $3 and part = $4 and period = $5 and begins = $6::date`
)

// Leaderboard reads the first of a ranking and, unless member is empty, where she stands.
// What is read does not grow with the members who have points.
func (s *Store) Leaderboard(ctx context.Context, r Ranking, top int, member string) (out Leaderboard, err error) {
	err = s.inSnapshot(ctx, func(tx pgx.Tx, q *db.Queries) error {
		out = Leaderboard{}
		c, err := campaignNow(ctx, q, r.Campaign)
		if err != nil {
			return err
		}
		def, err := definition(ctx, q, c.Digest)
		if err != nil {
			return err
		}
		if err := r.kept(def); err != nil {
			return err
		}
		loc, err := def.Location()
		if err != nil {
			return err
		}
		at := r.At
		if at.IsZero() {
			at = c.Now
		}
		begins := r.Period.Of(campaign.DayOf(at, loc))
		if r.Period != campaign.PeriodAll {
			out.Begins, out.Ends = begins.Begins(loc), r.Period.After(begins).Begins(loc)
		}
		if _, err := tx.Exec(ctx, planOnceSQL); err != nil {
			return err
		}
		return out.read(ctx, tx, r, begins, top, member)
	})
	return out, translate(err, "read the leaderboard")
}

// kept answers why the campaign has no such ranking.
func (r *Ranking) kept(def *campaign.Definition) error {
	var board *campaign.Leaderboard
	if def.Points != nil {
		board = def.Points.Leaderboard
	}
	if board == nil {
		return campaign.Errorf(campaign.CodeNotFound, "campaign %s keeps no leaderboard: it has no points.leaderboard", def.Name)
	}
	if !board.Has(r.Period) {
		return campaign.Errorf(campaign.CodeNotFound, "campaign %s keeps no leaderboard of a %s: see points.leaderboard.periods", def.Name, r.Period)
	}
	if r.Board != "" && !board.HasGroup(r.Board) {
		return campaign.Errorf(campaign.CodeNotFound, "the leaderboard of campaign %s has no group %q: see points.leaderboard.groups", def.Name, r.Board)
	}
	return nil
}

func (b *Leaderboard) read(ctx context.Context, tx pgx.Tx, r Ranking, begins campaign.Day, top int, member string) error {
	found, err := tx.Query(ctx, topSQL, r.Campaign, r.Board, r.Part, r.Period, begins.String(), top)
	if err != nil {
		return err
	}
	var one Ranked
	if _, err := pgx.ForEachRow(found, []any{&one.Member, &one.Points}, func() error {
		one.Rank = int64(len(b.Top)) + 1
		if n := len(b.Top); n > 0 && b.Top[n-1].Points == one.Points {
			one.Rank = b.Top[n-1].Rank
		}
		b.Top = append(b.Top, one)
		return nil
	}); err != nil || member == "" {
		return err
	}
	own := &Ranked{Member: member}
	b.Own = own
	err = tx.QueryRow(ctx, ownSQL, member, r.Campaign, r.Board, r.Part, r.Period, begins.String()).Scan(&own.Points)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil || own.Points <= 0:
		return err
	}
	var before int64
	if err := tx.QueryRow(ctx, beforeSQL, r.Campaign, r.Board, r.Part, r.Period, begins.String(), own.Points, MaxRank).Scan(&before); err != nil {
		return err
	}
	if before < MaxRank {
		own.Rank = before + 1
	}
	return nil
}

// Names are the attributes `name` of members, where they are texts.
func (s *Store) Names(ctx context.Context, ids []string) (map[string]string, error) {
	found, err := s.pool.Query(ctx, `
select id, attributes ->> 'name' from members where id = any($1::text[]) and jsonb_typeof(attributes -> 'name') = 'string'`, ids)
	if err != nil {
		return nil, translate(err, "read names")
	}
	out := map[string]string{}
	var id, name string
	_, err = pgx.ForEachRow(found, []any{&id, &name}, func() error {
		out[id] = name
		return nil
	})
	return out, translate(err, "read names")
}
