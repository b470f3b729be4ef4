// Package turn takes one turn of an entity inside a transaction that it is handed:
// load, run the pure core until it has nothing more to ask, write back. The worker's
// activity and the router both take turns, and they take them through this package, so
// that there is one way.
package turn

import (
	"bytes"
	"context"
	"log/slog"
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

// Store opens the transaction of turns and says who is due.
type Store interface {
	InTurns(ctx context.Context, journeys []int64, do func(*store.PageTx) error) error
	Slice(ctx context.Context, id int) (store.Slice, error)
	DueInSlice(ctx context.Context, in store.Slice, most int) ([]int64, error)
	RestOfSlice(ctx context.Context, of store.Slice) (store.SliceRest, error)
	StepsInSlice(ctx context.Context, id int) ([]campaign.StepCount, error)
	MigrationsToDo(ctx context.Context) ([]store.MigrationWork, error)
	ToMigrate(ctx context.Context, w *store.MigrationWork, first func(version int, journey string) string, most, size int) ([][]int64, error)
	PassMigration(ctx context.Context, w *store.MigrationWork) (bool, error)
	VersionDigests(ctx context.Context, campaign string) (map[int]string, error)
	Definition(ctx context.Context, digest string) (*campaign.Definition, error)
}

// Taker takes turns.
type Taker struct {
	Store    Store
	Programs Programs
	// Via is the installation's default list of channels.
	Via []string
	// Log hears of members of a slice whose turn could not be taken; nil: nobody.
	Log *slog.Logger
}

// maxAsks bounds how often one turn may ask. The core asks once for each order and
// each grant, so reaching it is a fault of ours.
const maxAsks = 10_000

// one is one turn of a page: what it was told and what came of it.
type one struct {
	tx      *store.TurnTx
	j       store.Journey
	program *journey.Program
	state   journey.State
	in      journey.Input
	more    bool // there are events that it had no room to read

	// migration is set where the turn is to bring the journey to another version; still,
	// where it is paused meanwhile.
	migration *journey.Migration
	to        *journey.Program
	still     bool
	before    *journey.State // where it is brought back to: then the migration is one to where it came from

	step     func(journey.State, journey.Input) (campaign.Decision, *campaign.Ask, error) // the core
	turn     int                                                                          // its number
	decision campaign.Decision
	idle     bool // nothing had happened and nothing was due
}

// Advance takes turn number turn of a journey, exactly once: a turn that was taken
// before is answered with its stored result, and one for which there is nothing to do
// writes nothing and keeps its number free.
func (t *Taker) Advance(ctx context.Context, row int64, turn int) (result campaign.TurnResult, err error) {
	more := false
	err = t.Store.InTurns(ctx, []int64{row}, func(page *store.PageTx) error {
		more = false
		tx, err := page.Turn(row)
		if err != nil {
			return err
		}
		j := tx.Journey()
		if turn <= j.Turn {
			stored, ok, err := tx.Stored(ctx, turn)
			if err != nil {
				return err
			}
			if ok {
				result, more = stored, stored.Outcome != ""
				// Since it was taken others may have been, by a migration, and what the caller was
				// poked for may have come behind it: it is to look again at once.
				result.Wait = 0
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
		o := &one{tx: tx, j: j}
		if err := t.take(ctx, page, []*one{o}); err != nil {
			return err
		}
		result, more = o.result(), o.more
		if o.idle {
			return nil
		}
		result.Turn = j.Turn + 1
		return tx.Save(result.Turn, &o.decision, &result)
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
		err := t.Store.InTurns(ctx, []int64{row}, func(page *store.PageTx) error {
			more = false
			tx, err := page.Turn(row)
			if err != nil {
				return err
			}
			o := &one{tx: tx, j: tx.Journey()}
			if !o.j.Done {
				return nil // it was under way after all; its own turn will see
			}
			if err := t.take(ctx, page, []*one{o}); err != nil || o.idle {
				return err
			}
			more = o.more
			return tx.Save(o.j.Turn, &o.decision, &campaign.TurnResult{Turn: noTurn, Wait: -1})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// noTurn is the number in the result of what is saved without being a turn.
const noTurn = -1

// take gathers what the core needs for each of these turns, runs it and answers its
// questions. One member's turn is a page of one.
func (t *Taker) take(ctx context.Context, page *store.PageTx, list []*one) error {
	needs := make([]*store.Need, len(list))
	for i, o := range list {
		var err error
		if o.program == nil {
			if o.program, err = t.Programs.Program(ctx, page, o.j.Digest); err != nil {
				return err
			}
		}
		if o.state, err = journey.LoadState(o.j.State); err != nil {
			return err
		}
		if needs[i], err = o.need(); err != nil {
			return err
		}
	}
	if err := page.Gather(ctx, needs); err != nil {
		return err
	}
	for i, o := range list {
		f := &needs[i].Facts
		o.more = f.More
		for k := range f.Events {
			if e := &f.Events[k]; !campaign.Ours(o.j.ID.Campaign, e) {
				e.Type = "" // another campaign's: it is judged, and concerns nothing
			}
		}
		o.in = journey.Input{
			ID: o.j.ID, Version: o.j.Version, Member: o.tx.Member(), Answers: map[string]campaign.Answer{}, Via: t.Via,
			EndNow: o.j.CampaignState == store.StateEnded, Events: f.Events, Now: f.Now, Behaviour: f.Behaviour, Sent: f.Sent, Taken: f.Taken, Rewards: f.Rewards,
		}
		o.begin()
	}
	if err := lockTeams(ctx, page, list); err != nil {
		return err
	}
	return run(ctx, page, list)
}

func (o *one) need() (*store.Need, error) {
	types, questions, err := o.program.NeedsIn(o.j.ID.Journey, &o.state)
	if err != nil {
		return nil, err
	}
	programs := []*journey.Program{o.program}
	if o.migration != nil {
		stood := []*journey.State{&o.state}
		if o.before != nil {
			stood = append(stood, o.before)
		}
		types, questions = o.migration.NeedsIn(stood...)
		programs = append(programs, o.to)
	}
	n := &store.Need{Turn: o.tx, Types: types, Since: o.state.Since, Behaviour: questions}
	for _, p := range programs {
		def := p.Definition()
		n.Offers = n.Offers || len(def.Offers) > 0
		n.Rewards = n.Rewards || p.ReadsRewards()
		// The longer of two spans does for both; zero is for ever.
		if limit := def.Limits.MessagesPerMember; limit != nil && (n.Cap == nil || *n.Cap > 0 && (limit.Every == 0 || limit.Every > *n.Cap)) {
			n.Cap = &limit.Every
		}
	}
	return n, nil
}

// run runs the cores until none has a question left. What they ask at a time is answered
// together, so that a page whose members all are granted something asks the store once.
func run(ctx context.Context, page *store.PageTx, list []*one) error {
	for range maxAsks {
		var (
			asking    []*one
			questions []store.Question
		)
		for _, o := range list {
			ask, err := o.advance()
			if err != nil {
				return err
			}
			if ask != nil {
				asking, questions = append(asking, o), append(questions, store.Question{Of: o.tx, Turn: o.turn, Ask: ask})
			}
		}
		if len(asking) == 0 {
			return nil
		}
		answers, err := page.Answer(ctx, questions)
		if err != nil {
			return err
		}
		for i, o := range asking {
			o.in.Answers[questions[i].Ask.Key] = answers[i]
		}
		list = asking
	}
	return campaign.Errorf(campaign.CodeInternal, "a turn asked more than %d questions", maxAsks)
}

// begin chooses how the core is run.
func (o *one) begin() {
	o.step, o.turn = o.program.Turn, o.j.Turn+1
	if o.j.Done {
		o.step, o.turn = o.program.After, o.j.Turn
	}
	switch {
	case o.before != nil && (o.still || !o.more):
		o.step = o.migration.Back(*o.before, !o.still)
		if o.still {
			o.in.Now = o.j.Now
		}
	case o.still:
		o.step, o.in.Now = o.migration.Still, o.j.Now
	case o.migration != nil && !o.more: // one that has more to judge is not of one moment
		o.step = o.migration.Turn
	}
}

// advance runs the core with the answers that there are so far, to its next question or
// to its decision.
func (o *one) advance() (*campaign.Ask, error) {
	decision, ask, err := o.step(o.state, o.in)
	if err != nil || ask != nil {
		return ask, err
	}
	// The state says everything that may change silently, such as the new moment of
	// a message that is delayed again.
	before, err := o.state.Save()
	o.decision, o.idle = decision, bytes.Equal(before, decision.State)
	if m := decision.Migrated; m != nil && m.Do != campaign.MigrationKeep {
		o.idle = false
	}
	return nil, err
}

func (o *one) result() campaign.TurnResult {
	d := &o.decision
	r := campaign.TurnResult{Turn: o.j.Turn, Wait: -1, Step: d.StepName, Summary: d.Summary, Outcome: d.Outcome}
	for i := range d.Sends {
		s := &d.Sends[i]
		r.Sends = append(r.Sends, campaign.SendRef{Key: s.Key, Channel: s.Bodies[0].Channel, Message: s.Message})
	}
	for i := range d.RefundsAsked {
		f := &d.RefundsAsked[i]
		r.Sends = append(r.Sends, campaign.SendRef{Key: f.Key, Channel: campaign.ChannelRefund, Message: "refund of " + f.Offer})
	}
	switch {
	case d.Done():
	case o.more:
		r.Wait = 0
	case !d.WaitUntil.IsZero():
		r.Wait = span(o.j, d.WaitUntil)
		r.Due = d.WaitUntil.UnixMicro()
	}
	if d.Migrated.Moves() {
		r.Version = d.Migrated.Version
	}
	return r
}

func span(j store.Journey, until time.Time) time.Duration {
	return max(0, j.Clock.RealSpan(until.Sub(j.Now))) + wakeMargin
}

// wakeMargin makes a timer wake just after the moment it waits for. Temporal keeps
// milliseconds and may round down, and a turn that comes too early is a wasted one.
const wakeMargin = 2 * time.Millisecond
