package store

import (
	"context"
	"slices"
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
	EntryTx
	Intents []Intent
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
		t := &RouteTx{EntryTx: EntryTx{tx: tx, q: q}}
		if err := t.load(ctx, rows); err != nil {
			return err
		}
		if err := do(t); err != nil {
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
	if err := t.lock(ctx, members); err != nil || len(events) == 0 {
		return err
	}
	found, err := t.q.EventsByID(ctx, events)
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

// listeningSQL finds the journeys that listen to one of these events.
const listeningSQL = `
select distinct j.id, j.status = 'done', j.campaign, j.wait_until, j.slice
  from unnest($1::text[], $2::text[]) as i (member, type)
  join journeys j on j.member = i.member and i.type = any(j.listens)
 order by j.id`

// Poke wakes every journey that listens to one of the batch's events: one with a
// workflow of its own is left a poke, one of a slice is due, and its slice is woken.
// A journey that is over still listens until its horizon, for what comes too late.
func (t *RouteTx) Poke(ctx context.Context, running []RunningCampaign) error {
	var members, types []string
	for i := range t.Intents {
		if e := t.Intents[i].Event; e != nil {
			members, types = append(members, e.Member), append(types, e.Type)
		}
	}
	if len(members) == 0 {
		return nil
	}
	now := make(map[string]time.Time, len(running))
	for _, c := range running {
		now[c.Name] = c.Now
	}
	found, err := t.tx.Query(ctx, listeningSQL, members, types)
	if err != nil {
		return err
	}
	var (
		pokes, due []int64
		woken      []int32

		row     int64
		done    bool
		name    string
		horizon *time.Time
		slice   *int32
	)
	if _, err := pgx.ForEachRow(found, []any{&row, &done, &name, &horizon, &slice}, func() error {
		at, runs := now[name]
		switch {
		case done && horizon != nil && runs && at.After(*horizon):
		case slice == nil:
			pokes = append(pokes, row)
		default:
			if due = append(due, row); !slices.Contains(woken, *slice) {
				woken = append(woken, *slice)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if len(pokes) > 0 {
		if err := t.q.AddIntents(ctx, string(IntentPoke), pokes); err != nil {
			return err
		}
	}
	if len(due) == 0 {
		return nil
	}
	if err := t.q.DueNow(ctx, due); err != nil {
		return err
	}
	return t.q.AddSliceIntents(ctx, woken)
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
