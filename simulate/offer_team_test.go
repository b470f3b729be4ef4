package simulate

import (
	"os"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/definitions"
)

func gearPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/language/step-offer.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "## Bought together")
	_, example, begun := strings.Cut(section, "```yaml\n")
	example, _, closed := strings.Cut(example, "```")
	if !ok || !begun || !closed {
		t.Fatal("the page has no example")
	}
	return example
}

// The example on the page of the step does what its tests say.
func TestOfferTeamPage(t *testing.T) {
	t.Parallel()
	def, tests, problems := definitions.Tests("step-offer.md", []byte(gearPage(t)))
	if len(problems) > 0 || len(tests) < 4 {
		t.Fatalf("%d tests\n%s", len(tests), problems.Text(false))
	}
	p, err := NewPlan(def)
	if err != nil {
		t.Fatal(err)
	}
	for i := range tests {
		v, err := Verify(p, &tests[i])
		if err != nil || !v.OK {
			t.Errorf("%v\n%s", err, v.Failures.Text(false))
		}
	}
}

// Of a population half of the teams are complete, as it declares, and the others are paid
// back: what is earned is what was sold. Opened, taken and lapsed add up.
func TestTeamsOfBuyersInAPopulation(t *testing.T) {
	t.Parallel()
	p := planFrom(t, strings.Replace(gearPage(t), ", stock: 500", "", 1))
	pop := populationFrom(t, p, `
population: buyers
behaviour:
  - {on: arrive, do: gear.asked}
  - {on: {offer: gear}, do: order.paid, with: {offer: gear}, chance: 60%, after: 1h-20h}
  - {on: {wait: team.formed}, do: team.formed, chance: 50%, after: 1h-23h}
`)
	r := rehearse(t, Config{Plan: p, From: first, Span: 10 * day, People: Made(p, pop, 4000, 1, first, day)})
	o := r.Offers[0]
	paid := r.Revenue.Orders
	if o.Opened != 4000 || o.Taken+o.Lapsed != o.Opened || paid < 2200 || paid > 2600 {
		t.Fatalf("%+v, %d orders", o, paid)
	}
	if share := float64(o.Taken) / float64(paid); share < 0.45 || share > 0.55 {
		t.Errorf("%.2f of the teams were complete", share)
	}
	if earned, sold := r.Revenue.Paid-r.Revenue.Refunded, 38000*o.Taken; earned != sold || o.Revenue != sold {
		t.Errorf("earned %d, sold for %d, of the offer %d", earned, sold, o.Revenue)
	}
	if len(r.Faults) > 0 {
		t.Errorf("faults: %v", r.Faults)
	}
}

// An offer that is paid for and waits for its team cannot be reserved, as in the engine.
func TestABuyerReservesNothingMore(t *testing.T) {
	t.Parallel()
	source, _, _ := strings.Cut(gearPage(t), "tests:\n")
	_, failures := storyIn(t, source+"tests:\n", `
  - name: again
    start: 2026-12-01 10:00
    events:
      - {at: +0s, event: gear.asked}
      - {at: +1h, event: order.paid, with: {order: o-1, offer: gear, amount: 380}}
      - {at: +2h, event: offer.reserved, with: {order: o-2, offer: gear}}
    expect:
      outcome: alone
`)
	if !strings.Contains(failures, "there is nothing to be reserved at") {
		t.Errorf("failures: %s", failures)
	}
}
