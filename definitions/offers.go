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
	keys:  []string{"title", "price", "list_price", "lock", "grace", "per_member", "stock"},
	later: []string{"team"},
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
	if v, ok := o.get("grace"); ok {
		offer.Grace, _ = c.duration(v)
		if _, locked := o.get("lock"); !locked {
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
	return offer
}

var rewardShape = shape{
	what: "a reward",
	keys: []string{"points", "budget", "per_member"},
}

// rewards reads what grant steps give.
func (c *checker) rewards(top object) {
	for _, f := range c.entries(top, "rewards", plainName, &c.declared.rewards) {
		o, ok := c.object(f.value, rewardShape)
		if !ok {
			continue
		}
		r := campaign.Reward{Name: f.name}
		if v, ok := o.get("points"); ok {
			r.Points, _ = c.count(v, maxPoints)
		} else {
			c.missing(o, f.key, fmt.Sprintf("reward %q", f.name), "points", "write `points: 100`")
		}
		if v, ok := o.get("budget"); ok {
			r.Budget, ok = c.count(v, maxPoints)
			if ok && r.Budget < r.Points {
				c.problem(v, "budget", fmt.Sprintf("a budget of %d points is not enough for one reward of %d", r.Budget, r.Points),
					"budget is the points of all grants together")
			}
		}
		if v, ok := o.get("per_member"); ok {
			r.PerMember, _ = c.times(v)
		}
		c.def.Rewards = append(c.def.Rewards, r)
	}
}
