package definitions

import (
	"fmt"
	"slices"

	"github.com/banyanhq/banyan/campaign"
)

// graph is which step of a journey may come after which. A nil successor is the
// journey's end.
type graph struct {
	*checker
	*journey
	next      [][]*stepNode
	behind    []*stepNode // what stands behind a step in its block, or behind that
	reachable []bool
	unsure    bool // a goto leads nobody knows where
}

// flows checks how the steps of each journey follow each other.
func (c *checker) flows() {
	for _, j := range c.journeys {
		if len(j.flow) == 0 {
			continue
		}
		g := &graph{checker: c, journey: j, next: make([][]*stepNode, len(j.all)), behind: make([]*stepNode, len(j.all))}
		g.connect(j.flow, nil)
		g.reachable = g.reach(func(*stepNode) bool { return true })
		g.unreached(j.flow)
		if !g.loops() {
			g.endless()
		}
		g.bursts()
		g.offerLess()
		g.doubts(j.flow)
		c.takenNever(j)
	}
}

// connect fills in what follows each step of a block; after follows its last.
func (g *graph) connect(block []*stepNode, after *stepNode) {
	for i, s := range block {
		next := after
		if i+1 < len(block) {
			next = block[i+1]
		}
		for _, inner := range s.blocks {
			g.connect(inner, next)
		}
		g.behind[s.index] = next
		g.next[s.index] = g.following(s, next)
	}
}

// following gives what may come after a step, when next is what stands behind it.
func (g *graph) following(s, next *stepNode) []*stepNode {
	var out []*stepNode
	for _, inner := range s.blocks {
		if len(inner) > 0 {
			out = append(out, inner[0])
		} else {
			out = append(out, next)
		}
	}
	switch step := s.step.(type) {
	case *campaign.End:
		return nil
	case *campaign.Goto:
		if s.target == nil {
			g.unsure = true
			return nil
		}
		return []*stepNode{s.target}
	case *campaign.OpenReview, *campaign.FormTeam:
		return out // decided, or ended, either way
	case *campaign.Choose:
		return out // the last block is what happens otherwise
	case *campaign.Split:
		if len(out) > 0 {
			return out
		}
	case *campaign.Repeat: // for the checks it has one round, or none where `until` may hold already
		if len(out) > 0 && step.Until == "" {
			return out
		}
	case *campaign.MakeOffer:
		if g.waits(step) && !g.skips(step) {
			return out
		}
		// Without a lock it goes on at once; so it does where per_member is used up.
		return append(out, next)
	case *campaign.Await, *campaign.AskQuestion, *campaign.CallService:
		return append(out, next) // the event, or the answer, came
	case *campaign.Send, *campaign.Wait, *campaign.Tag, *campaign.Untag, *campaign.Set, *campaign.Grant, *campaign.FollowReferral, nil:
	}
	return append(out, next)
}

// waits reports whether time passes in a step. An offer that is not known is taken for
// one with a lock, so that one slip is one problem.
func (g *graph) waits(s campaign.Step) bool {
	switch s := s.(type) {
	case *campaign.Await, *campaign.AskQuestion, *campaign.OpenReview, *campaign.FormTeam, *campaign.FollowReferral:
		return true
	case *campaign.Wait:
		return g.waitsAlways(s)
	case *campaign.MakeOffer:
		offer, ok := g.def().Offer(s.Offer)
		return !ok || offer.Lock > 0 || g.badLocks[s.Offer]
	case *campaign.Send, *campaign.Choose, *campaign.Split, *campaign.Repeat, *campaign.Tag, *campaign.Untag, *campaign.Set,
		*campaign.Grant, *campaign.Goto, *campaign.End, *campaign.CallService: // a service may answer at once
		return false
	}
	return true // it could not be read
}

// waitsAlways reports whether time passes in a wait whenever it begins. A date, or a
// moment that an expression gives, may be past.
func (*graph) waitsAlways(s *campaign.Wait) bool {
	until, err := campaign.ParseCalendar(s.Until)
	return s.At == "" && (err != nil || until.Recurs())
}

// skips reports whether a journey may pass by a step that waits: an offer that a member
// has taken as often as she may is not opened again.
func (g *graph) skips(s campaign.Step) bool {
	step, ok := s.(*campaign.MakeOffer)
	if !ok {
		return false
	}
	offer, ok := g.def().Offer(step.Offer)
	return ok && offer.PerMember > 0
}

func (g *graph) def() *campaign.Definition { return g.checker.def }

// reach finds the steps that can be reached from the first through steps for which
// through holds.
func (g *graph) reach(through func(*stepNode) bool) []bool {
	return g.reachBy(func(s *stepNode) []*stepNode {
		if through(s) {
			return g.next[s.index]
		}
		return nil
	})
}

// reachBy finds the steps that can be reached from the first, where follow says which come
// after one.
func (g *graph) reachBy(follow func(*stepNode) []*stepNode) []bool {
	seen := make([]bool, len(g.all))
	queue := []*stepNode{g.flow[0]}
	if g.unsure {
		for _, s := range g.all {
			if s.label != "" {
				queue = append(queue, s)
			}
		}
	}
	for len(queue) > 0 {
		s := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if s == nil || seen[s.index] {
			continue
		}
		seen[s.index] = true
		queue = append(queue, follow(s)...)
	}
	return seen
}

// unreached reports the first of each run of steps that nothing leads to.
func (g *graph) unreached(block []*stepNode) {
	told := false
	for i, s := range block {
		if g.reachable[s.index] {
			told = false
			for _, inner := range s.blocks {
				g.unreached(inner)
			}
			continue
		}
		if told {
			continue
		}
		told = true
		why := "every path before it ends or jumps away"
		if i > 0 {
			switch block[i-1].step.(type) {
			case *campaign.End:
				why = fmt.Sprintf("the step before it, in line %d, ends the journey", block[i-1].key.yaml.Line)
			case *campaign.Goto:
				why = fmt.Sprintf("the step before it, in line %d, jumps away", block[i-1].key.yaml.Line)
			case *campaign.Send, *campaign.Wait, *campaign.Await, *campaign.MakeOffer, *campaign.AskQuestion, *campaign.OpenReview, *campaign.FormTeam, *campaign.CallService, *campaign.Choose,
				*campaign.Split, *campaign.Repeat, *campaign.Tag, *campaign.Untag, *campaign.Set, *campaign.Grant, *campaign.FollowReferral, nil: // their branches end or jump away
			}
		}
		g.problem(s.key, "unreachable-step", "this step is never reached: "+why, "remove it, or give it a `label:` that a `goto` names")
	}
}

// endless reports a journey that can get to where no path ends, unless its goal or its
// exit takes members out.
func (g *graph) endless() {
	if g.unsure || g.journey.def.Exit != nil || g.journey.def.Goal != nil && g.journey.def.OnGoal == campaign.GoalEnds {
		return
	}
	before := make([][]*stepNode, len(g.all))
	var queue []*stepNode
	for _, s := range g.all {
		if len(g.next[s.index]) == 0 {
			queue = append(queue, s)
		}
		for _, n := range g.next[s.index] {
			if n == nil {
				queue = append(queue, s)
				continue
			}
			before[n.index] = append(before[n.index], s)
		}
	}
	ends := make([]bool, len(g.all))
	for len(queue) > 0 {
		s := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if ends[s.index] {
			continue
		}
		ends[s.index] = true
		queue = append(queue, before[s.index]...)
	}
	for _, s := range g.gotos {
		if g.reachable[s.index] && !ends[s.index] {
			g.problem(s.key, "endless-loop", "no path of this loop ends",
				"let a path leave it, with `choose` and `end`, or give the journey an `exit:` or a `goal:` that ends it")
			return
		}
	}
}

// offerLess reports what reads an offer, or a team, where a member may be without one.
func (g *graph) offerLess() {
	g.without("offer", g.offerTexts, func(s campaign.Step) bool {
		_, opens := s.(*campaign.MakeOffer)
		return opens
	}, g.anyway, func(n node, what string) {
		g.problem(n, "offer-not-open", what+" reads `offer`, and no offer may be open here",
			"only announce and remind, the branches of an offer step and what comes after it on every path may read `offer`")
	})
	g.without("team", g.teamTexts, func(s campaign.Step) bool {
		_, opens := s.(*campaign.FormTeam)
		return opens
	}, g.teamLess, func(n node, what string) {
		g.problem(n, "team-not-open", what+" reads `team`, and the member may have come into no team here",
			"only announce and remind of a team, the branches `formed`, `failed` and `taken`, and what comes after them on every path may read `team`")
	})
}

func (g *graph) anyway(s *stepNode) []*stepNode { return g.next[s.index] }

// teamLess gives the steps to which a member may come behind a step without having come into
// a team. Of an offer that is bought together those are what happens when she does not order.
func (g *graph) teamLess(s *stepNode) []*stepNode {
	offer, ok := s.step.(*campaign.MakeOffer)
	if !ok || offer.Team == nil || len(s.blocks) < 2 {
		return g.next[s.index]
	}
	lapsed := s.blocks[1] // as campaign.Children gives them
	if len(lapsed) > 0 && !g.skips(offer) {
		return lapsed[:1]
	}
	return append(slices.Clone(lapsed[:min(1, len(lapsed))]), g.behind[s.index])
}

// without tells of what reads a variable where a member may have come to none of the steps
// that it is about. texts are the messages that read it; less gives the steps that come
// after one, for who is without it then.
func (g *graph) without(variable string, texts map[string]bool, opens func(campaign.Step) bool, less func(*stepNode) []*stepNode, tell func(at node, what string)) {
	if g.unsure {
		return
	}
	without := g.reachBy(func(s *stepNode) []*stepNode {
		if opens(s.step) {
			return nil
		}
		return less(s)
	})
	for _, s := range g.all {
		if !without[s.index] {
			continue
		}
		for _, use := range s.offers {
			switch {
			case use.reads == variable: // also to come to such a step
				tell(use.node, "this expression")
			case texts[use.message] && !opens(s.step):
				tell(use.node, fmt.Sprintf("message %q", use.message))
			}
		}
	}
}

// takenNever warns of the commonest slip: the order that takes the offer is the goal,
// and the goal ends the journey before the taken branch runs.
func (c *checker) takenNever(j *journey) {
	if j.def.Goal == nil || j.def.Goal.Event != campaign.EventOrderPaid || j.def.OnGoal != campaign.GoalEnds {
		return
	}
	for _, s := range j.all {
		if offer, ok := s.step.(*campaign.MakeOffer); ok && len(offer.Taken) > 0 {
			c.warn(s.key, "taken-never-runs", "`taken` may never run: the order that takes the offer is the journey's goal, and the goal ends the journey",
				"write `on_goal: continue` beside `goal` when the steps behind the order matter")
		}
	}
}
