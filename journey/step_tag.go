package journey

import (
	"slices"

	"github.com/banyanhq/banyan/campaign"
)

func (r *runner) enterTag(n *node, s *campaign.Tag) {
	for _, tag := range s.Tags {
		r.d.Member.RemoveTags = without(r.d.Member.RemoveTags, tag)
		r.d.Member.AddTags = append(without(r.d.Member.AddTags, tag), tag)
	}
	r.changeMember(func(m *campaign.Member) {
		for _, tag := range s.Tags {
			m.Tags = append(without(m.Tags, tag), tag)
		}
	})
	r.trace(campaign.TraceTagged, n.id, "tags", joined(s.Tags))
	r.move(n.next)
}

// changeMember lets later steps of the turn see the change, on a copy: the caller's
// facts stay as they are for a turn that is run again.
func (r *runner) changeMember(change func(*campaign.Member)) {
	m := campaign.Member{}
	if r.facts.Member != nil {
		m = *r.facts.Member
	}
	m.Tags = slices.Clone(m.Tags)
	change(&m)
	r.facts.Member = &m
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(x string) bool { return x == s })
}
