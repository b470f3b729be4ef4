package simulate

import (
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

const refundsCampaign = `
campaign: refunds
title: Refunds
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string, amount: money, refund: string}
offers:
  card: {price: 100, list_price: 150, lock: 48h, per_member: 1, stock: 5, on_refund: restock}
rewards:
  first: {points: 100}
  debt: {points: 50, on_refund: claw_back_in_full}
  thanks: {points: 7, on_refund: keep}
journeys:
  buy:
    start: {api: true}
    goal: {on: order.paid, when: event.offer == "card"}
    on_goal: continue
    steps:
      - label: again
        offer: card
        taken:
          - grant: first
          - grant: debt
          - grant: thanks
          - await: order.refunded
            for: 30d
            otherwise:
              - end: kept
          - goto: again
        lapsed:
          - end: lapsed
tests:
`

func storyOf(t *testing.T, list string) (story, failures string) {
	t.Helper()
	def, tests, problems := definitions.Tests("refunds.yaml", []byte(refundsCampaign+list))
	if def == nil || len(tests) != 1 {
		t.Fatal(problems.Text(false))
	}
	p, err := NewPlan(def)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Verify(p, &tests[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range v.Story {
		story += l.Words(campaign.English) + "\n"
	}
	return story, v.Failures.Text(false)
}

// A rehearsal judges reservations and refunds by the same core: who has reserved keeps her
// price, what an order led to goes back with it, and she may take the offer once more.
func TestReservationsAndRefundsOfATest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]string{
		"reserved at 47:58": `
  - name: till
    start: 2026-12-01 10:00
    events:
      - {at: +0s, enter: buy}
      - {at: +47h58m, event: offer.reserved, with: {order: o-1, offer: card}}
      - {at: +48h12m, event: order.paid, with: {order: o-1, offer: card, amount: 100}}
    expect:
      offers: [{offer: card, state: taken, at: +48h12m}]
      points: 157
      outcome: kept
`,
		"reserved, and another order paid": `
  - name: other
    start: 2026-12-01 10:00
    events:
      - {at: +0s, enter: buy}
      - {at: +47h58m, event: offer.reserved, with: {order: o-1, offer: card}}
      - {at: +48h5m, event: order.paid, with: {order: o-2, offer: card, amount: 100}}
    expect:
      offers: [{offer: card, state: lapsed}]
      points: 0
`,
		"refunded in parts, then taken again": `
  - name: again
    start: 2026-12-01 10:00
    events:
      - {at: +0s, enter: buy}
      - {at: +1h, event: order.paid, with: {order: o-1, offer: card, amount: 100}}
      - {at: +2h, event: order.refunded, with: {order: o-1, amount: 50, refund: a}}
      - {at: +3h, event: order.paid, with: {order: o-2, offer: card, amount: 100}}
    expect:
      points: 82
`,
		"refunded as a whole, then taken again": `
  - name: again
    start: 2026-12-01 10:00
    events:
      - {at: +0s, enter: buy}
      - {at: +1h, event: order.paid, with: {order: o-1, offer: card, amount: 100}}
      - {at: +2h, event: order.refunded, with: {order: o-1}}
      - {at: +3h, event: order.paid, with: {order: o-2, offer: card, amount: 100}}
    expect:
      offers: [{offer: card, state: taken, at: +1h}, {offer: card, state: taken, at: +3h}]
      points: 164
`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if story, failures := storyOf(t, c); failures != "" {
				t.Errorf("%s\n%s", failures, story)
			}
		})
	}
}

func TestNothingToReserve(t *testing.T) {
	t.Parallel()
	_, failures := storyOf(t, `
  - name: late
    start: 2026-12-01 10:00
    events:
      - {at: +0s, enter: buy}
      - {at: +48h1s, event: offer.reserved, with: {order: o-1, offer: card}}
    expect:
      outcome: lapsed
`)
	if !strings.Contains(failures, "there is nothing to be reserved at") {
		t.Error(failures)
	}
}
