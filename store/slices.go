package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
)

// Slice is one slice of a journey's members.
type Slice struct {
	ID       int
	Campaign string
	Journey  string
	State    State // of the campaign
	Workflow string
}

// Slice reads a slice.
func (s *Store) Slice(ctx context.Context, id int) (Slice, error) {
	r, err := s.queries.GetSlice(ctx, int32(id))
	if errors.Is(err, pgx.ErrNoRows) {
		return Slice{}, campaign.Errorf(campaign.CodeNotFound, "there is no slice %d", id)
	}
	return Slice{ID: int(r.ID), Campaign: r.Campaign, Journey: r.Journey, State: State(r.State), Workflow: r.WorkflowID}, translate(err, "read a slice")
}

// DueInSlice lists up to most journeys of a slice that are due, the longest due first;
// when the campaign was ended at once, all that are under way. A member with two
// journeys is listed once: the turn of one may change what the other's must know.
func (s *Store) DueInSlice(ctx context.Context, in Slice, most int) ([]int64, error) {
	list := s.queries.DueInSlice
	if in.State == StateEnded {
		list = s.queries.LeftInSlice
	}
	ids, err := list(ctx, int32ptr(in.ID), int32(most))
	return ids, translate(err, "list the members of a slice that are due")
}

// SliceRest is what is left to do in a slice.
type SliceRest struct {
	Wait     time.Duration // real span until somebody falls due; negative: nobody will
	Channels []string      // for which messages wait; none: every message is settled
	Active   bool          // somebody is under way
}

// RestOfSlice says what is left to do in a slice.
func (s *Store) RestOfSlice(ctx context.Context, id int) (rest SliceRest, err error) {
	r, err := s.queries.RestOfSlice(ctx, int32ptr(id))
	if err != nil {
		return rest, translate(err, "look at a slice")
	}
	rest = SliceRest{Wait: -1, Channels: r.Channels, Active: r.Active}
	if r.Due {
		rest.Wait = max(0, time.Duration(r.Seconds*float64(time.Second)))
	}
	return rest, nil
}

// StepsInSlice counts the members of a slice that are under way, by step.
func (s *Store) StepsInSlice(ctx context.Context, id int) ([]campaign.StepCount, error) {
	rows, err := s.queries.StepsInSlice(ctx, int32ptr(id))
	out := make([]campaign.StepCount, len(rows))
	for i, r := range rows {
		out[i] = campaign.StepCount{Step: r.StepName, Members: r.Members}
	}
	return out, translate(err, "count the members of a slice")
}

func int32ptr(n int) *int32 {
	v := int32(n)
	return &v
}
