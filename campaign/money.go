package campaign

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// Currency is an ISO 4217 code, e.g. CNY.
type Currency string

// Valid reports whether the currency is one that Banyan can hold: money here has two
// decimal places (ISO 4217 minor unit 2).
func (c Currency) Valid() bool {
	switch c {
	case "CNY", "HKD", "MOP", "TWD", "SGD", "MYR", "THB", "USD", "EUR", "GBP", "AUD", "CAD", "NZD", "CHF":
		return true
	}
	return false
}

// Symbol is how people write the currency, e.g. ¥; the code and a space where there
// is no sign that everybody knows.
func (c Currency) Symbol() string {
	switch c {
	case "CNY":
		return "¥"
	case "USD":
		return "$"
	case "EUR":
		return "€"
	case "GBP":
		return "£"
	}
	return string(c) + " "
}

// Money is an amount in minor units (fen, cents) with its currency. Binary floats
// never touch it.
type Money struct {
	Minor    int64
	Currency Currency
}

// IsZero reports whether the amount is nothing at all.
func (m Money) IsZero() bool { return m.Minor == 0 }

// Decimal writes the amount with two places and no sign of currency: 199.00.
func (m Money) Decimal() string {
	text, n := make([]byte, 0, 24), uint64(m.Minor)
	if m.Minor < 0 {
		text, n = append(text, '-'), uint64(-(m.Minor+1))+1
	}
	text = strconv.AppendUint(text, n/100, 10)
	return string(append(text, '.', byte('0'+n/10%10), byte('0'+n%10)))
}

// String writes the amount for people: ¥199.00.
func (m Money) String() string {
	d := m.Decimal()
	if strings.HasPrefix(d, "-") {
		return "-" + m.Currency.Symbol() + d[1:]
	}
	return m.Currency.Symbol() + d
}

// ParseMoney reads a decimal with at most two places, such as 9.9 or 199. A third
// place, an exponent, or an amount beyond 92 quadrillion is an error.
func ParseMoney(s string, c Currency) (Money, error) {
	text, neg := strings.CutPrefix(s, "-")
	whole, frac, dot := strings.Cut(text, ".")
	bad := func(why string) (Money, error) {
		return Money{}, Errorf(CodeInvalid, "%q is not an amount of money: %s", s, why)
	}
	if whole == "" || !digits(whole) || dot && frac == "" || !digits(frac) {
		return bad("write digits with at most two decimal places, such as 9.90")
	}
	if len(frac) > 2 {
		return bad("money has at most two decimal places")
	}
	units, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || units > (math.MaxInt64-99)/100 {
		return bad("it is too large")
	}
	cents, err := strconv.ParseInt((frac + "00")[:2], 10, 64)
	if err != nil {
		return bad("write digits with at most two decimal places, such as 9.90")
	}
	minor := units*100 + cents
	if neg {
		minor = -minor
	}
	return Money{Minor: minor, Currency: c}, nil
}

func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}

type moneyJSON struct {
	Amount   string   `json:"amount"`
	Currency Currency `json:"currency"`
}

// MarshalJSON writes {"amount":"199.00","currency":"CNY"}.
func (m Money) MarshalJSON() ([]byte, error) {
	return json.Marshal(moneyJSON{m.Decimal(), m.Currency})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (m *Money) UnmarshalJSON(data []byte) error {
	j, ours := readMoney(data)
	if !ours {
		if err := json.Unmarshal(data, &j); err != nil {
			return Errorf(CodeInvalid, `money is written as {"amount": "199.00", "currency": "CNY"}`)
		}
	}
	if j.Amount == "" && j.Currency == "" {
		*m = Money{}
		return nil
	}
	if !j.Currency.Valid() {
		return Errorf(CodeInvalid, "currency %q is not known", j.Currency)
	}
	parsed, err := ParseMoney(j.Amount, j.Currency)
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

// readMoney reads money as MarshalJSON writes it, which is how nearly all of it comes: every
// event of an order is read several times. ours is false where it is written otherwise.
func readMoney(data []byte) (j moneyJSON, ours bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"amount":"`))
	amount, rest, found := bytes.Cut(rest, []byte(`","currency":"`))
	currency, tail := rest[:min(3, len(rest))], rest[min(3, len(rest)):]
	plain := func(c byte) bool { return c == '-' || c == '.' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' }
	for _, c := range amount {
		ok = ok && plain(c)
	}
	for _, c := range currency {
		ok = ok && plain(c)
	}
	if !ok || !found || string(tail) != `"}` {
		return moneyJSON{}, false
	}
	return moneyJSON{Amount: string(amount), Currency: Currency(currency)}, true
}
