package generate

import "time"

// Slack is the lateness that the plan allows: 7.2 real seconds at the demo's clock from
// the moment at which something happens or falls due until its turn has been taken. What
// the machine does within it makes no difference. A quarter of it is the player's.
const Slack = 12 * time.Hour

// What the campaign says, as far as the plan keeps away from it.
const (
	quietFrom, quietUntil = 22, 8 // hours of the day
	firstAwait            = 7 * day
	cardLock, gearLock    = 48 * time.Hour, 72 * time.Hour
	grace                 = 24 * time.Hour
	reminded              = 24 * time.Hour // before the end of a lock

	day = 24 * time.Hour

	told = 10 * time.Minute // within which a shop tells what happened
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

// settled is the moment that decides about a message that is due when we hear of
// something that happened at t: t itself where Slack leads to no quiet hours, or else
// the morning after, to which the message may be put off. What is told later finds it sent: a turn that comes late for both takes them
// in their order.
func settled(t time.Time) time.Time {
	late := t.Add(told + Slack)
	if t.Hour() >= quietUntil && late.Day() == t.Day() && late.Hour() < quietFrom {
		return t
	}
	return morning(t)
}

// opens reports whether an offer may open at t: its reminder, a day or two later at the
// same time of day, must find room for Slack before the quiet hours, or between them
// and the end of the lock.
func opens(t time.Time) bool {
	return t.Hour() >= 20 || t.Add(told).Hour() < quietFrom-int(Slack/time.Hour)
}

// latest is the later of two moments.
func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
