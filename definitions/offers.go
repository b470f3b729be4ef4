package definitions

import (
	"fmt"

	"github.com/banyanhq/banyan/campaign"
)

// segments reads the named conditions over a member. Package rules compiles them with
// the environment, since they may name each other.
func (c *checker) segments(top object) {
	for _, f := range c.entries(top, "segments", plainName, &c.declared.segments) {
		c.places["segments."+f.name] = f.value
		src, ok := c.cel(f.value, `write a CEL expression such as '"staff" in member.tags'`)
		if !ok {
			continue
		}
		c.def.Segments = append(c.def.Segments, campaign.Segment{Name: f.name, When: src})
	}
}

var offerShape = shape{
	what:  "an offer",
	keys:  []string{"title", "price", "list_price", "lock", "grace", "per_member", "stock", "on_refund", "team"},
	never: inventions,
}

// offers reads what is sold.
func (c *checker) offers(top object) {
	for _, f := range c.entries(top, "offers", plainName, &c.declared.offers) {
		o, ok := c.object(f.value, offerShape)
		if !ok {
			continue
		}
		c.def.Offers = append(c.def.Offers, c.offerOf(f, o))
	}
}

func (c *checker) offerOf(f field, o object) campaign.Offer {
	offer := campaign.Offer{Name: f.name, Title: f.name, Grace: campaign.DefaultGrace}
	if v, ok := o.get("title"); ok {
		offer.Title, _ = c.words(v, maxTitle)
	}
	priced := false
	if v, ok := o.get("price"); ok {
		offer.Price, priced = c.money(v)
	} else {
		c.missing(o, f.key, fmt.Sprintf("offer %q", f.name), "price", "write `price: 9.90`, in the campaign's currency")
	}
	offer.ListPrice = offer.Price
	if v, ok := o.get("list_price"); ok {
		m, ok := c.money(v)
		if ok && priced && m.Minor < offer.Price.Minor {
			c.problem(v, "list-price", fmt.Sprintf("the list price %s is below the price %s", m, offer.Price),
				"list_price is what it costs outside the offer: at least the price")
		}
		if ok {
			offer.ListPrice = m
		}
	}
	if v, ok := o.get("lock"); ok {
		offer.Lock, ok = c.duration(v)
		c.badLocks[f.name] = !ok
	}
	if v, ok := o.get("team"); ok {
		offer.Team = c.offerTeam(v)
		// Who waits for a team waits until something ends: without a lock of its own the
		// offer is held as long as a team has.
		if _, locked := o.get("lock"); !locked {
			offer.Lock = offer.Team.Within
			c.badLocks[f.name] = offer.Lock == 0
		}
	}
	if v, ok := o.get("grace"); ok {
		offer.Grace, _ = c.duration(v)
		if _, locked := o.get("lock"); !locked && offer.Team == nil {
			c.problem(v, "grace-without-lock", fmt.Sprintf("offer %q has a grace but no lock", f.name),
				"grace is how long after the lock's end late orders are heard; add `lock: 48h`, or leave grace out")
		}
	}
	if v, ok := o.get("per_member"); ok {
		n, _ := c.count(v, maxCount)
		offer.PerMember = int(n)
	}
	if v, ok := o.get("stock"); ok {
		n, _ := c.count(v, maxCount)
		offer.Stock = int(n)
	}
	offer.OnRefund = c.onRefund(o, campaign.OnRefundKeep, campaign.OnRefundRestock)
	return offer
}

var rewardShape = shape{what: "a reward", keys: rewardKeys()}

// rewards reads what grant steps give.
func (c *checker) rewards(top object) {
	for _, f := range c.entries(top, "rewards", plainName, &c.declared.rewards) {
		o, ok := c.object(f.value, rewardShape)
		if !ok {
			continue
		}
		r := campaign.Reward{Name: f.name}
		c.gift(f, o, &r)
		if v, ok := o.get("budget"); ok {
			c.budget(v, &r)
		}
		if v, ok := o.get("per_member"); ok {
			r.PerMember, _ = c.times(v)
		}
		r.OnRefund = c.onRefund(o, campaign.OnRefundClawBack, campaign.OnRefundInFull, campaign.OnRefundKeep)
		if v, ok := o.get("expires"); ok {
			c.rewardExpires(v, &r)
		}
		c.def.Rewards = append(c.def.Rewards, r)
	}
}

// rewardExpires reads how long points are good. What is not points ends in a way of its own.
func (c *checker) rewardExpires(v node, r *campaign.Reward) {
	switch {
	case r.Coupon != nil:
		c.problem(v, "reward-kind", `"expires" here is of points`, "write it in the coupon itself, as in {codes: generated, expires: 30d}")
	case r.Benefit != nil:
		c.problem(v, "reward-kind", `"expires" here is of points`, "say how long the benefit lasts with for")
	default:
		r.Expires, _ = c.duration(v)
	}
}

var budgetShape = shape{what: "a budget", keys: []string{"total", "per_day", "per_member", "pause_at"}}

// budget reads a number, which is the points or pieces in all, or a mapping.
func (c *checker) budget(v node, r *campaign.Reward) {
	if v.isScalar() {
		r.Budget = c.points(v, r, "a budget of %d points", "budget is the points of all grants together")
		return
	}
	o, ok := c.object(v, budgetShape)
	if !ok {
		return
	}
	for _, part := range []struct {
		key       string
		into      *int64
		has, help string
	}{
		{"total", &r.Budget, "a budget of %d points", "total is the points of all grants together"},
		{"per_day", &r.BudgetPerDay, "a budget of %d points a day", "per_day is the points of all grants of one day together"},
		{"per_member", &r.BudgetPerMember, "a budget of %d points for each member", "per_member is the points of all grants to one member together"},
	} {
		if n, has := o.get(part.key); has {
			*part.into = c.points(n, r, part.has, part.help)
		}
	}
	if n, has := o.get("pause_at"); has {
		c.pauseAt(n, r)
	}
	if len(o.yaml.Content) == 0 {
		c.problem(v, "budget", "the budget limits nothing", "write a number, or one of total, per_day and per_member: {total: 100000, per_day: 5000}")
	}
}

// pauseAt reads how much of the total is kept back. Before it one grant at least is made.
func (c *checker) pauseAt(v node, r *campaign.Reward) {
	n, ok := c.count(v, maxPoints)
	switch worth := r.Gift().Worth(); {
	case !ok:
	case r.Budget == 0:
		c.problem(v, "budget", "pause_at is a part of total, and there is no total", "write total too: {total: 100000, pause_at: 10000}")
	case n > r.Budget-worth:
		c.problem(v, "budget", fmt.Sprintf("a budget of %d that pauses at %d does not do for one reward of %d", r.Budget, n, worth), "pause_at is what is kept back of total until somebody resumes the reward")
	default:
		r.PauseAt = n
	}
}

// points reads a part of a budget. It must do for one grant at least.
func (c *checker) points(v node, r *campaign.Reward, has, help string) int64 {
	n, ok := c.count(v, maxPoints)
	if worth := r.Gift().Worth(); ok && n < worth {
		c.problem(v, "budget", fmt.Sprintf(has+" is not enough for one reward of %d", n, worth), help)
	}
	return n
}
