package journey

import (
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Schedule is a start at moments of the calendar: at each of them whoever is in its
// segment enters.
type Schedule struct {
	Journey string
	When    string // as the campaign has it
	Segment string

	loc       *time.Location
	when      campaign.Calendar
	candidate Candidate
}

// Schedules lists the starts at moments of the calendar, in order of the definition.
func (p *Program) Schedules() []Schedule {
	var list []Schedule
	for _, c := range p.candidates(BySchedule, func(s campaign.Start) bool { return s.Schedule != "" }) {
		start := p.plans[c.Journey].Starts[c.start]
		when, err := campaign.ParseCalendar(start.Schedule)
		if err != nil {
			continue // Compile has refused it
		}
		list = append(list, Schedule{Journey: c.Journey, When: start.Schedule, Segment: start.Segment, loc: p.loc, when: when, candidate: c})
	}
	return list
}

// Last is the latest moment after one moment and not after another; zero if there is none.
func (s Schedule) Last(after, until time.Time) time.Time { return s.when.Last(after, until, s.loc) }

// Next is the first moment after another; zero if there is none.
func (s Schedule) Next(after time.Time) time.Time {
	if next := s.when.Next(after, s.loc); next.After(after) {
		return next
	}
	return time.Time{}
}

// At is the journey's start at one of the moments. It begins at that moment, however
// late a member is let in.
func (s Schedule) At(moment time.Time) Candidate {
	c := s.candidate
	c.at = moment
	return c
}
