package generate

import "time"

// Slack is the lateness that the plan allows the engine and the player: 4.8 real
// seconds at the demo's clock. What they do within it makes no difference.
const Slack = 8 * time.Hour

// What the campaign says, as far as the plan keeps away from it.
const (
	quietFrom, quietUntil = 22, 8 // hours of the day
	firstAwait            = 7 * day
	cardLock, gearLock    = 48 * time.Hour, 72 * time.Hour
	grace                 = 24 * time.Hour
	reminded              = 24 * time.Hour // before the end of a lock

	day = 24 * time.Hour
)

// at is a moment by day (0 is the first) and time of day.
func at(d, hour, minute int) time.Time {
	return time.Date(Start.Year(), Start.Month(), Start.Day()+d, hour, minute, 0, 0, zone)
}

// morning is the end of the quiet hours around or after a moment.
func morning(t time.Time) time.Time {
	m := time.Date(t.Year(), t.Month(), t.Day(), quietUntil, 0, 0, 0, zone)
	if m.Before(t) {
		m = m.AddDate(0, 0, 1)
	}
	return m
}

// settled is the latest moment for which a message that is due at t may be put off: t
// itself, or the morning after where it may meet the quiet hours.
func settled(t time.Time) time.Time {
	late := t.Add(Slack)
	if t.Hour() >= quietUntil && late.Day() == t.Day() && late.Hour() < quietFrom {
		return t
	}
	return morning(t)
}

// surely is the moment from which a message that fell due at t has gone out.
func surely(t time.Time) time.Time { return settled(t).Add(Slack) }

// latest is the later of two moments.
func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
