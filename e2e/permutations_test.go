package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// The five things that happen to a journey that waits for a lesson.
const (
	thingA     = "A"
	thingB     = "B"
	thingTimer = "timer" // the wait, its grace included, is over
	thingTurn  = "turn"
)

// pairs are the two events A and B; at is the wait's beginning. The wait takes four
// minutes, so A always belongs to it by its own time.
var pairs = map[string]func(member string, at time.Time) (a, b campaign.Event){
	"lesson, card": func(member string, at time.Time) (a, b campaign.Event) {
		return attended(member+"-a", member, at.Add(2*time.Minute)), paid(member+"-b", member, "monthly-card", "199.00", at.Add(3*time.Minute))
	},
	"lesson, refund": func(member string, at time.Time) (a, b campaign.Event) {
		return attended(member+"-a", member, at.Add(2*time.Minute)), refunded(member+"-b", member, "o-"+member+"-trial", at.Add(3*time.Minute))
	},
	"lesson, another lesson": func(member string, at time.Time) (a, b campaign.Event) {
		return attended(member+"-a", member, at.Add(2*time.Minute)), attended(member+"-b", member, at.Add(5*time.Minute+30*time.Second))
	},
	"lesson at the wait's end, card a hair later": func(member string, at time.Time) (a, b campaign.Event) {
		end := at.Add(4 * time.Minute)
		return attended(member+"-a", member, end), paid(member+"-b", member, "monthly-card", "199.00", end.Add(time.Microsecond))
	},
}

// In every order of two events, the end of a wait and two turns, the journey ends as
// the core alone says, and an event that was stored in time is not missed.
func TestEveryOrderOfEventsTimerAndTurns(t *testing.T) {
	overKeepers(t, testEveryOrderOfEventsTimerAndTurns)
}

func testEveryOrderOfEventsTimerAndTurns(t *testing.T, k *keeper) {
	all := orderings([]string{thingA, thingB, thingTimer, thingTurn, thingTurn})
	if len(all) != 60 {
		t.Fatalf("%d orders, want 5!/2!", len(all))
	}
	type game struct {
		name, played string
		order        []string
	}
	var crowd sync.WaitGroup
	gate := make(chan struct{}, 16)
	games := make([]*game, 0, len(pairs)*len(all))
	for name, pair := range pairs {
		for _, order := range all {
			g := &game{name: name, order: order}
			games = append(games, g)
			member := fmt.Sprintf("p-%d", len(games))
			crowd.Go(func() {
				gate <- struct{}{}
				defer func() { <-gate }()
				g.played = k.inOrder(member, order, pair)
			})
		}
	}
	crowd.Wait()
	outcomes := map[string]int{}
	for _, g := range games {
		what := fmt.Sprintf("%s in the order %v", g.name, g.order)
		if g.played == "" {
			t.Errorf("%s: the machine never kept it", what)
			continue
		}
		outcome := k.judge.compare(g.played, what)
		outcomes[outcome]++
		happened := k.count(`select count(*) from trace t join journeys j on j.id = t.journey
			 where j.member = $1 and t.kind = 'happened' and t.params ->> 'event' = $2`, g.played, g.played+"-a")
		// A refund that is stored first ends the journey before A can matter.
		before := func(x, y string) bool { return slices.Index(g.order, x) < slices.Index(g.order, y) }
		exited := outcome == campaign.OutcomeExited && before(thingB, thingA)
		if (happened == 1) != (before(thingA, thingTimer) && !exited) {
			t.Errorf("%s: A was heard %d times\n%s", what, happened, k.judge.held(g.played).text())
		}
	}
	k.sound()
	t.Logf("%d journeys: %s", len(games), logged(outcomes))
}

// inOrder plays one order with a fresh member and answers which. Time cannot be held
// still, so the wait begins a while ahead; on a machine that was too slow for that the
// order is played again with more room.
func (k *keeper) inOrder(member string, order []string, pair func(string, time.Time) (a, b campaign.Event)) string {
	ahead := 10 * time.Minute
	for try := range 8 {
		played := fmt.Sprintf("%s-%d", member, try)
		at := k.now("orders").Add(ahead)
		over := at.Add(5 * time.Minute)
		a, b := pair(played, at)
		trial := paid(played+"-trial", played, "trial", "9.90", at)
		k.tell(trial)
		row := k.enter(played)
		if row == 0 {
			return ""
		}
		kept := true
		turns := 0
		for i, thing := range order {
			switch thing {
			case thingA:
				k.tell(a)
			case thingB:
				k.tell(b)
			case thingTurn:
				r, err := k.advance(row, turns+1)
				if err != nil {
					k.t.Error(err)
					return ""
				}
				turns = r.Turn
			case thingTimer:
				if i > 0 && k.now("orders").After(over) {
					kept = false // what had to come before may have come after
				}
				for now := k.now("orders"); !now.After(over); now = k.now("orders") {
					rest(k.ctx, k.judge.clock.RealSpan(over.Sub(now))+time.Millisecond)
				}
			}
		}
		k.finish(row)
		if kept {
			return played
		}
		ahead *= 2
	}
	return ""
}

// orderings lists the distinct orders of things.
func orderings(things []string) [][]string {
	if len(things) == 0 {
		return [][]string{nil}
	}
	var all [][]string
	seen := map[string]bool{}
	for i, first := range things {
		for _, others := range orderings(slices.Delete(slices.Clone(things), i, i+1)) {
			order := append([]string{first}, others...)
			if key := strings.Join(order, " "); !seen[key] {
				seen[key] = true
				all = append(all, order)
			}
		}
	}
	return all
}
