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

// EntryTx is an open transaction in which one member's row is locked, so that whether
// she enters a journey is decided once.
type EntryTx struct {
	q      *db.Queries
	member campaign.Member
	last   int64
}

// Entries is what the entry rule must know of a member's earlier entries.
type Entries struct {
	Count  int
	Active bool
	Last   time.Time
}

// NewJourney is an entry that was decided.
type NewJourney struct {
	ID      campaign.JourneyID
	Version int
	Digest  string
	Holdout bool
	State   json.RawMessage
	Cursor  int64
	By      string
	Entered time.Time // campaign time
	// StartEvent is the id of the event that starts it, which starts it once however
	// often it is routed; empty for segments and the API.
	StartEvent string
	Trace      []campaign.TraceLine
}

// InEntry opens a transaction with the member's row locked.
func (s *Store) InEntry(ctx context.Context, member string, do func(*EntryTx) error) error {
	err := s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		row, err := q.LockMember(ctx, member)
		if err != nil {
			return found(err, "member", member)
		}
		m, err := memberOf(row)
		if err != nil {
			return err
		}
		return do(&EntryTx{q: q, member: m, last: row.EventSeq})
	})
	if err == nil {
		s.Notify()
	}
	return translate(err, "enter a member")
}

// Member is the locked member.
func (t *EntryTx) Member() *campaign.Member { return &t.member }

// LastEvent is the number of the member's last stored event.
func (t *EntryTx) LastEvent() int64 { return t.last }

// Entries reads the member's earlier entries into a journey.
func (t *EntryTx) Entries(ctx context.Context, campaignName, journey string) (Entries, error) {
	row, err := t.q.EntrySummary(ctx, campaignName, journey, t.member.ID)
	return Entries{int(row.Entries), row.Active, row.LastEntered}, err
}

// Behaviour answers questions about the member's past.
func (t *EntryTx) Behaviour(ctx context.Context, now time.Time, questions []campaign.Behaviour) (map[campaign.Behaviour]campaign.BehaviourValue, error) {
	return behaviour(ctx, t.q, t.member.ID, now, questions)
}

// Enter stores the entry and the intent to start its workflow. It answers 0 where the
// same entry stands already.
func (t *EntryTx) Enter(ctx context.Context, n *NewJourney) (int64, error) {
	id, err := t.q.InsertJourney(ctx, db.InsertJourneyParams{
		Campaign: n.ID.Campaign, Version: int32(n.Version), Digest: n.Digest, Journey: n.ID.Journey, Member: n.ID.Member,
		Entry: int32(n.ID.Entry), WorkflowID: n.ID.WorkflowID(), Holdout: n.Holdout, State: n.State, Cursor: n.Cursor,
		EnteredBy: n.By, EnteredAt: n.Entered, StartEvent: textOrNull(n.StartEvent),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	row := db.LoadTurnRow{ID: id, Campaign: n.ID.Campaign, Version: int32(n.Version)}
	if err := insertTrace(ctx, t.q, &row, 0, n.Trace); err != nil {
		return 0, err
	}
	return id, t.q.AddIntents(ctx, "start", []int64{id})
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// RunningCampaign is a campaign that may take entrants.
type RunningCampaign struct {
	Name    string
	State   State
	Version int
	Digest  string
	Clock   campaign.Clock
	Now     time.Time // on the campaign's clock
}

// TakesEntrants reports whether members may enter now.
func (c RunningCampaign) TakesEntrants() bool {
	return c.State == StateRunning || c.State == StatePaused
}

// RunningCampaigns lists the campaigns that take entrants, by PostgreSQL's clock. A
// paused campaign takes them too: they wait at its door like everybody inside.
func (t *EntryTx) RunningCampaigns(ctx context.Context) ([]RunningCampaign, error) {
	return runningCampaigns(ctx, t.q)
}

// RunningCampaigns lists the campaigns that take entrants.
func (s *Store) RunningCampaigns(ctx context.Context) ([]RunningCampaign, error) {
	list, err := runningCampaigns(ctx, s.queries)
	return list, translate(err, "list the running campaigns")
}

func runningCampaigns(ctx context.Context, q *db.Queries) ([]RunningCampaign, error) {
	rows, err := q.RunningCampaigns(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]RunningCampaign, len(rows))
	for i, r := range rows {
		out[i] = runningCampaign(db.CampaignNowRow(r))
	}
	return out, nil
}

func runningCampaign(r db.CampaignNowRow) RunningCampaign {
	c := clock(r.ClockFactor, r.ClockReal, r.ClockStart)
	return RunningCampaign{Name: r.Name, State: State(r.State), Version: int(r.Version), Digest: r.Digest, Clock: c, Now: c.At(r.RealNow)}
}

// Campaign reads one campaign's clock and current version in this transaction.
func (t *EntryTx) Campaign(ctx context.Context, name string) (RunningCampaign, error) {
	r, err := t.q.CampaignNow(ctx, name)
	if err != nil {
		return RunningCampaign{}, found(err, "campaign", name)
	}
	return runningCampaign(r), nil
}

// On is the event as a campaign with this clock sees it.
func (e StoredEvent) On(c campaign.Clock) *campaign.Event {
	out := e.Event
	out.Stored = c.At(e.Stored)
	return &out
}

// StoredEvent is an event with its real time of storing.
type StoredEvent struct {
	campaign.Event
	Stored time.Time
}

// MembersAfter pages through all members by id.
func (s *Store) MembersAfter(ctx context.Context, after string, most int) ([]string, error) {
	ids, err := s.queries.MembersAfter(ctx, after, int32(most))
	return ids, translate(err, "page through the members")
}
