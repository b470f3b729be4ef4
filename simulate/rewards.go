package simulate

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// gift is a grant of a turn, which is hers when the turn is booked.
type gift struct {
	ask    *campaign.GrantAsk
	answer *campaign.Answer
}

// worth is what a grant takes of its budget, and why it cannot be given.
func (l *life) worth(w *campaign.Reward, value *int64) (worth int64, lack string) {
	switch {
	case l.holds(w):
		return 1, campaign.RefusedHeld
	case w.Ladder == nil:
		return w.Gift().Worth(), ""
	}
	v := l.asks[w.Name] + 1
	if value != nil {
		v = *value
	}
	step, ok := w.Ladder.Reached(v)
	if worth = step.Points - l.got[w.Name] + l.backs[w.Name]; !ok || worth <= 0 {
		l.askedFor(w)
		return 1, campaign.RefusedStep
	}
	return worth, ""
}

// askedFor counts how often a reward in steps was asked for, but for what a limit refused.
func (l *life) askedFor(w *campaign.Reward) {
	if w.Ladder == nil {
		return
	}
	if l.asks == nil {
		l.asks = map[string]int64{}
	}
	l.asks[w.Name]++
}

// paid writes down what a grant takes, and says how many points a step paid.
func (l *life) paid(w *campaign.Reward, worth int64) int64 {
	if l.got == nil {
		l.got = map[string]int64{}
	}
	l.got[w.Name] += worth
	l.askedFor(w)
	if w.Ladder == nil {
		return 0
	}
	return worth
}

// unpaid notes what was taken back of a reward: a step that was taken back can be reached
// again.
func (l *life) unpaid(reward string, points int64) {
	if l.backs == nil {
		l.backs = map[string]int64{}
	}
	l.backs[reward] += points
}

// coupon is one that she was granted. No pool is asked for it: a rehearsal has codes
// of its own.
type coupon struct {
	code     string
	from     time.Time
	ends     time.Time // zero: never
	redeemed bool
	voided   bool
}

func (c *coupon) open(now time.Time) bool {
	return !c.redeemed && !c.voided && (c.ends.IsZero() || !now.After(c.ends))
}

// holds reports whether she has as many open coupons of a reward as it allows.
func (l *life) holds(w *campaign.Reward) bool {
	if w.Coupon == nil {
		return false
	}
	open := 0
	for i := range l.coupons[w.Name] {
		if l.coupons[w.Name][i].open(l.now) {
			open++
		}
	}
	return open >= w.Coupon.Most()
}

// piece is what a grant gives; nil: points.
func (l *life) piece(w *campaign.Reward) *campaign.Piece {
	switch w.Gift().Kind() {
	case campaign.RewardCoupon:
		if l.coupons == nil {
			l.coupons = map[string][]coupon{}
		}
		c := coupon{code: fmt.Sprintf("REHEARSAL-%s-%d", w.Name, len(l.coupons[w.Name])+1), from: l.now, ends: w.Coupon.Ends(l.now)}
		l.coupons[w.Name] = append(l.coupons[w.Name], c)
		return &campaign.Piece{Code: c.code, State: campaign.CouponGranted, From: c.from, Until: c.ends}
	case campaign.RewardBenefit:
		var piece campaign.Piece
		l.benefits, piece = w.Benefit.Grant(l.benefits, l.now)
		return &piece
	case campaign.RewardPoints, campaign.RewardSteps:
	}
	return nil
}

// have writes down what she was granted.
func (l *life) have(g gift) {
	given := g.ask.Points + g.answer.Points
	l.member.Points += given
	if of := g.ask.Of; of != nil && of.Expires > 0 && given > 0 {
		if l.purse.granted == nil {
			l.purse.granted = map[*campaign.GrantAsk]int64{}
		}
		l.purse.granted[g.ask] = l.ends(given, l.now.Add(of.Expires))
	}
	if g.answer.Piece != nil {
		l.hold(g.ask.Reward, *g.answer.Piece)
	}
}

// hold changes what she has of a reward. Whoever holds what it was before keeps it.
func (l *life) hold(reward string, p campaign.Piece) {
	pieces := maps.Clone(l.pieces)
	if pieces == nil {
		pieces = map[string]campaign.Piece{}
	}
	pieces[reward] = p
	l.pieces = pieces
}

// pay redeems the coupon that an order was paid with, if it was with one of hers.
func (l *life) pay(e *campaign.Event) {
	var paid struct {
		Coupon string `json:"coupon"`
	}
	if e.Type != campaign.EventOrderPaid || len(l.coupons) == 0 || json.Unmarshal(e.Properties, &paid) != nil {
		return
	}
	for reward, list := range l.coupons {
		for i := range list {
			c := &list[i]
			if c.code != paid.Coupon || c.redeemed || c.voided || !c.ends.IsZero() && e.Time.After(c.ends) {
				continue
			}
			c.redeemed = true
			if p := l.pieces[reward]; p.Code == c.code {
				p.State = campaign.CouponRedeemed
				l.hold(reward, p)
			}
		}
	}
}
