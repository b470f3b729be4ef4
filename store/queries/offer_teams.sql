-- name: OrderCounted :one
-- Whether an order has, or had, a place in a team: in this campaign whoever told of it, and in
-- others for the same member, whose row is held.
select exists (select from team_members a where a.campaign = sqlc.arg(campaign) and a.order_id = sqlc.arg(order_id)::text)
    or exists (select from team_members b where b.member = sqlc.arg(member) and b.order_id = sqlc.arg(order_id)::text);

-- name: GiveStockBack :exec
update offer_stock set taken = taken - 1 where campaign = $1 and offer = $2 and taken > 0;

-- name: OrderOffer :exec
-- The offer stays open until the team is complete.
update offers set order_id = sqlc.arg(order_id)::text, paid = sqlc.arg(paid)::bigint, team = sqlc.arg(team)::text where id = sqlc.arg(id) and state = 'open';

-- name: UnorderOffer :exec
update offers set order_id = null, paid = null, team = null where id = $1 and state = 'open';

-- name: CloseOrderedOffer :exec
-- That it was open is known: the journey that waits for its team holds its member.
update offers set state = sqlc.arg(state), closed_at = sqlc.arg(closed_at), order_id = sqlc.narg(order_id), paid = sqlc.narg(paid), team = sqlc.arg(team)::text
 where id = sqlc.arg(id) and state = 'open';

-- name: AskRefund :exec
insert into refund_requests (key, campaign, version, journey, member, step, offer, order_id, team, amount, currency, reason, at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: LockRefundRequest :exec
select from messages where key = $1 for update;

-- name: ConfirmRefund :exec
-- All of the order has gone back. Whether a request was taken that nobody had answered, or that
-- was refused, is settled by that.
with confirmed as (
    update refund_requests r set confirmed_at = sqlc.arg(at)::timestamptz, confirmed_by = sqlc.arg(event)::text
     where r.key = sqlc.arg(key) and r.confirmed_at is null
    returning r.key, r.confirmed_at
), settled as (
    update messages m set state = 'sent', reason = '', due_at = null, sent_at = coalesce(m.sent_at, clock_timestamp())
      from confirmed c where m.key = c.key and m.state <> 'sent'
    returning m.key
), settled_effects as (
    update effects f set state = 'settled', reason = '', settled_at = clock_timestamp() from settled s where f.key = s.key
)
update reviews v set state = 'withdrawn', decided_at = c.confirmed_at from confirmed c where v.key = c.key || '/review' and v.state = 'open';

-- name: ReportTeams :many
-- Teams at steps stand under the journey and the step, those of buyers under the offer.
select version, offer, (case offer when '' then journey else '' end)::text as journey, (case offer when '' then place else '' end)::text as step,
       count(*)::bigint as opened,
       (count(*) filter (where state = 'formed'))::bigint as formed,
       (count(*) filter (where state = 'failed'))::bigint as failed,
       (count(*) filter (where state = 'withdrawn'))::bigint as withdrawn,
       (count(*) filter (where state = 'open'))::bigint as open
  from teams where campaign = $1
 group by 1, 2, 3, 4 order by 1, 2, 3, 4;

-- name: ReportRefunds :many
select r.version, r.offer, r.reason, r.currency,
       count(*)::bigint as asked,
       sum(r.amount)::bigint as amount,
       (count(*) filter (where r.confirmed_at is not null))::bigint as confirmed,
       coalesce(sum(r.amount) filter (where r.confirmed_at is not null), 0)::bigint as confirmed_amount,
       (count(*) filter (where r.confirmed_at is null and m.state = 'sent'))::bigint as accepted,
       (count(*) filter (where r.confirmed_at is null and m.state in ('refused', 'failed', 'dropped')))::bigint as refused,
       (count(*) filter (where r.confirmed_at is null and f.state = 'unknown'))::bigint as unknown
  from refund_requests r join messages m on m.key = r.key join effects f on f.key = r.key
 where r.campaign = $1
 group by 1, 2, 3, 4 order by 1, 2, 3, 4;

-- name: SettleRefund :execrows
-- What is settled already is left alone. What the shop has not taken for certain a person must
-- look at, because somebody has paid.
with settled as (
    update messages m
       set state = sqlc.arg(state)::text, reason = sqlc.arg(reason)::text, provider_id = sqlc.arg(provider_id)::text, channel = sqlc.arg(channel)::text, due_at = null,
           sent_at = case when sqlc.arg(state)::text = 'sent' then clock_timestamp() end
     where m.key = sqlc.arg(key)::text and m.kind = 'refund' and m.state not in ('sent', 'refused', 'failed', 'dropped')
       and (m.state, m.reason, m.due_at is null) <> (sqlc.arg(state)::text, sqlc.arg(reason)::text, true)
    returning m.key
), settled_effects as (
    update effects e set state = sqlc.arg(effect)::text, reason = sqlc.arg(reason)::text, settled_at = clock_timestamp() from settled s where e.key = s.key
), reviewed as (
    insert into reviews (key, kind, campaign, journey, member, step, offer, detail, at)
    select r.key || '/review', sqlc.arg(review)::text, r.campaign, r.journey, r.member, r.step, r.offer,
           jsonb_build_object('order', r.order_id, 'amount', sqlc.arg(amount)::text, 'reason', sqlc.arg(reason)::text), sqlc.arg(at)::timestamptz
      from refund_requests r join settled s on s.key = r.key
     where sqlc.arg(state)::text <> 'sent' and r.confirmed_at is null
    on conflict (key) do nothing
)
insert into trace (journey, turn, at, step, kind, params, campaign, version)
select r.journey, 0, sqlc.arg(at)::timestamptz, r.step, sqlc.arg(line)::text,
       jsonb_build_object('order', r.order_id, 'state', sqlc.arg(told)::text, 'reason', sqlc.arg(reason)::text), r.campaign, r.version
  from refund_requests r join settled s on s.key = r.key where r.confirmed_at is null;
