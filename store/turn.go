package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// maxEventsPerTurn bounds what one turn reads. A member with more unjudged events than
// that is caught up with in several turns, each with the clock of its last event.
const maxEventsPerTurn = 1_000

// TurnTx is one turn in the open transaction of a page.
type TurnTx struct {
	page    *PageTx
	row     turnRow
	member  campaign.Member
	last    int64 // number of the member's last stored event
	clock   campaign.Clock
	real    time.Time
	now     time.Time
	pending int64 // points granted in this turn, written to the member at the end
}

// Journey is what a turn must know of its journey.
type Journey struct {
	RowID         int64
	ID            campaign.JourneyID
	Version       int
	Digest        string
	State         json.RawMessage
	Turn          int // the last one taken
	Cursor        int64
	Done          bool
	Holdout       bool
	StepName      string
	Due           bool // of a slice's member: still to be turned
	CampaignState State
	Clock         campaign.Clock
	Now           time.Time // on the campaign's clock
}

// Journey is the journey of this turn.
func (t *TurnTx) Journey() Journey {
	r := &t.row
	return Journey{
		RowID: r.ID, ID: campaign.JourneyID{Campaign: r.Campaign, Journey: r.Journey, Member: r.Member, Entry: int(r.Entry)},
		Version: int(r.Version), Digest: r.Digest, State: r.State, Turn: int(r.Turn), Cursor: r.Cursor,
		Done: r.Status == "done", Holdout: r.Holdout, StepName: r.StepName, CampaignState: State(r.CampaignState), Clock: t.clock, Now: t.now,
		Due: r.DueAt != nil && !r.DueAt.After(r.RealNow),
	}
}

// Member is the member of this turn.
func (t *TurnTx) Member() *campaign.Member { return &t.member }

// Stored answers a turn that was taken before with its result.
func (t *TurnTx) Stored(ctx context.Context, turn int) (campaign.TurnResult, bool, error) {
	var out campaign.TurnResult
	data, err := t.page.q.StoredTurn(ctx, t.row.ID, int32(turn))
	if errors.Is(err, pgx.ErrNoRows) {
		return out, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	return out, err == nil, err
}

// Answer answers the core's question exactly, under the locks that it takes.
func (t *TurnTx) Answer(ctx context.Context, turn int, ask *campaign.Ask) (campaign.Answer, error) {
	switch {
	case ask.Take != nil:
		return t.take(ctx, ask.Take)
	case ask.Grant != nil:
		return t.grant(ctx, turn, ask)
	case ask.Team != nil:
		return t.team(ctx, ask)
	}
	return campaign.Answer{}, campaign.Errorf(campaign.CodeInternal, "the core asked nothing")
}

// take takes one piece of stock. The limit is the one of the version submitted last,
// so that a marketer who adds stock helps the members who are on their way.
func (t *TurnTx) take(ctx context.Context, ask *campaign.TakeAsk) (campaign.Answer, error) {
	n, err := t.page.q.TakeStock(ctx, t.row.Campaign, ask.Offer)
	if err != nil || n > 0 {
		return campaign.Answer{OK: err == nil}, err
	}
	limited, err := t.page.q.HasStock(ctx, t.row.Campaign, ask.Offer)
	if err != nil || !limited {
		return campaign.Answer{OK: err == nil}, err
	}
	return campaign.Answer{Reason: campaign.RefusedStock}, nil
}

// grant claims, checks and books a reward. The member's limit needs no lock of its
// own, because the member's row is held; the budget's condition stands in its update.
func (t *TurnTx) grant(ctx context.Context, turn int, of *campaign.Ask) (campaign.Answer, error) {
	key, ask, version := of.Key, of.Grant, t.row.Version
	if of.Version != 0 {
		version = int32(of.Version)
	}
	answer, err := t.mayGrant(ctx, ask)
	if err != nil {
		return campaign.Answer{}, err
	}
	state, claim := "granted", "settled"
	if !answer.OK {
		state, claim = "refused", "refused"
	}
	if err := t.page.q.ClaimEffect(ctx, db.ClaimEffectParams{
		Key: key, Kind: "grant", Journey: t.row.ID, Turn: int32(turn), State: claim, Reason: answer.Reason,
	}); err != nil {
		return campaign.Answer{}, err
	}
	if err := t.page.q.InsertGrant(ctx, db.InsertGrantParams{
		Key: key, Campaign: t.row.Campaign, Version: version, Reward: ask.Reward, Member: t.row.Member, Journey: t.row.ID,
		Step: ask.Step, Points: ask.Points, State: state, Reason: answer.Reason, At: t.now,
	}); err != nil || !answer.OK {
		return answer, err
	}
	if err := t.page.q.EnsureAccounts(ctx, t.row.Campaign, t.row.Member); err != nil {
		return campaign.Answer{}, err
	}
	t.pending += ask.Points
	return answer, t.page.q.PostGrant(ctx, db.PostGrantParams{
		Key: key, Reward: ask.Reward, Points: ask.Points, Campaign: t.row.Campaign, Member: t.row.Member,
	})
}

func (t *TurnTx) mayGrant(ctx context.Context, ask *campaign.GrantAsk) (campaign.Answer, error) {
	if limit := ask.PerMember; limit != nil {
		had, err := t.page.q.CountGrants(ctx, t.row.Member, t.row.Campaign, ask.Reward, since(limit.Every, t.now))
		if err != nil {
			return campaign.Answer{}, err
		}
		if int(had) >= limit.Times {
			return campaign.Answer{Reason: campaign.RefusedPerMember}, nil
		}
	}
	n, err := t.page.q.UseBudget(ctx, ask.Points, t.row.Campaign, ask.Reward)
	if err != nil || n > 0 {
		return campaign.Answer{OK: err == nil}, err
	}
	limited, err := t.page.q.HasBudget(ctx, t.row.Campaign, ask.Reward)
	if err != nil || !limited {
		return campaign.Answer{OK: err == nil}, err
	}
	return campaign.Answer{Reason: campaign.RefusedBudget}, nil
}
