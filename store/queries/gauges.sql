-- name: GaugeIntents :many
-- What was held for a pause waits for the router since its campaign goes on.
select kind, (count(*) filter (where reason = '' and due_at < 'infinity'))::bigint as waiting, (count(*) filter (where reason <> ''))::bigint as aside,
       greatest(0, coalesce(extract(epoch from clock_timestamp() - min(case kind when 'points' then greatest(created_at, due_at) else created_at end)
           filter (where reason = '' and due_at < 'infinity')), 0))::float8 as oldest_seconds
  from intents group by kind;

-- name: CountIntents :one
-- No further than the limit: the answer is needed often, and most of all when it is large.
select count(*)::bigint from (select from intents where due_at < 'infinity' limit sqlc.arg(most)) counted;

-- name: GaugeOffers :many
select campaign, offer, count(*)::bigint as open from offers where state = 'open' group by campaign, offer order by campaign, offer limit sqlc.arg(most);

-- name: GaugeBudgets :many
select b.campaign, b.reward, b.cap, b.available, b.kept, b.per_day, b.available_today from reward_budgets b
 where b.state <> 'ended' order by b.campaign, b.reward limit sqlc.arg(most);

-- name: GaugeStock :many
select s.campaign, s.offer, s.stock, (s.taken + s.held)::int as taken from offer_stock s join campaigns c on c.name = s.campaign
 where c.state <> 'ended' order by s.campaign, s.offer limit sqlc.arg(most);

-- name: GaugeJourneys :many
-- Overdue as the doctor sees it.
select j.campaign, count(*)::bigint as active,
       (count(*) filter (where case
            when j.slice is not null then c.state <> 'paused' and j.due_at < clock_timestamp() - interval '5 minutes'
            when c.state not in ('running', 'draining') then false
            when c.clock_factor = 1 then j.wait_until < clock_timestamp() - interval '5 minutes'
            else j.wait_until < c.clock_start + (clock_timestamp() - interval '5 minutes' - c.clock_real) * c.clock_factor::double precision
        end))::bigint as overdue
  from journeys j join campaigns c on c.name = j.campaign
 where j.status = 'active' group by j.campaign order by j.campaign limit sqlc.arg(most);

-- name: GaugeMessages :one
select (count(*) filter (where e.state = 'claimed' and c.state <> 'paused'))::bigint as claimed,
       (count(*) filter (where e.state = 'unknown'))::bigint as unknown,
       coalesce(extract(epoch from clock_timestamp() - min(e.claimed_at) filter (where e.state = 'claimed' and c.state <> 'paused')), 0)::float8 as oldest_seconds
  from effects e join journeys j on j.id = e.journey join campaigns c on c.name = j.campaign
 where e.state in ('claimed', 'unknown');

-- name: GaugeRedemptions :one
select count(*)::bigint as reserved, coalesce(sum(points), 0)::bigint as points from redemptions where state = 'reserved';
