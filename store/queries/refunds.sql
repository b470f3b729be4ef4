-- name: HoldLimits :exec
-- As whoever takes stock holds them: a limit that is new counts what is taken.
select pg_advisory_xact_lock_shared(budgets_lock(sqlc.arg(campaign)));

-- name: RefundOffer :exec
-- Once: its order has gone back as a whole.
with back as (
    update offers set refunded_at = sqlc.arg(at)::timestamptz, restocked = sqlc.arg(restock)::boolean
     where id = sqlc.arg(id) and state = 'taken' and refunded_at is null
    returning campaign, offer, restocked
)
update offer_stock s set taken = s.taken - 1 from back b where b.restocked and s.campaign = b.campaign and s.offer = b.offer;

-- name: ReverseGoal :exec
update journeys set goal_refunded = sqlc.arg(minor), goal_reversed_at = sqlc.narg(at) where id = sqlc.arg(id) and goal_at is not null;

-- name: NoteOrderGrant :exec
insert into order_grants (grant_key, journey, order_id) values ($1, $2, $3);

-- name: OrderGrants :many
-- What an order led to in a journey, and how much of each was asked back so far.
select g.key, g.reward, g.member, g.version, g.worth, (g.points = 0)::boolean as piece,
       coalesce((select sum(c.points) from clawbacks c where c.grant_key = g.key), 0)::bigint as back
  from order_grants o join grants g on g.key = o.grant_key
 where o.journey = sqlc.arg(journey) and o.order_id = sqlc.arg(order_id) and g.state = 'granted' and g.reward = any(sqlc.arg(rewards)::text[])
 order by o.id;

-- name: ClawBackPoints :one
select claw_back_points(sqlc.arg(key), sqlc.arg(campaign), sqlc.arg(reward), sqlc.arg(member), sqlc.arg(points), sqlc.arg(in_full))::bigint as taken;

-- name: AddClawback :exec
insert into clawbacks (key, grant_key, campaign, version, reward, member, journey, order_id, refund, points, taken, at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: Owed :one
select coalesce(sum(points - taken), 0)::bigint as owed from clawbacks where member = $1;

-- name: ReportClawbacks :many
select version, reward, count(distinct grant_key)::bigint as grants, sum(taken)::bigint as points, sum(points - taken)::bigint as owed
  from clawbacks where campaign = $1 group by version, reward order by version, reward;

-- name: ReportHeld :many
select r.name, count(*)::bigint as held
  from offer_reservations r
 where r.campaign = sqlc.arg(campaign) and r.held_until >= sqlc.arg(now)::timestamptz group by r.name order by r.name;

-- name: DoctorClawbacks :one
-- Nobody has more taken back of a grant than it was, and what was taken of points is what was
-- booked. A coupon or a benefit is booked under a key of its own.
select ((select count(*) from (select c.grant_key from clawbacks c join grants g on g.key = c.grant_key
           group by c.grant_key, g.worth having sum(c.points) > g.worth) more)
        + (select count(*) from clawbacks c join grants g on g.key = c.grant_key and g.points > 0 left join ledger_postings p on p.key = c.key left join ledger_entries e on e.posting = p.id and e.amount > 0
            where coalesce(e.amount, 0) <> c.taken)
        + (select count(*) from ledger_postings p where p.kind = 'claw_back' and not exists (select from clawbacks c where c.key = p.key)))::bigint as wrong;
