package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Intent is something that the router has still to do.
type Intent struct {
	ID      int64
	Kind    IntentKind
	Member  string
	Journey int64
	Event   *StoredEvent // kind event
	Created time.Time
}

// IntentKind is the sort of an intent.
type IntentKind string

// Kinds of intent.
const (
	IntentEvent  IntentKind = "event"  // an event was stored
	IntentMember IntentKind = "member" // a member changed
	IntentStart  IntentKind = "start"  // a journey's workflow is to be started
	IntentPoke   IntentKind = "poke"   // a journey is to look again
)

// RouteTx is the open transaction of a batch of event and member intents: the intents
// are locked against other routers, their members against turns and further events.
type RouteTx struct {
	q       *db.Queries
	Intents []Intent
	entries map[string]*EntryTx
	pokes   []int64
	later   []int64
}

// Route takes up to most intents of kind event and member and hands them to do. They
// are done when do succeeds, and stay for the next try when it does not. It answers
// how many there were.
func (s *Store) Route(ctx context.Context, most int, do func(*RouteTx) error) (n int, err error) {
	err = s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		rows, err := q.IntentsToRoute(ctx, int32(most))
		if n = len(rows); err != nil || n == 0 {
			return err
		}
		t := &RouteTx{q: q}
		if err := t.load(ctx, rows); err != nil {
			return err
		}
		if err := do(t); err != nil {
			return err
		}
		if err := q.AddIntents(ctx, string(IntentPoke), notNull(t.pokes)); err != nil {
			return err
		}
		ids := make([]int64, len(rows))
		for i := range rows {
			ids[i] = rows[i].ID
		}
		if len(t.later) > 0 {
			if err := q.PostponeIntents(ctx, routeLater.Seconds(), t.later); err != nil {
				return err
			}
		}
		return q.DropIntents(ctx, minus(ids, t.later))
	})
	return n, translate(err, "route events")
}

// routeLater is when an intent is looked at again that could be done in part only.
const routeLater = time.Minute

// Later keeps an intent, to be routed again. What it has done so far stands; doing it
// again changes nothing: a journey is started once by an event, and a poke carries nothing.
func (t *RouteTx) Later(in *Intent) { t.later = append(t.later, in.ID) }

func (t *RouteTx) load(ctx context.Context, rows []db.Intent) error {
	var members, events []string
	for _, r := range rows {
		in := Intent{ID: r.ID, Kind: IntentKind(r.Kind), Created: r.CreatedAt}
		if r.Member != nil {
			in.Member = *r.Member
			members = append(members, in.Member)
		}
		if r.Event != nil {
			in.Event = &StoredEvent{Event: campaign.Event{ID: *r.Event}}
			events = append(events, *r.Event)
		}
		t.Intents = append(t.Intents, in)
	}
	locked, err := t.q.LockMembers(ctx, members)
	if err != nil {
		return err
	}
	t.entries = make(map[string]*EntryTx, len(locked))
	for _, row := range locked {
		m, err := memberOf(row)
		if err != nil {
			return err
		}
		t.entries[m.ID] = &EntryTx{q: t.q, member: m, last: row.EventSeq}
	}
	found, err := t.q.EventsByID(ctx, notNull(events))
	if err != nil {
		return err
	}
	byID := make(map[string]db.EventsByIDRow, len(found))
	for _, e := range found {
		byID[e.ID] = e
	}
	for i := range t.Intents {
		if in := &t.Intents[i]; in.Event != nil {
			e := byID[in.Event.ID]
			in.Event.Event = campaign.Event{ID: e.ID, Type: e.Type, Member: e.Member, Time: e.Time, Properties: e.Properties, Seq: e.Seq}
			in.Event.Stored = e.StoredAt
		}
	}
	return nil
}

// Entry is the view of one of the batch's members, or nil if there is no such member.
func (t *RouteTx) Entry(member string) *EntryTx { return t.entries[member] }

// RunningCampaigns lists the campaigns that take entrants.
func (t *RouteTx) RunningCampaigns(ctx context.Context) ([]RunningCampaign, error) {
	return runningCampaigns(ctx, t.q)
}

// Poke leaves a poke for every journey of the member that listens to the event's type.
// One that is over still listens until its horizon, for what comes too late.
func (t *RouteTx) Poke(ctx context.Context, e *StoredEvent, clocks map[string]RunningCampaign) error {
	rows, err := t.q.ListeningJourneys(ctx, e.Member, e.Type)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.Status == "done" && r.WaitUntil != nil {
			if c, ok := clocks[r.Campaign]; ok && c.Now.After(*r.WaitUntil) {
				continue
			}
		}
		t.pokes = append(t.pokes, r.ID)
	}
	return nil
}

// Delivery is a start or a poke on its way to Temporal.
type Delivery struct {
	Intents  []int64 // all that this one settles
	Kind     IntentKind
	Row      int64
	ID       campaign.JourneyID
	Workflow string
	Version  int
	Turn     int // the last one taken
	Done     bool
}

// Deliver takes up to most starts and pokes, several pokes of a journey as one, and
// hands them to do, which answers those that must be tried again later. The rest is
// done. The intents are locked meanwhile; a router that dies gives them back.
func (s *Store) Deliver(ctx context.Context, most int, do func([]Delivery) (again []Delivery, wait time.Duration)) (n int, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.queries.WithTx(tx)
		rows, err := q.IntentsToDeliver(ctx, int32(most))
		if n = len(rows); err != nil || n == 0 {
			return err
		}
		deliveries, ids, err := deliveriesOf(ctx, q, rows)
		if err != nil {
			return err
		}
		again, wait := do(deliveries)
		var later []int64
		for _, d := range again {
			later = append(later, d.Intents...)
		}
		if len(later) > 0 {
			n -= len(later)
			if err := q.PostponeIntents(ctx, wait.Seconds(), later); err != nil {
				return err
			}
		}
		return q.DropIntents(ctx, minus(ids, later))
	})
	return n, translate(err, "deliver starts and pokes")
}

func deliveriesOf(ctx context.Context, q *db.Queries, rows []db.Intent) (deliveries []Delivery, ids []int64, err error) {
	journeys := make([]int64, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.ID)
		if r.Journey != nil {
			journeys = append(journeys, *r.Journey)
		}
	}
	work, err := q.IntentWork(ctx, journeys)
	if err != nil {
		return nil, nil, err
	}
	known := make(map[int64]db.IntentWorkRow, len(work))
	for _, w := range work {
		known[w.ID] = w
	}
	type one struct {
		journey int64
		kind    string
	}
	place := map[one]int{}
	for _, r := range rows {
		if r.Journey == nil {
			continue
		}
		w, ok := known[*r.Journey]
		if !ok {
			continue
		}
		key := one{*r.Journey, r.Kind}
		if i, ok := place[key]; ok {
			deliveries[i].Intents = append(deliveries[i].Intents, r.ID)
			continue
		}
		place[key] = len(deliveries)
		deliveries = append(deliveries, Delivery{
			Intents: []int64{r.ID}, Kind: IntentKind(r.Kind), Row: w.ID, Workflow: w.WorkflowID, Version: int(w.Version),
			ID:   campaign.JourneyID{Campaign: w.Campaign, Journey: w.Journey, Member: w.Member},
			Turn: int(w.Turn), Done: w.Status == "done",
		})
	}
	return deliveries, ids, nil
}

// Postpone puts an intent off.
func (s *Store) Postpone(ctx context.Context, intent int64, wait time.Duration) error {
	return translate(s.queries.PostponeIntents(ctx, wait.Seconds(), []int64{intent}), "put off an intent")
}

func minus(all, some []int64) []int64 {
	drop := make(map[int64]bool, len(some))
	for _, id := range some {
		drop[id] = true
	}
	rest := make([]int64, 0, len(all))
	for _, id := range all {
		if !drop[id] {
			rest = append(rest, id)
		}
	}
	return rest
}
