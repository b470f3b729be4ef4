package definitions

import (
	"fmt"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// maxRewardSteps is how many steps a reward may have.
const maxRewardSteps = 50

var stepsForm = rewardForm{key: "steps", more: []string{"count", "amount"}, read: (*checker).ladder}

var rewardStepShape = shape{what: "a rung of a reward", keys: []string{"at", "points"}}

// ladder reads the steps of a reward and what they are measured by.
func (c *checker) ladder(f field, o object, r *campaign.Reward) {
	l := &campaign.Ladder{}
	r.Ladder = l
	by, counts := o.get("count")
	if counts {
		l.Count = c.expression(by, rules.WantType(campaign.TypeInt), rules.SegmentScope, nil)
	}
	amount, amounts := o.get("amount")
	if amounts {
		l.Amount = c.expression(amount, rules.WantType(campaign.TypeMoney), rules.SegmentScope, nil)
	}
	if counts && amounts {
		c.problem(amount, "reward-steps", fmt.Sprintf("the steps of reward %q are measured by a count and by an amount", f.name), "write one of the two, or make two rewards")
	}
	v, _ := o.get("steps")
	switch {
	case !v.isSequence():
		c.wrongType(v, "write a list such as [{at: 1, points: 100}, {at: 3, points: 400}]")
		return
	case len(v.yaml.Content) == 0:
		c.problem(v, "reward-steps", fmt.Sprintf("reward %q has no step", f.name), "write a list such as [{at: 1, points: 100}, {at: 3, points: 400}]")
		return
	}
	items := c.items(v)
	if len(items) > maxRewardSteps {
		c.problem(v, "reward-steps", fmt.Sprintf("reward %q has %d steps", f.name, len(items)), fmt.Sprintf("at most %d are allowed", maxRewardSteps))
		return
	}
	for _, item := range items {
		c.rewardStep(f, item, l, amounts)
	}
}

func (c *checker) rewardStep(f field, item node, l *campaign.Ladder, amounts bool) {
	o, ok := c.object(item, rewardStepShape)
	if !ok {
		return
	}
	var s campaign.RewardStep
	at, has := o.get("at")
	switch {
	case !has:
		c.missing(o, item, "a step of reward "+f.name, "at", "write from which number on it counts: {at: 3, points: 400}")
		return
	case amounts:
		m, read := c.money(at)
		s.At, ok = m.Minor, read
	default:
		s.At, ok = c.count(at, maxCount)
	}
	if v, has := o.get("points"); has {
		var read bool
		s.Points, read = c.count(v, maxPoints)
		ok = ok && read
	} else {
		c.missing(o, item, "a step of reward "+f.name, "points", "write how many points she has of it then, in all: {at: 3, points: 400}")
		return
	}
	if n := len(l.Steps); ok && n > 0 && (s.At <= l.Steps[n-1].At || s.Points <= l.Steps[n-1].Points) {
		c.problem(item, "reward-steps", fmt.Sprintf("the steps of reward %q do not rise", f.name),
			"each is reached later than the one before, and gives more: points are those of the step in all, and what she was paid before is taken off")
		return
	}
	if ok {
		l.Steps = append(l.Steps, s)
	}
}
