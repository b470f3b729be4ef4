package journey

import (
	"strconv"

	"github.com/banyanhq/banyan/campaign"
)

func (r *runner) enterSend(n *node, s *campaign.Send) {
	p := Pending{
		Key: r.key(n.id, ""), Step: n.id, Message: s.Message, Via: s.Via, Due: r.now, Visit: r.s.Visit, Blocks: true,
	}
	if r.send(&p) {
		r.move(n.next)
		return
	}
	r.s.Pending = append(r.s.Pending, p)
	r.s.Waiting = true
}

// key names an effect of the current visit to a step.
func (r *runner) key(step, part string) string {
	return r.in.ID.EffectKey(r.in.Version, step, r.s.Visit, part)
}

func part(name string, i int) string { return name + strconv.Itoa(i+1) }
