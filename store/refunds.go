package store

import (
	"context"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// noteOrders writes down which orders led to what was granted.
func (p *PageTx) noteOrders(ctx context.Context, questions []Question, grants []int, answers []campaign.Answer) error {
	for _, i := range grants {
		q := &questions[i]
		if q.Ask.Grant.Order == "" || !answers[i].OK {
			continue
		}
		if err := p.q.NoteOrderGrant(ctx, q.Ask.Key, q.Of.row.ID, q.Ask.Grant.Order); err != nil {
			return err
		}
	}
	return nil
}

// clawBack takes back what an order led to, as far as the order has gone back: of each grant
// as much as is to be gone in all, less what was asked back before. So a refund counts once,
// however often it is asked for, and the parts of several refunds add up to the whole. Some of
// it may have been granted to others than the member of the journey; their rows are locked too.
func (t *TurnTx) clawBack(ctx context.Context, ask *campaign.ClawBackAsk) (campaign.Answer, error) {
	answer := campaign.Answer{OK: true}
	names := make([]string, len(ask.Rewards))
	for i, w := range ask.Rewards {
		names[i] = w.Name
	}
	rows, err := t.page.q.OrderGrants(ctx, t.row.ID, ask.Order, names)
	if err != nil || len(rows) == 0 {
		return answer, err
	}
	keys, members := make([]string, len(rows)), make([]string, len(rows))
	for i := range rows {
		keys[i], members[i] = rows[i].Key, rows[i].Member
	}
	now, err := t.page.q.RedemptionClock(ctx)
	if err != nil {
		return answer, err
	}
	if err := expirePoints(ctx, t.page.conn, members, now); err != nil {
		return answer, err
	}
	own, err := batchesOf(ctx, t.page.conn, keys)
	if err != nil {
		return answer, err
	}
	for _, g := range rows {
		due := campaign.PartOf(g.Worth, ask.Part, ask.Of) - g.Back
		if due > 0 && !g.Piece {
			// What has expired is gone already.
			due = min(due, g.Worth-g.Back-own[g.Key].expired)
		}
		if due <= 0 {
			continue
		}
		reward := ask.Rewards[slices.Index(names, g.Reward)]
		key := "claw_back/" + g.Key + "/" + ask.Refund
		taken, err := t.takeBack(ctx, key, &g, due, reward.InFull, now)
		if err != nil {
			return answer, err
		}
		if err := t.page.q.AddClawback(ctx, db.AddClawbackParams{
			Key: key, GrantKey: g.Key, Campaign: t.row.Campaign, Version: g.Version, Reward: g.Reward, Member: g.Member, Journey: t.row.ID,
			OrderID: ask.Order, Refund: ask.Refund, Points: due, Taken: taken, At: t.now,
		}); err != nil {
			return answer, err
		}
		of := campaign.ClawedBack{Reward: g.Reward}
		if g.Member != t.row.Member {
			of.Member = g.Member
		}
		at := slices.IndexFunc(answer.ClawedBack, func(x campaign.ClawedBack) bool { return x.Reward == of.Reward && x.Member == of.Member })
		if at < 0 {
			at = len(answer.ClawedBack)
			answer.ClawedBack = append(answer.ClawedBack, of)
		}
		if g.Piece {
			answer.ClawedBack[at].Pieces += taken
			answer.ClawedBack[at].Gone += due - taken
			continue
		}
		answer.ClawedBack[at].Points += taken
		answer.ClawedBack[at].Owed += due - taken
	}
	return answer, nil
}

// takeBack takes so much of a grant back from whoever got it, whose row is locked, and says how
// much there was to take. A coupon or a benefit is one piece, which goes back with the whole
// of the order alone: a coupon that was not used yet is voided, a benefit ends. now is real:
// batches of points end by it.
func (t *TurnTx) takeBack(ctx context.Context, key string, g *db.OrderGrantsRow, due int64, inFull bool, now time.Time) (taken int64, err error) {
	if g.Piece {
		done, err := VoidGrant(ctx, t.page.q, g.Key, t.now)
		if done != "" {
			taken = 1
		}
		return taken, err
	}
	taken, err = t.page.q.ClawBackPoints(ctx, db.ClawBackPointsParams{
		Key: key, Campaign: t.row.Campaign, Reward: g.Reward, Member: g.Member, Points: due, InFull: inFull,
	})
	if err != nil || taken == 0 {
		return taken, err
	}
	_, err = drawPoints(ctx, t.page.conn, g.Member, taken, g.Key, now)
	return taken, err
}

// saveRefunds writes what refunds reversed, and what closed offers let go of.
func (t *TurnTx) saveRefunds(_ int, d *campaign.Decision) error {
	q := t.page.queued
	for i := range d.Offers {
		if o := &d.Offers[i]; o.Reserved && o.State != campaign.OfferOpen {
			if err := q.CloseReservations(context.Background(), t.now, o.ID); err != nil {
				return err
			}
		}
	}
	for _, o := range d.OfferRefunds {
		if o.Restock {
			if err := q.HoldLimits(context.Background(), t.row.Campaign); err != nil {
				return err
			}
		}
		if err := q.RefundOffer(context.Background(), o.At, o.Restock, o.ID); err != nil {
			return err
		}
	}
	if g := d.GoalRefund; g != nil {
		return q.ReverseGoal(context.Background(), g.Minor, orNull(g.At), t.row.ID)
	}
	return nil
}
