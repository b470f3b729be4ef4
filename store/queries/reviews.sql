-- name: ListReviews :many
-- Who is asked changes with the campaign's clock, whether a turn has run or not.
select r.*, j.journey as journey_name, j.version, c.clock_factor, c.clock_real, c.clock_start, clock_timestamp()::timestamptz as now
  from reviews r join journeys j on j.id = r.journey join campaigns c on c.name = r.campaign
 where r.id > sqlc.arg(after)
   and (sqlc.arg(state)::text = '' or r.state = sqlc.arg(state)::text)
   and (sqlc.arg(campaign)::text = '' or r.campaign = sqlc.arg(campaign)::text)
   and (sqlc.arg(kind)::text = '' or r.kind = sqlc.arg(kind)::text)
   and (sqlc.arg(role)::text = '' or sqlc.arg(role)::text =
        case when r.escalates_at <= case when c.clock_factor > 1
                  then c.clock_start + (clock_timestamp() - c.clock_real) * c.clock_factor::double precision
                  else clock_timestamp() end
             then r.backup else r.role end)
 order by r.id limit sqlc.arg(most);

-- name: ListOpenReviews :many
-- As ListReviews, by the index of those that are open: they are few, the others are not.
select r.*, j.journey as journey_name, j.version, c.clock_factor, c.clock_real, c.clock_start, clock_timestamp()::timestamptz as now
  from reviews r join journeys j on j.id = r.journey join campaigns c on c.name = r.campaign
 where r.id > sqlc.arg(after)
   and r.state = 'open'
   and (sqlc.arg(campaign)::text = '' or r.campaign = sqlc.arg(campaign)::text)
   and (sqlc.arg(kind)::text = '' or r.kind = sqlc.arg(kind)::text)
   and (sqlc.arg(role)::text = '' or sqlc.arg(role)::text =
        case when r.escalates_at <= case when c.clock_factor > 1
                  then c.clock_start + (clock_timestamp() - c.clock_real) * c.clock_factor::double precision
                  else clock_timestamp() end
             then r.backup else r.role end)
 order by r.id limit sqlc.arg(most);

-- name: GetReview :one
select r.*, j.journey as journey_name, j.version, c.clock_factor, c.clock_real, c.clock_start, clock_timestamp()::timestamptz as now
  from reviews r join journeys j on j.id = r.journey join campaigns c on c.name = r.campaign
 where r.id = $1;

-- name: LockReview :exec
select from reviews where id = $1 for update;

-- name: ReviewMember :one
select member from reviews where id = $1;

-- name: ClaimReview :exec
update reviews set claimed_by = sqlc.arg(who), claimed_at = sqlc.narg(at) where id = sqlc.arg(id);

-- name: DecideReview :exec
update reviews set state = sqlc.arg(state), decided_by = sqlc.arg(who), reason = sqlc.arg(reason), decided_at = sqlc.arg(at)
 where id = sqlc.arg(id);

-- name: StoreDecision :exec
-- Under the lock of the member's row, like every event: it takes the next number of her
-- sequence, and her clock never goes back. The intent lets the router wake the journey.
with stored as (
    insert into events (id, member, seq, type, time, stored_at, properties)
    select sqlc.arg(event)::text, m.id, m.event_seq + 1, sqlc.arg(type)::text, sqlc.arg(at)::timestamptz, sqlc.arg(stored_at)::timestamptz, sqlc.arg(properties)::jsonb
      from members m where m.id = sqlc.arg(member)::text
    returning id, member, seq, stored_at
), counted as (
    update members m set event_seq = s.seq, last_stored = s.stored_at from stored s where m.id = s.member
)
insert into intents (kind, member, event) select 'event', member, id from stored;
