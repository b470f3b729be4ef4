package definitions

import (
	"fmt"

	"github.com/banyanhq/banyan/campaign"
)

var waitShape = shape{what: "a wait step", keys: []string{"wait"}}

// wait reads a span. Waiting until a time of day is a mapping, for a later version.
func (c *checker) wait(s *stepForm) campaign.Step {
	step := &campaign.Wait{StepCommon: s.common}
	if s.value.isMapping() && !c.looksLikeTemplate(s.value) {
		const form = "write `wait: 24h`"
		all, _ := c.fields(s.value, form)
		for _, f := range all {
			if f.name == "until" {
				c.notYet(f.key, f.name)
				continue
			}
			c.problem(f.key, "unknown-key", fmt.Sprintf("unknown key %q in a wait", shorten(f.name)), form)
		}
		if len(all) == 0 {
			c.wrongType(s.value, form)
		}
		return step
	}
	step.For, _ = c.duration(s.value)
	return step
}
