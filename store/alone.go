package store

import (
	"context"

	"github.com/banyanhq/banyan/campaign"
)

// orAlone does something with all of a list at once or, where that fails, with each alone: so
// one row that nobody foresaw keeps no other from being done. It answers how many were done,
// and the first error. Where the database is away, or somebody has its rows, it is not tried.
func orAlone[T any](ctx context.Context, list []T, do func([]T) error) (done int, err error) {
	if err = do(list); err == nil {
		return len(list), nil
	}
	if len(list) == 1 || away(ctx, err) {
		return 0, err
	}
	return eachAlone(ctx, list, func(one T) error { return do([]T{one}) })
}

// eachAlone does something with each of a list, as orAlone does.
func eachAlone[T any](ctx context.Context, list []T, do func(T) error) (done int, err error) {
	for _, one := range list {
		switch e := do(one); {
		case e == nil:
			done++
		case away(ctx, e):
			return done, e
		case err == nil:
			err = e
		}
	}
	return done, err
}

func away(ctx context.Context, err error) bool {
	return ctx.Err() != nil || unavailable(err) || campaign.CodeOf(err) == campaign.CodeUnavailable
}

// swept is what a sweep answers: how many it has found, and none where it could do nothing
// about any of them and would find them again.
func swept(found, done int) int {
	if done == 0 {
		return 0
	}
	return found
}
