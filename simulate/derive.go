package simulate

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/journey"
)

// Chances of a population that nobody told of. They are round numbers on purpose: whoever
// wants to rely on what comes of them writes a population of their own.
const (
	derivedAwait  = 55 * definitions.Million / 100
	derivedTakes  = 30 * definitions.Million / 100
	derivedGoal   = 20 * definitions.Million / 100
	derivedTeam   = 40 * definitions.Million / 100
	derivedTimes  = 5 // what gives points
	derivedRefund = 2 * definitions.Million / 100
	derivedLate   = 2 * definitions.Million / 100

	derivedApprove = 60 * definitions.Million / 100
	derivedReject  = 20 * definitions.Million / 100
)

// Derive makes up a population from a campaign: everybody does what starts its journeys,
// over half do what its journeys wait for, three in ten take an offer, and most reviews are
// decided in time.
func Derive(p *Plan, now time.Time) *definitions.Population {
	d := &derivation{p: p, now: now, pop: &definitions.Population{
		Name: p.def.Name + ", derived", Derived: true, Joined: definitions.Span{To: 400 * 24 * time.Hour},
		Late: definitions.LateShare{Share: derivedLate, By: definitions.Span{From: time.Minute, To: 2 * time.Hour}},
	}}
	for h := range d.pop.Hours {
		d.pop.Hours[h] = [...]int{50, 50, 50, 50, 50, 50, 100, 400, 500, 500, 500, 600, 700, 600, 500, 500, 500, 600, 900, 1000, 1000, 900, 500, 100}[h]
	}
	d.traits()
	d.starts()
	d.waits()
	d.services()
	d.points()
	d.refunds()
	return d.pop
}

type derivation struct {
	p   *Plan
	now time.Time
	pop *definitions.Population
	did map[string]bool // events that members do already, with their properties
}

func (d *derivation) traits() {
	for _, p := range d.p.def.Member {
		t := definitions.Trait{Name: p.Name}
		var values []string
		switch p.Type {
		case campaign.TypeString:
			if values = p.OneOf; len(values) == 0 {
				values = []string{p.Name}
			}
		case campaign.TypeBool:
			values = []string{"true", "false"}
		case campaign.TypeInt, campaign.TypeNumber:
			values = []string{"0", "1", "5", "20"}
		case campaign.TypeMoney:
			values = []string{"0.00", "50.00", "500.00"}
		case campaign.TypeTime:
			values = []string{d.now.Format(time.RFC3339)}
		}
		for i, v := range values {
			t.Values = append(t.Values, definitions.Choice{
				Value: d.value(p, v), Text: v,
				Share: definitions.Million*(i+1)/len(values) - definitions.Million*i/len(values),
			})
		}
		d.pop.Member = append(d.pop.Member, t)
	}
}

// value writes a text as a value of a type.
func (d *derivation) value(p campaign.Property, text string) json.RawMessage {
	switch p.Type {
	case campaign.TypeInt, campaign.TypeNumber, campaign.TypeBool:
		return json.RawMessage(text)
	case campaign.TypeMoney:
		m, err := campaign.ParseMoney(text, d.p.def.Currency)
		if err != nil {
			m = campaign.Money{Currency: d.p.def.Currency}
		}
		data, _ := json.Marshal(m) // cannot fail
		return data
	case campaign.TypeString, campaign.TypeTime:
	}
	data, _ := json.Marshal(text) // cannot fail
	return data
}

func (d *derivation) starts() {
	first := true
	for i := range d.p.def.Journeys {
		j := &d.p.def.Journeys[i]
		for k, s := range j.Starts {
			r := definitions.Reaction{On: definitions.Trigger{Kind: definitions.OnArrive}, Chance: definitions.Million, Times: 1}
			switch {
			case s.API:
				r.Enter = j.Name
			case s.Event == campaign.EventLevelChanged:
				continue // it comes of points
			case s.Event != "":
				e, _ := d.p.def.Event(s.Event)
				r.Do, r.With = e, d.with(e, s.When, func(event *campaign.Event) bool { return d.admits(j, k, event) })
			default:
				continue // whoever comes may be in the segment
			}
			if !first {
				r.After = definitions.Span{To: 24 * time.Hour}
			}
			if d.add(r) {
				first = false
			}
		}
	}
}

// admits reports whether an event lets somebody in by a start.
func (d *derivation) admits(j *campaign.Journey, start int, e *campaign.Event) bool {
	n := 0
	for _, s := range j.Starts[:start] {
		if s.Event == e.Type {
			n++
		}
	}
	m := campaign.Member{ID: memberID(0), JoinedAt: d.now.Add(-24 * time.Hour), Attributes: map[string]json.RawMessage{}}
	for _, t := range d.pop.Member {
		m.Attributes[t.Name] = t.Values[0].Value
	}
	for _, c := range d.p.starts[e.Type] {
		if c.Journey != j.Name {
			continue
		}
		if n--; n >= 0 {
			continue
		}
		now := d.now
		if w := d.p.def.Window; w != nil && !w.Contains(now) {
			now = w.From
		}
		behaviour := map[campaign.Behaviour]campaign.BehaviourValue{}
		for _, b := range d.p.program.EntryNeeds(c) {
			behaviour[b] = campaign.BehaviourValue{}
			if b.Function == campaign.AboutBudget {
				behaviour[b] = campaign.BehaviourValue{Count: campaign.Unlimited}
			}
		}
		told := d.p.told(*e)
		_, why, err := d.p.program.Admit(c, journey.Entrant{Campaign: d.p.def.Name, Member: &m, Event: &told, Now: now, Behaviour: behaviour})
		return err == nil && why == ""
	}
	return false
}

func (d *derivation) waits() {
	for i := range d.p.def.Journeys {
		j := &d.p.def.Journeys[i]
		for _, s := range d.p.journeys[j.Name].order {
			if s, ok := s.(*campaign.Await); ok {
				for _, typ := range s.Events {
					if typ == campaign.EventLevelChanged {
						continue // it comes of points
					}
					e, _ := d.p.def.Event(typ)
					d.add(definitions.Reaction{
						On: definitions.Trigger{Kind: definitions.OnWait, Name: typ}, Do: e, With: d.with(e, s.When, nil),
						Chance: derivedAwait / len(s.Events), After: definitions.Span{From: s.For / 24, To: s.For}, Times: 1,
					})
				}
			}
			if s, ok := s.(*campaign.OpenReview); ok {
				d.pop.Reviews = append(d.pop.Reviews, definitions.Decider{
					Journey: j.Name, Step: s.ID, Approve: derivedApprove, Reject: derivedReject,
					After: definitions.Span{From: max(time.Second, (s.For / 24).Truncate(time.Second)), To: s.For},
				})
			}
			if _, ok := s.(*campaign.FollowReferral); ok {
				q := &d.p.def.Referral.Qualifies
				e, _ := d.p.def.Event(q.Event)
				d.add(definitions.Reaction{
					On: definitions.Trigger{Kind: definitions.OnEvent, Name: campaign.EventReferralBound}, Do: e, With: d.with(e, q.When, nil),
					Chance: derivedAwait, After: definitions.Span{From: q.Within / 24, To: q.Within}, Times: 1,
				})
			}
			if _, ok := s.(*campaign.FormTeam); ok {
				within := d.shortestTeam()
				d.add(definitions.Reaction{
					On: definitions.Trigger{Kind: definitions.OnWait, Name: campaign.EventTeamFormed}, Do: &campaign.EventType{Name: campaign.EventTeamFormed},
					Chance: derivedTeam, After: definitions.Span{From: within / 24, To: within}, Times: 1,
				})
			}
			if s, ok := s.(*campaign.MakeOffer); ok && s.Team != nil {
				within := d.shortestTeam()
				d.add(definitions.Reaction{
					On: definitions.Trigger{Kind: definitions.OnWait, Name: campaign.EventTeamFormed}, Do: &campaign.EventType{Name: campaign.EventTeamFormed},
					Chance: derivedTeam, After: definitions.Span{From: within / 24, To: within}, Times: 1,
				})
			}
			if s, ok := s.(*campaign.MakeOffer); ok {
				e, _ := d.p.def.Event(campaign.EventOrderPaid)
				o, _ := d.p.def.Offer(s.Offer)
				span := definitions.Span{From: 30 * time.Minute, To: 7 * 24 * time.Hour}
				if o.Lock > 0 {
					span = definitions.Span{From: o.Lock / 48, To: o.Lock + o.Lock/8}
				}
				d.add(definitions.Reaction{
					On: definitions.Trigger{Kind: definitions.OnOffer, Name: s.Offer, State: campaign.OfferOpen}, Do: e,
					With:   []definitions.Given{{Property: campaign.PropertyOffer, Value: []byte(strconv.Quote(s.Offer))}},
					Chance: derivedTakes, After: span, Times: 1,
				})
			}
		}
		if j.Goal != nil && j.Goal.Event != campaign.EventLevelChanged {
			e, _ := d.p.def.Event(j.Goal.Event)
			with := d.with(e, j.Goal.When, nil)
			if !slices.ContainsFunc(d.pop.Behaviour, func(r definitions.Reaction) bool {
				return r.Do == e && (j.Goal.When == "" || string(object(r.With)) == string(object(with)))
			}) {
				d.add(definitions.Reaction{
					On: definitions.Trigger{Kind: definitions.OnArrive}, Do: e, With: with, Chance: derivedGoal,
					After: definitions.Span{From: time.Hour, To: 14 * 24 * time.Hour}, Times: 1,
				})
			}
		}
	}
}

// shortestTeam is the shortest time that a team of the campaign has. Which team it is that
// a member waits for a population does not tell.
func (d *derivation) shortestTeam() time.Duration {
	shortest := campaign.MaxDuration
	for i := range d.p.def.Journeys {
		for _, s := range d.p.def.Journeys[i].Steps.Teams() {
			shortest = min(shortest, s.Within)
		}
		for _, s := range d.p.def.Journeys[i].Steps.Together() {
			if o, ok := d.p.def.Offer(s.Offer); ok && o.Team != nil {
				shortest = min(shortest, o.Team.Within)
			}
		}
	}
	return shortest
}

// points lets members do what gives points, a few times, where nothing else makes them.
func (d *derivation) points() {
	if d.p.def.Points == nil {
		return
	}
	for i := range d.p.def.Points.Rules {
		r := &d.p.def.Points.Rules[i]
		e, ok := d.p.def.Hears(r.Event)
		if !ok || slices.ContainsFunc(d.pop.Behaviour, func(b definitions.Reaction) bool { return b.Do != nil && b.Do.Name == e.Name }) {
			continue
		}
		d.add(definitions.Reaction{
			On: definitions.Trigger{Kind: definitions.OnArrive}, Do: e, With: d.with(e, r.When, nil),
			Chance: derivedAwait, After: definitions.Span{To: 14 * 24 * time.Hour}, Times: derivedTimes,
		})
	}
}

func (d *derivation) refunds() {
	e, ok := d.p.def.Event(eventRefunded)
	if !ok {
		return
	}
	if _, ok := e.Property(campaign.PropertyOrder); !ok {
		return
	}
	if _, ok := d.p.def.Event(campaign.EventOrderPaid); !ok {
		return
	}
	d.add(definitions.Reaction{
		On: definitions.Trigger{Kind: definitions.OnEvent, Name: campaign.EventOrderPaid}, Do: e, Chance: derivedRefund,
		After: definitions.Span{From: 24 * time.Hour, To: 7 * 24 * time.Hour}, Times: 1,
	})
}

// add adds a reaction unless members react like that already.
func (d *derivation) add(r definitions.Reaction) bool {
	key := fmt.Sprint(r.On.Kind, " ", r.On.Name, " ", r.Enter)
	if r.Do != nil {
		key += " " + r.Do.Name + string(object(r.With))
	}
	if r.Service != nil {
		key += fmt.Sprint(" ", r.Service.Returned)
	}
	if d.did[key] {
		return false
	}
	if d.did == nil {
		d.did = map[string]bool{}
	}
	d.did[key] = true
	d.pop.Behaviour = append(d.pop.Behaviour, r)
	return true
}

var (
	literal = regexp.MustCompile(`"([^"\\]*)"|'([^'\\]*)'`)
	numeral = regexp.MustCompile(`\b\d+(\.\d{1,2})?\b`)
)

// maxTries bounds the search for properties that a condition lets through.
const maxTries = 4_000

// with looks for properties of an event that a condition lets through. Where none is
// found the first that were thought of will do.
func (d *derivation) with(e *campaign.EventType, when string, lets func(*campaign.Event) bool) []definitions.Given {
	var choices [][]definitions.Given
	for _, p := range e.Properties {
		read := strings.Contains(when, "event."+p.Name)
		if e.Name == campaign.EventOrderPaid && (p.Name == campaign.PropertyOrder || p.Name == campaign.PropertyAmount) && !read {
			continue // made when it happens
		}
		if e.Name == eventRefunded && p.Name == campaign.PropertyOrder || campaign.IsReferralEvent(e.Name) && p.Type == campaign.TypeBool {
			continue
		}
		var list []definitions.Given
		for _, v := range d.candidates(p, when, read) {
			list = append(list, definitions.Given{Property: p.Name, Value: d.value(p, v)})
		}
		choices = append(choices, list)
	}
	pick := make([]int, len(choices))
	build := func() []definitions.Given {
		out := make([]definitions.Given, len(choices))
		for i, list := range choices {
			out[i] = list[pick[i]]
		}
		return out
	}
	first := build()
	for range maxTries {
		with := build()
		event := &campaign.Event{ID: "derived", Type: e.Name, Member: memberID(0), Time: d.now, Stored: d.now, Seq: 1, Properties: d.whole(e, with)}
		if lets == nil || lets(event) {
			return with
		}
		i := 0
		for ; i < len(pick); i++ {
			if pick[i]++; pick[i] < len(choices[i]) {
				break
			}
			pick[i] = 0
		}
		if i == len(pick) {
			break
		}
	}
	return first
}

// whole adds what is made only when the event happens.
func (d *derivation) whole(e *campaign.EventType, with []definitions.Given) []byte {
	for _, p := range e.Properties {
		if slices.ContainsFunc(with, func(g definitions.Given) bool { return g.Property == p.Name }) {
			continue
		}
		v := "derived"
		if p.Type == campaign.TypeMoney {
			v = "1.00"
		}
		with = append(with[:len(with):len(with)], definitions.Given{Property: p.Name, Value: d.value(p, v)})
	}
	return object(with)
}

// candidates are values that a condition may have been written for, the likeliest first.
func (d *derivation) candidates(p campaign.Property, when string, read bool) (list []string) {
	near := ""
	if i := strings.Index(when, "event."+p.Name); i >= 0 {
		near = when[i:]
	}
	switch p.Type {
	case campaign.TypeString:
		if read {
			for _, m := range literal.FindAllStringSubmatch(near, -1) {
				list = append(list, m[1]+m[2])
			}
			for _, m := range literal.FindAllStringSubmatch(when, -1) {
				list = append(list, m[1]+m[2])
			}
		}
		list = append(list, p.OneOf...)
		if p.Name == campaign.PropertyOffer {
			for i := range d.p.def.Offers {
				list = append(list, d.p.def.Offers[i].Name)
			}
		}
		if len(p.OneOf) > 0 {
			list = slices.DeleteFunc(list, func(v string) bool { return !slices.Contains(p.OneOf, v) })
		} else {
			list = append(list, p.Name)
		}
	case campaign.TypeBool:
		return []string{"true", "false"}
	case campaign.TypeInt, campaign.TypeNumber:
		for _, m := range numeral.FindAllString(near, -1) {
			n, err := strconv.Atoi(m)
			if err == nil {
				list = append(list, m, strconv.Itoa(n+1), strconv.Itoa(n-1))
			}
		}
		list = append(list, "1", "0", "10", "100")
	case campaign.TypeMoney:
		list = append(list, numeral.FindAllString(near, -1)...)
		for i := range d.p.def.Offers {
			list = append(list, d.p.def.Offers[i].Price.Decimal())
		}
		list = append(list, "1000.00", "1.00")
	case campaign.TypeTime:
		return []string{d.now.Format(time.RFC3339)}
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(v string) bool {
		was := seen[v]
		seen[v] = true
		return was
	})
}
