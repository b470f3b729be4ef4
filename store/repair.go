package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// NeedsWorkflow is a journey that cannot do without its workflow.
type NeedsWorkflow struct {
	Row      int64
	Workflow string
}

const repairPage = 5_000

// UnderWay hands each journey that must have a workflow now to do, in the order of their
// rows: those under way, and those that are over with a message still to go out. Those
// whose start waits for the router are left out.
func (s *Store) UnderWay(ctx context.Context, do func(NeedsWorkflow)) error {
	for after := int64(0); ; {
		rows, err := s.queries.DoctorUnderWay(ctx, after, repairPage)
		if err != nil {
			return translate(err, "list the journeys under way")
		}
		for _, r := range rows {
			do(NeedsWorkflow{r.ID, r.WorkflowID})
			after = r.ID
		}
		if len(rows) < repairPage {
			return nil
		}
	}
}

// Restart is what a workflow must be started with so that its journey goes on where it
// stands.
type Restart struct {
	Row      int64
	ID       campaign.JourneyID
	Workflow string
	Version  int
	Turn     int                // the last one taken
	Held     []campaign.SendRef // messages that are still to go out
}

// RestartOf reads what a journey's workflow must be started with, as of one moment. ok
// is false where no workflow is needed, or the router is about to start it.
func (s *Store) RestartOf(ctx context.Context, journey int64) (r Restart, ok bool, err error) {
	err = s.inSnapshot(ctx, func(_ pgx.Tx, q *db.Queries) error {
		row, err := q.RestartJourney(ctx, journey)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		r = Restart{
			Row: row.ID, ID: campaign.JourneyID{Campaign: row.Campaign, Journey: row.Journey, Member: row.Member},
			Workflow: row.WorkflowID, Version: int(row.Version), Turn: int(row.Turn),
		}
		ok = row.Needed && !row.Starting
		messages, err := q.RestartMessages(ctx, journey)
		if err != nil {
			return err
		}
		for _, m := range messages {
			r.Held = append(r.Held, campaign.SendRef{Key: m.Key, Channel: m.Channel, Message: m.Name})
		}
		return nil
	})
	return r, ok, translate(err, "read a journey")
}

// OldClaim is a journey with a message that was claimed a while ago and never settled.
type OldClaim struct {
	Row      int64
	Workflow string
	Since    time.Time
}

// OldClaims lists the journeys whose oldest claimed message is ten minutes old, but for
// those that a pause holds.
func (s *Store) OldClaims(ctx context.Context) ([]OldClaim, error) {
	rows, err := s.queries.DoctorClaims(ctx)
	out := make([]OldClaim, len(rows))
	for i, r := range rows {
		out[i] = OldClaim{r.ID, r.WorkflowID, r.Since}
	}
	return out, translate(err, "list old claims")
}

// Overdue lists the journeys that have slept through their moment by five real minutes
// and that no poke is on its way to.
func (s *Store) Overdue(ctx context.Context) ([]int64, error) {
	ids, err := s.queries.DoctorOverdue(ctx)
	return ids, translate(err, "list overdue journeys")
}

// Unheard lists the journeys that listen to an event of five minutes ago or older which
// they have not judged, and that no poke is on its way to.
func (s *Store) Unheard(ctx context.Context) ([]int64, error) {
	ids, err := s.queries.DoctorUnheard(ctx)
	return ids, translate(err, "list journeys with unjudged events")
}

// PokeOnce wakes journeys: it leaves a poke for each that has none on its way, and makes
// those due that a slice turns. It answers which those are.
func (s *Store) PokeOnce(ctx context.Context, journeys []int64) (woken []int64, err error) {
	err = s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		woken = nil
		rows, err := q.PokeOnce(ctx, journeys)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r != nil {
				woken = append(woken, *r)
			}
		}
		sliced, err := q.SlicesOfJourneys(ctx, journeys)
		if err != nil || len(sliced) == 0 {
			return err
		}
		var due []int64
		slices := map[int32]bool{}
		for _, r := range sliced {
			due, slices[r.Slice] = append(due, r.ID), true
		}
		if err := q.DueNow(ctx, due); err != nil {
			return err
		}
		woken = append(woken, due...)
		return q.AddSliceIntents(ctx, sortedKeys(slices))
	})
	s.Notify()
	return woken, translate(err, "wake journeys")
}

func sortedKeys(set map[int32]bool) []int32 {
	keys := make([]int32, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// NeededSlices lists the slices that need a workflow now, but for those that are about
// to be woken.
func (s *Store) NeededSlices(ctx context.Context) ([]Slice, error) {
	rows, err := s.queries.DoctorSlices(ctx)
	out := make([]Slice, len(rows))
	for i, r := range rows {
		out[i] = Slice{ID: int(r.ID), Campaign: r.Campaign, Journey: r.Journey, Workflow: r.WorkflowID}
	}
	return out, translate(err, "list the slices")
}

// SliceClaims counts, by slice, the messages that were claimed ten minutes ago and that
// their slice does not send.
func (s *Store) SliceClaims(ctx context.Context) (map[int]int64, error) {
	rows, err := s.queries.DoctorSliceClaims(ctx)
	out := make(map[int]int64, len(rows))
	for _, r := range rows {
		out[int(r.Slice)] = r.Messages
	}
	return out, translate(err, "list the old claims of slices")
}

// SendSliceNow makes the claimed messages of a slice due and wakes it.
func (s *Store) SendSliceNow(ctx context.Context, slice int) error {
	err := s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		if err := q.SendSliceNow(ctx, int32(slice)); err != nil {
			return err
		}
		return q.AddSliceIntents(ctx, []int32{int32(slice)})
	})
	s.Notify()
	return translate(err, "wake a slice")
}

// KnownWorkflows answers which of these workflow ids belong to a journey.
func (s *Store) KnownWorkflows(ctx context.Context, ids []string) (map[string]bool, error) {
	rows, err := s.queries.DoctorKnown(ctx, ids)
	known := make(map[string]bool, len(rows))
	for _, id := range rows {
		known[id] = true
	}
	return known, translate(err, "look workflows up")
}

// PostponedIntent is an intent that is put off further than the router ever does.
type PostponedIntent struct {
	ID   int64
	Kind IntentKind
}

// Postponed lists the intents that are put off for more than ten minutes.
func (s *Store) Postponed(ctx context.Context) ([]PostponedIntent, error) {
	rows, err := s.queries.DoctorPostponed(ctx)
	out := make([]PostponedIntent, len(rows))
	for i, r := range rows {
		out[i] = PostponedIntent{r.ID, IntentKind(r.Kind)}
	}
	return out, translate(err, "list postponed intents")
}

// AsideIntent is an intent that the router could not decide and keeps for later.
type AsideIntent struct {
	ID            int64
	Kind          IntentKind
	Member, Event string
	Tries         int
	Reason        string
	Due           time.Time // when it is tried again
}

// Aside lists the intents that are put aside.
func (s *Store) Aside(ctx context.Context) ([]AsideIntent, error) {
	rows, err := s.queries.DoctorAside(ctx)
	out := make([]AsideIntent, len(rows))
	for i, r := range rows {
		out[i] = AsideIntent{r.ID, IntentKind(r.Kind), r.Member, r.Event, int(r.Tries), r.Reason, r.DueAt}
	}
	return out, translate(err, "list the intents that are put aside")
}

// Retry lets intents that were put aside be tried at once, as if for the first time.
func (s *Store) Retry(ctx context.Context, ids []int64) error {
	if err := s.queries.RetryIntents(ctx, ids); err != nil {
		return translate(err, "try intents again")
	}
	s.Notify()
	return nil
}

// Hasten makes intents due now.
func (s *Store) Hasten(ctx context.Context, intents []int64) error {
	if err := s.queries.HastenIntents(ctx, intents); err != nil {
		return translate(err, "make intents due")
	}
	s.Notify()
	return nil
}

// UnknownMessage is a message of which nobody knows whether it arrived.
type UnknownMessage struct {
	Key     string
	Channel string
	Journey int64
	Since   time.Time
}

// UnknownMessages lists messages of unknown outcome, the oldest first.
func (s *Store) UnknownMessages(ctx context.Context, most int) ([]UnknownMessage, error) {
	rows, err := s.queries.DoctorUnknown(ctx, int32(most))
	out := make([]UnknownMessage, len(rows))
	for i, r := range rows {
		out[i] = UnknownMessage{Key: r.Key, Channel: r.Channel, Journey: r.Journey}
		if r.SettledAt != nil {
			out[i].Since = *r.SettledAt
		}
	}
	return out, translate(err, "list messages of unknown outcome")
}

// Reconcile records what a person has found out about a message of unknown outcome. A
// message whose outcome is known is a conflict, and stays as it is.
func (s *Store) Reconcile(ctx context.Context, key string, arrived bool) error {
	n, err := s.queries.ReconcileMessage(ctx, arrived, key)
	if err == nil && n == 0 {
		return campaign.Errorf(campaign.CodeConflict, "there is no message of unknown outcome under this key; banyan doctor lists those that there are")
	}
	return translate(err, "reconcile a message")
}
