package starter_test

import (
	"slices"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

const bySegment = `
campaign: swept
title: by segment
member: {level: string}
events:
  order.paid: {order: string, offer: string, amount: money}
segments:
  silver: member.level == "silver"
journeys:
  main:
    start: {segment: silver}
    goal: {on: order.paid}
    steps:
      - wait: 1d
`

// What cannot be swept (a lock that is held for long, a row that nobody foresaw) keeps no
// campaign from being looked after, and is swept when it can be.
func TestWhatCannotBeSweptHoldsUpNoCampaign(t *testing.T) {
	t.Parallel()
	p := newPost(t, new(temporal))
	def, problems := definitions.Check("swept.yaml", []byte(bySegment))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	if _, err := p.store.Submit(t.Context(), def, []byte(bySegment)); err != nil {
		t.Fatal(err)
	}
	if err := p.store.Start(t.Context(), "swept", nil); err != nil {
		t.Fatal(err)
	}
	p.exec(`insert into platform_sends (account, receiver, slot, sends) values ('a', '\x01', $1, 1)`, time.Now().Add(-3*time.Hour))
	p.exec(`alter table redemptions rename to mislaid`)
	p.run()
	p.until("the campaign is looked after", func() bool {
		taken, _, _ := p.temporal.calls()
		return slices.Contains(taken, campaign.SweepWorkflowID("swept"))
	})
	p.until("old counts are forgotten", func() bool { return p.count(`select count(*) from platform_sends`) == 0 })
}
