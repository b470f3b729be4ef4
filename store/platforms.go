package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// tokenKind stands for the kind of an identity where a token is sealed.
const tokenKind campaign.IdentityKind = "token"

// SharedToken gives the token of an account that is good. Where there is none, fetch gets a
// new one, under the row's lock: whoever else asks meanwhile waits, and gets the same.
func (s *Store) SharedToken(ctx context.Context, account string, good func(token string, expires time.Time) bool,
	fetch func(context.Context) (token string, expires time.Time, err error),
) (token string, expires time.Time, err error) {
	sealer, err := s.sealer(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	var failed error // the platform's own, which says more than PostgreSQL's could
	err = s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		if err := q.AddPlatformToken(ctx, account); err != nil {
			return err
		}
		row, err := q.LockPlatformToken(ctx, account)
		if err != nil {
			return err
		}
		if row.ExpiresAt != nil {
			// One that cannot be opened any more is as good as none.
			if known, err := sealer.open("", tokenKind, account, row.Token, row.Sealed); err == nil && good(known, *row.ExpiresAt) {
				token, expires = known, *row.ExpiresAt
				return nil
			}
		}
		if token, expires, failed = fetch(ctx); failed != nil {
			return failed
		}
		stored, sealed := sealer.seal("", tokenKind, account, token)
		return q.SetPlatformToken(ctx, stored, sealed, &expires, account)
	})
	if failed != nil {
		return "", time.Time{}, failed
	}
	return token, expires, translate(err, "share a token")
}

const (
	sendSlot = 10 * time.Second // in step with platform_sends

	lockSendsSQL = `select pg_advisory_xact_lock(hashtextextended($1 || ' ' || encode($2, 'hex'), 0))`

	// A slot counts as long as any moment of it lies in the span.
	countSendsSQL = `
select coalesce(sum(sends) filter (where slot > clock_timestamp() - interval '70 seconds'), 0)::int, coalesce(sum(sends), 0)::int
  from platform_sends where account = $1 and receiver = $2 and slot > clock_timestamp() - interval '1 hour 10 seconds'`

	takeSendSQL = `
insert into platform_sends as s (account, receiver, slot, sends)
values ($1, $2, date_bin('10 seconds', clock_timestamp(), timestamptz 'epoch'), 1)
on conflict (account, receiver, slot) do update set sends = s.sends + 1`
)

// TakeSend counts one message to a receiver of an account, over all processes. Where so
// many have gone to it in the last minute or hour already, it counts none and says when to
// ask again.
func (s *Store) TakeSend(ctx context.Context, account, receiver string, perMinute, perHour int) (wait time.Duration, err error) {
	sealer, err := s.sealer(ctx)
	if err != nil {
		return 0, err
	}
	hash := sealer.hashOf("receiver", account, receiver)
	err = s.inQuickTx(ctx, func(tx pgx.Tx, _ *db.Queries) error {
		wait = 0
		if _, err := tx.Exec(ctx, lockSendsSQL, account, hash); err != nil {
			return err
		}
		var minute, hour int
		if err := tx.QueryRow(ctx, countSendsSQL, account, hash).Scan(&minute, &hour); err != nil {
			return err
		}
		switch {
		case hour >= perHour:
			wait = time.Minute
		case minute >= perMinute:
			wait = sendSlot
		default:
			_, err := tx.Exec(ctx, takeSendSQL, account, hash)
			return err
		}
		return nil
	})
	return wait, translate(err, "count a message")
}

// forgetSendsSQL takes what lies behind every span that is counted.
const forgetSendsSQL = `
delete from platform_sends where ctid = any (array(
       select ctid from platform_sends where slot < clock_timestamp() - interval '2 hours' order by slot limit $1 for update skip locked))`

// ForgetSends drops what counts no more of how much receivers got, at most so many rows, and
// says how many.
func (s *Store) ForgetSends(ctx context.Context, most int) (n int, err error) {
	tag, err := s.pool.Exec(ctx, forgetSendsSQL, most)
	return int(tag.RowsAffected()), translate(err, "forget how much receivers got")
}
