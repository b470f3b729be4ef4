package definitions

import "github.com/banyanhq/banyan/campaign"

var benefitForm = rewardForm{key: "benefit", more: []string{"for"}, read: func(c *checker, _ field, o object, r *campaign.Reward) {
	v, _ := o.get("benefit")
	r.Benefit = &campaign.BenefitGrant{}
	r.Benefit.Benefit, _ = c.name(v, plainName)
	if span, has := o.get("for"); has {
		r.Benefit.For, _ = c.duration(span)
	}
}}
