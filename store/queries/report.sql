-- name: ReportJourneys :many
select journey, version,
       count(*)::bigint as entered,
       (count(*) filter (where holdout))::bigint as held_out,
       (count(*) filter (where status = 'active'))::bigint as active,
       (count(*) filter (where goal_at is not null and not holdout))::bigint as converted,
       (count(*) filter (where goal_at is not null and holdout))::bigint as converted_held_out,
       coalesce(sum(goal_minor) filter (where not holdout), 0)::bigint as value,
       (count(*) filter (where goal_reversed_at is not null and not holdout))::bigint as reversed,
       coalesce(sum(goal_refunded) filter (where not holdout), 0)::bigint as refunded,
       coalesce(sum(goal_minor) filter (where holdout), 0)::bigint as value_held_out
  from journeys where campaign = $1
 group by journey, version order by journey, version;

-- name: ReportOutcomes :many
select journey, version, outcome, count(*)::bigint as members
  from journeys where campaign = $1 and status = 'done'
 group by journey, version, outcome order by journey, version, members desc, outcome;

-- name: ReportSteps :many
-- A step is one of the version that a member was on when she came to it.
select j.journey, t.version, t.step, count(distinct t.journey)::bigint as reached
  from trace t join journeys j on j.id = t.journey
 where t.campaign = $1 and t.kind = 'step'
 group by j.journey, t.version, t.step;

-- name: ReportSplits :many
select j.journey, x.version, x.split, x.arm,
       count(distinct x.member)::bigint as members,
       (count(distinct x.member) filter (where j.goal_at > x.at))::bigint as converted,
       coalesce(sum(j.goal_minor) filter (where j.goal_at > x.at), 0)::bigint as value
  from exposures x join journeys j on j.id = x.journey
 where x.campaign = $1
 group by j.journey, x.version, x.split, x.arm;

-- name: ReportMessages :many
select version, name, channel, state, count(*)::bigint as messages
  from messages where campaign = $1 and kind not in ('call', 'refund')
 group by version, name, channel, state order by version, name, channel, state;

-- name: ReportCalls :many
select version, name, state, reason, count(*)::bigint as calls
  from messages where campaign = $1 and kind = 'call'
 group by version, name, state, reason order by version, name, state, reason;

-- name: ReportNotSent :many
select version, coalesce(params ->> 'message', '')::text as message, coalesce(params ->> 'reason', '')::text as reason,
       count(*)::bigint as times
  from trace where campaign = $1 and kind = 'not_sent'
 group by 1, 2, 3 order by 1, 2, 3;

-- name: ReportOffers :many
select version, offer,
       count(*)::bigint as opened,
       (count(*) filter (where state = 'taken'))::bigint as taken,
       (count(*) filter (where state = 'lapsed'))::bigint as lapsed,
       (count(*) filter (where state = 'withdrawn'))::bigint as withdrawn,
       (count(*) filter (where state = 'open'))::bigint as open,
       coalesce(sum(paid) filter (where state = 'taken'), 0)::bigint as paid,
       (count(*) filter (where refunded_at is not null))::bigint as refunded
  from offers where campaign = $1
 group by version, offer order by version, offer;

-- name: ReportLate :many
select version, count(*)::bigint as times from trace where campaign = $1 and kind = 'late' group by version order by version;

-- name: ReportReviews :many
select j.version, r.kind, r.state, count(*)::bigint as reviews
  from reviews r join journeys j on j.id = r.journey
 where r.campaign = $1 group by j.version, r.kind, r.state order by j.version, r.kind, r.state;

-- name: ReportRewards :many
select version, reward,
       (count(*) filter (where state = 'granted'))::bigint as granted,
       coalesce(sum(points) filter (where state = 'granted'), 0)::bigint as points,
       (count(*) filter (where state = 'refused'))::bigint as refused,
       (count(*) filter (where state = 'refused' and reason = 'budget'))::bigint as refused_budget,
       (count(*) filter (where state = 'refused' and reason = 'paused'))::bigint as refused_paused,
       (count(*) filter (where state = 'refused' and reason = 'per_day'))::bigint as refused_per_day,
       (count(*) filter (where state = 'refused' and reason = 'per_member'))::bigint as refused_per_member,
       (count(*) filter (where state = 'refused' and reason = 'pool'))::bigint as refused_pool,
       (count(*) filter (where state = 'refused' and reason = 'held'))::bigint as refused_held
  from grants where campaign = $1
 group by version, reward order by version, reward;

-- name: ReportStock :many
select offer, stock, taken from offer_stock where campaign = $1 and stock < 2147483647 order by offer;

-- name: ReportBudgets :many
select reward, cap, used, available, kept, per_day, available_today from reward_budgets where campaign = $1 order by reward;

-- name: ReportDefinitions :many
select version, definition from campaign_versions v
 where v.campaign = sqlc.arg(campaign)
   and (v.version = (select c.version from campaigns c where c.name = sqlc.arg(campaign))
        or exists (select from journeys j where j.campaign = v.campaign and j.version = v.version)
        or exists (select from migrations m join migration_moves d on d.migration = m.id
                    where m.campaign = v.campaign and d.from_version = v.version and d.done = 'move'))
 order by v.version;

-- name: ReportMoved :many
-- Members who were on a version and have been brought to another.
select j.journey, d.from_version as version, count(distinct d.journey)::bigint as members
  from migrations m join migration_moves d on d.migration = m.id and d.done = 'move' join journeys j on j.id = d.journey
 where m.campaign = $1 and j.version <> d.from_version
 group by j.journey, d.from_version order by j.journey, d.from_version;

-- name: ReportPoints :many
-- What expired of a rule's points is asked of their batches.
select g.rule, (count(*) filter (where g.points > 0))::bigint as gains, sum(g.points)::bigint as points,
       coalesce(sum(g.asked - g.points) filter (where g.reason = 'daily_cap'), 0)::bigint as refused_per_day,
       coalesce(sum(g.asked - g.points) filter (where g.reason = 'per_member'), 0)::bigint as refused_per_member,
       (count(*) filter (where g.reason = 'undecided'))::bigint as undecided,
       sum(g.taken)::bigint as reversed, sum(g.short)::bigint as short, coalesce(sum(b.expired), 0)::bigint as expired
  from point_gains g
  left join point_batches b on b.key = 'points/' || g.campaign || '/' || g.rule || '/' || g.event
 where g.campaign = $1
 group by g.rule order by g.rule;

-- name: ReportLevels :many
select level, count(*)::bigint as members from point_members where campaign = $1 and level <> '' group by level order by level;

-- name: ReportExpired :one
-- Of the campaign's rules and rewards together.
select coalesce(sum(expired), 0)::bigint as points from point_batches where campaign = $1;
