package definitions_test

import (
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

const costly = `
campaign: costly
title: what it costs
events:
  order.paid: {order: string, offer: string, amount: money}
offers:
  card: {title: 月卡, price: 199, lock: 48h}
messages:
  hi: "你好"
journeys:
  mass:
    start: {on: order.paid}
    goal: {on: order.paid, when: "false"}
    steps:
      - send: hi
  funnel:
    drive: slices
    start: {api: true}
    goal: {on: order.paid}
    on_goal: continue
    steps:
      - send: hi
        label: again
      - await: order.paid
        for: 1h
        otherwise:
          - end: none
      - offer: card
        announce: hi
        remind:
          - {before: 24h, send: hi}
        taken:
          - send: hi
          - send: hi
        lapsed:
          - wait: 1h
          - goto: again
  rounds:
    start: {on: order.paid}
    goal: {on: order.paid, when: "false"}
    steps:
      - repeat: {times: 5, every: 1d, steps: [{send: hi}, {repeat: {times: 2, steps: [{wait: 1h}]}}]}
      - split: {name: s, arms: {A: {share: 50%, steps: [{send: hi}]}, B: {share: 50%, steps: [{wait: 1h}]}}}
`

func TestCosts(t *testing.T) {
	t.Parallel()
	def, problems := definitions.Check("costly.yaml", []byte(costly))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	costs := definitions.Costs(def, 1_000_000)
	// mass: 3 for its life and by slices 4 for its message. funnel: 3, then hi 4, await 3,
	// offer 3 with its announcement 4 and its reminder 3 + 4, and of its ends the dearer: two
	// messages. rounds: 3, five times hi 4, two waits of 3 and the pause of 3, and of the arms
	// the dearer.
	for i, want := range []struct{ members, slices int64 }{
		{3, 7}, {3 + 3 + 3 + 3, 3 + 4 + 3 + 3 + 4 + 7 + 8}, {3 + 5*(2*3+3), 3 + 5*(4+2*3+3) + 4},
	} {
		if got := costs[i].Members.Transitions; got != want.members*1_000_000 {
			t.Errorf("%s: %d transitions for a million members, want %d each", costs[i].Journey, got, want.members)
		}
		if got := costs[i].Slices.Transitions; got != want.slices*2_000 {
			t.Errorf("%s: %d transitions by slices, want %d for each of 2,000 pages", costs[i].Journey, got, want.slices)
		}
	}
	if costs[0].Loops || !costs[1].Loops || costs[0].Drive != campaign.DriveMembers || costs[1].Drive != campaign.DriveSlices {
		t.Errorf("%+v", costs)
	}
	for _, c := range []struct {
		entrants int64
		journey  int
		says     string
	}{
		{1_000_000, 0, "drive: members  3,000,000 state transitions, 5.0 hours of CPU, 18.1 GB while all wait"},
		{1_000_000, 0, "drive: slices   14,000 state transitions, 1.4 minutes of CPU, 145 KB while all wait"},
		{1_000_000, 0, "Write `drive: slices`"},
		{1_000_000, 1, "suits so many"},
		{500, 1, "`drive: members` would do"},
		{500, 0, "It has `drive: members`, which suits so many."},
		{1, 0, "drive: slices   7 state transitions"},
	} {
		if text := definitions.Costs(def, c.entrants)[c.journey].Text(); !strings.Contains(text, c.says) {
			t.Errorf("%d entrants: %q does not say %q", c.entrants, text, c.says)
		}
	}
}
