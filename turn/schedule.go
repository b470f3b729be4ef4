package turn

import (
	"context"
	"log/slog"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/store"
)

// schedules lets in whoever is in the segment of a start at moments of the calendar, for
// the latest of its moments that has come. A moment that was begun is finished, whatever
// happens to workers; one that passed unseen, because the engine was down, is made up
// for unless the next one has come.
//
// It answers whether nobody is left, and the campaign time of the next moment; zero: there
// is none.
func (s *Sweeper) schedules(ctx context.Context, c store.RunningCampaign, p *journey.Program, enough func() bool) (all bool, next time.Time, err error) {
	starts := p.Schedules()
	named := make([]store.Schedule, len(starts))
	for i, at := range starts {
		named[i] = store.Schedule{Campaign: c.Name, Journey: at.Journey, When: at.When, Segment: at.Segment}
	}
	runs, err := s.Store.Runs(ctx, c.Name, c.Since, named)
	if err != nil {
		return false, next, err
	}
	for i, at := range starts {
		for run := runs[i]; ; {
			if run.Done {
				last := at.Last(run.Moment, c.Now)
				if last.IsZero() {
					break
				}
				begun := store.Run{Schedule: run.Schedule, Moment: last}
				if err := s.Store.MoveRun(ctx, run, begun); err != nil {
					return taken(err)
				}
				run = begun
			}
			if run, err = s.goOn(ctx, c, p, at, run, enough); err != nil || !run.Done {
				return taken(err)
			}
		}
		if t := at.Next(c.Now); !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return true, next, nil
}

// taken says what becomes of a moment that is not finished here: where somebody else is
// at it, one looks again.
func taken(err error) (all bool, next time.Time, _ error) {
	if campaign.CodeOf(err) == campaign.CodeConflict {
		err = nil
	}
	return false, next, err
}

// goOn lets members in for one moment, page after page, until nobody is left or it is
// enough.
func (s *Sweeper) goOn(ctx context.Context, c store.RunningCampaign, p *journey.Program, at journey.Schedule, run store.Run, enough func() bool) (store.Run, error) {
	for seen := run.After; ; {
		members, err := s.candidates(ctx, c, p, at.At(run.Moment), seen)
		if err != nil {
			return run, err
		}
		if err := s.pageOf(ctx, c.Name, at, &run, members); err != nil {
			return run, err
		}
		if len(members) < sweepPage {
			done := run
			done.Done = true
			return done, s.Store.MoveRun(ctx, run, done)
		}
		if seen = members[len(members)-1]; enough() {
			return run, nil
		}
	}
}

// pageOf lets the members of a page in and moves the run on, in one transaction. One of
// them about whom it is impossible to decide is told of and left out.
func (s *Sweeper) pageOf(ctx context.Context, name string, at journey.Schedule, run *store.Run, members []string) error {
	if len(members) == 0 {
		return nil
	}
	return wholeOrEach(ctx, members, func(members []string) error {
		to := *run
		to.After = members[len(members)-1]
		err := s.Store.InEntry(ctx, members, func(tx *store.EntryTx) error {
			if err := tx.MoveRun(ctx, *run, to); err != nil {
				return err
			}
			return s.enterAt(ctx, tx, name, at, run.Moment)
		})
		if err == nil {
			*run = to
		}
		return err
	}, func(_ string, err error) error {
		if campaign.CodeOf(err) == campaign.CodeConflict {
			return err
		}
		if s.Taker.Log != nil {
			s.Taker.Log.ErrorContext(ctx, "whether a member enters could not be decided; she is left out this time", slog.String("campaign", name),
				slog.String("schedule", at.When), slog.Any("code", campaign.CodeOf(err)), slog.Any("error", err))
		}
		return nil
	})
}

// enterAt lets in those locked members who are in the segment. The campaign may have
// another version by now: then it is that one's journey that they enter, if it starts so.
func (s *Sweeper) enterAt(ctx context.Context, tx *store.EntryTx, name string, at journey.Schedule, moment time.Time) error {
	return s.enterBy(ctx, tx, name, func(c store.RunningCampaign, p *journey.Program) (list []*attempt) {
		for _, now := range p.Schedules() {
			if now.Journey != at.Journey || now.When != at.When || now.Segment != at.Segment {
				continue
			}
			for _, who := range tx.Entrants() {
				list = append(list, attemptAt(who, c, p, now.At(moment), nil))
			}
		}
		return list
	})
}
