// Package turn takes one turn of an entity inside a transaction that it is handed:
// load, run the pure core until it has nothing more to ask, write back. The worker's
// activity and the router both take turns, and they take them through this package, so
// that there is one way.
package turn

import (
	"bytes"
	"context"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/store"
)

// Programs finds the compiled program of a campaign version by its digest; from loads
// its definition where that has not been done yet.
type Programs interface {
	Program(ctx context.Context, from Definitions, digest string) (*journey.Program, error)
}

// Store opens the transaction of a turn.
type Store interface {
	InTurn(ctx context.Context, journey int64, do func(*store.TurnTx) error) error
}

// Taker takes turns.
type Taker struct {
	Store    Store
	Programs Programs
	// Via is the installation's default list of channels.
	Via []string
}

// maxAsks bounds how often one turn may ask. The core asks once for each order and
// each grant, so reaching it is a fault of ours.
const maxAsks = 10_000

// Advance takes turn number turn of a journey, exactly once: a turn that was taken
// before is answered with its stored result, and one for which there is nothing to do
// writes nothing and keeps its number free.
func (t *Taker) Advance(ctx context.Context, row int64, turn int) (result campaign.TurnResult, err error) {
	more := false
	err = t.Store.InTurn(ctx, row, func(tx *store.TurnTx) error {
		more = false
		j := tx.Journey()
		if turn <= j.Turn {
			stored, ok, err := tx.Stored(ctx, turn)
			if err != nil {
				return err
			}
			if ok {
				// The span was reckoned when the turn was taken, which may be an outage ago.
				result, more = stored, stored.Outcome != ""
				if stored.Due != 0 {
					result.Wait = span(j, time.UnixMicro(stored.Due))
				}
				return nil
			}
		}
		if j.Done {
			state, err := journey.LoadState(j.State)
			if err != nil {
				return err
			}
			result = campaign.TurnResult{Turn: j.Turn, Wait: -1, Step: j.StepName, Outcome: state.Outcome}
			return nil
		}
		if j.CampaignState == store.StatePaused {
			result = campaign.TurnResult{Turn: j.Turn, Wait: -1, Step: j.StepName, Summary: "the campaign is paused"}
			return nil
		}
		var (
			d    campaign.Decision
			idle bool
			err  error
		)
		if d, more, idle, err = t.run(ctx, tx, j.Turn+1); err != nil {
			return err
		}
		result = resultOf(&d, j, more)
		if idle {
			return nil
		}
		result.Turn = j.Turn + 1
		return tx.Save(ctx, result.Turn, &d, &result)
	})
	if err == nil && more && result.Outcome != "" {
		// The turn is taken; what it had no room to read comes behind the journey's end.
		err = t.After(ctx, row)
	}
	return result, err
}

// After lets a journey that is over judge what has come since: orders for offers that
// are still open, and what came too late.
func (t *Taker) After(ctx context.Context, row int64) error {
	for more := true; more; {
		err := t.Store.InTurn(ctx, row, func(tx *store.TurnTx) error {
			more = false
			j := tx.Journey()
			if !j.Done {
				return nil // it was under way after all; its own turn will see
			}
			d, left, idle, err := t.run(ctx, tx, j.Turn)
			if err != nil || idle {
				return err
			}
			more = left
			return tx.Save(ctx, j.Turn, &d, nil)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// run gathers what the core needs, runs it and answers its questions. idle reports
// that nothing had happened and nothing was due.
func (t *Taker) run(ctx context.Context, tx *store.TurnTx, turn int) (d campaign.Decision, more, idle bool, err error) {
	j := tx.Journey()
	program, err := t.Programs.Program(ctx, tx, j.Digest)
	if err != nil {
		return d, false, false, err
	}
	state, err := journey.LoadState(j.State)
	if err != nil {
		return d, false, false, err
	}
	in, more, err := t.gather(ctx, tx, program, &state)
	if err != nil {
		return d, false, false, err
	}
	step := program.Turn
	if j.Done {
		step = program.After
	}
	for range maxAsks {
		decision, ask, err := step(state, in)
		if err != nil {
			return d, false, false, err
		}
		if ask == nil {
			// The state says everything that may change silently, such as the new moment of
			// a message that is delayed again.
			before, err := state.Save()
			return decision, more, bytes.Equal(before, decision.State), err
		}
		answer, err := tx.Answer(ctx, turn, ask)
		if err != nil {
			return d, false, false, err
		}
		in.Answers[ask.Key] = answer
	}
	return d, false, false, campaign.Errorf(campaign.CodeInternal, "a turn asked more than %d questions", maxAsks)
}

func (t *Taker) gather(ctx context.Context, tx *store.TurnTx, p *journey.Program, state *journey.State) (in journey.Input, more bool, err error) {
	j := tx.Journey()
	types, questions, err := p.Needs(j.ID.Journey)
	if err != nil {
		return in, false, err
	}
	in = journey.Input{
		ID: j.ID, Version: j.Version, Member: tx.Member(), Answers: map[string]campaign.Answer{}, Via: t.Via,
		EndNow: j.CampaignState == store.StateEnded,
	}
	if in.Events, in.Now, more, err = tx.Events(ctx, types, state.Since); err != nil {
		return in, false, err
	}
	if in.Behaviour, err = tx.Behaviour(ctx, questions); err != nil {
		return in, false, err
	}
	if limit := p.Definition().Limits.MessagesPerMember; limit != nil {
		if in.Sent, err = tx.Sent(ctx, limit.Every); err != nil {
			return in, false, err
		}
	}
	in.Taken, err = tx.Taken(ctx)
	return in, more, err
}

func resultOf(d *campaign.Decision, j store.Journey, more bool) campaign.TurnResult {
	r := campaign.TurnResult{Turn: j.Turn, Wait: -1, Step: d.StepName, Summary: d.Summary, Outcome: d.Outcome}
	for i := range d.Sends {
		s := &d.Sends[i]
		r.Sends = append(r.Sends, campaign.SendRef{Key: s.Key, Channel: s.Bodies[0].Channel, Message: s.Message})
	}
	switch {
	case d.Done():
	case more:
		r.Wait = 0
	case !d.WaitUntil.IsZero():
		r.Wait = span(j, d.WaitUntil)
		r.Due = d.WaitUntil.UnixMicro()
	}
	return r
}

func span(j store.Journey, until time.Time) time.Duration {
	return max(0, j.Clock.RealSpan(until.Sub(j.Now))) + wakeMargin
}

// wakeMargin makes a timer wake just after the moment it waits for. Temporal keeps
// milliseconds and may round down, and a turn that comes too early is a wasted one.
const wakeMargin = 2 * time.Millisecond
