-- name: GetMember :one
select * from members where id = $1;

-- name: MemberExists :one
select exists (select from members where id = $1);

-- name: ListMembers :many
select * from members
 where id > sqlc.arg(after) and (sqlc.narg(tag)::text is null or sqlc.narg(tag)::text = any (tags))
 order by id limit sqlc.arg(size);

-- name: MemberJourneys :many
select j.id, j.campaign, j.version, j.journey, j.entry, coalesce(s.workflow_id, j.workflow_id)::text as workflow_id, j.holdout, j.step, j.step_name, j.summary,
       j.wait_until, j.status, j.outcome, j.goal_at, j.goal_event, j.goal_minor, j.entered_by, j.entered_at, j.ended_at,
       coalesce(v.timezone, '')::text as timezone
  from journeys j join campaign_versions v on v.campaign = j.campaign and v.version = j.version
  left join slices s on s.id = j.slice
 where j.member = $1 order by j.entered_at desc, j.id desc limit 1000;

-- name: MemberOffers :many
select o.*, c.clock_factor, c.clock_real, c.clock_start, clock_timestamp()::timestamptz as now,
       t.state as team_state, t.size as team_size, t.joined as team_joined, t.ends_at as team_ends_at, t.closes_at as team_closes_at,
       r.order_id as refund_order, r.amount as refund_amount, r.currency as refund_currency, r.confirmed_at as refund_confirmed, m.state as refund_request, f.state as refund_effect
  from offers o join campaigns c on c.name = o.campaign
  left join teams t on t.code = o.team
  left join refund_requests r on r.journey = o.journey and r.team = o.team
  left join messages m on m.key = r.key
  left join effects f on f.key = r.key
 where o.member = $1 order by o.opened_at desc, o.id limit 1000;

-- name: GetOffer :one
select o.*, c.clock_factor, c.clock_real, c.clock_start, clock_timestamp()::timestamptz as now,
       t.state as team_state, t.size as team_size, t.joined as team_joined, t.ends_at as team_ends_at, t.closes_at as team_closes_at,
       r.order_id as refund_order, r.amount as refund_amount, r.currency as refund_currency, r.confirmed_at as refund_confirmed, m.state as refund_request, f.state as refund_effect
  from offers o join campaigns c on c.name = o.campaign
  left join teams t on t.code = o.team
  left join refund_requests r on r.journey = o.journey and r.team = o.team
  left join messages m on m.key = r.key
  left join effects f on f.key = r.key
 where o.id = $1;

-- name: MemberMessages :many
select key, campaign, version, journey, step, name, kind, channel, state, reason, provider_id, attempts, at, sent_at
  from messages where member = $1 and kind not in ('call', 'refund') order by at desc, key limit 1000;

-- name: MemberGrants :many
select g.key, g.campaign, g.version, g.reward, g.journey, g.step, g.points, g.state, g.reason, g.at, b.taken as clawed_back, b.owed
  from grants g
 cross join lateral (select coalesce(sum(c.taken), 0)::bigint as taken, coalesce(sum(c.points - c.taken), 0)::bigint as owed
                       from clawbacks c where c.grant_key = g.key) b
 where g.member = $1 and g.points > 0 order by g.at desc, g.key limit 1000;

-- name: MemberTrace :many
select t.id, t.journey, t.turn, t.at, t.step, t.kind, t.params
  from trace t join journeys j on j.id = t.journey
 where j.member = $1 order by t.journey, t.at, t.id limit 20000;

-- name: MemberBatches :many
select b.campaign, b.points, b.remaining, b.ends_at
  from point_batches b where b.member = $1 and b.remaining > 0 and b.ends_at > clock_timestamp() order by b.ends_at, b.id limit 1000;

-- name: MemberEnds :one
select coalesce(sum(b.remaining) filter (where b.ends_at <= clock_timestamp()), 0)::bigint as over,
       coalesce(sum(b.remaining) filter (where b.ends_at > clock_timestamp() and b.ends_at <= clock_timestamp() + interval '30 days'), 0)::bigint as soon
  from point_batches b where b.member = $1 and b.remaining > 0;

-- name: MemberGains :many
select campaign, version, rule, event, asked, points, reason, at, taken, short, coalesce(reversed_by, '')::text as reversed_by
  from point_gains where member = $1 order by at desc, id desc limit 1000;
