package simulate

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

// reactions are the reactions of a population, by what they are reactions to.
type reactions struct {
	p        *Plan
	pop      *definitions.Population
	arrive   []int
	messages map[string][]int
	offers   map[string][]int // by name and state
	events   map[string][]int
	waits    map[string][]int
	calls    map[string][]int
	fixed    [][]byte // the properties of reactions that are always the same
}

func newReactions(p *Plan, pop *definitions.Population) *reactions {
	r := &reactions{
		p: p, pop: pop, messages: map[string][]int{}, offers: map[string][]int{}, events: map[string][]int{}, waits: map[string][]int{}, calls: map[string][]int{},
		fixed: make([][]byte, len(pop.Behaviour)),
	}
	for i := range pop.Behaviour {
		b := &pop.Behaviour[i]
		switch b.On.Kind {
		case definitions.OnArrive:
			r.arrive = append(r.arrive, i)
		case definitions.OnMessage:
			r.messages[b.On.Name] = append(r.messages[b.On.Name], i)
		case definitions.OnOffer:
			key := b.On.Name + " " + string(b.On.State)
			r.offers[key] = append(r.offers[key], i)
		case definitions.OnEvent:
			r.events[b.On.Name] = append(r.events[b.On.Name], i)
		case definitions.OnWait:
			r.waits[b.On.Name] = append(r.waits[b.On.Name], i)
		case definitions.OnCall:
			r.calls[b.On.Name] = append(r.calls[b.On.Name], i)
		}
		if b.Do == nil {
			continue
		}
		if _, order := b.Do.Property(campaign.PropertyOrder); !order && b.Do.Name != campaign.EventOrderPaid {
			r.fixed[i] = object(b.With)
		}
	}
	return r
}

func object(list []definitions.Given) []byte {
	out := []byte{'{'}
	for i, g := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendQuote(out, g.Property) // names of properties need no more
		out = append(append(out, ':'), g.Value...)
	}
	return append(out, '}')
}

// behaviour makes one member react.
type behaviour struct {
	r      *reactions
	own    luck
	counts []int32 // how often each reaction was called for
	told   int     // events made
	offers []campaign.OfferEffect
	last   string // her last order
	asked  int    // reviews that were opened about her
}

func (b *behaviour) arrived(l *life) {
	for _, i := range b.r.arrive {
		b.react(l, i, nil, "")
	}
}

func (b *behaviour) heard(l *life, e *campaign.Event) {
	list := b.r.events[e.Type]
	if len(list) == 0 {
		return
	}
	var props map[string]json.RawMessage
	for _, i := range list {
		t := &b.r.pop.Behaviour[i].On
		if len(t.Where) > 0 && props == nil {
			if json.Unmarshal(e.Properties, &props) != nil {
				return
			}
		}
		if t.Matches(props) {
			b.react(l, i, e, "")
		}
	}
}

func (b *behaviour) decided(l *life, w *walk, d *campaign.Decision) {
	for i := range d.Offers {
		o := &d.Offers[i]
		if o.State == campaign.OfferOpen && (o.Ordered || o.GaveBack) {
			continue // it was open before
		}
		if o.State == campaign.OfferOpen {
			b.offers = append(b.offers, *o)
		}
		for _, k := range b.r.offers[o.Offer+" "+string(o.State)] {
			b.react(l, k, nil, "")
		}
	}
	for i := range d.Sends {
		s := &d.Sends[i]
		if isCall(*s) {
			for _, k := range b.r.calls[s.Message] {
				b.react(l, k, nil, s.Key)
			}
			continue
		}
		for _, k := range b.r.messages[s.Message] {
			b.react(l, k, nil, "")
		}
	}
	b.decide(l, w, d)
	b.refunds(l, d)
	if len(b.r.waits) == 0 {
		return
	}
	for i := range d.Trace {
		if kind := d.Trace[i].Kind; kind == campaign.TraceTeamOpened || kind == campaign.TraceTeamJoined {
			for _, k := range b.r.waits[campaign.EventTeamFormed] {
				b.react(l, k, nil, "")
			}
		}
		if d.Trace[i].Kind != campaign.TraceWaiting {
			continue
		}
		at, ok := w.plan.steps[d.Trace[i].Step]
		if !ok {
			continue
		}
		if s, ok := w.plan.order[at].(*campaign.Await); ok {
			for _, typ := range s.Events {
				for _, k := range b.r.waits[typ] {
					b.react(l, k, nil, "")
				}
			}
		}
	}
}

// react lets luck decide whether she does something, how often and when; or, of a call with
// a key, how its service takes it.
func (b *behaviour) react(l *life, i int, cause *campaign.Event, key string) {
	r := &b.r.pop.Behaviour[i]
	own := b.own.of(i, int(b.counts[i]))
	b.counts[i]++
	chance := r.Chance
	for k := range r.Segments {
		if l.in(r.Segments[k].Segment) {
			chance = r.Segments[k].Chance
			break
		}
	}
	if own.part() >= chance {
		return
	}
	if r.Service != nil {
		b.serve(l, r, own, key)
		return
	}
	order := ""
	if cause != nil {
		order = orderOf(cause)
	}
	since, happens := len(l.events), l.now
	for range r.Times {
		own.next()
		hour := own.of(luckHour, 0)
		happens = b.r.pop.Hours.Pick(happens.Add(r.After.From), r.After.To-r.After.From, b.r.p.loc, hour.below)
		if r.Do == nil {
			l.queue.push(future{at: happens, enter: r.Enter, ready: b.unless(r, since)})
			continue
		}
		told := happens
		if b.r.pop.Late.Share > 0 && r.Do.Name != campaign.EventTeamFormed { // which nobody has to tell of
			if late := own.of(luckLate, 0); late.part() < b.r.pop.Late.Share {
				told = told.Add(late.between(b.r.pop.Late.By.From, b.r.pop.Late.By.To))
			}
		}
		l.queue.push(future{at: told, event: campaign.Event{Type: r.Do.Name, Time: happens}, ready: b.make(r, i, since, order)})
	}
}

// unless asks at the moment itself whether something keeps her from it.
func (b *behaviour) unless(r *definitions.Reaction, since int) func(*life, *future) bool {
	if r.Unless == nil {
		return nil
	}
	return func(l *life, _ *future) bool { return !b.kept(l, r.Unless, since) }
}

// kept reports whether an event has happened since she had so many.
func (b *behaviour) kept(l *life, t *definitions.Trigger, since int) bool {
	for k := len(l.events) - 1; k >= since; k-- {
		e := &l.events[k]
		if e.Type != t.Name {
			continue
		}
		var props map[string]json.RawMessage
		if len(t.Where) == 0 || json.Unmarshal(e.Properties, &props) == nil && t.Matches(props) {
			return true
		}
	}
	return false
}

// make makes the event when it happens: an order pays what is asked for at its own time.
func (b *behaviour) make(r *definitions.Reaction, i, since int, order string) func(*life, *future) bool {
	return func(l *life, f *future) bool {
		if r.Unless != nil && b.kept(l, r.Unless, since) {
			return false
		}
		if r.Do.Name == campaign.EventTeamFormed {
			return l.formation(f)
		}
		b.told++
		f.event.ID = l.member.ID + "/" + strconv.Itoa(b.told)
		if fixed := b.r.fixed[i]; fixed != nil {
			f.event.Properties = fixed
			return true
		}
		f.event.Properties = b.properties(r, order, f.event.Time)
		return true
	}
}

func (b *behaviour) properties(r *definitions.Reaction, order string, at time.Time) []byte {
	given := func(name string) json.RawMessage {
		for _, g := range r.With {
			if g.Property == name {
				return g.Value
			}
		}
		return nil
	}
	list := r.With[:len(r.With):len(r.With)]
	if _, has := r.Do.Property(campaign.PropertyOrder); has && given(campaign.PropertyOrder) == nil {
		switch {
		case r.Do.Name == campaign.EventOrderPaid:
			order = "order-" + strconv.Itoa(b.told)
			b.last = order
		case order == "":
			order = b.last
		}
		list = append(list, definitions.Given{Property: campaign.PropertyOrder, Value: []byte(strconv.Quote(order))})
	}
	if _, has := r.Do.Property(campaign.PropertyAmount); has && r.Do.Name == campaign.EventOrderPaid && given(campaign.PropertyAmount) == nil {
		var name string
		if json.Unmarshal(given(campaign.PropertyOffer), &name) == nil {
			price := b.price(name, at)
			list = append(list, definitions.Given{
				Property: campaign.PropertyAmount,
				Value:    fmt.Appendf(nil, `{"amount":%q,"currency":%q}`, price.Decimal(), price.Currency),
			})
		}
	}
	return object(list)
}

// price is what the shop asks for at a moment: the offer's price while it is open for
// her, and otherwise the list price.
func (b *behaviour) price(name string, at time.Time) campaign.Money {
	opened := false
	for i := len(b.offers) - 1; i >= 0; i-- {
		o := &b.offers[i]
		if o.Offer != name {
			continue
		}
		opened = true
		if !at.Before(o.OpenedAt) && (o.ExpiresAt.IsZero() || !at.After(o.ExpiresAt)) {
			return o.Price
		}
	}
	def, ok := b.r.p.def.Offer(name)
	switch {
	case !ok:
		return campaign.Money{Currency: b.r.p.def.Currency}
	case opened:
		return def.ListPrice
	}
	return def.Price
}

func orderOf(e *campaign.Event) string {
	var props struct {
		Order string `json:"order"`
	}
	if json.Unmarshal(e.Properties, &props) != nil {
		return ""
	}
	return props.Order
}
