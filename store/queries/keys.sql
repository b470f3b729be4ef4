-- name: InsertKey :one
insert into api_keys (name, hash, prefix, scopes, expires_at) values (
    sqlc.arg(name), sqlc.arg(hash), sqlc.arg(prefix), sqlc.arg(scopes)::text[], sqlc.narg(expires_at)
) returning *;

-- name: KeyByHash :one
select * from api_keys
 where hash = $1 and revoked_at is null and (expires_at is null or expires_at > clock_timestamp());

-- name: ListKeys :many
select id, name, prefix, scopes, created_at, expires_at, revoked_at from api_keys order by id;

-- name: RevokeKey :execrows
update api_keys set revoked_at = coalesce(revoked_at, clock_timestamp()) where id = $1;

-- name: PutBootstrapKey :exec
insert into api_keys (name, hash, prefix, scopes) values (sqlc.arg(name), sqlc.arg(hash), '', '{admin}')
on conflict (hash) do update set revoked_at = null, scopes = '{admin}';

-- name: RevokeOtherBootstrapKeys :exec
update api_keys set revoked_at = clock_timestamp()
 where name = sqlc.arg(name) and hash <> sqlc.arg(hash) and revoked_at is null;

-- name: BeginIdempotent :execrows
-- A first call that never came back (its process died) gives its place to the next after a while.
insert into idempotency as i (api_key, key, request_hash)
values (sqlc.arg(api_key), sqlc.arg(key), sqlc.arg(request_hash))
on conflict (api_key, key) do update set created_at = now()
 where i.status is null and i.request_hash = excluded.request_hash
   and i.created_at < now() - make_interval(secs => sqlc.arg(abandoned_after)::float8);

-- name: GetIdempotent :one
select request_hash, status, body from idempotency where api_key = $1 and key = $2;

-- name: FinishIdempotent :exec
update idempotency set status = sqlc.arg(status)::int, body = sqlc.arg(body) where api_key = sqlc.arg(api_key) and key = sqlc.arg(key);

-- name: ForgetIdempotent :exec
delete from idempotency where api_key = $1 and key = $2 and status is null;

-- name: PruneIdempotent :execrows
delete from idempotency where created_at < now() - make_interval(secs => sqlc.arg(older_than)::float8);
