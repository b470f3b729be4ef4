-- name: GetRedemption :one
select * from redemptions where id = $1;

-- name: RedemptionMember :one
select member from redemptions where id = $1;

-- name: ReserveRedemption :exec
insert into redemptions (id, member, points, order_id, span, state, reserved_at, expires_at)
values (sqlc.arg(id), sqlc.arg(member), sqlc.arg(points), sqlc.arg(order_id), make_interval(secs => sqlc.arg(seconds)::double precision), 'reserved',
        sqlc.arg(now)::timestamptz, sqlc.arg(now)::timestamptz + make_interval(secs => sqlc.arg(seconds)::double precision));

-- name: CloseRedemption :exec
update redemptions set state = sqlc.arg(state), closed_at = sqlc.arg(now)::timestamptz where id = sqlc.arg(id) and state = 'reserved';

-- name: MovePoints :exec
select move_points(sqlc.arg(key), sqlc.arg(kind), sqlc.arg(member), sqlc.arg(from_kind), sqlc.arg(to_kind), sqlc.arg(points));

-- name: RedemptionClock :one
select clock_timestamp()::timestamptz as now;

-- name: ListRedemptions :many
select x.* from redemptions x
 where x.member = sqlc.arg(member)
   and (sqlc.arg(after)::text = '' or (x.reserved_at, x.id) < (select r.reserved_at, r.id from redemptions r where r.id = sqlc.arg(after)::text))
 order by x.reserved_at desc, x.id desc limit sqlc.arg(most);

-- name: OverdueRedemptions :many
select member from redemptions where state = 'reserved' and expires_at < clock_timestamp() order by expires_at limit sqlc.arg(most);

-- name: OverdueOf :many
select * from redemptions
 where member = any(sqlc.arg(members)::text[]) and state = 'reserved' and expires_at < sqlc.arg(now)::timestamptz order by expires_at, id limit sqlc.arg(most);

-- name: MemberPoints :one
select points from members where id = $1;
