package simulate

import (
	"encoding/json"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// scribe writes what becomes of one member into a tally.
type scribe struct {
	p      *Plan
	from   time.Time
	t      *tally
	weight int64 // 1, or -1 to take her out again

	messages   int
	onDay      []int32 // messages by day, where she got some
	days       []int32 // which days these are
	held       bool
	inside     bool // she entered something
	converted  bool
	paid, back int64
	orders     map[string]int64 // what each order paid
}

// mark is what the scribe keeps of a walk.
type mark struct {
	seen     []uint64 // steps reached
	segments []int    // she was in at the entry
	ended    bool
}

func (s *scribe) reset() {
	*s = scribe{p: s.p, from: s.from, t: s.t, weight: s.weight, onDay: s.onDay[:0], days: s.days[:0]}
}

// day is the day of a moment; what came before the start counts to the first.
func (s *scribe) day(at time.Time) int {
	return min(max(int(at.Sub(s.from)/(24*time.Hour)), 0), len(s.t.days)-1)
}

func (s *scribe) happened(l *life, e *campaign.Event) {
	if e.Type == campaign.EventCallAnswered || e.Type == campaign.EventLevelChanged {
		return // nobody told it
	}
	s.t.events += s.weight
	switch e.Type {
	case campaign.EventOrderPaid:
		var props struct {
			Order  string         `json:"order"`
			Amount campaign.Money `json:"amount"`
		}
		if json.Unmarshal(e.Properties, &props) != nil || props.Amount.Currency != s.p.def.Currency {
			return
		}
		if s.orders == nil {
			s.orders = map[string]int64{}
		}
		if _, known := s.orders[props.Order]; known && props.Order != "" {
			return // the shop tells of it again
		}
		s.orders[props.Order] = props.Amount.Minor
		s.paid += props.Amount.Minor
		s.t.orders += s.weight
		s.t.days[s.day(l.now)].revenue += s.weight * props.Amount.Minor
	case eventRefunded:
		var props struct {
			Order string `json:"order"`
		}
		if json.Unmarshal(e.Properties, &props) != nil {
			return
		}
		if amount, ok := s.orders[props.Order]; ok && amount != 0 {
			s.orders[props.Order] = 0
			s.back += amount
			s.t.refunded += s.weight
			s.t.days[s.day(l.now)].refunds += s.weight * amount
		}
	}
}

// eventRefunded takes an order back in the numbers of revenue, where a campaign hears it.
const eventRefunded = "order.refunded"

func (s *scribe) entered(l *life, w *walk) {
	m := &mark{seen: make([]uint64, (len(w.plan.order)+63)/64)}
	w.mark = m
	j := &s.t.journeys[w.plan.index]
	s.inside = true
	if w.id.Holdout {
		s.held = true
		j.heldOut += s.weight
		return
	}
	j.entered += s.weight
	s.t.days[s.day(l.now)].entered += s.weight
	for i := range s.p.def.Segments {
		if l.in(s.p.def.Segments[i].Name) {
			m.segments = append(m.segments, i)
			j.segments[i].entered += s.weight
		}
	}
}

func (s *scribe) answered(l *life, w *walk, ask *campaign.Ask, a campaign.Answer) {
	if ask.Grant == nil || w.id.Holdout {
		return
	}
	i := s.p.reward(ask.Grant.Reward)
	if i < 0 {
		return
	}
	r := &s.t.rewards[i]
	if !a.OK {
		r.not[a.Reason] += s.weight
		return
	}
	r.granted += s.weight
	worth := s.p.def.Rewards[i].Gift().Worth()
	if a.Points > 0 {
		worth = a.Points
	}
	r.worth += s.weight * worth
	s.t.days[s.day(l.now)].worth[i] += s.weight * worth
}

func (s *scribe) decided(l *life, w *walk, d *campaign.Decision) {
	s.t.turns += s.weight
	m, _ := w.mark.(*mark)
	j := &s.t.journeys[w.plan.index]
	for i := range d.Trace {
		s.line(w, m, j, &d.Trace[i])
	}
	for _, send := range messagesOf(d) {
		if k := s.p.message(send.Message); k >= 0 {
			s.t.messages[k].sent += s.weight
		}
		day := s.day(l.now)
		s.t.days[day].messages += s.weight
		s.messages++
		if n := len(s.days); n > 0 && s.days[n-1] == int32(day) {
			s.onDay[n-1]++
		} else {
			s.days, s.onDay = append(s.days, int32(day)), append(s.onDay, 1)
		}
	}
	for i := range d.Offers {
		s.offer(l, &d.Offers[i])
	}
	for i := range d.Reviews {
		s.t.reviews[string(d.Reviews[i].Kind)] += s.weight
	}
	if d.Goal != nil {
		s.converted = true
		if w.id.Holdout {
			j.heldConverted += s.weight
		} else {
			j.converted += s.weight
			j.value += s.weight * d.Goal.Value.Minor
			s.t.days[s.day(l.now)].converted += s.weight
			for _, i := range m.segments {
				j.segments[i].converted += s.weight
			}
		}
	}
	if w.done() && !m.ended {
		m.ended = true
		if !w.id.Holdout {
			j.outcomes[w.outcome] += s.weight
		}
	}
}

func (s *scribe) offer(l *life, o *campaign.OfferEffect) {
	i := s.p.offer(o.Offer)
	if i < 0 {
		return
	}
	t := &s.t.offers[i]
	if o.State == campaign.OfferOpen && (o.Ordered || o.GaveBack) {
		return // it was open before
	}
	switch o.State {
	case campaign.OfferOpen:
		t.opened += s.weight
	case campaign.OfferTaken:
		t.taken += s.weight
		t.revenue += s.weight * o.Paid.Minor
		s.t.days[s.day(l.now)].taken[i] += s.weight
	case campaign.OfferLapsed:
		t.lapsed += s.weight
	case campaign.OfferWithdrawn:
		t.withdrawn += s.weight
	}
}

func (s *scribe) line(w *walk, m *mark, j *journeyTally, l *campaign.TraceLine) {
	if l.Kind == campaign.TraceFault {
		s.t.faults[w.plan.Name+": "+l.Params["where"]+": "+l.Params["detail"]] += s.weight
		return
	}
	if w.id.Holdout {
		return
	}
	at, known := w.plan.steps[l.Step]
	switch l.Kind {
	case campaign.TraceStep:
		if !known {
			return
		}
		j.steps[at].visits += s.weight
		if bit := uint64(1) << (at % 64); m.seen[at/64]&bit == 0 {
			m.seen[at/64] |= bit
			j.steps[at].reached += s.weight
		}
	case campaign.TraceHappened, campaign.TraceAnswered, campaign.TraceReviewDecided, campaign.TraceTeamFormed, campaign.TraceCallAnswered:
		if known {
			j.steps[at].happened += s.weight
		}
	case campaign.TraceTimedOut, campaign.TraceReviewOver, campaign.TraceTeamFailed:
		if known {
			j.steps[at].timedOut += s.weight
		}
	case campaign.TraceDelayed:
		if k := s.p.message(l.Params["message"]); k >= 0 {
			if l.Params["reason"] == campaign.ReasonCap {
				s.t.messages[k].capped += s.weight
			} else {
				s.t.messages[k].quiet += s.weight
			}
		}
	case campaign.TraceNotSent:
		if k := s.p.message(l.Params["message"]); k >= 0 {
			s.t.messages[k].not[l.Params["reason"]] += s.weight
		}
	case campaign.TraceOfferSkipped:
		if k := s.p.offer(l.Params["offer"]); k >= 0 {
			s.t.offers[k].skipped += s.weight
		}
	case campaign.TraceOfferRefused:
		if k := s.p.offer(l.Params["offer"]); k >= 0 {
			s.t.offers[k].refused += s.weight
		}
	case campaign.TraceLate:
		s.t.late += s.weight
	default: // told elsewhere
	}
}

// finish adds what can only be said at the end.
func (s *scribe) finish(l *life) {
	s.t.members += s.weight
	s.t.perMember = at(s.t.perMember, s.messages, s.weight)
	busiest := int32(0)
	for i := range s.onDay {
		busiest = max(busiest, s.onDay[i])
	}
	s.t.busiest = at(s.t.busiest, int(busiest), s.weight)
	s.t.revenue += s.weight * s.paid
	s.t.refunds += s.weight * s.back
	if s.inside {
		arm := &s.t.arms[0]
		if s.held {
			arm = &s.t.arms[1]
		}
		arm.members += s.weight
		arm.revenue += s.weight * s.paid
		arm.refunds += s.weight * s.back
		if s.converted {
			arm.converted += s.weight
		}
	}
	for _, w := range l.walks {
		if w.done() || w.id.Holdout {
			continue
		}
		j := &s.t.journeys[w.plan.index]
		j.active += s.weight
		if i, ok := w.plan.steps[w.state.Step]; ok {
			j.steps[i].waiting += s.weight
		}
	}
}
