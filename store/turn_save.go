package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Save writes what a turn decided. result is what the workflow is told, kept so that a
// turn that is asked for again is answered the same.
func (t *TurnTx) Save(ctx context.Context, turn int, d *campaign.Decision, result *campaign.TurnResult) error {
	for _, write := range []func(context.Context, int, *campaign.Decision) error{
		t.saveOffers, t.saveSends, t.saveMember, t.saveReviews, t.saveTrace, t.saveJourney,
	} {
		if err := write(ctx, turn, d); err != nil {
			return err
		}
	}
	if result == nil {
		return nil
	}
	data, err := json.Marshal(result)
	if err != nil {
		return err
	}
	return t.q.InsertTurn(ctx, t.row.ID, int32(turn), data)
}

func (t *TurnTx) saveOffers(ctx context.Context, turn int, d *campaign.Decision) error {
	for i := range d.Offers {
		o := &d.Offers[i]
		if o.State != campaign.OfferOpen {
			if err := t.closeOffer(ctx, o); err != nil {
				return err
			}
			continue
		}
		if err := t.q.ClaimEffect(ctx, db.ClaimEffectParams{
			Key: o.Key, Kind: "offer", Journey: t.row.ID, Turn: int32(turn), State: "settled",
		}); err != nil {
			return err
		}
		if err := t.q.OpenOffer(ctx, db.OpenOfferParams{
			ID: o.ID, Key: o.Key, Campaign: t.row.Campaign, Version: t.row.Version, Offer: o.Offer, Journey: t.row.ID,
			Member: t.row.Member, Step: o.Step, Price: o.Price.Minor, ListPrice: o.ListPrice.Minor,
			Currency: string(o.Price.Currency), OpenedAt: o.OpenedAt, ExpiresAt: orNull(o.ExpiresAt), GraceUntil: orNull(o.GraceUntil),
		}); err != nil {
			return err
		}
	}
	return nil
}

func (t *TurnTx) closeOffer(ctx context.Context, o *campaign.OfferEffect) error {
	p := db.CloseOfferParams{ID: o.ID, State: string(o.State), ClosedAt: orNull(o.ClosedAt)}
	if o.State == campaign.OfferTaken {
		p.OrderID, p.Paid = &o.Order, &o.Paid.Minor
	}
	n, err := t.q.CloseOffer(ctx, p)
	if err == nil && n == 0 {
		err = campaign.Errorf(campaign.CodeInternal, "offer %s was not open any more", o.ID)
	}
	return err
}

func (t *TurnTx) saveSends(ctx context.Context, turn int, d *campaign.Decision) error {
	for i := range d.Sends {
		s := &d.Sends[i]
		if err := t.q.ClaimEffect(ctx, db.ClaimEffectParams{
			Key: s.Key, Kind: "send", Journey: t.row.ID, Turn: int32(turn), State: "claimed",
		}); err != nil {
			return err
		}
		bodies, err := json.Marshal(s.Bodies)
		if err != nil {
			return err
		}
		if err := t.q.ClaimMessage(ctx, db.ClaimMessageParams{
			Key: s.Key, Campaign: t.row.Campaign, Version: t.row.Version, Journey: t.row.ID, Member: t.row.Member,
			Step: s.Step, Name: s.Message, Kind: string(s.Kind), Bodies: bodies, At: s.At, Deadline: orNull(s.Deadline),
		}); err != nil {
			return err
		}
	}
	return nil
}

func (t *TurnTx) saveMember(ctx context.Context, _ int, d *campaign.Decision) error {
	if t.pending != 0 {
		if err := t.q.AddPoints(ctx, t.pending, t.row.Member); err != nil {
			return err
		}
	}
	c := d.Member
	if c.Empty() {
		return nil
	}
	attributes := json.RawMessage("{}")
	if len(c.Set) > 0 {
		var err error
		if attributes, err = json.Marshal(c.Set); err != nil {
			return err
		}
	}
	return t.q.ChangeMember(ctx, notNull(c.AddTags), notNull(c.RemoveTags), attributes, t.row.Member)
}

func (t *TurnTx) saveReviews(ctx context.Context, _ int, d *campaign.Decision) error {
	for i := range d.Reviews {
		r := &d.Reviews[i]
		detail, err := json.Marshal(r.Detail)
		if err != nil {
			return err
		}
		if err := t.q.OpenReview(ctx, db.OpenReviewParams{
			Key: r.Key, Kind: string(r.Kind), Campaign: t.row.Campaign, Journey: t.row.ID, Member: t.row.Member,
			Offer: r.Offer, Event: r.Event, Detail: detail, At: r.At,
		}); err != nil {
			return err
		}
	}
	return nil
}

func (t *TurnTx) saveTrace(ctx context.Context, turn int, d *campaign.Decision) error {
	return insertTrace(ctx, t.q, &t.row, turn, d.Trace)
}

func insertTrace(ctx context.Context, q *db.Queries, row *db.LoadTurnRow, turn int, lines []campaign.TraceLine) error {
	if len(lines) == 0 {
		return nil
	}
	rows := make([]db.InsertTraceParams, len(lines))
	for i, l := range lines {
		params := json.RawMessage("{}")
		if len(l.Params) > 0 {
			var err error
			if params, err = json.Marshal(l.Params); err != nil {
				return err
			}
		}
		rows[i] = db.InsertTraceParams{
			Journey: row.ID, Turn: int32(turn), At: l.At, Step: l.Step, Kind: string(l.Kind), Params: params,
			Campaign: row.Campaign, Version: row.Version,
		}
	}
	_, err := q.InsertTrace(ctx, rows)
	return err
}

func (t *TurnTx) saveJourney(ctx context.Context, turn int, d *campaign.Decision) error {
	p := db.SaveJourneyParams{
		ID: t.row.ID, State: d.State, Turn: int32(turn), Cursor: d.Cursor, Step: d.Step, StepName: d.StepName,
		Summary: d.Summary, Listens: notNull(d.Listens), WaitUntil: orNull(d.WaitUntil), Status: "active",
		Outcome: d.Outcome, EndedAt: t.row.EndedAt,
	}
	if d.Done() {
		p.Status = "done"
		if p.EndedAt == nil {
			p.EndedAt = &t.now
		}
	}
	if g := d.Goal; g != nil {
		p.GoalAt, p.GoalEvent, p.GoalMinor = &g.At, &g.Event, &g.Value.Minor
	}
	return t.q.SaveJourney(ctx, p)
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func notNull[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
