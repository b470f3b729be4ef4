-- name: IntentsToRoute :many
-- Inside the transaction that does the work: another router skips these, and a router
-- that dies gives them back.
select * from intents where kind in ('event', 'member', 'team', 'referral', 'points') and due_at <= statement_timestamp()
 order by due_at, id limit sqlc.arg(most) for update skip locked;

-- name: IntentsToDeliver :many
-- The same share from every lane (a kind in a campaign) in which something is due, and
-- the first of each lane before the second of any: a hundred thousand journeys that look
-- again after a pause hold up neither a start nor another campaign. Lanes are found by
-- skipping through the index from one to the next, so those behind a lane's first cost
-- nothing. The clock itself would not do: only what is stable ends the scan of an index.
with recursive heads as (
    (select h.kind, h.campaign, h.due_at from intents h where h.kind in ('start', 'poke', 'recheck', 'slice')
      order by h.kind, h.campaign, h.due_at, h.id limit 1)
    union all
    select n.kind, n.campaign, n.due_at
      from heads h cross join lateral (
           select i.kind, i.campaign, i.due_at from intents i
            where i.kind in ('start', 'poke', 'recheck', 'slice') and (i.kind, i.campaign) > (h.kind, h.campaign)
            order by i.kind, i.campaign, i.due_at, i.id limit 1) n
), lanes as (
    select kind, campaign, greatest(1, sqlc.arg(most)::int / count(*) over ()) as share
      from heads where due_at <= statement_timestamp() order by due_at limit sqlc.arg(most)
)
select d.id, d.kind, d.journey, d.slice, d.event
  from lanes l cross join lateral (
       select i.id, i.kind, i.journey, i.slice, i.event, i.due_at, i.campaign from intents i
        where i.kind in ('start', 'poke', 'recheck', 'slice') and i.kind = l.kind and i.campaign = l.campaign and i.due_at <= statement_timestamp()
        order by i.due_at, i.id limit l.share for update skip locked) d
 order by row_number() over (partition by d.kind, d.campaign order by d.due_at, d.id), d.due_at, d.id;

-- name: DropIntents :exec
delete from intents where id = any(sqlc.arg(ids)::bigint[]);

-- name: PostponeIntents :exec
update intents set due_at = clock_timestamp() + sqlc.arg(seconds)::double precision * interval '1 second', parted = true
 where id = any(sqlc.arg(ids)::bigint[]);

-- name: PutAside :exec
-- A minute, then twice as long from try to try, up to eight: what cannot be decided waits for
-- somebody to mend it.
update intents set tries = tries + 1, reason = sqlc.arg(reason)::text, due_at = clock_timestamp() + interval '1 minute' * power(2, least(tries, 3))
 where id = sqlc.arg(id);

-- name: IntentWork :many
-- What a start or a poke must know, in one question. An "exists" might be answered by
-- reading the whole backlog into a table of hashes.
select j.id, j.campaign, j.version, j.journey, j.member, j.workflow_id, j.turn, j.status, j.step_name, j.holdout, j.start_event,
       coalesce((select true from messages m where m.journey = j.id and m.state in ('claimed', 'unknown') limit 1), false)::boolean as unsettled
  from journeys j where j.id = any(sqlc.arg(ids)::bigint[]);

-- name: AddIntents :exec
insert into intents (kind, campaign, journey)
select sqlc.arg(kind)::text, j.campaign, j.id from unnest(sqlc.arg(journeys)::bigint[]) as i (id) join journeys j on j.id = i.id;

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
