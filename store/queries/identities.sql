-- name: MembersAmong :many
select id from members where id = any (sqlc.arg(ids)::text[]);

-- name: MemberIdentities :many
select * from identities where member = $1 order by kind, account;

-- name: MembersOfAddress :many
select member from identities where kind = $1 and account = $2 and hash = $3 order by member limit 100;

-- name: RemoveIdentity :execrows
-- A "no" outlives its address: somebody who is told of again must not be written to.
with gone as (
    delete from identities d where d.member = $1 and d.kind = $2 and d.account = $3 and d.state <> 'opted_out' returning d.id
), kept as (
    update identities u set address = null, hash = null, sealed = false, updated_at = now()
     where u.member = $1 and u.kind = $2 and u.account = $3 and u.state = 'opted_out' returning u.id
)
select id from gone union all select id from kept;

-- name: EraseIdentities :execrows
delete from identities where member = $1;

-- name: OptOutIdentity :execrows
update identities set state = 'opted_out', reason = sqlc.arg(reason), state_at = now(), updated_at = now()
 where id = sqlc.arg(id) and state <> 'opted_out';

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

