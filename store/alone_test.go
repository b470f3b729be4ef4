package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

// What cannot be swept of one member is told of, and keeps nobody else's from being swept; and
// a sweep that finds nothing else says that it has found nothing.
func TestABadRowHoldsUpNoSweep(t *testing.T) {
	t.Parallel()
	h := newHall(t, open(t), "club", "  expires: 10d\n", "", nil)
	ctx := t.Context()
	now, err := h.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		member := fmt.Sprint("m-", i)
		h.happens(t, bought("b-"+member, member, "o-"+member, "100", now))
		if _, err := h.Reserve(ctx, store.Redemption{ID: "x-" + member, Member: member, Points: 4, Order: "o", Span: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	reward := coupons(campaign.CodesGenerated)
	k, name := newTill(t, h.Store, nil, 3, reward)
	if _, err := k.grant(ctx, wishesOf(k, name, &reward), nil); err != nil {
		t.Fatal(err)
	}
	sweeper := &turn.Sweeper{Taker: h.taker, Store: h.Store}
	for _, c := range []struct {
		what  string
		due   string // lets it end
		bad   string // and makes one of them fail
		sweep func() (int, error)
		left  string
	}{
		{
			"redemptions", `update redemptions set expires_at = clock_timestamp() - interval '1 second'`,
			`alter table redemptions add constraint bad check (member <> 'm-1' or state <> 'expired')`,
			func() (int, error) { return h.ExpireRedemptions(ctx, 10) }, `select count(*) from redemptions where state = 'reserved'`,
		},
		{
			"points", `with b as (update point_batches set ends_at = clock_timestamp() - interval '1 second' returning member, ends_at)
				update members m set points_end = b.ends_at from b where b.member = m.id`,
			`alter table point_batches add constraint bad check (member <> 'm-1' or expired = 0)`,
			func() (int, error) { return h.ExpirePoints(ctx, 10) }, `select count(*) from point_batches where remaining > 0`,
		},
		{
			"coupons", `update coupons set ends_at = clock_timestamp() - interval '90 days'`,
			`alter table coupons add constraint bad check (state <> 'expired' or member not like '%-2')`,
			func() (int, error) { return h.ExpireCoupons(ctx, 10) }, `select count(*) from coupons where state = 'granted'`,
		},
		{
			"levels", `update point_members set due_at = clock_timestamp() - interval '1 second'`,
			`alter table point_members add constraint bad check (member <> 'm-1' or due_at is not null)`,
			func() (int, error) { return sweeper.Levels(ctx, 10) }, `select count(*) from point_members where due_at is not null`,
		},
	} {
		h.exec(t, c.due)
		h.exec(t, c.bad)
		if n, err := c.sweep(); err == nil || n != 3 {
			t.Errorf("%s: %d were found, %v; want 3 and what cannot be swept", c.what, n, err)
		}
		if n := h.number(t, c.left); n != 1 {
			t.Errorf("%s: %d are left, want the one that cannot be swept", c.what, n)
		}
		if n, err := c.sweep(); n != 0 || (err == nil) != (c.what == "levels") { // whoever's level cannot be decided is put off
			t.Errorf("%s once more: %d, %v", c.what, n, err)
		}
	}
}
