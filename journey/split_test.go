package journey_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

const experiment = `
campaign: experiment
title: experiment
events:
  order.paid: {order: string, offer: string, amount: money}
  go: {}
messages: {hi: hi, ho: ho}
journeys:
  j:
    start: {on: go}
    holdout: %HOLDOUT%
    steps:
      - repeat:
          times: 3
          every: 1d
          steps:
            - split: &greeting
                name: greeting
                arms:
                  A: {share: 50%, steps: [{send: hi}]}
                  B: {share: 50%, steps: [{send: ho}]}
      - split: *greeting
`

// A member comes to the same arm whenever she comes by, and is exposed once.
func TestSplitIsSticky(t *testing.T) {
	t.Parallel()
	p := compile(t, strings.ReplaceAll(experiment, "%HOLDOUT%", "0%"))
	arms := map[string]int{}
	for i := range 40 {
		w := enter(t, p, "j", event("e-1", "go", noon, `{}`))
		w.id.Member = fmt.Sprintf("m-%d", i)
		w.punctual(noon.Add(5 * day))
		if len(w.exposed) != 1 || w.exposed[0].Split != "greeting" || !w.exposed[0].At.Equal(noon) {
			t.Fatalf("exposed: %+v\n%s", w.exposed, w.story())
		}
		message := map[string]string{"A": "hi", "B": "ho"}[w.exposed[0].Arm]
		if len(w.sends) != 4 || slices.ContainsFunc(w.sends, func(s campaign.SendEffect) bool { return s.Message != message }) {
			t.Fatalf("%s, sent %s\n%s", w.exposed[0].Arm, w.messages(), w.story())
		}
		arms[w.exposed[0].Arm]++
	}
	if arms["A"] < 8 || arms["B"] < 8 {
		t.Errorf("40 members: %v", arms)
	}
}

// Who is held out walks the same way and is not exposed.
func TestSplitOfTheHoldout(t *testing.T) {
	t.Parallel()
	p := compile(t, strings.ReplaceAll(experiment, "%HOLDOUT%", "50%"))
	held := 0
	for i := range 40 {
		w := enter(t, p, "j", event("e-1", "go", noon, `{}`))
		w.id.Member = fmt.Sprintf("m-%d", i)
		if w.state.Holdout = journey.HeldOut("experiment", "j", w.id.Member, 5000); !w.state.Holdout {
			continue
		}
		held++
		w.punctual(noon.Add(5 * day))
		if len(w.exposed) != 0 || len(w.sends) != 0 || w.kinds(campaign.TraceChose) != 4 || w.done != campaign.OutcomeCompleted {
			t.Errorf("exposed: %+v, sent %s, outcome %s\n%s", w.exposed, w.messages(), w.done, w.story())
		}
	}
	if held < 8 {
		t.Errorf("%d of 40 held out", held)
	}
}

func someArms(rt *rapid.T, label string) []campaign.Arm {
	left, arms := campaign.WholeShare, []campaign.Arm{}
	for n := rapid.IntRange(2, 6).Draw(rt, label); n > 0; n-- {
		share := left
		if n > 1 {
			share = rapid.IntRange(1, left-n+1).Draw(rt, label+" share")
		}
		left -= share
		arms = append(arms, campaign.Arm{Name: string(rune('A' + len(arms))), Share: share})
	}
	return arms
}

const crowd = 2_000

func counted(split string, arms []campaign.Arm) (by map[string]int, of []string) {
	by, of = map[string]int{}, make([]string, crowd)
	for i := range crowd {
		of[i] = arms[journey.ArmOf("c", split, fmt.Sprintf("member-%d", i), arms)].Name
		by[of[i]]++
	}
	return by, of
}

// tolerance is six standard deviations: one test run in many millions is wrong.
func tolerance(share int) float64 {
	p := float64(share) / campaign.WholeShare
	return 6*math.Sqrt(crowd*p*(1-p)) + 1
}

// The arms get their shares, whatever the order in which they are written, and a change
// of shares moves hardly more members than it must.
func TestArmsGetTheirShares(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.StringMatching(`[a-z]{1,8}`).Draw(rt, "split")
		arms := someArms(rt, "arms")
		by, of := counted(name, arms)
		for _, a := range arms {
			want := float64(crowd) * float64(a.Share) / campaign.WholeShare
			if d := math.Abs(float64(by[a.Name]) - want); d > tolerance(a.Share) {
				rt.Fatalf("arm %s of %v has %d of %d members, want some %.0f", a.Name, arms, by[a.Name], crowd, want)
			}
		}
		shuffled := slices.Clone(arms)
		slices.Reverse(shuffled)
		if _, again := counted(name, shuffled); !slices.Equal(of, again) {
			rt.Fatal("the order of the arms matters")
		}
	})
}

// When one arm grows at the cost of all the others, members move to it alone; of two
// arms exactly those move that must.
func TestChangedSharesMoveFewMembers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.StringMatching(`[a-z]{1,8}`).Draw(rt, "split")
		before := rapid.IntRange(1, 9_998).Draw(rt, "before")
		after := rapid.IntRange(before+1, 9_999).Draw(rt, "after")
		two := func(a int) []campaign.Arm {
			return []campaign.Arm{{Name: "A", Share: a}, {Name: "B", Share: campaign.WholeShare - a}}
		}
		_, was := counted(name, two(before))
		_, is := counted(name, two(after))
		moved := 0
		for i := range was {
			if was[i] == is[i] {
				continue
			}
			if moved++; is[i] != "A" {
				rt.Fatal("a member moves away from the arm that grows")
			}
		}
		if want := float64(crowd) * float64(after-before) / campaign.WholeShare; math.Abs(float64(moved)-want) > tolerance(after-before) {
			rt.Fatalf("%d members move, want some %.0f", moved, want)
		}
	})
	// A new arm takes of the others in proportion: nobody moves between those.
	three := []campaign.Arm{{Name: "A", Share: 6000}, {Name: "B", Share: 4000}}
	four := []campaign.Arm{{Name: "A", Share: 4800}, {Name: "B", Share: 3200}, {Name: "C", Share: 2000}}
	_, was := counted("s", three)
	_, is := counted("s", four)
	for i := range was {
		if was[i] != is[i] && is[i] != "C" {
			t.Fatalf("a member moves from %s to %s", was[i], is[i])
		}
	}
}

// What the hash gives never changes: members in flight would move.
func TestArmsAreForEver(t *testing.T) {
	t.Parallel()
	arms := []campaign.Arm{{Name: "A", Share: 5000}, {Name: "B", Share: 3000}, {Name: "C", Share: 2000}}
	got := ""
	for i := range 40 {
		got += arms[journey.ArmOf("fitness-trial", "greeting", fmt.Sprintf("m-%d", i), arms)].Name
	}
	if want := "CBBACCABBCCCBACACCAAACACBCAAABACABAACBAA"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Two experiments do not lead the same members the same way.
func TestSplitsAreIndependent(t *testing.T) {
	t.Parallel()
	arms := []campaign.Arm{{Name: "A", Share: 5000}, {Name: "B", Share: 5000}}
	_, one := counted("one", arms)
	_, two := counted("two", arms)
	same := 0
	for i := range one {
		if one[i] == two[i] {
			same++
		}
	}
	if d := math.Abs(float64(same) - crowd/2); d > tolerance(5000) {
		t.Errorf("%d of %d members are at the same arm in two splits", same, crowd)
	}
}
