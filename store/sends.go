package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Outgoing reads a claimed message.
func (s *Store) Outgoing(ctx context.Context, key string) (campaign.Outgoing, error) {
	m, err := s.queries.MessageToSend(ctx, key)
	if err != nil {
		return campaign.Outgoing{}, found(err, "message", key)
	}
	o := campaign.Outgoing{
		Key: m.Key, Campaign: m.Campaign, Journey: m.JourneyName, JourneyRow: m.Journey, Version: int(m.Version), Member: m.Member,
		Step: m.Step, Name: m.Name, Kind: campaign.MessageKind(m.Kind), State: m.State,
		Settled: m.State != "claimed" && m.State != "unknown", InDoubt: m.State == "unknown",
		Paused: State(m.CampaignState) == StatePaused, Ended: State(m.CampaignState) == StateEnded,
		At: m.At, Deadline: orZero(m.Deadline), Clock: clock(m.ClockFactor, m.ClockReal, m.ClockStart),
	}
	o.Now = o.Clock.At(m.RealNow)
	if loc, err := time.LoadLocation(m.Timezone); err == nil {
		o.At = o.At.In(loc) // people who read a channel's output think in the campaign's time
	}
	if err := json.Unmarshal(m.Bodies, &o.Bodies); err != nil {
		return campaign.Outgoing{}, campaign.Errorf(campaign.CodeInternal, "a message's wordings cannot be read: %w", err)
	}
	return o, nil
}

// Trying records that a channel is about to be called: from now on until somebody
// knows better the outcome is unknown, also for one who finds the message after a crash.
func (s *Store) Trying(ctx context.Context, key, channel string) error {
	return translate(s.queries.TryMessage(ctx, key, channel), "record an attempt")
}

// NotDone records that the attempt did certainly not deliver.
func (s *Store) NotDone(ctx context.Context, key, reason string) error {
	return translate(s.queries.MessageNotDone(ctx, key, reason), "record an attempt")
}

// Settle records how a send ended, once. What was not sent is told in the journey's
// trace, with its reason. Settling again what is settled changes nothing.
func (s *Store) Settle(ctx context.Context, o *campaign.Outgoing, end campaign.Settlement) error {
	state := string(end.State)
	effect := map[campaign.SendOutcome]string{
		campaign.SendSent: "settled", campaign.SendRefused: "refused", campaign.SendDropped: "dropped", campaign.SendUnknown: "unknown",
		campaign.SendFailed: "failed",
	}[end.State]
	err := s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		n, err := q.SettleMessage(ctx, db.SettleMessageParams{
			Key: end.Key, State: state, Reason: end.Reason, ProviderID: end.ProviderID, Channel: end.Channel,
		})
		if err != nil || n == 0 {
			return err
		}
		if err := q.SettleEffect(ctx, effect, end.Reason, end.Key); err != nil || end.State == campaign.SendSent {
			return err
		}
		row := db.LoadTurnRow{ID: o.JourneyRow, Campaign: o.Campaign, Version: int32(o.Version)}
		return insertTrace(ctx, q, &row, 0, []campaign.TraceLine{{
			At: o.Now, Step: o.Step, Kind: campaign.TraceNotSent, Params: map[string]string{"message": o.Name, "reason": end.Reason},
		}})
	})
	return translate(err, "settle a message")
}
