package store

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

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
	Event     string // that caused it: that the journey listened to, or was started by
}

// Undelivered is a delivery that stays, to be tried after Wait.
type Undelivered struct {
	Delivery
	Wait time.Duration // 0: at once
}

// Deliver takes up to most starts and pokes, several pokes of a journey as one, and
// hands them to do, which answers those that stay. The rest is done. They come in an
// order that is fair: each kind in each campaign has the same share, and what is first
// of its own comes before what is second. The intents are locked meanwhile; a router
// that dies gives them back. Deliver answers how many intents are done.
func (s *Store) Deliver(ctx context.Context, most int, do func([]Delivery) []Undelivered) (n int, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.queries.WithTx(tx)
		if _, err := tx.Exec(ctx, planOnceSQL); err != nil {
			return err
		}
		rows, err := q.IntentsToDeliver(ctx, int32(most))
		if err != nil || len(rows) == 0 {
			return err
		}
		if rows, err = withAllOfSlices(ctx, q, rows); err != nil {
			return err
		}
		deliveries, ids, err := deliveriesOf(ctx, q, rows)
		if err != nil {
			return err
		}
		var stay []int64
		later := map[time.Duration][]int64{}
		for _, u := range do(deliveries) {
			stay = append(stay, u.Intents...)
			if u.Wait > 0 {
				later[u.Wait] = append(later[u.Wait], u.Intents...)
			}
		}
		for wait, list := range later {
			if err := q.PostponeIntents(ctx, wait.Seconds(), list); err != nil {
				return err
			}
		}
		ids = minus(ids, stay)
		n = len(ids)
		return q.DropIntents(ctx, ids)
	})
	if err != nil {
		return 0, translate(err, "deliver starts and pokes")
	}
	return n, nil
}

// Delivered drops intents that Deliver left and that were delivered after all.
func (s *Store) Delivered(ctx context.Context, intents []int64) error {
	return translate(s.queries.DropIntents(ctx, intents), "drop what was delivered")
}

// withAllOfSlices adds what else waits for the slices that are about to be woken.
func withAllOfSlices(ctx context.Context, q *db.Queries, list []db.IntentsToDeliverRow) ([]db.IntentsToDeliverRow, error) {
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
			list = append(list, db.IntentsToDeliverRow{ID: r.ID, Kind: string(IntentSlice), Slice: r.Slice})
		}
	}
	return list, err
}

func deliveriesOf(ctx context.Context, q *db.Queries, rows []db.IntentsToDeliverRow) (deliveries []Delivery, ids []int64, err error) {
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
		if r.Event != nil {
			d.Event = *r.Event
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

// maxReason is how much is kept of why an intent is put aside, in bytes.
const maxReason = 500

// PutAside keeps an intent that cannot be decided, with the reason, and lets it be tried
// again after a minute, and after longer from try to try.
func (s *Store) PutAside(ctx context.Context, intent int64, reason string) error {
	if reason = strings.ToValidUTF8(strings.ReplaceAll(reason, "\x00", ""), ""); len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	return translate(s.queries.PutAside(ctx, cmp.Or(reason, "unknown"), intent), "put an intent aside")
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
