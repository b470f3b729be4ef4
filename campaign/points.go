package campaign

import (
	"encoding/json"
	"slices"
	"time"
)

// Points are what members get for what they do, by rules over events, and what comes of
// having earned them.
type Points struct {
	Rules   []PointRule   `json:"rules"`
	Expires time.Duration `json:"expires,omitempty"` // how long what the rules give is good; 0: for ever
	Levels  []Level       `json:"levels,omitempty"`  // from the lowest
	// Within is how far back levels count, in whole days; 0: for ever.
	Within time.Duration `json:"within,omitempty"`
	// Grace is how long a member with too few points keeps her level.
	Grace       time.Duration `json:"grace,omitempty"`
	Leaderboard *Leaderboard  `json:"leaderboard,omitempty"`
}

// PointRule gives points for an event.
type PointRule struct {
	Name   string `json:"name"`
	Event  string `json:"event"`
	When   string `json:"when,omitempty"` // CEL over event and member
	Amount string `json:"amount"`         // CEL of an int; a number too
	// PerDay is what one member may get by this rule on one day of the campaign's calendar,
	// in points; 0: unlimited.
	PerDay    int64     `json:"per_day,omitempty"`
	PerMember *Times    `json:"per_member,omitempty"`
	ReverseOn *Reversal `json:"reverse_on,omitempty"`
}

// Reversal takes back what a rule gave.
type Reversal struct {
	Event string `json:"event"`
	When  string `json:"when,omitempty"` // CEL over event and start, the event that gave
	// BelowZero lets the member owe what she has spent already.
	BelowZero bool `json:"below_zero,omitempty"`
}

// Level is a standing that a member has by what she has earned.
type Level struct {
	Name string `json:"name"`
	At   int64  `json:"at"` // points, from which on she has it
}

// Leaderboard says which rankings are kept.
type Leaderboard struct {
	Periods []Period `json:"periods"`
	// Groups are what members are ranked within, each by a CEL expression of a text.
	Groups []PointGroup `json:"groups,omitempty"`
}

// PointGroup is a way to part members: Of gives the name of the part, where points are
// given; none for the empty text.
type PointGroup struct {
	Name string `json:"name"`
	Of   string `json:"of"` // CEL over event and member
}

// Period is a span of the campaign's calendar over which points are summed.
type Period string

// Periods. A week begins on Monday.
const (
	PeriodDay   Period = "day"
	PeriodWeek  Period = "week"
	PeriodMonth Period = "month"
	PeriodAll   Period = "all"
)

// Periods lists them from the shortest.
func Periods() []Period { return []Period{PeriodDay, PeriodWeek, PeriodMonth, PeriodAll} }

// Of is the period of this kind that a day belongs to, named by its first day; all time
// is named by day 0.
func (p Period) Of(day Day) Day {
	switch t := day.date(); p {
	case PeriodDay:
		return day
	case PeriodWeek:
		return day - Day((int(t.Weekday())+6)%7)
	case PeriodMonth:
		return day - Day(t.Day()-1)
	case PeriodAll:
	}
	return 0
}

// Rule finds a rule by name.
func (p *Points) Rule(name string) (*PointRule, bool) {
	if p == nil {
		return nil, false
	}
	return find(p.Rules, func(r *PointRule) bool { return r.Name == name })
}

// LevelOf is the highest level that so many points are enough for; empty: none.
func (p *Points) LevelOf(earned int64) string {
	level := ""
	for _, l := range p.Levels {
		if earned >= l.At {
			level = l.Name
		}
	}
	return level
}

// needs is how many points a level takes. One that the campaign has no more takes more
// than anybody has.
func (p *Points) needs(level string) int64 {
	if level == "" {
		return 0
	}
	i := slices.IndexFunc(p.Levels, func(l Level) bool { return l.Name == level })
	if i < 0 {
		return 1<<63 - 1
	}
	return p.Levels[i].At
}

// EventLevelChanged is the type of the event that is stored when a member's level in a
// campaign with levels has changed. Nobody can declare or tell it.
const EventLevelChanged = "level.changed"

// LevelEvent is EventLevelChanged as a campaign with these levels would declare it.
func (p *Points) LevelEvent() EventType {
	var levels []string // or none
	for _, l := range p.Levels {
		levels = append(levels, l.Name)
	}
	return EventType{Name: EventLevelChanged, Properties: []Property{
		{Name: "from", Type: TypeString, OneOf: levels},
		{Name: "to", Type: TypeString, OneOf: slices.Clone(levels)},
		{Name: "earned", Type: TypeInt},
		{Name: "up", Type: TypeBool},
		{Name: "campaign", Type: TypeString},
	}}
}

// LevelChange is a change of a member's level.
type LevelChange struct {
	At       time.Time
	From, To string // empty: none
	Earned   int64  // the points that counted then
	Up       bool
}

// Properties are those of the event by which journeys learn of the change.
func (c LevelChange) Properties(campaignName string) json.RawMessage {
	data, _ := json.Marshal(map[string]any{"campaign": campaignName, "from": c.From, "to": c.To, "earned": c.Earned, "up": c.Up}) // cannot fail
	return data
}

// Ours reports whether a campaign is to judge an event: a change of level is the matter of
// the campaign whose level it is.
func Ours(campaignName string, e *Event) bool {
	if e.Type != EventLevelChanged {
		return true
	}
	var of struct {
		Campaign string `json:"campaign"`
	}
	return json.Unmarshal(e.Properties, &of) == nil && of.Campaign == campaignName
}

// Day is a day of a calendar, counted from 1970-01-01.
type Day int32

// DayOf is the day of a moment in a timezone.
func DayOf(t time.Time, loc *time.Location) Day {
	y, m, d := t.In(loc).Date()
	return Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func (d Day) date() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String writes the day as 2026-12-01.
func (d Day) String() string { return d.date().Format(time.DateOnly) }

// Begins is the first moment of the day in a timezone. Where clocks are changed at midnight
// there may be no midnight, or two.
func (d Day) Begins(loc *time.Location) time.Time {
	const step = 15 * time.Minute // clocks are changed by nothing smaller
	y, m, n := d.date().Date()
	t := time.Date(y, m, n, 0, 0, 0, 0, loc)
	for DayOf(t, loc) < d {
		t = t.Add(step)
	}
	for DayOf(t.Add(-step), loc) >= d {
		t = t.Add(-step)
	}
	return t
}

// Earned is what a member has earned by the rules of a campaign, less what was taken back.
type Earned struct {
	Total int64
	// Days are the days on which she earned, from the first; needed where levels count a
	// span alone.
	Days []DayPoints
}

// DayPoints are points of a day.
type DayPoints struct {
	Day    Day
	Points int64
}

// Add adds points of a day; below zero they are taken away.
func (e *Earned) Add(day Day, points int64) {
	e.Total += points
	i, have := slices.BinarySearchFunc(e.Days, day, func(d DayPoints, day Day) int { return int(d.Day) - int(day) })
	if !have {
		e.Days = slices.Insert(e.Days, i, DayPoints{Day: day})
	}
	e.Days[i].Points += points
}

// Standing is where a member stands among the levels of a campaign.
type Standing struct {
	Level string
	// Low is since when she has had too few points for her level; zero: she has enough.
	Low time.Time
	At  time.Time // the moment for which this is so; zero: she has earned nothing so far
}

// span is how many days count; 0: all.
func (p *Points) span() Day { return Day(p.Within / (24 * time.Hour)) }

// counts is what counts at a moment of what was earned.
func (p *Points) counts(e *Earned, day Day) (points int64) {
	n := p.span()
	if n == 0 {
		return e.Total
	}
	for _, d := range e.Days {
		if d.Day > day-n && d.Day <= day {
			points += d.Points
		}
	}
	return points
}

// Walk brings a member's standing to a moment, step by step through all moments at which it
// may have changed: those at which a day falls out of what counts, and the ends of grace. It
// answers the changes, and the next moment at which there may be one although nothing
// happens; zero: there is none. A standing never goes back in time.
//
// A rise is at once. Who has too few points for her level keeps it until grace is over, and
// then has the one that she has points for; points that come in time keep it.
func (p *Points) Walk(s Standing, e *Earned, until time.Time, loc *time.Location) (out Standing, changes []LevelChange, next time.Time) {
	if s.At.IsZero() {
		s.At = until
	}
	if until.Before(s.At) {
		until = s.At
	}
	for {
		day := DayOf(s.At, loc)
		have := p.counts(e, day)
		change := func(to string) {
			changes = append(changes, LevelChange{At: s.At, From: s.Level, To: to, Earned: have, Up: p.needs(to) > p.needs(s.Level)})
			s.Level, s.Low = to, time.Time{}
		}
		switch may := p.LevelOf(have); {
		case have >= p.needs(s.Level):
			if s.Low = (time.Time{}); may != s.Level {
				change(may)
			}
		case s.Low.IsZero():
			s.Low = s.At
		}
		if !s.Low.IsZero() && !s.At.Before(s.Low.Add(p.Grace)) {
			change(p.LevelOf(have))
		}
		next = time.Time{}
		if !s.Low.IsZero() {
			next = s.Low.Add(p.Grace)
		}
		if n := p.span(); n > 0 && s.Level != "" {
			for _, d := range e.Days {
				if d.Day > day-n && d.Day <= day && d.Points != 0 {
					if falls := (d.Day + n).Begins(loc); next.IsZero() || falls.Before(next) {
						next = falls
					}
					break
				}
			}
		}
		if next.IsZero() || next.After(until) {
			s.At = until
			return s, changes, next
		}
		s.At = next
	}
}

// Allow says how many of the points that an event asks for a member gets: within what her
// day leaves, and only while there is a time left. times are the moments of what she got by
// the rule before, near the event's own; day is what she got on its day.
func (r *PointRule) Allow(asked, day int64, times []time.Time, at time.Time) (points int64, reason string) {
	if r.PerMember != nil && !r.PerMember.Room(times, at) {
		return 0, RefusedPerMember
	}
	if r.PerDay > 0 && asked > r.PerDay-day {
		return max(0, r.PerDay-day), RefusedDailyCap
	}
	return asked, ""
}

// Room reports whether one more at a moment leaves no span with more than so many, in
// whatever order they are told.
func (t *Times) Room(times []time.Time, at time.Time) bool {
	if t.Every == 0 {
		return len(times) < t.Times
	}
	near := make([]time.Time, 0, len(times)+1)
	for _, x := range times {
		if d := x.Sub(at); d > -t.Every && d < t.Every {
			near = append(near, x)
		}
	}
	near = append(near, at)
	slices.SortFunc(near, time.Time.Compare)
	for i := t.Times; i < len(near); i++ {
		if near[i].Sub(near[i-t.Times]) < t.Every {
			return false
		}
	}
	return true
}

// Has reports whether a ranking over such periods is kept.
func (l *Leaderboard) Has(p Period) bool { return slices.Contains(l.Periods, p) }

// HasGroup reports whether members are ranked within the parts of such a group.
func (l *Leaderboard) HasGroup(name string) bool {
	return slices.ContainsFunc(l.Groups, func(g PointGroup) bool { return g.Name == name })
}

// After is the first day of the period behind the one that begins on a day.
func (p Period) After(begins Day) Day {
	switch p {
	case PeriodDay:
		return begins + 1
	case PeriodWeek:
		return begins + 7
	case PeriodMonth:
		y, m, _ := begins.date().Date()
		return Day(time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	case PeriodAll:
	}
	return begins
}
