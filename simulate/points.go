package simulate

import (
	"slices"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

// purse is what a member has got by a campaign's rules of points, and what will end.
type purse struct {
	gains    []gain
	days     map[ruleDay]int64
	batches  campaign.Batches
	over     map[int64]int64              // what expired of a batch
	granted  map[*campaign.GrantAsk]int64 // the batch of a grant with an end
	backs    []takenGrant                 // by the turn that is being taken
	earned   campaign.Earned
	standing campaign.Standing
	looked   time.Time // when her level is looked at next although nothing happens
	changes  int
}

type ruleDay struct {
	rule int
	day  campaign.Day
}

// takenGrant is points that are taken back of a grant.
type takenGrant struct {
	ask    *campaign.GrantAsk
	points int64
}

// gain is what an event gave by a rule.
type gain struct {
	rule   int
	event  int // place among her events
	day    campaign.Day
	points int64
	batch  int64 // its number; 0: no end
	gone   bool  // it was taken back
}

// pointWatcher is a watcher that wants to know of points too.
type pointWatcher interface {
	judged(l *life, rule int, at time.Time, asked, points int64, reason string)
	takenBack(l *life, rule int, at time.Time, points, short int64)
	expired(l *life, at time.Time, points int64)
	moved(l *life, c campaign.LevelChange)
}

func (l *life) pointWatch() pointWatcher {
	if w, ok := l.watch.(pointWatcher); ok {
		return w
	}
	return nobody{}
}

type nobody struct{}

func (nobody) judged(*life, int, time.Time, int64, int64, string) {}
func (nobody) takenBack(*life, int, time.Time, int64, int64)      {}
func (nobody) expired(*life, time.Time, int64)                    {}
func (nobody) moved(*life, campaign.LevelChange)                  {}

// points judges a stored event by the rules of points, as the router does before anybody
// enters, and says whether what she has earned has changed.
func (l *life) points(e *campaign.Event) bool {
	def := l.p.def.Points
	if def == nil {
		return false
	}
	before := len(l.purse.gains)
	l.give(e)
	moved := len(l.purse.gains) > before
	for i := range l.purse.gains[:before] {
		g := &l.purse.gains[i]
		rule, _ := l.p.program.PointRule(def.Rules[g.rule].Name)
		if g.gone || !rule.Reverses(e, &l.events[g.event], &l.member) {
			continue
		}
		l.takeBack(g, e)
		l.moves(e.Time, g.day, -g.points)
		moved = true
	}
	return moved
}

// reversed finds an event that was told before one and takes back what that one gives.
func (l *life) reversed(r *journey.PointRule, e *campaign.Event) *campaign.Event {
	if r.ReverseOn == nil {
		return nil
	}
	for k := range l.events {
		if by := &l.events[k]; r.Reverses(by, e, &l.member) {
			return by
		}
	}
	return nil
}

func (l *life) give(e *campaign.Event) {
	def := l.p.def.Points
	for _, r := range l.p.program.PointsOn(e.Type) {
		rule := slices.IndexFunc(def.Rules, func(x campaign.PointRule) bool { return x.Name == r.Name })
		facts := journey.PointFacts{Member: &l.member, Event: e, Behaviour: l.answersAt(r.Needs(), e.Time)}
		asked, why := l.p.program.Worth(r, facts)
		if asked == 0 && why == "" {
			continue
		}
		day := campaign.DayOf(e.Time, l.p.loc)
		points := int64(0)
		if why == "" {
			var times []time.Time
			for i := range l.purse.gains {
				if g := &l.purse.gains[i]; g.rule == rule && !g.gone {
					times = append(times, l.events[g.event].Time)
				}
			}
			points, why = r.Allow(asked, l.purse.days[ruleDay{rule, day}], times, e.Time)
		}
		l.pointWatch().judged(l, rule, e.Time, asked, points, why)
		if points == 0 {
			continue
		}
		if l.purse.days == nil {
			l.purse.days = map[ruleDay]int64{}
		}
		l.purse.days[ruleDay{rule, day}] += points
		g := gain{rule: rule, event: len(l.events) - 1, day: day, points: points}
		l.member.Points += points
		if def.Expires > 0 {
			g.batch = l.ends(points, e.Time.Add(def.Expires))
		}
		l.purse.gains = append(l.purse.gains, g)
		if by := l.reversed(r, e); by != nil {
			// No level comes of it, not even for a moment.
			l.takeBack(&l.purse.gains[len(l.purse.gains)-1], by)
		} else {
			l.moves(e.Time, day, points)
		}
		l.settle()
	}
}

// ends keeps points that she was just given and that have an end.
func (l *life) ends(points int64, at time.Time) int64 {
	b := campaign.Batch{ID: int64(len(l.purse.batches)) + 1, Ends: at, Left: l.purse.batches.Opening(points, l.member.Points)}
	l.purse.batches = append(l.purse.batches, b)
	return b.ID
}

// settle lets points go that are past their end.
func (l *life) settle() {
	for i := range l.purse.batches {
		if b := &l.purse.batches[i]; b.Left > 0 && b.Over(l.now) {
			l.member.Points -= b.Left
			l.pointWatch().expired(l, b.Ends, b.Left)
			if l.purse.over == nil {
				l.purse.over = map[int64]int64{}
			}
			l.purse.over[b.ID], b.Left = b.Left, 0
		}
	}
}

func (l *life) takeBack(g *gain, by *campaign.Event) {
	rule := &l.p.def.Points.Rules[g.rule]
	g.gone = true
	l.purse.days[ruleDay{g.rule, g.day}] -= g.points
	want := g.points - l.purse.over[g.batch] // what has expired is gone already
	take := want
	if !rule.ReverseOn.BelowZero {
		take = max(0, min(want, l.member.Points))
	}
	l.member.Points -= take
	l.draw(take, g.batch)
	l.pointWatch().takenBack(l, g.rule, by.Time, take, want-take)
}

// drawBacks takes from her batches what the turn took back of grants.
func (l *life) drawBacks() {
	for _, b := range l.purse.backs {
		l.draw(b.points, l.purse.granted[b.ask])
	}
	l.purse.backs = nil
}

// draw takes points from her batches, from one first if it is named.
func (l *life) draw(points, first int64) {
	open := slices.DeleteFunc(slices.Clone(l.purse.batches), func(b campaign.Batch) bool { return b.Left == 0 })
	open.Sort()
	for _, part := range open.Draw(points, first, l.now) {
		l.purse.batches[part.Batch-1].Left -= part.Points
	}
}

// moves brings her level up to date with points of a day that came or went at a moment.
func (l *life) moves(at time.Time, day campaign.Day, points int64) {
	if !l.p.def.HasLevels() {
		return
	}
	l.walk(at)
	l.purse.earned.Add(day, points)
	l.walk(at)
}

// walk walks her level to a moment. A change is an event that happens to her at once; when
// there may be one by itself is looked at then.
func (l *life) walk(until time.Time) {
	s, changes, next := l.p.def.Points.Walk(l.purse.standing, &l.purse.earned, until, l.p.loc)
	l.purse.standing = s
	for _, c := range changes {
		l.purse.changes++
		levels := make(map[string]string, len(l.member.Levels)+1)
		for k, v := range l.member.Levels {
			levels[k] = v
		}
		if levels[l.p.def.Name] = c.To; c.To == "" {
			delete(levels, l.p.def.Name)
		}
		l.member.Levels = levels
		l.pointWatch().moved(l, c)
		l.queue.push(future{at: l.now, event: campaign.Event{
			ID: campaign.OwnEventID("level/" + strconv.Itoa(l.purse.changes)), Type: campaign.EventLevelChanged, Time: c.At, Properties: c.Properties(l.p.def.Name),
		}})
	}
	if next.IsZero() || next.Equal(l.purse.looked) {
		return
	}
	if next.Before(l.now) {
		next = l.now
	}
	l.purse.looked = next
	l.queue.push(future{at: next, ready: func(l *life, f *future) bool {
		if l.purse.looked.Equal(f.at) {
			l.purse.looked = time.Time{}
			l.walk(l.now)
		}
		return false
	}})
}

func (w *worker) judged(l *life, rule int, at time.Time, asked, points int64, reason string) {
	w.scribe.judged(l, rule, at, asked, points, reason)
}

func (w *worker) takenBack(l *life, rule int, at time.Time, points, short int64) {
	w.scribe.takenBack(l, rule, at, points, short)
}

func (w *worker) expired(l *life, at time.Time, points int64) { w.scribe.expired(l, at, points) }

func (w *worker) moved(l *life, c campaign.LevelChange) { w.scribe.moved(l, c) }

// tell adds a line to the story that is of no journey.
func (r *recorder) tell(l *life, at time.Time, kind campaign.TraceKind, params map[string]string) {
	r.trace, r.moments = append(r.trace, campaign.TraceLine{At: at, Kind: kind, Params: params}), append(r.moments, l.now)
}

func (r *recorder) judged(l *life, rule int, at time.Time, _, points int64, reason string) {
	r.tell(l, at, campaign.TracePoints, map[string]string{"rule": l.p.def.Points.Rules[rule].Name, "points": whole(points), "reason": reason})
}

func (r *recorder) takenBack(l *life, rule int, at time.Time, points, short int64) {
	params := map[string]string{"rule": l.p.def.Points.Rules[rule].Name, "points": whole(points)}
	if short > 0 {
		params["short"] = whole(short)
	}
	r.tell(l, at, campaign.TracePointsTaken, params)
}

func (r *recorder) expired(l *life, at time.Time, points int64) {
	r.tell(l, at, campaign.TracePointsExpired, map[string]string{"points": whole(points)})
}

func (r *recorder) moved(l *life, c campaign.LevelChange) {
	r.tell(l, c.At, campaign.TraceLevel, map[string]string{"from": c.From, "to": c.To})
}

func whole(n int64) string { return strconv.FormatInt(n, 10) }

// ruleTally is what a rule of points gave.
type ruleTally struct {
	gains, points, perDay, perMember, undecided, reversed, short int64
}

func (s *scribe) judged(_ *life, rule int, _ time.Time, asked, points int64, reason string) {
	t := &s.t.rules[rule]
	if points > 0 {
		t.gains += s.weight
		t.points += s.weight * points
	}
	switch reason {
	case campaign.RefusedDailyCap:
		t.perDay += s.weight * (asked - points)
	case campaign.RefusedPerMember:
		t.perMember += s.weight * (asked - points)
	case campaign.RefusedUndecided:
		t.undecided += s.weight
	}
}

func (s *scribe) takenBack(_ *life, rule int, _ time.Time, points, short int64) {
	s.t.rules[rule].reversed += s.weight * points
	s.t.rules[rule].short += s.weight * short
}

func (s *scribe) expired(_ *life, _ time.Time, points int64) { s.t.expired += s.weight * points }

func (s *scribe) moved(_ *life, c campaign.LevelChange) {
	level := c.To
	if !c.Up {
		level = c.From
	}
	for i := range s.p.def.Points.Levels {
		if s.p.def.Points.Levels[i].Name != level {
			continue
		}
		if c.Up {
			s.t.levels[i].risen += s.weight
		} else {
			s.t.levels[i].fallen += s.weight
		}
	}
}

// levelTally is how often members rose to a level, and fell from it.
type levelTally struct{ risen, fallen int64 }

// PointsReport is what the rules of points gave.
type PointsReport struct {
	Rules   []PointRuleReport `json:"rules"`
	Levels  []LevelReport     `json:"levels,omitempty"`
	Expired int64             `json:"expired"` // of rewards too
}

// PointRuleReport is what one rule gave, in points but for gains and undecided.
type PointRuleReport struct {
	Rule             string `json:"rule"`
	Gains            int64  `json:"gains"` // events that gave something
	Points           int64  `json:"points"`
	RefusedPerDay    int64  `json:"refused_per_day"`
	RefusedPerMember int64  `json:"refused_per_member"`
	Undecided        int64  `json:"undecided,omitempty"` // events for which an expression had no value
	Reversed         int64  `json:"reversed"`
	Short            int64  `json:"short,omitempty"` // should have been taken back and was not there
}

// LevelReport is how often members rose to a level, and fell from it.
type LevelReport struct {
	Level  string `json:"level"`
	Risen  int64  `json:"risen"`
	Fallen int64  `json:"fallen"`
}

func pointsReport(def *campaign.Points, t *tally) *PointsReport {
	if def == nil && t.expired == 0 {
		return nil
	}
	r := &PointsReport{Rules: []PointRuleReport{}, Expired: t.expired}
	if def == nil {
		return r
	}
	for i := range def.Rules {
		x := &t.rules[i]
		r.Rules = append(r.Rules, PointRuleReport{def.Rules[i].Name, x.gains, x.points, x.perDay, x.perMember, x.undecided, x.reversed, x.short})
	}
	for i := range def.Levels {
		r.Levels = append(r.Levels, LevelReport{def.Levels[i].Name, t.levels[i].risen, t.levels[i].fallen})
	}
	return r
}

func (t *texter) points() {
	p := t.r.Points
	if p == nil {
		return
	}
	t.line("")
	t.line("Points")
	widths := []int{26, -10, -12, -12, -12, -12}
	t.row(widths, "", "events", "points", "over a day", "too often", "taken back")
	for i := range p.Rules {
		w := &p.Rules[i]
		t.row(widths, "  "+cut(w.Rule, 24), number(w.Gains), number(w.Points), number(w.RefusedPerDay), number(w.RefusedPerMember), number(w.Reversed))
	}
	for _, w := range p.Levels {
		t.line("    level %s: %s rose to it, %s fell from it", w.Level, number(w.Risen), number(w.Fallen))
	}
	if p.Expired > 0 {
		t.line("    %s points passed their end", number(p.Expired))
	}
}
