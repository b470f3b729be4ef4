package definitions

import (
	"fmt"
	"strings"
)

// unused warns of what is declared and has no effect. It says nothing when a step
// could not be read, since that step may be what uses it.
func (c *checker) unused() {
	if c.opaque {
		return
	}
	for _, section := range []struct {
		names        *names
		check, what  string
		nobody, hint string
	}{
		{names: &c.declared.messages, check: "unused-message", what: "message", nobody: "nobody sends it", hint: "send it with a step, or remove it"},
		{names: &c.declared.roles, check: "unused-role", what: "role", nobody: "no review asks it", hint: "ask it with a `review` step, or remove it"},
		{names: &c.declared.offers, check: "unused-offer", what: "offer", nobody: "no step opens it and no expression names it", hint: "open it with an `offer` step, or remove it"},
		{names: &c.declared.rewards, check: "unused-reward", what: "reward", nobody: "no step grants it", hint: "grant it with a step, or remove it"},
		{names: &c.declared.segments, check: "unused-segment", what: "segment", nobody: "nobody uses it", hint: `use it in a start, or as segment("NAME") in an expression, or remove it`},
	} {
		for _, name := range section.names.order {
			if section.names.used[name] || section.what == "segment" && c.doubt || section.what == "offer" && c.named(name) {
				continue
			}
			c.warn(section.names.at[name], section.check, fmt.Sprintf("%s %q: %s", section.what, name, section.nobody), section.hint)
		}
	}
}

// named reports whether an expression holds the name as a text, as
// event.offer == "trial" does for an offer that the shop sells by itself.
func (c *checker) named(name string) bool {
	for _, n := range c.sources {
		if src := n.yaml.Value; strings.Contains(src, `"`+name+`"`) || strings.Contains(src, `'`+name+`'`) {
			return true
		}
	}
	return false
}
