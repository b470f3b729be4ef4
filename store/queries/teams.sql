-- name: LockTeam :one
-- Whoever changes a team, or says how it ended, holds its row.
select * from teams where code = $1 for update;

-- name: LockTeams :exec
-- Several in the order of their numbers, as everybody locks several.
select from teams where code = any(sqlc.arg(codes)::text[]) order by id for update;

-- name: OpenTeam :one
-- With her who opens it. The code is made by chance; one that is taken already is made anew.
with opened as (
    insert into teams (key, code, campaign, version, journey, place, offer, size, joined, came, state, opened_at, ends_at, closes_at)
    values (sqlc.arg(key), sqlc.arg(code), sqlc.arg(campaign), sqlc.arg(version), sqlc.arg(journey), sqlc.arg(place), sqlc.arg(offer), sqlc.arg(size), 1, 1, 'open',
            sqlc.arg(opened_at), sqlc.arg(ends_at), sqlc.arg(closes_at))
    on conflict (code) do nothing
    returning *
), came as (
    insert into team_members (team, number, member, journey, joined_at, campaign, offer, order_id)
    select o.id, 1, sqlc.arg(member)::text, sqlc.arg(of_journey)::bigint, sqlc.arg(at)::timestamptz, o.campaign, o.offer, sqlc.narg(order_id)::text from opened o
)
select * from opened;

-- name: JoinTeam :one
-- The checks of the table stand behind it: no team has more members than its size.
with came as (
    insert into team_members (team, number, member, journey, joined_at, campaign, offer, order_id)
    select t.id, t.came + 1, sqlc.arg(member)::text, sqlc.arg(of_journey)::bigint, sqlc.arg(at)::timestamptz, t.campaign, t.offer, sqlc.narg(order_id)::text
      from teams t where t.id = sqlc.arg(team)
)
update teams u
   set joined = u.joined + 1, came = u.came + 1, state = case when u.joined + 1 = u.size then 'formed' else u.state end,
       closed_at = case when u.joined + 1 = u.size then sqlc.arg(at)::timestamptz end
 where u.id = sqlc.arg(team)
returning u.*;

-- name: InTeam :one
select exists (select from team_members where team = $1 and member = $2 and left_at is null);

-- name: LeaveTeam :one
with went as (
    update team_members m set left_at = sqlc.arg(at)::timestamptz
     where m.team = sqlc.arg(team) and m.journey = sqlc.arg(of_journey) and m.left_at is null
    returning m.team
)
update teams t
   set joined = t.joined - 1, state = case when t.joined = 1 then 'withdrawn' else t.state end,
       closed_at = case when t.joined = 1 then sqlc.arg(at)::timestamptz end
  from went w where t.id = w.team
returning t.*;

-- name: FailTeam :one
update teams set state = 'failed', closed_at = ends_at where id = $1 returning *;

-- name: LeadsTeam :one
-- Whether a journey's member has been in it longest of those who are in it now.
select coalesce((select m.journey from team_members m where m.team = sqlc.arg(team) and m.left_at is null order by m.number limit 1)
                = sqlc.arg(of_journey)::bigint, false)::boolean;

-- name: TeamByCode :one
select t.*, c.clock_factor, c.clock_real, c.clock_start, clock_timestamp()::timestamptz as now
  from teams t join campaigns c on c.name = t.campaign where t.code = $1;

-- name: TeamsOfMember :many
select t.*, c.clock_factor, c.clock_real, c.clock_start, clock_timestamp()::timestamptz as now,
       m.joined_at, m.left_at,
       (m.left_at is null and not exists (select from team_members o where o.team = t.id and o.left_at is null and o.number < m.number))::boolean as leader
  from team_members m join teams t on t.id = m.team join campaigns c on c.name = t.campaign
 where m.member = sqlc.arg(member)
 order by t.id desc, m.number desc limit sqlc.arg(most);

-- name: NewsOfTeam :exec
-- To each of the others who are in it. It becomes an event of hers when a router holds her
-- row: who takes the last place holds nobody but herself.
insert into intents (kind, campaign, member, journey, event)
select 'team', t.campaign, m.member, m.journey, sqlc.arg(prefix)::text || t.id || '/' || m.journey
  from teams t join team_members m on m.team = t.id and m.left_at is null
 where t.id = sqlc.arg(team) and m.journey <> sqlc.arg(of_journey)
 order by m.member collate "C";

-- name: StoreNewsOfTeams :exec
-- Under the locks of the members' rows, like every event: it takes the next number of her
-- sequence, and her clock never goes back.
with news as (
    select i.event, i.member, t.code, t.closed_at, row_number() over (partition by i.member order by i.id) as place
      from intents i
      join team_members m on m.journey = i.journey and m.left_at is null
      join teams t on t.id = m.team and i.event = sqlc.arg(prefix)::text || t.id || '/' || m.journey
     where i.id = any(sqlc.arg(intents)::bigint[])
), stored as (
    insert into events (id, member, seq, type, time, stored_at, properties)
    select n.event, m.id, m.event_seq + n.place, sqlc.arg(type)::text, n.closed_at, greatest(m.last_stored, clock_timestamp()),
           jsonb_build_object('team', n.code)
      from news n join members m on m.id = n.member
     order by n.event
    on conflict (id) do nothing
    returning id, member, seq, stored_at
)
update members m set event_seq = s.seq, last_stored = s.stored_at
  from (select member, max(seq) as seq, max(stored_at) as stored_at from stored group by member) s
 where m.id = s.member;
