-- name: StoredTurn :one
select result from turns where journey = $1 and turn = $2;

-- name: TakeStock :execrows
update offer_stock set taken = taken + 1 where campaign = $1 and offer = $2 and taken + held < stock;

-- name: ChangeMember :exec
update members
   set tags = array(select distinct t from unnest(tags || sqlc.arg(add)::text[]) t
                     where t <> all(sqlc.arg(remove)::text[]) order by t),
       attributes = attributes || sqlc.arg(attributes)::jsonb,
       updated_at = clock_timestamp()
 where id = sqlc.arg(member);

-- name: CloseOffer :exec
update offers set state = sqlc.arg(state), closed_at = sqlc.arg(closed_at), order_id = sqlc.narg(order_id), paid = sqlc.narg(paid)
 where id = sqlc.arg(id) and state = 'open';

-- name: OrderTook :one
-- Whether an order has taken an offer of this name, or pays for one that is open. A plan that
-- was made while the table was small must not read the campaign's offers when it has grown: she
-- has few.
select exists (select from offers where member = $1 and campaign is not distinct from $2 and offer is not distinct from $3 and order_id is not distinct from $4);

-- name: ReopenOffer :exec
update offers set state = 'open', closed_at = null where id = $1 and state in ('withdrawn', 'lapsed');

-- name: OpenReview :exec
insert into reviews (key, kind, campaign, journey, member, step, offer, event, detail, at, role, backup, about, otherwise, escalates_at, closes_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) on conflict (key) do nothing;

-- name: CloseReview :exec
-- One that a person has decided meanwhile stays as she decided it.
update reviews set state = sqlc.arg(state), decided_at = sqlc.arg(at) where key = sqlc.arg(key) and state = 'open';

-- name: SettleCall :execrows
-- What is settled already is left alone.
with settled as (
    update messages m
       set state = sqlc.arg(state)::text, reason = sqlc.arg(reason)::text, channel = 'call', due_at = null,
           sent_at = case when sqlc.arg(state)::text = 'sent' then clock_timestamp() end
     where m.key = sqlc.arg(key)::text and m.kind = 'call' and m.state not in ('sent', 'refused', 'failed', 'dropped')
    returning m.key
)
update effects e set state = sqlc.arg(effect)::text, reason = sqlc.arg(reason)::text, settled_at = clock_timestamp()
  from settled s where e.key = s.key;

-- name: GiveUpCall :exec
-- One that was being made may have arrived; it is made no more either way.
with given_up as (
    update messages m
       set state = case when m.state = 'claimed' then 'dropped' else 'failed' end, reason = sqlc.arg(reason)::text, due_at = null
     where m.key = sqlc.arg(key)::text and m.kind = 'call' and m.state not in ('sent', 'refused', 'failed', 'dropped')
    returning m.key, m.state
)
update effects e set state = g.state, reason = sqlc.arg(reason)::text, settled_at = clock_timestamp()
  from given_up g where e.key = g.key;
