package starter_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

func TestReportOfSplits(t *testing.T) {
	t.Parallel()
	rate := func(did, of int64, share, low, high float64) *store.Rate {
		return &store.Rate{Of: of, Did: did, Share: share, Low: low, High: high}
	}
	worth := func(amount string) *store.Amount { return &store.Amount{Amount: amount, Currency: "CNY"} }
	arms := []store.ArmReport{
		{Arm: "A", Share: 0.5, Members: 1000, Converted: rate(100, 1000, 0.1, 0.083, 0.12), Value: worth("19900.00")},
		{
			Arm: "B", Share: 0.4999, Members: 998, Converted: rate(150, 998, 0.1503, 0.1295, 0.1738), Value: worth("29850.00"),
			Uplift: &store.Uplift{Difference: 0.0503, Low: 0.0213, High: 0.0793, Clear: true},
		},
		{Arm: "with-photo", Share: 0.0001, Members: 1, Converted: rate(0, 1, 0, 0, 0.79), Value: worth("0.00"), Uplift: &store.Uplift{Difference: -0.1, Low: -0.12, High: 0.69}},
	}
	report := &store.Report{
		Campaign: "spring", Title: "Spring", State: store.StateRunning, Version: 1, Currency: "CNY", Timezone: "Asia/Shanghai",
		Now: time.Date(2026, 12, 5, 2, 0, 0, 0, time.UTC),
		Journeys: []store.JourneyReport{
			{Journey: "one", Version: 1, Entered: 2100, HeldOut: 101, Active: 5, Splits: []store.SplitReport{{Split: "greeting", Arms: arms}}},
			{Journey: "two", Version: 1, Splits: []store.SplitReport{{Split: "time", Arms: []store.ArmReport{{Arm: "early", Share: 0.5, Members: 1}, {Arm: "late", Share: 0.5}}}}},
		},
	}
	var text bytes.Buffer
	if err := starter.WriteReport(&text, report); err != nil {
		t.Fatal(err)
	}
	golden(t, "report_splits.golden", text.String())
}
