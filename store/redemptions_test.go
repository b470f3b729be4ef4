package store_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// gift gives each of the till's members some points.
func (k *till) gift(tb testing.TB, reward *campaign.Reward, times int) {
	tb.Helper()
	for i := range times {
		var wishes []wish
		for _, row := range k.rows {
			wishes = append(wishes, wish{row, fmt.Sprintf("gift/%d/%d", row, i), reward})
		}
		if _, err := k.grant(tb.Context(), wishes, nil); err != nil {
			tb.Fatal(err)
		}
	}
}

func (k *till) points(tb testing.TB, member string) int64 {
	tb.Helper()
	return k.number(tb, `select points from members where id = $1`, member)
}

// Reserve, then capture or cancel: what is reserved is not hers to spend, what is captured
// is gone, and what is asked again is answered as before.
func TestRedemption(t *testing.T) {
	s := open(t)
	reward := campaign.Reward{Name: "gift", Points: 100}
	k, name := newTill(t, s, nil, 2, reward)
	k.gift(t, &reward, 1)
	ctx, member, other := t.Context(), name+"-1", name+"-2"
	ask := store.Redemption{ID: "r-1", Member: member, Points: 60, Order: "o-1", Span: time.Hour}
	first, err := s.Reserve(ctx, ask)
	if err != nil || first.State != store.RedemptionReserved || first.ExpiresAt.Sub(first.ReservedAt) != time.Hour || k.points(t, member) != 40 {
		t.Fatalf("%+v, %v, %d points left", first, err, k.points(t, member))
	}
	if again, err := s.Reserve(ctx, ask); err != nil || again != first || k.points(t, member) != 40 {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	for _, c := range []struct {
		what string
		ask  store.Redemption
		code campaign.Code
		says string
	}{
		{"other points", store.Redemption{ID: "r-1", Member: member, Points: 61, Order: "o-1", Span: time.Hour}, campaign.CodeConflict, "another one"},
		{"another order", store.Redemption{ID: "r-1", Member: member, Points: 60, Order: "o-2", Span: time.Hour}, campaign.CodeConflict, "another one"},
		{"another member", store.Redemption{ID: "r-1", Member: other, Points: 60, Order: "o-1", Span: time.Hour}, campaign.CodeConflict, "another one"},
		{"another span", store.Redemption{ID: "r-1", Member: member, Points: 60, Order: "o-1", Span: time.Minute}, campaign.CodeConflict, "another one"},
		{"too many", store.Redemption{ID: "r-2", Member: member, Points: 41, Order: "o-2", Span: time.Hour}, campaign.CodeConflict, "has 40 points, 41"},
		{"the most", store.Redemption{ID: "r-2", Member: member, Points: math.MaxInt64, Order: "o-2", Span: time.Hour}, campaign.CodeInvalid, "1 to"},
		{"none", store.Redemption{ID: "r-2", Member: member, Order: "o-2", Span: time.Hour}, campaign.CodeInvalid, "1 to"},
		{"less than none", store.Redemption{ID: "r-2", Member: member, Points: -5, Order: "o-2", Span: time.Hour}, campaign.CodeInvalid, "1 to"},
		{"no time", store.Redemption{ID: "r-2", Member: member, Points: 5, Order: "o-2"}, campaign.CodeInvalid, "30d"},
		{"too long", store.Redemption{ID: "r-2", Member: member, Points: 5, Order: "o-2", Span: 31 * 24 * time.Hour}, campaign.CodeInvalid, "30d"},
		{"nobody", store.Redemption{ID: "r-2", Member: "nobody", Points: 5, Order: "o-2", Span: time.Hour}, campaign.CodeNotFound, "nobody"},
	} {
		_, err := s.Reserve(ctx, c.ask)
		if campaign.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if n := k.number(t, `select count(*) from redemptions`); n != 1 {
		t.Errorf("%d redemptions are stored", n)
	}
	for range 2 {
		if r, err := s.Capture(ctx, "r-1"); err != nil || r.State != store.RedemptionCaptured || r.ClosedAt.IsZero() || k.points(t, member) != 40 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if _, err := s.Cancel(ctx, "r-1"); campaign.CodeOf(err) != campaign.CodeConflict || !strings.Contains(err.Error(), "captured at") {
		t.Errorf("cancelled after it was captured: %v", err)
	}
	if _, err := s.Reserve(ctx, store.Redemption{ID: "r-3", Member: member, Points: 40, Order: "o-3", Span: time.Hour}); err != nil {
		t.Error(err)
	}
	for range 2 {
		if r, err := s.Cancel(ctx, "r-3"); err != nil || r.State != store.RedemptionCancelled || k.points(t, member) != 40 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if _, err := s.Capture(ctx, "r-3"); campaign.CodeOf(err) != campaign.CodeConflict || !strings.Contains(err.Error(), "cancelled at") {
		t.Errorf("captured after it was cancelled: %v", err)
	}
	for _, do := range []func() error{
		func() error { _, err := s.Capture(ctx, "none"); return err },
		func() error { _, err := s.Cancel(ctx, "none"); return err },
		func() error { _, err := s.Redemption(ctx, "none"); return err },
		func() error { _, err := s.MemberRedemptions(ctx, "nobody", "", 10); return err },
	} {
		if err := do(); campaign.CodeOf(err) != campaign.CodeNotFound {
			t.Errorf("unknown: %v", err)
		}
	}
	list, err := s.MemberRedemptions(ctx, member, "", 1)
	if err != nil || len(list) != 1 || list[0].ID != "r-3" {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err = s.MemberRedemptions(ctx, member, "r-3", 10); err != nil || len(list) != 1 || list[0].ID != "r-1" {
		t.Errorf("%+v, %v", list, err)
	}
	k.sound(t)
}

// At its last moment a reservation can be captured, after it no more; then its points are
// the member's again, given back by the sweep or when she next needs them, once.
func TestReservationsExpire(t *testing.T) {
	s := open(t)
	reward := campaign.Reward{Name: "gift", Points: 100}
	k, name := newTill(t, s, nil, 3, reward)
	k.gift(t, &reward, 1)
	ctx := t.Context()
	reserve := func(i int, id string) error {
		_, err := s.Reserve(ctx, store.Redemption{ID: id, Member: fmt.Sprintf("%s-%d", name, i), Points: 100, Order: "o", Span: time.Hour})
		return err
	}
	over := func(id string) {
		t.Helper()
		if _, err := s.Pool().Exec(ctx, `update redemptions set expires_at = clock_timestamp() - interval '1 microsecond' where id = $1`, id); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if err := reserve(i+1, fmt.Sprintf("r-%d", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.ExpireRedemptions(ctx, 10); err != nil || n != 0 {
		t.Fatalf("%d had expired, %v", n, err)
	}
	over("r-1")
	over("r-2")
	if _, err := s.Capture(ctx, "r-1"); campaign.CodeOf(err) != campaign.CodeConflict || !strings.Contains(err.Error(), "ended at") {
		t.Errorf("captured too late: %v", err)
	}
	if r, err := s.Cancel(ctx, "r-1"); err != nil || r.State != store.RedemptionExpired {
		t.Errorf("cancelled too late: %+v, %v", r, err)
	}
	if err := reserve(2, "r-2b"); err != nil {
		t.Errorf("what she let expire was not hers again: %v", err)
	}
	over("r-2b")
	over("r-3")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := s.ExpireRedemptions(ctx, 10); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range 3 {
		if n := k.points(t, fmt.Sprintf("%s-%d", name, i+1)); n != 100 {
			t.Errorf("member %d has %d points", i+1, n)
		}
	}
	if _, err := s.Capture(ctx, "r-3"); campaign.CodeOf(err) != campaign.CodeConflict || !strings.Contains(err.Error(), "ended at") {
		t.Errorf("captured after the sweep: %v", err)
	}
	k.sound(t)
}

// However much a member let expire, a sweep takes so much at a time, and she herself what
// she asks for.
func TestASweepIsBounded(t *testing.T) {
	s := open(t)
	reward := campaign.Reward{Name: "gift", Points: 1000}
	k, name := newTill(t, s, nil, 1, reward)
	k.gift(t, &reward, 1)
	ctx, member := t.Context(), name+"-1"
	for i := range 10 {
		if _, err := s.Reserve(ctx, store.Redemption{ID: fmt.Sprintf("r-%d", i), Member: member, Points: 100, Order: "o", Span: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Pool().Exec(ctx, `update redemptions set expires_at = clock_timestamp() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{300, 600, 900, 1000} {
		n, err := s.ExpireRedemptions(ctx, 3)
		if err != nil || n != min(3, 10-3*i) || k.points(t, member) != want {
			t.Errorf("sweep %d: %d, %v; she has %d points, want %d", i, n, err, k.points(t, member), want)
		}
	}
	k.sound(t)
}

// 64 clients want the points of one member, and then capture and cancel what they got: no
// point is spent twice, and each redemption comes to one end.
func TestRedemptionsAreExact(t *testing.T) {
	s := open(t)
	reward := campaign.Reward{Name: "gift", Points: 100}
	k, name := newTill(t, s, nil, 1, reward)
	k.gift(t, &reward, 2)
	ctx, member := t.Context(), name+"-1"
	var (
		all     sync.WaitGroup
		mu      sync.Mutex
		got     []string
		refused atomic.Int64
	)
	for i := range 64 {
		all.Go(func() {
			id := fmt.Sprintf("r-%d", i/2) // two ask for each
			_, err := s.Reserve(ctx, store.Redemption{ID: id, Member: member, Points: 11, Order: "o", Span: time.Hour})
			switch {
			case err == nil:
				mu.Lock()
				got = append(got, id)
				mu.Unlock()
			case campaign.CodeOf(err) == campaign.CodeConflict:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	slices.Sort(got)
	if len(got) != 36 || len(slices.Compact(got)) != 18 || refused.Load() != 28 || k.points(t, member) != 2 {
		t.Errorf("%d were told of a reservation, %d refused, %d points left; want 18 reservations of 11 of 200", len(got), refused.Load(), k.points(t, member))
	}
	var captured, cancelled atomic.Int64
	for i := range 18 * 4 {
		all.Go(func() {
			do, ended := s.Capture, &captured
			if i%2 == 0 {
				do, ended = s.Cancel, &cancelled
			}
			if _, err := do(ctx, slices.Compact(got)[i/4]); err == nil {
				ended.Add(1)
			} else if campaign.CodeOf(err) != campaign.CodeConflict {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if captured.Load()+cancelled.Load() != 36 {
		t.Errorf("%d captured, %d cancelled, and two of each four succeed", captured.Load(), cancelled.Load())
	}
	if n := k.points(t, member); n != 200-11*captured.Load()/2 {
		t.Errorf("%d points left after %d were captured", n, captured.Load()/2)
	}
	k.sound(t)
}
