-- name: GetSlice :one
select s.*, c.state from slices s join campaigns c on c.name = s.campaign where s.id = $1;

-- name: DueInSlice :many
-- Of a member with two journeys that are due the later one waits for the next page.
select j.id from (
    select d.id, d.due_at, row_number() over (partition by d.member order by d.due_at, d.id) as place
      from (select id, member, due_at from journeys
             where slice = sqlc.arg(slice) and due_at <= clock_timestamp() order by due_at limit sqlc.arg(most)) d
) j where j.place = 1 order by j.due_at, j.id;

-- name: LeftInSlice :many
select j.id from (
    select d.id, row_number() over (partition by d.member order by d.id) as place
      from (select id, member from journeys
             where slice = sqlc.arg(slice) and (status = 'active' or due_at <= clock_timestamp()) limit sqlc.arg(most)) d
) j where j.place = 1 order by j.id;

-- name: RestOfSlice :one
select (due.at is not null)::boolean as due,
       coalesce(extract(epoch from due.at - clock_timestamp()), 0)::double precision as seconds,
       (due.at is not null or exists (select from journeys j where j.slice = sqlc.arg(slice) and j.status = 'active'))::boolean as active,
       array(select distinct m.via from messages m where m.slice = sqlc.arg(slice) and m.due_at is not null order by m.via)::text[] as channels
  from (select min(d.due_at)::timestamptz as at from journeys d where d.slice = sqlc.arg(slice)) due;

-- name: StepsInSlice :many
select step_name, count(*)::bigint as members from journeys
 where slice = $1 and status = 'active' group by step_name order by members desc, step_name limit 20;

-- name: SlicesOf :many
select id from slices where campaign = $1;
