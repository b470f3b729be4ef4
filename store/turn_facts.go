package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
)

// Need is what one turn must be told.
type Need struct {
	Turn *TurnTx
	// Types are the event types that may have to be judged, Since the own time from which
	// on events that were judged before are wanted again.
	Types     []string
	Since     time.Time
	Behaviour []campaign.Behaviour
	// Cap is set where messages are capped: how far back they count, zero for ever.
	Cap *time.Duration
	// Offers is set where what the member has taken matters.
	Offers bool
	// Rewards is set where it matters what the member was granted.
	Rewards bool

	Facts Facts
}

// Facts are what Gather found out.
type Facts struct {
	// Events are those not judged yet and those wanted again, by number. More is set when
	// there are others left: then Now is the moment up to which they are known.
	Events []campaign.Event
	More   bool
	Now    time.Time

	Behaviour map[campaign.Behaviour]campaign.BehaviourValue
	// Sent are the moments of the member's messages that count against the campaign's cap.
	Sent []time.Time
	// Taken counts the offers that the member has taken in this campaign, by name.
	Taken map[string]int
	// Rewards are the coupons and benefits that she was granted last in this campaign.
	Rewards map[string]campaign.Piece
}

// Statements of a page's facts, see page.go. w.i is the place of the turn in the page.
const (
	// What no turn has judged yet, in the order of its storing, and what was judged
	// before, but by its own time belongs to the step that began since.
	pageEventsSQL = `
select w.i, e.*
  from unnest($1::int[], $2::text[], $3::bigint[], $4::timestamptz[]) as w (i, member, cursor, since)
 cross join lateral (
       (select true as judged, id, type, member, seq, time, stored_at, properties from events
         where member = w.member and type = any($5::text[]) and time >= w.since and seq <= w.cursor)
       union all
       (select false, id, type, member, seq, time, stored_at, properties from events
         where member = w.member and type = any($5::text[]) and seq > w.cursor order by seq limit $6)
       ) e
 order by w.i, e.seq`

	pageCountSQL = `
select w.i, b.times, b.last
  from unnest($1::int[], $2::text[], $3::timestamptz[], $4::timestamptz[]) as w (i, member, after, now)
 cross join lateral (
       select count(*)::bigint as times, coalesce(max(time), 'epoch')::timestamptz as last from events
        where member = w.member and type = $5 and time > w.after and time <= w.now
       ) b`

	// Money is stored as an object; its minor units are summed exactly. Another campaign's
	// events may carry anything under this name: what is no money counts as none, and no
	// sum is an error, which would hold up everything that the member does.
	pageSumSQL = `
select w.i, b.minor, b.total
  from unnest($1::int[], $2::text[], $3::timestamptz[], $4::timestamptz[]) as w (i, member, after, now)
 cross join lateral (
       select greatest(least(coalesce(sum((e.properties -> $6::text ->> 'amount')::numeric * 100)
                      filter (where (e.properties -> $6::text ->> 'amount') ~ '^-?[0-9]{1,17}([.][0-9]{1,2})?$'), 0),
                      9223372036854775807), -9223372036854775807)::bigint as minor,
              coalesce(sum((e.properties ->> $6::text)::double precision)
                      filter (where jsonb_typeof(e.properties -> $6::text) = 'number'), 0)::double precision as total
         from events e
        where e.member = w.member and e.type = $5 and e.time > w.after and e.time <= w.now
       ) b`

	// Messages that count against the campaign's cap; one that was refused or dropped
	// reached nobody.
	pageSentSQL = `
select w.i, m.at
  from unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[]) as w (i, member, after, campaign)
  join messages m on m.member = w.member and m.at > w.after and m.campaign is not distinct from w.campaign
   and m.kind = 'marketing' and m.state not in ('refused', 'failed', 'dropped')
 order by w.i, m.at`

	// What is left of a reward's budget, in points: of the version submitted last. Where it has
	// none, nothing limits.
	pageBudgetSQL = `
select w.campaign, case when b.cap > 0 then b.available end, case when b.per_day > 0 then b.available_today end
  from unnest($1::text[]) as w (campaign)
  join reward_budgets b on b.campaign = w.campaign and b.reward = $2`

	pageTakenSQL = `
select w.i, o.offer, count(*)::int
  from unnest($1::int[], $2::text[], $3::text[]) as w (i, member, campaign)
  join offers o on o.member = w.member and o.campaign is not distinct from w.campaign
   and (o.state is not distinct from 'taken' and not o.restocked or o.state is not distinct from 'open' and o.order_id is not null)
 group by w.i, o.offer`
)

// Gather finds out what the turns need, all in one round trip.
func (p *PageTx) Gather(ctx context.Context, needs []*Need) error {
	if len(needs) == 0 {
		return nil
	}
	for _, n := range needs {
		n.Facts = Facts{Now: n.Turn.now, Behaviour: map[campaign.Behaviour]campaign.BehaviourValue{}, Taken: map[string]int{}}
	}
	var q questions
	ask := q.ask
	askEvents(needs, ask)
	pasts := make([]past, len(needs))
	for i, n := range needs {
		pasts[i] = past{n.Turn.row.Campaign, n.Turn.row.Member, n.Turn.now, n.Behaviour, n.Facts.Behaviour}
	}
	askBehaviour(pasts, ask)
	askSent(needs, ask)
	askTaken(needs, ask)
	askRewards(ctx, needs, ask)
	return q.send(ctx, p.conn)
}

// questions are statements that are asked in one round trip, with who reads the answers.
type questions struct {
	batch pgx.Batch
	reads []func(pgx.BatchResults) error
}

func (q *questions) ask(sql string, read func(pgx.BatchResults) error, args ...any) {
	q.batch.Queue(sql, args...)
	q.reads = append(q.reads, read)
}

func (q *questions) send(ctx context.Context, on interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
},
) error {
	if q.batch.Len() == 0 {
		return nil
	}
	return inBatch(on.SendBatch(ctx, &q.batch), func(r pgx.BatchResults) error {
		for _, read := range q.reads {
			if err := read(r); err != nil {
				return err
			}
		}
		return nil
	})
}

type asker = func(sql string, read func(pgx.BatchResults) error, args ...any)

// rows reads the next statement's rows into values.
func rows(r pgx.BatchResults, do func() error, into ...any) error {
	found, err := r.Query()
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(found, into, do)
	return err
}

// askEvents asks once for each list of types: the turns of one journey's members share it.
func askEvents(needs []*Need, ask asker) {
	type group struct {
		types   []string
		i       []int32
		members []string
		cursors []int64
		since   []time.Time
	}
	var groups []*group
	for i, n := range needs {
		if len(n.Types) == 0 {
			continue
		}
		var g *group
		for _, have := range groups {
			if &have.types[0] == &n.Types[0] && len(have.types) == len(n.Types) {
				g = have
			}
		}
		if g == nil {
			g = &group{types: n.Types}
			groups = append(groups, g)
		}
		g.i, g.members = append(g.i, int32(i)), append(g.members, n.Turn.row.Member)
		g.cursors, g.since = append(g.cursors, n.Turn.row.Cursor), append(g.since, n.Since)
	}
	for _, g := range groups {
		ask(pageEventsSQL, func(r pgx.BatchResults) error { return readEvents(r, needs) },
			g.i, g.members, g.cursors, g.since, g.types, maxEventsPerTurn)
	}
}

func readEvents(r pgx.BatchResults, needs []*Need) error {
	var (
		i      int32
		judged bool
		e      campaign.Event
		stored time.Time
		fresh  = map[int32]int{}
	)
	err := rows(r, func() error {
		n := needs[i]
		e.Stored = n.Turn.clock.At(stored)
		n.Facts.Events = append(n.Facts.Events, e)
		e.Properties = nil
		if !judged {
			fresh[i]++
		}
		return nil
	}, &i, &judged, &e.ID, &e.Type, &e.Member, &e.Seq, &e.Time, &stored, &e.Properties)
	for i, n := range fresh {
		if f := &needs[i].Facts; n == maxEventsPerTurn {
			f.More, f.Now = true, f.Events[len(f.Events)-1].Stored
		}
	}
	return err
}

// past is whose past is asked about, as of when, and where the answers go.
type past struct {
	campaign  string // whose budgets; empty: none is asked about
	member    string
	now       time.Time
	questions []campaign.Behaviour
	answers   map[campaign.Behaviour]campaign.BehaviourValue
}

func askBehaviour(list []past, ask asker) {
	type group struct {
		i                  []int32
		members, campaigns []string
		after, now         []time.Time
	}
	groups := map[campaign.Behaviour]*group{}
	var order []campaign.Behaviour
	for i, p := range list {
		for _, b := range p.questions {
			g := groups[b]
			if g == nil {
				g = &group{}
				groups[b] = g
				order = append(order, b)
			}
			g.i, g.members, g.campaigns = append(g.i, int32(i)), append(g.members, p.member), append(g.campaigns, p.campaign)
			g.after, g.now = append(g.after, since(b.Within, p.now)), append(g.now, p.now)
		}
	}
	for _, b := range order {
		g := groups[b]
		if b.Function == campaign.AboutBudget {
			askBudget(list, b, g.i, g.campaigns, ask)
			continue
		}
		var (
			i int32
			v campaign.BehaviourValue
		)
		keep := func() error {
			if b.Function != "sum" && v.Count == 0 {
				v.Last = time.Time{}
			}
			list[i].answers[b] = v
			return nil
		}
		if b.Function == "sum" {
			ask(pageSumSQL, func(r pgx.BatchResults) error { return rows(r, keep, &i, &v.Minor, &v.Sum) },
				g.i, g.members, g.after, g.now, b.Event, b.Property)
			continue
		}
		ask(pageCountSQL, func(r pgx.BatchResults) error { return rows(r, keep, &i, &v.Count, &v.Last) },
			g.i, g.members, g.after, g.now, b.Event)
	}
}

// askBudget asks once for each campaign what is left of a reward's budget.
func askBudget(list []past, about campaign.Behaviour, places []int32, campaigns []string, ask asker) {
	left := map[string]int64{}
	for _, name := range campaigns {
		left[name] = campaign.Unlimited
	}
	var (
		name         string
		inAll, today *int64
	)
	ask(pageBudgetSQL, func(r pgx.BatchResults) error {
		err := rows(r, func() error {
			of := inAll
			if about.Property == campaign.LeftToday {
				of = today
			}
			if of != nil {
				left[name] = *of
			}
			return nil
		}, &name, &inAll, &today)
		for k, i := range places {
			list[i].answers[about] = campaign.BehaviourValue{Count: left[campaigns[k]]}
		}
		return err
	}, slices.Sorted(maps.Keys(left)), about.Event)
}

func since(within time.Duration, now time.Time) time.Time {
	if within > 0 {
		return now.Add(-within)
	}
	return time.Unix(0, 0)
}

func askSent(needs []*Need, ask asker) {
	var (
		at                 []int32
		members, campaigns []string
		after              []time.Time
	)
	for i, n := range needs {
		if n.Cap == nil {
			continue
		}
		at, members, campaigns = append(at, int32(i)), append(members, n.Turn.row.Member), append(campaigns, n.Turn.row.Campaign)
		after = append(after, since(*n.Cap, n.Turn.now))
	}
	if len(at) == 0 {
		return
	}
	var (
		i    int32
		sent time.Time
	)
	ask(pageSentSQL, func(r pgx.BatchResults) error {
		return rows(r, func() error {
			needs[i].Facts.Sent = append(needs[i].Facts.Sent, sent)
			return nil
		}, &i, &sent)
	}, at, members, after, campaigns)
}

func askTaken(needs []*Need, ask asker) {
	var (
		at                 []int32
		members, campaigns []string
	)
	for i, n := range needs {
		if n.Offers {
			at, members, campaigns = append(at, int32(i)), append(members, n.Turn.row.Member), append(campaigns, n.Turn.row.Campaign)
		}
	}
	if len(at) == 0 {
		return
	}
	var (
		i, times int32
		offer    string
	)
	ask(pageTakenSQL, func(r pgx.BatchResults) error {
		return rows(r, func() error {
			needs[i].Facts.Taken[offer] = int(times)
			return nil
		}, &i, &offer, &times)
	}, at, members, campaigns)
}
