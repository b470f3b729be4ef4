package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
	"github.com/banyanhq/banyan/worker"
)

// Every connection is inside a transaction whose campaign nobody has loaded yet. Were
// the one that loads it to ask for another connection, all would wait for ever.
func TestAColdProgramNeedsNoSecondConnection(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.submit(shop, 1, time.Time{})
	ctx, cancel := context.WithTimeout(f.ctx, time.Minute)
	defer cancel()
	all := f.store.MaxConns() - f.store.ConnsInUse()
	inside := sync.WaitGroup{}
	inside.Add(all)
	seen := make(chan error, all)
	for i := range all {
		member := fmt.Sprintf("m-%d", i)
		f.events(paid("seed-"+member, member, "other", "1.00", time.Now()))
		go func() {
			seen <- f.store.InEntry(ctx, []string{member}, func(tx *store.EntryTx) error {
				inside.Done()
				inside.Wait()
				c, err := tx.Campaign(ctx, "shop")
				if err == nil {
					_, err = f.router.Taker.ByAPI(ctx, tx, member, c, "sale", nil)
				}
				return err
			})
		}()
	}
	// The router looks at the running campaigns outside of any transaction meanwhile.
	inside.Wait()
	digest := f.text(`select digest from campaign_versions`)
	if _, err := f.programs.Program(ctx, f.store, digest); err != nil {
		t.Fatal(err)
	}
	for range all {
		if err := <-seen; err != nil {
			t.Fatal(err)
		}
	}
}

// counting counts the statements that hold a text.
type counting struct {
	text string
	each func(n int64) // nil: nobody is told of each
	n    atomic.Int64
}

func (c *counting) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	if strings.Contains(q.SQL, c.text) {
		if n := c.n.Add(1); c.each != nil {
			c.each(n)
		}
	}
	return ctx
}

func (*counting) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// A worker that shares the programs of the router beside it loads and compiles none that
// the router knows.
func TestAWorkerSharesTheProgramsOfItsRouter(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	name := f.submit(greeting, 1, time.Time{})
	if _, err := f.programs.Program(f.ctx, f.store, f.text(`select digest from campaign_versions`)); err != nil {
		t.Fatal(err)
	}
	loads := &counting{text: "DefinitionByDigest"}
	own, err := store.Open(f.ctx, f.dsn, store.WithTracer(loads))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Close)
	f.runRouter()
	f.run(func(ctx context.Context) error {
		return worker.Run(ctx, worker.Config{
			Store: own, Client: f.client, Channels: f.channels, Default: "webhook", Programs: f.programs, Log: f.log,
		})
	})
	f.events(paid("in", "m-1", "trial", "9.90", f.now(name)))
	f.until("her message is out", func() bool { return f.count(`select count(*) from messages where state = 'sent'`) == 1 })
	if n := loads.n.Load(); n != 0 {
		t.Errorf("it loaded %d definitions that the router knew", n)
	}
	// What nobody knows it does load.
	if _, err := turn.NewCache().Program(f.ctx, own, f.text(`select digest from campaign_versions`)); err != nil || loads.n.Load() != 1 {
		t.Errorf("%d loads were seen, %v", loads.n.Load(), err)
	}
}
