package campaign

import (
	"slices"
	"time"
)

// BenefitGrant is a reward that entitles the member to something for a while.
type BenefitGrant struct {
	Benefit string        `json:"benefit"`
	For     time.Duration `json:"for,omitempty"` // zero: for ever
}

func benefitGift(r *Reward) Gift {
	if r.Benefit == nil {
		return nil
	}
	return r.Benefit
}

// Kind implements Gift.
func (*BenefitGrant) Kind() RewardKind { return RewardBenefit }

// Worth implements Gift.
func (*BenefitGrant) Worth() int64 { return 1 }

// Words implements Gift.
func (b *BenefitGrant) Words() string {
	if b.For == 0 {
		return "benefit " + b.Benefit
	}
	return "benefit " + b.Benefit + " for " + FormatDuration(b.For)
}

// Benefit is what a member is entitled to, and until when.
type Benefit struct {
	Name  string    `json:"name"`
	Until time.Time `json:"until,omitzero"` // campaign time; zero: for ever
}

// LastsAt reports whether the benefit lasts at a moment. At its end it does no more.
func (b *Benefit) LastsAt(t time.Time) bool { return b.Until.IsZero() || t.Before(b.Until) }

// Grant gives a benefit from a moment on: one that lasts then goes on for as long as the
// new one does.
func (b *BenefitGrant) Grant(has []Benefit, now time.Time) (after []Benefit, piece Piece) {
	after = slices.Clone(has)
	piece = Piece{State: CouponGranted, From: now}
	i := slices.IndexFunc(after, func(o Benefit) bool { return o.Name == b.Benefit })
	if i < 0 {
		i = len(after)
		after = append(after, Benefit{Name: b.Benefit, Until: now})
	}
	of := &after[i]
	if piece.Extended = of.LastsAt(now); piece.Extended && !of.Until.IsZero() {
		piece.From = of.Until
	}
	if of.Until.IsZero() && piece.Extended {
		return after, piece // nothing is longer than for ever
	}
	piece.Until = time.Time{}
	if b.For > 0 {
		piece.Until = piece.From.Add(b.For)
	}
	of.Until = piece.Until
	return after, piece
}
