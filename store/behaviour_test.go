package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// What is left of a budget is asked once for a campaign, and answered for each of its
// members: in all, today, and without limit where the version submitted last has none.
func TestWhatIsLeftOfABudget(t *testing.T) {
	t.Parallel()
	s := open(t)
	of := func(property string) campaign.Behaviour {
		return campaign.Behaviour{Function: campaign.AboutBudget, Event: "gift", Property: property}
	}
	left, today := of(campaign.LeftInAll), of(campaign.LeftToday)
	gift := campaign.Reward{Name: "gift", Points: 10, Budget: 100, BudgetPerDay: 30}
	k, both := newTill(t, s, nil, 2, gift)
	inAll, none := gift, gift
	inAll.BudgetPerDay, none.BudgetPerDay, none.Budget = 0, 0, 0
	_, total := newTill(t, s, nil, 0, inAll)
	_, free := newTill(t, s, nil, 0, none)
	members := []string{both + "-1", both + "-2"}
	ask := func() (answers []map[campaign.Behaviour]campaign.BehaviourValue) {
		t.Helper()
		err := s.InEntry(t.Context(), members, func(tx *store.EntryTx) error {
			var list []*store.Attempt
			for _, name := range []string{both, total, free} {
				for _, m := range members {
					list = append(list, &store.Attempt{Entrant: tx.Entrant(m), Campaign: name, Now: time.Now(), Questions: []campaign.Behaviour{left, today}})
				}
			}
			err := tx.Gather(t.Context(), list)
			for _, a := range list {
				answers = append(answers, a.Answers)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return answers
	}
	check := func(wholeLeft, dayLeft int64) {
		t.Helper()
		for i, a := range ask() {
			want := [][2]int64{{wholeLeft, dayLeft}, {100, campaign.Unlimited}, {campaign.Unlimited, campaign.Unlimited}}[i/2]
			if a[left].Count != want[0] || a[today].Count != want[1] {
				t.Errorf("attempt %d: %+v, want %d", i, a, want)
			}
		}
	}
	check(100, 30)
	if _, err := k.grant(t.Context(), []wish{{k.rows[0], "g/1", &gift}, {k.rows[1], "g/2", &gift}}, nil); err != nil {
		t.Fatal(err)
	}
	check(80, 10)
}

// Whatever an event carries under the name of a sum, the sum is a number: an error
// would hold up every turn and every entry of the member for ever.
func TestASumIsNeverAnError(t *testing.T) {
	t.Parallel()
	s := open(t)
	at := time.Now().Add(-time.Minute)
	var events []campaign.Event
	for i, amount := range []string{
		`{"amount":"12.50","currency":"CNY"}`, `{"amount":"abc"}`, `{"amount":null}`, `{"amount":""}`, `{"amount":{"x":1}}`, `"12.50"`, `7`, `[1]`, `null`,
		`{"amount":"92233720368547757.00","currency":"CNY"}`, `{"amount":"92233720368547757.00","currency":"CNY"}`, `{"amount":"1e400"}`,
	} {
		events = append(events, campaign.Event{
			ID: fmt.Sprint("e-", i), Type: "order.paid", Member: "m-1", Time: at, Properties: json.RawMessage(`{"amount":` + amount + `}`),
		})
	}
	if _, err := s.StoreEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	err := s.InEntry(t.Context(), []string{"m-1"}, func(tx *store.EntryTx) error {
		question := campaign.Behaviour{Function: "sum", Event: "order.paid", Property: "amount"}
		a := &store.Attempt{Entrant: tx.Entrant("m-1"), Now: time.Now(), Questions: []campaign.Behaviour{question}}
		err := tx.Gather(t.Context(), []*store.Attempt{a})
		if got := a.Answers[question]; err == nil && (got.Minor <= 1250 || got.Sum != 7) {
			t.Errorf("%+v", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
