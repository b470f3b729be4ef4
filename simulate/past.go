package simulate

import (
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Past is what really happened: members and their events. A rehearsal over it (a
// backtest) answers what this campaign would have done.
type Past struct {
	p       *Plan
	from    time.Time
	members []campaign.Member
	events  [][]told // of each member, in the order of their storing

	// Ignored counts events of types that the campaign does not declare, Again those whose
	// id had come before.
	Ignored, Again int
}

// told is an event and when it was stored.
type told struct {
	event  campaign.Event
	stored time.Time
}

// maxLine is the longest line of a file of events.
const maxLine = 1 << 20

// PastOf puts members and their events together. Members whom only events tell of are
// made, as the API makes them.
func PastOf(p *Plan, members []campaign.Member, events []PastEvent, from time.Time) *Past {
	past := &Past{p: p, from: from}
	place := map[string]int{}
	add := func(m campaign.Member) int {
		i, ok := place[m.ID]
		if !ok {
			i = len(past.members)
			past.members, past.events, place[m.ID] = append(past.members, m), append(past.events, nil), i
		}
		return i
	}
	for _, m := range members {
		add(m)
	}
	// The first that is stored counts; the same id again changes nothing.
	slices.SortStableFunc(events, func(a, b PastEvent) int { return a.Stored.Compare(b.Stored) })
	known := make(map[string]bool, len(events))
	for i := range events {
		e := &events[i]
		if known[e.ID] {
			past.Again++
			continue
		}
		known[e.ID] = true
		if e.Type == campaign.EventLevelChanged {
			continue // the rehearsal comes to levels of its own
		}
		if _, declared := p.def.Hears(e.Type); !declared {
			past.Ignored++
			continue
		}
		k := add(campaign.Member{ID: e.Member})
		past.events[k] = append(past.events[k], told{e.Event, e.Stored})
	}
	return past
}

// Starting sets when the rehearsal starts; what was stored before is history.
func (b *Past) Starting(from time.Time) *Past {
	out := *b
	out.from = from
	return &out
}

// Count implements People.
func (b *Past) Count() int { return len(b.members) }

func (b *Past) begin(i int, l *life) {
	l.member = b.members[i]
	imported := !l.member.JoinedAt.IsZero()
	if imported {
		l.queue.push(future{at: latest(b.from, l.member.JoinedAt), join: true})
	}
	for _, t := range b.events[i] {
		if !t.stored.Before(b.from) {
			l.queue.push(future{at: t.stored, event: t.event})
			continue
		}
		if l.known = true; l.member.JoinedAt.IsZero() {
			l.member.JoinedAt, l.member.Source = t.event.Time, "event"
		}
		e := t.event
		e.Seq, e.Stored = int64(len(l.events)+1), t.stored
		l.events = append(l.events, e)
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (b *Past) behaves(int, *life) *behaviour { return nil }

// PastEvent is an event with when it was stored.
type PastEvent struct {
	campaign.Event
	Line int // of the file
}
