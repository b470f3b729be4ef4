package store_test

import (
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
)

// An order takes one offer of a name, in whatever journey it is told to first; the other stays
// open, nothing is taken for it, and nobody is asked.
func TestAnOrderTakesOneOffer(t *testing.T) {
	for name, change := range map[string]string{
		"any number": "stock: %d, on_refund",
		"one each":   "stock: %d, per_member: 1, on_refund",
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("    start: {api: true}\n", "    start: {api: true}\n    entry: every_time\n", "stock: %d, per_member: 1, on_refund", change).Replace(shop)
			p, s := newShopOf(t, text, 10, 1, 2)
			again := p.enter("buy", map[string]string{s[0].member: ""})[s[0].member]
			p.turn(again, 1)
			for _, row := range []int64{s[0].row, again} {
				if n := p.count(`select count(*) from offers where journey = $1 and state = 'open'`, row); n != 1 {
					t.Fatalf("%d offers are open in a journey", n)
				}
			}
			p.pays(s[0], "o-0", "100.00", p.now())
			p.looks(again)
			p.stock(1, 0)
			taken, open, reviews := p.count(`select count(*) from offers where state = 'taken'`), p.count(`select count(*) from offers where state = 'open'`), p.count(`select count(*) from reviews`)
			if taken != 1 || open != 1 || reviews != 0 || p.state(s[0]) != campaign.OfferTaken {
				t.Errorf("%d taken, %d open, %d reviews", taken, open, reviews)
			}
			// Another order takes it, as far as the member may.
			p.pays(s[0], "o-1", "100.00", p.now())
			p.looks(again)
			if want := 1 + strings.Count(name, "any"); p.count(`select count(*) from offers where state = 'taken'`) != want {
				t.Errorf("%d taken, want %d", p.count(`select count(*) from offers where state = 'taken'`), want)
			}
			p.examined()
		})
	}
}
