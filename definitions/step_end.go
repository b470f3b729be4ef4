package definitions

import "github.com/banyanhq/banyan/campaign"

var endShape = shape{what: "an end step", keys: []string{"end"}}

func (c *checker) end(s *stepForm) campaign.Step {
	step := &campaign.End{StepCommon: s.common}
	step.Outcome, _ = c.name(s.value, rule{what: "an outcome", pattern: plainName.pattern, allowed: plainName.allowed})
	return step
}
