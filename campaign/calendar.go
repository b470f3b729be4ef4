package campaign

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Calendar is a moment as people name it, in some timezone: "09:00", "next day 09:00",
// "monday 09:00", "next monday 09:00", "day 1 of the month 09:00", "last day of the month
// 20:00", "2026-12-24 20:00", or a cron line. ParseCalendar makes one.
type Calendar struct {
	kind    calendarKind
	hour    int
	minute  int
	weekday time.Weekday
	day     int // of the month; lastDay: the last
	fixed   time.Time
	cron    *Cron
}

type calendarKind int

const (
	fixedMoment calendarKind = iota // fixed
	fixedWall                       // fixed, as the wall clock of whatever timezone
	timeOfDay
	nextDay
	weekday
	nextWeekday
	dayOfMonth
	cronLine
)

const lastDay = 31

// CalendarForm says how the moments of a Calendar are written.
const CalendarForm = `write a time of day such as "09:00", "next day 09:00", "monday 09:00", "next monday 09:00", "day 1 of the month 09:00", ` +
	`"last day of the month 20:00", a moment such as "2026-12-24 20:00", or a cron line of five fields such as "0 9 * * 1-5"`

var weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// momentLayouts are how a fixed moment of the campaign's timezone may be written.
var momentLayouts = []string{
	time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", time.DateTime, "2006-01-02T15:04:05",
}

// ParseCalendar reads a moment. Upper and lower case do not differ.
func ParseCalendar(s string) (Calendar, error) {
	words := strings.Fields(strings.ToLower(s))
	if len(words) == 5 && strings.ContainsAny(words[0][:1], "0123456789*") {
		cron, err := ParseCron(s)
		return Calendar{kind: cronLine, cron: cron}, err
	}
	if c, ok := parseFixed(strings.TrimSpace(s)); ok {
		return c, nil
	}
	bad := Errorf(CodeInvalid, "%q is no moment of the calendar: %s", s, CalendarForm)
	if len(words) == 0 {
		return Calendar{}, bad
	}
	at, err := time.Parse("15:04", words[len(words)-1])
	if err != nil {
		return Calendar{}, bad
	}
	c := Calendar{hour: at.Hour(), minute: at.Minute()}
	switch rest := words[:len(words)-1]; {
	case len(rest) == 0:
		c.kind = timeOfDay
	case len(rest) == 1 && slices.Contains(weekdays, rest[0]):
		c.kind, c.weekday = weekday, time.Weekday(slices.Index(weekdays, rest[0]))
	case len(rest) == 2 && rest[0] == "next" && slices.Contains(weekdays, rest[1]):
		c.kind, c.weekday = nextWeekday, time.Weekday(slices.Index(weekdays, rest[1]))
	case slices.Equal(rest, []string{"next", "day"}):
		c.kind = nextDay
	case slices.Equal(rest, []string{"last", "day", "of", "the", "month"}):
		c.kind, c.day = dayOfMonth, lastDay
	case len(rest) == 5 && rest[0] == "day" && slices.Equal(rest[2:], []string{"of", "the", "month"}):
		day, err := strconv.Atoi(rest[1])
		if err != nil || day < 1 || day > lastDay || rest[1][0] == '+' {
			return Calendar{}, Errorf(CodeInvalid, "%q is no moment of the calendar: a month has the days 1 to 31", s)
		}
		c.kind, c.day = dayOfMonth, day
	default:
		return Calendar{}, bad
	}
	return c, nil
}

func parseFixed(s string) (Calendar, bool) {
	t, err := time.Parse(time.RFC3339, s)
	kind := fixedMoment
	for i := 0; err != nil && i < len(momentLayouts); i++ {
		kind = fixedWall
		t, err = time.Parse(momentLayouts[i], s)
	}
	if err != nil || t.Year() < 1970 || t.Year() > 9000 {
		return Calendar{}, false
	}
	return Calendar{kind: kind, fixed: t}, true
}

// Recurs reports whether there is such a moment after any other: "monday 09:00" comes
// again, "2026-12-24 20:00" does not.
func (c Calendar) Recurs() bool { return c.kind != fixedMoment && c.kind != fixedWall }

// Next gives the moment, in UTC. One that recurs is the first after the given moment,
// never that moment itself; one that does not is what it is, and may be past.
//
// A time that does not exist on its day, because clocks were set forward, is the first
// moment after the gap; of one that exists twice it is the first.
func (c Calendar) Next(after time.Time, loc *time.Location) time.Time {
	switch c.kind {
	case fixedMoment:
		return c.fixed.UTC()
	case fixedWall:
		y, mo, d := c.fixed.Date()
		return wallClock(y, mo, d, c.fixed.Hour(), c.fixed.Minute(), loc).Add(time.Duration(c.fixed.Second()) * time.Second)
	case cronLine:
		return c.cron.Next(after, loc)
	case timeOfDay, nextDay, weekday, nextWeekday, dayOfMonth:
	}
	y, mo, d := after.In(loc).Date()
	if c.kind == dayOfMonth {
		for ; ; mo++ {
			day := min(c.day, daysIn(y, mo))
			if t := wallClock(y, mo, day, c.hour, c.minute, loc); t.After(after) {
				return t
			}
		}
	}
	if c.kind == nextDay || c.kind == nextWeekday {
		d++
	}
	for ; ; d++ {
		if (c.kind == weekday || c.kind == nextWeekday) && time.Date(y, mo, d, 0, 0, 0, 0, time.UTC).Weekday() != c.weekday {
			continue
		}
		if t := wallClock(y, mo, d, c.hour, c.minute, loc); t.After(after) {
			return t
		}
	}
}

// Last is the latest moment that lies after one moment and not after another, in UTC;
// zero if there is none.
func (c Calendar) Last(after, until time.Time, loc *time.Location) time.Time {
	if !c.Recurs() {
		if t := c.Next(after, loc); t.After(after) && !t.After(until) {
			return t
		}
		return time.Time{}
	}
	// Moments may be dense and the span long, so the span grows backwards from its end.
	for back := time.Hour; ; back *= 24 {
		from := until.Add(-back)
		if from.Before(after) || back > MaxDuration {
			from = after
		}
		var last time.Time
		for t := c.Next(from, loc); !t.After(until); t = c.Next(t, loc) {
			last = t
		}
		if !last.IsZero() || from.Equal(after) {
			return last
		}
	}
}

func daysIn(y int, mo time.Month) int { return time.Date(y, mo+1, 0, 0, 0, 0, 0, time.UTC).Day() }

// wallClock is the first moment, in UTC, at which the clocks of a timezone show a time;
// where they skip it, the moment at which they do. time.Date promises neither.
func wallClock(y int, mo time.Month, d, hour, minute int, loc *time.Location) time.Time {
	want := time.Date(y, mo, d, hour, minute, 0, 0, time.UTC)
	t := time.Date(y, mo, d, hour, minute, 0, 0, loc)
	_, offset := t.Zone()
	start, end := t.ZoneBounds()
	switch shown := t.UTC().Add(time.Duration(offset) * time.Second); {
	case shown.After(want): // t lies behind the gap
		return start.UTC()
	case shown.Before(want): // t lies before it
		return end.UTC()
	}
	if !start.IsZero() {
		_, before := start.Add(-time.Nanosecond).Zone()
		if first := t.Add(time.Duration(offset-before) * time.Second); before > offset && first.Before(start) {
			return first.UTC()
		}
	}
	return t.UTC()
}

// Cron is a cron line of five fields: minute, hour, day of the month, month and day of
// the week. ParseCron makes one.
type Cron struct {
	minute, hour, dom, month, dow uint64
	// anyDom and anyDow are set where the field begins with a star. Where neither does,
	// a day fits if either fits, as in every cron since Vixie's.
	anyDom, anyDow bool
}

// cronField is one field of a cron line.
type cronField struct {
	name     string
	from, to int
	names    []string
}

var cronFields = []cronField{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, []string{"", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of the week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

const everyHour = 1<<24 - 1

// ParseCron reads a cron line: numbers, names of months and days of the week, lists
// (1,15), ranges (mon-fri) and steps (*/10). 0 and 7 are both Sunday.
func ParseCron(s string) (*Cron, error) {
	fields := strings.Fields(strings.ToLower(s))
	bad := func(why string) (*Cron, error) {
		return nil, Errorf(CodeInvalid, "%q is no cron line: %s", s, why)
	}
	if len(fields) != len(cronFields) {
		return bad(`write five fields, minute, hour, day of the month, month and day of the week, such as "0 9 * * 1-5"`)
	}
	var sets [5]uint64
	for i, f := range fields {
		set, why := cronFields[i].parse(f)
		if why != "" {
			return bad(why)
		}
		sets[i] = set
	}
	c := &Cron{
		minute: sets[0], hour: sets[1], dom: sets[2], month: sets[3], dow: sets[4]&0x7f | sets[4]>>7,
		anyDom: fields[2][0] == '*', anyDow: fields[4][0] == '*',
	}
	if c.anyDow && !c.happens() {
		return bad("none of its months has such a day, so it never happens")
	}
	return c, nil
}

func (f cronField) parse(s string) (set uint64, why string) {
	for part := range strings.SplitSeq(s, ",") {
		span, step, stepped := strings.Cut(part, "/")
		by := 1
		if stepped {
			var err error
			if by, err = strconv.Atoi(step); err != nil || by < 1 || by > f.to {
				return 0, fmt.Sprintf("the step %q of the %s is not a number from 1 to %d", step, f.name, f.to)
			}
		}
		from, to := f.from, f.to
		if span != "*" {
			first, last, isRange := strings.Cut(span, "-")
			var ok, ok2 bool
			if from, ok = f.value(first); !ok {
				return 0, f.wrong(first)
			}
			switch {
			case isRange:
				if to, ok2 = f.value(last); !ok2 {
					return 0, f.wrong(last)
				}
				if f.to == 7 && to == 0 {
					to = 7 // fri-sun
				}
				if to < from {
					return 0, fmt.Sprintf("the range %q of the %s runs backwards", span, f.name)
				}
			case !stepped:
				to = from
			}
		}
		for v := from; v <= to; v += by {
			set |= 1 << v
		}
	}
	return set, ""
}

func (f cronField) value(s string) (int, bool) {
	if i := slices.Index(f.names, s); i >= 0 && s != "" {
		return i, true
	}
	if len(s) == 0 || len(s) > 2 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	v, err := strconv.Atoi(s)
	return v, err == nil && v >= f.from && v <= f.to
}

func (f cronField) wrong(s string) string {
	return fmt.Sprintf("the %s cannot be %q, it goes from %d to %d", f.name, s, f.from, f.to)
}

// happens reports whether one of the months has one of the days; February may have 29.
func (c *Cron) happens() bool {
	for mo := time.January; mo <= time.December; mo++ {
		for d := 1; c.month>>mo&1 == 1 && d <= daysIn(2024, mo); d++ {
			if c.dom>>d&1 == 1 {
				return true
			}
		}
	}
	return false
}

func (c *Cron) onDay(y int, mo time.Month, d int) bool {
	if c.month>>mo&1 == 0 {
		return false
	}
	dom, dow := c.dom>>d&1 == 1, c.dow>>time.Date(y, mo, d, 0, 0, 0, 0, time.UTC).Weekday()&1 == 1
	if c.anyDom || c.anyDow {
		return dom && dow
	}
	return dom || dow
}

// Next is the first moment of the line after another, in UTC. A line with hours of its
// own follows the clock on the wall as Calendar.Next does. One that runs in every hour
// follows the hours themselves, so that it neither pauses nor hurries when clocks change.
func (c *Cron) Next(after time.Time, loc *time.Location) time.Time {
	if c.hour == everyHour {
		return c.nextMinute(after, loc)
	}
	y, mo, d := after.In(loc).Date()
	for ; ; d++ {
		if y, mo, d = time.Date(y, mo, d, 0, 0, 0, 0, time.UTC).Date(); !c.onDay(y, mo, d) {
			continue
		}
		for h := range 24 {
			for mi := 0; c.hour>>h&1 == 1 && mi < 60; mi++ {
				if c.minute>>mi&1 == 0 {
					continue
				}
				if t := wallClock(y, mo, d, h, mi, loc); t.After(after) {
					return t
				}
			}
		}
	}
}

// nextMinute walks along the real minutes, and skips days that do not fit.
func (c *Cron) nextMinute(after time.Time, loc *time.Location) time.Time {
	t := after.UTC().Truncate(time.Minute)
	for {
		t = t.Add(time.Minute)
		local := t.In(loc)
		y, mo, d := local.Date()
		if !c.onDay(y, mo, d) {
			if next := wallClock(y, mo, d+1, 0, 0, loc).Add(-time.Minute); next.After(t) {
				t = next
			}
			continue
		}
		if c.minute>>local.Minute()&1 == 1 {
			return t
		}
	}
}
