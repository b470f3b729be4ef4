package journey

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
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
	led := r.orderOf(r.s.Order)
	if !reward.ClawsBack() {
		led = nil
	}
	// One that was refunded before the moment of this step leads to nothing any more. A
	// refund of a later moment takes it back below, as it would have had it come later.
	if led != nil && !led.Whole.IsZero() && !led.Whole.After(r.s.Since) {
		r.trace(campaign.TraceNotGranted, n.id, "reward", reward.Name, "reason", campaign.RefusedRefunded)
		r.move(n.next)
		return
	}
	ask := campaign.GrantAsk{Reward: reward.Name, Points: reward.Points, PerMember: reward.PerMember, Step: n.id, Zone: r.p.loc, Of: reward}
	if led != nil {
		ask.Order = led.ID
	}
	if n.when != nil {
		value, err := r.measured(n.when)
		if err != nil {
			r.trace(campaign.TraceFault, n.id, "where", "rewards."+reward.Name, "detail", err.Error())
		}
		ask.Value = &value // what cannot be measured reaches no step
	}
	answer, ok := r.ask(campaign.Ask{Key: r.key(n.id, ""), Grant: &ask})
	if !ok {
		return
	}
	if answer.OK {
		r.trace(campaign.TraceGranted, n.id, append([]string{"reward", reward.Name}, given[reward.Gift().Kind()](r, reward, &answer)...)...)
		if led != nil {
			led.Granted = true
			if r.clawBack(led, r.key(n.id, "")); r.asked != nil {
				return
			}
		}
	} else {
		r.trace(campaign.TraceNotGranted, n.id, "reward", reward.Name, "reason", answer.Reason)
	}
	r.move(n.next)
}

// given are, for each kind of reward, what a grant changes of what the turn knows, and
// what the trace tells of it.
var given = map[campaign.RewardKind]func(*runner, *campaign.Reward, *campaign.Answer) []string{
	campaign.RewardPoints:  givenPoints,
	campaign.RewardCoupon:  givenCoupon,
	campaign.RewardBenefit: givenBenefit,
	campaign.RewardSteps:   givenSteps,
}

// measured is the value that the steps of a reward are measured by.
func (r *runner) measured(x *rules.Expr) (int64, error) {
	v, err := x.Value(r.with(r.s.Event))
	switch n := v.(type) {
	case int64:
		return n, err
	case campaign.Money:
		return n.Minor, err
	}
	return 0, err
}

func givenSteps(r *runner, _ *campaign.Reward, a *campaign.Answer) []string {
	r.changeMember(func(m *campaign.Member) { m.Points += a.Points })
	return []string{"points", strconv.FormatInt(a.Points, 10)}
}

func givenPoints(r *runner, w *campaign.Reward, _ *campaign.Answer) []string {
	r.changeMember(func(m *campaign.Member) { m.Points += w.Points })
	return []string{"points", strconv.FormatInt(w.Points, 10)}
}

func givenCoupon(r *runner, w *campaign.Reward, a *campaign.Answer) []string {
	p := pieceOf(a)
	r.hold(w.Name, *p)
	return []string{"coupon", campaign.MaskCode(p.Code), "until", r.localOrNever(p.Until)}
}

func givenBenefit(r *runner, w *campaign.Reward, a *campaign.Answer) []string {
	p := pieceOf(a)
	r.hold(w.Name, *p)
	r.changeMember(func(m *campaign.Member) {
		m.Benefits = slices.DeleteFunc(slices.Clone(m.Benefits), func(b campaign.Benefit) bool { return b.Name == w.Benefit.Benefit })
		m.Benefits = append(m.Benefits, campaign.Benefit{Name: w.Benefit.Benefit, Until: p.Until})
	})
	extended := ""
	if p.Extended {
		extended = "true"
	}
	return []string{"benefit", w.Benefit.Benefit, "until", r.localOrNever(p.Until), "extended", extended}
}

// pieceOf is what was granted. A driver that says nothing of it is asked nothing more.
func pieceOf(a *campaign.Answer) *campaign.Piece {
	if a.Piece == nil {
		return &campaign.Piece{State: campaign.CouponGranted}
	}
	return a.Piece
}

// hold lets the rest of the turn read what was granted.
func (r *runner) hold(reward string, p campaign.Piece) {
	held := maps.Clone(r.facts.Rewards)
	if held == nil {
		held = map[string]campaign.Piece{}
	}
	held[reward] = p
	r.facts.Rewards = held
}

func (r *runner) localOrNever(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return r.p.local(t)
}
