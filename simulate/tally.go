package simulate

// tally is what came of many members. Everything in it is a whole number that members add
// to, so that it comes out the same in whatever order and on however many cores they are
// taken, and a member can be taken out of it again.
type tally struct {
	members  int64
	events   int64
	turns    int64
	journeys []journeyTally
	messages []messageTally
	offers   []offerTally
	rewards  []rewardTally
	rules    []ruleTally  // of points
	levels   []levelTally // of points
	expired  int64        // points
	arms     [2]armTally  // entrants, and those held out

	days      []dayTally
	perMember []int64 // members by how many messages they got
	busiest   []int64 // members by how many they got on their busiest day

	revenue, refunds int64 // of everybody, in minor units
	orders, refunded int64
	late             int64
	reviews          map[string]int64
	faults           map[string]int64 // by place and words
}

type dayTally struct {
	entered, messages, converted, revenue, refunds int64
	worth                                          []int64 // points or pieces, by reward
	taken                                          []int64 // by offer
}

type journeyTally struct {
	entered, converted, value, active int64
	heldOut, heldConverted            int64
	steps                             []stepTally
	outcomes                          map[string]int64
	segments                          []segmentTally
}

type segmentTally struct{ entered, converted int64 }

type stepTally struct {
	reached, visits, waiting, happened, timedOut int64
}

type messageTally struct {
	sent, quiet, capped int64
	not                 map[string]int64 // by reason
}

type offerTally struct {
	opened, taken, lapsed, withdrawn, revenue int64
	skipped, refused                          int64
}

type rewardTally struct {
	granted, worth int64            // worth: points or pieces
	not            map[string]int64 // by reason
}

type armTally struct{ members, converted, revenue, refunds int64 }

func newTally(p *Plan, days int) *tally {
	t := &tally{
		journeys: make([]journeyTally, len(p.def.Journeys)), messages: make([]messageTally, len(p.def.Messages)),
		offers: make([]offerTally, len(p.def.Offers)), rewards: make([]rewardTally, len(p.def.Rewards)),
		days: make([]dayTally, days), reviews: map[string]int64{}, faults: map[string]int64{},
	}
	if points := p.def.Points; points != nil {
		t.rules, t.levels = make([]ruleTally, len(points.Rules)), make([]levelTally, len(points.Levels))
	}
	for i := range t.journeys {
		jp := p.journeys[p.def.Journeys[i].Name]
		t.journeys[i].steps = make([]stepTally, len(jp.order))
		t.journeys[i].outcomes = map[string]int64{}
		t.journeys[i].segments = make([]segmentTally, len(p.def.Segments))
	}
	for i := range t.messages {
		t.messages[i].not = map[string]int64{}
	}
	for i := range t.rewards {
		t.rewards[i].not = map[string]int64{}
	}
	for i := range t.days {
		t.days[i].worth, t.days[i].taken = make([]int64, len(t.rewards)), make([]int64, len(t.offers))
	}
	return t
}

// merge adds another tally of the same plan.
func (t *tally) merge(o *tally) {
	t.members, t.events, t.turns = t.members+o.members, t.events+o.events, t.turns+o.turns
	t.revenue, t.refunds, t.orders, t.refunded, t.late = t.revenue+o.revenue, t.refunds+o.refunds, t.orders+o.orders, t.refunded+o.refunded, t.late+o.late
	for i := range t.journeys {
		a, b := &t.journeys[i], &o.journeys[i]
		a.entered, a.converted, a.value, a.active = a.entered+b.entered, a.converted+b.converted, a.value+b.value, a.active+b.active
		a.heldOut, a.heldConverted = a.heldOut+b.heldOut, a.heldConverted+b.heldConverted
		for k := range a.steps {
			x, y := &a.steps[k], &b.steps[k]
			x.reached, x.visits, x.waiting = x.reached+y.reached, x.visits+y.visits, x.waiting+y.waiting
			x.happened, x.timedOut = x.happened+y.happened, x.timedOut+y.timedOut
		}
		for k := range a.segments {
			a.segments[k].entered += b.segments[k].entered
			a.segments[k].converted += b.segments[k].converted
		}
		addAll(a.outcomes, b.outcomes)
	}
	for i := range t.messages {
		a, b := &t.messages[i], &o.messages[i]
		a.sent, a.quiet, a.capped = a.sent+b.sent, a.quiet+b.quiet, a.capped+b.capped
		addAll(a.not, b.not)
	}
	for i := range t.offers {
		a, b := &t.offers[i], &o.offers[i]
		a.opened, a.taken, a.lapsed, a.withdrawn = a.opened+b.opened, a.taken+b.taken, a.lapsed+b.lapsed, a.withdrawn+b.withdrawn
		a.revenue, a.skipped, a.refused = a.revenue+b.revenue, a.skipped+b.skipped, a.refused+b.refused
	}
	for i := range t.rewards {
		a, b := &t.rewards[i], &o.rewards[i]
		a.granted, a.worth = a.granted+b.granted, a.worth+b.worth
		addAll(a.not, b.not)
	}
	for i := range t.rules {
		a, b := &t.rules[i], &o.rules[i]
		a.gains, a.points, a.perDay, a.perMember = a.gains+b.gains, a.points+b.points, a.perDay+b.perDay, a.perMember+b.perMember
		a.undecided, a.reversed, a.short = a.undecided+b.undecided, a.reversed+b.reversed, a.short+b.short
	}
	for i := range t.levels {
		t.levels[i].risen += o.levels[i].risen
		t.levels[i].fallen += o.levels[i].fallen
	}
	t.expired += o.expired
	for i := range t.arms {
		a, b := &t.arms[i], &o.arms[i]
		a.members, a.converted, a.revenue, a.refunds = a.members+b.members, a.converted+b.converted, a.revenue+b.revenue, a.refunds+b.refunds
	}
	for i := range t.days {
		a, b := &t.days[i], &o.days[i]
		a.entered, a.messages, a.converted, a.revenue = a.entered+b.entered, a.messages+b.messages, a.converted+b.converted, a.revenue+b.revenue
		a.refunds += b.refunds
		for k := range a.worth {
			a.worth[k] += b.worth[k]
		}
		for k := range a.taken {
			a.taken[k] += b.taken[k]
		}
	}
	t.perMember, t.busiest = addEach(t.perMember, o.perMember), addEach(t.busiest, o.busiest)
	addAll(t.reviews, o.reviews)
	addAll(t.faults, o.faults)
}

func addAll(to, from map[string]int64) {
	for k, n := range from {
		if to[k] += n; to[k] == 0 {
			delete(to, k)
		}
	}
}

func addEach(to, from []int64) []int64 {
	for len(to) < len(from) {
		to = append(to, 0)
	}
	for i, n := range from {
		to[i] += n
	}
	return to
}

// at counts in a histogram that grows.
func at(list []int64, i int, n int64) []int64 {
	for len(list) <= i {
		list = append(list, 0)
	}
	list[i] += n
	return list
}
