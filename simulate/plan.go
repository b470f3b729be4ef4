package simulate

import (
	"slices"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/rules"
)

// Plan is a campaign made ready for rehearsal. It is immutable and safe for concurrent
// use.
type Plan struct {
	def      *campaign.Definition
	program  *journey.Program
	loc      *time.Location
	journeys map[string]*journeyPlan

	starts    map[string][]journey.Candidate // by event type
	segments  []segmentStart
	schedules []journey.Schedule
	changed   map[string]bool // event types that may change who is in the segments of starts

	env    *rules.Env // of the conditions that a rehearsal asks itself
	limits []limit
	daily  []limit // those that are whole again every day
	peeks  bool    // it is asked what is left of a budget
}

// journeyPlan is what a turn of a journey has to be told.
type journeyPlan struct {
	*campaign.Journey
	index      int
	types      map[string]bool
	behaviours []campaign.Behaviour
	steps      map[string]int // place of each step in reading order
	order      []campaign.Step
}

// segmentStart is a start by segment.
type segmentStart struct {
	journey.Candidate
	behaviours []campaign.Behaviour
	// timeless says that who is in it changes with members and events alone, not because
	// time goes by.
	timeless bool
}

// limit is what all members share: the stock of an offer, the budget of a reward, or that
// of a reward on one day.
type limit struct {
	offer, reward string
	most          int   // grants or pieces in all; of a reward in steps points
	budget        int64 // of a reward: the same in points, coupons or benefits
	unit          int64 // of a reward: how many of them one of most is
}

// left is what is left of a budget when so much of most is taken.
func (l limit) left(taken int) int64 { return l.budget - int64(taken)*l.unit }

// Via is the channel that messages without one of their own go by.
const via = "console"

// NewPlan makes a checked definition ready.
func NewPlan(def *campaign.Definition) (*Plan, error) {
	program, err := journey.Compile(def)
	if err != nil {
		return nil, err
	}
	loc, err := def.Location()
	if err != nil {
		return nil, err
	}
	env, _ := rules.New(def) // Compile has told of issues
	p := &Plan{
		def: def, program: program, loc: loc, env: env, journeys: map[string]*journeyPlan{},
		starts: map[string][]journey.Candidate{}, changed: map[string]bool{},
	}
	for i := range def.Journeys {
		j := &def.Journeys[i]
		jp := &journeyPlan{Journey: j, index: i, types: map[string]bool{}, steps: map[string]int{}}
		types, behaviours, err := program.Needs(j.Name)
		if err != nil {
			return nil, err
		}
		for _, t := range types {
			jp.types[t] = true
		}
		jp.behaviours = behaviours
		p.peeks = p.peeks || peeks(behaviours)
		jp.number(j.Steps)
		for _, s := range j.Starts {
			if s.Event == "" && s.Segment == "" && !s.API {
				return nil, campaign.Errorf(campaign.CodeUnavailable, "journey %s starts in a way that this build cannot rehearse: update banyan", j.Name)
			}
		}
		p.journeys[j.Name] = jp
	}
	for _, e := range def.Events {
		if list := program.StartsOn(e.Name); len(list) > 0 {
			p.starts[e.Name] = list
			for _, c := range list {
				p.peeks = p.peeks || peeks(program.EntryNeeds(c))
			}
		}
	}
	for _, c := range program.StartsBySegment() {
		s := segmentStart{Candidate: c, behaviours: program.EntryNeeds(c), timeless: true}
		j, _ := def.Journey(c.Journey)
		for _, st := range j.Starts {
			if x, ok := env.Segment(st.Segment); ok && (x.Reads("now") || slices.ContainsFunc(x.Behaviours(), func(b campaign.Behaviour) bool { return b.Within > 0 })) {
				s.timeless = false
			}
		}
		for _, b := range s.behaviours {
			p.changed[b.Event] = true
		}
		p.segments = append(p.segments, s)
	}
	p.schedules = program.Schedules()
	for i := range def.Offers {
		if o := &def.Offers[i]; o.Stock > 0 {
			p.limits = append(p.limits, limit{offer: o.Name, most: o.Stock})
		}
	}
	for i := range def.Rewards {
		r := &def.Rewards[i]
		if r.Gift().Worth() <= 0 {
			continue
		}
		unit := unitOf(r)
		if r.Budget > 0 {
			p.limits = append(p.limits, limit{reward: r.Name, most: int((r.Budget - r.PauseAt) / unit), budget: r.Budget - r.PauseAt, unit: unit})
		}
		if r.BudgetPerDay > 0 {
			p.daily = append(p.daily, limit{reward: r.Name, most: int(r.BudgetPerDay / unit), budget: r.BudgetPerDay, unit: unit})
		}
	}
	return p, nil
}

func peeks(questions []campaign.Behaviour) bool {
	return slices.ContainsFunc(questions, func(b campaign.Behaviour) bool { return b.Function == campaign.AboutBudget })
}

// at is a limit of limitsFor by its place.
func (p *Plan) at(place int) limit {
	if fixed := len(p.limits); place >= fixed {
		return p.daily[(place-fixed)%len(p.daily)]
	}
	return p.limits[place]
}

// unitOf is what a limit of a reward counts: grants, or the points of one in steps.
func unitOf(r *campaign.Reward) int64 {
	if r.Ladder != nil {
		return 1
	}
	return r.Gift().Worth()
}

// Definition is what the plan was made from.
func (p *Plan) Definition() *campaign.Definition { return p.def }

func (j *journeyPlan) number(steps campaign.Steps) {
	for _, s := range steps {
		j.steps[s.Common().ID] = len(j.order)
		j.order = append(j.order, s)
		for _, b := range campaign.Children(s) {
			j.number(b.Steps)
		}
	}
}

// depth is how many blocks a step stands inside of.
func depth(id string) int { return strings.Count(id, ".") / 2 }

func (p *Plan) limitOf(offer, reward string) int {
	return slices.IndexFunc(p.limits, func(l limit) bool { return l.offer == offer && l.reward == reward })
}

// limitsFor are the limits of a span that begins on day 0 and touches so many days: those of
// the plan, and behind them a day's for each day, all of a day beside each other.
func (p *Plan) limitsFor(days int) []limit {
	list := slices.Clone(p.limits)
	for range days {
		list = append(list, p.daily...)
	}
	return list
}

// limitOn is the place of a day's limit in limitsFor; -1: the reward has none.
func (p *Plan) limitOn(day int, reward string) int {
	k := slices.IndexFunc(p.daily, func(l limit) bool { return l.reward == reward })
	if k < 0 {
		return -1
	}
	return len(p.limits) + day*len(p.daily) + k
}

// dayOf counts the days of the campaign's calendar from one moment to another.
func (p *Plan) dayOf(from, at time.Time) int {
	return int(midnight(at.In(p.loc)).Sub(midnight(from.In(p.loc))) / (24 * time.Hour))
}

// midnight is the beginning of a day of some calendar on one that knows no summer time.
func midnight(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

func (p *Plan) message(name string) int {
	return slices.IndexFunc(p.def.Messages, func(m campaign.Message) bool { return m.Name == name })
}

func (p *Plan) offer(name string) int {
	return slices.IndexFunc(p.def.Offers, func(o campaign.Offer) bool { return o.Name == name })
}

func (p *Plan) reward(name string) int {
	return slices.IndexFunc(p.def.Rewards, func(r campaign.Reward) bool { return r.Name == name })
}
