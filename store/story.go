package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Amount is money the way the API writes it.
type Amount struct {
	Amount   string `json:"amount" doc:"A decimal with two places" example:"199.00"`
	Currency string `json:"currency" doc:"ISO 4217" example:"CNY"`
}

// AmountOf writes money the way the API does.
func AmountOf(m campaign.Money) Amount { return Amount{m.Decimal(), string(m.Currency)} }

// JourneyLine is one journey of a member.
type JourneyLine struct {
	Campaign   string     `json:"campaign"`
	Version    int        `json:"version"`
	Journey    string     `json:"journey"`
	Entry      int        `json:"entry" doc:"Which time this is, from 1"`
	WorkflowID string     `json:"workflow_id" doc:"Where to find it in the Temporal web UI"`
	Status     string     `json:"status" enum:"active,done"`
	Outcome    string     `json:"outcome,omitempty"`
	Holdout    bool       `json:"holdout,omitempty" doc:"Measured like the rest, sent and granted nothing"`
	Step       string     `json:"step,omitempty" doc:"The step's number in its version"`
	StepName   string     `json:"step_name,omitempty"`
	Summary    string     `json:"summary,omitempty" doc:"What it waits for"`
	WaitUntil  *time.Time `json:"wait_until,omitempty"`
	EnteredBy  string     `json:"entered_by"`
	EnteredAt  time.Time  `json:"entered_at"`
	EndedAt    *time.Time `json:"ended_at,omitempty"`
	GoalAt     *time.Time `json:"goal_at,omitempty"`
	GoalEvent  string     `json:"goal_event,omitempty"`
	Timezone   string     `json:"timezone" doc:"The campaign's" example:"Asia/Shanghai"`

	row int64
}

// MessageLine is one message to a member and what became of it.
type MessageLine struct {
	Key        string     `json:"key"`
	Campaign   string     `json:"campaign"`
	Version    int        `json:"version"`
	Step       string     `json:"step"`
	Message    string     `json:"message"`
	Kind       string     `json:"kind" enum:"marketing,service"`
	Channel    string     `json:"channel,omitempty"`
	State      string     `json:"state" enum:"claimed,sent,refused,failed,dropped,unknown"`
	Reason     string     `json:"reason,omitempty"`
	ProviderID string     `json:"provider_id,omitempty"`
	Attempts   int        `json:"attempts"`
	At         time.Time  `json:"at" doc:"When it was decided, on the campaign's clock"`
	SentAt     *time.Time `json:"sent_at,omitempty" doc:"When the channel took it, in real time"`

	row int64
}

// GrantLine is one reward that was asked for.
type GrantLine struct {
	Key      string    `json:"key"`
	Campaign string    `json:"campaign"`
	Version  int       `json:"version"`
	Reward   string    `json:"reward"`
	Step     string    `json:"step"`
	Points   int64     `json:"points"`
	State    string    `json:"state" enum:"granted,refused"`
	Reason   string    `json:"reason,omitempty"`
	At       time.Time `json:"at"`

	ClawedBack int64 `json:"clawed_back,omitempty" doc:"Points that were taken back, because the order that led to it was refunded"`
	Owed       int64 `json:"owed,omitempty" doc:"Points that were asked back and not there any more"`
}

// Points is a member's balance and how it came about.
type Points struct {
	Member  string      `json:"member"`
	Balance int64       `json:"balance" doc:"Below zero she owes what was taken back"`
	Owed    int64       `json:"owed,omitempty" doc:"Asked back after refunds, and not there any more"`
	Grants  []GrantLine `json:"grants"`
	Gains   []GainLine  `json:"gains" doc:"What events were worth by rules of points, the newest first, at most 1,000"`
	Batches []BatchLine `json:"batches" doc:"Points with an end, in the order in which they are spent"`
	Soon    int64       `json:"expires_within_30d" doc:"What ends within 30 days, unless it is spent"`
}

// BatchLine is points that end.
type BatchLine struct {
	Campaign string    `json:"campaign"`
	Points   int64     `json:"points" doc:"That she got"`
	Left     int64     `json:"left"`
	EndsAt   time.Time `json:"ends_at" doc:"In real time"`
}

// GainLine is what an event was worth by a rule.
type GainLine struct {
	Campaign   string    `json:"campaign"`
	Version    int       `json:"version"`
	Rule       string    `json:"rule"`
	Event      string    `json:"event"`
	Points     int64     `json:"points"`
	Refused    int64     `json:"refused,omitempty" doc:"What caps left out"`
	Reason     string    `json:"reason,omitempty" doc:"daily_cap, per_member or undecided"`
	At         time.Time `json:"at" doc:"The event's own time"`
	Reversed   int64     `json:"reversed,omitempty" doc:"What was taken back of it"`
	Short      int64     `json:"short,omitempty" doc:"What should have been taken back and was not there any more"`
	ReversedBy string    `json:"reversed_by,omitempty" doc:"The event that took it back"`
}

// Story is all that Banyan decided about one member.
type Story struct {
	Member   campaign.Member
	Journeys []StoryJourney
	Offers   []Offer
	Messages []MessageLine
	Points   Points
	Coupons  []CouponLine
	Benefits []BenefitLine
}

// StoryJourney is one journey with every decision in it, in order.
type StoryJourney struct {
	JourneyLine
	Lines    []campaign.TraceLine
	Messages []MessageLine
}

// MemberJourneys lists a member's journeys, the newest first.
func (s *Store) MemberJourneys(ctx context.Context, member string) (out []JourneyLine, err error) {
	err = s.ofMember(ctx, member, func(q *db.Queries) error {
		out, err = journeyLines(ctx, q, member)
		return err
	})
	return out, err
}

// MemberOffers lists the offers that a member was made, the newest first.
func (s *Store) MemberOffers(ctx context.Context, member string) (out []Offer, err error) {
	err = s.ofMember(ctx, member, func(q *db.Queries) error {
		out, err = offerLines(ctx, q, member)
		return err
	})
	return out, err
}

// MemberMessages lists the messages to a member, the newest first.
func (s *Store) MemberMessages(ctx context.Context, member string) (out []MessageLine, err error) {
	err = s.ofMember(ctx, member, func(q *db.Queries) error {
		out, err = messageLines(ctx, q, member)
		return err
	})
	return out, err
}

// MemberPoints gives a member's points and the grants behind them.
func (s *Store) MemberPoints(ctx context.Context, member string) (out Points, err error) {
	err = s.ofMember(ctx, member, func(q *db.Queries) error {
		row, err := q.GetMember(ctx, member)
		if err != nil {
			return err
		}
		out = Points{Member: member, Balance: row.Points}
		if out.Grants, err = grantLines(ctx, q, member); err != nil {
			return err
		}
		return out.read(ctx, q)
	})
	return out, err
}

// read adds what rules gave, what will end and what is owed. What is past its end is not hers
// any more.
func (p *Points) read(ctx context.Context, q *db.Queries) (err error) {
	p.Gains, p.Batches = []GainLine{}, []BatchLine{}
	if p.Owed, err = q.Owed(ctx, p.Member); err != nil {
		return err
	}
	batches, err := q.MemberBatches(ctx, p.Member)
	if err != nil {
		return err
	}
	ends, err := q.MemberEnds(ctx, p.Member)
	if err != nil {
		return err
	}
	p.Balance, p.Soon = p.Balance-ends.Over, ends.Soon
	for _, b := range batches {
		p.Batches = append(p.Batches, BatchLine{b.Campaign, b.Points, b.Remaining, b.EndsAt})
	}
	gains, err := q.MemberGains(ctx, p.Member)
	for _, g := range gains {
		p.Gains = append(p.Gains, GainLine{
			Campaign: g.Campaign, Version: int(g.Version), Rule: g.Rule, Event: g.Event, Points: g.Points, Refused: g.Asked - g.Points, Reason: g.Reason,
			At: g.At, Reversed: g.Taken, Short: g.Short, ReversedBy: g.ReversedBy,
		})
	}
	return err
}

// Story tells everything about one member, as of one moment.
func (s *Store) Story(ctx context.Context, member string) (story Story, err error) {
	have, err := s.sealer(ctx)
	if err != nil {
		return story, err
	}
	err = s.ofMember(ctx, member, func(q *db.Queries) error {
		story = Story{}
		row, err := q.GetMember(ctx, member)
		if err != nil {
			return err
		}
		if story.Member, err = memberOf(row); err != nil {
			return err
		}
		if story.Offers, err = offerLines(ctx, q, member); err != nil {
			return err
		}
		if story.Messages, err = messageLines(ctx, q, member); err != nil {
			return err
		}
		story.Points = Points{Member: member, Balance: row.Points}
		if story.Points.Grants, err = grantLines(ctx, q, member); err != nil {
			return err
		}
		if err := story.Points.read(ctx, q); err != nil {
			return err
		}
		story.Member.Points = story.Points.Balance
		if story.Coupons, err = couponLines(ctx, q, have, member); err != nil {
			return err
		}
		if story.Benefits, err = benefitLines(ctx, q, row); err != nil {
			return err
		}
		return story.addJourneys(ctx, q, member)
	})
	return story, err
}

func (s *Story) addJourneys(ctx context.Context, q *db.Queries, member string) error {
	journeys, err := journeyLines(ctx, q, member)
	if err != nil {
		return err
	}
	slices.Reverse(journeys) // a story is told from the beginning
	at := make(map[int64]int, len(journeys))
	for i, j := range journeys {
		at[j.row] = i
		s.Journeys = append(s.Journeys, StoryJourney{JourneyLine: j})
	}
	for _, m := range slices.Backward(s.Messages) {
		if i, ok := at[m.row]; ok {
			s.Journeys[i].Messages = append(s.Journeys[i].Messages, m)
		}
	}
	lines, err := q.MemberTrace(ctx, member)
	if err != nil {
		return err
	}
	for _, l := range lines {
		i, ok := at[l.Journey]
		if !ok {
			continue
		}
		line := campaign.TraceLine{At: l.At, Step: l.Step, Kind: campaign.TraceKind(l.Kind)}
		if err := json.Unmarshal(l.Params, &line.Params); err != nil {
			return campaign.Errorf(campaign.CodeInternal, "a trace line cannot be read: %w", err)
		}
		s.Journeys[i].Lines = append(s.Journeys[i].Lines, line)
	}
	return nil
}

// ofMember reads in a snapshot; a member that does not exist is an error.
func (s *Store) ofMember(ctx context.Context, member string, read func(q *db.Queries) error) error {
	err := s.inSnapshot(ctx, func(_ pgx.Tx, q *db.Queries) error {
		exists, err := q.MemberExists(ctx, member)
		if err != nil {
			return err
		}
		if !exists {
			return campaign.Errorf(campaign.CodeNotFound, "there is no member %q", member)
		}
		return read(q)
	})
	return translate(err, "read the member")
}

func journeyLines(ctx context.Context, q *db.Queries, member string) ([]JourneyLine, error) {
	rows, err := q.MemberJourneys(ctx, member)
	out := make([]JourneyLine, len(rows))
	for i, r := range rows {
		out[i] = JourneyLine{
			Campaign: r.Campaign, Version: int(r.Version), Journey: r.Journey, Entry: int(r.Entry), WorkflowID: r.WorkflowID,
			Status: r.Status, Outcome: r.Outcome, Holdout: r.Holdout, Step: r.Step, StepName: r.StepName, Summary: r.Summary,
			WaitUntil: r.WaitUntil, EnteredBy: r.EnteredBy, EnteredAt: r.EnteredAt, EndedAt: r.EndedAt, GoalAt: r.GoalAt, Timezone: r.Timezone, row: r.ID,
		}
		if r.GoalEvent != nil {
			out[i].GoalEvent = *r.GoalEvent
		}
		if r.Status != "active" {
			out[i].WaitUntil, out[i].Summary = nil, "" // until when it listens for late events is its own business
		}
	}
	return out, err
}

func offerLines(ctx context.Context, q *db.Queries, member string) ([]Offer, error) {
	rows, err := q.MemberOffers(ctx, member)
	out := make([]Offer, len(rows))
	for i, r := range rows {
		out[i] = offerOf(db.GetOfferRow(r))
	}
	if err != nil {
		return nil, err
	}
	reserved, err := q.LiveReservationsOfMember(ctx, member)
	addReservations(out, reserved)
	return out, err
}

func messageLines(ctx context.Context, q *db.Queries, member string) ([]MessageLine, error) {
	rows, err := q.MemberMessages(ctx, member)
	out := make([]MessageLine, len(rows))
	for i, r := range rows {
		out[i] = MessageLine{
			Key: r.Key, Campaign: r.Campaign, Version: int(r.Version), Step: r.Step, Message: r.Name, Kind: r.Kind,
			Channel: r.Channel, State: r.State, Reason: r.Reason, ProviderID: r.ProviderID, Attempts: int(r.Attempts),
			At: r.At, SentAt: r.SentAt, row: r.Journey,
		}
	}
	return out, err
}

func grantLines(ctx context.Context, q *db.Queries, member string) ([]GrantLine, error) {
	rows, err := q.MemberGrants(ctx, member)
	out := make([]GrantLine, len(rows))
	for i, r := range rows {
		out[i] = GrantLine{r.Key, r.Campaign, int(r.Version), r.Reward, r.Step, r.Points, r.State, r.Reason, r.At, r.ClawedBack, r.Owed}
	}
	return out, err
}
