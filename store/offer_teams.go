package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// bought says what a team of buyers has beside one at a step: the offer, the order of its
// member, and the end of the grace.
func bought(buy *campaign.BuyAsk, ends time.Time) (offer string, order *string, closes time.Time) {
	if buy == nil {
		return "", nil, ends
	}
	return buy.Offer, &buy.Order, ends.Add(buy.Grace)
}

// closesAt is when nobody comes into a team any more, where that is not its end.
func closesAt(row *db.Team) time.Time {
	if row.ClosesAt.Equal(row.EndsAt) {
		return time.Time{}
	}
	return row.ClosesAt
}

// buys takes what an order takes: a piece of stock. It answers why it takes none. An order
// is counted once; that it has a place is decided by its member's row, which is held, and
// between members by the index on orders.
func (t *TurnTx) buys(ctx context.Context, buy *campaign.BuyAsk) (why string, err error) {
	counted, err := t.page.q.OrderCounted(ctx, t.row.Campaign, buy.Order, t.row.Member)
	if err != nil {
		return "", err
	}
	if counted != nil && *counted {
		return campaign.TeamOrderTwice, nil
	}
	answer, err := t.take(ctx, &buy.TakeAsk)
	return answer.Reason, err
}

// givesBack gives the piece of stock back that the order of a member has taken who does not
// get the offer: her team is not complete, and she leaves it or it ends. She asks that once,
// and her row is held.
func (t *TurnTx) givesBack(ctx context.Context, buy *campaign.BuyAsk, row *db.Team) error {
	if buy == nil || campaign.TeamState(row.State) == campaign.TeamFormed {
		return nil
	}
	return t.page.q.GiveStockBack(ctx, t.row.Campaign, buy.Offer)
}

// saveRefundRequests claims what a shop is asked to pay back. The request is claimed and sent
// as messages are; what it is about stands beside it. One of which the shop has told that it is
// done is over, whatever was known of it.
func (t *TurnTx) saveRefundRequests(turn int, d *campaign.Decision) error {
	for i := range d.RefundsAsked {
		r := &d.RefundsAsked[i]
		request, err := json.Marshal(campaign.RefundRequest{
			Step: r.Step, Offer: r.Offer, Order: r.Order, Team: r.Team, Amount: r.Amount, Reason: r.Reason,
		})
		if err != nil {
			return err
		}
		bodies, err := json.Marshal([]campaign.ChannelBody{{Channel: campaign.ChannelRefund, Body: string(request)}})
		if err != nil {
			return err
		}
		t.claim(r.Key, "send", "claimed", turn)
		c := &t.page.columns.messages
		c.key, c.campaign, c.member = append(c.key, r.Key), append(c.campaign, t.row.Campaign), append(c.member, t.row.Member)
		c.step, c.name, c.kind = append(c.step, r.Step), append(c.name, r.Offer), append(c.kind, string(campaign.KindRefund))
		c.bodies, c.via, c.version = append(c.bodies, string(bodies)), append(c.via, campaign.ChannelRefund), append(c.version, t.row.Version)
		c.journey, c.at, c.deadline = append(c.journey, t.row.ID), append(c.at, r.At), append(c.deadline, nil)
		c.slice = append(c.slice, t.row.Slice)
		if err := t.page.queued.AskRefund(context.Background(), db.AskRefundParams{
			Key: r.Key, Campaign: t.row.Campaign, Version: t.row.Version, Journey: t.row.ID, Member: t.row.Member, Step: r.Step, Offer: r.Offer,
			OrderID: r.Order, Team: r.Team, Amount: r.Amount.Minor, Currency: string(r.Amount.Currency), Reason: string(r.Reason), At: r.At,
		}); err != nil {
			return err
		}
	}
	for _, told := range d.RefundsTold {
		// Who settles the request at this moment is waited for, and what came of it is seen.
		if err := t.page.queued.LockRefundRequest(context.Background(), told.Key); err != nil {
			return err
		}
		if err := t.page.queued.ConfirmRefund(context.Background(), told.At, told.Event, told.Key); err != nil {
			return err
		}
	}
	return nil
}

// saveOrdered writes what became of an offer that is bought in a team; ok is false for others.
func (t *TurnTx) saveOrdered(o *campaign.OfferEffect) (ok bool, err error) {
	ctx := context.Background() // only queued
	switch {
	case o.State != campaign.OfferOpen && o.Team != "":
		var (
			order *string
			paid  *int64
		)
		if o.State == campaign.OfferTaken {
			order, paid = &o.Order, &o.Paid.Minor
		}
		return true, t.page.queued.CloseOrderedOffer(ctx, db.CloseOrderedOfferParams{
			ID: o.ID, State: string(o.State), ClosedAt: orNull(o.ClosedAt), OrderID: order, Paid: paid, Team: o.Team,
		})
	case o.Ordered:
		return true, t.page.queued.OrderOffer(ctx, o.Order, o.Paid.Minor, o.Team, o.ID)
	case o.State == campaign.OfferOpen && o.GaveBack:
		return true, t.page.queued.UnorderOffer(ctx, o.ID)
	}
	return false, nil
}

// settleRefund settles a request to pay an order back. One that the shop has not taken for
// certain opens a review, unless the shop has told meanwhile that the money is back.
func (s *Store) settleRefund(ctx context.Context, a *campaign.Attempt) error {
	var request campaign.RefundRequest
	body, _, _ := a.Of.Body(campaign.ChannelRefund)
	if err := json.Unmarshal([]byte(body.Body), &request); err != nil {
		return campaign.Errorf(campaign.CodeInternal, "the refund under %s cannot be read: %w", a.Of.Key, err)
	}
	_, err := s.queries.SettleRefund(ctx, db.SettleRefundParams{
		Key: a.Of.Key, State: string(a.State), Reason: a.Reason, ProviderID: a.ProviderID, Channel: campaign.ChannelRefund, Effect: effectOf[a.State],
		Review: string(campaign.ReviewRefund), Amount: request.Amount.String(), At: a.Of.Now, Line: string(campaign.TraceRefundEnded),
		Told: string(refundStateOf(string(a.State), effectOf[a.State])),
	})
	return translate(err, "settle a refund")
}

// refundStateOf is how far a refund is by what became of the request for it.
func refundStateOf(request, effect string) campaign.RefundState {
	switch {
	case request == "sent":
		return campaign.RefundAccepted
	case request == "refused":
		return campaign.RefundRefused
	case request == "failed" || request == "dropped":
		return campaign.RefundFailed
	case effect == "unknown":
		return campaign.RefundUnknown
	}
	return campaign.RefundAsked
}

// OfferTeam is the team in which an offer is bought, as it stands now.
type OfferTeam struct {
	Code         string
	State        campaign.TeamState
	Size, Joined int
	EndsAt       time.Time // on the campaign's clock
}

// RefundRequest is what became of the money of an order whose team was not complete.
type RefundRequest struct {
	Order       string
	Amount      campaign.Money
	State       campaign.RefundState
	ConfirmedAt time.Time // zero: the shop has not told yet that the money is back
}

// teamOfOffer fills in what an offer's row tells of its team and of a refund.
func teamOfOffer(r *db.GetOfferRow, now time.Time) (team *OfferTeam, refund *RefundRequest) {
	if r.Team != nil && r.TeamState != nil {
		team = &OfferTeam{
			Code: *r.Team, State: campaign.TeamState(*r.TeamState), Size: int(*r.TeamSize), Joined: int(*r.TeamJoined), EndsAt: *r.TeamEndsAt,
		}
		if team.State == campaign.TeamOpen && now.After(*r.TeamClosesAt) {
			team.State = campaign.TeamFailed
		}
	}
	if r.RefundOrder != nil {
		refund = &RefundRequest{
			Order: *r.RefundOrder, Amount: campaign.Money{Minor: *r.RefundAmount, Currency: campaign.Currency(*r.RefundCurrency)},
			State: refundStateOf(deref(r.RefundRequest), deref(r.RefundEffect)), ConfirmedAt: orZero(r.RefundConfirmed),
		}
		if r.RefundConfirmed != nil {
			refund.State = campaign.RefundConfirmed
		}
	}
	return team, refund
}
