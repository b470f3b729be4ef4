package simulate

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

// life takes one member through a campaign, with the truth about her in memory, as
// store, router and worker would take her: at their most punctual, whatever happens being
// acted on at its own moment, or with every turn late by the same span.
type life struct {
	p      *Plan
	from   time.Time // when the campaign starts; the sweeps count from here
	late   time.Duration
	keeper keeper
	watch  watcher

	now     time.Time
	known   bool // she has been told of
	member  campaign.Member
	events  []campaign.Event // stored, by number
	walks   []*walk
	sent    []time.Time // messages that count against the cap
	taken   map[string]int
	granted map[string][]time.Time    // by reward
	got     map[string]int64          // points or pieces, by reward
	backs   map[string]int64          // points that were taken back or owed, by reward
	asks    map[string]int64          // how often a reward in steps was asked for
	pieces  map[string]campaign.Piece // coupons and benefits that she was granted last, by reward
	coupons map[string][]coupon       // by reward
	// benefits are those that she has after the grants of the turn that is under way.
	benefits []campaign.Benefit
	led      []*ledGrant // what orders led to
	queue    queue
	reviews  map[string]bool
	teams    map[string]campaign.Team // that she came into, by code
	seats    map[string]bool          // orders that have, or had, a place in a team
	took     map[orderFor]bool        // orders that took an offer, or pay for one that is open

	asked     int
	sweeps    bool        // an hourly sweep may let her in
	nextSweep time.Time   // while sweeps
	moments   []time.Time // the next of each schedule of the plan; zero: there is none
	behaviour map[campaign.Behaviour]campaign.BehaviourValue
	purse     purse
}

// walk is one entry into a journey.
type walk struct {
	plan    *journeyPlan
	id      journey.Admission
	state   journey.State
	due     time.Time // zero: nothing falls due
	woken   time.Time // since when a turn is owed to it that is late; zero: none is
	listens []string
	outcome string
	event   string // the id of the event that started it
	mark    any    // the watcher's own
}

func (w *walk) done() bool { return w.outcome != "" }

// owed is since when the walk is owed a turn, or from when on it will be; zero: never.
func (w *walk) owed() time.Time {
	if w.done() || w.due.IsZero() || !w.woken.IsZero() && w.woken.Before(w.due) {
		return w.woken
	}
	return w.due
}

// keeper decides about what members share.
type keeper interface {
	// may decides claim number n of the life, which is about one or several limits of the
	// plan: all of them must have so much left. It says which had not; -1: granted.
	may(limits []int, takes int, at time.Time, n int) int
	// remains is what is left of a budget before the claim that would be number n.
	remains(limit int, at time.Time, n int) int64
}

// watcher sees what becomes of a member.
type watcher interface {
	arrived(l *life)
	happened(l *life, e *campaign.Event)
	entered(l *life, w *walk)
	decided(l *life, w *walk, d *campaign.Decision)
	answered(l *life, w *walk, ask *campaign.Ask, a campaign.Answer)
}

// sweepEvery is the span between two sweeps, as the engine has it.
const sweepEvery = time.Hour

// standstill is how many things may happen at one moment. A journey that is due again
// and again without the time going on is a fault of ours.
const standstill = 100_000

// run lets her live until a moment, which is included; it may go on from there.
func (l *life) run(until time.Time) error {
	still, last := 0, time.Time{}
	for {
		at, w, sweep := l.next()
		if at.IsZero() || at.After(until) {
			l.now = until
			l.settle()
			return nil
		}
		if still++; !at.Equal(last) {
			still, last = 0, at
		}
		if still > standstill {
			return campaign.Errorf(campaign.CodeInternal, "time does not go on for member %s at %s", l.member.ID, at.Format(time.RFC3339))
		}
		if err := l.step(at, w, sweep); err != nil {
			return err
		}
	}
}

// step does what next has found.
func (l *life) step(at time.Time, w *walk, sweep bool) error {
	l.now = at
	l.settle()
	switch {
	case w != nil:
		return l.turn(w)
	case sweep:
		return l.sweep()
	}
	return l.happen()
}

// next is what comes first: what will happen, what falls due (w), or a sweep, be it by
// the hour or at a moment of a schedule.
func (l *life) next() (at time.Time, w *walk, sweep bool) {
	if len(l.queue.list) > 0 {
		at = l.queue.list[0].at
	}
	for _, candidate := range l.walks {
		if due := candidate.owed(); !due.IsZero() && (at.IsZero() || due.Add(l.late).Before(at)) {
			at, w = due.Add(l.late), candidate
		}
	}
	if w != nil && at.Before(l.now) {
		at = l.now // it was due before she was looked at
	}
	if l.nextSweep.IsZero() {
		l.sweeps, l.nextSweep = len(l.p.segments) > 0, l.from
	}
	if l.known && l.sweeps {
		// A sweep that fell before she was known found nobody.
		for l.nextSweep.Before(l.now) {
			l.nextSweep = l.nextSweep.Add(max(sweepEvery, l.now.Sub(l.nextSweep).Truncate(sweepEvery)))
		}
		if at.IsZero() || l.nextSweep.Before(at) {
			at, w, sweep = l.nextSweep, nil, true
		}
	}
	if l.known && len(l.p.schedules) > 0 {
		if moment := l.nextMoment(); !moment.IsZero() && (at.IsZero() || moment.Before(at)) {
			at, w, sweep = moment, nil, true
		}
	}
	return at, w, sweep
}

func (l *life) happen() error {
	f := l.queue.pop()
	if f.ready != nil && !f.ready(l, &f) {
		return nil
	}
	if f.comes {
		l.watch.arrived(l)
	}
	switch {
	case f.join:
		l.known = true
		return l.enterAll(l.bySegment(nil))
	case f.comes:
		return nil
	case f.enter != "":
		return l.byAPI(f.enter)
	}
	return l.store(f.event)
}

// store stores an event, wakes the journeys that listen, and lets her enter those that
// it starts. Who enters is decided before anybody is woken, as the router does it: an
// event that ends a journey does not start its next entry as well.
func (l *life) store(e campaign.Event) error {
	if !l.known {
		l.known = true
		if l.member.JoinedAt.IsZero() {
			l.member.JoinedAt, l.member.Source = e.Time, "event"
		}
	}
	e = l.p.told(e)
	l.bound(&e)
	e.Member, e.Seq, e.Stored = l.member.ID, int64(len(l.events)+1), l.now
	l.events = append(l.events, e)
	stored := &l.events[len(l.events)-1]
	l.pay(stored)
	l.watch.happened(l, stored)
	var list []attempt
	if l.points(stored) {
		list = l.bySegment(nil) // segments may ask for points and levels
	}
	for _, c := range l.p.starts[e.Type] {
		list = append(list, attempt{c, stored})
	}
	if l.p.changed[e.Type] {
		list = append(list, l.bySegment(&e)...)
	}
	woken := slices.Clone(l.walks)
	fresh, err := l.admitAll(list)
	if err != nil {
		return err
	}
	woken = slices.DeleteFunc(woken, func(w *walk) bool {
		return !slices.Contains(w.listens, e.Type) || w.done() && !w.due.IsZero() && l.now.After(w.due)
	})
	return l.wake(append(woken, fresh...))
}

// wake lets journeys take a turn: now, or when the late engine gets round to it.
func (l *life) wake(list []*walk) error {
	for _, w := range list {
		if l.late > 0 {
			if w.woken.IsZero() {
				w.woken = l.now
			}
			continue
		}
		if err := l.turn(w); err != nil {
			return err
		}
	}
	return nil
}

// maxAsks bounds how often one turn may ask.
const maxAsks = 10_000

// turn takes a turn of a journey, or lets one that is over judge what has come since.
func (l *life) turn(w *walk) error {
	w.woken = time.Time{}
	in := journey.Input{
		ID: w.id.ID, Version: 1, Now: l.now, Member: &l.member, Events: l.eventsFor(w), Behaviour: l.answers(w.plan.behaviours),
		Sent: l.counted(), Taken: l.taken, Via: []string{via}, Rewards: l.pieces,
	}
	take := l.p.program.TurnState
	if w.done() {
		take = l.p.program.AfterState
	}
	var gifts []gift
	var points, back int64 // that this turn has moved so far, and of these taken back
	l.benefits = l.member.Benefits
	for range maxAsks {
		state, d, ask, err := take(w.state, in)
		if err != nil {
			return err
		}
		if ask == nil {
			l.book(w, state, &d, gifts, back)
			return nil
		}
		answer, err := l.answer(w, ask, points)
		if err != nil {
			return err
		}
		if g := ask.Grant; g != nil && answer.OK && g.To == "" {
			gifts = append(gifts, gift{g, &answer})
			points += g.Points + answer.Points
		}
		for _, b := range answer.ClawedBack {
			if b.Member == "" {
				points, back = points-b.Points, back+b.Points
			}
		}
		l.watch.answered(l, w, ask, answer)
		if in.Answers == nil {
			in.Answers = map[string]campaign.Answer{}
		}
		in.Answers[ask.Key] = answer
	}
	return campaign.Errorf(campaign.CodeInternal, "a turn asked more than %d questions", maxAsks)
}

// answer answers the core's question as the store does; points are those that this turn
// has moved so far.
func (l *life) answer(w *walk, ask *campaign.Ask, points int64) (campaign.Answer, error) {
	switch {
	case ask.Take != nil:
		why := l.take(ask.Take)
		return campaign.Answer{OK: why == "", Reason: why}, nil
	case ask.Grant != nil:
		g := ask.Grant
		if g.PerMember != nil && g.To == "" {
			after := time.Unix(0, 0)
			if g.PerMember.Every > 0 {
				after = l.now.Add(-g.PerMember.Every)
			}
			had := 0
			for _, at := range l.granted[g.Reward] {
				if at.After(after) {
					had++
				}
			}
			if had >= g.PerMember.Times {
				return campaign.Answer{Reason: campaign.RefusedPerMember}, nil
			}
		}
		reward, known := l.p.def.Reward(g.Reward)
		if !known {
			return campaign.Answer{}, campaign.Errorf(campaign.CodeInternal, "campaign %s has no reward %s", l.p.def.Name, g.Reward)
		}
		worthOf := l.worth
		if g.To != "" {
			worthOf = worthToOther
		}
		worth, lack := worthOf(reward, g.Value)
		if reward.BudgetPerMember > 0 && g.To == "" && l.got[g.Reward]+worth > reward.BudgetPerMember {
			return campaign.Answer{Reason: campaign.RefusedPerMember}, nil
		}
		if lack != "" {
			return campaign.Answer{Reason: lack}, nil
		}
		takes := 1
		if reward.Ladder != nil {
			takes = int(worth) // whose limits are in points
		}
		inAll, today := l.p.limitOf("", g.Reward), l.p.limitOn(l.p.dayOf(l.from, l.now), g.Reward)
		var limits []int
		if today >= 0 {
			limits = append(limits, today)
		}
		if inAll >= 0 {
			limits = append(limits, inAll)
		}
		if k := l.shared(takes, limits...); k >= 0 && k == today {
			return campaign.Answer{Reason: campaign.RefusedPerDay}, nil
		} else if k >= 0 {
			if reward.PauseAt > 0 {
				return campaign.Answer{Reason: campaign.RefusedPaused}, nil
			}
			return campaign.Answer{Reason: campaign.RefusedBudget}, nil
		}
		if l.granted == nil {
			l.granted = map[string][]time.Time{}
		}
		var answer campaign.Answer
		if g.To == "" {
			l.granted[g.Reward] = append(l.granted[g.Reward], l.now)
			answer = campaign.Answer{OK: true, Points: l.paid(reward, worth), Piece: l.piece(reward)}
		} else {
			answer = l.toOther(reward, worth)
		}
		if g.Order != "" {
			l.led = append(l.led, &ledGrant{walk: w, ask: g, order: g.Order, reward: g.Reward, member: g.To, worth: worth, piece: answer.Piece})
		}
		return answer, nil
	case ask.ClawBack != nil:
		return campaign.Answer{OK: true, ClawedBack: l.clawBack(w, ask.ClawBack, points)}, nil
	case ask.Team != nil:
		return l.team(ask.Key, ask.Team), nil
	case ask.Vest != nil:
		return campaign.Answer{OK: true, Success: 1}, nil
	}
	return campaign.Answer{}, campaign.Errorf(campaign.CodeUnavailable,
		"the core asks %s, which this build cannot rehearse: update banyan", nameOf(ask))
}

// orderFor is an order for an offer.
type orderFor struct{ offer, order string }

// take takes what an order takes, or says why it takes nothing.
func (l *life) take(ask *campaign.TakeAsk) (why string) {
	of := orderFor{ask.Offer, ask.Order}
	if ask.Order != "" && l.took[of] {
		return campaign.TeamOrderTwice
	}
	if ask.Full {
		return ""
	}
	if k := l.p.limitOf(ask.Offer, ""); k >= 0 && l.shared(1, k) >= 0 {
		return campaign.RefusedStock
	}
	if l.took == nil {
		l.took = map[orderFor]bool{}
	}
	l.took[of] = true
	return ""
}

// nameOf names a question that is not known here.
func nameOf(ask *campaign.Ask) string {
	v := reflect.ValueOf(*ask)
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
			return fmt.Sprintf("%q (%s)", v.Type().Field(i).Name, ask.Key)
		}
	}
	return fmt.Sprintf("nothing (%s)", ask.Key)
}

// shared claims from limits; -1: they had something left.
func (l *life) shared(takes int, limits ...int) int {
	if len(limits) == 0 {
		return -1
	}
	l.asked++
	return l.keeper.may(limits, takes, l.now, l.asked)
}

// book writes down what a turn decided, as the store's transaction does; back are points that
// were taken back.
func (l *life) book(w *walk, state journey.State, d *campaign.Decision, gifts []gift, back int64) {
	w.state, w.due, w.listens, w.outcome = state, d.WaitUntil, d.Listens, d.Outcome
	for i := range d.Sends {
		if d.Sends[i].Kind == campaign.KindMarketing {
			l.sent = append(l.sent, d.Sends[i].At)
		}
	}
	for i := range d.Offers {
		o := &d.Offers[i]
		switch {
		case o.Ordered, o.State == campaign.OfferTaken && o.Team == "":
			if l.taken == nil {
				l.taken = map[string]int{}
			}
			l.taken[o.Offer]++
		case o.GaveBack:
			l.taken[o.Offer]--
		}
	}
	l.restock(d)
	d.Reviews = slices.DeleteFunc(d.Reviews, func(r campaign.Review) bool { return l.reviews[r.Key] })
	for _, r := range d.Reviews {
		if l.reviews == nil {
			l.reviews = map[string]bool{}
		}
		l.reviews[r.Key] = true
	}
	for _, g := range gifts {
		l.have(g)
	}
	l.member.Points -= back
	l.drawBacks()
	l.member.Benefits = l.benefits
	if len(gifts) > 0 || back > 0 || !d.Member.Empty() {
		l.change(d.Member)
		// No event tells of it: whether she is in a segment now is for the next sweep to find out.
		l.sweeps = len(l.p.segments) > 0
	}
	l.watch.decided(l, w, d)
}

// change changes the member. Whoever holds what it was before keeps it.
func (l *life) change(c campaign.MemberChange) {
	if len(c.AddTags)+len(c.RemoveTags) > 0 {
		tags := slices.DeleteFunc(slices.Concat(l.member.Tags, c.AddTags), func(t string) bool { return slices.Contains(c.RemoveTags, t) })
		slices.Sort(tags)
		l.member.Tags = slices.Compact(tags)
	}
	if len(c.Set) > 0 {
		attributes := make(map[string]json.RawMessage, len(l.member.Attributes)+len(c.Set))
		for k, v := range l.member.Attributes {
			attributes[k] = v
		}
		for k, v := range c.Set {
			attributes[k] = v
		}
		l.member.Attributes = attributes
		if level, ok := c.Set["level"]; ok {
			_ = json.Unmarshal(level, &l.member.Level) // one that is no string is not read as one
		}
	}
}
