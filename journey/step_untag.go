package journey

import "github.com/banyanhq/banyan/campaign"

func (r *runner) enterUntag(n *node, s *campaign.Untag) {
	for _, tag := range s.Tags {
		r.d.Member.AddTags = without(r.d.Member.AddTags, tag)
		r.d.Member.RemoveTags = append(without(r.d.Member.RemoveTags, tag), tag)
	}
	r.changeMember(func(m *campaign.Member) {
		for _, tag := range s.Tags {
			m.Tags = without(m.Tags, tag)
		}
	})
	r.trace(campaign.TraceUntagged, n.id, "tags", joined(s.Tags))
	r.move(n.next)
}
