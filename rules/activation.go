package rules

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/banyanhq/banyan/campaign"
)

// Facts are what an expression is evaluated against. They may be changed between two
// evaluations, not during one.
type Facts struct {
	Now          time.Time
	Member       *campaign.Member
	Event, Start *campaign.Event
	Offer        *OfferView
	Team         *TeamView
	// Answers are what the member has answered to the journey's questions, by name.
	Answers map[string]json.RawMessage
	// Calls are what the services that the journey called have answered, by call and field.
	Calls map[string]map[string]json.RawMessage
	// Rewards are the coupons and benefits that the member was granted last, by reward.
	Rewards map[string]campaign.Piece
	// Behaviour answers the questions that Behaviours lists. One that is missing here is
	// an error when it is asked, never zero: a count that nobody fetched is not "none".
	Behaviour map[campaign.Behaviour]campaign.BehaviourValue
}

// slotValue keeps a value as CEL wants it. It is kept beyond the evaluation: as long as
// the fact stays the same (the same member is asked several things, now is the same for a
// whole scan), it is not converted, and not allocated, again.
type slotValue struct {
	seen uint64 // the evaluation, or the version of an event, that it holds for
	val  ref.Val
	has  bool
	raw  []byte // what val was decoded from
	kept bool   // raw is meant
}

func (s *slotValue) setText(v string) {
	if have, ok := s.val.(types.String); !ok || string(have) != v {
		s.val = types.String(v)
	}
}

func (s *slotValue) setInt(v int64) {
	if have, ok := s.val.(types.Int); !ok || int64(have) != v {
		s.val = types.Int(v)
	}
}

func (s *slotValue) setTime(v time.Time, loc *time.Location) {
	if have, ok := s.val.(types.Timestamp); !ok || !have.Time.Equal(v) {
		s.val = types.Timestamp{Time: v.In(loc)}
	}
}

func (s *slotValue) setMoney(v campaign.Money) {
	if have, ok := s.val.(moneyValue); !ok || have.Money != v {
		s.val = moneyValue{v}
	}
}

// setJSON decodes raw unless it is what the slot was decoded from before.
func (s *slotValue) setJSON(e *Env, typ campaign.Type, raw []byte, present bool) {
	if !present {
		s.val, s.has, s.kept = e.zero(typ), false, false
		return
	}
	if s.kept && bytes.Equal(s.raw, raw) {
		return
	}
	if s.kept = len(raw) <= maxKept; s.kept {
		s.raw = append(s.raw[:0], raw...)
	}
	if s.val, s.has = e.decode(typ, raw); !s.has {
		s.val = e.zero(typ)
	}
}

// activation resolves variables for one evaluation at a time. Every variable with fields
// resolves to the activation itself; the fields know where to look.
type activation struct {
	env        *Env
	facts      *Facts
	generation uint64
	now        slotValue
	builtIns   [slotSoft + 3]slotValue
	tags       *tagList
	attributes []slotValue
	event      happening
	start      happening
	offer      [offerSlots]slotValue
	segments   []verdict
	answers    []slotValue
	calls      []slotValue
}

// Slots of the built-in fields of a member.
const (
	slotID = iota
	slotJoined
	slotPoints
	slotSoft
)

// verdict is what a segment said in an evaluation.
type verdict struct {
	seen uint64
	val  ref.Val
	err  error
}

// maxKept bounds what an idle activation keeps of a fact. Larger ones are rare, and not
// worth their memory.
const maxKept = 16 << 10

func (e *Env) newActivation() *activation {
	a := &activation{
		env:        e,
		tags:       &tagList{},
		attributes: make([]slotValue, len(e.attributes)),
		segments:   make([]verdict, len(e.segments)),
		answers:    make([]slotValue, len(e.answers)),
		calls:      make([]slotValue, len(e.calls)),
	}
	a.event = happening{of: func(f *Facts) *campaign.Event { return f.Event }, slots: make([]slotValue, len(e.properties))}
	a.start = happening{of: func(f *Facts) *campaign.Event { return f.Start }, slots: make([]slotValue, len(e.properties))}
	return a
}

// acquire takes an activation for an evaluation of facts.
func (e *Env) acquire(f *Facts) *activation {
	a, ok := e.pool.Get().(*activation)
	if !ok {
		a = e.newActivation()
	}
	a.facts = f
	a.generation++
	return a
}

func (e *Env) release(a *activation) {
	a.facts = nil
	a.event.trim()
	a.start.trim()
	e.pool.Put(a)
}

// ResolveName implements cel.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case varNow:
		a.now.setTime(a.facts.Now, a.env.loc)
		return a.now.val, true
	case varMember, varEvent, varStart, varOffer, varAnswers, varCalls, varTeam, varCampaign, varLiteral, varBehaviour, varSegment, varReward:
		return a, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (a *activation) Parent() cel.Activation { return nil }

var errNoMember = campaign.Errorf(campaign.CodeInternal, "there is no member to evaluate the expression for")

func (a *activation) attribute(i int) (*slotValue, error) {
	s := &a.attributes[i]
	if s.seen == a.generation {
		return s, nil
	}
	if a.facts.Member == nil {
		return &slotValue{}, errNoMember
	}
	s.seen = a.generation
	p := &a.env.attributes[i]
	raw, present := a.facts.Member.Attributes[p.Name]
	s.setJSON(a.env, p.Type, raw, present)
	return s, nil
}

func (a *activation) memberText(slot int, of func(*campaign.Member) string) (any, error) {
	if a.facts.Member == nil {
		return nil, errNoMember
	}
	s := &a.builtIns[slot]
	s.setText(of(a.facts.Member))
	return s.val, nil
}

func (a *activation) memberJoined() (any, error) {
	if a.facts.Member == nil {
		return nil, errNoMember
	}
	s := &a.builtIns[slotJoined]
	s.setTime(a.facts.Member.JoinedAt, a.env.loc)
	return s.val, nil
}

func (a *activation) memberPoints() (any, error) {
	if a.facts.Member == nil {
		return nil, errNoMember
	}
	s := &a.builtIns[slotPoints]
	s.setInt(a.facts.Member.Points)
	return s.val, nil
}

func (a *activation) memberTags() (any, error) {
	if a.facts.Member == nil {
		return nil, errNoMember
	}
	if !slices.Equal(a.tags.tags, a.facts.Member.Tags) {
		// No expression ends in a list, so nobody holds the old one any more.
		a.tags.tags, a.tags.list = append(a.tags.tags[:0], a.facts.Member.Tags...), nil
	}
	return a.tags, nil
}

// segment says whether the member is in a segment, once per evaluation.
func (a *activation) segment(i int) (any, error) {
	v := &a.segments[i]
	if v.seen != a.generation {
		val, err := a.env.segments[i].expr.run(a)
		*v = verdict{seen: a.generation, val: val, err: err}
	}
	return v.val, v.err
}

// behaviour answers a question about past events.
func (a *activation) behaviour(b campaign.Behaviour, of func(*Env, campaign.BehaviourValue) ref.Val) (any, error) {
	v, ok := a.facts.Behaviour[b]
	if !ok {
		return nil, campaign.Errorf(campaign.CodeInternal, "%s was not fetched", behaviourText(b))
	}
	return of(a.env, v), nil
}

// happening is event or start.
type happening struct {
	of      func(*Facts) *campaign.Event
	seen    uint64 // the evaluation that raw was compared in
	version uint64 // counts the distinct properties that came along; slots hold for one of them
	raw     []byte
	parsed  map[string]json.RawMessage
	slots   []slotValue
	id, typ slotValue
	at      slotValue
}

var noEvent campaign.Event

func (h *happening) event(a *activation) *campaign.Event { return h.of(a.facts) }

// orNone gives the event, or one without anything where there is none.
func (h *happening) orNone(a *activation) *campaign.Event {
	if ev := h.of(a.facts); ev != nil {
		return ev
	}
	return &noEvent
}

// property gives a declared property. The properties are one JSON object, taken apart
// once for as long as its text stays the same.
func (h *happening) property(a *activation, slot int) *slotValue {
	if h.seen != a.generation {
		h.seen = a.generation
		raw := h.orNone(a).Properties
		if h.version == 0 || !bytes.Equal(h.raw, raw) {
			h.version++
			h.raw = append(h.raw[:0], raw...)
			h.parsed = nil
			if len(raw) > 0 && json.Unmarshal(h.raw, &h.parsed) != nil {
				h.parsed = nil
			}
		}
	}
	s := &h.slots[slot]
	if s.seen != h.version {
		s.seen = h.version
		p := a.env.propertyList[slot]
		raw, present := h.parsed[p.name]
		s.setJSON(a.env, p.typ, raw, present)
	}
	return s
}

// trim lets go of properties that are too large to keep.
func (h *happening) trim() {
	if cap(h.raw) > maxKept {
		h.raw, h.parsed, h.seen = nil, nil, 0
		h.version++
	}
}

func (h *happening) idValue(a *activation) any {
	h.id.setText(h.orNone(a).ID)
	return h.id.val
}

func (h *happening) typeValue(a *activation) any {
	h.typ.setText(h.orNone(a).Type)
	return h.typ.val
}

func (h *happening) timeValue(a *activation) any {
	h.at.setTime(h.orNone(a).Time, a.env.loc)
	return h.at.val
}
