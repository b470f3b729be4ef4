package campaign

import "time"

// Clock is a campaign's clock. The usual one is real time; a demo campaign's runs
// Factor times as fast from the moment it was started.
type Clock struct {
	Factor int64     `json:"factor"`         // 1, or 0, is real time
	Real   time.Time `json:"real,omitzero"`  // the real moment at which the clock was started
	Start  time.Time `json:"start,omitzero"` // what the clock showed then
}

// MaxClockFactor bounds a demo clock: a day in a second.
const MaxClockFactor = 86_400

// Fast reports whether this is a demo clock.
func (c Clock) Fast() bool { return c.Factor > 1 }

// At turns a real moment into the campaign's time, in UTC and whole microseconds, the
// precision that PostgreSQL keeps.
func (c Clock) At(moment time.Time) time.Time {
	if !c.Fast() {
		return moment.UTC().Truncate(time.Microsecond)
	}
	elapsed := moment.Sub(c.Real).Truncate(time.Microsecond)
	return c.Start.Add(elapsed * time.Duration(c.Factor)).UTC().Truncate(time.Microsecond)
}

// RealSpan is the real span that passes while the campaign's clock goes on by d, rounded up so that
// whoever sleeps for it does not wake too early.
func (c Clock) RealSpan(d time.Duration) time.Duration {
	if !c.Fast() || d <= 0 {
		return d
	}
	return (d + time.Duration(c.Factor) - 1) / time.Duration(c.Factor)
}
