package definitions

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// test is a condition with what package rules made of it; nil while it is not compiled,
// and for ever where it is wrong.
type test struct {
	node
	expr *rules.Expr
}

// constant warns of a condition that has the same answer for ever.
func (c *checker) constant(n node, x reads) {
	e, ok := x.(*rules.Expr)
	if !ok {
		return
	}
	answer, certain := e.Always()
	switch {
	case !certain:
	case answer:
		c.warn(n, "constant-condition", "this condition always holds", "leave `when` out, or ask something of the member or the event")
	default:
		c.warn(n, "constant-condition", "this condition never holds", "ask something of the member or the event")
	}
}

// casesNever warns of cases, and of an `otherwise`, that cannot happen because a case
// before them always does.
func (c *checker) casesNever(s *stepNode) {
	step, ok := s.step.(*campaign.Choose)
	if !ok || len(s.tests) != len(step.Cases) || slices.ContainsFunc(s.tests, func(t *test) bool { return t.expr == nil }) {
		return
	}
	const hint = "remove it, or change the condition before it"
	closed := "" // why nothing comes behind, once that is so
	for i, t := range s.tests {
		answer, certain := t.expr.Always()
		same := slices.IndexFunc(s.tests[:i], func(o *test) bool { return o.expr.Same(t.expr) })
		other := slices.IndexFunc(s.tests[:i], func(o *test) bool { return o.expr.Opposite(t.expr) })
		switch {
		case closed != "":
			c.warn(t.node, "case-never", "this case never runs: "+closed, hint)
		case same >= 0:
			c.warn(t.node, "case-never", fmt.Sprintf("this case never runs: the one in line %d has the same condition", s.tests[same].yaml.Line), hint)
		case certain && !answer:
			c.warn(t.node, "case-never", "this case never runs: its condition never holds", "remove it, or change its condition")
		case certain:
			closed = fmt.Sprintf("the condition in line %d always holds", t.yaml.Line)
		case other >= 0:
			closed = fmt.Sprintf("of the conditions in lines %d and %d one always holds", s.tests[other].yaml.Line, t.yaml.Line)
		}
	}
	if closed != "" && len(step.Otherwise) > 0 {
		at := s.key
		if s.otherwise != nil {
			at = *s.otherwise
		}
		c.warn(at, "otherwise-never", "`otherwise` never runs: "+closed, "remove it, or change a condition")
	}
}

// roundsNever warns of a repeat whose `until` has the same answer for ever.
func (c *checker) roundsNever(s *stepNode) {
	step, ok := s.step.(*campaign.Repeat)
	if !ok || step.Until == "" || len(s.tests) == 0 || s.tests[0].expr == nil {
		return
	}
	answer, certain := s.tests[0].expr.Always()
	switch {
	case !certain:
	case answer:
		c.warn(s.tests[0].node, "constant-condition", "this repeat has no round: `until` always holds", "remove the repeat, or ask something of the member")
	default:
		c.warn(s.tests[0].node, "constant-condition", "this condition never holds", "leave `until` out, or ask something of the member")
	}
}

// awaitNever warns of an await, or a question, whose event takes the member out of the
// journey before the steps behind it run.
func (c *checker) awaitNever(j *journey, s *stepNode) {
	var events []string
	hint := "give the goal or the exit a `when:`, or write `on_goal: continue`"
	if step, ok := s.step.(*campaign.Await); ok {
		events, hint = step.Events, "give the goal or the exit a `when:`, write `on_goal: continue`, or write `wait` for the time alone"
	}
	if _, ok := s.step.(*campaign.AskQuestion); ok {
		events = []string{campaign.EventReply}
	}
	if len(events) == 0 {
		return
	}
	leaves := func(event string) string {
		if t := j.def.Exit; t != nil && t.Event == event && t.When == "" {
			return "exit"
		}
		if t := j.def.Goal; t != nil && t.Event == event && t.When == "" && j.def.OnGoal == campaign.GoalEnds {
			return "goal"
		}
		return ""
	}
	for _, event := range events {
		if leaves(event) == "" {
			return
		}
	}
	c.warn(s.key, "await-never",
		fmt.Sprintf("nothing goes on from here when %q comes: it is the journey's %s, which takes the member out", events[0], leaves(events[0])), hint)
}

// planned is a message that an offer step sends at a known time after its opening.
type planned struct {
	at   time.Duration
	send string
	node *node // nil for those that are not reminders
}

// capped warns of reminders that the cap on messages keeps from ever being sent: because
// of what the same step, and the steps just before it, have sent. It counts as the engine
// does. before are the steps in front of the offer in its block.
func (c *checker) capped(s *stepNode, before []*stepNode, passes func(*stepNode) bool) {
	step, ok := s.step.(*campaign.MakeOffer)
	limit := c.def.Limits.MessagesPerMember
	if !ok || limit == nil || limit.Times == 0 || len(s.reminders) != len(step.Remind) {
		return
	}
	offer, ok := c.def.Offer(step.Offer)
	if !ok || offer.Lock == 0 {
		return
	}
	var sent []time.Duration // marketing messages, from the opening of the offer on
	for i := len(before) - 1; i >= 0 && !passes(before[i]); i-- {
		if send, ok := before[i].step.(*campaign.Send); ok && c.marketing(send.Message) && len(sent) < limit.Times {
			sent = append(sent, 0)
		}
	}
	var plan []planned
	if step.Announce != "" {
		plan = append(plan, planned{at: 0, send: step.Announce})
	}
	for i, r := range step.Remind {
		if r.Before < offer.Lock {
			plan = append(plan, planned{at: offer.Lock - r.Before, send: r.Send, node: &s.reminders[i]})
		}
	}
	for len(plan) > 0 {
		slices.SortStableFunc(plan, func(a, b planned) int { return cmp.Compare(a.at, b.at) })
		p := plan[0]
		plan = plan[1:]
		if !c.marketing(p.send) {
			continue
		}
		free := p.at
		if len(sent) >= limit.Times {
			free = max(free, sent[len(sent)-limit.Times]+limit.Every)
		}
		m, _ := c.def.Message(p.send)
		full := len(sent) >= limit.Times && (limit.Every == 0 || free > p.at)
		switch {
		case !full:
			sent = append(sent, p.at)
		case limit.Every > 0 && m.WhenCapped != campaign.CappedDrop && free < offer.Lock:
			p.at = free
			plan = append(plan, p)
		case p.node != nil:
			c.warn(*p.node, "reminder-capped",
				fmt.Sprintf("this reminder is never sent: %s up the cap of %s", messagesBefore(len(sent)), times(limit)),
				"write `kind: service` at the message, remind at another time, or raise `messages_per_member`")
		}
	}
}

func messagesBefore(n int) string {
	if n == 1 {
		return "the message before it uses"
	}
	return fmt.Sprintf("the %d messages before it use", n)
}

func times(t *campaign.Times) string {
	if t.Every == 0 {
		return fmt.Sprintf("%d for each member", t.Times)
	}
	return fmt.Sprintf("%d in %s", t.Times, campaign.FormatDuration(t.Every))
}

func (c *checker) marketing(message string) bool {
	m, ok := c.def.Message(message)
	return ok && m.Kind != campaign.KindService
}

// passes reports whether time may pass in a step, or in the steps inside it.
func (g *graph) passes(s *stepNode) bool {
	if repeat, ok := s.step.(*campaign.Repeat); ok && repeat.Every > 0 {
		return true
	}
	return g.waits(s.step) || slices.ContainsFunc(s.blocks, func(block []*stepNode) bool { return slices.ContainsFunc(block, g.passes) })
}

// doubts warns of what a journey says and what cannot happen.
func (g *graph) doubts(block []*stepNode) {
	for i, s := range block {
		g.casesNever(s)
		if _, ok := s.step.(*campaign.Await); ok {
			for _, t := range s.tests {
				if t.expr != nil {
					g.constant(t.node, t.expr)
				}
			}
		}
		g.roundsNever(s)
		g.awaitNever(g.journey, s)
		g.capped(s, block[:i], g.passes)
		for _, inner := range s.blocks {
			g.doubts(inner)
		}
	}
}
