package simulate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

// ofPieces is the shop with coupons, a benefit and points in steps.
var ofPieces = strings.NewReplacer(
	"bonus: {points: 10, budget: 250}", "bonus: {coupon: {codes: generated, value: 20, expires: 2d}, budget: {total: 15, per_day: 4}}",
	"solace: {points: 3, budget: 100, per_member: 2}", "solace: {benefit: patience, for: 30h, budget: 60, per_member: 2}\n  often: {steps: [{at: 1, points: 5}, {at: 2, points: 20}]}",
	"rich: member.points >= 10", `rich: '"patience" in member.benefits && member.points >= 20'`,
	`hello: "Now {{ yuan(offer.price) }}"`, `hello: "Now {{ yuan(offer.price) }}"`+"\n  code: 'Here is {{ reward(\"bonus\").code }}, {{ reward(\"bonus\").value }} until {{ local(reward(\"bonus\").ends_at) }}'",
	"          - grant: bonus\n        lapsed:\n          - grant: solace\n      - choose", "          - grant: bonus\n          - send: code\n          - grant: often\n        lapsed:\n          - grant: solace\n          - grant: often\n      - choose",
	"          - grant: solace\n      - tag: left", "          - grant: solace\n          - grant: often\n      - tag: left",
).Replace(shop)

// Coupons and benefits are counted in pieces, points in steps in what was paid; the fast way
// comes to the same as one clock for all, and the report says what became of them.
func TestRewardsOfEveryKindAreRehearsed(t *testing.T) {
	t.Parallel()
	p := planFrom(t, ofPieces)
	pop := populationFrom(t, p, shopPopulation)
	for seed := range uint64(3) {
		cfg := Config{Plan: p, From: first, Span: 30 * day, People: Made(p, pop, 300, seed, first, 30*day)}
		want := inOrder(t, cfg)
		got, err := run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		a, b := newTally(p, 30), newTally(p, 30)
		a.merge(want)
		b.merge(got.tally)
		if x, y := fmt.Sprintf("%+v", *a), fmt.Sprintf("%+v", *b); x != y {
			t.Errorf("one clock for all:\n%s\neach by herself:\n%s", x, y)
		}
		bonus, solace, often := got.rewards[0], got.rewards[1], got.rewards[2]
		if bonus.granted != 15 || bonus.worth != 15 || bonus.not[campaign.RefusedPerDay] == 0 || solace.granted != 60 || solace.not[campaign.RefusedBudget] == 0 ||
			often.worth == 5*often.granted || often.granted == 0 {
			t.Errorf("nothing ran out, so this test shows nothing: %+v %+v %+v", bonus, solace, often)
		}
		if seed > 0 {
			continue
		}
		var text strings.Builder
		if err := rehearse(t, cfg).Text(&text); err != nil {
			t.Fatal(err)
		}
		_, rewards, _ := strings.Cut(text.String(), "\nRewards\n")
		rewards, _, _ = strings.Cut(rewards, "\n\n")
		golden(t, "rewards.golden", rewards+"\n")
	}
}

// lifeOfPieces has the campaign tests that say what a member has of coupons and benefits, turn by
// turn: what was granted is read in the same turn, and not before.
const lifeOfPieces = `
campaign: pieces
title: Coupons and benefits of a life
events:
  begin:
  again:
  order.paid: {order: string, offer: string, amount: money, coupon: string}
rewards:
  once: {coupon: {codes: generated, expires: 2d, value: 5}}
  pooled: {coupon: {codes: pool, holds: 2}}
  vip: {benefit: vip, for: 3d}
  ever: {benefit: gold}
messages:
  before: 'before {{ has(reward("once").code) }} {{ "vip" in member.benefits }} {{ reward("vip").state }}'
  after: '{{ reward("once").code }} {{ reward("once").state }} {{ reward("once").value }} {{ local(reward("once").ends_at) }} {{ "vip" in member.benefits }} {{ local(reward("vip").ends_at) }}'
  ended: '{{ reward("vip").state }} {{ "vip" in member.benefits }} {{ "gold" in member.benefits }}'
  none: '{{ reward("pooled").code }}'
journeys:
  main:
    start: {on: begin}
    goal: {on: order.paid, when: 'reward("once").state == "redeemed"'}
    on_goal: continue
    entry: every_time
    steps:
      - send: before
      - send: none
      - grant: once
      - grant: vip
      - send: after
      - grant: once
      - await: again
        for: 2d
      - grant: once
      - grant: vip
      - grant: ever
      - grant: pooled
      - grant: pooled
      - grant: pooled
      - wait: {until: 'reward("vip").ends_at'}
      - send: ended
tests:
  - name: nobody uses it
    start: 2027-03-01 10:00
    journey: main
    events: [{at: +0s, event: begin}]
    expect:
      grants: [{reward: once}, {reward: vip}, {reward: vip, at: +2d}, {reward: ever}, {reward: pooled}, {reward: pooled}]
      sends:
        - {message: before, text: "before false false"}
        - {message: after, text: "REHEARSAL-once-1 granted ¥5.00 03-03 10:00 true 03-04 10:00"}
        - {message: ended, text: "expired false true", at: +6d}
  - name: it is used, and another one is given
    start: 2027-03-01 10:00
    journey: main
    events:
      - {at: +0s, event: begin}
      - {at: +1h, event: order.paid, with: {order: o-1, offer: x, amount: 10, coupon: REHEARSAL-once-1}}
      - {at: +2h, event: again}
    expect:
      grants: [{reward: once}, {reward: vip}, {reward: once, at: +2h}, {reward: vip}, {reward: ever}, {reward: pooled}, {reward: pooled}]
`

func TestCouponsAndBenefitsOfALife(t *testing.T) {
	t.Parallel()
	def, tests, problems := definitions.Tests("test.yaml", []byte(lifeOfPieces))
	if def == nil || len(tests) != 2 {
		t.Fatalf("%s", problems.Text(false))
	}
	p, err := NewPlan(def)
	if err != nil {
		t.Fatal(err)
	}
	for i := range tests {
		v, err := Verify(p, &tests[i])
		if err != nil {
			t.Fatal(err)
		}
		if !v.OK {
			t.Errorf("%s\n%v", v.Failures.Text(false), v.Story)
		}
	}
}
