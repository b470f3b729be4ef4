package definitions

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Mark is a place in a file, kept so that what comes of it can be told there.
type Mark struct{ problem Problem }

// Fail tells of the place.
func (m Mark) Fail(check, message, hint string) Problem {
	p := m.problem
	p.Check, p.Message, p.Hint = check, message, hint
	return p
}

// Line is the line in the file, from 1.
func (m Mark) Line() int { return m.problem.Line }

func (c *checker) mark(n node) Mark {
	at := c.src.of(n.yaml)
	return Mark{Problem{
		File: c.src.file, Line: at.line, Column: at.column, Width: at.width, Path: n.path.String(), Snippet: c.src.line(at.line),
	}}
}

// beside is a checker for a file that belongs to a checked campaign.
func beside(file string, source []byte, def *campaign.Definition) (*checker, node, bool) {
	c := &checker{
		src: newSource(file, string(source)), def: def, offerTexts: map[string]bool{}, teamTexts: map[string]bool{}, badLocks: map[string]bool{}, places: map[string]node{},
	}
	for _, p := range def.Member {
		c.declared.attributes.declare(p.Name, node{})
	}
	for _, e := range def.Events {
		c.declared.events.declare(e.Name, node{})
	}
	for _, s := range def.Segments {
		c.declared.segments.declare(s.Name, node{})
	}
	for _, r := range def.Roles {
		c.declared.roles.declare(r.Name, node{})
	}
	for _, o := range def.Offers {
		c.declared.offers.declare(o.Name, node{})
	}
	for _, r := range def.Rewards {
		c.declared.rewards.declare(r.Name, node{})
	}
	for _, m := range def.Messages {
		c.declared.messages.declare(m.Name, node{})
	}
	for _, r := range def.Roles {
		c.declared.roles.declare(r.Name, node{})
	}
	root, ok := c.parse(source)
	return c, root, ok
}

// typed reads a value of a declared type, as JSON that a member or an event carries.
func (c *checker) typed(n node, p campaign.Property) (json.RawMessage, bool) {
	wrong := func(want string) (json.RawMessage, bool) {
		c.problem(n, "wrong-type", fmt.Sprintf("%q cannot be %s", shorten(n.path.last()), n.what()), want)
		return nil, false
	}
	s, ok := c.text(n, "write a value of type "+string(p.Type))
	if !ok {
		return nil, false
	}
	var value any
	switch p.Type {
	case campaign.TypeString:
		if len(p.OneOf) > 0 && !slices.Contains(p.OneOf, s) {
			c.unknown(n, "unknown-value", fmt.Sprintf("%q cannot be %q", shorten(n.path.last()), shorten(s)), s, p.OneOf)
			return nil, false
		}
		value = s
	case campaign.TypeInt:
		i, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return wrong("write a whole number")
		}
		value = i
	case campaign.TypeNumber:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f != f || f-f != 0 {
			return wrong("write a number, such as 2.5")
		}
		value = f
	case campaign.TypeBool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return wrong("write true or false")
		}
		value = b
	case campaign.TypeTime:
		loc, err := time.LoadLocation(c.def.Timezone)
		if err != nil {
			return nil, false // told already
		}
		t, _, ok := c.moment(n, loc)
		if !ok {
			return nil, false
		}
		value = t
	case campaign.TypeMoney:
		m, ok := c.money(n)
		if !ok {
			return nil, false
		}
		value = m
	}
	data, err := json.Marshal(value)
	return data, err == nil
}

// given reads the properties of an event, by the types that the campaign declares.
func (c *checker) given(n node, e *campaign.EventType) (map[string]json.RawMessage, bool) {
	all, ok := c.fields(n, "write a mapping from properties to values, such as {lesson: yoga}")
	out := map[string]json.RawMessage{}
	for _, f := range all {
		p, known := e.Property(f.name)
		if !known {
			c.unknown(f.key, "unknown-property", fmt.Sprintf("%s has no property %q", wordOf(e), shorten(f.name)), f.name, propertyNames(e.Properties))
			ok = false
			continue
		}
		v, good := c.typed(f.value, p)
		out[f.name], ok = v, ok && good
	}
	return out, ok
}

func propertyNames(list []campaign.Property) []string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.Name
	}
	return names
}

// eventType reads the name of an event type that the campaign hears. What it becomes is
// nil where that has been reported already.
func (c *checker) eventType(n node) *campaign.EventType {
	if n.isScalar() && n.yaml.Value == campaign.EventReply {
		if e, ok := c.def.Hears(campaign.EventReply); ok {
			return e
		}
	}
	if n.isScalar() && n.yaml.Value == campaign.WordTeamFormed && c.def.Teams() {
		return &campaign.EventType{Name: campaign.EventTeamFormed}
	}
	name, ok := c.refer(n, "event", &c.declared.events)
	if !ok {
		return nil
	}
	if name == campaign.EventLevelChanged {
		c.problem(n, "level-event", "a change of level comes of points, and nobody tells it", "tell of the events that give points")
		return nil
	}
	e, _ := c.def.Event(name)
	return e
}

// wordOf is what a file calls an event type.
func wordOf(e *campaign.EventType) string {
	switch e.Name {
	case campaign.EventTeamFormed:
		return campaign.WordTeamFormed
	case campaign.EventOfferReserved:
		return campaign.WordOfferReserved
	}
	return e.Name
}

// tagList reads one tag or a list of them.
func (c *checker) tagList(n node) (tags []string) {
	if n.isSequence() && len(n.yaml.Content) == 0 {
		return []string{}
	}
	tags = slices.Clone(c.tags(n))
	slices.Sort(tags)
	return slices.Compact(tags)
}

// Million is what shares are counted in: 1 % is 10,000.
const Million = 1_000_000

// portion reads a share such as 35% or 0.5%, in millionths.
func (c *checker) portion(n node) (int, bool) {
	const form = "write a share such as 35% or 0.5%, from 0% to 100%, with at most four decimal places"
	s, ok := c.text(n, form)
	if !ok {
		return 0, false
	}
	number, percent := strings.CutSuffix(s, "%")
	whole, fraction, dot := strings.Cut(strings.TrimSpace(number), ".")
	parts, err := strconv.ParseUint(whole+(fraction + "0000")[:max(4, len(fraction))], 10, 32)
	if !percent || err != nil || len(fraction) > 4 || dot && fraction == "" || whole == "" || parts > Million {
		c.problem(n, "bad-share", fmt.Sprintf("%q cannot be %q", shorten(n.path.last()), shorten(s)), form)
		return 0, false
	}
	return int(parts), true
}

// Span is a span of time that chance chooses between two bounds, both included.
type Span struct{ From, To time.Duration }

// span reads 6h, or 6h-5d.
func (c *checker) span(n node) (Span, bool) {
	const form = "write a span such as 6h, or two bounds such as 6h-5d"
	s, ok := c.text(n, form)
	if !ok {
		return Span{}, false
	}
	lo, hi, two := strings.Cut(s, "-")
	if !two {
		hi = lo
	}
	from, errFrom := campaign.ParseDuration(strings.TrimSpace(lo))
	to, errTo := campaign.ParseDuration(strings.TrimSpace(hi))
	if errFrom != nil || errTo != nil || from > to {
		c.problem(n, "bad-duration", fmt.Sprintf("%q cannot be %q", shorten(n.path.last()), shorten(s)), form)
		return Span{}, false
	}
	return Span{from, to}, true
}
