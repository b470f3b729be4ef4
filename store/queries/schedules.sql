-- No name holds a blank, so the three together are as good as each.
-- name: DropSchedules :exec
delete from schedules
 where campaign = sqlc.arg(campaign) and journey || ' ' || segment || ' ' || schedule <> all(sqlc.arg(keep)::text[]);

-- name: MakeSchedule :exec
insert into schedules (campaign, journey, schedule, segment, moment, done)
values (sqlc.arg(campaign), sqlc.arg(journey), sqlc.arg(schedule), sqlc.arg(segment), sqlc.arg(since), true)
on conflict do nothing;

-- name: ListSchedules :many
select * from schedules where campaign = $1;

-- name: MoveSchedule :execrows
update schedules
   set moment = sqlc.arg(to_moment), after = sqlc.arg(to_after), done = sqlc.arg(to_done)
 where campaign = sqlc.arg(campaign) and journey = sqlc.arg(journey) and schedule = sqlc.arg(schedule) and segment = sqlc.arg(segment)
   and moment = sqlc.arg(moment) and after = sqlc.arg(after) and done = sqlc.arg(done);
