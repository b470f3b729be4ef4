package definitions

import (
	"fmt"
	"slices"

	"github.com/banyanhq/banyan/campaign"
)

// loops reports each goto that closes a loop in which no time passes: a journey would
// turn in it for ever at once. Waiting steps are taken out of the graph; what then
// still goes in a circle does not wait.
func (g *graph) loops() (found bool) {
	t := tarjan{graph: g, number: make([]int, len(g.all)), low: make([]int, len(g.all)), circle: make([]int, len(g.all))}
	for _, s := range g.all {
		if t.number[s.index] == 0 && t.counts(s) {
			t.visit(s)
		}
	}
	for _, s := range g.gotos {
		if s.target == nil || !t.counts(s) || !t.counts(s.target) || t.circle[s.index] != t.circle[s.target.index] {
			continue
		}
		found = true
		hint := fmt.Sprintf("put a `wait`, an `await` or an `offer` with a lock on every path between line %d and here", s.target.key.yaml.Line)
		if slices.ContainsFunc(g.all, func(o *stepNode) bool { return t.circle[o.index] == t.circle[s.index] && g.skips(o.step) }) {
			hint += "; an offer with `per_member` is skipped once a member has had it"
		}
		if slices.ContainsFunc(g.all, func(o *stepNode) bool {
			wait, ok := o.step.(*campaign.Wait)
			return ok && t.circle[o.index] == t.circle[s.index] && !g.waitsAlways(wait)
		}) {
			hint += "; a `wait` until a date, or until what an expression gives, does not wait when that is past"
		}
		g.problem(s.value, "loop-without-wait", "this goes back without a wait, so it would turn for ever at once", hint)
	}
	return found
}

// tarjan finds the strongly connected parts of the graph of steps that do not wait.
type tarjan struct {
	*graph
	count  int
	number []int // in the order of visits, from 1
	low    []int
	circle []int // the number of the part that a step belongs to, once it is known
	stack  []*stepNode
}

func (t *tarjan) counts(s *stepNode) bool {
	return s.step != nil && t.reachable[s.index] && (!t.waits(s.step) || t.skips(s.step))
}

// atOnce gives what may follow a step with no time between: behind an offer with a lock
// only what follows when it is skipped.
func (t *tarjan) atOnce(s *stepNode) []*stepNode {
	if t.waits(s.step) {
		return t.behind[s.index : s.index+1]
	}
	return t.next[s.index]
}

func (t *tarjan) visit(s *stepNode) {
	t.count++
	t.number[s.index], t.low[s.index] = t.count, t.count
	t.stack = append(t.stack, s)
	for _, n := range t.atOnce(s) {
		switch {
		case n == nil || !t.counts(n):
		case t.number[n.index] == 0:
			t.visit(n)
			t.low[s.index] = min(t.low[s.index], t.low[n.index])
		case t.circle[n.index] == 0:
			t.low[s.index] = min(t.low[s.index], t.number[n.index])
		}
	}
	if t.low[s.index] != t.number[s.index] {
		return
	}
	for {
		last := t.stack[len(t.stack)-1]
		t.stack = t.stack[:len(t.stack)-1]
		t.circle[last.index] = t.number[s.index]
		if last == s {
			return
		}
	}
}
