package definitions

import (
	"fmt"
	"slices"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

var setShape = shape{what: "a set step", keys: []string{"set"}}

func (c *checker) set(s *stepForm) campaign.Step {
	const form = "write {ATTRIBUTE: CEL}, such as {city: event.city}"
	step := &campaign.Set{StepCommon: s.common}
	all, ok := c.fields(s.value, form)
	if ok && len(s.value.yaml.Content) == 0 {
		c.problem(s.value, "wrong-type", `"set" is empty`, form)
	}
	for _, f := range all {
		if slices.Contains(builtin, f.name) {
			hint := "set changes the attributes that the campaign declares under `member`"
			switch f.name {
			case "tags":
				hint = "use the steps `tag` and `untag`"
			case "points":
				hint = "use the step `grant`"
			}
			c.problem(f.key, "builtin", fmt.Sprintf("member.%s cannot be set", f.name), hint)
			continue
		}
		if !c.declared.attributes.use(f.name) {
			c.unknown(f.key, "unknown-attribute", fmt.Sprintf("unknown member attribute %q", shorten(f.name)), f.name, c.declared.attributes.order)
			continue
		}
		want := rules.WantType(campaign.TypeString)
		if declared, ok := c.attribute(f.name); ok {
			want = rules.WantAttribute(declared)
		}
		value := s.condition(c, f.value, want, s.journey.scope)
		step.Assign = append(step.Assign, campaign.Assign{Attribute: f.name, Value: value})
	}
	return step
}
