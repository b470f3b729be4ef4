package definitions

import (
	"fmt"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// maxTimes is how often one reaction happens at most.
const maxTimes = 1000

func (c *checker) reaction(o object) Reaction {
	r := Reaction{Chance: Million, Times: 1}
	if v, ok := o.get("on"); ok {
		r.On = c.triggerOf(v)
	} else {
		c.missing(o, o.node, "the behaviour", "on", "write on: arrive, or on: {message: NAME}, {offer: NAME}, {event: TYPE}, {wait: TYPE} or {call: NAME}")
	}
	enter, entered := o.get("enter")
	do, done := o.get("do")
	answer, answers := o.get("answer")
	refuse, refuses := o.get("refuse")
	switch {
	case (answers || refuses) && (entered || done || answers && refuses || r.On.Kind != OnCall && r.On.Kind != ""):
		at := answer
		if !answers {
			at = refuse
		}
		c.problem(at, "event-or-enter", "a service answers a call, or refuses it, and nothing else", "write it as a behaviour of its own: on: {call: NAME}, answer: {FIELD: VALUE}, or refuse: true")
	case answers || refuses:
		c.service(answer, refuse, answers, &r)
	case r.On.Kind == OnCall:
		c.missing(o, o.node, "the behaviour", "answer", "write answer: {FIELD: VALUE}, or refuse: true")
	case entered && done:
		c.problem(enter, "event-or-enter", "this is an event and an entry by the API", "write them as two behaviours")
	case entered:
		r.Enter = c.apiJourney(enter)
	case !done:
		c.missing(o, o.node, "the behaviour", "do", "write do: EVENT, or enter: JOURNEY for an entry by the API")
	default:
		r.Do = c.eventType(do)
	}
	if v, ok := o.get("with"); ok && r.Do != nil {
		r.With = c.where(v, r.Do)
	}
	if v, ok := o.get("chance"); ok {
		r.Chance, _ = c.portion(v)
	}
	if v, ok := o.get("segments"); ok {
		all, _ := c.fields(v, "write a mapping from segments to chances, such as {regular: 80%}")
		for _, f := range all {
			if _, known := c.def.Segment(f.name); !known {
				c.unknown(f.key, "unknown-segment", fmt.Sprintf("unknown segment %q", shorten(f.name)), f.name, c.declared.segments.order)
				continue
			}
			chance, _ := c.portion(f.value)
			r.Segments = append(r.Segments, SegmentChance{f.name, chance})
		}
	}
	if v, ok := o.get("after"); ok {
		r.After, _ = c.span(v)
	}
	if v, ok := o.get("times"); ok {
		times, _ := c.count(v, maxTimes)
		r.Times = int(times)
	}
	if v, ok := o.get("unless"); ok {
		t := c.triggerOf(v)
		if t.Kind != OnEvent && t.Kind != "" {
			c.problem(v, "unless-event", "only an event keeps members from it", "write unless: {event: TYPE}, with the properties that it must have")
		}
		r.Unless = &t
	}
	return r
}

// service reads how a service takes a call: as it answers, or that it refuses.
func (c *checker) service(answer, refuse node, answers bool, r *Reaction) {
	call, ok := c.def.Call(r.On.Name)
	if !ok {
		return // told already
	}
	r.Service = &Service{Call: call.Name()}
	if !answers {
		if word, ok := oneOf(c, refuse, "true", "false"); ok && word == "false" {
			c.problem(refuse, "unknown-value", `"refuse" cannot be "false"`, "write refuse: true, or what is answered: answer: {FIELD: VALUE}")
		}
		r.Service.Refused = true
		return
	}
	r.Service.Returned, _ = c.returnedBy(answer, true, call)
}

// triggerOf reads what a reaction is a reaction to.
func (c *checker) triggerOf(n node) (t Trigger) {
	const form = "write arrive, {message: NAME}, {offer: NAME}, {event: TYPE}, {wait: TYPE} or {call: NAME}"
	if n.isScalar() {
		if n.yaml.Value != OnArrive {
			c.unknown(n, "unknown-value", fmt.Sprintf("%q is nothing that members react to", shorten(n.yaml.Value)), n.yaml.Value, []string{OnArrive})
			return t
		}
		return Trigger{Kind: OnArrive}
	}
	all, ok := c.fields(n, form)
	if !ok {
		return t
	}
	var e *campaign.EventType
	for _, kind := range triggerKinds() {
		i := slices.IndexFunc(all, func(f field) bool { return f.name == kind })
		if i < 0 {
			continue
		}
		switch t.Kind = kind; kind {
		case OnMessage:
			t.Name, _ = c.refer(all[i].value, "message", &c.declared.messages)
		case OnCall:
			if call := c.callName(all[i].value); call != nil {
				t.Name = call.Name()
			}
		case OnOffer:
			t.State = campaign.OfferOpen
			t.Name, _ = c.refer(all[i].value, "offer", &c.declared.offers)
		default:
			if e = c.eventType(all[i].value); e != nil {
				t.Name = e.Name
			}
		}
		break
	}
	if t.Kind == "" {
		c.problem(n, "missing-key", "this says nothing that members react to", form)
		return t
	}
	for _, f := range all {
		switch {
		case f.name == t.Kind:
		case f.name == "state" && t.Kind == OnOffer:
			t.State, _ = oneOf(c, f.value, campaign.OfferOpen, campaign.OfferTaken, campaign.OfferLapsed, campaign.OfferWithdrawn)
		case t.Kind == OnEvent && e != nil:
			p, known := e.Property(f.name)
			if !known {
				c.unknown(f.key, "unknown-property", fmt.Sprintf("%s has no property %q", wordOf(e), shorten(f.name)), f.name, propertyNames(e.Properties))
				continue
			}
			if v, ok := c.typed(f.value, p); ok {
				t.Where = append(t.Where, Given{f.name, v})
			}
		case t.Kind == OnEvent: // its type is unknown, and that was told
		default:
			c.unknown(f.key, "unknown-key", fmt.Sprintf("unknown key %q beside %q", shorten(f.name), t.Kind), f.name, []string{t.Kind})
		}
	}
	return t
}

// where reads given properties, in the order of their declaration.
func (c *checker) where(n node, e *campaign.EventType) (out []Given) {
	values, _ := c.given(n, e)
	for _, p := range e.Properties {
		if v, ok := values[p.Name]; ok && v != nil {
			out = append(out, Given{p.Name, v})
		}
	}
	return out
}

// Pick chooses a moment within a span from a moment on, with the hours of the day as
// likely as they are lively. Where the span holds no lively hour, the moment moves on
// until it finds one. below is a number from 0 to n-1 by chance.
func (hours *Hours) Pick(at time.Time, width time.Duration, loc *time.Location, below func(n int) int) time.Time {
	const tries = 64
	seconds := int(width/time.Second) + 1
	for range tries {
		t := at.Add(time.Duration(below(seconds)) * time.Second)
		if below(fullHour) < hours[t.In(loc).Hour()] {
			return t
		}
		if seconds == 1 {
			break
		}
	}
	for range 7 * 24 {
		at = at.Truncate(time.Hour).Add(time.Hour + time.Duration(below(3600))*time.Second)
		if below(fullHour) < hours[at.In(loc).Hour()] {
			return at
		}
	}
	return at
}

// fullHour is how lively the liveliest hour is.
const fullHour = 1000
