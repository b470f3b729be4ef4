package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

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
