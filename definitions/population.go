package definitions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Population is who takes part in a rehearsal and how they behave.
type Population struct {
	Name string
	// Derived is set for one that was made up from a campaign, because nobody told of one.
	Derived bool
	// PerDay is how many come a day. Where it is 0 all come evenly over Over; where that is
	// 0 too, over the whole rehearsal.
	PerDay    int
	Over      time.Duration
	Joined    Span // how long before they come they became members
	Member    []Trait
	Tags      []TagShare
	Hours     Hours
	Late      LateShare
	Behaviour []Reaction
	// Reviews is how people decide what they are asked; the first that fits a review counts.
	Reviews []Decider
}

// Hours is how lively each hour of the day is, in thousandths of the liveliest.
type Hours [24]int

// Trait is an attribute and the values that members have of it.
type Trait struct {
	Name   string
	Values []Choice
}

// Choice is a value with its share in millionths. The shares of a trait come to a
// million, or less: the others have no value.
type Choice struct {
	Value json.RawMessage
	Text  string
	Share int
}

// TagShare is a tag and the share of the members who have it.
type TagShare struct {
	Tag   string
	Share int
}

// LateShare is the share of events that are told late, and by how much.
type LateShare struct {
	Share int
	By    Span
}

// What a reaction is a reaction to.
const (
	OnArrive  = "arrive"  // she comes
	OnMessage = "message" // she is sent a message
	OnOffer   = "offer"   // an offer opens for her, or what State says
	OnEvent   = "event"   // an event happens
	OnWait    = "wait"    // a journey begins to wait for an event
	OnCall    = "call"    // a journey calls a service
)

// Trigger is what a reaction is a reaction to.
type Trigger struct {
	Kind  string
	Name  string // of the message, the offer or the event type
	State campaign.OfferState
	Where []Given // properties that the event must have
}

// Given is a property with its value.
type Given struct {
	Property string
	Value    json.RawMessage
}

// Matches reports whether an event's properties are those that are given.
func (t *Trigger) Matches(properties map[string]json.RawMessage) bool {
	for _, g := range t.Where {
		if !bytes.Equal(properties[g.Property], g.Value) {
			return false
		}
	}
	return true
}

// Reaction is what members do after something, by chance.
type Reaction struct {
	On       Trigger
	Do       *campaign.EventType // nil: Enter
	With     []Given
	Enter    string // a journey, by the API
	Service  *Service
	Chance   int // in millionths
	Segments []SegmentChance
	After    Span
	Times    int
	// Unless is an event that keeps them from it if it has happened since.
	Unless *Trigger
}

// Service is how a service takes a call: it refuses it for good, or answers it.
type Service struct {
	Call     string // its name
	Refused  bool
	Returned map[string]json.RawMessage
}

// SegmentChance is the chance of those in a segment.
type SegmentChance struct {
	Segment string
	Chance  int
}

var (
	populationShape = shape{what: "a population", keys: []string{"population", "arrive", "joined", "member", "tags", "hours", "late", "behaviour", "reviews"}}
	arriveShape     = shape{what: "arrive", keys: []string{"per_day", "over"}}
	lateShape       = shape{what: "late", keys: []string{"share", "by"}}
	triggerShape    = shape{what: "a trigger", keys: append(triggerKinds(), "state")}
	reactionShape   = shape{what: "a behaviour", keys: []string{"on", "do", "enter", "answer", "refuse", "with", "chance", "segments", "after", "times", "unless"}}
)

// triggerKinds are the kinds of trigger that have a name, in the order in which they are
// looked for: an event may have properties called as the others are.
func triggerKinds() []string { return []string{OnEvent, OnWait, OnMessage, OnOffer, OnCall} }

// Flat is a day whose hours are all as lively as each other.
func Flat() (hours Hours) {
	for i := range hours {
		hours[i] = fullHour
	}
	return hours
}

// CheckPopulation reads a population file for a checked campaign.
func CheckPopulation(file string, source []byte, def *campaign.Definition) (*Population, Problems) {
	c, root, ok := beside(file, source, def)
	p := &Population{Hours: Flat()}
	if ok {
		c.population(root, p)
	}
	problems := c.problems.order()
	if problems.Refused() {
		return nil, problems
	}
	return p, problems
}

func (c *checker) population(root node, p *Population) {
	top, ok := c.object(root, populationShape)
	if !ok {
		return
	}
	if v, ok := top.get("population"); ok {
		p.Name, _ = c.words(v, maxTitle)
	} else {
		c.missing(top, root, "the file", "population", "write `population:` with a name for it")
	}
	if v, ok := top.get("arrive"); ok {
		c.arrive(v, p)
	}
	if v, ok := top.get("joined"); ok {
		p.Joined, _ = c.span(v)
	}
	if v, ok := top.get("member"); ok {
		c.traits(v, p)
	}
	if v, ok := top.get("tags"); ok {
		all, _ := c.fields(v, "write a mapping from tags to shares, such as {staff: 4%}")
		for _, f := range all {
			share, _ := c.portion(f.value)
			p.Tags = append(p.Tags, TagShare{f.name, share})
		}
	}
	if v, ok := top.get("hours"); ok {
		c.hours(v, &p.Hours)
	}
	if v, ok := top.get("late"); ok {
		if o, ok := c.object(v, lateShape); ok {
			for _, f := range o.fields {
				if f.name == "share" {
					p.Late.Share, _ = c.portion(f.value)
				} else {
					p.Late.By, _ = c.span(f.value)
				}
			}
			if len(o.fields) < 2 {
				c.missing(o, v, "late", "share", "write {share: 3%, by: 10m-26h}")
			}
		}
	}
	if v, ok := top.get("reviews"); ok {
		c.deciders(v, p)
	}
	v, ok := top.get("behaviour")
	if !ok {
		c.missing(top, root, "the population", "behaviour", "write `behaviour:` and a list of what members do, such as - {on: arrive, do: order.paid}")
		return
	}
	if !v.isSequence() {
		c.wrongType(v, "write a list such as - {on: {message: welcome}, do: lesson.attended, chance: 60%, after: 6h-5d}")
		return
	}
	for _, item := range c.items(v) {
		if o, ok := c.object(item, reactionShape); ok {
			p.Behaviour = append(p.Behaviour, c.reaction(o))
		}
	}
}

func (c *checker) arrive(n node, p *Population) {
	o, ok := c.object(n, arriveShape)
	if !ok {
		return
	}
	perDay, has := o.get("per_day")
	over, also := o.get("over")
	if has == also {
		c.missing(o, n, "arrive", "per_day", "write {per_day: 40}, or {over: 30d} for all of them within that span")
		return
	}
	if has {
		many, _ := c.count(perDay, maxCount)
		p.PerDay = int(many)
	} else {
		p.Over, _ = c.duration(over)
	}
}

// traits reads who members are: one value for all, a list of values that are as frequent
// as each other, or a mapping from values to shares.
func (c *checker) traits(n node, p *Population) {
	all, _ := c.fields(n, "write a mapping from attributes to their values")
	for _, f := range all {
		declared, known := c.attribute(f.name)
		if !known {
			c.unknown(f.key, "unknown-attribute", fmt.Sprintf("unknown attribute %q", shorten(f.name)), f.name, c.declared.attributes.order)
			continue
		}
		t := Trait{Name: f.name}
		if f.value.isMapping() {
			t.Values = c.shares(f.value, declared)
		} else {
			items := c.items(f.value)
			for i, item := range items {
				if v, ok := c.typed(item, declared); ok {
					t.Values = append(t.Values, Choice{v, item.yaml.Value, Million*(i+1)/len(items) - Million*i/len(items)})
				}
			}
		}
		p.Member = append(p.Member, t)
	}
}

// attribute finds a declared attribute of members.
func (c *checker) attribute(name string) (campaign.Property, bool) {
	i := slices.IndexFunc(c.def.Member, func(p campaign.Property) bool { return p.Name == name })
	if i < 0 {
		return campaign.Property{}, false
	}
	return c.def.Member[i], true
}

func (c *checker) shares(n node, declared campaign.Property) (out []Choice) {
	all, _ := c.fields(n, "write a mapping from values to shares, such as {上海: 60%, 杭州: 40%}")
	sum := 0
	for _, f := range all {
		v, ok := c.typed(node{yaml: resolve(f.key.yaml), path: f.key.path}, declared)
		share, good := c.portion(f.value)
		if ok && good {
			out = append(out, Choice{v, f.name, share})
			sum += share
		}
	}
	if sum > Million {
		c.problem(n, "bad-share", "the shares come to more than 100%", "together they are 100% at most; whoever is left over has no value")
	}
	return out
}

// hours reads how lively the hours of the day are: {0-7: 0, 18-22: 5}. An hour that is
// not named is 1.
func (c *checker) hours(n node, hours *Hours) {
	all, _ := c.fields(n, "write a mapping from hours to how lively they are, such as {0-7: 0, 18-22: 5}")
	weights := [24]float64{}
	for i := range weights {
		weights[i] = 1
	}
	for _, f := range all {
		from, to, two := strings.Cut(f.name, "-")
		if !two {
			to = from
		}
		lo, errLo := strconv.Atoi(from)
		hi, errHi := strconv.Atoi(to)
		if two {
			hi-- // 18-22 ends at 22:00
		}
		if errLo != nil || errHi != nil || lo < 0 || hi > 23 || lo > hi {
			c.problem(f.key, "bad-hours", fmt.Sprintf("%q are no hours", shorten(f.name)), "write an hour such as 18, or hours such as 18-22, within a day from 0 to 24")
			continue
		}
		s, ok := c.text(f.value, "write a number")
		w, err := strconv.ParseFloat(s, 64)
		if !ok || err != nil || w < 0 || w > 1000 || w != w {
			c.problem(f.value, "bad-number", fmt.Sprintf("%q cannot say how lively an hour is", shorten(s)), "write a number from 0 to 1000; an hour that is not named is 1")
			continue
		}
		for h := lo; h <= hi; h++ {
			weights[h] = w
		}
	}
	most := slices.Max(weights[:])
	if most == 0 {
		c.problem(n, "bad-hours", "nothing happens at any hour", "give at least one hour a number above 0")
		return
	}
	for h, w := range weights {
		hours[h] = int(w/most*fullHour + 0.5)
	}
}
