package definitions

import "github.com/banyanhq/banyan/campaign"

var untagShape = shape{what: "an untag step", keys: []string{"untag"}}

func (c *checker) untag(s *stepForm) campaign.Step {
	return &campaign.Untag{StepCommon: s.common, Tags: c.tags(s.value)}
}
