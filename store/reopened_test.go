package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/store"
)

// migrates works a migration off.
func (p *party) migrates(m store.Migration, err error) store.Migration {
	p.t.Helper()
	for n := 1; n > 0 && err == nil; {
		n, err = p.taker.Migrate(p.t.Context())
	}
	if err == nil {
		m, err = p.Migration(p.t.Context(), m.Campaign, m.ID)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

// submits stores another version of the campaign.
func (p *party) submits(source string) {
	p.t.Helper()
	def, problems := definitions.Check("together.yaml", []byte(source))
	if def == nil {
		p.t.Fatal(problems.Text(false))
	}
	if _, err := p.Submit(p.t.Context(), def, []byte(source)); err != nil {
		p.t.Fatal(err)
	}
}

// A move is taken back when the offers that it withdrew have been over for long: they are
// open again and lapse, or are taken by who has paid meanwhile, in the very same turn.
func TestAMoveIsTakenBackAfterTheOffersEnd(t *testing.T) {
	p, s := newShop(t, 10, 3, 2)
	ctx := t.Context()
	p.submits(strings.Replace(fmt.Sprintf(shop, 10), "      - offer: card\n", "      - label: fresh\n        wait: 30d\n      - offer: card\n", 1))
	m := p.migrates(p.CreateMigration(ctx, "together", 2, []campaign.MigrationChoice{{Version: 1, Journey: "buy", Step: "1", Do: campaign.MigrationMove, To: "1"}}, 3))
	if n := p.count(`select count(*) from offers where state = 'withdrawn'`); m.Moved != 3 || n != 3 {
		t.Fatalf("%+v, %d withdrawn", m, n)
	}
	// One has paid in time, and it was told in time; no turn has looked at it.
	if err := p.says("paid", "order.paid", s[0].member, p.now(), `{"order":"o-0","offer":"card","amount":{"amount":"100.00","currency":"CNY"}}`); err != nil {
		t.Fatal(err)
	}
	p.jump(49 * time.Hour)
	if m = p.migrates(p.RevertMigration(ctx, "together", m.ID)); m.Moved != 3 || m.Failed != 0 {
		t.Fatalf("%+v", m)
	}
	for i, want := range []campaign.OfferState{campaign.OfferTaken, campaign.OfferLapsed, campaign.OfferLapsed} {
		if got := p.state(s[i]); got != want {
			t.Errorf("the offer of shopper %d is %s, want %s", i, got, want)
		}
	}
	p.stock(1, 0)
	p.examined()
}
