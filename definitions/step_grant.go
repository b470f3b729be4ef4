package definitions

import (
	"strings"

	"github.com/banyanhq/banyan/campaign"
)

var grantShape = shape{what: "a grant step", keys: []string{"grant", "to"}}

func (c *checker) grant(s *stepForm) campaign.Step {
	step := &campaign.Grant{StepCommon: s.common}
	step.Reward, _ = c.refer(s.value, "reward", &c.declared.rewards)
	v, ok := s.get("to")
	switch {
	case !ok:
	case v.isScalar() && strings.HasPrefix(v.yaml.Value, "inviter."), v.isScalar() && v.yaml.Value == "upline":
		c.oneLevel(v)
	default:
		if to, ok := oneOf(c, v, "member", campaign.ToInviter); ok && to != "member" {
			step.To = to
			c.notMeasured(s.value, step.Reward, "how often it was granted to her")
		}
	}
	return step
}
