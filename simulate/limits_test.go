package simulate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// inOrder takes all members together, each thing at its own moment, as one clock for all
// would do it. It is slow and plain, and what the fast way is held against.
func inOrder(t *testing.T, cfg Config) *tally {
	t.Helper()
	keeper := newCounter(cfg.Plan)
	days := int((cfg.Span + day - 1) / day)
	total, until := newTally(cfg.Plan, days), cfg.From.Add(cfg.Span)
	var lives []*life
	var workers []*worker
	for i := range cfg.People.Count() {
		w := &worker{scribe: scribe{p: cfg.Plan, from: cfg.From, t: total, weight: 1}}
		l := &life{p: cfg.Plan, from: cfg.From, keeper: keeper, watch: w}
		cfg.People.begin(i, l)
		w.people = cfg.People.behaves(i, l)
		lives, workers = append(lives, l), append(workers, w)
	}
	for {
		var who *life
		var when time.Time
		for _, l := range lives {
			if at, _, _ := l.next(); !at.IsZero() && !at.After(until) && (who == nil || at.Before(when)) {
				who, when = l, at
			}
		}
		if who == nil {
			break
		}
		at, w, sweep := who.next()
		if err := who.step(at, w, sweep); err != nil {
			t.Fatal(err)
		}
	}
	for i, l := range lives {
		l.now = until
		workers[i].scribe.finish(l)
	}
	return total
}

// written writes a tally down, merged into an empty one, so that zeros are written in one way.
func written(p *Plan, of *tally) string {
	all := newTally(p, 30)
	all.merge(of)
	return fmt.Sprintf("%+v", *all)
}

// asOneClock runs a rehearsal of 30 days and holds it against one clock for all.
func asOneClock(t *testing.T, cfg Config) *outcome {
	t.Helper()
	want := inOrder(t, cfg)
	got, err := run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if x, y := written(cfg.Plan, want), written(cfg.Plan, got.tally); x != y {
		t.Errorf("one clock for all:\n%s\neach by herself:\n%s", x, y)
	}
	return got
}

// What members share is decided in the order of virtual time: the fast way, in which each
// member is taken by herself, comes to the same as one clock for all.
func TestSharedLimitsAreDecidedInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	p := planFrom(t, shop)
	pop := populationFrom(t, p, shopPopulation)
	for seed := range uint64(4) {
		for _, members := range []int{60, 300} {
			t.Run(fmt.Sprintf("seed %d, %d members", seed, members), func(t *testing.T) {
				t.Parallel()
				cfg := Config{Plan: p, From: first, Span: 30 * day, People: Made(p, pop, members, seed, first, 30*day)}
				got := asOneClock(t, cfg)
				if members == 300 && (got.offers[0].taken != 40 || got.offers[1].taken != 25 || got.rewards[0].granted != 25 || got.rewards[1].granted != 33) {
					t.Errorf("nothing ran out, so this test shows nothing: %+v %+v", got.offers, got.rewards)
				}
			})
		}
	}
}

// A day's budget is whole again on the next day of the campaign's calendar, and what the
// budget in all refuses does not count against the day.
func TestTheBudgetOfADayIsDecidedInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	p := planFrom(t, strings.NewReplacer("bonus: {points: 10, budget: 250}", "bonus: {points: 10, budget: {total: 120, per_day: 30}}",
		"solace: {points: 3, budget: 100, per_member: 2}", "solace: {points: 3, budget: {per_day: 14, per_member: 5}}").Replace(shop))
	pop := populationFrom(t, p, shopPopulation)
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			cfg := Config{Plan: p, From: first, Span: 30 * day, People: Made(p, pop, 300, seed, first, 30*day)}
			got := asOneClock(t, cfg)
			bonus, solace := got.rewards[0], got.rewards[1]
			if bonus.granted != 12 || bonus.not[campaign.RefusedPerDay] == 0 || bonus.not[campaign.RefusedBudget] == 0 ||
				solace.not[campaign.RefusedPerDay] == 0 || solace.not[campaign.RefusedPerMember] == 0 {
				t.Errorf("nothing ran out, so this test shows nothing: %+v %+v", bonus, solace)
			}
			r, err := Rehearse(t.Context(), cfg)
			if err != nil || r.Rewards[0].DaysRunOut == 0 || r.Rewards[1].PerDay != 14 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// A reward that pauses gives what it does not keep back, and says so.
func TestARewardPausesInARehearsal(t *testing.T) {
	t.Parallel()
	p := planFrom(t, strings.Replace(shop, "bonus: {points: 10, budget: 250}", "bonus: {points: 10, budget: {total: 250, pause_at: 105}}", 1))
	cfg := Config{Plan: p, From: first, Span: 30 * day, People: Made(p, populationFrom(t, p, shopPopulation), 300, 1, first, 30*day)}
	asOneClock(t, cfg)
	r, err := Rehearse(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := r.Rewards[0]
	if w.Granted != 14 || w.PauseAt != 105 || w.RunsOut.IsZero() || len(w.Refused) == 0 || w.Refused[0].Name != campaign.RefusedPaused {
		t.Errorf("%+v", w)
	}
	var text strings.Builder
	if err := r.Text(&text); err != nil || !strings.Contains(text.String(), "budget until it pauses 145: RUNS OUT") {
		t.Error(text.String(), err)
	}
}

// What is left of a budget is known to everybody at every moment as one clock for all
// would have it, also where the question decides who takes from it.
func TestWhatIsLeftIsKnownInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	p := planFrom(t, strings.NewReplacer(
		"bonus: {points: 10, budget: 250}", "bonus: {points: 10, budget: {total: 205, per_day: 45}}",
		"          - grant: bonus\n        lapsed:\n          - grant: solace\n      - choose:", `          - choose:
              - when: budget("bonus").left > 100 && budget("bonus").left_today >= 20
                steps:
                  - grant: bonus
            otherwise:
              - grant: solace
        lapsed:
          - choose:
              - when: budget("solace").left % 2 == 0 || budget("bonus").left < 60
                steps:
                  - grant: solace
      - choose:`).Replace(shop))
	if !p.peeks {
		t.Fatal("the campaign asks nothing about budgets")
	}
	pop := populationFrom(t, p, shopPopulation)
	for seed := range uint64(2) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			cfg := Config{Plan: p, From: first, Span: 30 * day, People: Made(p, pop, 150, seed, first, 30*day)}
			got := asOneClock(t, cfg)
			deaf := *p
			deaf.peeks = false // takes every budget for whole
			cfg.Plan = &deaf
			other, err := run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if written(p, got.tally) == written(p, other.tally) {
				t.Error("nobody's way depends on what is left, so this test shows nothing")
			}
		})
	}
}

// Cuts that were guessed wrongly are put right: what is guessed changes how long a run
// takes and nothing else.
func TestGuessedCutsChangeNothing(t *testing.T) {
	t.Parallel()
	limits := []limit{{offer: "a", most: 2}, {reward: "b", most: 1}}
	claims := [][]claim{
		{{at: 30, member: 1, n: 1}, {at: 10, member: 7, n: 1}, {at: 20, member: 3, n: 2}},
		{{at: 15, member: 3, n: 1}},
	}
	cuts := cutsOf(limits, claims, 1)
	if cuts[0] != (claim{at: 20, member: 3, n: 2}) || cuts[1] != (claim{at: 15, member: 3, n: 1}) {
		t.Errorf("cuts %+v", cuts)
	}
	if again := between(claims, uncut(2), cuts); len(again) != 1 || !again[1] {
		t.Errorf("taken again: %v, want member 1 alone", again)
	}
	if again := between(claims, []claim{{at: 5}, never}, cuts); len(again) != 2 || !again[7] || !again[3] {
		t.Errorf("taken again: %v, want 7 and 3", again)
	}
	if again := between(claims, cuts, slices.Clone(cuts)); len(again) != 0 {
		t.Errorf("taken again: %v", again)
	}
}

// The same seed gives the same answer byte for byte on any number of cores, with a sample
// to guess from and without, and another seed another one.
func TestSameSeedSameAnswer(t *testing.T) {
	t.Parallel()
	p := planFrom(t, shop)
	pop := populationFrom(t, p, shopPopulation)
	report := func(seed uint64, workers int) string {
		return jsonOf(t, rehearse(t, Config{
			Plan: p, From: first, Span: 30 * day, Workers: workers, People: Made(p, pop, sample*sample+100, seed, first, 30*day),
		}))
	}
	one := report(1, 1)
	for _, workers := range []int{2, 7} {
		if got := report(1, workers); got != one {
			t.Errorf("%d workers give another answer than one", workers)
		}
	}
	if report(2, 2) == one {
		t.Error("another seed gives the same answer")
	}
}
