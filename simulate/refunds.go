package simulate

import (
	"encoding/json"
	"slices"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

// ledGrant is a grant that an order led to, in one of her journeys.
type ledGrant struct {
	walk          *walk
	ask           *campaign.GrantAsk
	order, reward string
	member        string          // who got it, if it is not she
	worth         int64           // in points or pieces
	piece         *campaign.Piece // of a coupon or a benefit
	back          int64           // taken back or owed so far
}

// clawBack takes back what an order led to, as the store does; points are those that the
// turn has moved so far. What was used of a budget stays used.
func (l *life) clawBack(w *walk, ask *campaign.ClawBackAsk, points int64) (out []campaign.ClawedBack) {
	for _, g := range l.led {
		i := slices.IndexFunc(ask.Rewards, func(r campaign.ClawBackReward) bool { return r.Name == g.reward })
		if g.walk != w || g.order != ask.Order || i < 0 {
			continue
		}
		due := campaign.PartOf(g.worth, ask.Part, ask.Of) - g.back
		if due <= 0 {
			continue
		}
		if g.member != "" { // what her inviter has is not known: all of it is there
			back := campaign.ClawedBack{Reward: g.reward, Member: g.member, Points: due}
			if g.piece != nil {
				back.Points, back.Pieces = 0, due
			}
			g.back += due
			out = addBack(out, back)
			continue
		}
		if g.piece != nil {
			g.back += due
			taken := l.void(g)
			out = addBack(out, campaign.ClawedBack{Reward: g.reward, Pieces: taken, Gone: due - taken})
			continue
		}
		// What has expired is gone already.
		if due = min(due, g.worth-g.back-l.purse.over[l.purse.granted[g.ask]]); due <= 0 {
			continue
		}
		taken := due
		if has := max(0, l.member.Points+points); !ask.Rewards[i].InFull && taken > has {
			taken = has
		}
		g.back += due
		points -= taken
		l.unpaid(g.reward, due)
		l.purse.backs = append(l.purse.backs, takenGrant{g.ask, taken})
		out = addBack(out, campaign.ClawedBack{Reward: g.reward, Points: taken, Owed: due - taken})
	}
	return out
}

// void takes back a coupon that was not used yet, or ends a benefit, as the store does. It
// says how many there were to take.
func (l *life) void(g *ledGrant) int64 {
	if g.piece.Code != "" {
		for i := range l.coupons[g.reward] {
			c := &l.coupons[g.reward][i]
			if c.code != g.piece.Code || !c.open(l.now) {
				continue
			}
			c.voided = true
			if p := l.pieces[g.reward]; p.Code == c.code {
				p.State = campaign.CouponVoided
				l.hold(g.reward, p)
			}
			return 1
		}
		return 0
	}
	if !g.piece.Until.IsZero() && !l.now.Before(g.piece.Until) {
		return 0
	}
	w, _ := l.p.def.Reward(g.reward)
	l.benefits = slices.Clone(l.benefits)
	for i := range l.benefits {
		b := &l.benefits[i]
		if b.Name != w.Benefit.Benefit {
			continue
		}
		from := g.piece.From
		if from.Before(l.now) {
			from = l.now
		}
		// What is left of it goes; spans that were to follow it begin earlier.
		if b.Until.IsZero() {
			b.Until = l.now
		} else {
			b.Until = b.Until.Add(-g.piece.Until.Sub(from))
		}
	}
	return 1
}

// addBack adds up what was taken back of each reward.
func addBack(list []campaign.ClawedBack, back campaign.ClawedBack) []campaign.ClawedBack {
	if i := slices.IndexFunc(list, func(x campaign.ClawedBack) bool { return x.Reward == back.Reward && x.Member == back.Member }); i >= 0 {
		list[i].Points += back.Points
		list[i].Owed += back.Owed
		list[i].Pieces += back.Pieces
		list[i].Gone += back.Gone
		return list
	}
	return append(list, back)
}

// restock lets her take an offer once more whose order has gone back. The stock that all
// share is left as it is: members are taken one by one, and what comes back to one of them
// is not known while another is taken.
func (l *life) restock(d *campaign.Decision) {
	for _, o := range d.OfferRefunds {
		if o.Restock && l.taken[o.Offer] > 0 {
			l.taken[o.Offer]--
		}
	}
}

// reservation makes the news that an order has reserved an offer, which is told by its name,
// if one of that name is open and not past its end, as the store does. It takes no piece of
// the stock: whoever is looked at alone has nobody beside her to take it meanwhile.
func (l *life) reservation(f *future) bool {
	p, ok := campaign.PaymentOf(&f.event, l.p.def.Currency)
	if !ok {
		return false
	}
	for _, w := range l.walks {
		o, open := w.state.OpenOffer(p.Offer)
		if !open || w.id.Holdout || o.Order != "" || !o.ExpiresAt.IsZero() && l.now.After(o.ExpiresAt) {
			continue
		}
		properties, err := json.Marshal(campaign.Hold{Offer: o.ID, Order: p.Order, Until: l.now.Add(campaign.ReservationSpan)})
		f.event.Time, f.event.Properties = l.now, properties
		return err == nil
	}
	return false
}

// reserved lets an order reserve the offer at its moment.
func (v *verifier) reserved(e *definitions.TestEvent) func(*life, *future) bool {
	return func(l *life, f *future) bool {
		if l.reservation(f) {
			return true
		}
		v.fail(e.Mark, "tell of "+campaign.WordOfferReserved+" with an order and the name of an offer while that is open, and not after the end of its lock",
			"there is nothing to be reserved at %s", v.when(l.now))
		return false
	}
}
