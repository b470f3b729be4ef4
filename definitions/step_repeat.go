package definitions

import (
	"fmt"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

var (
	repeatShape     = shape{what: "a repeat step", keys: []string{"repeat"}}
	repeatBodyShape = shape{what: "a repeat", keys: []string{"times", "every", "until", "steps"}}
)

const (
	// maxRounds bounds a repeat: three rounds a day for a year are fewer.
	maxRounds = 1_000
	// maxAtOnce bounds the steps that the repeats of a journey run with no time between.
	maxAtOnce = 1_000
)

func (c *checker) repeat(s *stepForm) campaign.Step {
	const form = "write {times: 3, every: 7d, steps: […]}"
	step := &campaign.Repeat{StepCommon: s.common}
	if !s.value.isMapping() {
		c.wrongType(s.value, form)
		return nil
	}
	o, ok := c.object(s.value, repeatBodyShape)
	if !ok {
		return nil
	}
	if v, ok := o.get("times"); ok {
		times, _ := c.count(v, maxRounds)
		step.Times = int(times)
	} else {
		c.missing(o, s.self.key, "this repeat", "times", fmt.Sprintf("every loop ends: write how many rounds there are at most, 1 to %d", maxRounds))
	}
	if v, ok := o.get("every"); ok {
		step.Every, _ = c.duration(v)
	}
	if v, ok := o.get("until"); ok {
		step.Until = s.condition(c, v, rules.WantBool, s.journey.scope)
	}
	steps, ok := o.get("steps")
	switch {
	case !ok:
		c.missing(o, s.self.key, "this repeat", "steps", form)
	case steps.isNull() || steps.isSequence() && len(steps.yaml.Content) == 0:
		c.problem(steps, "no-steps", "this repeat has no steps", "write at least one step")
	default:
		var flow []*stepNode
		outer := s.journey.repeat
		s.journey.repeat = s.self
		step.Steps, flow = c.block(s.journey, steps, s.id+"."+campaign.RepeatBlock+".")
		s.journey.repeat = outer
		s.self.blocks = append(s.self.blocks, flow)
	}
	return step
}

// inside reports whether a step stands in a repeat, at whatever depth.
func (s *stepNode) inside(repeat *stepNode) bool {
	for r := s.repeat; r != nil; r = r.repeat {
		if r == repeat {
			return true
		}
	}
	return false
}

// intoRepeat reports a goto to a label inside a repeat that the goto is not in: nobody
// could say which round that is.
func (c *checker) intoRepeat(from *stepNode, name string) {
	for r := from.target.repeat; r != nil; r = r.repeat {
		if !from.inside(r) {
			c.problem(from.value, "goto-into-repeat",
				fmt.Sprintf("the label %q stands inside the repeat of line %d, and this goto does not", shorten(name), r.key.yaml.Line),
				"give the repeat itself a label and go there: it begins with its first round")
			return
		}
	}
}

// bursts reports the repeat by which a journey would run too many steps at once.
func (g *graph) bursts() {
	total := 0
	var count func(block []*stepNode, times int)
	count = func(block []*stepNode, times int) {
		for _, s := range block {
			if total > maxAtOnce {
				return
			}
			if times > 1 {
				total += times
			}
			inner := times
			if step, ok := s.step.(*campaign.Repeat); ok && g.roundsAtOnce(s, step) {
				inner = min(times*max(1, step.Times), maxAtOnce+1)
			}
			for _, b := range s.blocks {
				count(b, inner)
			}
			if total > maxAtOnce && inner > 1 && times == 1 {
				g.problem(s.key, "repeat-without-wait", fmt.Sprintf("with this the repeats of the journey would run more than %d steps at once", maxAtOnce),
					"give the repeat an `every: 1d`, or put a `wait` or an `await` on every path through its steps")
			}
		}
	}
	count(g.flow, 1)
}

// roundsAtOnce reports whether a round of a repeat may follow another with no time
// between: it has no `every`, and a path through its steps does not wait.
func (g *graph) roundsAtOnce(s *stepNode, step *campaign.Repeat) bool {
	if step.Every > 0 || len(s.blocks) == 0 || len(s.blocks[0]) == 0 {
		return false
	}
	t := tarjan{graph: g}
	behind, seen := g.behind[s.index], map[*stepNode]bool{}
	queue := []*stepNode{s.blocks[0][0]}
	for len(queue) > 0 {
		at := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if at == nil || seen[at] || !at.inside(s) || at.step == nil || g.waits(at.step) && !g.skips(at.step) {
			continue
		}
		seen[at] = true
		_, jumps := at.step.(*campaign.Goto)
		for _, next := range t.atOnce(at) {
			if next == behind && !jumps {
				return true
			}
			queue = append(queue, next)
		}
	}
	return false
}
