package definitions

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// builtin are what expressions may read of every member, and what no step sets.
var builtin = []string{"id", "joined_at", "tags", "points", "level", "source", "inviter"}

// member reads the attributes that expressions may read. Package rules knows which names
// are taken; compile reports those with the place that is kept here.
func (c *checker) member(top object) {
	for _, f := range c.entries(top, "member", attributeName, &c.declared.attributes) {
		p, ok := c.property(f)
		if ok && attributeName.allows(f.name) {
			c.places["member."+f.name] = f.key
		}
		c.def.Member = append(c.def.Member, p)
	}
}

// events reads the event types and their properties. A type without properties may be
// left empty.
func (c *checker) events(top object) {
	for _, f := range c.entries(top, "events", eventName, &c.declared.events) {
		e := campaign.EventType{Name: f.name}
		if !f.value.isNull() {
			all, _ := c.fields(f.value, "write a mapping from properties to types, such as {order: string, amount: money}")
			for _, property := range all {
				if !attributeName.allows(property.name) {
					c.badName(property.key, attributeName, property.name)
				}
				p, ok := c.property(property)
				if ok && attributeName.allows(property.name) {
					c.places["events."+f.name+"."+property.name] = property.key
				}
				e.Properties = append(e.Properties, p)
			}
		}
		c.def.Events = append(c.def.Events, e)
	}
}

var propertyShape = shape{what: "a type", keys: []string{"type", "one_of"}}

// property reads `name: type` or `name: {type: string, one_of: […]}`. What has a
// problem is given as a string, so that its uses are not all reported too.
func (c *checker) property(f field) (campaign.Property, bool) {
	p := campaign.Property{Name: f.name, Type: campaign.TypeString}
	if f.value.isScalar() {
		t, ok := c.typeOf(f.value)
		p.Type = t
		return p, ok
	}
	if !f.value.isMapping() {
		c.wrongType(f.value, "write one of "+list(typeNames())+", or {type: string, one_of: [bronze, silver]}")
		return p, false
	}
	o, _ := c.object(f.value, propertyShape)
	v, ok := o.get("type")
	if !ok {
		c.missing(o, f.value, "the type", "type", "write {type: string, one_of: [bronze, silver]}")
		return p, false
	}
	p.Type, ok = c.typeOf(v)
	values, has := o.get("one_of")
	if !has {
		return p, ok
	}
	if ok && p.Type != campaign.TypeString {
		c.problem(values, "one-of", fmt.Sprintf("one_of goes with strings, and this is %q", p.Type), "leave it out, or make the type string")
		return p, false
	}
	p.OneOf = c.values(values)
	return p, ok
}

// values reads the values that a string may have.
func (c *checker) values(n node) []string {
	const form = "write a list of texts, such as [bronze, silver, gold]"
	if !n.isSequence() || len(n.yaml.Content) == 0 {
		c.problem(n, "one-of", fmt.Sprintf("one_of is %s", emptyOr(n)), form)
		return nil
	}
	var out []string
	for _, item := range c.items(n) {
		s, ok := c.text(item, form)
		if !ok {
			continue
		}
		if slices.Contains(out, s) {
			c.problem(item, "one-of", fmt.Sprintf("%s stands twice in one_of", strconv.Quote(shorten(s))), "each value is written once")
			continue
		}
		out = append(out, s)
	}
	return out
}

func emptyOr(n node) string {
	if n.isSequence() {
		return "an empty list"
	}
	return n.what()
}

// typeOf reads the name of a type. For a misspelt one it gives the nearest, so that
// expressions are checked against what was probably meant.
func (c *checker) typeOf(n node) (campaign.Type, bool) {
	s, ok := c.text(n, "write one of "+list(typeNames()))
	if !ok {
		return campaign.TypeString, false
	}
	if slices.Contains(typeNames(), s) {
		return campaign.Type(s), true
	}
	c.unknown(n, "unknown-type", fmt.Sprintf("unknown type %q", shorten(s)), s, typeNames())
	if near := rules.Nearest(s, typeNames()); near != "" {
		return campaign.Type(near), false
	}
	return campaign.TypeString, false
}

func typeNames() []string {
	types := campaign.Types()
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = string(t)
	}
	return out
}
