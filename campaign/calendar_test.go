package campaign_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// Clocks go forward in Berlin on 28 March 2027 at 02:00 and back on 31 October at 03:00;
// in New York on 14 March at 02:00 and on 7 November at 02:00.
func TestCalendarNext(t *testing.T) {
	t.Parallel()
	const layout = "2006-01-02 15:04 -0700"
	for _, c := range []struct{ zone, words, after, want string }{
		{"Asia/Shanghai", "09:00", "2026-12-01 08:59 +0800", "2026-12-01 09:00 +0800"},
		{"Asia/Shanghai", "09:00", "2026-12-01 09:00 +0800", "2026-12-02 09:00 +0800"},
		{"Asia/Shanghai", "next day 09:00", "2026-12-01 08:00 +0800", "2026-12-02 09:00 +0800"},
		{"Asia/Shanghai", "next day 09:00", "2026-12-31 23:59 +0800", "2027-01-01 09:00 +0800"},
		{"Asia/Shanghai", "next day 09:00", "2026-12-01 16:30 +0000", "2026-12-03 09:00 +0800"},
		// 30 November 2026 is a Monday.
		{"Asia/Shanghai", "monday 09:00", "2026-11-30 08:00 +0800", "2026-11-30 09:00 +0800"},
		{"Asia/Shanghai", "Monday 9:00", "2026-11-30 09:00 +0800", "2026-12-07 09:00 +0800"},
		{"Asia/Shanghai", "next monday 09:00", "2026-11-30 08:00 +0800", "2026-12-07 09:00 +0800"},
		{"Asia/Shanghai", "next monday 09:00", "2026-11-29 23:00 +0800", "2026-11-30 09:00 +0800"},
		{"Asia/Shanghai", "day 1 of the month 09:00", "2026-12-01 09:00 +0800", "2027-01-01 09:00 +0800"},
		{"Asia/Shanghai", "day 31 of the month 09:00", "2027-02-01 09:00 +0800", "2027-02-28 09:00 +0800"},
		{"Asia/Shanghai", "last day of the month 20:00", "2028-02-01 09:00 +0800", "2028-02-29 20:00 +0800"},
		{"Asia/Shanghai", "last day of the month 20:00", "2026-12-31 20:00 +0800", "2027-01-31 20:00 +0800"},
		{"Asia/Shanghai", "2026-12-24 20:00", "2027-06-01 00:00 +0800", "2026-12-24 20:00 +0800"},
		{"Asia/Shanghai", "2026-12-24", "2026-06-01 00:00 +0800", "2026-12-24 00:00 +0800"},
		{"Asia/Shanghai", "2026-12-24T20:00:00+01:00", "2026-06-01 00:00 +0800", "2026-12-24 20:00 +0100"},

		{"Europe/Berlin", "02:30", "2027-03-27 12:00 +0100", "2027-03-28 03:00 +0200"},
		{"Europe/Berlin", "02:30", "2027-03-28 03:00 +0200", "2027-03-29 02:30 +0200"},
		{"Europe/Berlin", "09:00", "2027-03-27 09:00 +0100", "2027-03-28 09:00 +0200"},
		{"Europe/Berlin", "02:30", "2027-10-30 12:00 +0200", "2027-10-31 02:30 +0200"},
		{"Europe/Berlin", "02:30", "2027-10-31 02:30 +0200", "2027-11-01 02:30 +0100"},
		{"Europe/Berlin", "2027-03-28 02:15", "2027-01-01 00:00 +0100", "2027-03-28 03:00 +0200"},
		{"Europe/Berlin", "2027-10-31 02:15", "2027-01-01 00:00 +0100", "2027-10-31 02:15 +0200"},
		{"Europe/Berlin", "30 2 * * *", "2027-03-27 12:00 +0100", "2027-03-28 03:00 +0200"},
		{"Europe/Berlin", "30 2 * * *", "2027-10-31 02:30 +0200", "2027-11-01 02:30 +0100"},
		// A line that runs in every hour neither pauses nor hurries.
		{"Europe/Berlin", "30 * * * *", "2027-03-28 01:30 +0100", "2027-03-28 03:30 +0200"},
		{"Europe/Berlin", "30 * * * *", "2027-10-31 02:30 +0200", "2027-10-31 02:30 +0100"},
		{"America/New_York", "02:30", "2027-03-13 12:00 -0500", "2027-03-14 03:00 -0400"},
		{"America/New_York", "next day 01:30", "2027-11-06 12:00 -0400", "2027-11-07 01:30 -0400"},
		{"America/New_York", "sunday 01:30", "2027-11-07 01:45 -0400", "2027-11-14 01:30 -0500"},
		// Clocks that jump by half an hour, over midnight, and over a whole day.
		{"Australia/Lord_Howe", "02:15", "2026-10-03 12:00 +1030", "2026-10-04 02:30 +1100"},
		{"America/Sao_Paulo", "00:30", "2018-11-03 12:00 -0300", "2018-11-04 01:00 -0200"},
		{"Pacific/Apia", "2011-12-30 09:00", "2011-12-01 00:00 -1000", "2011-12-31 00:00 +1400"},

		{"Asia/Shanghai", "0 9 * * 1-5", "2026-12-04 09:00 +0800", "2026-12-07 09:00 +0800"},
		{"Asia/Shanghai", "0 9 * * fri-sun", "2026-12-05 09:00 +0800", "2026-12-06 09:00 +0800"},
		{"Asia/Shanghai", "0 9 * * 7", "2026-12-01 09:00 +0800", "2026-12-06 09:00 +0800"},
		{"Asia/Shanghai", "*/20 9,18 * * *", "2026-12-01 09:40 +0800", "2026-12-01 18:00 +0800"},
		{"Asia/Shanghai", "5/20 * * * *", "2026-12-01 09:25 +0800", "2026-12-01 09:45 +0800"},
		{"Asia/Shanghai", "0 9 1,15 * *", "2026-12-01 09:00 +0800", "2026-12-15 09:00 +0800"},
		{"Asia/Shanghai", "0 9 13 * 5", "2026-12-11 09:00 +0800", "2026-12-13 09:00 +0800"}, // either fits
		{"Asia/Shanghai", "0 9 29 FEB *", "2027-01-01 00:00 +0800", "2028-02-29 09:00 +0800"},
		{"Asia/Shanghai", "0 0 31 */2 *", "2026-12-01 00:00 +0800", "2027-01-31 00:00 +0800"},
	} {
		after, err := time.Parse(layout, c.after)
		if err != nil {
			t.Fatal(err)
		}
		want, err := time.Parse(layout, c.want)
		if err != nil {
			t.Fatal(err)
		}
		cal, err := campaign.ParseCalendar(c.words)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := cal.Next(after, zone(t, c.zone)); !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s, %q after %s: %s, want %s", c.zone, c.words, c.after, got.In(zone(t, c.zone)).Format(layout), c.want)
		}
	}
}

func TestCalendarRefuses(t *testing.T) {
	t.Parallel()
	for words, why := range map[string]string{
		"":                          "write a time of day",
		"tomorrow":                  "write a time of day",
		"24:00":                     "write a time of day",
		"next 09:00":                "write a time of day",
		"someday 09:00":             "write a time of day",
		"2026-13-01 09:00":          "write a time of day",
		"day 0 of the month 09:00":  "days 1 to 31",
		"day 32 of the month 09:00": "days 1 to 31",
		"60 9 * * *":                `the minute cannot be "60"`,
		"0 24 * * *":                `the hour cannot be "24"`,
		"0 9 * * someday":           `the day of the week cannot be "someday"`,
		"0 9 * * 5-1":               "runs backwards",
		"*/0 9 * * *":               "the step",
		"0 9 30 2 *":                "never happens",
		"0 9 , * *":                 `cannot be ""`,
	} {
		if _, err := campaign.ParseCalendar(words); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q", words, err, why)
		}
	}
	if _, err := campaign.ParseCron("@daily"); err == nil || !strings.Contains(err.Error(), "five fields") {
		t.Errorf("@daily: %v", err)
	}
}

var zones = []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Cairo", "Asia/Shanghai", "Europe/Dublin"}

// slowly finds the first moment of a day's time behind another by looking at every
// minute: where the clock first shows the time, or first shows a later one of that day
// or behind it.
func slowly(after time.Time, hour, minute int, loc *time.Location) time.Time {
	y, mo, d := after.In(loc).Date()
	for ; ; d++ {
		want := time.Date(y, mo, d, hour, minute, 0, 0, time.UTC)
		for at := want.Add(-26 * time.Hour); ; at = at.Add(time.Minute) {
			local := at.In(loc)
			shown := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), 0, 0, time.UTC)
			if shown.Before(want) {
				continue
			}
			if at.After(after) {
				return at
			}
			break
		}
	}
}

func TestCalendarAgainstLookingAtEveryMinute(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		loc := zone(t, rapid.SampledFrom(zones).Draw(rt, "zone"))
		after := time.Unix(rapid.Int64Range(1_500_000_000, 1_900_000_000).Draw(rt, "after"), 0)
		// Clocks change in the small hours, so look there more often.
		if _, end := after.In(loc).ZoneBounds(); !end.IsZero() && rapid.Bool().Draw(rt, "near a change") {
			after = end.Add(time.Duration(rapid.IntRange(-30*60, 6*60).Draw(rt, "minutes")) * time.Minute)
		}
		hour := rapid.IntRange(0, 23).Draw(rt, "hour")
		if rapid.Bool().Draw(rt, "early") {
			hour = rapid.IntRange(0, 3).Draw(rt, "hour")
		}
		minute := rapid.IntRange(0, 59).Draw(rt, "minute")
		words := time.Date(2000, 1, 1, hour, minute, 0, 0, time.UTC).Format("15:04")
		cal, err := campaign.ParseCalendar(words)
		if err != nil {
			rt.Fatal(err)
		}
		got, want := cal.Next(after, loc), slowly(after, hour, minute, loc)
		if !got.Equal(want) {
			rt.Fatalf("%s after %s in %s: %s, want %s", words, after.In(loc), loc, got.In(loc), want.In(loc))
		}
		cron, err := campaign.ParseCron(time.Date(2000, 1, 1, hour, minute, 0, 0, time.UTC).Format("4 15") + " * * *")
		if err != nil {
			rt.Fatal(err)
		}
		if c := cron.Next(after, loc); !c.Equal(want) {
			rt.Fatalf("as a cron line: %s, want %s", c, want)
		}
	})
}

func TestCronGoesOnAndOn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		loc := zone(t, rapid.SampledFrom(zones).Draw(rt, "zone"))
		line := rapid.SampledFrom([]string{
			"* * * * *", "*/7 * * * *", "30 * 1-7 * 1", "0 */3 * * *", "15,45 2 * * sun", "0 0 29 2 *", "59 23 31 12 *", "0 2-4 * 3,10 0,6",
		}).Draw(rt, "line")
		cron, err := campaign.ParseCron(line)
		if err != nil {
			rt.Fatal(err)
		}
		at := time.Unix(rapid.Int64Range(1_500_000_000, 1_900_000_000).Draw(rt, "after"), rapid.Int64Range(0, 999_999_999).Draw(rt, "ns"))
		var moments []time.Time
		for t := at; len(moments) < 5; {
			next := cron.Next(t, loc)
			if !next.After(t) || next.Nanosecond() != 0 || next.Second() != 0 {
				rt.Fatalf("%s after %s: %s", line, t, next)
			}
			moments, t = append(moments, next), next
		}
		lines, err := campaign.ParseCalendar(line)
		if err != nil {
			rt.Fatal(err)
		}
		until := moments[3].Add(time.Duration(rapid.Int64Range(0, int64(moments[4].Sub(moments[3])-1)).Draw(rt, "behind")))
		if last := lines.Last(at, until, loc); !last.Equal(moments[3]) {
			rt.Fatalf("%s: the last of %v up to %s is %s", line, moments, until, last)
		}
		if last := lines.Last(at, moments[0].Add(-time.Nanosecond), loc); !last.IsZero() {
			rt.Fatalf("%s: there is a moment %s before the first, %s", line, last, moments[0])
		}
	})
}

func TestTheLastOfAMomentThatDoesNotRecur(t *testing.T) {
	t.Parallel()
	c, err := campaign.ParseCalendar("2026-12-24 20:00")
	if err != nil {
		t.Fatal(err)
	}
	loc := zone(t, "Asia/Shanghai")
	at := time.Date(2026, 12, 24, 20, 0, 0, 0, loc)
	for _, span := range []struct {
		after, until time.Duration
		is           bool
	}{{-time.Hour, -time.Nanosecond, false}, {-time.Hour, 0, true}, {-time.Hour, time.Hour, true}, {0, time.Hour, false}} {
		if got := c.Last(at.Add(span.after), at.Add(span.until), loc); got.Equal(at) != span.is || !span.is && !got.IsZero() {
			t.Errorf("%v: %s", span, got)
		}
	}
}

func FuzzParseCalendar(f *testing.F) {
	for _, s := range []string{"09:00", "next monday 9:00", "0 9 * * 1-5", "2026-12-24", "day 31 of the month 00:00", "1-5/2,7 * */3 feb sun"} {
		f.Add(s)
	}
	loc := zone(f, "Europe/Berlin")
	after := time.Date(2027, 3, 27, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		c, err := campaign.ParseCalendar(s)
		if err != nil {
			return
		}
		if next := c.Next(after, loc); c.Recurs() && !next.After(after) {
			t.Errorf("%q: %s does not come after %s", s, next, after)
		}
	})
}
