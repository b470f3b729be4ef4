package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// EntryTx is an open transaction in which one member's row is locked, so that whether
// she enters a journey is decided once.
type EntryTx struct {
	tx     pgx.Tx
	q      *db.Queries
	member campaign.Member
	last   int64
	page   *EntriesTx // nil: she is alone
}

// Entries is what the entry rule must know of a member's earlier entries.
type Entries struct {
	Count  int
	Active bool
	Last   time.Time
}

// NewJourney is an entry that was decided.
type NewJourney struct {
	ID      campaign.JourneyID
	Version int
	Digest  string
	Holdout bool
	State   json.RawMessage
	Cursor  int64
	By      string
	Entered time.Time // campaign time
	// StartEvent is the id of the event that starts it, which starts it once however
	// often it is routed; empty for segments and the API.
	StartEvent string
	// Sliced is set where the journey is driven by slices.
	Sliced bool
	Trace  []campaign.TraceLine
}

// InEntry opens a transaction with the member's row locked.
func (s *Store) InEntry(ctx context.Context, member string, do func(*EntryTx) error) error {
	err := s.inQuickTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		row, err := q.LockMember(ctx, member)
		if err != nil {
			return found(err, "member", member)
		}
		m, err := memberOf(row)
		if err != nil {
			return err
		}
		return do(&EntryTx{tx: tx, q: q, member: m, last: row.EventSeq})
	})
	if err == nil {
		s.Notify()
	}
	return translate(err, "enter a member")
}

// Member is the locked member.
func (t *EntryTx) Member() *campaign.Member { return &t.member }

// LastEvent is the number of the member's last stored event.
func (t *EntryTx) LastEvent() int64 { return t.last }

// Entries reads the member's earlier entries into a journey.
func (t *EntryTx) Entries(ctx context.Context, campaignName, journey string) (Entries, error) {
	if t.page != nil {
		if known, ok := t.page.entries[[2]string{campaignName, journey}]; ok {
			return known[t.member.ID], nil
		}
	}
	known, err := entriesOf(ctx, t.q, campaignName, journey, t.member.ID)
	return known[t.member.ID], err
}

// entriesOf reads members' earlier entries into a journey; who has none is not among them.
func entriesOf(ctx context.Context, q *db.Queries, campaignName, journey string, members ...string) (map[string]Entries, error) {
	rows, err := q.EntrySummaries(ctx, campaignName, journey, members)
	known := make(map[string]Entries, len(rows))
	for _, r := range rows {
		known[r.Member] = Entries{int(r.Entries), r.Active, r.LastEntered}
	}
	return known, err
}

// Behaviour answers questions about the member's past.
func (t *EntryTx) Behaviour(ctx context.Context, now time.Time, asked []campaign.Behaviour) (map[campaign.Behaviour]campaign.BehaviourValue, error) {
	var q questions
	answers := make(map[campaign.Behaviour]campaign.BehaviourValue, len(asked))
	askBehaviour([]past{{t.member.ID, now, asked, answers}}, q.ask)
	return answers, q.send(ctx, t.tx)
}

// Enter stores the entry and the intent to start or to wake its workflow. It answers 0
// where the same entry stands already. In a page of members it is stored when the page
// ends, and the answer is -1.
func (t *EntryTx) Enter(ctx context.Context, n *NewJourney) (int64, error) {
	if t.page != nil {
		t.page.fresh = append(t.page.fresh, n)
		return -1, nil
	}
	ids, err := enter(ctx, t.tx, []*NewJourney{n})
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return ids[0], nil
}

// EntriesTx is an open transaction in which a page of members is locked.
type EntriesTx struct {
	q       *db.Queries
	Members []*EntryTx
	entries map[[2]string]map[string]Entries
	fresh   []*NewJourney
}

// InEntries opens a transaction with the rows of a page of members locked, in the
// order of their ids. Entries are stored together when do has succeeded.
func (s *Store) InEntries(ctx context.Context, members []string, do func(*EntriesTx) error) error {
	err := s.inQuickTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		rows, err := q.LockMembers(ctx, members)
		if err != nil {
			return err
		}
		p := &EntriesTx{q: q, entries: map[[2]string]map[string]Entries{}}
		for _, row := range rows {
			m, err := memberOf(row)
			if err != nil {
				return err
			}
			p.Members = append(p.Members, &EntryTx{tx: tx, q: q, member: m, last: row.EventSeq, page: p})
		}
		if err := do(p); err != nil || len(p.fresh) == 0 {
			return err
		}
		_, err = enter(ctx, tx, p.fresh)
		return err
	})
	if err == nil {
		s.Notify()
	}
	return translate(err, "enter members")
}

// Definition is Store.Definition on this transaction's connection.
func (p *EntriesTx) Definition(ctx context.Context, digest string) (*campaign.Definition, error) {
	return definition(ctx, p.q, digest)
}

// Campaign reads one campaign's clock and current version in this transaction.
func (p *EntriesTx) Campaign(ctx context.Context, name string) (RunningCampaign, error) {
	return campaignNow(ctx, p.q, name)
}

// Ahead reads at once what Entries will be asked for each member.
func (p *EntriesTx) Ahead(ctx context.Context, campaignName, journey string) error {
	ids := make([]string, len(p.Members))
	for i, t := range p.Members {
		ids[i] = t.member.ID
	}
	known, err := entriesOf(ctx, p.q, campaignName, journey, ids...)
	p.entries[[2]string{campaignName, journey}] = known
	return err
}

const (
	// What is told is joined with what was stored of it, and neither has an index.
	joinByHashSQL = `select set_config('enable_hashjoin', 'on', true)`

	// Looked for first: to run into the unique key costs a number and a wait.
	makeSlicesSQL = `
insert into slices (campaign, journey, slice, workflow_id)
select distinct campaign, journey, slice, workflow_id
  from unnest($1::text[], $2::text[], $3::int[], $4::text[]) as i (campaign, journey, slice, workflow_id)
 where slice is not null
   and not exists (select from slices s where s.campaign = i.campaign and s.journey = i.journey and s.slice = i.slice)
on conflict do nothing`

	// A member of a slice has no workflow to be started: her slice is woken.
	enterSQL = `
with told as (
	select i.*, s.id as slice_id
	  from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::boolean[], $9::text[],
	              $10::bigint[], $11::text[], $12::timestamptz[], $13::text[], $14::int[]) with ordinality
	       as i (campaign, version, digest, journey, member, entry, workflow_id, holdout, state, cursor, entered_by, entered_at,
	             start_event, slice, place)
	  left join slices s on s.campaign = i.campaign and s.journey = i.journey and s.slice = i.slice
), entered as (
	insert into journeys (campaign, version, digest, journey, member, entry, workflow_id, holdout, state, cursor, entered_by,
	                      entered_at, start_event, slice, due_at)
	select campaign, version, digest, journey, member, entry, workflow_id, holdout, state::jsonb, cursor, entered_by, entered_at,
	       start_event, slice_id, case when slice_id is not null then clock_timestamp() end
	  from told order by place
	on conflict do nothing
	returning id, workflow_id, campaign, version, slice
), traced as (
	insert into trace (journey, turn, at, step, kind, params, campaign, version)
	select e.id, 0, i.at, i.step, i.kind, i.params::jsonb, e.campaign, e.version
	  from unnest($15::text[], $16::timestamptz[], $17::text[], $18::text[], $19::text[]) with ordinality
	       as i (workflow_id, at, step, kind, params, place)
	  join entered e on e.workflow_id = i.workflow_id order by i.place
), starts as (
	insert into intents (kind, journey) select 'start', id from entered where slice is null order by id
), wakes as (
	insert into intents (kind, slice) select distinct 'slice', slice from entered where slice is not null
)
select id from entered`
)

// enter stores entries and answers the rows of those that did not stand already.
func enter(ctx context.Context, tx pgx.Tx, list []*NewJourney) (ids []int64, err error) {
	var (
		campaigns, digests, journeys, members, workflows, states, by, sliceIDs []string
		versions, entries                                                      []int32
		holdouts                                                               []bool
		cursors                                                                []int64
		entered                                                                []time.Time
		starts                                                                 []*string
		slices                                                                 []*int32
		sliced                                                                 bool
		traceOf                                                                []string
		trace                                                                  traceColumns
	)
	for _, n := range list {
		id := n.ID.WorkflowID()
		campaigns, versions, digests = append(campaigns, n.ID.Campaign), append(versions, int32(n.Version)), append(digests, n.Digest)
		journeys, members, entries = append(journeys, n.ID.Journey), append(members, n.ID.Member), append(entries, int32(n.ID.Entry))
		workflows, holdouts, states = append(workflows, id), append(holdouts, n.Holdout), append(states, string(n.State))
		cursors, by, entered = append(cursors, n.Cursor), append(by, n.By), append(entered, n.Entered)
		starts = append(starts, textOrNull(n.StartEvent))
		var slice *int32
		workflow := ""
		if n.Sliced {
			sliced = true
			slice = int32ptr(campaign.SliceOf(n.ID.Member))
			workflow = campaign.SliceWorkflowID(n.ID.Campaign, n.ID.Journey, int(*slice))
		}
		slices, sliceIDs = append(slices, slice), append(sliceIDs, workflow)
		for range n.Trace {
			traceOf = append(traceOf, id)
		}
		if err := trace.add(0, 0, n.ID.Campaign, int32(n.Version), n.Trace); err != nil {
			return nil, err
		}
	}
	var batch pgx.Batch
	if sliced {
		batch.Queue(makeSlicesSQL, campaigns, journeys, slices, sliceIDs)
	}
	batch.Queue(joinByHashSQL)
	batch.Queue(enterSQL, campaigns, versions, digests, journeys, members, entries, workflows, holdouts, states, cursors, by, entered,
		starts, slices, notNull(traceOf), notNull(trace.at), notNull(trace.step), notNull(trace.kind), notNull(trace.params))
	err = inBatch(tx.SendBatch(ctx, &batch), func(r pgx.BatchResults) error {
		for range batch.Len() - 1 {
			if _, err := r.Exec(); err != nil {
				return err
			}
		}
		var id int64
		return rows(r, func() error { ids = append(ids, id); return nil }, &id)
	})
	return ids, err
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// RunningCampaign is a campaign that may take entrants.
type RunningCampaign struct {
	Name    string
	State   State
	Version int
	Digest  string
	Clock   campaign.Clock
	Now     time.Time // on the campaign's clock
}

// TakesEntrants reports whether members may enter now.
func (c RunningCampaign) TakesEntrants() bool {
	return c.State == StateRunning || c.State == StatePaused
}

// RunningCampaigns lists the campaigns that take entrants, by PostgreSQL's clock. A
// paused campaign takes them too: they wait at its door like everybody inside.
func (t *EntryTx) RunningCampaigns(ctx context.Context) ([]RunningCampaign, error) {
	return runningCampaigns(ctx, t.q)
}

// RunningCampaigns lists the campaigns that take entrants.
func (s *Store) RunningCampaigns(ctx context.Context) ([]RunningCampaign, error) {
	list, err := runningCampaigns(ctx, s.queries)
	return list, translate(err, "list the running campaigns")
}

func runningCampaigns(ctx context.Context, q *db.Queries) ([]RunningCampaign, error) {
	rows, err := q.RunningCampaigns(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]RunningCampaign, len(rows))
	for i, r := range rows {
		out[i] = runningCampaign(db.CampaignNowRow(r))
	}
	return out, nil
}

func runningCampaign(r db.CampaignNowRow) RunningCampaign {
	c := clock(r.ClockFactor, r.ClockReal, r.ClockStart)
	return RunningCampaign{Name: r.Name, State: State(r.State), Version: int(r.Version), Digest: r.Digest, Clock: c, Now: c.At(r.RealNow)}
}

// Campaign reads one campaign's clock and current version in this transaction.
func (t *EntryTx) Campaign(ctx context.Context, name string) (RunningCampaign, error) {
	return campaignNow(ctx, t.q, name)
}

func campaignNow(ctx context.Context, q *db.Queries, name string) (RunningCampaign, error) {
	r, err := q.CampaignNow(ctx, name)
	if err != nil {
		return RunningCampaign{}, found(err, "campaign", name)
	}
	return runningCampaign(r), nil
}

// On is the event as a campaign with this clock sees it.
func (e StoredEvent) On(c campaign.Clock) *campaign.Event {
	out := e.Event
	out.Stored = c.At(e.Stored)
	return &out
}

// StoredEvent is an event with its real time of storing.
type StoredEvent struct {
	campaign.Event
	Stored time.Time
}
