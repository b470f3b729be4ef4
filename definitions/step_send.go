package definitions

import "github.com/banyanhq/banyan/campaign"

var sendShape = shape{what: "a send step", keys: []string{"send", "via"}}

func (c *checker) send(s *stepForm) campaign.Step {
	step := &campaign.Send{StepCommon: s.common, Via: c.via(s.object)}
	step.Message = c.message(s.value, step.Via)
	s.self.offers = append(s.self.offers, offerUse{node: s.value, message: step.Message})
	return step
}
