package simulate

import (
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

// attempt is a try to enter.
type attempt struct {
	journey.Candidate
	event *campaign.Event
}

// bySegment lists the starts by segment about which an event may have changed something;
// nil: about which anything may have.
func (l *life) bySegment(e *campaign.Event) (list []attempt) {
	for _, s := range l.p.segments {
		if e == nil || slices.ContainsFunc(s.behaviours, func(b campaign.Behaviour) bool { return b.Event == e.Type }) {
			list = append(list, attempt{s.Candidate, nil})
		}
	}
	return list
}

func (l *life) sweep() error {
	var list []attempt
	for i, s := range l.p.schedules {
		if len(l.moments) > 0 && l.moments[i].Equal(l.now) {
			list = append(list, attempt{s.At(l.now), nil})
			l.moments[i] = s.Next(l.now)
		}
	}
	if l.sweeps && l.nextSweep.Equal(l.now) {
		l.nextSweep = l.nextSweep.Add(sweepEvery)
		// Before the first turns: what they change is for the next sweep.
		l.sweeps = slices.ContainsFunc(l.p.segments, l.worthSweeping)
		list = append(list, l.bySegment(nil)...)
	}
	return l.enterAll(list)
}

// nextMoment is the next moment of a schedule. One that came before she was known, or with
// the start of the campaign, let her in nowhere.
func (l *life) nextMoment() (next time.Time) {
	if l.moments == nil {
		l.moments = make([]time.Time, len(l.p.schedules))
		after := l.now.Add(-1)
		if after.Before(l.from) {
			after = l.from
		}
		for i, s := range l.p.schedules {
			l.moments[i] = s.Next(after)
		}
	}
	for _, m := range l.moments {
		if !m.IsZero() && (next.IsZero() || m.Before(next)) {
			next = m
		}
	}
	return next
}

// worthSweeping reports whether a later sweep may let her in by a segment although nothing
// happens to her until then.
func (l *life) worthSweeping(s segmentStart) bool {
	j := l.p.journeys[s.Journey]
	been := slices.ContainsFunc(l.walks, func(w *walk) bool { return w.plan == j })
	if been {
		return j.Entry.Rule != campaign.EntryOnce
	}
	w := l.p.def.Window
	return !s.timeless || w != nil && l.now.Before(w.From)
}

func (l *life) byAPI(name string) error {
	c, ok := l.p.program.StartByAPI(name)
	if !ok {
		return campaign.Errorf(campaign.CodeInvalid, "journey %s has no start {api: true}", name)
	}
	if !l.known {
		l.known = true
		if l.member.JoinedAt.IsZero() {
			l.member.JoinedAt = l.now
		}
	}
	return l.enterAll([]attempt{{c, nil}})
}

// enterAll decides all attempts on what is known now, and then lets the first turns be taken.
func (l *life) enterAll(list []attempt) error {
	fresh, err := l.admitAll(list)
	if err != nil {
		return err
	}
	return l.wake(fresh)
}

func (l *life) admitAll(list []attempt) (fresh []*walk, err error) {
	for _, a := range list {
		w, err := l.admit(a)
		if err != nil {
			return nil, err
		}
		if w != nil {
			fresh = append(fresh, w)
		}
	}
	return fresh, nil
}

func (l *life) admit(a attempt) (*walk, error) {
	jp := l.p.journeys[a.Journey]
	e := journey.Entrant{Campaign: l.p.def.Name, Member: &l.member, Event: a.event, Now: l.now, Stored: int64(len(l.events))}
	starter := ""
	if a.event != nil && a.By == journey.ByEvent {
		starter = a.event.ID
	}
	for _, w := range l.walks {
		if w.plan != jp {
			continue
		}
		if starter != "" && w.event == starter {
			return nil, nil
		}
		e.Entries++
		e.Active = e.Active || !w.done()
		if w.id.Entered.After(e.LastEntered) {
			e.LastEntered = w.id.Entered
		}
	}
	e.Behaviour = l.answers(l.p.program.EntryNeeds(a.Candidate))
	adm, why, err := l.p.program.Admit(a.Candidate, e)
	if err != nil || why != "" {
		return nil, err
	}
	w := &walk{plan: jp, id: adm, state: adm.State, event: starter}
	l.walks = append(l.walks, w)
	l.watch.entered(l, w)
	return w, nil
}
