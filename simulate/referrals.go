package simulate

import (
	"encoding/json"

	"github.com/banyanhq/banyan/campaign"
)

// Every member is taken by herself, so of two who bring each other one is not there. That
// she was bound, or that somebody whom she brought came to a state, is told like an event, by
// a test or by a population. Her inviter's limits are unknown; the budgets are everybody's.

// told makes an event about a referral what Banyan itself would store.
func (p *Plan) told(e campaign.Event) campaign.Event {
	if !campaign.IsReferralEvent(e.Type) || campaign.OwnsEventID(e.ID) {
		return e
	}
	properties := map[string]json.RawMessage{}
	_ = json.Unmarshal(e.Properties, &properties) // what is no object tells nothing
	set := func(name, value string, always bool) {
		if _, has := properties[name]; !has || always {
			properties[name], _ = json.Marshal(value) // cannot fail
		}
	}
	set("campaign", p.def.Name, true)
	set("referral", "1", e.Type == campaign.EventReferralBound)
	if e.Type == campaign.EventReferralBound {
		set("inviter", "inviter", false)
	}
	e.ID = campaign.OwnEventID("referral/" + e.ID)
	e.Properties, _ = json.Marshal(properties) // cannot fail
	return e
}

// bound notes who brought her, as the store does.
func (l *life) bound(e *campaign.Event) {
	bond, ok := campaign.BondOf(e)
	if !ok || l.member.Inviter != "" {
		return
	}
	l.member.Inviter = bond.Inviter
	if l.member.Source == "" || l.member.Source == "event" {
		l.member.Source = "referral"
	}
}

// worthToOther is what a grant to her inviter takes of its budget. Of the inviter nothing is
// known: she holds nothing, and was paid every step before this one.
func worthToOther(w *campaign.Reward, value *int64) (worth int64, lack string) {
	if w.Ladder == nil {
		return w.Gift().Worth(), ""
	}
	v := int64(1)
	if value != nil {
		v = *value
	}
	before, _ := w.Ladder.Reached(v - 1)
	step, ok := w.Ladder.Reached(v)
	if worth = step.Points - before.Points; !ok || worth <= 0 {
		return 1, campaign.RefusedStep
	}
	return worth, ""
}

// toOther is a grant to her inviter, of which nothing is hers.
func (l *life) toOther(w *campaign.Reward, worth int64) campaign.Answer {
	a := campaign.Answer{OK: true}
	switch w.Gift().Kind() {
	case campaign.RewardSteps:
		a.Points = worth
	case campaign.RewardCoupon:
		a.Piece = &campaign.Piece{Code: "REHEARSAL-" + w.Name, State: campaign.CouponGranted, From: l.now, Until: w.Coupon.Ends(l.now)}
	case campaign.RewardBenefit:
		_, piece := w.Benefit.Grant(nil, l.now)
		a.Piece = &piece
	case campaign.RewardPoints:
	}
	return a
}
