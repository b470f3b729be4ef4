-- name: GetSlice :one
select s.*, c.state from slices s join campaigns c on c.name = s.campaign where s.id = $1;

-- name: StepsInSlice :many
select step_name, count(*)::bigint as members from journeys
 where slice = $1 and status = 'active' group by step_name order by members desc, step_name limit 20;
