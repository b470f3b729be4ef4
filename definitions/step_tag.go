package definitions

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/banyanhq/banyan/campaign"
)

var tagShape = shape{what: "a tag step", keys: []string{"tag"}}

// maxTag is how long a tag may be, in bytes.
const maxTag = 64

func (c *checker) tag(s *stepForm) campaign.Step {
	return &campaign.Tag{StepCommon: s.common, Tags: c.tags(s.value)}
}

// tags reads one tag or a list of them.
func (c *checker) tags(n node) []string {
	const form = "write a tag or a list of tags; a tag has at most 64 bytes, and no space before or behind it"
	if n.isSequence() && len(n.yaml.Content) == 0 {
		c.wrongType(n, form)
	}
	var out []string
	for _, item := range c.items(n) {
		s, ok := c.text(item, form)
		switch {
		case !ok:
		case s == "" || len(s) > maxTag || s != strings.TrimSpace(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
			c.problem(item, "bad-tag", fmt.Sprintf("%q cannot be used as a tag", shorten(s)), form)
		case slices.Contains(out, s):
			c.problem(item, "duplicate-tag", fmt.Sprintf("tag %q stands twice", s), "each tag is written once")
		default:
			out = append(out, s)
		}
	}
	return out
}
