package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/store"
)

// An order goes back while its points, which have an end, are reserved: they are taken from what
// the member has else, and not a second time when the reservation is given up and they end.
func TestPointsAreTakenBackOnce(t *testing.T) {
	text := strings.Replace(shop, "  first: {points: 100, budget: 1000000}\n  debt: {points: 50, on_refund: claw_back_in_full}\n",
		"  first: {points: 100, expires: 30d}\n  debt: {points: 300, on_refund: keep}\n", 1)
	for i, c := range []struct {
		amount      string
		room, after int
	}{{"", 0, 300}, {"50.00", 50, 350}} {
		t.Run(fmt.Sprint("case ", i), func(t *testing.T) {
			p, s := newShopOf(t, text, 1, 1, 2)
			ctx, m := t.Context(), s[0].member
			p.pays(s[0], "o-1", "100.00", p.now())
			if _, err := p.Reserve(ctx, store.Redemption{ID: "x", Member: m, Points: 100, Order: "o", Span: time.Hour}); err != nil {
				t.Fatal(err)
			}
			p.goesBack(s[0], "r-1", "o-1", c.amount)
			if _, err := p.Cancel(ctx, "x"); err != nil {
				t.Fatal(err)
			}
			if n := p.count(`select remaining from point_batches where member = $1`, m); n != c.room {
				t.Errorf("%d points came back into the batch, want %d", n, c.room)
			}
			if n := p.count(`select points from members where id = $1`, m); n != c.after {
				t.Errorf("%d points after the cancel, want %d", n, c.after)
			}
			p.examined()
			endBatches(t, p.Store)
			if n := p.count(`select points from members where id = $1`, m); n != 300 {
				t.Errorf("%d points after the end of what the order gave, want 300", n)
			}
			p.examined()
		})
	}
}

// The same with points that rules gave and that an event reverses.
func TestPointsAreReversedOnce(t *testing.T) {
	t.Parallel()
	h := newHall(t, open(t), "club", "  expires: 10d\n", "", nil)
	now, err := h.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.happens(t, bought("b/1", "m", "o-1", "100", now.Add(-24*time.Hour)), bought("b-2", "m", "o-2", "100", now))
	if _, err := h.Reserve(t.Context(), store.Redemption{ID: "x", Member: "m", Points: 10, Order: "o", Span: time.Hour}); err != nil {
		t.Fatal(err)
	}
	h.happens(t, refunded("r-1", "m", "o-1", now))
	if _, err := h.Cancel(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if n := h.number(t, `select sum(remaining) from point_batches`); n != 0 || h.balance(t, "m") != 10 {
		t.Errorf("%d points have an end, and she has %d; want 0 and 10", n, h.balance(t, "m"))
	}
	h.sound(t)
	endBatches(t, h.Store)
	if n := h.balance(t, "m"); n != 10 {
		t.Errorf("%d points after the end of what was reversed, want 10", n)
	}
	h.sound(t)
}

// endBatches lets all points end that have an end.
func endBatches(t *testing.T, s *store.Store) {
	t.Helper()
	for _, sql := range []string{
		`update point_batches set ends_at = clock_timestamp() - interval '1 second'`,
		`update members m set points_end = (select min(ends_at) from point_batches b where b.member = m.id and remaining > 0)`,
	} {
		if _, err := s.Pool().Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.ExpirePoints(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
}
