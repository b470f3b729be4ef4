package campaign

import (
	"strconv"
	"strings"
	"time"
)

// MaxDuration bounds every span in a campaign. Ten years is longer than any campaign
// and far from the overflow of deadlines.
const MaxDuration = 10 * 366 * 24 * time.Hour

// ParseDuration reads 90s, 15m, 48h, 7d, 2w, or several of them from large to small
// such as 1d12h. A day is 24 hours, a week seven days.
func ParseDuration(s string) (time.Duration, error) {
	bad := func(why string) (time.Duration, error) {
		return 0, Errorf(CodeInvalid, "%q is not a duration: %s", s, why)
	}
	var total time.Duration
	rest, last := s, time.Duration(0)
	if s == "" {
		return bad("write a number and a unit, such as 90s, 15m, 48h, 7d or 2w")
	}
	for rest != "" {
		i := 0
		for i < len(rest) && rest[i] >= '0' && rest[i] <= '9' {
			i++
		}
		if i == 0 || i == len(rest) || i > 9 {
			return bad("write a number and a unit, such as 90s, 15m, 48h, 7d or 2w")
		}
		n, err := strconv.ParseInt(rest[:i], 10, 64)
		if err != nil {
			return bad("the number is too large")
		}
		unit, ok := durationUnits[rest[i]]
		if !ok {
			return bad("the unit is one of s, m, h, d, w")
		}
		if last != 0 && unit >= last {
			return bad("units go from large to small, each once, such as 1d12h")
		}
		if n > int64(MaxDuration/unit) {
			return bad("it is longer than ten years")
		}
		total += time.Duration(n) * unit
		last, rest = unit, rest[i+1:]
	}
	if total > MaxDuration {
		return bad("it is longer than ten years")
	}
	return total, nil
}

var durationUnits = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
}

// FormatDuration writes a span the way a campaign does: 48h stays 48h, 7 days are 7d,
// 90 minutes are 1h30m. Spans under a second are written as 0s.
func FormatDuration(d time.Duration) string {
	if d < 0 {
		return "-" + FormatDuration(-d)
	}
	if d < time.Second {
		return "0s"
	}
	const day = 24 * time.Hour
	if d%day == 0 && d >= 3*day {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	var b strings.Builder
	if d >= 3*day {
		b.WriteString(strconv.FormatInt(int64(d/day), 10) + "d")
		d %= day
	}
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / u.unit; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10) + u.name)
			d %= u.unit
		}
	}
	return b.String()
}
