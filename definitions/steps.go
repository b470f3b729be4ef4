package definitions

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// maxSteps bounds a campaign. One with more was written by a program and is a case
// for data, not for steps.
const maxSteps = 5_000

// stepNode is a step with its place in the file and in the flow of its journey.
type stepNode struct {
	step   campaign.Step // nil when the step could not be read
	key    node          // the key that names its kind
	label  string
	blocks [][]*stepNode // as campaign.Children gives them
	offers []offerUse    // what in this step reads the offer or the team
	target *stepNode     // of a goto, once labels are resolved
	value  node          // behind the key
	index  int           // among all steps of the journey
	repeat *stepNode     // the innermost around it

	tests     []*test // its conditions, in the order of the file
	otherwise *node   // the key of its `otherwise`, if there is one
	reminders []node  // of an offer, one for each in the definition
}

// offerUse is a place that may need an offer to have been opened before, or a team to
// have been come into.
type offerUse struct {
	node
	message string // by sending this message, or
	reads   string // by an expression that reads this variable
}

// stepForm is one step while it is read.
type stepForm struct {
	object
	journey *journey
	self    *stepNode
	value   node   // behind the key that names the kind
	id      string // the step's ID, to begin those of its blocks
	common  campaign.StepCommon
}

// stepReader reads the keys of one kind of step. It gives nil when there is too little
// to go on with; its problems have been reported then.
type stepReader func(*checker, *stepForm) campaign.Step

// stepOf gives the keys of a kind of step and how it is read. A new kind adds its line
// here and a file of its own.
func stepOf(kind campaign.StepKind) (shape, stepReader) {
	switch kind {
	case campaign.StepSend:
		return sendShape, (*checker).send
	case campaign.StepWait:
		return waitShape, (*checker).wait
	case campaign.StepAwait:
		return awaitShape, (*checker).await
	case campaign.StepOffer:
		return makeOfferShape, (*checker).makeOffer
	case campaign.StepChoose:
		return chooseShape, (*checker).choose
	case campaign.StepSplit:
		return splitShape, (*checker).split
	case campaign.StepRepeat:
		return repeatShape, (*checker).repeat
	case campaign.StepTag:
		return tagShape, (*checker).tag
	case campaign.StepUntag:
		return untagShape, (*checker).untag
	case campaign.StepSet:
		return setShape, (*checker).set
	case campaign.StepGrant:
		return grantShape, (*checker).grant
	case campaign.StepAsk:
		return askShape, (*checker).ask
	case campaign.StepReview:
		return reviewShape, (*checker).review
	case campaign.StepTeam:
		return teamStepShape, (*checker).team
	case campaign.StepCall:
		return callShape, (*checker).call
	case campaign.StepGoto:
		return gotoShape, (*checker).jump
	case campaign.StepEnd:
		return endShape, (*checker).end
	case campaign.StepRefer: // nobody writes it
	}
	return shape{}, nil
}

func stepKinds() []string {
	kinds := campaign.StepKinds()
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = string(k)
	}
	return out
}

// block reads a list of steps. The steps of an unreadable kind are left out of the
// definition, which will not be given then, but keep their number and their place in
// the flow.
func (c *checker) block(j *journey, n node, prefix string) (campaign.Steps, []*stepNode) {
	if n.isNull() {
		return nil, nil
	}
	if !n.isSequence() {
		c.wrongType(n, "write a list of steps, each behind a dash: `- send: welcome`")
		c.opaque = true
		return nil, nil
	}
	steps := make(campaign.Steps, 0, len(n.yaml.Content))
	flow := make([]*stepNode, 0, len(n.yaml.Content))
	for i, item := range c.items(n) {
		if c.steps++; c.steps > maxSteps {
			if c.steps == maxSteps+1 {
				c.problem(item, "too-many-steps", fmt.Sprintf("the campaign has more than %d steps", maxSteps),
					"make several campaigns of it")
			}
			c.opaque = true
			break
		}
		s := c.step(j, item, prefix+strconv.Itoa(i+1))
		flow = append(flow, s)
		if s.step != nil {
			steps = append(steps, s.step)
		}
	}
	return steps, flow
}

// step reads one step: a mapping with the key of one kind.
func (c *checker) step(j *journey, n node, id string) *stepNode {
	self := &stepNode{key: n, index: len(j.all), repeat: j.repeat}
	j.all = append(j.all, self)
	kind, found, ok := c.kindOf(n)
	if !ok {
		c.opaque = true
		return self
	}
	self.key, self.value = found.key, found.value
	keys, read := stepOf(kind)
	keys.keys = append(slices.Clone(keys.keys), "label")
	o, ok := c.object(n, keys)
	if !ok {
		c.opaque = true
		return self
	}
	form := &stepForm{object: o, journey: j, self: self, value: found.value, id: id}
	form.common = campaign.StepCommon{ID: id, Line: self.key.yaml.Line}
	if v, ok := o.get("label"); ok {
		form.common.Label = c.label(j, self, v)
	}
	self.step = read(c, form)
	if self.step == nil {
		c.opaque = true
	}
	return self
}

// kindOf finds the one key of a step that names its kind.
func (c *checker) kindOf(n node) (campaign.StepKind, field, bool) {
	kinds := stepKinds()
	if !n.isMapping() {
		hint := "write a step such as `- send: welcome`; the kinds are " + list(kinds)
		if n.isScalar() && slices.Contains(kinds, n.yaml.Value) {
			hint = fmt.Sprintf("write what to %s behind a colon: `- %s: …`", n.yaml.Value, n.yaml.Value)
		}
		c.problem(n, "wrong-type", "this step is "+n.what(), hint)
		return "", field{}, false
	}
	var found field
	var names []string
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		key := resolve(n.yaml.Content[i])
		switch name := key.Value; {
		case name == string(campaign.StepTeam) && n.has(string(campaign.StepOffer)): // it belongs to the offer
		case slices.Contains(kinds, name):
			if names = append(names, name); len(names) == 1 {
				found = field{name: name, key: n.child(name, n.yaml.Content[i]), value: n.child(name, n.yaml.Content[i+1])}
			} else if name != names[0] {
				c.problem(n.child(name, n.yaml.Content[i]), "two-kinds", fmt.Sprintf("one step cannot both %s and %s", names[0], name),
					"put a dash before the second, so that it is a step of its own")
				return "", field{}, false
			}
		}
	}
	if len(names) == 0 {
		c.noKind(n, kinds)
		return "", field{}, false
	}
	return campaign.StepKind(names[0]), found, true
}

func (c *checker) noKind(n node, kinds []string) {
	hint := "write one of " + list(kinds)
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		if near := rules.Nearest(resolve(n.yaml.Content[i]).Value, kinds); near != "" {
			c.problem(n.child(near, n.yaml.Content[i]), "unknown-step",
				fmt.Sprintf("unknown step %q", shorten(resolve(n.yaml.Content[i]).Value)), fmt.Sprintf("did you mean %q? ", near)+hint)
			return
		}
	}
	c.problem(n, "unknown-step", "this step does not say what it does", hint)
}

// label reads the name that a goto may jump to.
func (c *checker) label(j *journey, self *stepNode, v node) string {
	name, ok := c.name(v, plainName)
	if !ok {
		return name
	}
	if first, ok := j.labels.at[name]; ok {
		c.problem(v, "duplicate-label", fmt.Sprintf("label %q is given twice", name),
			fmt.Sprintf("it stands in line %d already; a label is unique in its journey", first.yaml.Line))
		return name
	}
	j.labels.declare(name, v)
	self.label = name
	return name
}

// blockOf reads the block of steps behind a key of a step, if it is there.
func (s *stepForm) blockOf(c *checker, key string) campaign.Steps {
	var steps campaign.Steps
	var flow []*stepNode
	if v, ok := s.get(key); ok {
		steps, flow = c.block(s.journey, v, s.id+"."+key+".")
	}
	s.self.blocks = append(s.self.blocks, flow)
	return steps
}

// condition reads a CEL condition of a step and remembers whether it reads the offer or
// the team.
func (s *stepForm) condition(c *checker, n node, want rules.Want, scope func() rules.Scope) string {
	t := &test{node: n}
	if want == rules.WantBool {
		s.self.tests = append(s.self.tests, t)
	}
	return c.expression(n, want, scope, func(x reads) {
		t.expr, _ = x.(*rules.Expr)
		for _, variable := range []string{"offer", "team"} {
			if x.Reads(variable) {
				s.self.offers = append(s.self.offers, offerUse{node: n, reads: variable})
			}
		}
	})
}

// has reports whether a mapping has a key.
func (n node) has(key string) bool {
	for i := 0; n.isMapping() && i+1 < len(n.yaml.Content); i += 2 {
		if resolve(n.yaml.Content[i]).Value == key {
			return true
		}
	}
	return false
}
