package definitions

import (
	"fmt"

	"github.com/banyanhq/banyan/campaign"
)

// rewardForm is how one kind of reward is written. Each has its file, reward_X.go, and its
// line in rewardForms.
type rewardForm struct {
	key  string   // whose presence says that the reward is of this kind
	more []string // keys of this kind alone, beside it
	read func(c *checker, f field, o object, r *campaign.Reward)
}

var rewardForms = []rewardForm{pointsForm, couponForm, benefitForm, stepsForm}

// rewardKeys are the keys of a reward, those of its kinds first.
func rewardKeys() (keys []string) {
	for _, form := range rewardForms {
		keys = append(append(keys, form.key), form.more...)
	}
	return append(keys, "budget", "per_member", "expires", "on_refund")
}

// gift reads what a reward gives: exactly one of the kinds.
func (c *checker) gift(f field, o object, r *campaign.Reward) {
	var kinds, names []string
	for _, form := range rewardForms {
		names = append(names, form.key)
		if _, has := o.get(form.key); has {
			kinds = append(kinds, form.key)
		}
	}
	switch len(kinds) {
	case 0:
		c.missing(o, f.key, fmt.Sprintf("reward %q", f.name), "points", "write `points: 100`, or another kind of reward: "+list(names))
		return
	case 1:
	default:
		v, _ := o.get(kinds[1])
		c.problem(v, "reward-kind", fmt.Sprintf("reward %q gives %s and %s", f.name, kinds[0], kinds[1]),
			"a reward gives one thing; make two rewards, and grant both")
		return
	}
	for _, form := range rewardForms {
		if form.key == kinds[0] {
			form.read(c, f, o, r)
			continue
		}
		for _, key := range form.more {
			if v, has := o.get(key); has {
				c.problem(v, "reward-kind", fmt.Sprintf("%q belongs to a reward with %s", key, form.key),
					fmt.Sprintf("reward %q gives %s; leave it out", f.name, kinds[0]))
			}
		}
	}
}

var pointsForm = rewardForm{key: "points", read: func(c *checker, _ field, o object, r *campaign.Reward) {
	v, _ := o.get("points")
	r.Points, _ = c.count(v, maxPoints)
}}
