package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// EntryTx is an open transaction in which members' rows are locked, so that whether
// they enter journeys is decided once.
type EntryTx struct {
	tx       pgx.Tx
	q        *db.Queries
	entrants []*Entrant
	byMember map[string]*Entrant
}

// Entrant is a locked member who may enter journeys.
type Entrant struct {
	Member    campaign.Member
	LastEvent int64 // number of her last stored event
}

// Entries is what the entry rule must know of a member's earlier entries into a journey.
// Attempts of one member at one journey share it, and each sees the entries before it.
type Entries struct {
	Count  int
	Active bool
	Last   time.Time

	started []string // the events of the attempts that started one of them
}

// StartedBy reports whether an event has started one of the entries already.
func (e *Entries) StartedBy(event string) bool {
	return event != "" && slices.Contains(e.started, event)
}

// Attempt is a member at the door of a journey, with what must be known of her past.
type Attempt struct {
	Entrant   *Entrant
	Campaign  string
	Journey   string
	Event     string    // the id of the event that would start it; empty for segments and the API
	Now       time.Time // campaign time
	Questions []campaign.Behaviour

	// What Gather finds out.
	Entries *Entries
	Answers map[campaign.Behaviour]campaign.BehaviourValue
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

	Row int64 // once it is stored; 0: the same entry stood already
}

// InEntry opens a transaction with the rows of members locked, in the order of their
// ids. Members that do not exist are left out.
func (s *Store) InEntry(ctx context.Context, members []string, do func(*EntryTx) error) error {
	err := s.inQuickTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		t := &EntryTx{tx: tx, q: q}
		if err := t.lock(ctx, members); err != nil {
			return err
		}
		return do(t)
	})
	if err == nil {
		s.Notify()
	}
	return translate(err, "enter members")
}

func (t *EntryTx) lock(ctx context.Context, members []string) error {
	rows, err := t.q.LockMembers(ctx, members)
	if err != nil {
		return err
	}
	list, err := membersOf(ctx, t.tx, rows)
	if err != nil {
		return err
	}
	t.byMember = make(map[string]*Entrant, len(rows))
	for i, m := range list {
		e := &Entrant{Member: m, LastEvent: rows[i].EventSeq}
		t.entrants, t.byMember[m.ID] = append(t.entrants, e), e
	}
	return nil
}

// Entrants are the locked members in the order of their ids.
func (t *EntryTx) Entrants() []*Entrant { return t.entrants }

// Entrant is one of the locked members, or nil if there is no such member.
func (t *EntryTx) Entrant(member string) *Entrant { return t.byMember[member] }

// Gather finds out what must be known for each of these attempts, all in one round trip.
func (t *EntryTx) Gather(ctx context.Context, attempts []*Attempt) error {
	var q questions
	askEntries(attempts, q.ask)
	pasts := make([]past, len(attempts))
	for i, a := range attempts {
		a.Answers = make(map[campaign.Behaviour]campaign.BehaviourValue, len(a.Questions))
		pasts[i] = past{a.Campaign, a.Entrant.Member.ID, a.Now, a.Questions, a.Answers}
	}
	askBehaviour(pasts, q.ask)
	return q.send(ctx, t.tx)
}

// Started counts an entry that was decided for the attempts that come after it.
func (e *Entries) Started(n *NewJourney) {
	e.Count, e.Active, e.Last = e.Count+1, true, n.Entered
	e.started = append(e.started, n.StartEvent)
}

// Here and in other statements "is not distinct from", which no index serves, says what
// else must hold of the few rows of a member: as long as a table is small the planner
// would as gladly look for her among all rows of the campaign.
const entriesSQL = `
select i.member, e.*
  from unnest($3::text[]) as i (member)
 cross join lateral (
       select count(*)::int as entries, bool_or(status = 'active'), max(entered_at),
              coalesce(array_agg(start_event) filter (where start_event = any($4::text[])), '{}')
         from journeys where member = i.member and campaign is not distinct from $1 and journey is not distinct from $2
       ) e
 where e.entries > 0`

// askEntries asks once for each journey.
func askEntries(attempts []*Attempt, ask asker) {
	type group struct {
		campaign, journey string
		members, events   []string
		known             map[string]*Entries
	}
	var groups []*group
	for _, a := range attempts {
		i := slices.IndexFunc(groups, func(g *group) bool { return g.campaign == a.Campaign && g.journey == a.Journey })
		if i < 0 {
			i = len(groups)
			groups = append(groups, &group{campaign: a.Campaign, journey: a.Journey, events: []string{}, known: map[string]*Entries{}})
		}
		g, member := groups[i], a.Entrant.Member.ID
		if g.known[member] == nil {
			g.known[member], g.members = new(Entries), append(g.members, member)
		}
		if a.Entries = g.known[member]; a.Event != "" {
			g.events = append(g.events, a.Event)
		}
	}
	for _, g := range groups {
		var (
			member string
			count  int32
			e      Entries
		)
		ask(entriesSQL, func(r pgx.BatchResults) error {
			return rows(r, func() error {
				e.Count = int(count)
				*g.known[member], e = e, Entries{}
				return nil
			}, &member, &count, &e.Active, &e.Last, &e.started)
		}, g.campaign, g.journey, g.members, g.events)
	}
}

const (
	// Looked for first: to run into the unique key costs a number and a wait.
	makeSlicesSQL = `
insert into slices (campaign, journey, slice, workflow_id)
select distinct campaign, journey, slice, workflow_id
  from unnest($1::text[], $2::text[], $3::int[], $4::text[]) as i (campaign, journey, slice, workflow_id)
 where not exists (select from slices s where s.workflow_id = i.workflow_id)
on conflict do nothing`

	slicesSQL = `select id, workflow_id from slices where workflow_id = any($1::text[])`

	enterSQL = `
insert into journeys (campaign, version, digest, journey, member, entry, workflow_id, holdout, state, cursor, entered_by,
                      entered_at, start_event, slice, due_at)
select campaign, version, digest, journey, member, entry, workflow_id, holdout, state::jsonb, cursor, entered_by, entered_at,
       start_event, slice, case when slice is not null then clock_timestamp() end
  from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::boolean[], $9::text[],
              $10::bigint[], $11::text[], $12::timestamptz[], $13::text[], $14::int[]) with ordinality
       as i (campaign, version, digest, journey, member, entry, workflow_id, holdout, state, cursor, entered_by, entered_at,
             start_event, slice, place)
 order by place
on conflict do nothing
returning id, workflow_id`
)

// Enter stores entries, each with the intent to start its workflow or to wake its slice.
// One that stands already keeps Row 0.
func (t *EntryTx) Enter(ctx context.Context, list []*NewJourney) error {
	if len(list) == 0 {
		return nil
	}
	inSlice, err := t.makeSlices(ctx, list)
	if err != nil {
		return err
	}
	var (
		campaigns, digests, journeys, members, workflows, states, by []string
		versions, entries                                            []int32
		holdouts                                                     []bool
		cursors                                                      []int64
		entered                                                      []time.Time
		starts                                                       []*string
		slices                                                       []*int32
		stored                                                       = make(map[string]*NewJourney, len(list))
	)
	for _, n := range list {
		id := n.ID.WorkflowID()
		stored[id] = n
		campaigns, versions, digests = append(campaigns, n.ID.Campaign), append(versions, int32(n.Version)), append(digests, n.Digest)
		journeys, members, entries = append(journeys, n.ID.Journey), append(members, n.ID.Member), append(entries, int32(n.ID.Entry))
		workflows, holdouts, states = append(workflows, id), append(holdouts, n.Holdout), append(states, string(n.State))
		cursors, by, entered = append(cursors, n.Cursor), append(by, n.By), append(entered, n.Entered)
		starts, slices = append(starts, textOrNull(n.StartEvent)), append(slices, inSlice[n])
	}
	found, err := t.tx.Query(ctx, enterSQL, campaigns, versions, digests, journeys, members, entries, workflows, holdouts, states, cursors, by,
		entered, starts, slices)
	if err != nil {
		return err
	}
	var (
		row int64
		id  string
	)
	if _, err := pgx.ForEachRow(found, []any{&row, &id}, func() error { stored[id].Row = row; return nil }); err != nil {
		return err
	}
	return t.follow(ctx, list, inSlice)
}

// makeSlices makes the slices that the entries need, and answers which is whose.
func (t *EntryTx) makeSlices(ctx context.Context, list []*NewJourney) (map[*NewJourney]*int32, error) {
	var (
		campaigns, journeys, workflows []string
		numbers                        []int32
		workflow                       = map[*NewJourney]string{}
	)
	for _, n := range list {
		if !n.Sliced {
			continue
		}
		slice := campaign.SliceOf(n.ID.Member)
		workflow[n] = campaign.SliceWorkflowID(n.ID.Campaign, n.ID.Journey, slice)
		campaigns, journeys = append(campaigns, n.ID.Campaign), append(journeys, n.ID.Journey)
		numbers, workflows = append(numbers, int32(slice)), append(workflows, workflow[n])
	}
	if len(workflow) == 0 {
		return nil, nil
	}
	if _, err := t.tx.Exec(ctx, makeSlicesSQL, campaigns, journeys, numbers, workflows); err != nil {
		return nil, err
	}
	found, err := t.tx.Query(ctx, slicesSQL, workflows)
	if err != nil {
		return nil, err
	}
	var (
		ids      = map[string]*int32{}
		id       int32
		driverID string
	)
	if _, err := pgx.ForEachRow(found, []any{&id, &driverID}, func() error {
		v := id
		ids[driverID] = &v
		return nil
	}); err != nil {
		return nil, err
	}
	inSlice := make(map[*NewJourney]*int32, len(workflow))
	for n, driver := range workflow {
		inSlice[n] = ids[driver]
	}
	return inSlice, nil
}

// follow stores what goes with entries: their trace, and who is to be started or woken.
func (t *EntryTx) follow(ctx context.Context, list []*NewJourney, inSlice map[*NewJourney]*int32) error {
	var (
		trace  traceColumns
		starts []int64
		wakes  []int32
		batch  pgx.Batch
	)
	for _, n := range list {
		if n.Row == 0 {
			continue
		}
		if err := trace.add(n.Row, 0, n.ID.Campaign, int32(n.Version), n.Trace); err != nil {
			return err
		}
		if slice := inSlice[n]; slice == nil {
			starts = append(starts, n.Row)
		} else if !slices.Contains(wakes, *slice) {
			wakes = append(wakes, *slice)
		}
	}
	trace.queue(&batch)
	queued := db.New(queue{&batch})
	if len(starts) > 0 {
		if err := queued.AddIntents(ctx, string(IntentStart), starts); err != nil {
			return err
		}
	}
	if len(wakes) > 0 {
		if err := queued.AddSliceIntents(ctx, wakes); err != nil {
			return err
		}
	}
	return t.tx.SendBatch(ctx, &batch).Close()
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
	// Since is when it began to run by this version, on its clock.
	Since time.Time
}

// TakesEntrants reports whether members may enter now.
func (c RunningCampaign) TakesEntrants() bool {
	return c.State == StateRunning || c.State == StatePaused
}

// Definition is Store.Definition on this transaction's connection.
func (t *EntryTx) Definition(ctx context.Context, digest string) (*campaign.Definition, error) {
	return definition(ctx, t.q, digest)
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
	since := r.VersionAt
	if r.StartedAt != nil && r.StartedAt.After(since) {
		since = *r.StartedAt
	}
	return RunningCampaign{
		Name: r.Name, State: State(r.State), Version: int(r.Version), Digest: r.Digest, Clock: c, Now: c.At(r.RealNow), Since: c.At(since),
	}
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
