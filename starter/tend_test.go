package starter_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/starter"
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

// A sweep goes on until it finds little, or its time is over; what could not be swept is told
// once, and stops it where nothing else was found.
func TestASweepHasAnEnd(t *testing.T) {
	t.Parallel()
	bad := errors.New("a bad row")
	type round struct {
		n   int
		err error
	}
	for _, c := range []struct {
		what   string
		span   time.Duration
		rounds []round // the last is that of all that follow
		took   int
		more   bool
		told   int
	}{
		{"until there is little", time.Hour, []round{{10, nil}, {10, nil}, {9, nil}}, 3, false, 0},
		{"nothing at all", 0, []round{{0, nil}}, 1, false, 0},
		{"no longer than its time", 0, []round{{10, nil}}, 1, true, 0},
		{"beyond a bad row", time.Hour, []round{{10, bad}, {10, bad}, {1, bad}}, 3, false, 1},
		{"nothing but bad rows", time.Hour, []round{{0, bad}}, 1, false, 1},
	} {
		var log strings.Builder
		r, took := &starter.Router{Log: slog.New(slog.NewTextHandler(&log, nil))}, 0
		more := r.Sweep(t.Context(), c.span, 10, func(_ context.Context, most int) (int, error) {
			if most != 10 {
				t.Errorf("%s: asked for %d", c.what, most)
			}
			at := c.rounds[min(took, len(c.rounds)-1)]
			took++
			return at.n, at.err
		})
		if told := strings.Count(log.String(), bad.Error()); took != c.took || more != c.more || told != c.told {
			t.Errorf("%s: %d rounds, more: %v, told %d times: %s", c.what, took, more, told, log.String())
		}
	}
}
