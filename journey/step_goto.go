package journey

import "github.com/banyanhq/banyan/campaign"

func (r *runner) enterGoto(n *node, s *campaign.Goto) {
	r.trace(campaign.TraceJumped, n.id, "label", s.Target)
	r.leaveRepeats(n.next)
	r.move(n.next)
}
