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
	IntentSlice  IntentKind = "slice"  // somebody of a slice is due
)

// RouteTx is the open transaction of a batch of event and member intents: the intents
// are locked against other routers, their members against turns and further events.
type RouteTx struct {
	tx      pgx.Tx
	q       *db.Queries
	Intents []Intent
	entries map[string]*EntryTx
	pokes   []int64 // journeys with a workflow of their own
	due     []int64 // journeys in slices
	slices  map[int32]bool
	later   []int64
}

// Route takes up to most intents of kind event and member and hands them to do. They
// are done when do succeeds, and stay for the next try when it does not. It answers
// how many there were.
func (s *Store) Route(ctx context.Context, most int, do func(*RouteTx) error) (n int, err error) {
	err = s.inQuickTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		rows, err := q.IntentsToRoute(ctx, int32(most))
		if n = len(rows); err != nil || n == 0 {
			return err
		}
		t := &RouteTx{tx: tx, q: q, slices: map[int32]bool{}}
		if err := t.load(ctx, rows); err != nil {
			return err
		}
		if err := do(t); err != nil {
			return err
		}
		if err := q.AddIntents(ctx, string(IntentPoke), notNull(t.pokes)); err != nil {
			return err
		}
		if err := t.wakeSlices(ctx); err != nil {
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

// wakeSlices makes those due who are turned by slices, and leaves one intent for each slice.
func (t *RouteTx) wakeSlices(ctx context.Context) error {
	if len(t.due) == 0 {
		return nil
	}
	if err := t.q.DueNow(ctx, t.due); err != nil {
		return err
	}
	var slices []int32
	for id := range t.slices {
		slices = append(slices, id)
	}
	return t.q.AddSliceIntents(ctx, slices)
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
		t.entries[m.ID] = &EntryTx{tx: t.tx, q: t.q, member: m, last: row.EventSeq}
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
		if r.Slice == nil {
			t.pokes = append(t.pokes, r.ID)
			continue
		}
		t.due, t.slices[*r.Slice] = append(t.due, r.ID), true
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
	// Unsettled is set where some message of the journey is not settled yet.
	Unsettled bool
	Slice     int    // kind slice
	Event     string // that started the journey, if one did
}

// Deliver takes up to most starts and pokes, several pokes of a journey as one, and
// hands them to do, which answers those that must be tried again later. The rest is
// done. The intents are locked meanwhile; a router that dies gives them back.
func (s *Store) Deliver(ctx context.Context, most int, do func([]Delivery) (again []Delivery, wait time.Duration)) (n int, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.queries.WithTx(tx)
		if _, err := tx.Exec(ctx, planOnceSQL); err != nil {
			return err
		}
		rows, err := q.IntentsToDeliver(ctx, int32(most))
		if n = len(rows); err != nil || n == 0 {
			return err
		}
		if rows, err = withAllOfSlices(ctx, q, rows); err != nil {
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

// withAllOfSlices adds what else waits for the slices that are about to be woken.
func withAllOfSlices(ctx context.Context, q *db.Queries, list []db.Intent) ([]db.Intent, error) {
	have := make(map[int64]bool, len(list))
	var slices []int32
	for _, r := range list {
		if have[r.ID] = true; r.Slice != nil {
			slices = append(slices, *r.Slice)
		}
	}
	if len(slices) == 0 {
		return list, nil
	}
	others, err := q.OtherSliceIntents(ctx, slices)
	for _, r := range others {
		if !have[r.ID] {
			list = append(list, db.Intent{ID: r.ID, Kind: string(IntentSlice), Slice: r.Slice})
		}
	}
	return list, err
}

func deliveriesOf(ctx context.Context, q *db.Queries, rows []db.Intent) (deliveries []Delivery, ids []int64, err error) {
	var (
		journeys []int64
		slices   []int32
	)
	for _, r := range rows {
		ids = append(ids, r.ID)
		if r.Journey != nil {
			journeys = append(journeys, *r.Journey)
		}
		if r.Slice != nil {
			slices = append(slices, *r.Slice)
		}
	}
	known := map[one]Delivery{}
	if len(journeys) > 0 {
		work, err := q.IntentWork(ctx, journeys)
		if err != nil {
			return nil, nil, err
		}
		for _, w := range work {
			known[one{w.ID, ""}] = Delivery{
				Row: w.ID, Workflow: w.WorkflowID, Version: int(w.Version), Turn: int(w.Turn), Done: w.Status == "done", Unsettled: w.Unsettled,
				ID: campaign.JourneyID{Campaign: w.Campaign, Journey: w.Journey, Member: w.Member}, Event: deref(w.StartEvent),
			}
		}
	}
	if len(slices) > 0 {
		work, err := q.SliceWork(ctx, slices)
		if err != nil {
			return nil, nil, err
		}
		for _, w := range work {
			known[one{int64(w.ID), IntentSlice}] = Delivery{
				Slice: int(w.ID), Workflow: w.WorkflowID, ID: campaign.JourneyID{Campaign: w.Campaign, Journey: w.Journey},
			}
		}
	}
	place := map[one]int{}
	for _, r := range rows {
		kind, of := IntentKind(r.Kind), one{}
		switch {
		case r.Slice != nil:
			of = one{int64(*r.Slice), IntentSlice}
		case r.Journey != nil:
			of = one{*r.Journey, ""}
		}
		d, ok := known[of]
		if !ok {
			continue
		}
		of.kind = kind
		if i, ok := place[of]; ok {
			deliveries[i].Intents = append(deliveries[i].Intents, r.ID)
			continue
		}
		place[of] = len(deliveries)
		d.Kind, d.Intents = kind, []int64{r.ID}
		deliveries = append(deliveries, d)
	}
	return deliveries, ids, nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// one is what several intents may be about.
type one struct {
	id   int64
	kind IntentKind
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
