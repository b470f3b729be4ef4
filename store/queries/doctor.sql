-- name: DoctorPoints :one
-- Each member's points three times over: the member's row, the account's projection, the entries.
select count(*)::bigint from (
    select m.id from members m
      left join ledger_accounts a on a.asset = 'points' and a.kind = 'member' and a.owner = m.id
      left join (select account, sum(amount) as amount from ledger_entries group by account) e on e.account = a.id
     where m.points <> coalesce(a.balance, 0) or coalesce(a.balance, 0) <> coalesce(e.amount, 0)
) wrong;

-- name: DoctorPostings :one
select count(*)::bigint from (
    select posting from ledger_entries group by posting having sum(amount) <> 0
    union all
    select e.posting from ledger_entries e
     where not exists (select from ledger_postings p where p.id = e.posting)
        or not exists (select from ledger_accounts a where a.id = e.account)
    union all
    select p.id from ledger_postings p where not exists (select from ledger_entries e where e.posting = p.id)
) wrong;

-- name: DoctorGrants :one
-- A grant was booked if and only if it was granted.
select count(*)::bigint from (
    select g.key from grants g where g.state = 'granted' and not exists (select from ledger_postings p where p.key = g.key)
    union all
    select p.key from ledger_postings p
     where p.kind = 'grant' and not exists (select from grants g where g.key = p.key and g.state = 'granted')
) wrong;

-- name: DoctorStock :many
select s.campaign, s.offer, s.taken, s.stock, s.held,
       (select count(*) from offer_reservations r where r.campaign = s.campaign and r.name = s.offer and r.held_until is not null)::bigint as holding,
       (select count(*) from offers o where o.campaign = s.campaign and o.offer = s.offer
           and (o.state = 'taken' and not o.restocked or o.state = 'open' and o.order_id is not null))::bigint as counted
  from offer_stock s
 where s.taken <> (select count(*) from offers o where o.campaign = s.campaign and o.offer = s.offer
           and (o.state = 'taken' and not o.restocked or o.state = 'open' and o.order_id is not null))
    or s.held <> (select count(*) from offer_reservations r where r.campaign = s.campaign and r.name = s.offer and r.held_until is not null)
 order by s.campaign, s.offer limit 20;

-- name: DoctorBudgets :many
-- What was used of a budget is what was granted, what is left of it is what its limit leaves,
-- and each of its accounts holds the sum of its entries.
with sums as (
    select e.account, sum(e.amount) as amount from ledger_accounts a join ledger_entries e on e.account = a.id where a.budget is not null group by e.account
), wrongs as (
    select a.budget, count(*) as accounts from ledger_accounts a left join sums s on s.account = a.id
     where a.budget is not null and a.balance <> coalesce(s.amount, 0) group by a.budget
)
select w.campaign, w.reward, w.day, w.used, w.granted, w.available, w.wrong from (
    select b.campaign, b.reward, b.day, v.used, v.available,
           (select coalesce(sum(g.worth), 0) from grants g
             where g.campaign = b.campaign and g.reward = b.reward and g.state = 'granted'
               and (b.day = '' or g.at >= b.from_at and g.at < b.until_at))::bigint as granted,
           b.cap - b.kept as cap,
           coalesce(x.accounts, 0)::bigint as wrong
      from budgets b join budget_balances v on v.id = b.id left join wrongs x on x.budget = b.id
) w
 where w.used <> w.granted or w.available <> greatest(0, w.cap - w.granted) or w.wrong > 0
 order by w.campaign, w.reward, w.day limit 20;

-- name: DoctorRedemptions :one
-- What members have reserved stands in their accounts, and what was redeemed is what was captured.
with sums as (select account, sum(amount) as amount from ledger_entries group by account)
select ((select count(*) from (
            select coalesce(a.owner, r.member) as member from (select * from ledger_accounts where kind = 'reserved') a
              full join (select member, sum(points) as points from redemptions where state = 'reserved' group by member) r on r.member = a.owner
              left join sums e on e.account = a.id
             where coalesce(a.balance, 0) <> coalesce(r.points, 0) or coalesce(a.balance, 0) <> coalesce(e.amount, 0)) members)
        + (select count(*) from (
            select coalesce((select sum(e.amount) from sums e join ledger_accounts a on a.id = e.account where a.kind = 'redeemed' and a.asset = 'points'), 0) as booked,
                   coalesce((select sum(r.points) from redemptions r where r.state = 'captured'), 0) as captured) totals
            where booked <> captured))::bigint as wrong;

-- name: DoctorRules :one
-- What the rules of points gave and took back was posted once, is what days and members sum up,
-- and gives them their levels.
with sums as (select campaign, member, sum(case when reversed_by is null then points else 0 end)::bigint as points from point_gains group by campaign, member)
select ((select count(*) from point_gains g
          where (g.points > 0) <> exists (select from ledger_postings p where p.key = 'points/' || g.campaign || '/' || g.rule || '/' || g.event)
             or (g.taken > 0) <> exists (select from ledger_postings p where p.key = 'points/' || g.campaign || '/' || g.rule || '/' || g.event || '/reverse'))
      + (select count(*) from ledger_postings p where p.kind = 'earn' and not exists (select from point_gains g where p.key = 'points/' || g.campaign || '/' || g.rule || '/' || g.event))
      + (select count(*) from sums s full join point_members p on p.campaign = s.campaign and p.member = s.member where coalesce(s.points, 0) <> coalesce(p.earned, 0))
      + (select count(*) from (
            select coalesce(d.points, 0) as kept, coalesce(g.points, 0) as given
              from point_days d
              full join (select campaign, member, rule, day, sum(case when reversed_by is null then points else 0 end) as points from point_gains group by campaign, member, rule, day) g
                on g.campaign = d.campaign and g.member = d.member and g.rule = d.rule and g.day = d.day) days
          where kept <> given)
      + (select count(*) from point_members p join members m on m.id = p.member where p.level <> coalesce(m.levels ->> p.campaign, '')))::bigint as wrong;

-- name: DoctorBatches :one
-- What is left in a member's batches is hers and not more than she has, what expired of them is
-- what was posted, and the first end is the one that she remembers.
with kept as (select member, sum(remaining) as remaining, min(ends_at) filter (where remaining > 0) as first from point_batches group by member)
select ((select count(*) from members m left join kept k on k.member = m.id
          where coalesce(k.remaining, 0) > greatest(0, m.points) or m.points_end is distinct from k.first)
      + (select count(*) from (
            select coalesce((select sum(expired) from point_batches), 0) as kept,
                   coalesce((select sum(e.amount) from ledger_entries e join ledger_accounts a on a.id = e.account where a.asset = 'points' and a.kind = 'expired'), 0) as booked) totals
          where kept <> booked)
      + (select count(*) from point_batches b where not exists (select from ledger_postings p where p.key = b.key)))::bigint as wrong;

-- name: DoctorReviews :one
-- A review is open as long as its journey waits at its step; a person's decision was told
-- to the journey as an event.
select (count(*) filter (where r.state = 'open' and (j.status = 'done' or j.step <> r.step)))::bigint as forgotten,
       (count(*) filter (where r.decided_by <> '' and not exists (select from events e where e.id = '@banyan/review/' || r.id)))::bigint as untold
  from reviews r join journeys j on j.id = r.journey
 where r.kind = 'decision' and (r.state = 'open' or r.decided_by <> '');

-- name: DoctorTeams :one
-- A team counts its members, and of one that is formed each of them was told or is going to
-- be, but the one who came last and was answered at once.
select (count(*) filter (where t.joined <> (select count(*) from team_members m where m.team = t.id and m.left_at is null)))::bigint as miscounted,
       (count(*) filter (where t.state = 'formed' and exists (
           select from team_members m
            where m.team = t.id and m.left_at is null and m.number < t.came
              and not exists (select from events e where e.id = sqlc.arg(prefix)::text || t.id || '/' || m.journey)
              and not exists (select from intents i where i.kind = 'team' and i.journey = m.journey))))::bigint as untold
  from teams t;

-- name: DoctorIntents :one
-- That a whole campaign looks again may take its time, and lets everything else go first. What
-- is put aside is told by itself, and what was held for a pause waits since its campaign goes on.
select count(*)::bigint as waiting,
       (count(*) filter (where i.reason = '' and i.due_at < 'infinity'
           and i.since < clock_timestamp() - case i.kind when 'recheck' then interval '1 hour' else interval '1 minute' end))::bigint as stuck,
       greatest(0, coalesce(extract(epoch from clock_timestamp() - min(i.since) filter (where i.reason = '' and i.due_at < 'infinity')), 0))::float8 as oldest_seconds
  from (select kind, reason, due_at, case kind when 'points' then greatest(created_at, due_at) else created_at end as since from intents) i;

-- name: DoctorEffects :one
-- What a pause holds back is under way, however long the pause lasts.
select (count(*) filter (where e.state = 'claimed' and c.state <> 'paused' and e.claimed_at < clock_timestamp() - interval '1 hour'))::bigint as claimed,
       (count(*) filter (where e.state = 'claimed' and c.state = 'paused'))::bigint as held
  from effects e join journeys j on j.id = e.journey join campaigns c on c.name = j.campaign
 where e.state = 'claimed';

-- name: DoctorUnknown :many
-- Messages of which nobody will ever say whether they arrived: an answer was lost, and
-- the channel's provider does not take our key, or did not answer for a day.
select m.key, m.channel, m.journey, e.settled_at
  from effects e join messages m on m.key = e.key
 where e.kind = 'send' and e.state = 'unknown'
 order by e.settled_at, m.key limit sqlc.arg(most);

-- name: DoctorOverdue :many
-- Journeys under way that should have looked again five real minutes ago, on their
-- campaign's own clock, or that have to be told of the campaign's end, and for which no
-- poke is on its way. A paused campaign takes no turns, so nothing is late in it.
select j.id
  from journeys j join campaigns c on c.name = j.campaign
 where (j.slice is null and j.status = 'active'
        and (c.state in ('running', 'draining') and j.wait_until < case
                 when c.clock_factor = 1 then clock_timestamp() - interval '5 minutes'
                 else c.clock_start + (clock_timestamp() - interval '5 minutes' - c.clock_real) * c.clock_factor::double precision end
             or c.state = 'ended' and c.ended_at < clock_timestamp() - interval '5 minutes')
        or j.slice is not null and c.state <> 'paused'
        and (j.due_at < clock_timestamp() - interval '5 minutes'
             or j.status = 'active' and c.state = 'ended' and c.ended_at < clock_timestamp() - interval '5 minutes'))
   and not exists (select from intents i where i.kind in ('start', 'poke', 'recheck') and i.journey = j.id)
   and not exists (select from intents i where i.kind = 'slice' and i.slice = j.slice)
 order by j.id;

-- name: DoctorUnheard :many
-- Journeys that listen to an event which was routed five real minutes ago and which
-- they have not judged; those that are over until their horizon.
select j.id
  from journeys j join campaigns c on c.name = j.campaign join members m on m.id = j.member
 where m.event_seq > j.cursor and cardinality(j.listens) > 0
   and (j.status = 'active' and c.state <> 'paused'
        or j.status = 'done' and (j.wait_until is null or j.wait_until > case
            when c.clock_factor = 1 then clock_timestamp()
            else c.clock_start + (clock_timestamp() - c.clock_real) * c.clock_factor::double precision end))
   and exists (select from events e
                where e.member = j.member and e.seq > j.cursor and e.type = any(j.listens)
                  and e.stored_at < clock_timestamp() - interval '5 minutes'
                  and not exists (select from intents i where i.kind = 'event' and i.event = e.id))
   and not exists (select from intents i where i.kind in ('start', 'poke', 'recheck') and i.journey = j.id)
   and (j.slice is null or j.due_at is null or j.due_at > clock_timestamp())
 order by j.id;

-- name: DoctorUnderWay :many
-- Journeys that need a workflow of their own now: those under way, and those that are
-- over with a message that is still to go out. One whose start waits for the router will
-- have it.
select j.id, j.workflow_id
  from journeys j
 where j.id > sqlc.arg(after) and j.slice is null
   and (j.status = 'active' or j.id in (select e.journey from effects e where e.kind = 'send' and e.state = 'claimed'))
   and not exists (select from intents i where i.kind = 'start' and i.journey = j.id)
 order by j.id limit sqlc.arg(most);

-- name: DoctorSlices :many
-- Slices with somebody under way or a message to go out. One that is about to be woken
-- will have a workflow.
select s.id, s.campaign, s.journey, s.workflow_id
  from slices s
 where (exists (select from journeys j where j.slice = s.id and (j.status = 'active' or j.due_at is not null))
        or exists (select from messages m where m.slice = s.id and m.due_at is not null))
   and not exists (select from intents i where i.kind = 'slice' and i.slice = s.id)
 order by s.id;

-- name: DoctorSliceClaims :many
-- Slices with a message that was claimed ten minutes ago, is due for as long or not due
-- at all, and has not been settled.
select m.slice::int as slice, count(*)::bigint as messages
  from effects e join messages m on m.key = e.key join campaigns c on c.name = m.campaign
 where e.kind = 'send' and e.state = 'claimed' and e.claimed_at < clock_timestamp() - interval '10 minutes' and c.state <> 'paused'
   and m.slice is not null and (m.due_at is null or m.due_at < clock_timestamp() - interval '10 minutes')
   and not exists (select from intents i where i.kind = 'slice' and i.slice = m.slice)
 group by m.slice order by m.slice;

-- name: SendSliceNow :exec
-- Makes the messages of a slice due that were claimed and that nothing makes due.
update messages m set due_at = clock_timestamp(), via = coalesce(nullif(m.via, ''), m.bodies -> 0 ->> 'channel', '')
  from effects e
 where e.key = m.key and e.kind = 'send' and e.state = 'claimed' and m.slice = sqlc.arg(slice)::int
   and m.state in ('claimed', 'unknown') and (m.due_at is null or m.due_at < clock_timestamp());

-- name: DoctorClaims :many
-- Journeys with a message that was claimed ten minutes ago and has not been settled. A
-- pause holds messages back, so those of a paused campaign are left out.
select j.id, j.workflow_id, min(e.claimed_at)::timestamptz as since
  from effects e join journeys j on j.id = e.journey join campaigns c on c.name = j.campaign
 where e.kind = 'send' and e.state = 'claimed' and e.claimed_at < clock_timestamp() - interval '10 minutes' and c.state <> 'paused'
   and j.slice is null
 group by j.id, j.workflow_id order by j.id;

-- name: DoctorKnown :many
select workflow_id from journeys where workflow_id = any(sqlc.arg(ids)::text[]) and slice is null
union all
select workflow_id from slices where workflow_id = any(sqlc.arg(ids)::text[]);

-- name: DoctorPostponed :many
-- The router puts nothing off for longer than eight minutes, but for what waits for a paused
-- campaign to give points for it.
select i.id, i.kind from intents i left join campaigns c on c.name = i.campaign
 where i.due_at > clock_timestamp() + interval '10 minutes' and (i.kind <> 'points' or c.state is distinct from 'paused') order by i.id;

-- name: DoctorAside :many
select id, kind, coalesce(member, '')::text as member, coalesce(event, '')::text as event, tries, reason, due_at
  from intents where reason <> '' order by id;

-- name: RetryIntents :exec
update intents set due_at = clock_timestamp(), tries = 0, reason = '' where id = any(sqlc.arg(ids)::bigint[]);

-- name: HastenIntents :exec
update intents set due_at = clock_timestamp() where id = any(sqlc.arg(ids)::bigint[]);

-- name: PokeOnce :many
-- A poke for each of these journeys that has a workflow of its own and none on its way.
insert into intents (kind, campaign, journey)
select 'poke', j.campaign, j.id from journeys j
 where j.id = any(sqlc.arg(ids)::bigint[]) and j.slice is null
   and not exists (select from intents i where i.kind in ('start', 'poke', 'recheck') and i.journey = j.id)
returning journey;

-- name: SlicesOfJourneys :many
select j.id, j.slice::int as slice from journeys j where j.id = any(sqlc.arg(ids)::bigint[]) and j.slice is not null;

-- name: RestartJourney :one
-- What a journey's workflow must know to go on where the journey stands.
select j.id, j.campaign, j.version, j.journey, j.member, j.workflow_id, j.turn,
       (j.status = 'active' or exists (select from effects e where e.journey = j.id and e.kind = 'send' and e.state = 'claimed'))::boolean as needed,
       (exists (select from intents i where i.kind = 'start' and i.journey = j.id))::boolean as starting
  from journeys j where j.id = $1 and j.slice is null;

-- name: RestartMessages :many
-- The journey's messages that are still to go out, in the order in which they were decided.
-- One that may have arrived is asked about at the channel that may have taken it.
select m.key, m.name, (case when m.state = 'unknown' then m.channel else coalesce(m.bodies -> 0 ->> 'channel', '') end)::text as channel
  from effects e join messages m on m.key = e.key
 where e.journey = $1 and e.kind = 'send' and e.state = 'claimed'
 order by e.turn, e.claimed_at, m.key;

-- name: DoctorSequences :one
-- The number of a member's last event is the greatest there is.
select count(*)::bigint from members m
 where m.event_seq <> coalesce((select max(seq) from events e where e.member = m.id), 0);

-- name: ReconcileMessage :execrows
-- What somebody has found out of a message that may or may not have arrived.
with effect as (
    update effects set state = case when sqlc.arg(arrived)::boolean then 'settled' else 'failed' end, settled_at = clock_timestamp()
     where key = sqlc.arg(key)::text and kind = 'send' and state = 'unknown'
    returning key
)
update messages m
   set state = case when sqlc.arg(arrived)::boolean then 'sent' else 'failed' end,
       sent_at = case when sqlc.arg(arrived)::boolean then clock_timestamp() end
  from effect e where m.key = e.key;
