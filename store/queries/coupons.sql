-- name: SetPool :exec
insert into coupon_pools as p (campaign, reward, asset, low_water)
values (sqlc.arg(campaign), sqlc.arg(reward), sqlc.arg(asset), sqlc.arg(low_water))
on conflict (campaign, reward) do update set low_water = excluded.low_water;

-- name: Pool :one
select * from coupon_pools where campaign = sqlc.arg(campaign) and reward = sqlc.arg(reward);

-- name: CountImported :exec
update coupon_pools set imported = imported + sqlc.arg(pieces) where id = sqlc.arg(id);

-- name: FillPool :exec
select fill_pool(sqlc.arg(pool), sqlc.arg(pieces));

-- name: PoolOf :one
-- What is left of a pool, by its accounts.
select p.imported, p.low_water,
       (select coalesce(sum(a.balance), 0) from ledger_accounts a where a.budget = p.id)::bigint as available
  from coupon_pools p where p.campaign = sqlc.arg(campaign) and p.reward = sqlc.arg(reward);

-- name: FindCoupon :one
-- One that nobody holds is nobody's business.
select c.id from coupons c where c.hash = any(sqlc.arg(hashes)::bytea[]) and c.state <> 'free' limit 1;

-- name: LockCoupon :one
select sqlc.embed(c), k.clock_factor, k.clock_real, k.clock_start, clock_timestamp()::timestamptz as now
  from coupons c join campaigns k on k.name = c.campaign
 where c.id = sqlc.arg(id) and c.state <> 'free' for update of c;

-- name: GetCoupon :one
select sqlc.embed(c), k.clock_factor, k.clock_real, k.clock_start, clock_timestamp()::timestamptz as now
  from coupons c join campaigns k on k.name = c.campaign
 where c.id = sqlc.arg(id) and c.state <> 'free';

-- name: ReserveCoupon :exec
update coupons set order_id = sqlc.arg(order_id)::text, span = make_interval(secs => sqlc.arg(seconds)::double precision), reserved_at = sqlc.arg(now)::timestamptz,
       held_until = sqlc.arg(now)::timestamptz + make_interval(secs => sqlc.arg(seconds)::double precision)
 where id = sqlc.arg(id);

-- name: ReleaseCoupon :exec
update coupons set order_id = null, span = null, reserved_at = null, held_until = null where id = sqlc.arg(id);

-- name: CloseCoupons :exec
select close_coupons(sqlc.arg(ids)::bigint[], sqlc.arg(state), sqlc.arg(order_id), sqlc.arg(at)::timestamptz);

-- name: MemberCoupons :many
select c.id, c.campaign, c.reward, c.state, c.code, c.sealed, c.key, c.value, c.currency, c.granted_at, c.ends_at, c.order_id, c.held_until, c.closed_at,
       k.clock_factor, k.clock_real, k.clock_start, clock_timestamp()::timestamptz as now
  from coupons c join campaigns k on k.name = c.campaign
 where c.member = sqlc.arg(member)::text order by c.granted_at desc, c.id desc limit 1000;

-- name: CouponsToExpire :many
-- Those that ended so long ago, on their campaigns' clocks, that no order which used them in
-- time is waited for any more.
select o.id from campaigns k
 cross join lateral (
       select c.id from coupons c
        where c.campaign = k.name and c.state = 'granted'
          and c.ends_at < case k.clock_factor when 1 then clock_timestamp()
                          else k.clock_start + (clock_timestamp() - k.clock_real) * k.clock_factor::double precision end - make_interval(secs => sqlc.arg(grace)::double precision)
          and (c.held_until is null or c.held_until < clock_timestamp())
        order by c.ends_at limit sqlc.arg(most)) o
 limit sqlc.arg(most);

-- name: LockCoupons :many
select id from coupons where id = any(sqlc.arg(ids)::bigint[]) and state = 'granted' and (held_until is null or held_until < clock_timestamp())
 order by id for update skip locked;

-- name: PlainCoupons :many
select id, campaign, reward, code from coupons where not sealed and id > sqlc.arg(after) order by id limit 500 for update;

-- name: HasPlainCoupons :one
select exists (select from coupons where not sealed);

-- name: VoidGrant :one
select void_grant(sqlc.arg(key), sqlc.arg(at)::timestamptz)::text as done;

-- name: ReportCoupons :many
select c.reward,
       (count(*) filter (where c.state = 'granted'))::bigint as open,
       (count(*) filter (where c.state = 'redeemed'))::bigint as redeemed,
       (count(*) filter (where c.state = 'expired'))::bigint as expired,
       (count(*) filter (where c.state = 'voided'))::bigint as voided
  from coupons c where c.campaign = sqlc.arg(campaign) and c.state <> 'free' group by c.reward order by c.reward;

-- name: ReportPools :many
select p.reward, p.imported, p.low_water,
       (select coalesce(sum(a.balance), 0) from ledger_accounts a where a.budget = p.id)::bigint as available,
       coalesce((select sum(e.amount) from ledger_accounts a join ledger_entries e on e.account = a.id
                  where a.asset = p.asset and a.kind = 'expired' and a.owner = ''), 0)::bigint as expired
  from coupon_pools p where p.campaign = sqlc.arg(campaign) order by p.reward;

-- name: GaugePools :many
select p.campaign, p.reward, p.imported, p.low_water,
       (select coalesce(sum(a.balance), 0) from ledger_accounts a where a.budget = p.id)::bigint as available
  from coupon_pools p join campaigns c on c.name = p.campaign
 where c.state <> 'ended' order by p.campaign, p.reward limit sqlc.arg(most);

-- name: DoctorCoupons :many
-- What members hold of a coupon stands in their accounts, and what left them in the others;
-- what is left of a pool are its free codes.
with sums as (select account, sum(amount) as amount from ledger_entries group by account)
select w.what, w.counted, w.booked from (
    select 'held ' || coalesce(a.asset, c.asset) as what, coalesce(c.n, 0)::bigint as counted, coalesce(a.n, 0)::bigint as booked
      from (select a.asset, a.owner, sum(coalesce(e.amount, 0)) as n from ledger_accounts a left join sums e on e.account = a.id
             where a.kind = 'member' and a.asset like 'coupon:%' group by a.asset, a.owner) a
      full join (select 'coupon:' || campaign || '/' || reward as asset, member, count(*) as n from coupons where state = 'granted' group by 1, 2) c
        on c.asset = a.asset and c.member = a.owner
    union all
    select k.kind || ' ' || k.asset, coalesce((select count(*) from coupons c where 'coupon:' || c.campaign || '/' || c.reward = k.asset and c.state = k.kind), 0)::bigint,
           coalesce(e.amount, 0)::bigint
      from ledger_accounts k left join sums e on e.account = k.id
     where k.asset like 'coupon:%' and k.kind in ('redeemed', 'voided')
    union all
    select 'left of ' || p.asset, (select count(*) from coupons c where c.campaign = p.campaign and c.reward = p.reward and c.state = 'free')::bigint,
           (select coalesce(sum(a.balance), 0) from ledger_accounts a where a.budget = p.id)::bigint
      from coupon_pools p
    union all
    select 'granted ' || g.campaign || '/' || g.reward, count(*)::bigint,
           (select count(*) from ledger_postings p where p.kind = 'grant' and p.key in (select x.key from grants x where x.campaign = g.campaign and x.reward = g.reward))::bigint
      from grants g where g.state = 'granted' and g.points = 0 group by g.campaign, g.reward
) w where w.counted <> w.booked order by w.what limit 20;

-- name: GrantMember :one
select member from grants where key = $1;
