package journey

import (
	"fmt"

	"github.com/banyanhq/banyan/campaign"
)

func (r *runner) enterChoose(n *node, s *campaign.Choose) {
	for i := range s.Cases {
		if r.holds(fmt.Sprintf("choose %s case %d", n.id, i+1), n.exprs[i], r.s.Event) {
			r.trace(campaign.TraceChose, n.id, "case", s.Cases[i].When)
			r.move(n.blocks[part("case", i)])
			return
		}
	}
	r.trace(campaign.TraceChose, n.id, "case", "otherwise")
	r.move(n.blocks["otherwise"])
}
