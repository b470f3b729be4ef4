package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/banyanhq/banyan/campaign"
)

// EventStatus says what became of an event that was handed in.
type EventStatus string

// What becomes of an event.
const (
	EventAccepted  EventStatus = "accepted"
	EventDuplicate EventStatus = "duplicate" // its id was stored before; nothing changed
)

// The statements of ingestion are written here and not in queries/, because they
// travel together: one round trip, one implicit transaction, whatever the batch size.

// planOnceSQL holds for this transaction alone. Every look-up of the statements is by
// a key, however many events there are, so one plan made once is the right one always:
// planning anew for every event would cost several times what storing it does. The
// other ways to join are ruled out, and to read a row is called dear, because a plan that
// was made while the tables were small must not still read them whole when they have
// grown.
const planOnceSQL = `
select set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true),
       set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
       set_config('cpu_tuple_cost', '1', true)`

// makeMembersSQL makes members that nobody has told us of yet. The first thing that is
// known of such a member is an event, so she joined when it happened.
const makeMembersSQL = `
insert into members (id, joined_at, source)
select id, joined_at, 'event' from unnest($1::text[], $2::timestamptz[]) as i (id, joined_at)
 where not exists (select from members m where m.id = i.id)
on conflict (id) do nothing`

// storeEventsSQL stores events, and answers which were new. It locks their members in the
// order of their ids, so that two batches never wait for each other in a ring.
const storeEventsSQL = heldMembersSQL + storeHeldEventsSQL

// storeFreeEventsSQL leaves out the events of members whom somebody else holds, and
// answers which members these are.
const storeFreeEventsSQL = heldMembersSQL + ` skip locked` + storeHeldEventsSQL

const heldMembersSQL = `
with held as materialized (
	select array_agg(coalesce(m.event_seq, -1) order by i.whose) as seqs,
	       array_agg(coalesce(m.last_stored, 'epoch') order by i.whose) as lasts
	  from unnest($8::text[]) with ordinality as i (id, whose)
	  left join lateral (
	       select event_seq, last_stored from members where id = i.id for no key update`

// The numbers start from the members as they were locked, which is their last state
// whatever the statement's snapshot. The clock is read once, after the locks, and never
// goes back for a member: whoever locks the member later sees every event that was
// stored before her clock reading. That an id is new is decided by the unique index;
// looking first only spares the numbers of duplicates. An id that another member's
// event takes at the same moment falls to "do nothing" and leaves its number unused;
// rows go in by id, so that two such batches wait in one direction. The intents of a
// member stand together: routed at once, they leave her journey one poke.
const storeHeldEventsSQL = `
	  ) m on true
), began as materialized (
	select seqs, lasts, clock_timestamp() as now from held
), fresh as (
	select i.*
	  from unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::text[], $6::timestamptz[], $7::text[])
	       with ordinality as i (id, member, whose, place, type, time, properties, by_id)
	 where (select seqs from began)[i.whose] >= 0
	   and not exists (select from events e where e.id = i.id)
), stored as (
	insert into events (id, member, seq, type, time, stored_at, properties)
	select f.id, f.member, (select seqs from began)[f.whose] + row_number() over (partition by f.whose order by f.place),
	       f.type, f.time, greatest((select lasts from began)[f.whose], (select now from began)), f.properties::jsonb
	  from fresh f
	 order by f.by_id
	on conflict (id) do nothing
	returning id, member, seq, stored_at
), counted as (
	update members m set event_seq = s.seq, last_stored = s.stored_at
	  from (select member, max(seq) as seq, max(stored_at) as stored_at from stored group by member) s
	 where m.id = s.member
), queued as (
	insert into intents (kind, member, event) select 'event', member, id from stored order by member collate "C", seq
)
select array(select id from stored),
       array(select whose::int from began, unnest(began.seqs) with ordinality as u (seq, whose) where seq < 0)`

// ingest is a batch as the statements take it: in columns, members and events each
// once and in the order of their ids' bytes. Sorting here and not there is cheaper,
// because PostgreSQL would sort by the rules of a language.
type ingest struct {
	members []string
	joined  []time.Time

	ids, owners, types, properties []string
	whose, place                   []int32 // whose: the owner's number among members, from 1
	times                          []time.Time
}

func ingestOf(events []campaign.Event) *ingest {
	var in ingest
	byMember, byID := make([]int, len(events)), make([]int, len(events))
	for i := range events {
		byMember[i], byID[i] = i, i
	}
	slices.SortFunc(byMember, func(a, b int) int {
		return cmp.Or(cmp.Compare(events[a].Member, events[b].Member), events[a].Time.Compare(events[b].Time))
	})
	whose := make([]int32, len(events))
	for _, i := range byMember {
		e := &events[i]
		if n := len(in.members); n == 0 || in.members[n-1] != e.Member {
			in.members, in.joined = append(in.members, e.Member), append(in.joined, e.Time)
		}
		whose[i] = int32(len(in.members))
	}
	slices.SortFunc(byID, func(a, b int) int { return cmp.Or(cmp.Compare(events[a].ID, events[b].ID), cmp.Compare(a, b)) })
	for _, i := range byID {
		e := &events[i]
		if n := len(in.ids); n > 0 && in.ids[n-1] == e.ID {
			continue // of two equal ids in a batch the first counts
		}
		properties := "{}"
		if len(e.Properties) > 0 {
			properties = string(e.Properties)
		}
		in.ids, in.owners, in.types = append(in.ids, e.ID), append(in.owners, e.Member), append(in.types, e.Type)
		in.properties, in.times = append(in.properties, properties), append(in.times, e.Time)
		in.whose, in.place = append(in.whose, whose[i]), append(in.place, int32(i))
	}
	return &in
}

// StoreEvents stores events in one transaction: all of them or none. It answers for
// each whether it was new. An event numbers its member's sequence and leaves an intent
// for the router; events of one member keep the order in which they stand here.
//
// A single event shares its transaction with others that come at the same time, see
// ingestion; what is wrong with one of them is no matter of the others'.
func (s *Store) StoreEvents(ctx context.Context, events []campaign.Event) ([]EventStatus, error) {
	switch len(events) {
	case 0:
		return nil, nil
	case 1:
		status, err := s.ingestion.store(ctx, events[0])
		if err != nil {
			return nil, err
		}
		return []EventStatus{status}, nil
	}
	stored, _, err := s.ingest(ctx, events, storeEventsSQL)
	if err != nil {
		return nil, err
	}
	return statuses(events, stored), nil
}

// ingest stores events in one transaction. It answers the ids that were new, and those
// that were left out because somebody else holds their members.
func (s *Store) ingest(ctx context.Context, events []campaign.Event, sql string) (stored, left map[string]bool, err error) {
	in := ingestOf(events)
	var ids []string
	var held []int32
	err = retry(ctx, func() (err error) {
		var batch pgx.Batch
		batch.Queue(planOnceSQL)
		batch.Queue(makeMembersSQL, in.members, in.joined)
		batch.Queue(sql, in.ids, in.owners, in.whose, in.place, in.types, in.times, in.properties, in.members)
		ids, held, err = readStored(s.pool.SendBatch(ctx, &batch))
		return err
	})
	if err != nil {
		return nil, nil, refused(err)
	}
	stored = make(map[string]bool, len(ids))
	for _, id := range ids {
		stored[id] = true
	}
	if len(stored) > 0 {
		s.Notify()
	}
	return stored, in.of(held), nil
}

// refused tells a caller of properties that PostgreSQL cannot keep (a number too large, a
// zero character) that they are the fault. Its own message says which, without the value.
func refused(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && strings.HasPrefix(pg.Code, pgDataException) {
		return campaign.Errorf(campaign.CodeInvalid, "an event's id, member or properties cannot be stored (%s): "+
			"change that value; nothing of this request was stored", pg.Message)
	}
	return translate(err, "store events")
}

// of lists the events of the members with these numbers.
func (in *ingest) of(members []int32) map[string]bool {
	if len(members) == 0 {
		return nil
	}
	ids := make(map[string]bool)
	for i, whose := range in.whose {
		if slices.Contains(members, whose) {
			ids[in.ids[i]] = true
		}
	}
	return ids
}

func readStored(results pgx.BatchResults) (ids []string, held []int32, err error) {
	defer func() {
		// The implicit transaction commits when the batch is closed.
		if closing := results.Close(); err == nil {
			err = closing
		}
	}()
	for range 2 { // the plan and the members answer nothing
		if _, err := results.Exec(); err != nil {
			return nil, nil, err
		}
	}
	err = results.QueryRow().Scan(&ids, &held)
	return ids, held, err
}

// statuses says what became of each event. An id that stands here twice was new once, so
// it is taken from those stored.
func statuses(events []campaign.Event, stored map[string]bool) []EventStatus {
	out := make([]EventStatus, len(events))
	for i := range events {
		out[i] = statusOf(events[i].ID, stored)
	}
	return out
}

func statusOf(id string, stored map[string]bool) EventStatus {
	if !stored[id] {
		return EventDuplicate
	}
	delete(stored, id)
	return EventAccepted
}
