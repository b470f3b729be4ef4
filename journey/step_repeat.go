package journey

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Rounds is how far a repeat has come.
type Rounds struct {
	Step  string    `json:"step"`
	Round int       `json:"round"` // from 1
	Began time.Time `json:"began"` // the round
}

// enterRepeat begins the first round, or comes from the end of one. The repeats that the
// journey is in are kept innermost last, and this one is that or is not among them yet.
func (r *runner) enterRepeat(n *node, s *campaign.Repeat) {
	at := slices.IndexFunc(r.s.Rounds, func(x Rounds) bool { return x.Step == n.id })
	if at < 0 {
		r.round(n, s, Rounds{Step: n.id, Round: 1, Began: r.s.Since})
		return
	}
	last := r.s.Rounds[at]
	r.s.Rounds = r.s.Rounds[:at]
	next := Rounds{Step: n.id, Round: last.Round + 1, Began: last.Began.Add(s.Every)}
	switch {
	case last.Round >= s.Times:
		r.trace(campaign.TraceRoundsOver, n.id, "reason", campaign.ReasonTimes)
		r.move(n.next)
	case !next.Began.After(r.s.Since):
		next.Began = r.s.Since
		r.round(n, s, next)
	case r.roundsOver(n):
	default:
		r.s.Rounds = append(r.s.Rounds, last)
		r.s.Deadline, r.s.Waiting = next.Began, true
		r.trace(campaign.TraceWaiting, "", "what", "round "+strconv.Itoa(next.Round), "until", r.p.local(r.s.Deadline))
	}
}

// nextRound begins the round that a repeat has waited for.
func (r *runner) nextRound(n *node, s *campaign.Repeat) {
	last := r.s.Rounds[len(r.s.Rounds)-1]
	r.s.Rounds = r.s.Rounds[:len(r.s.Rounds)-1]
	r.since(r.s.Deadline, 0)
	r.round(n, s, Rounds{Step: n.id, Round: last.Round + 1, Began: r.s.Since})
}

func (r *runner) round(n *node, s *campaign.Repeat, begin Rounds) {
	if r.roundsOver(n) {
		return
	}
	r.trace(campaign.TraceRound, n.id, "round", strconv.Itoa(begin.Round), "times", strconv.Itoa(s.Times))
	r.s.Rounds = append(r.s.Rounds, begin)
	r.move(n.blocks[campaign.RepeatBlock])
}

// roundsOver leaves a repeat whose until holds.
func (r *runner) roundsOver(n *node) bool {
	if n.when == nil || !r.holds("repeat "+n.id, n.when, r.s.Event) {
		return false
	}
	r.trace(campaign.TraceRoundsOver, n.id, "reason", campaign.ReasonUntil)
	r.move(n.next)
	return true
}

// leaveRepeats forgets the repeats that a jump leads out of. A jump to a repeat itself
// begins it anew.
func (r *runner) leaveRepeats(target string) {
	for i, x := range r.s.Rounds {
		if !x.around(target) {
			r.s.Rounds = r.s.Rounds[:i]
			return
		}
	}
}

// around reports whether a step stands inside the repeat.
func (x *Rounds) around(step string) bool {
	return strings.HasPrefix(step, x.Step+"."+campaign.RepeatBlock+".")
}
