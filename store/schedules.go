package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Schedule names a start at moments of the calendar: a journey of a campaign may have
// several.
type Schedule struct {
	Campaign, Journey, When, Segment string
}

// Run is how far the members of such a start have been let in.
type Run struct {
	Schedule
	Moment time.Time // the latest moment, or since when moments count; campaign time
	After  string    // the last member by id that was looked at for it
	Done   bool      // all were
}

// Runs gives how far each of these starts of a campaign has come, in their order. Those
// that are new count from since; what is known of others is forgotten.
func (s *Store) Runs(ctx context.Context, name string, since time.Time, starts []Schedule) ([]Run, error) {
	keep, runs := make([]string, len(starts)), make([]Run, len(starts))
	for i, at := range starts {
		keep[i] = at.Journey + " " + at.Segment + " " + at.When
	}
	err := s.inQuickTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		if err := q.DropSchedules(ctx, name, keep); err != nil {
			return err
		}
		for _, at := range starts {
			if err := q.MakeSchedule(ctx, db.MakeScheduleParams{
				Campaign: name, Journey: at.Journey, Schedule: at.When, Segment: at.Segment, Since: since,
			}); err != nil {
				return err
			}
		}
		rows, err := q.ListSchedules(ctx, name)
		known := make(map[Schedule]Run, len(rows))
		for _, r := range rows {
			at := Schedule{r.Campaign, r.Journey, r.Schedule, r.Segment}
			known[at] = Run{Schedule: at, Moment: r.Moment.UTC(), After: r.After, Done: r.Done}
		}
		for i, at := range starts {
			at.Campaign = name
			runs[i] = known[at]
		}
		return err
	})
	return runs, translate(err, "read the schedules")
}

// MoveRun writes how far a start has come, if it is where it was believed to be:
// otherwise somebody else is at it.
func (s *Store) MoveRun(ctx context.Context, from, to Run) error {
	return translate(moveRun(ctx, s.queries, from, to), "write a schedule")
}

// MoveRun is Store.MoveRun in this transaction, which lets the members in.
func (t *EntryTx) MoveRun(ctx context.Context, from, to Run) error {
	return moveRun(ctx, t.q, from, to)
}

func moveRun(ctx context.Context, q *db.Queries, from, to Run) error {
	moved, err := q.MoveSchedule(ctx, db.MoveScheduleParams{
		Campaign: from.Campaign, Journey: from.Journey, Schedule: from.When, Segment: from.Segment,
		Moment: from.Moment, After: from.After, Done: from.Done, ToMoment: to.Moment, ToAfter: to.After, ToDone: to.Done,
	})
	if err == nil && moved == 0 {
		err = campaign.Errorf(campaign.CodeConflict, "somebody else lets members in by schedule %s", from.When)
	}
	return err
}
