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

// Of a member with two journeys that are due the later one waits for the next page. The
// statement's time, because no index serves a clock that goes on meanwhile.
const (
	dueInSliceSQL = `
select j.id from (
       select d.id, d.due_at, row_number() over (partition by d.member order by d.due_at, d.id) as place
         from (select id, member, due_at from journeys
                where slice = $1 and due_at <= statement_timestamp() order by due_at limit $2) d
       ) j where j.place = 1 order by j.due_at, j.id`

	leftInSliceSQL = `
select j.id from (
       select d.id, row_number() over (partition by d.member order by d.id) as place
         from (select id, member from journeys
                where slice = $1 and (status = 'active' or due_at <= statement_timestamp()) limit $2) d
       ) j where j.place = 1 order by j.id`

	restOfSliceSQL = waitingChannelsSQL + `
select extract(epoch from (select due_at from journeys where slice = $1 and due_at is not null order by due_at limit 1) - clock_timestamp())::double precision,
       $2 and exists (select from journeys where slice = $1 and status = 'active'),
       array(select via from waiting where via is not null)`
)

// DueInSlice lists up to most journeys of a slice that are due, the longest due first;
// when the campaign was ended at once, all that are under way. A member with two
// journeys is listed once: the turn of one may change what the other's must know.
func (s *Store) DueInSlice(ctx context.Context, in Slice, most int) (ids []int64, err error) {
	sql := dueInSliceSQL
	if in.State == StateEnded {
		sql = leftInSliceSQL
	}
	var id int64
	err = s.quick(ctx, func(r pgx.BatchResults) error {
		ids = nil
		return rows(r, func() error { ids = append(ids, id); return nil }, &id)
	}, sql, in.ID, most)
	return ids, translate(err, "list the members of a slice that are due")
}

// SliceRest is what is left to do in a slice.
type SliceRest struct {
	Wait     time.Duration // real span until somebody falls due; negative: nobody will
	Channels []string      // for which messages wait; none: every message is settled
	Active   bool          // somebody is under way; looked for only in an ended campaign
}

// RestOfSlice says what is left to do in a slice.
func (s *Store) RestOfSlice(ctx context.Context, of Slice) (rest SliceRest, err error) {
	var seconds *float64
	err = s.quick(ctx, func(r pgx.BatchResults) error {
		return r.QueryRow().Scan(&seconds, &rest.Active, &rest.Channels)
	}, restOfSliceSQL, of.ID, of.State == StateEnded)
	if err != nil {
		return SliceRest{}, translate(err, "look at a slice")
	}
	rest.Wait = -1
	if seconds != nil {
		rest.Wait, rest.Active = max(0, time.Duration(*seconds*float64(time.Second))), true
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
