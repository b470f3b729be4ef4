package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// settleCall settles a call and tells its journey how it ended, in one transaction: the
// journey learns of it once, or not at all.
//
// The answer becomes an event of the member. It is stored under her lock like every other,
// so that the journey judges it in its place among them, and the router wakes the journey.
// Whether it was in time is decided here, by the clock that was read under that lock, and
// the journey comes to the same.
func (s *Store) settleCall(ctx context.Context, a *campaign.Attempt) error {
	told := false
	err := s.inQuickTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		told = false
		// Members before messages, as a turn does it.
		held, err := q.LockMembers(ctx, []string{a.Of.Member})
		if err != nil {
			return err
		}
		var stored time.Time
		if err := tx.QueryRow(ctx, "select clock_timestamp()").Scan(&stored); err != nil {
			return err
		}
		for _, m := range held {
			if m.LastStored.After(stored) {
				stored = m.LastStored
			}
		}
		now := a.Of.Clock.At(stored)
		settled, err := q.SettleCall(ctx, effectOf[a.State], a.Reason, string(a.State), a.Of.Key)
		if err != nil || settled == 0 {
			return err // settled already, or given up by its journey
		}
		switch late := !a.Of.Deadline.IsZero() && now.After(a.Of.Deadline); {
		case a.State != campaign.SendSent && a.State != campaign.SendRefused: // the journey's own timer tells it
			return nil
		case late && a.State == campaign.SendSent:
			return traceLateCall(ctx, tx, a, now)
		case late:
			return nil
		}
		properties, err := json.Marshal(campaign.CallAnswer{
			Call: a.Of.Key, Answered: a.State == campaign.SendSent, Returned: a.Returned, Reason: a.Reason,
		})
		if err != nil {
			return err
		}
		told = true
		return q.StoreDecision(ctx, db.StoreDecisionParams{
			Event: campaign.CallEventID(a.Of.Key), Type: campaign.EventCallAnswered, Member: a.Of.Member, At: now, StoredAt: stored, Properties: properties,
		})
	})
	if told && err == nil {
		s.Notify()
	}
	return translate(err, "settle a call")
}

// traceLateCall writes into the story that an answer came when the journey had gone on.
func traceLateCall(ctx context.Context, tx pgx.Tx, a *campaign.Attempt, now time.Time) error {
	var lines traceColumns
	if err := lines.add(a.Of.JourneyRow, 0, a.Of.Campaign, int32(a.Of.Version), []campaign.TraceLine{{
		At: now, Step: a.Of.Step, Kind: campaign.TraceCallTooLate, Params: map[string]string{"call": a.Of.Name},
	}}); err != nil {
		return err
	}
	var batch pgx.Batch
	lines.queue(&batch)
	return tx.SendBatch(ctx, &batch).Close()
}

// saveGivenUp settles, when the page ends, the calls that the journey waits for no more. One
// that may have been made is not said not to have been.
func (t *TurnTx) saveGivenUp(_ int, d *campaign.Decision) error {
	for _, g := range d.GivenUp {
		if err := t.page.queued.GiveUpCall(context.Background(), g.Reason, g.Key); err != nil {
			return err
		}
	}
	return nil
}
