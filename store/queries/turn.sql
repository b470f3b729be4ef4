-- name: LockJourneyMember :one
-- The member's row is what a turn, an event and a router serialize on. Whoever holds
-- it and then reads the clock sees every event stored until then.
select m.* from members m where m.id = (select member from journeys j where j.id = $1) for update of m;

-- name: LockMember :one
select * from members where id = $1 for update;

-- name: LoadTurn :one
select j.*, c.state as campaign_state, c.clock_factor, c.clock_real, c.clock_start,
       clock_timestamp()::timestamptz as real_now
  from journeys j join campaigns c on c.name = j.campaign
 where j.id = $1;

-- name: StoredTurn :one
select result from turns where journey = $1 and turn = $2;

-- name: EventsAfter :many
-- What no turn has judged yet, in the order of its storing.
select id, type, member, seq, time, stored_at, properties from events
 where member = sqlc.arg(member) and type = any(sqlc.arg(types)::text[]) and seq > sqlc.arg(cursor)
 order by seq limit sqlc.arg(most);

-- name: EventsSince :many
-- What was judged before, but by its own time belongs to the step that began since.
select id, type, member, seq, time, stored_at, properties from events
 where member = sqlc.arg(member) and type = any(sqlc.arg(types)::text[]) and seq <= sqlc.arg(cursor) and time >= sqlc.arg(since)
 order by seq;

-- name: CountBehaviour :one
select count(*)::bigint as times,
       coalesce(max(time), 'epoch')::timestamptz as last
  from events
 where member = sqlc.arg(member) and type = sqlc.arg(type) and time > sqlc.arg(after) and time <= sqlc.arg(now);

-- name: SumBehaviour :one
-- Money is stored as an object; its minor units are summed exactly. Another campaign's
-- events may carry anything under this name: what is no money counts as none, and no sum
-- is an error, which would hold up everything that the member does.
select greatest(least(coalesce(sum((e.properties -> sqlc.arg(property)::text ->> 'amount')::numeric * 100)
                filter (where (e.properties -> sqlc.arg(property)::text ->> 'amount') ~ '^-?[0-9]{1,17}([.][0-9]{1,2})?$'), 0),
                9223372036854775807), -9223372036854775807)::bigint as minor,
       coalesce(sum((e.properties ->> sqlc.arg(property)::text)::double precision)
                filter (where jsonb_typeof(e.properties -> sqlc.arg(property)::text) = 'number'), 0)::double precision as total
  from events e
 where e.member = sqlc.arg(member) and e.type = sqlc.arg(type) and e.time > sqlc.arg(after) and e.time <= sqlc.arg(now);

-- name: SentSince :many
-- Messages that count against the campaign's cap; one that was refused or dropped reached nobody.
select at from messages
 where member = sqlc.arg(member) and campaign = sqlc.arg(campaign) and kind = 'marketing'
   and state in ('claimed', 'sent', 'unknown') and at > sqlc.arg(after)
 order by at;

-- name: TakenOffers :many
select offer, count(*)::int as taken from offers
 where member = $1 and campaign = $2 and state = 'taken' group by offer;

-- name: TakeStock :execrows
update offer_stock set taken = taken + 1 where campaign = $1 and offer = $2 and taken < stock;

-- name: CountGrants :one
select count(*)::int from grants
 where member = sqlc.arg(member) and campaign = sqlc.arg(campaign) and reward = sqlc.arg(reward)
   and state = 'granted' and at > sqlc.arg(after);

-- name: UseBudget :execrows
update budgets set used = used + sqlc.arg(points) where campaign = sqlc.arg(campaign) and reward = sqlc.arg(reward)
   and used + sqlc.arg(points) <= cap;

-- name: ClaimEffect :exec
insert into effects (key, kind, journey, turn, state, reason, settled_at)
values (sqlc.arg(key), sqlc.arg(kind), sqlc.arg(journey), sqlc.arg(turn), sqlc.arg(state)::text, sqlc.arg(reason),
        case when sqlc.arg(state)::text = 'claimed' then null else clock_timestamp() end);

-- name: InsertGrant :exec
insert into grants (key, campaign, version, reward, member, journey, step, points, state, reason, at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: EnsureAccounts :exec
insert into ledger_accounts (asset, kind, owner)
values ('points', 'issuer', sqlc.arg(campaign)), ('points', 'member', sqlc.arg(member))
on conflict do nothing;

-- name: PostGrant :exec
with posting as (
    insert into ledger_postings (key, kind, reward) values (sqlc.arg(key), 'grant', sqlc.arg(reward)) returning id
)
insert into ledger_entries (posting, account, amount)
select p.id, a.id, case a.kind when 'issuer' then -sqlc.arg(points)::bigint else sqlc.arg(points)::bigint end
  from posting p, ledger_accounts a
 where a.asset = 'points'
   and (a.kind = 'issuer' and a.owner = sqlc.arg(campaign)::text or a.kind = 'member' and a.owner = sqlc.arg(member)::text);

-- name: AddPoints :exec
update members set points = points + sqlc.arg(points), updated_at = clock_timestamp() where id = sqlc.arg(member);

-- name: ChangeMember :exec
update members
   set tags = array(select distinct t from unnest(tags || sqlc.arg(add)::text[]) t
                     where t <> all(sqlc.arg(remove)::text[]) order by t),
       attributes = attributes || sqlc.arg(attributes)::jsonb,
       updated_at = clock_timestamp()
 where id = sqlc.arg(member);

-- name: SaveJourney :exec
update journeys
   set state = sqlc.arg(state), turn = sqlc.arg(turn), cursor = sqlc.arg(cursor), step = sqlc.arg(step),
       step_name = sqlc.arg(step_name), summary = sqlc.arg(summary), listens = sqlc.arg(listens),
       wait_until = sqlc.narg(wait_until), status = sqlc.arg(status), outcome = sqlc.arg(outcome),
       ended_at = sqlc.narg(ended_at),
       goal_at = coalesce(sqlc.narg(goal_at), goal_at),
       goal_event = coalesce(sqlc.narg(goal_event), goal_event),
       goal_minor = coalesce(sqlc.narg(goal_minor), goal_minor)
 where id = sqlc.arg(id);

-- name: InsertTurn :exec
insert into turns (journey, turn, result) values ($1, $2, $3);

-- name: InsertTrace :copyfrom
insert into trace (journey, turn, at, step, kind, params, campaign, version) values ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: ClaimMessage :exec
insert into messages (key, campaign, version, journey, member, step, name, kind, bodies, state, at, deadline)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'claimed', $10, $11);

-- name: OpenOffer :exec
insert into offers (id, key, campaign, version, offer, journey, member, step, state, price, list_price, currency,
                    opened_at, expires_at, grace_until)
values ($1, $2, $3, $4, $5, $6, $7, $8, 'open', $9, $10, $11, $12, $13, $14);

-- name: CloseOffer :execrows
update offers set state = sqlc.arg(state), closed_at = sqlc.arg(closed_at), order_id = sqlc.narg(order_id), paid = sqlc.narg(paid)
 where id = sqlc.arg(id) and state = 'open';

-- name: OpenReview :exec
insert into reviews (key, kind, campaign, journey, member, offer, event, detail, at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (key) do nothing;

-- name: MessageToSend :one
select m.*, c.state as campaign_state, c.clock_factor, c.clock_real, c.clock_start, j.journey as journey_name,
       clock_timestamp()::timestamptz as real_now, (v.definition ->> 'timezone')::text as timezone
  from messages m join journeys j on j.id = m.journey join campaigns c on c.name = m.campaign
  join campaign_versions v on v.campaign = m.campaign and v.version = m.version
 where m.key = $1;

-- name: TryMessage :exec
update messages set attempts = attempts + 1, channel = $2, state = 'unknown' where key = $1 and state in ('claimed', 'unknown');

-- name: MessageNotDone :exec
update messages set state = 'claimed', reason = $2 where key = $1 and state = 'unknown';

-- name: SettleMessage :execrows
update messages
   set state = sqlc.arg(state), reason = sqlc.arg(reason), provider_id = sqlc.arg(provider_id), channel = sqlc.arg(channel),
       sent_at = case when sqlc.arg(state)::text = 'sent' then clock_timestamp() end
 where key = sqlc.arg(key) and state in ('claimed', 'unknown')
   and (state, reason) <> (sqlc.arg(state)::text, sqlc.arg(reason));

-- name: SettleEffect :exec
update effects set state = sqlc.arg(state), reason = sqlc.arg(reason), settled_at = clock_timestamp()
 where key = sqlc.arg(key) and state in ('claimed', 'unknown');


-- name: HasStock :one
select exists (select from offer_stock where campaign = $1 and offer = $2);

-- name: HasBudget :one
select exists (select from budgets where campaign = $1 and reward = $2);
