package definitions

import (
	"fmt"
	"slices"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

var awaitShape = shape{what: "an await step", keys: []string{"await", "when", "for", "grace", "otherwise"}}

func (c *checker) await(s *stepForm) campaign.Step {
	step := &campaign.Await{StepCommon: s.common}
	if s.value.isSequence() && len(s.value.yaml.Content) == 0 {
		c.problem(s.value, "wrong-type", `"await" is an empty list`, "write the event to wait for, or a list of them")
	}
	known := true
	for _, item := range c.items(s.value) {
		name, ok := c.refer(item, "event", &c.declared.events)
		known = known && ok
		if ok && slices.Contains(step.Events, name) {
			c.problem(item, "duplicate-event", fmt.Sprintf("event %q stands twice", name), "each event is written once")
			continue
		}
		step.Events = append(step.Events, name)
	}
	if v, ok := s.get("when"); ok && known {
		step.When = s.condition(c, v, rules.WantBool, func() rules.Scope { return s.journey.listening(step.Events...) })
	}
	if v, ok := s.get("for"); ok {
		step.For, _ = c.duration(v)
	} else {
		c.missing(s.object, s.self.key, "this await", "for", "every path must end: write how long to wait, such as `for: 7d`")
	}
	if v, ok := s.get("grace"); ok {
		step.Grace, _ = c.duration(v)
	}
	step.Otherwise = s.blockOf(c, "otherwise")
	return step
}
