package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// What a router must do about points: hand it the facts about a batch of events, book what
// the rules gave and what was taken back, and keep levels and rankings. All of it happens
// under the locks of the members' rows, for a whole batch at a time.

// PointAsk is a question about an event that may give points by a rule.
type PointAsk struct {
	Campaign, Rule, Member string
	Event                  *campaign.Event
	Day                    campaign.Day
	Daily                  bool          // what she got on the day matters
	Every                  time.Duration // of the limit per member; below zero: there is none
	Questions              []campaign.Behaviour

	// What PointFacts finds out.
	Judged  bool // it was, whatever came of it
	Had     int64
	Times   []time.Time
	Answers map[campaign.Behaviour]campaign.BehaviourValue
}

// PointGain is what an event was judged to be worth by a rule.
type PointGain struct {
	Campaign, Rule, Member string
	Version                int
	Event                  *campaign.Event
	Day                    campaign.Day
	Asked, Points          int64
	Reason                 string
	Groups                 []string
	ReverseOn              string
	Ends                   time.Time // real; zero: never
	Scores                 []PointScore
}

// PointScore is what a gain counts in.
type PointScore struct {
	Board, Part string
	Period      campaign.Period
	Begins      campaign.Day
}

const (
	pointsJudgedSQL = `
select i.n from unnest($1::int[], $2::text[], $3::text[], $4::text[]) as i (n, campaign, rule, event)
  join point_gains g on g.campaign = i.campaign and g.rule = i.rule and g.event = i.event`

	pointsHadSQL = `
select i.n, d.points from unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[]) as i (n, member, campaign, rule, day)
  join point_days d on d.member = i.member and d.campaign = i.campaign and d.rule = i.rule and d.day = i.day::date`

	pointsTimesSQL = `
select i.n, g.at from unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[]) as i (n, member, campaign, rule, after, before)
  join point_gains g on g.member = i.member and g.campaign = i.campaign and g.rule = i.rule and g.at > i.after and g.at < i.before
 where g.points > 0 and g.reversed_by is null`

	givePointsSQL = `
insert into point_gains (campaign, version, rule, event, member, day, asked, points, reason, at, groups, reverse_on)
select campaign, version, rule, event, member, day::date, asked, points, reason, at, array(select jsonb_array_elements_text(groups::jsonb)), nullif(reverse_on, '')
  from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::text[], $10::timestamptz[],
              $11::text[], $12::text[])
       as i (campaign, version, rule, event, member, day, asked, points, reason, at, groups, reverse_on)`

	addPointDaysSQL = `
insert into point_days as d (member, campaign, rule, day, points)
select member, campaign, rule, day::date, sum(points) from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) as i (member, campaign, rule, day, points)
 group by member, campaign, rule, day
on conflict (member, campaign, rule, day) do update set points = d.points + excluded.points`

	takePointDaysSQL = `
update point_days d set points = d.points - i.points
  from (select member, campaign, rule, day::date as day, sum(points) as points
          from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) as u (member, campaign, rule, day, points)
         group by member, campaign, rule, day) i
 where d.member = i.member and d.campaign = i.campaign and d.rule = i.rule and d.day = i.day`

	addPointScoresSQL = `
insert into point_scores as s (member, campaign, board, part, period, begins, points)
select member, campaign, board, part, period, begins::date, sum(points)
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[]) as i (member, campaign, board, part, period, begins, points)
 group by member, campaign, board, part, period, begins
on conflict (member, campaign, board, part, period, begins) do update set points = s.points + excluded.points`

	earnPointsSQL = `
insert into point_members as p (member, campaign, earned)
select member, campaign, sum(points) from unnest($1::text[], $2::text[], $3::bigint[]) as i (member, campaign, points)
 group by member, campaign
on conflict (member, campaign) do update set earned = p.earned + excluded.earned`
)

// PointFacts finds out what must be known for each of these events, all in one round trip.
func (t *EntryTx) PointFacts(ctx context.Context, asks []*PointAsk) error {
	var (
		q                                   questions
		all, daily, timed                   []int32
		campaigns, rules, events            []string
		dMembers, dCampaigns, dRules, dDays []string
		tMembers, tCampaigns, tRules        []string
		after, before                       []time.Time
		n                                   int32
		points                              int64
		at                                  time.Time
		pasts                               []past
		forever                             = time.Unix(0, 0)
		always                              = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	)
	for i, a := range asks {
		all, campaigns, rules, events = append(all, int32(i)), append(campaigns, a.Campaign), append(rules, a.Rule), append(events, a.Event.ID)
		if a.Daily {
			daily, dMembers, dCampaigns = append(daily, int32(i)), append(dMembers, a.Member), append(dCampaigns, a.Campaign)
			dRules, dDays = append(dRules, a.Rule), append(dDays, a.Day.String())
		}
		if a.Every >= 0 {
			timed, tMembers, tCampaigns, tRules = append(timed, int32(i)), append(tMembers, a.Member), append(tCampaigns, a.Campaign), append(tRules, a.Rule)
			if a.Every == 0 {
				after, before = append(after, forever), append(before, always)
			} else {
				after, before = append(after, a.Event.Time.Add(-a.Every)), append(before, a.Event.Time.Add(a.Every))
			}
		}
		if len(a.Questions) > 0 {
			a.Answers = make(map[campaign.Behaviour]campaign.BehaviourValue, len(a.Questions))
			pasts = append(pasts, past{a.Campaign, a.Member, a.Event.Time, a.Questions, a.Answers})
		}
	}
	q.ask(pointsJudgedSQL, func(r pgx.BatchResults) error {
		return rows(r, func() error { asks[n].Judged = true; return nil }, &n)
	}, all, campaigns, rules, events)
	if len(daily) > 0 {
		q.ask(pointsHadSQL, func(r pgx.BatchResults) error {
			return rows(r, func() error { asks[n].Had = points; return nil }, &n, &points)
		}, daily, dMembers, dCampaigns, dRules, dDays)
	}
	if len(timed) > 0 {
		q.ask(pointsTimesSQL, func(r pgx.BatchResults) error {
			return rows(r, func() error { asks[n].Times = append(asks[n].Times, at); return nil }, &n, &at)
		}, timed, tMembers, tCampaigns, tRules, after, before)
	}
	askBehaviour(pasts, q.ask)
	return q.send(ctx, t.tx)
}

// pointColumns are points of members by campaign, rule and day, as the statements take them.
type pointColumns struct {
	members, campaigns, rules, days []string
	points                          []int64

	scoreMembers, scoreCampaigns, boards, parts, periods, begins []string
	scored                                                       []int64
}

func (c *pointColumns) add(member, of, rule string, day campaign.Day, points int64, scores []PointScore, sign int64) {
	if points == 0 {
		return
	}
	c.members, c.campaigns, c.rules, c.days = append(c.members, member), append(c.campaigns, of), append(c.rules, rule), append(c.days, day.String())
	c.points = append(c.points, points)
	for _, s := range scores {
		c.scoreMembers, c.scoreCampaigns = append(c.scoreMembers, member), append(c.scoreCampaigns, of)
		c.boards, c.parts, c.periods = append(c.boards, s.Board), append(c.parts, s.Part), append(c.periods, string(s.Period))
		c.begins, c.scored = append(c.begins, s.Begins.String()), append(c.scored, sign*points)
	}
}

// queue adds what is written of them: what was given, or with sign −1 taken back.
func (c *pointColumns) queue(batch *pgx.Batch, sign int64) {
	if len(c.members) == 0 {
		return
	}
	days := addPointDaysSQL
	if sign < 0 {
		days = takePointDaysSQL
	}
	batch.Queue(days, c.members, c.campaigns, c.rules, c.days, c.points)
	earned := make([]int64, len(c.points))
	for i, n := range c.points {
		earned[i] = sign * n
	}
	if sign > 0 {
		batch.Queue(earnPointsSQL, c.members, c.campaigns, earned)
	} else {
		batch.Queue(unearnPointsSQL, c.members, c.campaigns, c.points)
	}
	if len(c.boards) > 0 {
		batch.Queue(addPointScoresSQL, c.scoreMembers, c.scoreCampaigns, c.boards, c.parts, c.periods, c.begins, c.scored)
	}
}

func pointsKey(of, rule, event string) string { return "points/" + of + "/" + rule + "/" + event }

// GivePoints books what events were judged to be worth. What members have by it they have
// from here on in this transaction too.
func (t *EntryTx) GivePoints(ctx context.Context, gains []*PointGain) error {
	if len(gains) == 0 {
		return nil
	}
	var (
		campaigns, rules, events, members, days, reasons, groups, reverseOn []string
		versions                                                            []int32
		asked, points                                                       []int64
		at                                                                  []time.Time
		p                                                                   postings
		c                                                                   pointColumns
		batches                                                             []newBatch
	)
	for _, g := range gains {
		parts, err := json.Marshal(orEmpty(g.Groups))
		if err != nil {
			return err
		}
		campaigns, versions, rules, events = append(campaigns, g.Campaign), append(versions, int32(g.Version)), append(rules, g.Rule), append(events, g.Event.ID)
		members, days, asked, points = append(members, g.Member), append(days, g.Day.String()), append(asked, g.Asked), append(points, g.Points)
		reasons, at, groups = append(reasons, g.Reason), append(at, g.Event.Time), append(groups, string(parts))
		back := g.ReverseOn
		if g.Points == 0 {
			back = ""
		}
		reverseOn = append(reverseOn, back)
		if g.Points == 0 {
			continue
		}
		key := pointsKey(g.Campaign, g.Rule, g.Event.ID)
		p.add(key, g.Rule, "issuer", g.Campaign, "member", g.Member, g.Points)
		c.add(g.Member, g.Campaign, g.Rule, g.Day, g.Points, g.Scores, 1)
		if !g.Ends.IsZero() {
			batches = append(batches, newBatch{key: key, member: g.Member, campaign: g.Campaign, points: g.Points, ends: g.Ends})
		}
	}
	var batch pgx.Batch
	batch.Queue(givePointsSQL, campaigns, versions, rules, events, members, days, asked, points, reasons, at, groups, reverseOn)
	c.queue(&batch, 1)
	p.queue(&batch, "earn")
	if err := t.tx.SendBatch(ctx, &batch).Close(); err != nil {
		return err
	}
	if err := addBatches(ctx, t.tx, batches); err != nil {
		return err
	}
	return t.reread(ctx, p.toOwners)
}

// reread brings what is known of locked members' points up to date.
func (t *EntryTx) reread(ctx context.Context, members []string) error {
	if len(members) == 0 {
		return nil
	}
	found, err := t.tx.Query(ctx, `select id, points, points_end is not null from members where id = any($1::text[])`, unique(members))
	if err != nil {
		return err
	}
	var (
		id     string
		points int64
		end    bool
		ends   = map[string]bool{}
		byID   = map[string]*campaign.Member{}
	)
	if _, err := pgx.ForEachRow(found, []any{&id, &points, &end}, func() error {
		if who := t.byMember[id]; who != nil {
			who.Member.Points = points
			if end {
				ends[id], byID[id] = true, &who.Member
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return withoutOver(ctx, t.tx, ends, byID)
}

// PointReversal is an event that may take back what a rule gave for another one.
type PointReversal struct {
	Gain         int64
	Campaign     string
	Version      int
	Digest       string
	Rule, Member string
	Day          campaign.Day
	Points       int64 // that were given
	Groups       []string
	Event, By    campaign.Event // the one that gave, and the one that takes back
	BelowZero    bool           // set by who decides it
	Scores       []PointScore   //   and so are these
	Taken        int64          // set by TakePoints
}

// Whichever of the two is told first, what was taken back gives nothing in the end: the events
// that are routed now are held against what was given before, and what was given just now
// against the events that were stored before. So neither looks through a member's past.
const reversibleSQL = `
with pairs as (
	select g.id as gain, i.id as event
	  from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) as i (member, id, type, time)
	  join point_gains g on g.member = i.member and g.reverse_on = i.type and g.reverse_on is not null and g.at <= i.time
	union
	select g.id, b.id
	  from unnest($5::text[], $6::text[], $7::text[]) as i (campaign, rule, event)
	  join point_gains g on g.campaign = i.campaign and g.rule = i.rule and g.event = i.event
	  join events b on b.member = g.member and b.type = g.reverse_on and b.time >= g.at
)
select g.id, g.campaign, g.version, v.digest, g.rule, g.member, (g.day - date '1970-01-01')::int, g.points, g.groups,
       e.id, e.type, e.time, e.seq, e.properties, b.id, b.type, b.time, b.seq, b.properties
  from pairs p
  join point_gains g on g.id = p.gain
  join campaign_versions v on v.campaign = g.campaign and v.version = g.version
  join events e on e.id = g.event
  join events b on b.id = p.event
 order by b.seq, g.id`

// Reversible lists what may have to be taken back, with the condition still to be asked: of
// what was given before what the events of the batch reverse, and of what was given just now
// what is reversed by any event that is stored.
func (t *RouteTx) Reversible(ctx context.Context, given []*PointGain) (list []*PointReversal, err error) {
	var (
		members, events, types         []string
		times                          []time.Time
		campaigns, rules, givenByEvent []string
	)
	for i := range t.Intents {
		if e := t.Intents[i].Event; e != nil && t.byMember[e.Member] != nil {
			members, events, types, times = append(members, e.Member), append(events, e.ID), append(types, e.Type), append(times, e.Time)
		}
	}
	for _, g := range given {
		if g.ReverseOn != "" {
			campaigns, rules, givenByEvent = append(campaigns, g.Campaign), append(rules, g.Rule), append(givenByEvent, g.Event.ID)
		}
	}
	if len(members) == 0 {
		return nil, nil
	}
	found, err := t.tx.Query(ctx, reversibleSQL, members, events, types, times, campaigns, rules, givenByEvent)
	if err != nil {
		return nil, err
	}
	var (
		r       PointReversal
		version int32
	)
	_, err = pgx.ForEachRow(found, []any{
		&r.Gain, &r.Campaign, &version, &r.Digest, &r.Rule, &r.Member, &r.Day, &r.Points, &r.Groups,
		&r.Event.ID, &r.Event.Type, &r.Event.Time, &r.Event.Seq, &r.Event.Properties, &r.By.ID, &r.By.Type, &r.By.Time, &r.By.Seq, &r.By.Properties,
	}, func() error {
		one := r
		one.Version = int(version)
		one.Event.Member, one.By.Member = r.Member, r.Member
		list = append(list, &one)
		r = PointReversal{}
		return nil
	})
	return list, err
}

const (
	unearnPointsSQL = `
update point_members p set earned = p.earned - i.points
  from (select member, campaign, sum(points) as points from unnest($1::text[], $2::text[], $3::bigint[]) as u (member, campaign, points) group by member, campaign) i
 where p.member = i.member and p.campaign = i.campaign`

	takePointsSQL = `
update point_gains g set taken = i.taken, short = i.short, reversed_by = i.event, reverse_on = null
  from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) as i (id, taken, short, event)
 where g.id = i.id`

	gainBatchesSQL = `select id, key, expired from point_batches where key = any($1::text[])`
)

// TakePoints takes back what rules gave, each gain once. What has expired is gone already,
// and what was spent the member owes where the rule says so; otherwise only what she has is
// taken, and the rest is written down as short. What the gain counted for caps, levels and
// rankings counts no more, whatever could be taken.
func (t *EntryTx) TakePoints(ctx context.Context, list []*PointReversal) error {
	if len(list) == 0 {
		return nil
	}
	now, err := t.q.RedemptionClock(ctx)
	if err != nil {
		return err
	}
	var members, keys []string
	for _, r := range list {
		members, keys = append(members, r.Member), append(keys, pointsKey(r.Campaign, r.Rule, r.Event.ID))
	}
	members = unique(members)
	if err := expirePoints(ctx, t.tx, members, now); err != nil {
		return err
	}
	h, err := holdings(ctx, t.tx, members)
	if err != nil {
		return err
	}
	own, err := batchesOf(ctx, t.tx, keys)
	if err != nil {
		return err
	}
	var (
		gains, taken, short []int64
		by                  []string
		p                   postings
		c                   pointColumns
		d                   = draws{}
	)
	for i, r := range list {
		b := own[keys[i]]
		want := r.Points - b.expired
		take := want
		if !r.BelowZero {
			take = max(0, min(want, h.balance[r.Member]))
		}
		r.Taken = take
		if take > 0 {
			p.add(keys[i]+"/reverse", r.Rule, "member", r.Member, "issuer", r.Campaign, take)
			d.add(h.batches[r.Member].Draw(take, b.id, now))
			h.balance[r.Member] -= take
		}
		gains, taken, short, by = append(gains, r.Gain), append(taken, take), append(short, want-take), append(by, r.By.ID)
		c.add(r.Member, r.Campaign, r.Rule, r.Day, r.Points, r.Scores, -1)
	}
	var batch pgx.Batch
	batch.Queue(takePointsSQL, gains, taken, short, by)
	c.queue(&batch, -1)
	p.queue(&batch, "reverse")
	if err := t.tx.SendBatch(ctx, &batch).Close(); err != nil {
		return err
	}
	if err := d.save(ctx, t.tx, members); err != nil {
		return err
	}
	return t.reread(ctx, members)
}

type ownBatch struct{ id, expired int64 }

func batchesOf(ctx context.Context, on db.DBTX, keys []string) (map[string]ownBatch, error) {
	found, err := on.Query(ctx, gainBatchesSQL, keys)
	if err != nil {
		return nil, err
	}
	var (
		out = map[string]ownBatch{}
		b   ownBatch
		key string
	)
	_, err = pgx.ForEachRow(found, []any{&b.id, &key, &b.expired}, func() error { out[key] = b; return nil })
	return out, err
}

// HeldPoints are events for campaigns that are paused.
type HeldPoints struct {
	campaigns, members, events []string
	again                      []int64  // intents that were held before, and fell due in between
	of                         []string // their campaigns
}

// Add keeps an event for a campaign.
func (h *HeldPoints) Add(of string, in *Intent) {
	if in.Kind == IntentPoints {
		h.again, h.of = append(h.again, in.ID), append(h.of, of)
		return
	}
	h.campaigns, h.members, h.events = append(h.campaigns, of), append(h.members, in.Member), append(h.events, in.Event.ID)
}

const (
	// Whoever resumes a campaign has its row alone. So either she comes later and finds what is
	// held here, or she was first and it is known here that nothing is to be held.
	pausedSQL = `select name from campaigns where name = any($1::text[]) and state = 'paused' order by name for share`

	holdPointsSQL = `
insert into intents (kind, campaign, member, event, due_at)
select 'points', campaign, member, event, case when campaign = any($4::text[]) then timestamptz 'infinity' else clock_timestamp() end
  from unnest($1::text[], $2::text[], $3::text[]) with ordinality as i (campaign, member, event, place)
 order by place
on conflict (campaign, event) where kind = 'points' do nothing`

	// Their rows are locked by who took them to be routed.
	holdAgainSQL = `
update intents set due_at = case when campaign = any($2::text[]) then timestamptz 'infinity' else clock_timestamp() end where id = any($1::bigint[])`
)

// HoldPoints keeps events for campaigns that are paused: they are judged when the campaigns
// are resumed. What was held before, and is so again because its campaign was paused anew
// before it could be judged, stays. Where a campaign has gone on meanwhile it is to be judged
// at once, by the next batch.
func (t *RouteTx) HoldPoints(ctx context.Context, h *HeldPoints) error {
	if len(h.events)+len(h.again) == 0 {
		return nil
	}
	found, err := t.tx.Query(ctx, pausedSQL, unique(append(slices.Clone(h.campaigns), h.of...)))
	if err != nil {
		return err
	}
	paused, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if len(h.events) > 0 {
		if _, err := t.tx.Exec(ctx, holdPointsSQL, h.campaigns, h.members, h.events, orEmpty(paused)); err != nil {
			return err
		}
	}
	if len(h.again) == 0 {
		return nil
	}
	t.held = append(t.held, h.again...)
	_, err = t.tx.Exec(ctx, holdAgainSQL, h.again, orEmpty(paused))
	return err
}

// Standing is a member's standing among a campaign's levels, as it is stored.
type Standing struct {
	Campaign, Member string
	campaign.Standing
	Earned campaign.Earned

	Changes []campaign.LevelChange // to be stored
	Next    time.Time              // real: when it may change although nothing happens; zero: never

	id      int64
	changes int
}

const (
	standingsSQL = `
select p.id, p.member, p.campaign, p.earned, p.level, p.low_since, p.level_at, p.changes
  from unnest($1::text[], $2::text[]) as i (member, campaign) join point_members p on p.member = i.member and p.campaign = i.campaign`

	earnedDaysSQL = `
select d.member, d.campaign, (d.day - date '1970-01-01')::int, sum(d.points)::bigint
  from unnest($1::text[], $2::text[], $3::text[]) as i (member, campaign, since)
  join point_days d on d.member = i.member and d.campaign = i.campaign and d.day >= i.since::date
 where d.points > 0
 group by d.member, d.campaign, d.day order by d.day`

	makeStandingsSQL = `
insert into point_members (member, campaign) select * from unnest($1::text[], $2::text[]) as i (member, campaign)
on conflict do nothing`

	saveStandingsSQL = `
update point_members p set level = i.level, low_since = i.low, level_at = i.at, changes = i.changes, due_at = i.due
  from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::int[], $6::timestamptz[]) as i (id, level, low, at, changes, due)
 where p.id = i.id`

	memberLevelsSQL = `
update members m set levels = case i.level when '' then m.levels - i.campaign else m.levels || jsonb_build_object(i.campaign, i.level) end, updated_at = clock_timestamp()
  from unnest($1::text[], $2::text[], $3::text[]) as i (member, campaign, level) where m.id = i.member`

	// Under the lock of the member's row, like every event: it takes the next number of her
	// sequence, and her clock never goes back.
	storeOwnEventsSQL = `
with news as (
	select i.*, row_number() over (partition by i.member order by i.place) as number
	  from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[]) with ordinality as i (id, member, time, properties, place)
), stored as (
	insert into events (id, member, seq, type, time, stored_at, properties)
	select n.id, n.member, m.event_seq + n.number, $5, n.time, greatest(m.last_stored, clock_timestamp()), n.properties::jsonb
	  from news n join members m on m.id = n.member
	on conflict (id) do nothing
	returning id, member, seq, stored_at
), counted as (
	update members m set event_seq = s.seq, last_stored = s.stored_at
	  from (select member, max(seq) as seq, max(stored_at) as stored_at from stored group by member) s
	 where m.id = s.member
	returning m.id, m.event_seq
), queued as (
	insert into intents (kind, member, event) select 'event', member, id from stored order by member collate "C", seq
)
select id, event_seq from counted`
)

// Standings reads where locked members stand in campaigns, one for each of the pairs that are
// given. since says from which day on what they earned by day is wanted; zero: not at all.
func (t *EntryTx) Standings(ctx context.Context, list []*Standing, since map[string]campaign.Day) error {
	if len(list) == 0 {
		return nil
	}
	type pair struct{ member, campaign string }
	var (
		at                           = map[pair]*Standing{}
		members, campaigns           []string
		dMembers, dCampaigns, dSince []string
		q                            questions
		id, earned, points           int64
		member, of, level            string
		low, levelAt                 *time.Time
		changes                      int
		day                          campaign.Day
	)
	for _, s := range list {
		at[pair{s.Member, s.Campaign}] = s
		members, campaigns = append(members, s.Member), append(campaigns, s.Campaign)
		if d, ok := since[s.Campaign]; ok {
			dMembers, dCampaigns, dSince = append(dMembers, s.Member), append(dCampaigns, s.Campaign), append(dSince, d.String())
		}
	}
	if _, err := t.tx.Exec(ctx, makeStandingsSQL, members, campaigns); err != nil {
		return err
	}
	q.ask(standingsSQL, func(r pgx.BatchResults) error {
		return rows(r, func() error {
			s := at[pair{member, of}]
			s.id, s.Earned.Total, s.Level, s.Low, s.At, s.changes = id, earned, level, orZero(low), orZero(levelAt), changes
			return nil
		}, &id, &member, &of, &earned, &level, &low, &levelAt, &changes)
	}, members, campaigns)
	if len(dMembers) > 0 {
		q.ask(earnedDaysSQL, func(r pgx.BatchResults) error {
			return rows(r, func() error {
				s := at[pair{member, of}]
				s.Earned.Days = append(s.Earned.Days, campaign.DayPoints{Day: day, Points: points})
				return nil
			}, &member, &of, &day, &points)
		}, dMembers, dCampaigns, dSince)
	}
	return q.send(ctx, t.tx)
}

// SaveStandings writes where members stand now. Each change of a level is an event of hers,
// stored once, for the router to route like any other.
func (t *EntryTx) SaveStandings(ctx context.Context, list []*Standing) error {
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b *Standing) int {
		return cmp.Or(cmp.Compare(a.Member, b.Member), cmp.Compare(a.Campaign, b.Campaign))
	})
	var (
		ids                       []int64
		levels                    []string
		low, at, due              []*time.Time
		changes                   []int32
		members, campaigns, to    []string
		events, whose, properties []string
		times                     []time.Time
	)
	for _, s := range list {
		for _, c := range s.Changes {
			s.changes++
			events = append(events, campaign.OwnEventID("level/"+strconv.FormatInt(s.id, 10)+"/"+strconv.Itoa(s.changes)))
			whose, times, properties = append(whose, s.Member), append(times, c.At), append(properties, string(c.Properties(s.Campaign)))
		}
		if len(s.Changes) > 0 {
			members, campaigns, to = append(members, s.Member), append(campaigns, s.Campaign), append(to, s.Level)
		}
		ids, levels, low, at = append(ids, s.id), append(levels, s.Level), append(low, orNull(s.Low)), append(at, orNull(s.At))
		changes, due = append(changes, int32(s.changes)), append(due, orNull(s.Next))
	}
	if _, err := t.tx.Exec(ctx, saveStandingsSQL, ids, levels, low, at, changes, due); err != nil {
		return err
	}
	for i := range members {
		// One by one: a statement changes a row once, and a member may rise in two campaigns.
		if _, err := t.tx.Exec(ctx, memberLevelsSQL, members[i:i+1], campaigns[i:i+1], to[i:i+1]); err != nil {
			return err
		}
		if who := t.byMember[members[i]]; who != nil {
			with := make(map[string]string, len(who.Member.Levels)+1)
			for k, v := range who.Member.Levels {
				with[k] = v
			}
			if with[campaigns[i]] = to[i]; to[i] == "" {
				delete(with, campaigns[i])
			}
			who.Member.Levels = with
		}
	}
	if len(events) == 0 {
		return nil
	}
	found, err := t.tx.Query(ctx, storeOwnEventsSQL, events, whose, times, properties, campaign.EventLevelChanged)
	if err != nil {
		return err
	}
	var (
		id  string
		seq int64
	)
	_, err = pgx.ForEachRow(found, []any{&id, &seq}, func() error {
		if who := t.byMember[id]; who != nil {
			who.LastEvent = seq
		}
		return nil
	})
	return err
}

// LevelsDue lists members of a campaign whose level may change now although nothing happens,
// of at most so many, and the campaigns: by member.
func (s *Store) LevelsDue(ctx context.Context, most int) (map[string][]string, error) {
	found, err := s.pool.Query(ctx, `select campaign, member from point_members where due_at <= clock_timestamp() order by due_at limit $1`, most)
	if err != nil {
		return nil, translate(err, "look for levels that end")
	}
	out := map[string][]string{}
	var of, member string
	_, err = pgx.ForEachRow(found, []any{&of, &member}, func() error {
		out[of] = append(out[of], member)
		return nil
	})
	return out, translate(err, "look for levels that end")
}

// PutOffLevels lets members' levels be looked at again in a minute.
func (s *Store) PutOffLevels(ctx context.Context, of string, members []string) error {
	_, err := s.pool.Exec(ctx, `update point_members set due_at = clock_timestamp() + interval '1 minute' where campaign = $1 and member = any($2::text[]) and due_at is not null`, of, members)
	return translate(err, "put off looking at levels")
}
