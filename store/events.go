package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

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

// planOnceSQL holds for this transaction alone. Every look-up of the two statements is by
// a key, however many events there are, so one plan made once is the right one always:
// planning anew for every event would cost several times what storing it does. The
// other ways to join are ruled out because a plan that was made while the tables were
// small must not still read them whole when they have grown.
const planOnceSQL = `
select set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true),
       set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`

// lockMembersSQL makes members that nobody has told us of yet and locks all the others
// in the order of their ids, so that two batches never wait for each other in a ring.
// "do update … where false" locks a row without writing it. The first thing that is
// known of a new member is an event, so she joined when it happened.
const lockMembersSQL = `
insert into members as m (id, joined_at, source)
select id, joined_at, 'event' from unnest($1::text[], $2::timestamptz[]) as i (id, joined_at)
on conflict (id) do update set last_stored = m.last_stored where false`

// storeEventsSQL runs after the locks are held, with a snapshot of its own, so it sees
// every event of these members. The clock is read once, after the locks, and never
// goes back for a member: whoever locks the member later sees every event that was
// stored before her clock reading. An id that another member's event takes at the same
// moment falls to "do nothing", and leaves its number unused; rows go in by id, so
// that two such batches wait in one direction.
const storeEventsSQL = `
with fresh as (
	select i.*
	  from unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::text[], $6::timestamptz[], $7::text[])
	       with ordinality as i (id, member, whose, place, type, time, properties, by_id)
	 where not exists (select from events e where e.id = i.id)
), stored as (
	insert into events (id, member, seq, type, time, stored_at, properties)
	select f.id, f.member, m.event_seq + row_number() over (partition by f.whose order by f.place),
	       f.type, f.time, greatest(m.last_stored, (select clock_timestamp())), f.properties::jsonb
	  from fresh f join members m on m.id = f.member
	 order by f.by_id
	on conflict (id) do nothing
	returning id, member, seq, stored_at
), counted as (
	update members m set event_seq = s.seq, last_stored = s.stored_at
	  from (select member, max(seq) as seq, max(stored_at) as stored_at from stored group by member) s
	 where m.id = s.member
), queued as (
	insert into intents (kind, member, event) select 'event', member, id from stored order by seq
)
select id from stored`

// ingest is a batch as the two statements take it: in columns, members and events each
// once and in the order of their ids' bytes. Sorting here and not there is cheaper,
// because PostgreSQL would sort by the rules of a language.
type ingest struct {
	members []string
	joined  []time.Time

	ids, owners, types, properties []string
	whose, place                   []int32 // whose: the owner's number among members
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
		whose[i] = int32(len(in.members) - 1)
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
func (s *Store) StoreEvents(ctx context.Context, events []campaign.Event) ([]EventStatus, error) {
	if len(events) == 0 {
		return nil, nil
	}
	in := ingestOf(events)
	var stored map[string]bool
	err := retry(ctx, func() (err error) {
		var batch pgx.Batch
		batch.Queue(planOnceSQL)
		batch.Queue(lockMembersSQL, in.members, in.joined)
		batch.Queue(storeEventsSQL, in.ids, in.owners, in.whose, in.place, in.types, in.times, in.properties)
		stored, err = readStored(s.pool.SendBatch(ctx, &batch), len(events))
		return err
	})
	if err != nil {
		return nil, translate(err, "store events")
	}
	if len(stored) > 0 {
		s.Notify()
	}
	return statuses(events, stored), nil
}

func readStored(results pgx.BatchResults, size int) (stored map[string]bool, err error) {
	defer func() {
		// The implicit transaction commits when the batch is closed.
		if closing := results.Close(); err == nil {
			err = closing
		}
	}()
	for range 2 { // the plan and the locks answer nothing
		if _, err := results.Exec(); err != nil {
			return nil, err
		}
	}
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	stored = make(map[string]bool, size)
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		stored[id] = true
		return nil
	})
	return stored, err
}

func statuses(events []campaign.Event, stored map[string]bool) []EventStatus {
	out := make([]EventStatus, len(events))
	for i := range events {
		out[i] = EventDuplicate
		if stored[events[i].ID] {
			out[i] = EventAccepted
			delete(stored, events[i].ID) // the same id a second time in the batch is its own duplicate
		}
	}
	return out
}
