package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// listenRetry is how long a listener waits before it connects again. Routers poll
// meanwhile, so nothing depends on it.
const listenRetry = time.Second

// Listen answers a channel that receives soon after intents were committed, by
// whatever process, until ctx is done. It holds a connection of its own outside the
// pool. A notification may be lost: whoever listens polls as well. The channel is
// closed when ctx is done.
func (s *Store) Listen(ctx context.Context) <-chan struct{} {
	woken := make(chan struct{}, 1)
	go func() {
		defer close(woken)
		for ctx.Err() == nil {
			_ = s.listen(ctx, woken)
			timer := time.NewTimer(listenRetry)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
		}
	}()
	return woken
}

func (s *Store) listen(ctx context.Context, woken chan<- struct{}) error {
	cfg := s.pool.Config().ConnConfig.Copy()
	// It waits for hours on purpose.
	delete(cfg.RuntimeParams, "statement_timeout")
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "listen "+IntentsChannel); err != nil {
		return err
	}
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
		select {
		case woken <- struct{}{}:
		default:
		}
	}
}
