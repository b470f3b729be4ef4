-- name: AddPlatformToken :exec
insert into platform_tokens (account) values ($1) on conflict do nothing;

-- name: LockPlatformToken :one
select token, sealed, expires_at from platform_tokens where account = $1 for update;

-- name: SetPlatformToken :exec
update platform_tokens set token = sqlc.arg(token), sealed = sqlc.arg(sealed), expires_at = sqlc.arg(expires_at) where account = sqlc.arg(account);
