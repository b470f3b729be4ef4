package store

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/store/db"
)

// A transaction that PostgreSQL broke off to resolve a conflict is tried again, five
// times in all: by then the other side of the conflict has long been through.
const (
	txTries     = 5
	txFirstWait = 5 * time.Millisecond
)

// inTx runs do in one transaction (read committed), again from the start when
// PostgreSQL broke it off because of a deadlock or a serialization failure. So do must
// keep nothing from a try that failed.
func (s *Store) inTx(ctx context.Context, do func(tx pgx.Tx, q *db.Queries) error) error {
	return retry(ctx, func() error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return do(tx, s.queries.WithTx(tx)) })
	})
}

// inQuickTx is inTx for transactions that look everything up by a key, see planOnceSQL.
func (s *Store) inQuickTx(ctx context.Context, do func(tx pgx.Tx, q *db.Queries) error) error {
	return s.inTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		if _, err := tx.Exec(ctx, planOnceSQL); err != nil {
			return err
		}
		return do(tx, q)
	})
}

// quick runs one statement that looks everything up by a key, see planOnceSQL, in a
// transaction and a round trip of its own.
func (s *Store) quick(ctx context.Context, read func(pgx.BatchResults) error, sql string, args ...any) error {
	return retry(ctx, func() error {
		var batch pgx.Batch
		batch.Queue(planOnceSQL)
		batch.Queue(sql, args...)
		return inBatch(s.pool.SendBatch(ctx, &batch), func(r pgx.BatchResults) error {
			if _, err := r.Exec(); err != nil {
				return err
			}
			return read(r)
		})
	})
}

// inSnapshot runs do in a read-only transaction that sees one moment, for reports
// whose numbers must agree with each other.
func (s *Store) inSnapshot(ctx context.Context, do func(tx pgx.Tx, q *db.Queries) error) error {
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return retry(ctx, func() error {
		return pgx.BeginTxFunc(ctx, s.pool, opts, func(tx pgx.Tx) error { return do(tx, s.queries.WithTx(tx)) })
	})
}

func retry(ctx context.Context, do func() error) error {
	wait := txFirstWait
	for try := 1; ; try++ {
		err := do()
		if err == nil || try == txTries || !hasCode(err, pgSerialization) && !hasCode(err, pgDeadlock) {
			return err
		}
		// Full jitter: two that collided must not collide again in step.
		timer := time.NewTimer(rand.N(wait) + time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		wait *= 2
	}
}
