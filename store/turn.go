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

// TurnTx is the open transaction of one turn: the member's row is locked, the clock
// has been read after that, and everything read here is of this moment.
type TurnTx struct {
	q       *db.Queries
	row     db.LoadTurnRow
	member  campaign.Member
	clock   campaign.Clock
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
	CampaignState State
	Clock         campaign.Clock
	Now           time.Time // on the campaign's clock
}

// InTurn opens a transaction for a turn of a journey and commits it if do succeeds.
// do runs again from the start when PostgreSQL broke the transaction off.
func (s *Store) InTurn(ctx context.Context, journey int64, do func(*TurnTx) error) error {
	err := s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		member, err := q.LockJourneyMember(ctx, journey)
		if err != nil {
			return noJourney(err)
		}
		t, err := openTurn(ctx, q, journey, member)
		if err != nil {
			return err
		}
		return do(t)
	})
	return translate(err, "take a turn")
}

func noJourney(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return campaign.Errorf(campaign.CodeNotFound, "there is no such journey")
	}
	return err
}

func openTurn(ctx context.Context, q *db.Queries, journey int64, member db.Member) (*TurnTx, error) {
	row, err := q.LoadTurn(ctx, journey)
	if err != nil {
		return nil, noJourney(err)
	}
	t := &TurnTx{q: q, row: row, clock: clock(row.ClockFactor, row.ClockReal, row.ClockStart)}
	// Should the machine's clock have been set back, time stands still for this member
	// until it has caught up: no event may lie after a "now" that was read later.
	read := row.RealNow
	if member.LastStored.After(read) {
		read = member.LastStored
	}
	t.now = t.clock.At(read)
	t.member, err = memberOf(member)
	return t, err
}

// Journey is the journey of this turn.
func (t *TurnTx) Journey() Journey {
	r := &t.row
	return Journey{
		RowID: r.ID, ID: campaign.JourneyID{Campaign: r.Campaign, Journey: r.Journey, Member: r.Member, Entry: int(r.Entry)},
		Version: int(r.Version), Digest: r.Digest, State: r.State, Turn: int(r.Turn), Cursor: r.Cursor,
		Done: r.Status == "done", Holdout: r.Holdout, StepName: r.StepName, CampaignState: State(r.CampaignState), Clock: t.clock, Now: t.now,
	}
}

// Member is the member of this turn.
func (t *TurnTx) Member() *campaign.Member { return &t.member }

// Stored answers a turn that was taken before with its result.
func (t *TurnTx) Stored(ctx context.Context, turn int) (campaign.TurnResult, bool, error) {
	var out campaign.TurnResult
	data, err := t.q.StoredTurn(ctx, t.row.ID, int32(turn))
	if errors.Is(err, pgx.ErrNoRows) {
		return out, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	return out, err == nil, err
}

// Events are the member's events of these types that are not judged yet or, by their
// own time, not before since. More is set when there are others left: then until is
// the moment up to which they are known.
func (t *TurnTx) Events(ctx context.Context, types []string, since time.Time) (events []campaign.Event, until time.Time, more bool, err error) {
	before, err := t.q.EventsSince(ctx, t.row.Member, types, t.row.Cursor, since)
	if err != nil {
		return nil, time.Time{}, false, err
	}
	for _, e := range before {
		events = append(events, t.event(db.EventsAfterRow(e)))
	}
	after, err := t.q.EventsAfter(ctx, t.row.Member, types, t.row.Cursor, maxEventsPerTurn)
	if err != nil {
		return nil, time.Time{}, false, err
	}
	for _, e := range after {
		events = append(events, t.event(e))
	}
	if len(after) == maxEventsPerTurn {
		return events, events[len(events)-1].Stored, true, nil
	}
	return events, t.now, false, nil
}

func (t *TurnTx) event(e db.EventsAfterRow) campaign.Event {
	return campaign.Event{
		ID: e.ID, Type: e.Type, Member: e.Member, Time: e.Time, Properties: e.Properties, Seq: e.Seq, Stored: t.clock.At(e.StoredAt),
	}
}

// Behaviour answers questions about the member's past as of now.
func (t *TurnTx) Behaviour(ctx context.Context, questions []campaign.Behaviour) (map[campaign.Behaviour]campaign.BehaviourValue, error) {
	return behaviour(ctx, t.q, t.row.Member, t.now, questions)
}

func behaviour(ctx context.Context, q *db.Queries, member string, now time.Time, questions []campaign.Behaviour) (map[campaign.Behaviour]campaign.BehaviourValue, error) {
	answers := make(map[campaign.Behaviour]campaign.BehaviourValue, len(questions))
	for _, b := range questions {
		after := time.Unix(0, 0)
		if b.Within > 0 {
			after = now.Add(-b.Within)
		}
		var v campaign.BehaviourValue
		if b.Function == "sum" {
			row, err := q.SumBehaviour(ctx, db.SumBehaviourParams{Member: member, Type: b.Event, Property: b.Property, After: after, Now: now})
			if err != nil {
				return nil, err
			}
			v.Minor, v.Sum = row.Minor, row.Total
		} else {
			row, err := q.CountBehaviour(ctx, member, b.Event, after, now)
			if err != nil {
				return nil, err
			}
			if v.Count = row.Times; v.Count > 0 {
				v.Last = row.Last
			}
		}
		answers[b] = v
	}
	return answers, nil
}

// Sent are the moments of the member's messages that count against the campaign's cap.
func (t *TurnTx) Sent(ctx context.Context, every time.Duration) ([]time.Time, error) {
	after := time.Unix(0, 0)
	if every > 0 {
		after = t.now.Add(-every)
	}
	return t.q.SentSince(ctx, t.row.Member, t.row.Campaign, after)
}

// Taken counts the offers that the member has taken in this campaign, by name.
func (t *TurnTx) Taken(ctx context.Context) (map[string]int, error) {
	rows, err := t.q.TakenOffers(ctx, t.row.Member, t.row.Campaign)
	if err != nil {
		return nil, err
	}
	taken := make(map[string]int, len(rows))
	for _, r := range rows {
		taken[r.Offer] = int(r.Taken)
	}
	return taken, nil
}

// Answer answers the core's question exactly, under the locks that it takes.
func (t *TurnTx) Answer(ctx context.Context, turn int, ask *campaign.Ask) (campaign.Answer, error) {
	switch {
	case ask.Take != nil:
		return t.take(ctx, ask.Take)
	case ask.Grant != nil:
		return t.grant(ctx, turn, ask.Key, ask.Grant)
	}
	return campaign.Answer{}, campaign.Errorf(campaign.CodeInternal, "the core asked nothing")
}

// take takes one piece of stock. The limit is the one of the version submitted last,
// so that a marketer who adds stock helps the members who are on their way.
func (t *TurnTx) take(ctx context.Context, ask *campaign.TakeAsk) (campaign.Answer, error) {
	n, err := t.q.TakeStock(ctx, t.row.Campaign, ask.Offer)
	if err != nil || n > 0 {
		return campaign.Answer{OK: err == nil}, err
	}
	limited, err := t.q.HasStock(ctx, t.row.Campaign, ask.Offer)
	if err != nil || !limited {
		return campaign.Answer{OK: err == nil}, err
	}
	return campaign.Answer{Reason: campaign.RefusedStock}, nil
}

// grant claims, checks and books a reward. The member's limit needs no lock of its
// own, because the member's row is held; the budget's condition stands in its update.
func (t *TurnTx) grant(ctx context.Context, turn int, key string, ask *campaign.GrantAsk) (campaign.Answer, error) {
	answer, err := t.mayGrant(ctx, ask)
	if err != nil {
		return campaign.Answer{}, err
	}
	state, claim := "granted", "settled"
	if !answer.OK {
		state, claim = "refused", "refused"
	}
	if err := t.q.ClaimEffect(ctx, db.ClaimEffectParams{
		Key: key, Kind: "grant", Journey: t.row.ID, Turn: int32(turn), State: claim, Reason: answer.Reason,
	}); err != nil {
		return campaign.Answer{}, err
	}
	if err := t.q.InsertGrant(ctx, db.InsertGrantParams{
		Key: key, Campaign: t.row.Campaign, Version: t.row.Version, Reward: ask.Reward, Member: t.row.Member, Journey: t.row.ID,
		Step: ask.Step, Points: ask.Points, State: state, Reason: answer.Reason, At: t.now,
	}); err != nil || !answer.OK {
		return answer, err
	}
	if err := t.q.EnsureAccounts(ctx, t.row.Campaign, t.row.Member); err != nil {
		return campaign.Answer{}, err
	}
	t.pending += ask.Points
	return answer, t.q.PostGrant(ctx, db.PostGrantParams{
		Key: key, Reward: ask.Reward, Points: ask.Points, Campaign: t.row.Campaign, Member: t.row.Member,
	})
}

func (t *TurnTx) mayGrant(ctx context.Context, ask *campaign.GrantAsk) (campaign.Answer, error) {
	if limit := ask.PerMember; limit != nil {
		after := time.Unix(0, 0)
		if limit.Every > 0 {
			after = t.now.Add(-limit.Every)
		}
		had, err := t.q.CountGrants(ctx, t.row.Member, t.row.Campaign, ask.Reward, after)
		if err != nil {
			return campaign.Answer{}, err
		}
		if int(had) >= limit.Times {
			return campaign.Answer{Reason: campaign.RefusedPerMember}, nil
		}
	}
	n, err := t.q.UseBudget(ctx, ask.Points, t.row.Campaign, ask.Reward)
	if err != nil || n > 0 {
		return campaign.Answer{OK: err == nil}, err
	}
	limited, err := t.q.HasBudget(ctx, t.row.Campaign, ask.Reward)
	if err != nil || !limited {
		return campaign.Answer{OK: err == nil}, err
	}
	return campaign.Answer{Reason: campaign.RefusedBudget}, nil
}
