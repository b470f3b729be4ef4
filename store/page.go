package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// The statements of a page are written here and not in queries/, because they travel
// together: a page is locked and loaded in one round trip, asks all its facts in a
// second, and writes and commits in a third, for one journey as for five hundred.

// The member's row is what a turn, an event and a router serialize on. Whoever holds it
// and then reads the clock sees every event stored until then. Several are locked in
// the order of their ids' bytes, as everybody does it.
const lockTurnMembersSQL = `
select m.* from members m where m.id in (select j.member from journeys j where j.id = any($1::bigint[]))
 order by m.id collate "C" for update`

// lockTurnPeopleSQL is lockTurnMembersSQL with others whom the turns change too. Who they are
// is an array that is made first: a row that somebody else has just changed is looked at
// again when its lock comes free, and no subquery would be.
const lockTurnPeopleSQL = `
select m.* from members m
 where m.id = any(array(select j.member from journeys j where j.id = any($1::bigint[])) || $2::text[])
 order by m.id collate "C" for update`

const loadTurnsSQL = `
select j.*, c.state as campaign_state, c.clock_factor, c.clock_real, c.clock_start, clock_timestamp() as real_now
  from journeys j join campaigns c on c.name = j.campaign
 where j.id = any($1::bigint[]) order by j.id`

type journeyRow = db.Journey

// turnRow is a row of loadTurnsSQL.
type turnRow struct {
	journeyRow
	CampaignState string
	ClockFactor   int64
	ClockReal     *time.Time
	ClockStart    *time.Time
	RealNow       time.Time
}

// PageTx is the open transaction of one turn of each of several journeys. Their
// members are locked, the clock has been read after that, and what is read here is of
// this moment. What the turns save is written when the page ends.
type PageTx struct {
	conn   *pgx.Conn
	q      *db.Queries
	turns  map[int64]*TurnTx
	sealer func(context.Context) (*sealer, error)

	rest     pgx.Batch // statements for single rows
	queued   *db.Queries
	columns  columns
	reopened []string // offers, by the statements for single rows
	news     bool     // for routers, once it is committed

	with []string        // members who are locked beside those of the journeys
	held map[string]bool // everybody who is locked
}

// othersNeededError says that turns change members whose rows are not locked. Several
// members are locked in one order, so the page is begun anew with them among the others. It
// is seldom: only a turn that grants to an inviter, or takes a grant back, finds it out.
type othersNeededError struct{ members []string }

// Error says so.
func (*othersNeededError) Error() string { return "a turn needs other members locked too" }

// InTurns opens a transaction for turns of journeys and commits it if do succeeds: all
// of them or none. do runs again from the start when PostgreSQL broke the transaction off.
func (s *Store) InTurns(ctx context.Context, journeys []int64, do func(*PageTx) error) error {
	news := false
	var with []string
	err := s.inTurns(ctx, journeys, with, &news, do)
	for others := new(othersNeededError); errors.As(err, &others); {
		with = append(with, others.members...)
		err = s.inTurns(ctx, journeys, with, &news, do)
	}
	if err == nil && news {
		s.Notify()
	}
	return translate(err, "take a turn")
}

func (s *Store) inTurns(ctx context.Context, journeys []int64, with []string, news *bool, do func(*PageTx) error) error {
	return retry(ctx, func() error {
		return s.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			p := &PageTx{conn: c.Conn(), q: db.New(c.Conn()), sealer: s.sealer, with: with}
			p.queued = db.New(queue{&p.rest})
			err := p.open(ctx, journeys)
			if err == nil {
				err = do(p)
			}
			if err == nil {
				err = p.save(ctx)
			}
			*news = p.news
			if err == nil || p.conn.IsClosed() {
				return err
			}
			// Should this not get through, the pool throws the connection away: it sees that
			// a transaction is open on it.
			if _, failed := p.conn.Exec(context.WithoutCancel(ctx), "rollback"); failed != nil {
				_ = p.conn.Close(context.WithoutCancel(ctx))
			}
			return err
		})
	})
}

func (p *PageTx) open(ctx context.Context, journeys []int64) error {
	var batch pgx.Batch
	batch.Queue("begin")
	batch.Queue(planOnceSQL)
	if len(p.with) > 0 {
		batch.Queue(lockTurnPeopleSQL, journeys, p.with)
	} else {
		batch.Queue(lockTurnMembersSQL, journeys)
	}
	batch.Queue(loadTurnsSQL, journeys)
	members := map[string]db.Member{}
	p.held = map[string]bool{}
	p.turns = make(map[int64]*TurnTx, len(journeys))
	ends := map[string]bool{} // whose points have an end
	if err := inBatch(p.conn.SendBatch(ctx, &batch), func(r pgx.BatchResults) error {
		for range 2 {
			if _, err := r.Exec(); err != nil {
				return err
			}
		}
		if err := eachRow(r, func(m *db.Member) error {
			members[m.ID], p.held[m.ID] = *m, true
			if m.PointsEnd != nil {
				ends[m.ID] = true
			}
			return nil
		}); err != nil {
			return err
		}
		return eachRow(r, func(row *turnRow) error {
			t, err := p.turn(row, members[row.Member])
			p.turns[row.ID] = t
			return err
		})
	}); err != nil || len(ends) == 0 {
		return err
	}
	return p.withoutOver(ctx, ends)
}

// withoutOver takes from what the turns know of their members' points what is past its end.
func (p *PageTx) withoutOver(ctx context.Context, ends map[string]bool) error {
	byID := make(map[string]*campaign.Member, len(ends))
	for id := range ends {
		byID[id] = new(campaign.Member)
	}
	if err := withoutOver(ctx, p.conn, ends, byID); err != nil {
		return err
	}
	for _, t := range p.turns {
		if less, ok := byID[t.row.Member]; ok {
			t.member.Points += less.Points
		}
	}
	return nil
}

// inBatch reads a batch's results and closes it.
func inBatch(r pgx.BatchResults, read func(pgx.BatchResults) error) error {
	err := read(r)
	if closing := r.Close(); err == nil {
		err = closing
	}
	return err
}

// eachRow reads the rows of the next statement of a batch, column by column.
func eachRow[T any](r pgx.BatchResults, do func(*T) error) error {
	rows, err := r.Query()
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByPos[T])
	if err != nil {
		return err
	}
	for _, row := range all {
		if err := do(row); err != nil {
			return err
		}
	}
	return nil
}

func (p *PageTx) turn(row *turnRow, member db.Member) (*TurnTx, error) {
	t := &TurnTx{page: p, row: *row, last: member.EventSeq, clock: clock(row.ClockFactor, row.ClockReal, row.ClockStart)}
	// Should the machine's clock have been set back, time stands still for this member
	// until it has caught up: no event may lie after a "now" that was read later.
	t.real = row.RealNow
	if member.LastStored.After(t.real) {
		t.real = member.LastStored
	}
	t.now = t.clock.At(t.real)
	var err error
	t.member, err = memberOf(member)
	return t, err
}

// Turn is the view of one of the page's journeys.
func (p *PageTx) Turn(journey int64) (*TurnTx, error) {
	t, ok := p.turns[journey]
	if !ok {
		return nil, campaign.Errorf(campaign.CodeNotFound, "there is no such journey")
	}
	return t, nil
}

// save writes all that was saved and commits.
func (p *PageTx) save(ctx context.Context) error {
	var batch pgx.Batch
	p.columns.queue(&batch)
	for _, q := range p.rest.QueuedQueries {
		batch.Queue(q.SQL, q.Arguments...)
	}
	expected, closes := batch.Len(), len(p.columns.closes.id)
	// Whether an offer was still open is known only when its statement has been answered,
	// so those pages commit in a step of their own.
	if closes == 0 {
		batch.Queue("commit")
	}
	var closed int64
	err := inBatch(p.conn.SendBatch(ctx, &batch), func(r pgx.BatchResults) error {
		for i := range expected {
			tag, err := r.Exec()
			if err != nil {
				return err
			}
			if i == 0 && closes > 0 {
				closed = tag.RowsAffected()
			}
		}
		if closes == 0 {
			_, err := r.Exec()
			return err
		}
		return nil
	})
	if err == nil && closes > 0 {
		if int(closed) != closes {
			err = campaign.Errorf(campaign.CodeInternal, "%d of %d offers were not open any more", closes-int(closed), closes)
		} else {
			_, err = p.conn.Exec(ctx, "commit")
		}
	}
	return err
}

// queue lets sqlc's statements that only write be collected instead of executed.
type queue struct{ batch *pgx.Batch }

func (q queue) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	q.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

var errAsked = campaign.Errorf(campaign.CodeInternal, "a statement that is written later cannot be asked now")

func (queue) Query(context.Context, string, ...any) (pgx.Rows, error) { return nil, errAsked }

func (queue) QueryRow(context.Context, string, ...any) pgx.Row { return noRow{} }

type noRow struct{}

func (noRow) Scan(...any) error { return errAsked }

// columns are the rows that a page writes, as the statements take them.
type columns struct {
	closes struct {
		id, state []string
		closed    []*time.Time
		order     []*string
		paid      []*int64
	}
	effects struct {
		key, kind, state []string
		journey          []int64
		turn             []int32
	}
	offers struct {
		id, key, campaign, offer, member, step, currency []string
		version                                          []int32
		journey, price, list                             []int64
		opened                                           []time.Time
		expires, grace                                   []*time.Time
	}
	messages struct {
		key, campaign, member, step, name, kind, bodies, via []string
		version                                              []int32
		journey                                              []int64
		at                                                   []time.Time
		deadline                                             []*time.Time
		slice                                                []*int32
	}
	exposures struct {
		split, arm, campaign, member []string
		version                      []int32
		journey                      []int64
		at                           []time.Time
	}
	trace    traceColumns
	journeys struct {
		id, cursor                                           []int64
		turn                                                 []int32
		state, step, name, summary, listens, status, outcome []string
		wait, ended, goalAt, due                             []*time.Time
		goalEvent                                            []*string
		goalMinor                                            []*int64
		version                                              []int32
		digest                                               []string
	}
	moves    moveColumns
	migrated struct{ moved, ended, kept, failed int64 }
	wakes    struct {
		journeys []int64
		slices   []int32
	}
	idle struct {
		id  []int64
		due []*time.Time
	}
	turns struct {
		journey []int64
		turn    []int32
		result  []string
	}
}

type traceColumns struct {
	journey              []int64
	turn, version        []int32
	at                   []time.Time
	step, kind, campaign []string
	params               []string
}

func (c *traceColumns) add(journey int64, turn int, name string, version int32, lines []campaign.TraceLine) error {
	for _, l := range lines {
		params := "{}"
		if len(l.Params) > 0 {
			data, err := json.Marshal(l.Params)
			if err != nil {
				return err
			}
			params = string(data)
		}
		c.journey, c.turn, c.at = append(c.journey, journey), append(c.turn, int32(turn)), append(c.at, l.At)
		c.step, c.kind, c.params = append(c.step, l.Step), append(c.kind, string(l.Kind)), append(c.params, params)
		c.campaign, c.version = append(c.campaign, name), append(c.version, version)
	}
	return nil
}

func (c *traceColumns) queue(batch *pgx.Batch) {
	if len(c.journey) > 0 {
		batch.Queue(insertTraceSQL, c.journey, c.turn, c.at, c.step, c.kind, c.params, c.campaign, c.version)
	}
}

const (
	// None of these is bought in a team; one whose order went back in this very turn is
	// written as if it had never been, and what is written later does not find it open.
	closeOffersSQL = `
update offers o set state = i.state, closed_at = i.closed_at, order_id = i.order_id, paid = i.paid, team = null
  from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::bigint[]) as i (id, state, closed_at, order_id, paid)
 where o.id = i.id and o.state is not distinct from 'open'`

	claimEffectsSQL = `
insert into effects (key, kind, state, journey, turn, settled_at)
select key, kind, state, journey, turn, case when state <> 'claimed' then clock_timestamp() end
  from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::int[]) as i (key, kind, state, journey, turn)`

	openOffersSQL = `
insert into offers (id, key, campaign, offer, member, step, currency, version, journey, price, list_price, opened_at, expires_at,
                    grace_until, state)
select *, 'open'
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $9::bigint[],
              $10::bigint[], $11::bigint[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[])`

	claimMessagesSQL = `
insert into messages (key, campaign, member, step, name, kind, bodies, via, version, journey, at, deadline, slice, due_at, state)
select key, campaign, member, step, name, kind, bodies::jsonb, via, version, journey, at, deadline, slice,
       case when slice is not null then clock_timestamp() end, 'claimed'
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int[],
              $10::bigint[], $11::timestamptz[], $12::timestamptz[], $13::int[]) with ordinality
       as i (key, campaign, member, step, name, kind, bodies, via, version, journey, at, deadline, slice, place)
 order by place`

	exposeSQL = `
insert into exposures (split, arm, campaign, member, version, journey, at)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[], $7::timestamptz[])
    on conflict do nothing`

	insertTraceSQL = `
insert into trace (journey, turn, at, step, kind, params, campaign, version)
select journey, turn, at, step, kind, params::jsonb, campaign, version
  from unnest($1::bigint[], $2::int[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[])
       as i (journey, turn, at, step, kind, params, campaign, version)`

	// No event type holds a comma, so a list of them travels as one text.
	saveJourneysSQL = `
update journeys j
   set state = i.state::jsonb, turn = i.turn, cursor = i.cursor, step = i.step, step_name = i.step_name, summary = i.summary,
       listens = string_to_array(i.listens, ','), wait_until = i.wait_until, status = i.status, outcome = i.outcome,
       ended_at = i.ended_at, due_at = i.due_at, version = i.version, digest = i.digest, goal_at = coalesce(i.goal_at, j.goal_at),
       goal_event = coalesce(i.goal_event, j.goal_event), goal_minor = coalesce(i.goal_minor, j.goal_minor)
  from unnest($1::bigint[], $2::text[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[],
              $10::text[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::text[], $16::bigint[],
              $17::int[], $18::text[])
       as i (id, state, turn, cursor, step, step_name, summary, listens, wait_until, status, outcome, ended_at, due_at,
             goal_at, goal_event, goal_minor, version, digest)
 where j.id = i.id`

	putOffSQL = `
update journeys j set due_at = i.due_at from unnest($1::bigint[], $2::timestamptz[]) as i (id, due_at) where j.id = i.id`

	insertTurnsSQL = `
insert into turns (journey, turn, result)
select journey, turn, result::jsonb from unnest($1::bigint[], $2::int[], $3::text[]) as i (journey, turn, result)`
)

// queue puts the statements in the order in which rows point to each other. The offers
// that are closed come first: their number is checked.
func (c *columns) queue(b *pgx.Batch) {
	if len(c.closes.id) > 0 {
		b.Queue(closeOffersSQL, c.closes.id, c.closes.state, c.closes.closed, c.closes.order, c.closes.paid)
	}
	if e := &c.effects; len(e.key) > 0 {
		b.Queue(claimEffectsSQL, e.key, e.kind, e.state, e.journey, e.turn)
	}
	if o := &c.offers; len(o.id) > 0 {
		b.Queue(openOffersSQL, o.id, o.key, o.campaign, o.offer, o.member, o.step, o.currency, o.version, o.journey,
			o.price, o.list, o.opened, o.expires, o.grace)
	}
	if m := &c.messages; len(m.key) > 0 {
		b.Queue(claimMessagesSQL, m.key, m.campaign, m.member, m.step, m.name, m.kind, m.bodies, m.via, m.version, m.journey,
			m.at, m.deadline, m.slice)
	}
	if x := &c.exposures; len(x.split) > 0 {
		b.Queue(exposeSQL, x.split, x.arm, x.campaign, x.member, x.version, x.journey, x.at)
	}
	c.trace.queue(b)
	if j := &c.journeys; len(j.id) > 0 {
		b.Queue(saveJourneysSQL, j.id, j.state, j.turn, j.cursor, j.step, j.name, j.summary, j.listens, j.wait,
			j.status, j.outcome, j.ended, j.due, j.goalAt, j.goalEvent, j.goalMinor, j.version, j.digest)
	}
	c.moves.queue(b)
	if len(c.idle.id) > 0 {
		b.Queue(putOffSQL, c.idle.id, c.idle.due)
	}
	if len(c.turns.journey) > 0 {
		b.Queue(insertTurnsSQL, c.turns.journey, c.turns.turn, c.turns.result)
	}
}
