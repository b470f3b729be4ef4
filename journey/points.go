package journey

import (
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// PointRule is a rule of a campaign's points, ready to run.
type PointRule struct {
	*campaign.PointRule
	when, amount, back *rules.Expr // nil: no condition
	needs              []campaign.Behaviour
}

// PointFacts are what a rule is asked about: an event of a member, and what was known of
// her when it was routed.
type PointFacts struct {
	Member    *campaign.Member
	Event     *campaign.Event
	Behaviour map[campaign.Behaviour]campaign.BehaviourValue
}

// maxEventPoints is how many points one event gives at most.
const maxEventPoints = 1_000_000_000_000

func (c *compiler) points() {
	def := c.p.def.Points
	if def == nil {
		return
	}
	for i := range def.Rules {
		r := &PointRule{PointRule: &def.Rules[i]}
		at, scope := "points.rules."+r.Name, rules.StartScope(r.Event)
		r.when = c.expr(at+".when", r.When, scope, rules.WantBool)
		r.amount = c.expr(at+".amount", r.Amount, scope, rules.WantType(campaign.TypeInt))
		r.needs = union(union(r.needs, r.when), r.amount)
		if back := r.ReverseOn; back != nil {
			r.back = c.expr(at+".reverse_on", back.When, rules.ReversalScope(r.Event, back.Event), rules.WantBool)
		}
		c.p.pointRules = append(c.p.pointRules, r)
	}
	if def.Leaderboard == nil {
		return
	}
	for i := range def.Leaderboard.Groups {
		g := &def.Leaderboard.Groups[i]
		c.p.pointGroups = append(c.p.pointGroups, c.expr("points.leaderboard.groups."+g.Name, g.Of, rules.PointGroupScope(def), rules.WantType(campaign.TypeString)))
	}
}

// PointsOn lists the rules by which an event of a type may give points, in the order of
// the definition.
func (p *Program) PointsOn(eventType string) (list []*PointRule) {
	for _, r := range p.pointRules {
		if r.Event == eventType {
			list = append(list, r)
		}
	}
	return list
}

// PointRule finds a rule by name.
func (p *Program) PointRule(name string) (*PointRule, bool) {
	i := slices.IndexFunc(p.pointRules, func(r *PointRule) bool { return r.Name == name })
	if i < 0 {
		return nil, false
	}
	return p.pointRules[i], true
}

// Location is the campaign's timezone.
func (p *Program) Location() *time.Location { return p.loc }

// Needs are the questions about past behaviour that the rule asks, as of the event's own
// time.
func (r *PointRule) Needs() []campaign.Behaviour { return r.needs }

// Worth says how many points an event asks for by a rule; 0: none, because the rule is not
// about it, or gives nothing for it. Whatever the clock shows, it is asked at the event's
// own time. why is campaign.RefusedUndecided where there is no answer.
func (p *Program) Worth(r *PointRule, f PointFacts) (points int64, why string) {
	if !p.def.Window.Contains(f.Event.Time) {
		return 0, ""
	}
	facts := rules.Facts{Now: f.Event.Time, Member: f.Member, Event: f.Event, Behaviour: f.Behaviour}
	if r.when != nil {
		holds, err := r.when.Bool(&facts)
		switch {
		case err != nil:
			return 0, campaign.RefusedUndecided
		case !holds:
			return 0, ""
		}
	}
	v, err := r.amount.Value(&facts)
	n, ok := v.(int64)
	if err != nil || !ok || n > maxEventPoints {
		return 0, campaign.RefusedUndecided
	}
	return max(0, n), ""
}

// Reverses reports whether an event takes back what the rule gave for another one. It is
// asked at its own time too, and takes nothing back of what happened after it.
func (r *PointRule) Reverses(by, of *campaign.Event, m *campaign.Member) bool {
	if r.ReverseOn == nil || by.Type != r.ReverseOn.Event || by.Time.Before(of.Time) || by.ID == of.ID {
		return false
	}
	if r.back == nil {
		return true
	}
	holds, err := r.back.Bool(&rules.Facts{Now: by.Time, Member: m, Event: by, Start: of})
	return err == nil && holds
}

// PointGroups are the parts, one for each of the leaderboard's groups, in which what an
// event gives is ranked; empty: none.
func (p *Program) PointGroups(f PointFacts) []string {
	out := make([]string, len(p.pointGroups))
	for i, x := range p.pointGroups {
		if v, err := x.Value(&rules.Facts{Now: f.Event.Time, Member: f.Member, Event: f.Event}); err == nil {
			out[i], _ = v.(string)
		}
	}
	return out
}
