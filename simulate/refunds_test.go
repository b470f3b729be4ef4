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
	return storyIn(t, refundsCampaign, list)
}

func storyIn(t *testing.T, source, list string) (story, failures string) {
	t.Helper()
	def, tests, problems := definitions.Tests("refunds.yaml", []byte(source+list))
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

// Coupons and benefits go back with the whole of an order, as in the store.
func TestRefundsTakeBackCouponsAndBenefits(t *testing.T) {
	t.Parallel()
	source := strings.NewReplacer("first: {points: 100}", "first: {coupon: {codes: generated, value: 20, expires: 30d}}",
		"debt: {points: 50, on_refund: claw_back_in_full}", "debt: {benefit: vip, for: 60d}",
		"- end: kept", "- choose:\n                  - when: '\"vip\" in member.benefits'\n                    steps: [{end: vip}]\n              - end: kept").Replace(refundsCampaign)
	for name, c := range map[string]struct{ refunds, says, outcome string }{
		"none":    {"", "", "vip"},
		"a part":  {"      - {at: +2h, event: order.refunded, with: {order: o-1, amount: 99, refund: a}}\n", "", "completed"},
		"a whole": {"      - {at: +2h, event: order.refunded, with: {order: o-1}}\n", "took back 1 of first\ntook back 1 of debt\n", "lapsed"},
		"used by then": {
			"      - {at: +1h30m, event: order.paid, with: {order: o-2, offer: other, amount: 80, coupon: REHEARSAL-first-1}}\n      - {at: +2h, event: order.refunded, with: {order: o-1}}\n",
			"took back 0 of first; used or over: 1\ntook back 1 of debt\n", "lapsed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story, failures := storyIn(t, strings.Replace(source, "amount: money}", "amount: money, coupon: string}", 1), `
  - name: pieces
    start: 2026-12-01 10:00
    events:
      - {at: +0s, enter: buy}
      - {at: +1h, event: order.paid, with: {order: o-1, offer: card, amount: 100}}
`+c.refunds+`    expect:
      outcome: `+c.outcome+"\n")
			if failures != "" || !strings.Contains(story, c.says) || c.says == "" && strings.Contains(story, "took back") {
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

// As in the engine an order takes one offer of a name, whatever journeys there are.
func TestAnOrderTakesOneOfferInARehearsal(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{"per_member: 1, ", ""} {
		source := strings.NewReplacer("    start: {api: true}\n", "    start: {api: true}\n    entry: every_time\n", "per_member: 1, ", limit).Replace(refundsCampaign)
		story, failures := storyIn(t, source, `
  - name: once
    start: 2026-12-01 10:00
    events:
      - {at: +0s, enter: buy}
      - {at: +1h, enter: buy}
      - {at: +2h, event: order.paid, with: {order: o-1, offer: card, amount: 100}}
    expect:
      points: 157
`)
		if failures != "" || strings.Count(story, "opened at") != 2 || strings.Count(story, "taken with order o-1") != 1 || strings.Contains(story, "did not get") {
			t.Errorf("%s\n%s", failures, story)
		}
	}
}
