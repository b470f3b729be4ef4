package definitions

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/banyanhq/banyan/campaign"
)

var (
	splitShape     = shape{what: "a split step", keys: []string{"split"}}
	splitBodyShape = shape{what: "a split", keys: []string{"name", "arms"}}
	armShape       = shape{what: "an arm", keys: []string{"share", "steps"}}

	armName = rule{
		"the name of an arm", regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,39}$`),
		"1 to 40 letters, digits and hyphens, beginning with a letter, such as A or with-photo",
	}
)

// maxArms bounds a split. With more arms no campaign has enough members to tell them apart.
const maxArms = 20

func (c *checker) split(s *stepForm) campaign.Step {
	const form = "write {name: NAME, arms: {A: {share: 50%, steps: […]}, B: {share: 50%}}}"
	step := &campaign.Split{StepCommon: s.common}
	if !s.value.isMapping() {
		c.wrongType(s.value, form)
		return nil
	}
	o, ok := c.object(s.value, splitBodyShape)
	name, hasName := o.get("name")
	named := false
	if hasName {
		step.Name, named = c.name(name, plainName)
	} else {
		c.missing(o, s.self.key, "this split", "name", form)
	}
	arms, hasArms := o.get("arms")
	if !hasArms {
		c.missing(o, s.self.key, "this split", "arms", form)
		return nil
	}
	all, isMapping := c.fields(arms, form)
	if n := len(arms.yaml.Content) / 2; isMapping && (n < 2 || n > maxArms) {
		c.problem(arms, "split-arms", fmt.Sprintf("a split has 2 to %d arms, and this one has %d", maxArms, n), form)
	}
	whole, good := 0, isMapping && ok && len(all) > 1
	for _, f := range all {
		arm, flow, ok := c.arm(s, f, form)
		good = good && ok
		whole += arm.Share
		s.self.blocks = append(s.self.blocks, flow)
		step.Arms = append(step.Arms, arm)
	}
	if good && whole != campaign.WholeShare {
		c.problem(arms, "split-shares", fmt.Sprintf("the shares add up to %s, not to 100%%", formatShare(whole)), "every member comes to exactly one arm")
		good = false
	}
	if good && named {
		c.sameSplit(name, step)
	}
	return step
}

func (c *checker) arm(s *stepForm, f field, form string) (arm campaign.Arm, flow []*stepNode, ok bool) {
	arm.Name = f.name
	if !armName.allows(f.name) {
		c.badName(f.key, armName, f.name)
		return arm, nil, false
	}
	o, ok := c.object(f.value, armShape)
	if !ok {
		return arm, nil, false
	}
	if v, has := o.get("share"); has {
		arm.Share, ok = c.share(v, "share", 1, campaign.WholeShare)
	} else {
		c.missing(o, f.key, fmt.Sprintf("arm %q", shorten(f.name)), "share", form)
		ok = false
	}
	if v, has := o.get("steps"); has {
		arm.Steps, flow = c.block(s.journey, v, s.id+"."+f.name+".")
	}
	return arm, flow, ok
}

// sameSplit makes sure that two splits of one name are one experiment: a member is then
// at the same arm in both.
func (c *checker) sameSplit(at node, step *campaign.Split) {
	if c.splits == nil {
		c.splits = map[string]seenSplit{}
	}
	arms := make([]string, len(step.Arms))
	for i, a := range step.Arms {
		arms[i] = fmt.Sprintf("%s %d", a.Name, a.Share)
	}
	slices.Sort(arms)
	now := seenSplit{arms: strings.Join(arms, ", "), line: at.yaml.Line}
	before, ok := c.splits[step.Name]
	if !ok {
		c.splits[step.Name] = now
		return
	}
	if before.arms != now.arms {
		c.problem(at, "split-differs", fmt.Sprintf("split %q has other arms or shares here than in line %d", step.Name, before.line),
			"two splits of one name lead a member to the same arm, so they have the same arms and shares; give another experiment another name")
	}
}

// seenSplit is a split that was read before.
type seenSplit struct {
	arms string
	line int
}
