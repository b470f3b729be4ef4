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
	g := grantOf{key: r.key(n.id, ""), reward: s.Reward, order: r.orderOf(r.s.Order)}
	if s.To == campaign.ToInviter {
		g.toInviter = true
		if g.to = r.inviter(); g.to == "" || g.to == r.in.ID.Member {
			g.refused = campaign.RefusedNoInviter
		}
	}
	if r.s.Holdout {
		g.refused = campaign.ReasonHoldout
	}
	if n.when != nil && g.refused == "" {
		value, err := r.measured(n.when)
		if err != nil {
			r.trace(campaign.TraceFault, n.id, "where", "rewards."+s.Reward, "detail", err.Error())
		}
		g.value = &value // what cannot be measured reaches no step
	}
	if _, ok := r.grant(n, g); ok {
		r.move(n.next)
	}
}

// grantOf is one grant of a reward.
type grantOf struct {
	key, reward string
	// to is the member who gets it, the inviter, if it is not the one of the journey.
	to        string
	toInviter bool
	order     *Order // that led to it; nil: none
	refused   string // why it is not even asked for; empty: it is
	value     *int64 // that the steps of a reward are measured by; nil: how often it was asked for
}

// grant asks for a reward, and takes back at once what of its order has gone back already.
// ok is false until all questions are answered.
func (r *runner) grant(n *node, g grantOf) (granted, ok bool) {
	reward, known := r.p.def.Reward(g.reward)
	if !known {
		r.fault = campaign.Errorf(campaign.CodeInternal, "campaign %s has no reward %s", r.p.def.Name, g.reward)
		return false, false
	}
	whose, led := "", g.order
	if g.toInviter {
		whose = campaign.ToInviter
	}
	if !reward.ClawsBack() {
		led = nil
	}
	// One that was refunded before the moment of this step leads to nothing any more. A
	// refund of a later moment takes it back below, as it would have had it come later.
	if g.refused == "" && led != nil && !led.Whole.IsZero() && !led.Whole.After(r.s.Since) {
		g.refused = campaign.RefusedRefunded
	}
	if g.refused != "" {
		r.trace(campaign.TraceNotGranted, n.id, "reward", reward.Name, "to", whose, "reason", g.refused)
		return false, true
	}
	ask := campaign.GrantAsk{
		Reward: reward.Name, Points: reward.Points, PerMember: reward.PerMember, Step: n.id, Zone: r.p.loc, Of: reward, Value: g.value, To: g.to,
	}
	if led != nil {
		ask.Order = led.ID
	}
	answer, ok := r.ask(campaign.Ask{Key: g.key, Grant: &ask})
	if !ok {
		return false, false
	}
	if !answer.OK {
		r.trace(campaign.TraceNotGranted, n.id, "reward", reward.Name, "to", whose, "reason", answer.Reason)
		return false, true
	}
	r.trace(campaign.TraceGranted, n.id, append([]string{"reward", reward.Name, "to", whose}, given[reward.Gift().Kind()](r, reward, &answer)...)...)
	if g.to == "" {
		had[reward.Gift().Kind()](r, reward, &answer)
	}
	if led != nil {
		led.Granted = true
		if g.to != "" && !slices.Contains(led.Others, g.to) {
			led.Others = append(slices.Clone(led.Others), g.to)
		}
		if r.clawBack(led, g.key); r.asked != nil {
			return false, false
		}
	}
	return true, true
}

// inviter is who invited the member: by the referral that started the journey or, where
// none did, by what is known of her.
func (r *runner) inviter() string {
	if bond, ok := campaign.BondOf(r.s.Start); ok {
		return bond.Inviter
	}
	return r.in.Member.Inviter
}

// given are, for each kind of reward, what the trace tells of a grant.
var given = map[campaign.RewardKind]func(*runner, *campaign.Reward, *campaign.Answer) []string{
	campaign.RewardPoints:  givenPoints,
	campaign.RewardCoupon:  givenCoupon,
	campaign.RewardBenefit: givenBenefit,
	campaign.RewardSteps:   givenSteps,
}

// had are, for each kind of reward, what a grant changes of what the turn knows of its member.
var had = map[campaign.RewardKind]func(*runner, *campaign.Reward, *campaign.Answer){
	campaign.RewardPoints: func(r *runner, w *campaign.Reward, _ *campaign.Answer) {
		r.changeMember(func(m *campaign.Member) { m.Points += w.Points })
	},
	campaign.RewardSteps: func(r *runner, _ *campaign.Reward, a *campaign.Answer) {
		r.changeMember(func(m *campaign.Member) { m.Points += a.Points })
	},
	campaign.RewardCoupon:  func(r *runner, w *campaign.Reward, a *campaign.Answer) { r.hold(w.Name, *pieceOf(a)) },
	campaign.RewardBenefit: hadBenefit,
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

func givenSteps(_ *runner, _ *campaign.Reward, a *campaign.Answer) []string {
	return []string{"points", strconv.FormatInt(a.Points, 10)}
}

func givenPoints(_ *runner, w *campaign.Reward, _ *campaign.Answer) []string {
	return []string{"points", strconv.FormatInt(w.Points, 10)}
}

func givenCoupon(r *runner, _ *campaign.Reward, a *campaign.Answer) []string {
	p := pieceOf(a)
	return []string{"coupon", campaign.MaskCode(p.Code), "until", r.localOrNever(p.Until)}
}

func givenBenefit(r *runner, w *campaign.Reward, a *campaign.Answer) []string {
	p := pieceOf(a)
	extended := ""
	if p.Extended {
		extended = "true"
	}
	return []string{"benefit", w.Benefit.Benefit, "until", r.localOrNever(p.Until), "extended", extended}
}

func hadBenefit(r *runner, w *campaign.Reward, a *campaign.Answer) {
	p := pieceOf(a)
	r.hold(w.Name, *p)
	r.changeMember(func(m *campaign.Member) {
		m.Benefits = slices.DeleteFunc(slices.Clone(m.Benefits), func(b campaign.Benefit) bool { return b.Name == w.Benefit.Benefit })
		m.Benefits = append(m.Benefits, campaign.Benefit{Name: w.Benefit.Benefit, Until: p.Until})
	})
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
