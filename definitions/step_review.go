package definitions

import (
	"fmt"
	"strings"

	"github.com/banyanhq/banyan/campaign"
)

var (
	reviewShape = shape{what: "a review step", keys: []string{"review", "approved", "rejected"}}
	askedShape  = shape{what: "a review", keys: []string{"by", "about", "for", "otherwise"}}
)

// maxAbout is how long the words may be that say what is to be decided, in characters.
const maxAbout = 200

func (c *checker) review(s *stepForm) campaign.Step {
	const form = "write {by: ROLE, for: 24h, otherwise: reject}"
	step := &campaign.OpenReview{StepCommon: s.common}
	if !s.value.isMapping() {
		c.wrongType(s.value, form)
		return nil
	}
	o, ok := c.object(s.value, askedShape)
	if v, has := o.get("by"); has {
		step.By, _ = c.refer(v, "role", &c.declared.roles)
	} else if ok {
		c.missing(o, s.self.key, "this review", "by", form+", and the role under `roles:`")
	}
	if v, has := o.get("about"); has {
		step.About = c.about(v)
	}
	if v, has := o.get("for"); has {
		step.For, _ = c.duration(v)
	} else if ok {
		c.missing(o, s.self.key, "this review", "for", "every path must end: write how long a person has to decide, such as `for: 24h`")
	}
	if v, has := o.get("otherwise"); has {
		step.Otherwise, _ = oneOf(c, v, campaign.Approve, campaign.Reject)
	} else if ok {
		c.missing(o, s.self.key, "this review", "otherwise", "write what holds when nobody decides in time: `otherwise: approve` or `otherwise: reject`")
	}
	step.Approved = s.blockOf(c, "approved")
	step.Rejected = s.blockOf(c, "rejected")
	return step
}

// about reads the words for the one who decides. They are the same for every member, so
// that a review holds nothing of her.
func (c *checker) about(n node) string {
	s, ok := c.words(n, maxAbout)
	if ok && strings.Contains(s, "{{") {
		c.problem(n, "template", "`about` is the same for every member and is not filled in",
			"write plain words; who decides finds the member by her id")
	}
	return s
}

var roleShape = shape{what: "a role", keys: []string{"title", "backup"}}

// roles reads the parts that people play. A role of which there is nothing to say is
// left empty.
func (c *checker) roles(top object) {
	all := c.entries(top, "roles", plainName, &c.declared.roles)
	for _, f := range all {
		r := campaign.Role{Name: f.name, Title: f.name}
		if !f.value.isNull() {
			o, _ := c.object(f.value, roleShape)
			if v, ok := o.get("title"); ok {
				r.Title, _ = c.words(v, maxTitle)
			}
			if v, ok := o.get("backup"); ok {
				r.Backup, ok = c.refer(v, "role", &c.declared.roles)
				if ok && r.Backup == r.Name {
					c.problem(v, "backup", fmt.Sprintf("role %q is its own backup", r.Name), "the backup is another role, which is asked when this one does not decide in time")
				}
			}
		}
		c.def.Roles = append(c.def.Roles, r)
	}
}
