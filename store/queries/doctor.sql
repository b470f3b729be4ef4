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
select s.campaign, s.offer, s.taken, s.stock,
       (select count(*) from offers o where o.campaign = s.campaign and o.offer = s.offer and o.state = 'taken')::bigint as counted
  from offer_stock s
 where s.taken <> (select count(*) from offers o where o.campaign = s.campaign and o.offer = s.offer and o.state = 'taken')
 order by s.campaign, s.offer limit 20;

-- name: DoctorBudgets :many
select b.campaign, b.reward, b.used, coalesce(g.points, 0)::bigint as granted
  from budgets b
  left join (select campaign, reward, sum(points) as points from grants where state = 'granted' group by campaign, reward) g
         on g.campaign = b.campaign and g.reward = b.reward
 where b.used <> coalesce(g.points, 0)
 order by b.campaign, b.reward limit 20;

-- name: DoctorIntents :one
select count(*)::bigint as waiting,
       (count(*) filter (where created_at < clock_timestamp() - interval '1 minute'))::bigint as stuck,
       coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8 as oldest_seconds
  from intents;

-- name: DoctorEffects :one
select (count(*) filter (where state = 'claimed' and claimed_at < clock_timestamp() - interval '1 hour'))::bigint as claimed,
       (count(*) filter (where state = 'unknown'))::bigint as unknown
  from effects where state in ('claimed', 'unknown');

-- name: DoctorOverdue :one
-- Journeys whose moment has passed by five real minutes and that nobody has turned.
select count(*)::bigint
  from journeys j join campaigns c on c.name = j.campaign
 where j.status = 'active' and c.state in ('running', 'draining') and c.clock_factor = 1
   and j.wait_until < clock_timestamp() - interval '5 minutes';

-- name: DoctorSequences :one
-- The number of a member's last event is the greatest there is.
select count(*)::bigint from members m
 where m.event_seq <> coalesce((select max(seq) from events e where e.member = m.id), 0);
