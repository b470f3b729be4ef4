package definitions

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

var (
	pointsShape      = shape{what: "points", keys: []string{"rules", "expires", "levels", "within", "grace", "leaderboard"}}
	pointRuleShape   = shape{what: "a rule", keys: []string{"on", "when", "amount", "per_day", "per_member", "reverse_on"}}
	reversalShape    = shape{what: "a reversal", keys: []string{"on", "when", "below_zero"}}
	levelShape       = shape{what: "a level", keys: []string{"at"}}
	leaderboardShape = shape{what: "a leaderboard", keys: []string{"periods", "groups"}}
)

// behaviourPoints reads what members get for what they do. It comes before everything that
// expressions read, because levels are part of that.
func (c *checker) behaviourPoints(top object) {
	if at, declared := c.declared.events.at[campaign.EventLevelChanged]; declared {
		c.problem(at, "level-event", fmt.Sprintf("%s is what Banyan itself tells when a member's level has changed", campaign.EventLevelChanged),
			"give your event another name; a campaign with `points.levels` hears it without a declaration")
	}
	v, ok := top.get("points")
	if !ok {
		return
	}
	o, ok := c.object(v, pointsShape)
	if !ok {
		return
	}
	p := &campaign.Points{}
	c.def.Points = p
	if _, ok := o.get("rules"); ok {
		c.pointRules(o, p)
	} else {
		c.missing(o, v, "points", "rules", "write at least one rule: `rules: {purchase: {on: order.paid, amount: 10}}`")
	}
	if e, ok := o.get("expires"); ok {
		p.Expires, _ = c.duration(e)
	}
	c.levels(o, p)
	if b, ok := o.get("leaderboard"); ok {
		p.Leaderboard = c.leaderboard(b, p)
	}
}

func (c *checker) pointRules(o object, p *campaign.Points) {
	var declared names
	all := c.entries(o, "rules", plainName, &declared)
	if n, _ := o.get("rules"); len(all) == 0 && n.isMapping() {
		c.problem(n, "missing-key", `"rules" is empty`, "write at least one rule: `rules: {purchase: {on: order.paid, amount: 10}}`")
	}
	for _, f := range all {
		r, ok := c.object(f.value, pointRuleShape)
		if !ok {
			continue
		}
		p.Rules = append(p.Rules, c.pointRule(f, r))
	}
}

func (c *checker) pointRule(f field, o object) campaign.PointRule {
	r := campaign.PointRule{Name: f.name}
	what := fmt.Sprintf("rule %q", f.name)
	known := false
	if on, ok := o.get("on"); ok {
		r.Event, known = c.pointEvent(on)
	} else {
		c.missing(o, f.key, what, "on", "write the event that gives points: `on: order.paid`")
	}
	scope := func() rules.Scope { return rules.StartScope(r.Event) }
	if when, ok := o.get("when"); ok && known {
		r.When = c.expression(when, rules.WantBool, scope, func(x reads) { c.constant(when, x) })
	}
	if amount, ok := o.get("amount"); ok {
		r.Amount = c.amountOfPoints(amount, known, scope)
	} else {
		c.missing(o, f.key, what, "amount", "write how many points an event gives: a number, or an expression such as 'event.amount / money(\"10.00\")'")
	}
	if v, ok := o.get("per_day"); ok {
		r.PerDay, _ = c.count(v, maxPoints)
		if n, err := strconv.ParseInt(r.Amount, 10, 64); err == nil && r.PerDay > 0 && n > r.PerDay {
			c.problem(v, "per-day", fmt.Sprintf("%d points a day are not enough for one event of %d", r.PerDay, n), "per_day is the points that one member may get by this rule on one day")
		}
	}
	if v, ok := o.get("per_member"); ok {
		r.PerMember, _ = c.times(v)
	}
	if v, ok := o.get("reverse_on"); ok {
		r.ReverseOn = c.reversal(v, r.Event, known)
	}
	return r
}

// pointEvent reads the event of a rule. What Banyan itself tells gives no points: a change
// of level that gave some would change the level.
func (c *checker) pointEvent(n node) (string, bool) {
	name, ok := c.refer(n, "event", &c.declared.events)
	if ok && name == campaign.EventLevelChanged {
		c.problem(n, "level-event", "a change of level gives no points, because points make the level", "let a journey that starts on it grant a reward")
		return name, false
	}
	return name, ok
}

// amountOfPoints reads a number, or an expression of one.
func (c *checker) amountOfPoints(n node, known bool, scope func() rules.Scope) string {
	if n.isScalar() {
		if _, err := strconv.ParseInt(n.yaml.Value, 10, 64); err == nil {
			i, _ := c.count(n, maxPoints)
			return strconv.FormatInt(i, 10)
		}
	}
	if !known {
		return ""
	}
	return c.expression(n, rules.WantType(campaign.TypeInt), scope, nil)
}

func (c *checker) reversal(n node, gave string, known bool) *campaign.Reversal {
	o, ok := c.object(n, reversalShape)
	if !ok {
		return nil
	}
	back := &campaign.Reversal{}
	on, ok := o.get("on")
	if !ok {
		c.missing(o, n, "the reversal", "on", "write the event that takes the points back: {on: order.refunded, when: event.order == start.order}")
		return nil
	}
	back.Event, ok = c.pointEvent(on)
	if when, has := o.get("when"); has && ok && known {
		back.When = c.expression(when, rules.WantBool, func() rules.Scope { return rules.ReversalScope(gave, back.Event) }, func(x reads) {
			c.constant(when, x)
			c.asksNothing(when, x)
		})
	}
	if v, has := o.get("below_zero"); has {
		if word, ok := oneOf(c, v, "true", "false"); ok {
			back.BelowZero = word == "true"
		}
	}
	return back
}

// asksNothing refuses a question about past behaviour where there is nobody to answer it.
func (c *checker) asksNothing(n node, x reads) {
	if e, ok := x.(*rules.Expr); ok && len(e.Behaviours()) > 0 {
		c.problem(n, "no-past-here", "this counts what the member did before, which cannot be asked here", "compare the two events: event.order == start.order")
	}
}

// levels reads the levels with what holds for all of them.
func (c *checker) levels(o object, p *campaign.Points) {
	var declared names
	_, has := o.get("levels")
	for _, f := range c.entries(o, "levels", plainName, &declared) {
		l, ok := c.object(f.value, levelShape)
		if !ok {
			continue
		}
		level := campaign.Level{Name: f.name}
		if v, ok := l.get("at"); ok {
			level.At, ok = c.count(v, maxPoints)
			if i := slices.IndexFunc(p.Levels, func(other campaign.Level) bool { return other.At == level.At }); ok && i >= 0 {
				c.problem(v, "levels", fmt.Sprintf("levels %q and %q are both at %d points", p.Levels[i].Name, level.Name, level.At), "a member has one level: give each its own number of points")
			}
		} else {
			c.missing(l, f.key, fmt.Sprintf("level %q", f.name), "at", "write from how many points on a member has it: {at: 500}")
		}
		p.Levels = append(p.Levels, level)
	}
	slices.SortStableFunc(p.Levels, func(a, b campaign.Level) int { return cmp.Compare(a.At, b.At) })
	if len(p.Levels) > 0 {
		e := p.LevelEvent()
		c.def.Events = append(c.def.Events, e)
		c.declared.events.declare(e.Name, node{})
	}
	for _, key := range []struct {
		name string
		into *time.Duration
	}{{"within", &p.Within}, {"grace", &p.Grace}} {
		f, ok := o.field(key.name)
		if !ok {
			continue
		}
		var good bool
		*key.into, good = c.duration(f.value)
		switch {
		case !has:
			c.problem(f.key, "levels", fmt.Sprintf("%q stands without levels", key.name), "add `levels: {silver: {at: 500}}`, or leave it out")
		case good && key.name == "within" && p.Within%(24*time.Hour) != 0:
			c.problem(f.value, "levels", fmt.Sprintf("levels count whole days, and %s is none", campaign.FormatDuration(p.Within)), "write days or weeks, such as 365d")
		}
	}
}

// maxPointGroups bounds what a gain is counted in.
const maxPointGroups = 5

func (c *checker) leaderboard(n node, p *campaign.Points) *campaign.Leaderboard {
	b := &campaign.Leaderboard{Periods: campaign.Periods()}
	o, ok := c.object(n, leaderboardShape)
	if !ok {
		return b
	}
	if v, has := o.get("periods"); has {
		b.Periods = nil
		for _, item := range c.items(v) {
			period, ok := oneOf(c, item, campaign.Periods()...)
			switch {
			case !ok:
			case slices.Contains(b.Periods, period):
				c.problem(item, "leaderboard", fmt.Sprintf("%q stands twice", period), "each period is written once")
			default:
				b.Periods = append(b.Periods, period)
			}
		}
		if v.isSequence() && len(v.yaml.Content) == 0 {
			c.problem(v, "leaderboard", `"periods" is an empty list`, "write one or more of "+list(periodNames())+", or leave it out for all of them")
		}
	}
	var declared names
	for _, f := range c.entries(o, "groups", plainName, &declared) {
		of := c.expression(f.value, rules.WantType(campaign.TypeString), func() rules.Scope { return rules.PointGroupScope(p) }, func(x reads) { c.asksNothing(f.value, x) })
		b.Groups = append(b.Groups, campaign.PointGroup{Name: f.name, Of: of})
	}
	if v, has := o.get("groups"); has && len(b.Groups) > maxPointGroups {
		c.problem(v, "leaderboard", fmt.Sprintf("%d groups are too many", len(b.Groups)), fmt.Sprintf("what a member gets is counted once more for each: at most %d are allowed", maxPointGroups))
	}
	return b
}

func periodNames() []string {
	var out []string
	for _, p := range campaign.Periods() {
		out = append(out, string(p))
	}
	return out
}
