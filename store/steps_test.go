package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

var ladder = campaign.Reward{Name: "friends", Ladder: &campaign.Ladder{Steps: []campaign.RewardStep{{At: 1, Points: 100}, {At: 3, Points: 400}, {At: 10, Points: 2000}}}}

// step asks for a reward in steps; a value below zero: by how often it was asked for.
func (k *till) step(row int64, key string, reward *campaign.Reward, value int64) (a campaign.Answer, err error) {
	err = k.InTurns(context.Background(), []int64{row}, func(page *store.PageTx) error {
		tx, err := page.Turn(row)
		if err != nil {
			return err
		}
		ask := &campaign.GrantAsk{Reward: reward.Name, PerMember: reward.PerMember, Step: "1", Zone: k.zone, Of: reward}
		if value >= 0 {
			ask.Value = &value
		}
		answers, err := page.Answer(context.Background(), []store.Question{{Of: tx, Turn: 1, Ask: &campaign.Ask{Key: key, Grant: ask}}})
		if err == nil {
			a = answers[0]
		}
		return err
	})
	return a, err
}

// Whoever reaches a higher step is paid the difference, once, by a count as by how often it was
// asked for.
func TestAHigherStepPaysTheDifference(t *testing.T) {
	s := open(t)
	k, name := newTill(t, s, nil, 3, ladder)
	for _, c := range []struct {
		row    int
		value  int64
		points int64
		reason string
	}{
		{0, 0, 0, campaign.RefusedStep},
		{0, 2, 100, ""},
		{0, 2, 0, campaign.RefusedStep},
		{0, 12, 1900, ""},
		{0, 5, 0, campaign.RefusedStep}, // fewer than before: nothing is taken back
		{0, 99, 0, campaign.RefusedStep},
		{1, 10, 2000, ""},
		{2, -1, 100, ""},
		{2, -1, 0, campaign.RefusedStep},
		{2, -1, 300, ""},
	} {
		a, err := k.step(k.rows[c.row], fmt.Sprint(name, tills.Add(1)), &ladder, c.value)
		if err != nil || a.Points != c.points || a.Reason != c.reason {
			t.Errorf("%+v: %+v, %v", c, a, err)
		}
	}
	for i, want := range []int64{2000, 2000, 400} {
		if got := k.points(t, fmt.Sprint(name, "-", i+1)); got != want {
			t.Errorf("member %d has %d points, want %d", i+1, got, want)
		}
	}
	k.sound(t)
}

// A difference that the budget has no room for is refused whole, and paid when there is.
func TestAStepThatTheBudgetRefuses(t *testing.T) {
	s := open(t)
	reward := ladder
	reward.Budget = 450
	k, name := newTill(t, s, nil, 2, reward)
	ask := func(row int, value, points int64, reason string) {
		t.Helper()
		a, err := k.step(k.rows[row], fmt.Sprint(name, tills.Add(1)), &reward, value)
		if err != nil || a.Points != points || a.Reason != reason {
			t.Errorf("%+v, %v", a, err)
		}
	}
	ask(0, 1, 100, "")
	ask(1, 3, 0, campaign.RefusedBudget)
	ask(1, 1, 100, "")
	k.submit(t, name, campaign.Reward{Name: "friends", Ladder: ladder.Ladder, Budget: 500})
	ask(1, 3, 300, "")
	ask(0, 3, 0, campaign.RefusedBudget)
	k.sound(t)
}

// However many ask at the same time, and in whatever order the counts come, a member is paid
// what her highest step gives, and each difference once.
func TestStepsArePaidOnce(t *testing.T) {
	s := open(t)
	k, name := newTill(t, s, nil, 150, ladder)
	next := 0
	rapid.Check(t, func(t *rapid.T) {
		if next == len(k.rows) {
			t.Skip("no member is left")
		}
		row, member := k.rows[next], fmt.Sprint(name, "-", next+1)
		next++
		values := rapid.SliceOfN(rapid.Int64Range(0, 12), 1, 12).Draw(t, "counts")
		var all sync.WaitGroup
		var mu sync.Mutex
		highest, paid := int64(0), int64(0)
		for i, v := range values {
			highest = max(highest, v)
			all.Go(func() {
				a, err := k.step(row, fmt.Sprint(member, "/", i), &ladder, v)
				mu.Lock()
				defer mu.Unlock()
				if paid += a.Points; err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		want, _ := ladder.Ladder.Reached(highest)
		var has int64
		if err := k.Pool().QueryRow(context.Background(), `select points from members where id = $1`, member).Scan(&has); err != nil || has != want.Points || paid != want.Points {
			t.Fatalf("counts %v: paid %d, has %d, want %d; %v", values, paid, has, want.Points, err)
		}
	})
	k.sound(t)
}
