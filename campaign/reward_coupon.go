package campaign

import (
	"fmt"
	"time"
)

// CodeSource says where the codes of a coupon come from.
type CodeSource string

// Sources of codes.
const (
	CodesGenerated CodeSource = "generated" // made when it is granted
	CodesPool      CodeSource = "pool"      // imported before
)

// Coupon is a reward by which the member pays less or gets something: a code that she
// shows.
type Coupon struct {
	Codes   CodeSource    `json:"codes"`
	Length  int           `json:"length,omitempty"`  // of a generated code, in characters
	Value   Money         `json:"value,omitzero"`    // what it is worth, for messages and shops; zero: not told
	Expires time.Duration `json:"expires,omitempty"` // after it was granted; zero: never
	Returns bool          `json:"returns,omitempty"` // of a pool: an expired code is given to somebody else
	// Holds is how many a member may have at a time that are neither used nor expired; 0: one.
	Holds int `json:"holds,omitempty"`
	// LowWater is how many codes are left when a pool is said to run low; 0: a tenth of it.
	LowWater int64 `json:"low_water,omitempty"`
}

// Bounds of the length of a generated code, its check character included.
const (
	MinCodeLength     = 12
	DefaultCodeLength = 16
	MaxCodeLength     = 22
)

// CouponGrace is how long after its end a coupon is kept for orders that used it in time
// and arrive late. Only then it counts as expired.
const CouponGrace = 10 * time.Minute

// CouponState is the life of a coupon: granted, then one of the others for good.
type CouponState string

// States of a coupon.
const (
	CouponGranted  CouponState = "granted"
	CouponRedeemed CouponState = "redeemed"
	CouponExpired  CouponState = "expired"
	CouponVoided   CouponState = "voided" // what it was granted for was taken back
)

func couponGift(r *Reward) Gift {
	if r.Coupon == nil {
		return nil
	}
	return r.Coupon
}

// Kind implements Gift.
func (*Coupon) Kind() RewardKind { return RewardCoupon }

// Worth implements Gift.
func (*Coupon) Worth() int64 { return 1 }

// Words implements Gift.
func (c *Coupon) Words() string {
	words := "a coupon"
	if !c.Value.IsZero() {
		words += " of " + c.Value.String()
	}
	if c.Expires > 0 {
		words += fmt.Sprintf(" for %s", FormatDuration(c.Expires))
	}
	return words
}

// Most is how many a member may have at a time.
func (c *Coupon) Most() int { return max(1, c.Holds) }

// Ends is when one that is granted now ends; zero: never.
func (c *Coupon) Ends(now time.Time) time.Time {
	if c.Expires == 0 {
		return time.Time{}
	}
	return now.Add(c.Expires)
}
