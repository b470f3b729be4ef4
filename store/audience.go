package store

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Condition is a question about one row m of the table of members. Its SQL holds no
// values: those are Args, for the placeholders $1, $2, …
type Condition struct {
	SQL  string
	Args []any
}

// CountAudience counts the members for whom a condition holds.
func (s *Store) CountAudience(ctx context.Context, c Condition) (n int64, err error) {
	err = s.pool.QueryRow(ctx, "select count(*) from members m where "+c.SQL, c.Args...).Scan(&n)
	return n, translate(err, "count an audience")
}

// page is the end of a query that pages by id.
func (c Condition) page(after string, most int) (sql string, args []any) {
	n := len(c.Args)
	sql = " from members m where (" + c.SQL + ") and m.id > $" + strconv.Itoa(n+1) + "::text order by m.id limit $" + strconv.Itoa(n+2) + "::bigint"
	return sql, append(c.Args[:n:n], after, int64(most))
}

// AudienceIDs lists up to most members by id, those after the id given, for whom a
// condition holds. It reads ids alone, for conditions that are the whole answer.
func (s *Store) AudienceIDs(ctx context.Context, c Condition, after string, most int) ([]string, error) {
	sql, args := c.page(after, most)
	rows, err := s.pool.Query(ctx, "select m.id"+sql, args...)
	if err != nil {
		return nil, translate(err, "page through an audience")
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return ids, translate(err, "page through an audience")
}

// AudienceOutside is AudienceIDs without those who are in a journey already and may not
// come again now.
func (s *Store) AudienceOutside(ctx context.Context, c Condition, name string, j *campaign.Journey, after string, most int) (ids []string, err error) {
	if j.Entry.Rule != campaign.EntryEveryTime {
		// Looked up by the member alone, one after the other, whatever PostgreSQL believes of
		// a table that was empty a minute ago: read whole for each page, it would cost more
		// with every page.
		n := len(c.Args)
		inside := "select from journeys j where j.member = m.id and j.campaign || '' = $" + strconv.Itoa(n+1) + "::text and j.journey || '' = $" +
			strconv.Itoa(n+2) + "::text"
		if j.Entry.Rule == campaign.EntryAfterExit || j.Entry.Rule == campaign.EntryAgainAfter {
			inside += " and j.status || '' = 'active'"
		}
		c = Condition{SQL: "(" + c.SQL + ") and not exists (" + inside + " offset 0)", Args: append(c.Args[:n:n], name, j.Name)}
	}
	sql, args := c.page(after, most)
	var id string
	err = s.quick(ctx, func(r pgx.BatchResults) error {
		return rows(r, func() error { ids = append(ids, id); return nil }, &id)
	}, "select m.id"+sql, args...)
	return ids, translate(err, "page through an audience")
}

// Audience is AudienceIDs with all that a rule can read of a member, for conditions that
// let through more than are wanted.
func (s *Store) Audience(ctx context.Context, c Condition, after string, most int) ([]campaign.Member, error) {
	sql, args := c.page(after, most)
	members := make([]campaign.Member, 0, most)
	err := s.audience(ctx, sql, args, func(m *campaign.Member) error {
		members = append(members, *m)
		return nil
	})
	return members, err
}

// EachInAudience hands every member for whom a condition holds to do, in no order. It is
// one query, several times as fast as paging; so do must not take long, nor ask the
// store for anything that could wait for a connection.
func (s *Store) EachInAudience(ctx context.Context, c Condition, do func(*campaign.Member) error) error {
	return s.audience(ctx, " from members m where "+c.SQL, c.Args, do)
}

// pointsNowSQL are a member's points without what is past its end and not booked as such yet.
const pointsNowSQL = `m.points - case when m.points_end <= statement_timestamp() then (select coalesce(sum(b.remaining), 0)::bigint from point_batches b
 where b.member = m.id and b.remaining > 0 and b.ends_at <= statement_timestamp()) else 0 end`

func (s *Store) audience(ctx context.Context, sql string, args []any, do func(*campaign.Member) error) error {
	rows, err := s.pool.Query(ctx, "select m.id, m.attributes, m.tags, m.joined_at, m.source, m.inviter, m.levels, "+pointsNowSQL+sql, args...)
	if err != nil {
		return translate(err, "read an audience")
	}
	var r db.Member
	_, err = pgx.ForEachRow(rows, []any{&r.ID, &r.Attributes, &r.Tags, &r.JoinedAt, &r.Source, &r.Inviter, &r.Levels, &r.Points}, func() error {
		m, err := memberOf(r)
		if err != nil {
			return err
		}
		return do(&m)
	})
	return translate(err, "read an audience")
}

// PastOf answers questions about the past of members as of now, in their order.
func (s *Store) PastOf(ctx context.Context, members []campaign.Member, now time.Time, about []campaign.Behaviour) ([]map[campaign.Behaviour]campaign.BehaviourValue, error) {
	list := make([]past, len(members))
	out := make([]map[campaign.Behaviour]campaign.BehaviourValue, len(members))
	for i := range members {
		out[i] = make(map[campaign.Behaviour]campaign.BehaviourValue, len(about))
		list[i] = past{"", members[i].ID, now, about, out[i]}
	}
	var q questions
	askBehaviour(list, q.ask)
	return out, translate(q.send(ctx, s.pool), "look up what members did")
}
