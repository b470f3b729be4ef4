package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
)

// maxEventsPerTurn bounds what one turn reads. A member with more unjudged events than
// that is caught up with in several turns, each with the clock of its last event.
const maxEventsPerTurn = 1_000

// TurnTx is one turn in the open transaction of a page.
type TurnTx struct {
	page   *PageTx
	row    turnRow
	member campaign.Member
	last   int64 // number of the member's last stored event
	clock  campaign.Clock
	real   time.Time
	now    time.Time
	vested bool // the referral that it follows, in this very turn
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
