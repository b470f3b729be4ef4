package definitions

import (
	"fmt"

	"github.com/banyanhq/banyan/campaign"
)

// maxHolds is how many coupons of a reward a member may have at a time.
const maxHolds = 1_000

// What becomes of an expired code of a pool.
const (
	expiredReturn = "return"
	expiredKeep   = "keep"
)

var couponForm = rewardForm{key: "coupon", read: (*checker).coupon}

var couponShape = shape{what: "a coupon", keys: []string{"codes", "length", "value", "expires", "when_expired", "holds", "low_water"}}

// coupon reads where the codes come from, or a mapping with it.
func (c *checker) coupon(f field, o object, r *campaign.Reward) {
	v, _ := o.get("coupon")
	w := &campaign.Coupon{Codes: campaign.CodesGenerated}
	r.Coupon = w
	if v.isScalar() {
		w.Codes, _ = oneOf(c, v, campaign.CodesGenerated, campaign.CodesPool)
		complete(w)
		return
	}
	m, ok := c.object(v, couponShape)
	if !ok {
		return
	}
	if codes, has := m.get("codes"); has {
		w.Codes, _ = oneOf(c, codes, campaign.CodesGenerated, campaign.CodesPool)
	} else {
		c.missing(m, f.key, fmt.Sprintf("the coupon of reward %q", f.name), "codes", "write `codes: generated`, or `codes: pool` where they are imported")
	}
	if n, has := m.get("length"); has && c.ofCodes(n, "length", w, campaign.CodesGenerated) {
		length, ok := c.count(n, campaign.MaxCodeLength)
		if w.Length = int(length); ok && w.Length < campaign.MinCodeLength {
			c.problem(n, "coupon", fmt.Sprintf("a code of %d characters can be guessed", w.Length),
				fmt.Sprintf("write %d to %d", campaign.MinCodeLength, campaign.MaxCodeLength))
		}
	}
	if n, has := m.get("value"); has {
		w.Value, _ = c.money(n)
	}
	if n, has := m.get("expires"); has {
		w.Expires, _ = c.duration(n)
	}
	if n, has := m.get("when_expired"); has && c.ofCodes(n, "when_expired", w, campaign.CodesPool) {
		do, ok := oneOf(c, n, expiredKeep, expiredReturn)
		w.Returns = do == expiredReturn
		if _, ends := m.get("expires"); ok && !ends {
			c.problem(n, "coupon", "when_expired stands beside no expires, so no code ever expires", "add `expires: 30d`, or leave when_expired out")
		}
	}
	if n, has := m.get("holds"); has {
		holds, _ := c.count(n, maxHolds)
		w.Holds = int(holds)
	}
	if n, has := m.get("low_water"); has && c.ofCodes(n, "low_water", w, campaign.CodesPool) {
		w.LowWater, _ = c.count(n, maxPoints)
	}
	complete(w)
}

// complete fills in what is not told.
func complete(w *campaign.Coupon) {
	if w.Codes == campaign.CodesGenerated && w.Length == 0 {
		w.Length = campaign.DefaultCodeLength
	}
}

// ofCodes reports a key that says nothing where the codes come from elsewhere.
func (c *checker) ofCodes(n node, key string, w *campaign.Coupon, source campaign.CodeSource) bool {
	if w.Codes != source && w.Codes != "" {
		c.problem(n, "coupon", fmt.Sprintf("%s is for codes that come from %s", key, sourceWord(source)),
			fmt.Sprintf("these are from %s; leave it out", sourceWord(w.Codes)))
		return false
	}
	return true
}

func sourceWord(s campaign.CodeSource) string {
	if s == campaign.CodesPool {
		return "a pool"
	}
	return "a generator"
}
