package store

import (
	"testing"
	"time"
)

// Days follow each other without a gap and without overlapping, and each moment lies in the
// day of its name, also where clocks are changed at midnight.
func TestDaysOfACalendar(t *testing.T) {
	for _, c := range []struct {
		zone    string
		of, day string // a moment of it, and the day's first moment and that of the next
		until   string
	}{
		{"Asia/Shanghai", "2026-12-01T15:59:59Z", "2026-11-30T16:00:00Z", "2026-12-01T16:00:00Z"},
		{"Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},     // 23 hours
		{"America/Sao_Paulo", "2017-10-15T12:00:00Z", "2017-10-15T03:00:00Z", "2017-10-16T02:00:00Z"}, // begins at 01:00
		{"America/Havana", "2025-11-02T12:00:00Z", "2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"},    // has midnight twice
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, c.of)
		if err != nil {
			t.Fatal(err)
		}
		_, from, until := dayOf(at, zone)
		if from.UTC().Format(time.RFC3339) != c.day || until.UTC().Format(time.RFC3339) != c.until {
			t.Errorf("%s, %s: from %s until %s", c.zone, c.of, from.UTC(), until.UTC())
		}
		for at := at.AddDate(0, -6, 0); at.Before(until.AddDate(0, 6, 0)); at = at.Add(37 * time.Minute) {
			name, from, until := dayOf(at, zone)
			_, next, _ := dayOf(until, zone)
			if at.Before(from) || !at.Before(until) || name != at.In(zone).Format(time.DateOnly) || !next.Equal(until) {
				t.Fatalf("%s: %s is of %s, from %s until %s, the next from %s", c.zone, at, name, from, until, next)
			}
		}
	}
}
