-- name: OfferMember :one
select member from offers where id = $1;

-- name: OfferToReserve :one
-- Under the member's lock. How often she has taken the offer, and may take it by the version
-- that opened it; 0: any number.
select o.*, c.state as campaign_state, c.clock_factor, c.clock_real, c.clock_start, clock_timestamp()::timestamptz as now,
       coalesce((select (x ->> 'per_member')::int from campaign_versions v cross join jsonb_array_elements(v.definition -> 'offers') x
                  where v.campaign = o.campaign and v.version = o.version and x ->> 'name' = o.offer), 0)::int as per_member,
       (select count(*) from offers t where t.member = o.member and t.campaign = o.campaign and t.offer = o.offer
           and (t.state = 'taken' and not t.restocked or t.state = 'open' and t.order_id is not null))::int as times_taken
  from offers o join campaigns c on c.name = o.campaign where o.id = $1;

-- name: LastReservation :one
select * from offer_reservations where offer = $1 and order_id = $2 order by id desc limit 1;

-- name: ReservingOrders :one
select count(distinct order_id)::int from offer_reservations where offer = $1;

-- name: OtherReservations :one
-- Offers of the same name that the member has reserved besides.
select count(distinct offer)::int from offer_reservations
 where member = sqlc.arg(member) and campaign = sqlc.arg(campaign) and name = sqlc.arg(name) and state = 'reserved'
   and expires_at >= sqlc.arg(now)::timestamptz and offer <> sqlc.arg(offer);

-- name: AddReservation :one
insert into offer_reservations (offer, campaign, name, member, order_id, state, reserved_at, expires_at, held_until)
values (sqlc.arg(offer), sqlc.arg(campaign), sqlc.arg(name), sqlc.arg(member), sqlc.arg(order_id), 'reserved', sqlc.arg(now)::timestamptz,
        sqlc.arg(expires_at)::timestamptz, case when sqlc.arg(holds)::boolean then sqlc.arg(expires_at)::timestamptz end)
returning *;

-- name: ReleaseReservation :one
update offer_reservations
   set state = sqlc.arg(state), closed_at = sqlc.arg(at)::timestamptz, held_until = case when held_until is null then null else to_timestamp(0) end
 where id = sqlc.arg(id) and state = 'reserved'
returning *;

-- name: TakeOverPiece :execrows
-- The piece that another reservation of this offer holds, perhaps for longer than it may.
update offer_reservations
   set held_until = null,
       state = case when state = 'reserved' and expires_at < sqlc.arg(now)::timestamptz then 'expired' else state end,
       closed_at = case when state = 'reserved' and expires_at < sqlc.arg(now)::timestamptz then expires_at else closed_at end
 where offer = sqlc.arg(offer) and held_until is not null;

-- name: PassPiece :exec
-- The piece goes to the one that lasts longest.
update offer_reservations r set held_until = r.expires_at
 where r.id = (select x.id from offer_reservations x where x.offer = sqlc.arg(offer) and x.state = 'reserved'
                  and x.expires_at >= sqlc.arg(now)::timestamptz order by x.expires_at desc, x.id desc limit 1);

-- name: LeavePiece :exec
update offer_reservations set held_until = null where id = $1;

-- name: LockStock :one
select stock from offer_stock where campaign = $1 and offer = $2 for no key update;

-- name: HoldPiece :execrows
update offer_stock set held = held + 1 where campaign = $1 and offer = $2 and taken + held < stock;

-- name: GiveBackPieces :exec
-- What is held too long, under the lock of the stock's row.
with over as (
    select x.id from offer_reservations x
     where x.campaign = sqlc.arg(campaign) and x.name = sqlc.arg(name) and x.held_until < sqlc.arg(now)::timestamptz
     order by x.id for no key update
), back as (
    update offer_reservations r
       set held_until = null, state = case r.state when 'reserved' then 'expired' else r.state end, closed_at = coalesce(r.closed_at, r.expires_at)
      from over o where r.id = o.id
    returning r.id
)
update offer_stock s set held = s.held - (select count(*) from back)::int where s.campaign = sqlc.arg(campaign) and s.offer = sqlc.arg(name);

-- name: FreePiece :execrows
-- The piece that is held for this offer, under the lock of the stock's row.
update offer_reservations set held_until = null where offer = sqlc.arg(offer) and held_until >= sqlc.arg(now)::timestamptz;

-- name: TakeHeld :exec
update offer_stock set taken = taken + 1, held = held - 1 where campaign = $1 and offer = $2;

-- name: CaptureReservation :exec
-- Of an order that took the offer; it may have been told of late.
update offer_reservations r set state = 'captured', closed_at = sqlc.arg(now)::timestamptz
 where r.id = (select x.id from offer_reservations x where x.offer = sqlc.arg(offer) and x.order_id = sqlc.arg(order_id) order by x.id desc limit 1)
   and r.state in ('reserved', 'expired') and r.held_until is null;

-- name: CloseReservations :exec
-- Of an offer that is not open any more. What they hold is given back by whoever looks next.
update offer_reservations r
   set state = case when r.expires_at < sqlc.arg(now)::timestamptz then 'expired' else 'released' end,
       closed_at = least(r.expires_at, sqlc.arg(now)::timestamptz), held_until = case when r.held_until is null then null else to_timestamp(0) end
 where r.id in (select x.id from offer_reservations x where x.offer = sqlc.arg(offer) and x.state = 'reserved' order by x.id for no key update);

-- name: ExpireUnheld :exec
update offer_reservations r set state = 'expired', closed_at = r.expires_at
 where r.id in (select x.id from offer_reservations x
                 where x.campaign = sqlc.arg(campaign) and x.name = sqlc.arg(name) and x.state = 'reserved' and x.expires_at < sqlc.arg(now)::timestamptz
                 order by x.id for no key update);

-- name: OverdueReservations :many
-- Offers of which reservations are over, or pieces held too long.
with c as (
    select name, case clock_factor when 1 then clock_timestamp()
                      else clock_start + (clock_timestamp() - clock_real) * clock_factor::double precision end as now
      from campaigns
)
select r.campaign, r.name, max(c.now)::timestamptz as now
  from offer_reservations r join c on c.name = r.campaign
 where (r.state = 'reserved' and r.expires_at < c.now) or r.held_until < c.now
 group by r.campaign, r.name order by r.campaign, r.name limit sqlc.arg(most);

-- name: LiveReservations :many
select r.* from offer_reservations r where r.offer = $1 and r.state = 'reserved' order by r.id;

-- name: LiveReservationsOfMember :many
select r.* from offer_reservations r where r.member = $1 and r.state = 'reserved' order by r.id;
