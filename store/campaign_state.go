package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// State is the state of a campaign.
type State string

// States of a campaign: draft, then running and paused to and fro, then draining
// (nobody enters, everybody finishes) or at once ended.
const (
	StateDraft    State = "draft"
	StateRunning  State = "running"
	StatePaused   State = "paused"
	StateDraining State = "draining"
	StateEnded    State = "ended"
)

// DemoClock asks for a campaign clock that runs faster than real time.
type DemoClock struct {
	Factor int64
	From   time.Time // what it shows at the start; zero: the real time
}

// Start lets members in. The router finds running campaigns by itself, so a start is
// kept and comes true even while Temporal is away.
func (s *Store) Start(ctx context.Context, name string, demo *DemoClock) error {
	factor, shows := int64(1), (*time.Time)(nil)
	if demo != nil {
		if demo.Factor < 1 || demo.Factor > campaign.MaxClockFactor {
			return campaign.Errorf(campaign.CodeInvalid, "the factor of a demo clock is from 1 to %d", campaign.MaxClockFactor)
		}
		factor = demo.Factor
		if !demo.From.IsZero() {
			shows = &demo.From
		}
	}
	return s.move(ctx, name, func(q *db.Queries, state State) error {
		switch state {
		case StateDraft:
			return q.StartCampaign(ctx, factor, shows, name)
		case StatePaused:
			return campaign.Errorf(campaign.CodeConflict, "campaign %s is paused: resume it", name)
		case StateRunning:
			return campaign.Errorf(campaign.CodeConflict, "campaign %s is running already", name)
		case StateDraining, StateEnded:
		}
		return campaign.Errorf(campaign.CodeConflict, "campaign %s is %s and does not start again; submit it under another name", name, state)
	})
}

// Pause stops sending and granting; waits and locks go on counting.
func (s *Store) Pause(ctx context.Context, name string) error {
	return s.move(ctx, name, func(q *db.Queries, state State) error {
		if state != StateRunning {
			return campaign.Errorf(campaign.CodeConflict, "campaign %s is %s; only a running campaign can be paused", name, state)
		}
		return q.SetCampaignState(ctx, string(StatePaused), name)
	})
}

// Resume goes on after a pause; every journey looks again at what fell due meanwhile.
func (s *Store) Resume(ctx context.Context, name string) error {
	return s.move(ctx, name, func(q *db.Queries, state State) error {
		if state != StatePaused {
			return campaign.Errorf(campaign.CodeConflict, "campaign %s is %s; only a paused campaign can be resumed", name, state)
		}
		if err := q.SetCampaignState(ctx, string(StateRunning), name); err != nil {
			return err
		}
		return pokeAll(ctx, q, name)
	})
}

// ResumeReward gives what a reward has kept back of its budget since it was to pause. A reward
// that was resumed already stays so. One without such a budget is a conflict.
func (s *Store) ResumeReward(ctx context.Context, name, reward string) error {
	if _, err := s.queries.GetCampaign(ctx, name); err != nil {
		return found(err, "campaign", name)
	}
	var what string
	err := s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) (err error) {
		what, err = q.ResumeReward(ctx, name, reward)
		return err
	})
	switch {
	case err != nil:
		return translate(err, "resume the reward")
	case what == "none":
		return campaign.Errorf(campaign.CodeNotFound, "campaign %s has no reward %q with a budget", name, reward)
	case what == "never":
		return campaign.Errorf(campaign.CodeConflict, "reward %s of campaign %s never pauses: its budget has no pause_at", reward, name)
	}
	return nil
}

// End lets nobody in any more. With drain the journeys in flight finish first;
// without, they end at once and their offers are withdrawn.
func (s *Store) End(ctx context.Context, name string, drain bool) error {
	return s.move(ctx, name, func(q *db.Queries, state State) error {
		if state == StateEnded || state == StateDraining && drain {
			return campaign.Errorf(campaign.CodeConflict, "campaign %s is %s already", name, state)
		}
		left, err := q.HasWorkLeft(ctx, name)
		if err != nil {
			return err
		}
		to := StateEnded
		if drain && left {
			to = StateDraining
		}
		if err := q.SetCampaignState(ctx, string(to), name); err != nil {
			return err
		}
		if to == StateDraining && state != StatePaused {
			return nil // nothing is held back: they finish by themselves
		}
		return pokeAll(ctx, q, name)
	})
}

// pokeAll lets every journey of a campaign look again, with a workflow of its own or in
// its slice, and what happened during a pause be judged for points.
func pokeAll(ctx context.Context, q *db.Queries, name string) error {
	if _, err := q.PokeCampaign(ctx, name); err != nil {
		return err
	}
	if err := q.ReleasePoints(ctx, name); err != nil {
		return err
	}
	return q.PokeSlices(ctx, name)
}

// EndDrained ends the draining campaigns whose last journey is over and whose last
// message is out, and names them.
func (s *Store) EndDrained(ctx context.Context) ([]string, error) {
	names, err := s.queries.EndDrained(ctx)
	return names, translate(err, "end drained campaigns")
}

// move changes a campaign's state under its row lock.
func (s *Store) move(ctx context.Context, name string, change func(q *db.Queries, state State) error) error {
	err := s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		row, err := q.LockCampaign(ctx, name)
		if err != nil {
			return found(err, "campaign", name)
		}
		return change(q, State(row.State))
	})
	if err != nil {
		return translate(err, "change the campaign's state")
	}
	s.Notify()
	return nil
}
