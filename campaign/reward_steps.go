package campaign

import "strconv"

// Ladder is a reward of points in steps: whoever reaches a higher one is paid what that step
// gives more than the steps before it.
type Ladder struct {
	// Count or Amount is what the steps are measured by: a CEL int, or a CEL money; neither:
	// how often the reward was asked for.
	Count  string       `json:"count,omitempty"`
	Amount string       `json:"amount,omitempty"`
	Steps  []RewardStep `json:"steps"` // rising
}

// RewardStep is one step of a ladder.
type RewardStep struct {
	At     int64 `json:"at"`     // from which number, or minor units, on
	Points int64 `json:"points"` // in all, with those of the steps before
}

// By is the expression that the steps are measured by; empty: there is none.
func (l *Ladder) By() string {
	if l.Amount != "" {
		return l.Amount
	}
	return l.Count
}

// Reached is the highest step that a value reaches; ok is false where it reaches none.
func (l *Ladder) Reached(value int64) (step RewardStep, ok bool) {
	for _, s := range l.Steps {
		if value >= s.At {
			step, ok = s, true
		}
	}
	return step, ok
}

func ladderGift(r *Reward) Gift {
	if r.Ladder == nil {
		return nil
	}
	return r.Ladder
}

// Kind implements Gift.
func (*Ladder) Kind() RewardKind { return RewardSteps }

// Worth implements Gift: what the first step pays. What a grant takes is only known when
// it is granted.
func (l *Ladder) Worth() int64 {
	if len(l.Steps) == 0 {
		return 1
	}
	return l.Steps[0].Points
}

// Words implements Gift.
func (l *Ladder) Words() string {
	if len(l.Steps) == 0 {
		return "points in steps"
	}
	return "up to " + strconv.FormatInt(l.Steps[len(l.Steps)-1].Points, 10) + " points in steps"
}
