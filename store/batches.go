package store

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Points with an end stand in batches. A member's row is locked while hers are changed, and
// whoever takes points from her or gives her some keeps this true: what her batches hold is
// not more than her balance, and nothing where she owes.

const (
	openBatchesSQL = `
select b.member, b.id, b.key, b.ends_at, b.remaining from unnest($1::text[]) as i (member)
  join point_batches b on b.member = i.member and b.remaining > 0`

	addBatchesSQL = `
insert into point_batches (key, member, campaign, points, remaining, ends_at)
select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[])`

	drawBatchesSQL = `
update point_batches b set remaining = b.remaining - i.points
  from unnest($1::bigint[], $2::bigint[]) as i (id, points) where b.id = i.id`

	firstEndsSQL = `
update members m set points_end = (select min(b.ends_at) from point_batches b where b.member = m.id and b.remaining > 0)
 where m.id = any($1::text[])`

	overBatchesSQL = `
select b.id, b.member, b.remaining, b.sweeps from unnest($1::text[]) as i (member)
  join point_batches b on b.member = i.member and b.remaining > 0 and b.ends_at <= $2
 order by b.id`

	sweepBatchesSQL = `
update point_batches set expired = expired + remaining, remaining = 0, sweeps = sweeps + 1 where id = any($1::bigint[])`

	// What may come back into a batch: what it was, less what is in it, has expired, or was taken
	// back of what it came from, were it from points that she had else.
	batchRoomsSQL = `
select b.id, b.points - b.expired - b.remaining
       - coalesce((select sum(c.taken) from clawbacks c where c.grant_key = b.key), 0)::bigint
       - coalesce((select g.taken from point_gains g
                    where g.campaign = b.campaign and g.rule = split_part(b.key, '/', 3)
                      and b.key = 'points/' || g.campaign || '/' || g.rule || '/' || g.event
                      and g.event = substr(b.key, length('points/' || b.campaign || '/' || split_part(b.key, '/', 3) || '/') + 1)), 0)
  from point_batches b where b.id = any($1::bigint[])`

	postPointsSQL = `select post_points($1, $2, $3, $4, $5, $6, $7, $8)`

	// What is past its end and not booked as such yet. The clock is read here, behind the locks.
	overPointsSQL = `
select b.member, sum(b.remaining)::bigint from unnest($1::text[]) as i (member)
  join point_batches b on b.member = i.member and b.remaining > 0 and b.ends_at <= clock_timestamp()
 group by b.member`
)

// postings are movements of points of one kind, each under its key.
type postings struct {
	keys, rewards, fromKinds, fromOwners, toKinds, toOwners []string
	points                                                  []int64
}

func (p *postings) add(key, reward, fromKind, fromOwner, toKind, toOwner string, points int64) {
	p.keys, p.rewards = append(p.keys, key), append(p.rewards, reward)
	p.fromKinds, p.fromOwners = append(p.fromKinds, fromKind), append(p.fromOwners, fromOwner)
	p.toKinds, p.toOwners = append(p.toKinds, toKind), append(p.toOwners, toOwner)
	p.points = append(p.points, points)
}

// queue adds the postings to a batch; post makes them at once.
func (p *postings) queue(batch *pgx.Batch, kind string) {
	if len(p.keys) > 0 {
		batch.Queue(postPointsSQL, kind, p.keys, p.rewards, p.fromKinds, p.fromOwners, p.toKinds, p.toOwners, p.points)
	}
}

func (p *postings) post(ctx context.Context, on db.DBTX, kind string) error {
	if len(p.keys) == 0 {
		return nil
	}
	_, err := on.Exec(ctx, postPointsSQL, kind, p.keys, p.rewards, p.fromKinds, p.fromOwners, p.toKinds, p.toOwners, p.points)
	return err
}

// newBatch is points with an end that a member was just given.
type newBatch struct {
	key, member, campaign string
	points                int64
	ends                  time.Time // real
}

// held are the batches and balances of locked members.
type held struct {
	batches map[string]campaign.Batches
	byKey   map[string]int64 // batch by the key of the posting that gave it
	balance map[string]int64
}

func holdings(ctx context.Context, on db.DBTX, members []string) (*held, error) {
	h := &held{batches: map[string]campaign.Batches{}, byKey: map[string]int64{}, balance: map[string]int64{}}
	var (
		member, key string
		b           campaign.Batch
		points      int64
	)
	found, err := on.Query(ctx, openBatchesSQL, members)
	if err != nil {
		return nil, err
	}
	if _, err := pgx.ForEachRow(found, []any{&member, &b.ID, &key, &b.Ends, &b.Left}, func() error {
		h.batches[member] = append(h.batches[member], b)
		h.byKey[key] = b.ID
		return nil
	}); err != nil {
		return nil, err
	}
	for _, list := range h.batches {
		list.Sort()
	}
	found, err = on.Query(ctx, `select id, points from members where id = any($1::text[])`, members)
	if err != nil {
		return nil, err
	}
	_, err = pgx.ForEachRow(found, []any{&member, &points}, func() error {
		h.balance[member] = points
		return nil
	})
	return h, err
}

// addBatches opens batches for points that locked members were just given. What pays a debt
// is in none.
func addBatches(ctx context.Context, on db.DBTX, list []newBatch) error {
	if len(list) == 0 {
		return nil
	}
	members := make([]string, len(list))
	for i := range list {
		members[i] = list[i].member
	}
	members = unique(members)
	h, err := holdings(ctx, on, members)
	if err != nil {
		return err
	}
	var (
		keys, whose, campaigns []string
		points, left           []int64
		ends                   []time.Time
	)
	for _, b := range list {
		opening := h.batches[b.member].Opening(b.points, h.balance[b.member])
		h.batches[b.member] = append(h.batches[b.member], campaign.Batch{Left: opening})
		keys, whose, campaigns = append(keys, b.key), append(whose, b.member), append(campaigns, b.campaign)
		points, left, ends = append(points, b.points), append(left, opening), append(ends, b.ends)
	}
	if _, err := on.Exec(ctx, addBatchesSQL, keys, whose, campaigns, points, left, ends); err != nil {
		return err
	}
	_, err = on.Exec(ctx, firstEndsSQL, members)
	return err
}

// draws collects what is taken from batches, which may be several times from one.
type draws map[int64]int64

func (d draws) add(parts []campaign.Part) {
	for _, p := range parts {
		d[p.Batch] += p.Points
	}
}

// save takes it from them; below zero it is given back.
func (d draws) save(ctx context.Context, on db.DBTX, members []string) error {
	var ids, points []int64
	for id, n := range d {
		ids, points = append(ids, id), append(points, n)
	}
	if len(ids) == 0 {
		return nil
	}
	if _, err := on.Exec(ctx, drawBatchesSQL, ids, points); err != nil {
		return err
	}
	_, err := on.Exec(ctx, firstEndsSQL, unique(members))
	return err
}

// expirePoints books what these locked members have let pass its end, each batch once.
func expirePoints(ctx context.Context, on db.DBTX, members []string, now time.Time) error {
	found, err := on.Query(ctx, overBatchesSQL, unique(members), now)
	if err != nil {
		return err
	}
	var (
		id, remaining int64
		sweeps        int
		member        string
		ids           []int64
		whose         []string
		p             postings
	)
	if _, err := pgx.ForEachRow(found, []any{&id, &member, &remaining, &sweeps}, func() error {
		ids, whose = append(ids, id), append(whose, member)
		p.add("expire/"+strconv.FormatInt(id, 10)+"/"+strconv.Itoa(sweeps+1), "", "member", member, "expired", "", remaining)
		return nil
	}); err != nil || len(ids) == 0 {
		return err
	}
	if err := p.post(ctx, on, "expire"); err != nil {
		return err
	}
	if _, err := on.Exec(ctx, sweepBatchesSQL, ids); err != nil {
		return err
	}
	_, err = on.Exec(ctx, firstEndsSQL, unique(whose))
	return err
}

// ExpirePoints books points that are past their end, and says of how many batches it has
// found that they are, which are at most so many; of their members it books all. Who reads a
// balance never counts them, whether this has come or not.
func (s *Store) ExpirePoints(ctx context.Context, most int) (n int, err error) {
	var members []string
	rows, err := s.pool.Query(ctx, `select member from point_batches where remaining > 0 and ends_at <= clock_timestamp() order by ends_at limit $1`, most)
	if err == nil {
		members, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil || len(members) == 0 {
		return 0, translate(err, "look for points past their end")
	}
	done, err := orAlone(ctx, unique(members), func(list []string) error {
		return s.inMembers(ctx, list, func(tx pgx.Tx, _ *db.Queries, _ []db.Member, now time.Time) error {
			return expirePoints(ctx, tx, list, now)
		})
	})
	return swept(len(members), done), translate(err, "book points past their end")
}

// drawPoints takes what leaves a locked member from her batches and answers the parts, from
// the one first that was given under a key; empty: from none. What is past its end has been
// booked before.
func drawPoints(ctx context.Context, on db.DBTX, member string, points int64, first string, now time.Time) ([]campaign.Part, error) {
	h, err := holdings(ctx, on, []string{member})
	if err != nil {
		return nil, err
	}
	parts := h.batches[member].Draw(points, h.byKey[first], now)
	d := draws{}
	d.add(parts)
	return parts, d.save(ctx, on, []string{member})
}

// reserveBatches takes the points of a reservation from the member's batches and keeps from
// which, for the case that they are given back.
func reserveBatches(ctx context.Context, on db.DBTX, redemption, member string, points int64, now time.Time) error {
	parts, err := drawPoints(ctx, on, member, points, "", now)
	if err != nil || len(parts) == 0 {
		return err
	}
	ids, amounts := make([]int64, len(parts)), make([]int64, len(parts))
	for i, p := range parts {
		ids[i], amounts[i] = p.Batch, p.Points
	}
	_, err = on.Exec(ctx, `insert into point_draws (redemption, batch, points) select $1, i.* from unnest($2::bigint[], $3::bigint[]) as i`, redemption, ids, amounts)
	return err
}

// releaseBatches gives the points of a reservation back to the batches that they came from,
// as far as the member does not owe them by now. What is past its end meanwhile expires. Where
// an order went back while they were reserved, what was taken for it from other points is not
// taken from the batch a second time when that ends: so much of it has no end any more.
func releaseBatches(ctx context.Context, on db.DBTX, redemption, member string, now time.Time) error {
	rows, err := on.Query(ctx, `delete from point_draws where redemption = $1 returning batch, points`, redemption)
	if err != nil {
		return err
	}
	parts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[campaign.Part])
	if err != nil || len(parts) == 0 {
		return err
	}
	h, err := holdings(ctx, on, []string{member})
	if err != nil {
		return err
	}
	ids := make([]int64, len(parts))
	for i, p := range parts {
		ids[i] = p.Batch
	}
	if rows, err = on.Query(ctx, batchRoomsSQL, ids); err != nil {
		return err
	}
	var (
		rooms    = map[int64]int64{}
		id, room int64
	)
	if _, err := pgx.ForEachRow(rows, []any{&id, &room}, func() error { rooms[id] = room; return nil }); err != nil {
		return err
	}
	slices.SortFunc(parts, func(a, b campaign.Part) int { return int(min(1, max(-1, a.Batch-b.Batch))) })
	batches, d := h.batches[member], draws{}
	for _, p := range parts {
		back := batches.Opening(min(p.Points, max(0, rooms[p.Batch])), h.balance[member])
		batches = append(batches, campaign.Batch{Left: back})
		if back > 0 {
			d[p.Batch] -= back
		}
	}
	if err := d.save(ctx, on, []string{member}); err != nil {
		return err
	}
	return expirePoints(ctx, on, []string{member}, now)
}

// withoutOver takes from members' points what is past its end and not booked as such yet.
// ends says whose points have an end at all.
func withoutOver(ctx context.Context, on db.DBTX, ends map[string]bool, members map[string]*campaign.Member) error {
	if len(ends) == 0 {
		return nil
	}
	ids := make([]string, 0, len(ends))
	for id := range ends {
		ids = append(ids, id)
	}
	found, err := on.Query(ctx, overPointsSQL, ids)
	if err != nil {
		return err
	}
	var (
		member string
		points int64
	)
	_, err = pgx.ForEachRow(found, []any{&member, &points}, func() error {
		members[member].Points -= points
		return nil
	})
	return err
}

func unique(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}
