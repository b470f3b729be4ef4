package campaign_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
)

func shanghai(tb testing.TB) *time.Location {
	tb.Helper()
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		tb.Fatal(err)
	}
	return loc
}

func TestDays(t *testing.T) {
	t.Parallel()
	loc := shanghai(t)
	for _, c := range []struct {
		period           campaign.Period
		on, begins, ends string
	}{
		{campaign.PeriodDay, "2027-03-01", "2027-03-01", "2027-03-02"},
		{campaign.PeriodWeek, "2027-03-01", "2027-03-01", "2027-03-08"}, // a Monday
		{campaign.PeriodWeek, "2027-03-07", "2027-03-01", "2027-03-08"},
		{campaign.PeriodWeek, "1969-12-31", "1969-12-29", "1970-01-05"},
		{campaign.PeriodMonth, "2028-02-29", "2028-02-01", "2028-03-01"},
		{campaign.PeriodMonth, "2027-12-31", "2027-12-01", "2028-01-01"},
		{campaign.PeriodAll, "2027-12-31", "1970-01-01", "1970-01-01"},
	} {
		at, err := time.ParseInLocation(time.DateOnly, c.on, loc)
		if err != nil {
			t.Fatal(err)
		}
		begins := c.period.Of(campaign.DayOf(at.Add(23*time.Hour), loc))
		if begins.String() != c.begins || c.period.After(begins).String() != c.ends {
			t.Errorf("the %s of %s is %s to %s", c.period, c.on, begins, c.period.After(begins))
		}
	}
	// Where midnight does not exist, and where it is there twice.
	for zone, day := range map[string]string{"America/Sao_Paulo": "2018-11-04", "America/Havana": "2027-11-07", "Asia/Shanghai": "2027-03-01"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.ParseInLocation(time.DateTime, day+" 12:00:00", loc)
		if err != nil {
			t.Fatal(err)
		}
		d := campaign.DayOf(at, loc)
		begins := d.Begins(loc)
		if campaign.DayOf(begins, loc) != d || campaign.DayOf(begins.Add(-time.Second), loc) != d-1 {
			t.Errorf("%s in %s begins at %s", day, zone, begins)
		}
	}
}

func TestRealAt(t *testing.T) {
	t.Parallel()
	started := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []campaign.Clock{{}, {Factor: 1}, {Factor: 60, Real: started, Start: started.AddDate(1, 0, 0)}, {Factor: 86400, Real: started, Start: started}} {
		for _, span := range []time.Duration{-time.Hour, 0, time.Microsecond, 90 * time.Second, 365 * 24 * time.Hour} {
			shows := c.At(started).Add(span)
			moment := c.RealAt(shows)
			if c.At(moment).Before(shows) || c.Fast() && span > 0 && !c.At(moment.Add(-time.Microsecond)).Before(shows) {
				t.Errorf("%+v shows %s at %s", c, c.At(moment), moment)
			}
		}
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	hours := func(list ...int) (out []time.Time) {
		for _, h := range list {
			out = append(out, at.Add(time.Duration(h)*time.Hour))
		}
		return out
	}
	twice := &campaign.Times{Times: 2, Every: 24 * time.Hour}
	for _, c := range []struct {
		what       string
		rule       campaign.PointRule
		asked, had int64
		times      []time.Time
		gets       int64
		reason     string
	}{
		{"no cap", campaign.PointRule{}, 7, 1000, nil, 7, ""},
		{"within the day", campaign.PointRule{PerDay: 10}, 7, 3, nil, 7, ""},
		{"what the day leaves", campaign.PointRule{PerDay: 10}, 7, 4, nil, 6, campaign.RefusedDailyCap},
		{"nothing left", campaign.PointRule{PerDay: 10}, 7, 10, nil, 0, campaign.RefusedDailyCap},
		{"more than the day has, by another version", campaign.PointRule{PerDay: 10}, 7, 12, nil, 0, campaign.RefusedDailyCap},
		{"for ever", campaign.PointRule{PerMember: &campaign.Times{Times: 2}}, 7, 0, hours(-9999, 9999), 0, campaign.RefusedPerMember},
		{"one left for ever", campaign.PointRule{PerMember: &campaign.Times{Times: 2}}, 7, 0, hours(-9999), 7, ""},
		{"within a span", campaign.PointRule{PerMember: twice}, 7, 0, hours(-23, -1), 0, campaign.RefusedPerMember},
		{"a span later", campaign.PointRule{PerMember: twice}, 7, 0, hours(-24, -1), 7, ""},
		{"told late, between two that are a span apart", campaign.PointRule{PerMember: twice}, 7, 0, hours(-12, 12), 7, ""},
		{"told late, between two that are not", campaign.PointRule{PerMember: twice}, 7, 0, hours(-12, 11), 0, campaign.RefusedPerMember},
		{"told late, before both", campaign.PointRule{PerMember: twice}, 7, 0, hours(1, 2), 0, campaign.RefusedPerMember},
	} {
		if points, reason := c.rule.Allow(c.asked, c.had, c.times, at); points != c.gets || reason != c.reason {
			t.Errorf("%s: %d %q", c.what, points, reason)
		}
	}
}

// However events are told, no span holds more than so many, and what is refused would have
// made it more.
func TestRoomIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		limit := campaign.Times{Times: rapid.IntRange(1, 4).Draw(r, "times"), Every: time.Duration(rapid.IntRange(1, 10).Draw(r, "every")) * time.Hour}
		var taken []time.Time
		most := func(times []time.Time) (n int) {
			for _, from := range times {
				in := 0
				for _, x := range times {
					if d := x.Sub(from); d >= 0 && d < limit.Every {
						in++
					}
				}
				n = max(n, in)
			}
			return n
		}
		for range 30 {
			at := time.Unix(int64(rapid.IntRange(0, 60).Draw(r, "at"))*1800, 0)
			with := append(slices.Clone(taken), at)
			if limit.Room(taken, at) {
				taken = with
			} else if most(with) <= limit.Times {
				r.Fatalf("%s was refused beside %v", at, taken)
			}
			if most(taken) > limit.Times {
				r.Fatalf("%v are more than %d in %s", taken, limit.Times, limit.Every)
			}
		}
	})
}

const day = 24 * time.Hour

func TestLevelsRiseAndFall(t *testing.T) {
	t.Parallel()
	loc := shanghai(t)
	began := time.Date(2027, 3, 1, 10, 0, 0, 0, loc)
	type step struct {
		after  time.Duration
		points int64 // of that day
	}
	two := []campaign.Level{{Name: "silver", At: 10}, {Name: "gold", At: 30}}
	for _, c := range []struct {
		what   string
		points campaign.Points
		steps  []step
		until  time.Duration
		want   []string // "3d0h silver>gold"
	}{
		{"for ever", campaign.Points{Levels: two}, []step{{0, 9}, {day, 1}, {2 * day, 20}}, 9999 * day, []string{"24h →silver", "48h silver→gold"}},
		{"two at once", campaign.Points{Levels: two}, []step{{0, 99}}, day, []string{"0s →gold"}},
		{"taken back, no grace", campaign.Points{Levels: two}, []step{{0, 40}, {day, -15}, {2 * day, -20}}, 3 * day, []string{"0s →gold", "24h gold→silver", "48h silver→"}},
		{"taken back, within the grace made up for", campaign.Points{Levels: two, Grace: 5 * day}, []step{{0, 40}, {day, -15}, {4 * day, 5}}, 99 * day, []string{"0s →gold"}},
		{"taken back, after the grace", campaign.Points{Levels: two, Grace: 5 * day}, []step{{0, 40}, {day, -15}, {4 * day, 4}}, 99 * day, []string{"0s →gold", "6d gold→silver"}},
		{"made up for at the very end of the grace", campaign.Points{Levels: two, Grace: 5 * day}, []step{{0, 40}, {day, -15}, {6 * day, 5}}, 99 * day, []string{"0s →gold", "6d gold→silver", "6d silver→gold"}},
		{"days fall out", campaign.Points{Levels: two, Within: 3 * day}, []step{{0, 20}, {2 * day, 10}}, 99 * day, []string{"0s →silver", "48h →gold"}},
		{"a fall by itself, to the level that is left", campaign.Points{Levels: two, Within: 3 * day, Grace: day}, []step{{0, 20}, {2 * day, 15}}, 99 * day, nil},
	} {
		var (
			s       campaign.Standing
			e       campaign.Earned
			changes []campaign.LevelChange
		)
		walk := func(at time.Time) {
			var more []campaign.LevelChange
			s, more, _ = c.points.Walk(s, &e, at, loc)
			changes = append(changes, more...)
		}
		for _, st := range c.steps {
			walk(began.Add(st.after))
			e.Add(campaign.DayOf(began.Add(st.after), loc), st.points)
			walk(began.Add(st.after))
		}
		walk(began.Add(c.until))
		var have []string
		for _, ch := range changes {
			have = append(have, fmt.Sprintf("%s %s→%s", campaign.FormatDuration(ch.At.Sub(began)), ch.From, ch.To))
		}
		switch c.what {
		case "days fall out": // at the midnights of Shanghai
			c.want = []string{"0s →silver", "48h silver→gold", "62h gold→silver", "4d14h silver→"}
		case "a fall by itself, to the level that is left":
			c.want = []string{"0s →silver", "48h silver→gold", "3d14h gold→silver", "5d14h silver→"}
		}
		if !slices.Equal(have, c.want) {
			t.Errorf("%s: %v, want %v", c.what, have, c.want)
		}
	}
}

// Whether somebody looks all the time or once at the end, she has had the same levels at the
// same moments, and between two looks next says when something changes.
func TestLevelsDoNotDependOnWhoLooks(t *testing.T) {
	t.Parallel()
	loc := shanghai(t)
	began := time.Date(2027, 3, 1, 10, 0, 0, 0, loc)
	rapid.Check(t, func(r *rapid.T) {
		p := campaign.Points{
			Levels: []campaign.Level{{Name: "a", At: 5}, {Name: "b", At: 12}, {Name: "c", At: 30}},
			Within: time.Duration(rapid.SampledFrom([]int{0, 1, 3, 10}).Draw(r, "within")) * day, Grace: time.Duration(rapid.IntRange(0, 60).Draw(r, "grace")) * time.Hour,
		}
		type gain struct {
			at     time.Time
			points int64
		}
		var gains []gain
		at := began
		for range rapid.IntRange(1, 12).Draw(r, "gains") {
			at = at.Add(time.Duration(rapid.IntRange(0, 80).Draw(r, "later")) * time.Hour)
			gains = append(gains, gain{at, int64(rapid.IntRange(1, 20).Draw(r, "points"))})
		}
		play := func(looks bool) (out []campaign.LevelChange) {
			var (
				s    campaign.Standing
				e    campaign.Earned
				next time.Time
			)
			walk := func(until time.Time) {
				var more []campaign.LevelChange
				s, more, next = p.Walk(s, &e, until, loc)
				out = append(out, more...)
			}
			end := at.Add(40 * day)
			for _, g := range append(gains, gain{at: end}) {
				for looks && !next.IsZero() && next.Before(g.at) {
					due := next
					before := len(out)
					walk(due.Add(-time.Second))
					if len(out) > before {
						r.Fatalf("a change before the next look: %v", out[before:])
					}
					walk(due)
				}
				walk(g.at)
				if g.points > 0 {
					e.Add(campaign.DayOf(g.at, loc), g.points)
					walk(g.at)
				}
			}
			if p.Within > 0 && s.Level != "" {
				r.Fatalf("level %s, and nothing counts any more", s.Level)
			}
			return out
		}
		if a, b := play(false), play(true); !slices.EqualFunc(a, b, func(x, y campaign.LevelChange) bool { return x.At.Equal(y.At) && x.From == y.From && x.To == y.To }) {
			r.Fatalf("%v\n%v", a, b)
		}
	})
}

func TestBatches(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	b := campaign.Batches{{ID: 1, Ends: now.Add(3 * day), Left: 10}, {ID: 2, Ends: now.Add(day), Left: 5}, {ID: 3, Ends: now, Left: 7}, {ID: 4, Ends: now.Add(day), Left: 1}}
	b.Sort()
	if n := b.Over(now); n != 7 {
		t.Errorf("%d points are over", n)
	}
	if parts := b.Draw(8, 0, now); !slices.Equal(parts, []campaign.Part{{Batch: 2, Points: 5}, {Batch: 4, Points: 1}, {Batch: 1, Points: 2}}) {
		t.Errorf("%v", parts)
	}
	if parts := b.Draw(100, 1, now); !slices.Equal(parts, []campaign.Part{{Batch: 1, Points: 8}}) || b.Left() != 7 {
		t.Errorf("%v, %v", parts, b)
	}
}

// Whatever is given, spent, given back and let end: no batch is below zero, and together
// they never hold more than the balance.
func TestBatchesHoldNoMoreThanTheBalance(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		now := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
		var (
			b       campaign.Batches
			balance int64
		)
		for i := range int64(40) {
			points := int64(rapid.IntRange(1, 20).Draw(r, "points"))
			switch rapid.SampledFrom([]string{"batch", "batch", "for ever", "spend", "owe", "time"}).Draw(r, "what") {
			case "batch":
				balance += points
				b = append(b, campaign.Batch{ID: i + 1, Ends: now.Add(time.Duration(rapid.IntRange(1, 9).Draw(r, "days")) * day), Left: b.Opening(points, balance)})
				b.Sort()
			case "for ever":
				balance += points
			case "spend":
				if points = min(points, balance); points > 0 {
					b.Draw(points, 0, now)
					balance -= points
				}
			case "owe":
				b.Draw(points, i, now)
				balance -= points
			case "time":
				now = now.Add(day)
				balance -= b.Over(now)
				b = slices.DeleteFunc(b, func(x campaign.Batch) bool { return x.Over(now) })
			}
			for _, x := range b {
				if x.Left < 0 {
					r.Fatalf("%+v is below zero", x)
				}
			}
			if b.Left() > max(0, balance) {
				r.Fatalf("%v hold more than %d", b, balance)
			}
		}
	})
}
