package campaign

import (
	"strconv"
	"time"
)

// RewardKind is the sort of what a reward gives.
type RewardKind string

// Kinds of reward.
const (
	RewardPoints  RewardKind = "points"
	RewardCoupon  RewardKind = "coupon"
	RewardBenefit RewardKind = "benefit"
	RewardSteps   RewardKind = "steps" // points that rise
)

// InPoints reports whether rewards of the kind give points.
func (k RewardKind) InPoints() bool { return k == RewardPoints || k == RewardSteps }

// Gift is what one grant of a reward gives. Each kind has its file, reward_X.go, and its
// line in gifts.
type Gift interface {
	Kind() RewardKind
	// Worth is what one grant takes of the reward's budget: points, or one piece.
	Worth() int64
	// Words say in a few words what is given.
	Words() string
}

// gifts find what a reward gives; the first that knows it.
var gifts = []func(*Reward) Gift{couponGift, benefitGift, ladderGift, pointsGift}

// Gift is what one grant of the reward gives.
func (r *Reward) Gift() Gift {
	for _, of := range gifts {
		if g := of(r); g != nil {
			return g
		}
	}
	return points(0) // pointsGift knows every reward
}

// Asset is what accounts of the ledger hold of a reward of a campaign: points are the
// same wherever they come from, pieces of every other kind are those of their reward.
func (r *Reward) Asset(campaign string) string {
	kind := r.Gift().Kind()
	if kind.InPoints() {
		return string(RewardPoints)
	}
	return string(kind) + ":" + campaign + "/" + r.Name
}

// points is what most rewards give.
type points int64

func pointsGift(r *Reward) Gift { return points(r.Points) }

// Kind implements Gift.
func (points) Kind() RewardKind { return RewardPoints }

// Worth implements Gift.
func (p points) Worth() int64 { return int64(p) }

// Words implements Gift.
func (p points) Words() string { return strconv.FormatInt(int64(p), 10) + " points" }

// Piece is one coupon or benefit that a member was given. Its code is a secret: whoever
// has it can redeem it, so it stands in messages and nowhere else.
type Piece struct {
	Code  string
	State CouponState
	From  time.Time // campaign time; since when
	Until time.Time // campaign time; zero: for ever
	// Extended says of a benefit that it went on from one that the member had.
	Extended bool
}

// String hides the code, should somebody print a piece.
func (p Piece) String() string { return MaskCode(p.Code) }

// GoString hides the code.
func (p Piece) GoString() string { return p.String() }

// shownOfCode is how much of a code's end may be shown.
const shownOfCode = 4

// MaskCode shows the end of a code, by which people who have it know it again, and
// nothing of one that is too short for that.
func MaskCode(code string) string {
	letters := []rune(code)
	if len(letters) < 2*shownOfCode {
		return "…"
	}
	return "…" + string(letters[len(letters)-shownOfCode:])
}
