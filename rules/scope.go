package rules

import (
	"slices"
	"strconv"
	"strings"

	"github.com/banyanhq/banyan/campaign"
)

// Scope says what an expression may read besides member, campaign and now.
//
// With several event types the readable properties are the union of theirs; one that is
// declared with different types in two of them cannot be read. A property that the
// actual event lacks reads as the zero value.
type Scope struct {
	Event    []string            // event types that `event` may be; empty: `event` cannot be read
	Start    []string            // event types that `start` may be
	HasStart bool                // `start` can be read even if Start is empty: then it has id, type and time alone
	Offer    bool                // `offer` can be read
	Team     bool                // `team` can be read
	Budgets  bool                // budget() can be asked: it is about what all members share
	Answers  []campaign.Property // what `answers` may hold; empty: it cannot be read
	Calls    []CallResult        // what `calls` may hold; empty: it cannot be read

	mixed bool // lists and maps may hold values of several types
}

// StartScope is the scope of a journey's start condition on an event.
func StartScope(event string) Scope { return Scope{Event: []string{event}, Budgets: true} }

// TriggerScope is the scope of the condition of a goal, an exit or an await that listens
// to the given events.
func TriggerScope(j *campaign.Journey, events ...string) Scope {
	_, offers := moves(j.Steps)
	return Scope{
		Event: slices.Clone(events), Start: startEvents(j), HasStart: true, Offer: offers, Team: j.Steps.ComeTogether(), Budgets: true,
		Answers: answersOf(j), Calls: callsOf(j),
	}
}

// StepScope is the scope of the conditions and values inside a journey's steps. There,
// `event` is whatever moved the journey last: a start event, an awaited event, or the
// payment of an offer.
func StepScope(j *campaign.Journey) Scope {
	starts := startEvents(j)
	events, offers := moves(j.Steps)
	events = append(slices.Clone(starts), events...)
	if offers {
		events = append(events, campaign.EventOrderPaid)
	}
	return Scope{
		Event: events, Start: starts, HasStart: true, Offer: offers, Team: j.Steps.ComeTogether(), Budgets: true, Answers: answersOf(j), Calls: callsOf(j),
	}
}

// MessageScope is the scope of a message's text: any journey of the campaign may send it,
// so it reads what any of them knows.
func MessageScope(def *campaign.Definition) Scope {
	sc := Scope{HasStart: true, Budgets: true}
	for i := range def.Journeys {
		of := StepScope(&def.Journeys[i])
		sc.Event = append(sc.Event, of.Event...)
		sc.Start = append(sc.Start, of.Start...)
		sc.Offer = sc.Offer || of.Offer
		sc.Team = sc.Team || of.Team
		sc.Answers = append(sc.Answers, of.Answers...)
		sc.Calls = joinCalls(sc.Calls, of.Calls)
	}
	return sc
}

// ReversalScope is the scope of the condition under which an event takes back what a rule
// of points gave for another one, which is `start`.
func ReversalScope(gave, event string) Scope {
	return Scope{Event: []string{event}, Start: []string{gave}, HasStart: true}
}

// PointGroupScope is the scope of what parts members in rankings.
func PointGroupScope(p *campaign.Points) Scope {
	var sc Scope
	for i := range p.Rules {
		sc.Event = append(sc.Event, p.Rules[i].Event)
	}
	return sc
}

// SegmentScope is the scope of a segment: who somebody is, whatever happens just now.
func SegmentScope() Scope { return Scope{} }

// startEvents lists the events that start a journey.
func startEvents(j *campaign.Journey) []string {
	var events []string
	for _, s := range j.Starts {
		if s.Event != "" {
			events = append(events, s.Event)
		}
	}
	return events
}

// moves lists the events that steps wait for and says whether any of them makes an offer.
func moves(steps campaign.Steps) (events []string, offers bool) {
	for _, s := range steps {
		switch s := s.(type) {
		case *campaign.Await:
			events = append(events, s.Events...)
		case *campaign.MakeOffer:
			offers = true
		case *campaign.Send, *campaign.Wait, *campaign.Choose, *campaign.Split, *campaign.Repeat, *campaign.Tag, *campaign.Untag, *campaign.Set,
			*campaign.Grant, *campaign.AskQuestion, *campaign.OpenReview, *campaign.FormTeam, *campaign.CallService, *campaign.Goto, *campaign.End,
			*campaign.FollowReferral: // wait for no event that other steps could read
		}
		for _, block := range campaign.Children(s) {
			inner, makes := moves(block.Steps)
			events = append(events, inner...)
			offers = offers || makes
		}
	}
	return events, offers
}

// normal gives the scope with its lists sorted and without doubles, so that equal scopes
// have equal keys.
func (sc Scope) normal() Scope {
	sc.Event, sc.Start = sortedSet(sc.Event), sortedSet(sc.Start)
	sc.HasStart = sc.HasStart || len(sc.Start) > 0
	return sc
}

// key names a scope in the cache. Event names hold no control characters, so the
// separators cannot be part of one.
func (sc Scope) key() string {
	n := len("  sotb") + 1
	for _, list := range [2][]string{sc.Event, sc.Start} {
		for _, e := range list {
			n += len(e) + 1
		}
	}
	var b strings.Builder
	b.Grow(n)
	for _, e := range sc.Event {
		b.WriteString(e)
		b.WriteByte(0)
	}
	b.WriteByte(1)
	for _, e := range sc.Start {
		b.WriteString(e)
		b.WriteByte(0)
	}
	if sc.HasStart {
		b.WriteByte('s')
	}
	if sc.Offer {
		b.WriteByte('o')
	}
	if sc.Team {
		b.WriteByte('t')
	}
	if sc.Budgets {
		b.WriteByte('b')
	}
	for _, p := range sc.Answers {
		b.WriteByte(2)
		b.WriteString(p.Name)
		b.WriteByte(0)
		b.WriteString(string(p.Type))
		for _, v := range p.OneOf {
			b.WriteString(strconv.Quote(v))
		}
	}
	for _, c := range sc.Calls {
		b.WriteByte(3)
		b.WriteString(c.Name)
		for _, p := range c.Fields {
			b.WriteByte(0)
			b.WriteString(p.Name + " " + string(p.Type))
			for _, v := range p.OneOf {
				b.WriteString(strconv.Quote(v))
			}
		}
	}
	if sc.mixed {
		b.WriteByte('m')
	}
	return b.String()
}

func sortedSet(list []string) []string {
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}
