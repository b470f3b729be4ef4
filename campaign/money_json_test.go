package campaign

import (
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Money that is read the short way is what the JSON says, and whatever else there may be is
// left to the long way.
func TestMoneyIsReadAsItsJSONSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		m := Money{rapid.Int64().Draw(r, "minor"), rapid.SampledFrom([]Currency{"CNY", "USD", "XYZ", "", "C", "CNYY"}).Draw(r, "currency")}
		data, err := m.MarshalJSON()
		if err != nil {
			r.Fatal(err)
		}
		j, ours := readMoney(data)
		if want := (moneyJSON{m.Decimal(), m.Currency}); ours && j != want || !ours && len(m.Currency) == 3 {
			r.Fatalf("%s is read as %+v, %v", data, j, ours)
		}
		if want := fmt.Sprintf("%d", m.Minor); m.Minor >= 100 && m.Decimal() != want[:len(want)-2]+"."+want[len(want)-2:] {
			r.Fatalf("%d is written as %s", m.Minor, m.Decimal())
		}
		// Anything that is close to it.
		at, with := rapid.IntRange(0, len(data)-1).Draw(r, "at"), rapid.SampledFrom([]string{"", "\\", `"`, "}", " ", "9", "x", ",", "\x00", "é"}).Draw(r, "with")
		changed := []byte(string(data[:at]) + with + string(data[at+rapid.IntRange(0, 1).Draw(r, "cut"):]))
		if j, ours := readMoney(changed); ours {
			var want moneyJSON
			if err := json.Unmarshal(changed, &want); err != nil || j != want {
				r.Fatalf("%s is read as %+v, and is %+v, %v", changed, j, want, err)
			}
		}
	})
}
