package definitions

import (
	"fmt"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

var (
	chooseShape = shape{what: "a choose step", keys: []string{"choose", "otherwise"}}
	caseShape   = shape{what: "a case", keys: []string{"when", "steps"}}
)

func (c *checker) choose(s *stepForm) campaign.Step {
	const form = "write a list of cases: `- {when: CEL, steps: […]}`"
	step := &campaign.Choose{StepCommon: s.common}
	if !s.value.isSequence() || len(s.value.yaml.Content) == 0 {
		c.wrongType(s.value, form)
	}
	for i, item := range c.items(s.value) {
		if !s.value.isSequence() {
			break
		}
		o, ok := c.object(item, caseShape)
		if !ok {
			s.self.blocks = append(s.self.blocks, nil)
			continue
		}
		var cs campaign.Case
		if v, ok := o.get("when"); ok {
			cs.When = s.condition(c, v, rules.WantBool, s.journey.scope)
		} else {
			c.missing(o, item, "this case", "when", form+"; what holds else stands under `otherwise`, beside `choose`")
		}
		var flow []*stepNode
		if v, ok := o.get("steps"); ok {
			cs.Steps, flow = c.block(s.journey, v, fmt.Sprintf("%s.case%d.", s.id, i+1))
		} else {
			c.missing(o, item, "this case", "steps", form+"; an empty list does nothing")
		}
		s.self.blocks = append(s.self.blocks, flow)
		step.Cases = append(step.Cases, cs)
	}
	if f, ok := s.field("otherwise"); ok {
		s.self.otherwise = &f.key
	}
	step.Otherwise = s.blockOf(c, "otherwise")
	return step
}
