package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// IntentsChannel is the NOTIFY channel that wakes routers.
const IntentsChannel = "banyan_intents"

// notifier wakes the routers after a commit. NOTIFY inside the transactions that write
// intents would be simpler, but PostgreSQL holds one lock for the whole cluster from
// there to the end of the commit, so that single events would be stored one by one.
// Here any number of commits share one notification. It may be lost with the process;
// routers poll as well.
//
// The first commit is told of at once, those soon after it together: a router that has
// been woken works until there is nothing left, so telling it more often does nothing but
// take a connection and a core from the work itself.
type notifier struct {
	wake chan struct{}
	quit context.CancelFunc
	done chan struct{}
}

const (
	notifyTimeout = 5 * time.Second
	// notifyEvery is the least time between two notifications: a hundred a second cost
	// next to nothing, and nobody sees ten milliseconds in a message's way.
	notifyEvery = 10 * time.Millisecond
)

// The commit of a notification has nothing to keep, so it does not wait for the disk.
const notifySQL = "begin; set local synchronous_commit = off; notify " + IntentsChannel + "; commit"

func startNotifier(pool *pgxpool.Pool) *notifier {
	ctx, quit := context.WithCancel(context.Background())
	n := &notifier{wake: make(chan struct{}, 1), quit: quit, done: make(chan struct{})}
	go func() {
		defer close(n.done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-n.wake:
			}
			n.send(ctx, pool)
			select {
			case <-ctx.Done():
				return
			case <-time.After(notifyEvery):
			}
		}
	}()
	return n
}

func (n *notifier) send(ctx context.Context, pool *pgxpool.Pool) {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return // routers poll
	}
	defer conn.Release()
	// Several statements in one text need the simple protocol.
	_, _ = conn.Conn().PgConn().Exec(ctx, notifySQL).ReadAll()
}

func (n *notifier) stop() {
	n.quit()
	<-n.done
}

// Notify wakes the routers soon. Whoever commits an intent calls it afterwards.
func (s *Store) Notify() {
	select {
	case s.notifier.wake <- struct{}{}:
	default: // one is on its way that has not been sent yet, and will do for this too
	}
}
