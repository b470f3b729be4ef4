-- name: IntentsToRoute :many
-- Inside the transaction that does the work: another router skips these, and a router
-- that dies gives them back.
select * from intents where kind in ('event', 'member') and due_at <= statement_timestamp()
 order by due_at, id limit sqlc.arg(most) for update skip locked;

-- name: IntentsToDeliver :many
select * from intents where kind in ('start', 'poke', 'slice') and due_at <= statement_timestamp()
 order by due_at, id limit sqlc.arg(most) for update skip locked;

-- name: DropIntents :exec
delete from intents where id = any(sqlc.arg(ids)::bigint[]);

-- name: PostponeIntents :exec
update intents set due_at = clock_timestamp() + sqlc.arg(seconds)::double precision * interval '1 second'
 where id = any(sqlc.arg(ids)::bigint[]);

-- name: IntentWork :many
-- What a start or a poke must know, in one question. An "exists" might be answered by
-- reading the whole backlog into a table of hashes.
select j.id, j.campaign, j.version, j.journey, j.member, j.workflow_id, j.turn, j.status, j.step_name, j.holdout, j.start_event,
       coalesce((select true from messages m where m.journey = j.id and m.state in ('claimed', 'unknown') limit 1), false)::boolean as unsettled
  from journeys j where j.id = any(sqlc.arg(ids)::bigint[]);

-- name: AddIntents :exec
insert into intents (kind, journey) select sqlc.arg(kind)::text, unnest(sqlc.arg(journeys)::bigint[]);

-- name: EventsByID :many
select id, type, member, seq, time, stored_at, properties from events where id = any(sqlc.arg(ids)::text[]);

-- name: LockMembers :many
-- In the order of the ids' bytes, as events are stored: whoever locks several members
-- does it in that order, whatever language the database sorts by.
select * from members where id = any(sqlc.arg(ids)::text[]) order by id collate "C" for update;

-- name: OtherSliceIntents :many
-- One signal says what all of them say, and each was left after what it is about.
select id, slice from intents where kind = 'slice' and slice = any(sqlc.arg(slices)::int[]) for update skip locked;

-- name: SliceWork :many
select id, campaign, journey, workflow_id from slices where id = any(sqlc.arg(ids)::int[]);

-- name: AddSliceIntents :exec
insert into intents (kind, slice) select 'slice', unnest(sqlc.arg(slices)::int[]);

-- name: DueNow :exec
-- Under the lock of the members' rows, like everything that moves a journey.
update journeys set due_at = clock_timestamp() where id = any(sqlc.arg(ids)::bigint[]);

-- name: RunningCampaigns :many
select c.*, v.digest, clock_timestamp()::timestamptz as real_now
  from campaigns c join campaign_versions v on v.campaign = c.name and v.version = c.version
 where c.state in ('running', 'paused');

-- name: CampaignNow :one
select c.*, v.digest, clock_timestamp()::timestamptz as real_now
  from campaigns c join campaign_versions v on v.campaign = c.name and v.version = c.version
 where c.name = $1;
