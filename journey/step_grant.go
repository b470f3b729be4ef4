package journey

import (
	"strconv"

	"github.com/banyanhq/banyan/campaign"
)

// enterGrant grants within the reward's budget and limits. What a limit refused is
// recorded and the journey goes on.
func (r *runner) enterGrant(n *node, s *campaign.Grant) {
	if r.s.Holdout {
		r.trace(campaign.TraceNotGranted, n.id, "reward", s.Reward, "reason", campaign.ReasonHoldout)
		r.move(n.next)
		return
	}
	reward, ok := r.p.def.Reward(s.Reward)
	if !ok {
		r.fault = campaign.Errorf(campaign.CodeInternal, "campaign %s has no reward %s", r.p.def.Name, s.Reward)
		return
	}
	answer, ok := r.ask(campaign.Ask{Key: r.key(n.id, ""), Grant: &campaign.GrantAsk{
		Reward: reward.Name, Points: reward.Points, PerMember: reward.PerMember, Step: n.id, Zone: r.p.loc,
	}})
	if !ok {
		return
	}
	if answer.OK {
		r.trace(campaign.TraceGranted, n.id, "reward", reward.Name, "points", strconv.FormatInt(reward.Points, 10))
		r.changeMember(func(m *campaign.Member) { m.Points += reward.Points })
	} else {
		r.trace(campaign.TraceNotGranted, n.id, "reward", reward.Name, "reason", answer.Reason)
	}
	r.move(n.next)
}
