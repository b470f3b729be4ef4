package definitions

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

var journeyShape = shape{
	what:  "a journey",
	keys:  []string{"start", "entry", "goal", "on_goal", "exit", "holdout", "drive", "steps"},
	later: []string{"migrate"},
}

// journey is a journey while it is read.
type journey struct {
	def    *campaign.Journey
	key    node
	flow   []*stepNode // the steps at the top
	all    []*stepNode // every step in reading order
	labels names
	gotos  []*stepNode
	repeat *stepNode // the innermost that is being read
	scopes scopes
}

// allJourneys reads the journeys; without one a campaign does nothing.
func (c *checker) allJourneys(top object) {
	if _, ok := top.get("journeys"); !ok {
		c.missing(top, top.node, "the campaign", "journeys", "write at least one journey with its `start:` and `steps:`")
		return
	}
	var all names
	for _, f := range c.entries(top, "journeys", plainName, &all) {
		o, ok := c.object(f.value, journeyShape)
		if !ok {
			continue
		}
		j := &journey{def: &campaign.Journey{Name: f.name, OnGoal: campaign.GoalEnds}, key: f.key}
		c.journey(j, o)
		c.journeys = append(c.journeys, j)
		c.def.Journeys = append(c.def.Journeys, *j.def)
	}
	if n, ok := top.get("journeys"); ok && n.isMapping() && len(n.yaml.Content) == 0 {
		c.problem(n, "missing-key", `"journeys" is empty`, "write at least one journey with its `start:` and `steps:`")
	}
}

func (c *checker) journey(j *journey, o object) {
	what := fmt.Sprintf("journey %q", j.def.Name)
	if v, ok := o.get("start"); ok {
		c.starts(j, v)
	} else {
		c.missing(o, j.key, what, "start", "write `start: {on: EVENT}`, `start: {segment: NAME}` or `start: {api: true}`")
	}
	j.def.Entry = c.entry(o)
	if _, told := o.get("entry"); !told {
		c.onceBySchedule(j)
	}
	c.goal(j, o)
	if v, ok := o.get("exit"); ok {
		j.def.Exit = c.trigger(j, v, exitShape)
	}
	if v, ok := o.get("holdout"); ok {
		j.def.Holdout = c.holdout(v)
	}
	if v, ok := o.get("drive"); ok {
		if drive, ok := oneOf(c, v, campaign.DriveMembers, campaign.DriveSlices); ok && drive != campaign.DriveMembers {
			j.def.Drive = drive
		}
	}
	steps, ok := o.get("steps")
	switch {
	case !ok:
		c.missing(o, j.key, what, "steps", "write `steps:` with a list of what happens")
	case steps.isNull() || steps.isSequence() && len(steps.yaml.Content) == 0:
		c.problem(steps, "no-steps", what+" has no steps", "write at least one step")
	default:
		j.def.Steps, j.flow = c.block(j, steps, "")
	}
	c.resolveGotos(j)
}

func (c *checker) goal(j *journey, o object) {
	if v, ok := o.get("goal"); ok {
		j.def.Goal = c.trigger(j, v, goalShape)
	} else if _, ok := o.get("on_goal"); !ok { // which is refused without one
		c.warn(j.key, "no-goal", fmt.Sprintf("journey %q has no goal", j.def.Name),
			"without `goal: {on: EVENT}` the report cannot say how many converted")
	}
	v, ok := o.get("on_goal")
	if !ok {
		return
	}
	if on, ok := oneOf(c, v, campaign.GoalContinues, campaign.GoalEnds); ok {
		j.def.OnGoal = on
	}
	if _, ok := o.get("goal"); !ok {
		c.problem(v, "on-goal", "on_goal stands without a goal", "add `goal: {on: EVENT}`, or leave on_goal out")
	}
}

var startShape = shape{what: "a start", keys: []string{"on", "when", "segment", "schedule", "referral", "api"}}

// starts reads the ways into a journey: one mapping, or a list of them.
func (c *checker) starts(j *journey, n node) {
	if n.isSequence() && len(n.yaml.Content) == 0 {
		c.problem(n, "missing-key", `"start" is an empty list`, "write at least one of {on: EVENT}, {segment: NAME}, {api: true}")
	}
	for _, item := range c.items(n) {
		o, ok := c.object(item, startShape)
		if !ok {
			continue
		}
		s, ok := c.start(o)
		if !ok {
			continue
		}
		for _, before := range j.def.Starts {
			if before == s {
				c.problem(item, "duplicate-start", "this start stands here twice", "each way in is written once")
			}
		}
		j.def.Starts = append(j.def.Starts, s)
	}
}

func (c *checker) start(o object) (campaign.Start, bool) {
	const form = "write one of {on: EVENT, when: CEL}, {segment: NAME}, {schedule: CRON, segment: NAME}, {referral: bound} and {api: true}; several starts are a list"
	var s campaign.Start
	on, hasEvent := o.get("on")
	segment, hasSegment := o.get("segment")
	api, hasAPI := o.get("api")
	referral, hasReferral := o.get("referral")
	ways := 0
	for _, has := range []bool{hasEvent, hasSegment, hasAPI, hasReferral} {
		if has {
			ways++
		}
	}
	when, hasWhen := o.field("when")
	schedule, hasSchedule := o.field("schedule")
	switch {
	case ways == 0 && !hasSchedule && len(o.fields) < len(o.yaml.Content)/2:
		return s, false // what was there instead has been reported
	case ways != 1 && (ways > 0 || !hasSchedule):
		c.problem(o.node, "start", fmt.Sprintf("a start has %d ways in", ways), form)
		return s, false
	case hasWhen && !hasEvent:
		c.problem(when.key, "start", "`when` goes with `on: EVENT` alone", "write the condition into a segment, or into a `choose` step")
	case hasSchedule && !hasSegment:
		c.problem(schedule.key, "start", "`schedule` goes with `segment: NAME`: it says when, and the segment who", form)
		return s, false
	}
	ok := true
	switch {
	case hasEvent:
		s.Event, ok = c.refer(on, "event", &c.declared.events)
		if hasWhen && ok {
			s.When = c.expression(when.value, rules.WantBool, func() rules.Scope { return rules.StartScope(s.Event) },
				func(x reads) { c.constant(when.value, x) })
		}
	case hasSegment:
		s.Segment, ok = c.refer(segment, "segment", &c.declared.segments)
		if hasSchedule {
			s.Schedule, hasSchedule = c.schedule(schedule.value)
			ok = ok && hasSchedule
		}
	case hasReferral:
		return c.startByReferral(referral)
	case hasAPI:
		s.API = true
		if text, isText := c.text(api, "write `api: true`"); !isText || text != "true" {
			if isText {
				c.problem(api, "start", fmt.Sprintf(`"api" cannot be %q`, shorten(text)), "write `api: true`, or leave it out")
			}
			ok = false
		}
	}
	return s, ok
}

var entryShape = shape{what: "an entry rule", keys: []string{"again_after"}}

func (c *checker) entry(o object) campaign.Entry {
	once := campaign.Entry{Rule: campaign.EntryOnce}
	v, ok := o.get("entry")
	if !ok {
		return once
	}
	if !v.isMapping() {
		if v.isScalar() && v.yaml.Value == string(campaign.EntryAgainAfter) {
			c.problem(v, "entry", "again_after needs a span", "write `entry: {again_after: 30d}`")
			return once
		}
		rule, ok := oneOf(c, v, campaign.EntryOnce, campaign.EntryAfterExit, campaign.EntryEveryTime)
		if !ok {
			return once
		}
		return campaign.Entry{Rule: rule}
	}
	e, ok := c.object(v, entryShape)
	after, has := e.get("again_after")
	if !ok || !has {
		if len(v.yaml.Content) == 0 {
			c.missing(e, v, "entry", "again_after", "write once, after_exit, every_time or {again_after: 30d}")
		}
		return once
	}
	d, _ := c.duration(after)
	return campaign.Entry{Rule: campaign.EntryAgainAfter, After: d}
}

var (
	goalShape = shape{what: "a goal", keys: []string{"on", "when"}}
	exitShape = shape{what: "an exit", keys: []string{"on", "when"}}
)

// trigger reads the event, and perhaps the condition, of a goal or an exit.
func (c *checker) trigger(j *journey, n node, form shape) *campaign.Trigger {
	what := form.what
	if n.isScalar() {
		c.problem(n, "wrong-type", fmt.Sprintf("%q is a text", n.path.last()), fmt.Sprintf("write {on: %s}", shorten(n.yaml.Value)))
		c.declared.events.use(n.yaml.Value)
		return nil
	}
	o, ok := c.object(n, form)
	if !ok {
		return nil
	}
	t := &campaign.Trigger{}
	on, has := o.get("on")
	if !has {
		c.missing(o, n, what, "on", "write {on: EVENT, when: CEL}")
		return nil
	}
	t.Event, ok = c.refer(on, "event", &c.declared.events)
	if when, has := o.get("when"); has && ok {
		t.When = c.expression(when, rules.WantBool, func() rules.Scope { return j.listening(t.Event) },
			func(x reads) {
				c.readsNoOffer(when, x, what)
				c.constant(when, x)
			})
	}
	return t
}

// maxHoldout is half of the entrants: with a larger share left out, the journey is the
// experiment's smaller part.
const maxHoldout = 5000

// holdout reads the share of entrants who get nothing.
func (c *checker) holdout(n node) int {
	points, _ := c.share(n, "holdout", 0, maxHoldout)
	return points
}

// share reads a share such as 5% or 2.5% as basis points within bounds. The check is
// called as the key is.
func (c *checker) share(n node, check string, least, most int) (int, bool) {
	form := fmt.Sprintf("write a share such as 5%% or 2.5%%, from %s to %s, with at most two decimal places", formatShare(least), formatShare(most))
	s, ok := c.text(n, form)
	if !ok {
		return 0, false
	}
	number, percent := strings.CutSuffix(s, "%")
	whole, fraction, _ := strings.Cut(strings.TrimSpace(number), ".")
	points, err := strconv.ParseUint(whole+(fraction + "00")[:max(2, len(fraction))], 10, 31)
	if !percent || err != nil || len(fraction) > 2 || strings.HasSuffix(number, ".") || int(points) < least || int(points) > most {
		c.problem(n, check, fmt.Sprintf("%s cannot be %q", check, shorten(s)), form)
		return 0, false
	}
	return int(points), true
}

// formatShare writes basis points as share reads them.
func formatShare(points int) string {
	if points%100 == 0 {
		return strconv.Itoa(points/100) + "%"
	}
	return strings.TrimSuffix(fmt.Sprintf("%d.%02d", points/100, points%100), "0") + "%"
}

// readsNoOffer refuses a goal or an exit that reads the offer or the team: its event may
// come when there is none.
func (c *checker) readsNoOffer(n node, x reads, what string) {
	if x.Reads("offer") {
		c.problem(n, "offer-not-open", fmt.Sprintf("%s reads `offer`, and its event may come when none is open", what),
			"ask what the event carries, such as event.offer == \"NAME\" or event.amount")
	}
	if x.Reads("team") {
		c.problem(n, "team-not-open", fmt.Sprintf("%s reads `team`, and its event may come when the member is in none", what),
			"ask what the event carries")
	}
}
