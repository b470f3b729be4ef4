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

// maxClockSpan is how far a demo clock goes, in microseconds: a hundred thousand years.
const maxClockSpan = 100_000 * 365 * 24 * 3600 * 1_000_000

// Fast reports whether this is a demo clock.
func (c Clock) Fast() bool { return c.Factor > 1 }

// At turns a real moment into the campaign's time, in UTC and whole microseconds, the
// precision that PostgreSQL keeps.
func (c Clock) At(moment time.Time) time.Time {
	if !c.Fast() {
		return moment.UTC().Truncate(time.Microsecond)
	}
	// In microseconds, because nanoseconds would overflow within days and time run
	// backwards. Before it was started the clock ran as fast as any other.
	elapsed := moment.UnixMicro() - c.Real.UnixMicro()
	if elapsed > 0 {
		elapsed = min(elapsed, maxClockSpan/c.Factor) * c.Factor
	}
	return time.UnixMicro(c.Start.UnixMicro() + elapsed).UTC()
}

// RealSpan is the real span that passes while the campaign's clock goes on by d, rounded up so that
// whoever sleeps for it does not wake too early.
func (c Clock) RealSpan(d time.Duration) time.Duration {
	if !c.Fast() || d <= 0 {
		return d
	}
	return (d + time.Duration(c.Factor) - 1) / time.Duration(c.Factor)
}

// RealAt is the first real moment at which the clock shows at least t.
func (c Clock) RealAt(t time.Time) time.Time {
	if !c.Fast() {
		return t
	}
	elapsed := t.UnixMicro() - c.Start.UnixMicro()
	if elapsed > 0 {
		elapsed = (elapsed + c.Factor - 1) / c.Factor
	}
	return time.UnixMicro(c.Real.UnixMicro() + elapsed).UTC()
}
