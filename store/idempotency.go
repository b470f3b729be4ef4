package store

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Answer is a stored answer to a request.
type Answer struct {
	Status int
	Body   []byte
}

const (
	// idempotentAbandoned is after how long a first call that never answered is given
	// up: its process has died, for no request may take so long.
	idempotentAbandoned = 2 * time.Minute
	idempotentKept      = 7 * 24 * time.Hour
)

// BeginIdempotent claims a caller's Idempotency-Key for a request. An answer that is
// not nil was given to this request before and is to be given again; nil means that
// the caller goes on, and ends with FinishIdempotent or ForgetIdempotent.
func (s *Store) BeginIdempotent(ctx context.Context, apiKey int64, key string, requestHash []byte) (*Answer, error) {
	claimed, err := s.queries.BeginIdempotent(ctx, apiKey, key, requestHash, idempotentAbandoned.Seconds())
	if err != nil {
		return nil, translate(err, "claim the idempotency key")
	}
	if claimed == 1 {
		return nil, nil
	}
	row, err := s.queries.GetIdempotent(ctx, apiKey, key)
	switch {
	case err != nil:
		return nil, found(err, "idempotency key", key)
	case subtle.ConstantTimeCompare(row.RequestHash, requestHash) != 1:
		return nil, campaign.Errorf(campaign.CodeInvalid, "this Idempotency-Key was used for another request; a new request needs a new key")
	case row.Status == nil:
		return nil, campaign.Errorf(campaign.CodeConflict, "the first request with this Idempotency-Key is still at work; ask again in a moment")
	}
	return &Answer{int(*row.Status), row.Body}, nil
}

// FinishIdempotent keeps the answer for whoever asks again.
func (s *Store) FinishIdempotent(ctx context.Context, apiKey int64, key string, a Answer) error {
	return translate(s.queries.FinishIdempotent(ctx, int32(a.Status), a.Body, apiKey, key), "keep the answer")
}

// ForgetIdempotent frees the key after a failure of ours, so that the caller can try
// again.
func (s *Store) ForgetIdempotent(ctx context.Context, apiKey int64, key string) error {
	return translate(s.queries.ForgetIdempotent(ctx, apiKey, key), "free the idempotency key")
}

// PruneIdempotent drops answers that are older than a week.
func (s *Store) PruneIdempotent(ctx context.Context) (int64, error) {
	n, err := s.queries.PruneIdempotent(ctx, idempotentKept.Seconds())
	return n, translate(err, "drop old idempotency keys")
}
