-- name: InsertMigration :one
insert into migrations (campaign, version, choices, found)
values (sqlc.arg(campaign), sqlc.arg(version), sqlc.arg(choices), sqlc.arg(found)) returning *;

-- name: InsertReversal :one
-- found are those who have taken no turn since.
insert into migrations (campaign, version, choices, reverts, found)
select m.campaign, m.version, '[]', m.id,
       (select count(*) from migration_moves d join journeys j on j.id = d.journey
         where d.migration = m.id and d.done = 'move' and j.status = 'active' and j.turn = d.turn)
  from migrations m where m.id = sqlc.arg(id)
returning *;

-- name: GetMigration :one
select * from migrations where campaign = sqlc.arg(campaign) and id = sqlc.arg(id);

-- name: ListMigrations :many
select * from migrations where campaign = sqlc.arg(campaign) and id > sqlc.arg(after) order by id limit sqlc.arg(size);

-- name: RunningMigration :one
select id from migrations where campaign = $1 and state = 'running';

-- name: StopMigration :execrows
-- Waits for the page that is under way.
update migrations set state = 'stopped', done_at = clock_timestamp()
 where campaign = sqlc.arg(campaign) and id = sqlc.arg(id) and state = 'running';

-- name: RunningMigrations :many
select m.*, v.digest, c.state as campaign_state
  from migrations m join campaigns c on c.name = m.campaign
  join campaign_versions v on v.campaign = m.campaign and v.version = m.version
 where m.state = 'running' order by m.id;

-- name: LockMigration :one
-- Inside the transaction of a page. Another router that works it off is not waited for.
select cursor from migrations where id = $1 and state = 'running' for update skip locked;

-- name: PassMigration :exec
-- From the first row again: somebody may have come to one of the steps meanwhile.
update migrations set cursor = 0 where id = sqlc.arg(id) and state = 'running' and cursor = sqlc.arg(cursor);

-- name: FinishMigration :execrows
update migrations set state = 'done', done_at = clock_timestamp()
 where id = sqlc.arg(id) and state = 'running' and cursor = 0;

-- name: AdvanceMigration :exec
update migrations set cursor = sqlc.arg(cursor), moved = moved + sqlc.arg(moved), ended = ended + sqlc.arg(ended),
       kept = kept + sqlc.arg(kept), failed = failed + sqlc.arg(failed)
 where id = sqlc.arg(id);

-- name: KeptReasons :many
select reason, count(*)::bigint as journeys from migration_moves
 where migration = $1 and done = 'keep' group by reason order by reason;

-- name: FlightVersions :many
select v.version, v.digest, v.definition from campaign_versions v
 where v.campaign = sqlc.arg(campaign)
   and (v.version = sqlc.arg(version)::int
        or exists (select from journeys j where j.campaign = v.campaign and j.version = v.version and j.status = 'active'))
 order by v.version;

-- name: VersionDigests :many
select version, digest from campaign_versions where campaign = $1;

-- name: ToRevert :many
-- Who was moved and is under way. One who has taken a turn since is come to, and kept.
select j.id, j.member from migration_moves d join journeys j on j.id = d.journey
 where d.migration = sqlc.arg(reverts)::bigint and d.done = 'move' and j.status = 'active' and j.id > sqlc.arg(after)
   and not exists (select from migration_moves done where done.migration = sqlc.arg(migration) and done.journey = j.id)
 order by j.id limit sqlc.arg(most);

-- name: MovesOf :many
select journey, from_version, from_digest, from_state, turn from migration_moves
 where migration = sqlc.arg(migration) and journey = any(sqlc.arg(journeys)::bigint[]) and done = 'move';
