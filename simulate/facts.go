package simulate

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// answers knows her past, as the store does.
func (l *life) answers(questions []campaign.Behaviour) map[campaign.Behaviour]campaign.BehaviourValue {
	return l.answersAt(questions, l.now)
}

// answersAt is answers as of a moment.
func (l *life) answersAt(questions []campaign.Behaviour, now time.Time) map[campaign.Behaviour]campaign.BehaviourValue {
	if len(questions) == 0 {
		return nil
	}
	if l.behaviour == nil {
		l.behaviour = map[campaign.Behaviour]campaign.BehaviourValue{}
	}
	clear(l.behaviour)
	for _, q := range questions {
		if q.Function == campaign.AboutBudget {
			l.behaviour[q] = campaign.BehaviourValue{Count: l.leftOf(q)}
			continue
		}
		after := time.Unix(0, 0)
		if q.Within > 0 {
			after = now.Add(-q.Within)
		}
		var v campaign.BehaviourValue
		for i := range l.events {
			e := &l.events[i]
			if e.Type != q.Event || !e.Time.After(after) || e.Time.After(now) {
				continue
			}
			if q.Function == "sum" {
				add(&v, e, q.Property)
				continue
			}
			v.Count++
			if e.Time.After(v.Last) {
				v.Last = e.Time
			}
		}
		l.behaviour[q] = v
	}
	return l.behaviour
}

// leftOf is what is left of a budget now.
func (l *life) leftOf(q campaign.Behaviour) int64 {
	limit := l.p.limitOf("", q.Event)
	if q.Property == campaign.LeftToday {
		limit = l.p.limitOn(l.p.dayOf(l.from, l.now), q.Event)
	}
	if limit < 0 {
		return campaign.Unlimited
	}
	return l.keeper.remains(limit, l.now, l.asked+1)
}

// add adds what an event's property says: money in its minor units, or a number.
func add(v *campaign.BehaviourValue, e *campaign.Event, property string) {
	var properties map[string]json.RawMessage
	if json.Unmarshal(e.Properties, &properties) != nil {
		return
	}
	raw := properties[property]
	var m campaign.Money
	if json.Unmarshal(raw, &m) == nil {
		v.Minor += m.Minor
	}
	if n, err := strconv.ParseFloat(string(raw), 64); err == nil {
		v.Sum += n
	}
}

// eventsFor gives the events that a turn may have to judge. They are never changed, so
// the list itself will do where all of it is wanted.
func (l *life) eventsFor(w *walk) []campaign.Event {
	wanted := func(e *campaign.Event) bool {
		return w.plan.types[e.Type] && (e.Seq > w.state.Cursor || !e.Time.Before(w.state.Since))
	}
	first := 0
	for first < len(l.events) && !wanted(&l.events[first]) {
		first++
	}
	for i := first; i < len(l.events); i++ {
		if wanted(&l.events[i]) {
			continue
		}
		list := slices.Clone(l.events[first:i])
		for ; i < len(l.events); i++ {
			if wanted(&l.events[i]) {
				list = append(list, l.events[i])
			}
		}
		return list
	}
	return l.events[first:len(l.events):len(l.events)]
}

// counted are the messages that count against the cap now.
func (l *life) counted() []time.Time {
	limit := l.p.def.Limits.MessagesPerMember
	if limit == nil {
		return nil
	}
	first := 0
	if limit.Every > 0 {
		for first < len(l.sent) && !l.sent[first].After(l.now.Add(-limit.Every)) {
			first++
		}
	}
	return l.sent[first:]
}

// in reports whether she is in a segment now. One that cannot be decided does not hold
// her.
func (l *life) in(segment string) bool {
	x, ok := l.p.env.Segment(segment)
	if !ok {
		return false
	}
	holds, err := x.Bool(&rules.Facts{Now: l.now, Member: &l.member, Behaviour: l.answers(x.Behaviours())})
	return err == nil && holds
}
