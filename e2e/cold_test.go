package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/store"
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
