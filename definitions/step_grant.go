package definitions

import "github.com/banyanhq/banyan/campaign"

var grantShape = shape{what: "a grant step", keys: []string{"grant", "to"}}

func (c *checker) grant(s *stepForm) campaign.Step {
	step := &campaign.Grant{StepCommon: s.common}
	step.Reward, _ = c.refer(s.value, "reward", &c.declared.rewards)
	v, ok := s.get("to")
	switch {
	case !ok:
	case v.isScalar() && v.yaml.Value == "inviter":
		c.notYet(v, "to: inviter")
	default:
		oneOf(c, v, "member")
	}
	return step
}
