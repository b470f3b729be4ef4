package definitions

import (
	"fmt"

	"github.com/banyanhq/banyan/campaign"
)

// Decider is how people decide the reviews that they are asked about. Approve and Reject
// are chances in millionths; in the remaining cases nobody decides in time.
type Decider struct {
	By              string // the role that is asked; empty: whichever is
	Journey, Step   string // the review step, by its id; empty: whichever it is
	Approve, Reject int
	After           Span
	Hours           *Hours // nil: those of the population
}

// Decides reports whether it is about a review step at which a role is asked.
func (d *Decider) Decides(role, journey, step string) bool {
	return (d.By == "" || d.By == role) && (d.Step == "" || d.Journey == journey && d.Step == step)
}

var deciderShape = shape{what: "a decider", keys: []string{"by", "step", "approve", "reject", "after", "hours"}}

func (c *checker) deciders(n node, p *Population) {
	if !n.isSequence() {
		c.wrongType(n, "write a list such as - {by: coach, approve: 70%, reject: 20%, after: 1h-2d}")
		return
	}
	for _, item := range c.items(n) {
		if o, ok := c.object(item, deciderShape); ok {
			p.Reviews = append(p.Reviews, c.decider(o))
		}
	}
}

func (c *checker) decider(o object) (d Decider) {
	if v, ok := o.get("by"); ok {
		d.By, _ = c.refer(v, "role", &c.declared.roles)
	}
	if v, ok := o.get("step"); ok {
		d.Journey, d.Step = c.reviewStep(v)
	}
	approve, approves := o.get("approve")
	if approves {
		d.Approve, _ = c.portion(approve)
	}
	reject, rejects := o.get("reject")
	if rejects {
		d.Reject, _ = c.portion(reject)
	}
	switch {
	case !approves && !rejects:
		c.missing(o, o.node, "the decider", "approve", "write approve: 70%, reject: 20%; in the remaining cases nobody decides in time")
	case d.Approve+d.Reject > Million:
		c.problem(reject, "bad-share", "the shares come to more than 100%", "together they are 100% at most; in the remaining cases nobody decides in time")
	}
	if v, ok := o.get("after"); ok {
		d.After, _ = c.span(v)
	}
	if v, ok := o.get("hours"); ok {
		hours := Flat()
		c.hours(v, &hours)
		d.Hours = &hours
	}
	return d
}

// reviewStep reads which review step is meant: JOURNEY/LABEL, or JOURNEY/STEP with the
// step's id, as a migration names steps.
func (c *checker) reviewStep(n node) (journey, step string) {
	s, ok := c.text(n, "write JOURNEY/LABEL, or JOURNEY/STEP with the step's number")
	if !ok {
		return "", ""
	}
	var names []string
	for i := range c.def.Journeys {
		j := &c.def.Journeys[i]
		walkSteps(j.Steps, func(st campaign.Step) {
			if _, ok := st.(*campaign.OpenReview); !ok {
				return
			}
			common := st.Common()
			name := common.ID
			if common.Label != "" {
				name = common.Label
			}
			names = append(names, j.Name+"/"+name)
			if s == j.Name+"/"+name || s == j.Name+"/"+common.ID {
				journey, step = j.Name, common.ID
			}
		})
	}
	if step == "" {
		c.unknown(n, "unknown-review", fmt.Sprintf("there is no review step %q", shorten(s)), s, names)
	}
	return journey, step
}

// walkSteps visits steps and those inside them, in reading order.
func walkSteps(steps campaign.Steps, visit func(campaign.Step)) {
	for _, s := range steps {
		visit(s)
		for _, b := range campaign.Children(s) {
			walkSteps(b.Steps, visit)
		}
	}
}
