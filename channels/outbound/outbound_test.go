package outbound_test

import (
	"testing"
	"time"

	"github.com/banyanhq/banyan/channels/outbound"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, " 7 ": 7 * time.Second, "3600": time.Hour, "3601": time.Hour,
		"99999999999999999999999": time.Hour, "-5": 0, "1.5": 0, "soon": 0,
		"Tue, 01 Dec 2026 12:00:30 GMT":    30 * time.Second,
		"Tue, 01 Dec 2026 11:00:00 GMT":    0,
		"Wed, 02 Dec 2026 12:00:00 GMT":    time.Hour,
		"Tuesday, 01-Dec-26 12:00:09 GMT":  9 * time.Second, // the older forms that RFC 9110 keeps
		"Tue Dec  1 12:00:08 2026":         8 * time.Second,
		"Tue, 01 Dec 2026 12:00:30 +08:00": 0,
	} {
		if got := outbound.RetryAfter(value, noon); got != want {
			t.Errorf("RetryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestSecrets(t *testing.T) {
	const one = "0123456789abcdef"
	for list, want := range map[string]int{
		one: 1, one + ", " + one: 2, one + "," + one + "," + one: 3,
		"": 0, "short": 0, one + ",": 0, one + "," + one + "," + one + "," + one: 0,
	} {
		got, err := outbound.Secrets("SETTING", list)
		if len(got) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d secrets, %v", list, len(got), err)
		}
	}
}
