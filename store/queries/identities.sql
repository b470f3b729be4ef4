-- name: MemberIdentities :many
-- Of an address that was removed the row alone is left.
select * from identities where member = $1 and (address is not null or state <> 'reachable') order by kind, account;

-- name: MembersOfAddress :many
select member from identities where kind = $1 and account = $2 and hash = $3 order by member limit 100;

-- name: RemoveIdentity :execrows
-- A "no" outlives its address: somebody who is told of again must not be written to. The row
-- does too, because links in old mail name it.
update identities
   set address = null, hash = null, sealed = false, by_link = false, updated_at = now(),
       state = case when state = 'opted_out' then state else 'reachable' end, reason = case when state = 'opted_out' then reason else '' end,
       state_at = case when state = 'reachable' or state = 'opted_out' then state_at else now() end
 where member = $1 and kind = $2 and account = $3 and (address is not null or state <> 'reachable');

-- name: EraseIdentities :execrows
delete from identities where member = $1;

-- name: OptOutByLink :execrows
-- Who follows the link reads that mailbox, and says no for it: to whichever member it
-- belongs.
update identities
   set state = 'opted_out', by_link = true, updated_at = now(),
       reason = case when state = 'opted_out' then reason else sqlc.arg(reason) end,
       state_at = case when state = 'opted_out' then state_at else now() end
 where not by_link and id = any (array(
       select sqlc.arg(identity)::bigint
        union
       select o.id from identities me join identities o on o.kind = me.kind and o.account = me.account and o.hash = me.hash
        where me.id = sqlc.arg(identity)));

-- name: IdentityExists :one
select exists (select from identities where id = $1);

-- name: DataKey :one
select wrapped from data_keys where id = 1;

-- name: PutDataKey :exec
insert into data_keys (id, wrapped) values (1, $1) on conflict do nothing;

-- name: RewrapDataKey :exec
update data_keys set wrapped = sqlc.arg(new) where id = 1 and wrapped = sqlc.arg(old);

-- name: PlainIdentities :many
select id, member, kind, account, address from identities
 where address is not null and not sealed and id > sqlc.arg(after) order by id limit 500 for update;

-- name: SealIdentity :exec
update identities set address = sqlc.arg(address), hash = sqlc.arg(hash), sealed = true where id = sqlc.arg(id);

