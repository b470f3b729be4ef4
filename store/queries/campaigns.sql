-- name: CreateCampaign :exec
insert into campaigns (name, version) values ($1, 0) on conflict (name) do nothing;

-- name: LockCampaign :one
select * from campaigns where name = $1 for update;

-- name: GetCampaign :one
select * from campaigns where name = $1;

-- name: ListCampaigns :many
select c.*, v.digest, v.created_at as submitted_at, coalesce(v.definition ->> 'title', '')::text as title,
       (select count(*) from journeys j where j.campaign = c.name and j.status = 'active') as active
  from campaigns c join campaign_versions v on v.campaign = c.name and v.version = c.version
 where c.name > sqlc.arg(after)
 order by c.name limit sqlc.arg(size);

-- name: CatalogHeads :many
select c.name, c.state, c.version, c.clock_factor, c.clock_real, c.clock_start, v.digest
  from campaigns c join campaign_versions v on v.campaign = c.name and v.version = c.version
 order by c.name;

-- name: DefinitionByDigest :one
select definition from campaign_versions where digest = $1 limit 1;

-- name: VersionByDigest :one
select version from campaign_versions where campaign = $1 and digest = $2;

-- name: InsertVersion :one
insert into campaign_versions (campaign, version, digest, source, definition)
select sqlc.arg(campaign), coalesce(max(version), 0) + 1, sqlc.arg(digest), sqlc.arg(source), sqlc.arg(definition)
  from campaign_versions where campaign = sqlc.arg(campaign)
returning version;

-- name: SetVersion :exec
update campaigns set version = $2, version_at = clock_timestamp() where name = $1;

-- name: OtherTimezone :one
-- A version that counts days by another timezone than the one given, and is current or has
-- members on their way.
select v.version, coalesce(v.timezone, '')::text as timezone from campaign_versions v join campaigns c on c.name = v.campaign
 where v.campaign = sqlc.arg(campaign) and v.timezone <> sqlc.arg(timezone)::text
   and (v.version = c.version or exists (select from journeys j where j.campaign = v.campaign and j.version = v.version and j.status = 'active'))
 order by v.version desc limit 1;

-- name: HasDailyBudget :one
select exists (select from budgets where campaign = $1 and (per_day is not null or day <> ''));

-- name: LockBudgets :exec
-- Whoever takes stock holds it shared first, as whoever grants does.
select pg_advisory_xact_lock(budgets_lock($1));

-- name: GetVersion :one
select * from campaign_versions where campaign = $1 and version = $2;

-- name: ListVersions :many
select v.version, v.digest, v.created_at,
       (select count(*) from journeys j where j.campaign = v.campaign and j.version = v.version) as entered,
       (select count(*) from journeys j
         where j.campaign = v.campaign and j.version = v.version and j.status = 'active') as active
  from campaign_versions v where v.campaign = $1 order by v.version;

-- name: InFlight :many
select version, journey, step, step_name, count(*) as members
  from journeys where campaign = $1 and status = 'active'
 group by version, journey, step, step_name order by version, journey, step, step_name;

-- name: OutcomeCounts :many
select status, outcome, count(*) as members
  from journeys where campaign = $1
 group by status, outcome order by status, outcome;

-- name: StartCampaign :exec
update campaigns set state = 'running', started_at = clock_timestamp(),
       clock_factor = sqlc.arg(factor),
       clock_real = case when sqlc.arg(factor)::bigint > 1 then clock_timestamp() end,
       clock_start = case when sqlc.arg(factor)::bigint > 1
                          then coalesce(sqlc.narg(shows)::timestamptz, clock_timestamp()) end
 where name = sqlc.arg(name);

-- name: SetCampaignState :exec
update campaigns set state = sqlc.arg(state),
       ended_at = case when sqlc.arg(state) = 'ended' then clock_timestamp() end
 where name = sqlc.arg(name);

-- name: HasWorkLeft :one
-- A journey is over before its last message is out.
select exists (select from journeys j where j.campaign = $1 and j.status = 'active'
               union all
               select from messages m join effects e on e.key = m.key
                where m.campaign = $1 and m.state in ('claimed', 'unknown') and e.state = 'claimed');

-- name: PokeCampaign :execrows
-- A journey that is over may still have messages that the pause holds.
insert into intents (kind, campaign, journey)
select 'recheck', j.campaign, j.id from journeys j
 where j.campaign = $1 and j.slice is null
   and (j.status = 'active' or j.id in (select m.journey from messages m where m.campaign = $1 and m.state in ('claimed', 'unknown')))
 order by j.id;

-- name: PokeSlices :exec
insert into intents (kind, slice) select 'slice', s.id from slices s where s.campaign = $1 order by s.id;

-- name: ReleasePoints :exec
-- What happened while it was paused gives points now. One that is over gives none any more.
-- A router that holds one waits for the campaign's row, so only those are looked for that no
-- router has: they are not due.
update intents set due_at = clock_timestamp() where kind = 'points' and campaign = $1 and due_at = 'infinity';

-- name: EndDrained :many
-- A message that is still on its way keeps its campaign from ending, which would drop it;
-- one whose outcome will stay unknown does not. The workflows of its slices look again, and end.
with ended as (
update campaigns c set state = 'ended', ended_at = clock_timestamp()
 where c.state = 'draining'
   and not exists (select from journeys j where j.campaign = c.name and j.status = 'active')
   and not exists (select from messages m join effects e on e.key = m.key
                    where m.campaign = c.name and m.state in ('claimed', 'unknown') and e.state = 'claimed')
returning c.name
), wakes as (
insert into intents (kind, slice) select 'slice', s.id from slices s join ended e on e.name = s.campaign
)
select name from ended;

-- name: SetStock :exec
-- An offer that gets a limit later starts from what was taken without one.
insert into offer_stock (campaign, offer, stock, taken)
select sqlc.arg(campaign), sqlc.arg(offer), sqlc.arg(stock), count(*)
  from offers o where o.campaign = sqlc.arg(campaign) and o.offer = sqlc.arg(offer)
   and (o.state = 'taken' and not o.restocked or o.state = 'open' and o.order_id is not null)
on conflict (campaign, offer) do update set stock = excluded.stock;

-- name: LiftStock :exec
update offer_stock set stock = 2147483647 where campaign = $1 and offer = $2;

-- name: SetBudget :exec
-- Waits for the grants that are under way, and lets no other begin before this is committed.
select set_budget(sqlc.arg(campaign), sqlc.arg(reward), sqlc.narg(cap)::bigint, sqlc.narg(per_day)::bigint, sqlc.narg(per_member)::bigint, sqlc.arg(asset), sqlc.arg(pause_at));

-- name: ResumeReward :one
select resume_reward(sqlc.arg(campaign), sqlc.arg(reward))::text as what;

-- name: RewardKinds :many
-- What the rewards of a campaign's versions give: the keys of each, by which its kind is known.
select distinct (r ->> 'name')::text as reward, (r ? 'coupon')::boolean as coupon, (r ? 'benefit')::boolean as benefit
  from campaign_versions v cross join lateral jsonb_array_elements(coalesce(v.definition -> 'rewards', '[]')) r
 where v.campaign = sqlc.arg(campaign);
