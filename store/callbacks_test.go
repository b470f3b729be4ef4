package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// One payload by twenty ways at once is one callback, and is taken once.
func TestCallbackIsKeptOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	var (
		group sync.WaitGroup
		fresh atomic.Int64
		taken sync.Map
	)
	for i := range 20 {
		group.Go(func() {
			for n := range 3 {
				is, err := s.KeepCallback(t.Context(), "wecom", fmt.Sprint("ww", i%2), "", fmt.Appendf(nil, "payload %d", n))
				if err != nil {
					t.Error(err)
				}
				if is {
					fresh.Add(1)
				}
			}
		})
	}
	group.Wait()
	if fresh.Load() != 3 {
		t.Errorf("%d are new, want 3", fresh.Load())
	}
	for range 8 {
		group.Go(func() {
			got, err := s.TakeCallbacks(t.Context(), 2)
			if err != nil {
				t.Error(err)
			}
			for _, c := range got {
				if _, twice := taken.LoadOrStore(string(c.Payload), true); twice || c.Tries != 1 || c.Received.IsZero() {
					t.Errorf("%+v was taken twice: %t", c, twice)
				}
				if err := s.EndCallback(t.Context(), c.ID, ""); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if again, err := s.KeepCallback(t.Context(), "wecom", "ww0", "", []byte("payload 0")); err != nil || again {
		t.Errorf("what was done is new again: %v", err)
	}
	if n, err := s.ForgetCallbacks(t.Context(), 10); n != 0 || err != nil {
		t.Errorf("%d were forgotten at once, %v", n, err)
	}
}

// A member who is made for an address has always the same id, another one for every account.
func TestNewMemberID(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := func(account, address string) string {
		got, err := s.NewMemberID(t.Context(), campaign.IdentityOpenID, account, address)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first, again := id("wx1", "o-1"), id("wx1", "o-1")
	if first != again || id("wx1", "o-1") == id("wx2", "o-1") || id("wx1", "o-1") == id("wx1", "o-2") {
		t.Error("ids are not as told")
	}
	// Nobody has this address: nothing changes, and nothing is wrong.
	if err := s.Follow(t.Context(), campaign.IdentityOpenID, "wx1", "o-9", false, time.Now()); err != nil {
		t.Error(err)
	}
}
