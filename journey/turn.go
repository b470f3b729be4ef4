package journey

import (
	"maps"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// Input is all that a turn may know besides the definition and the state.
type Input struct {
	ID      campaign.JourneyID
	Version int
	// Now is PostgreSQL's time on the campaign's clock, read under the member's lock:
	// every event stored until then is among Events.
	Now    time.Time
	Member *campaign.Member
	// Events are the member's events of the types that Needs names, numbered after
	// the cursor or not older than the state's Since, by number.
	Events    []campaign.Event
	Behaviour map[campaign.Behaviour]campaign.BehaviourValue
	// Sent are the moments of the member's messages that count against the
	// campaign's cap, ascending.
	Sent []time.Time
	// Taken counts the offers that the member has taken in this campaign, by name.
	Taken map[string]int
	// Rewards are the coupons and benefits that the member was granted last in this
	// campaign, by reward, where the program reads them.
	Rewards map[string]campaign.Piece
	// Answers are the answers to what earlier runs of this turn asked, by key.
	Answers map[string]campaign.Answer
	// Via is the installation's default list of channels.
	Via []string
	// EndNow ends the journey, whatever it waits for.
	EndNow bool
}

// maxStepsPerTurn stops a turn that would never end. The checker refuses loops without
// a wait and bounds campaigns and repeats, so reaching it is a fault of ours.
const maxStepsPerTurn = 50_000

// enoughSteps is after how many steps a turn leaves what is due to the next one, so that
// a journey that goes round in a short loop catches up with a long pause in pieces.
const enoughSteps = 1_000

// Turn takes one turn. When the core needs an exact answer (is there stock left, does
// the budget allow it) it returns the question instead of a decision: the driver
// answers it under a lock and calls again with the same state and the answer added.
func (p *Program) Turn(state State, in Input) (campaign.Decision, *campaign.Ask, error) {
	return saved(p.TurnState(state, in))
}

// TurnState is Turn for a driver that keeps states in memory: the new state comes as it
// is, and the decision holds none. It may point to the input's events, which therefore
// must not change afterwards.
func (p *Program) TurnState(state State, in Input) (State, campaign.Decision, *campaign.Ask, error) {
	pl, err := p.plan(in.ID.Journey)
	if err != nil {
		return State{}, campaign.Decision{}, nil, err
	}
	r := newRunner(p, pl, state, &in)
	r.live()
	return r.result()
}

// After judges events that come after the journey's end: an order for an offer without
// a lock still takes it; one that comes too late is recorded, because somebody paid;
// and a conversion that by its own time fell into the journey counts, however late it
// arrives.
func (p *Program) After(state State, in Input) (campaign.Decision, *campaign.Ask, error) {
	return saved(p.AfterState(state, in))
}

// AfterState is After for a driver that keeps states in memory, as TurnState is Turn.
func (p *Program) AfterState(state State, in Input) (State, campaign.Decision, *campaign.Ask, error) {
	pl, err := p.plan(in.ID.Journey)
	if err != nil {
		return State{}, campaign.Decision{}, nil, err
	}
	r := newRunner(p, pl, state, &in)
	r.after(r.unjudged())
	return r.result()
}

func (r *runner) after(queue []*campaign.Event) {
	for _, e := range queue {
		r.reserved(e)
		unvests := r.mayUnvest(e)
		if r.refunded(e); r.asked != nil {
			return
		}
		if unvests {
			r.unreferred(r.pl.nodes[r.s.Step], e)
		}
		if r.approved(e); r.asked != nil {
			return
		}
		// One that is heard longer than the others is heard for the sake of refunds.
		if h := r.horizon(); !h.IsZero() && e.Stored.After(h) {
			r.s.Cursor = max(r.s.Cursor, e.Seq)
			continue
		}
		if r.order(e); r.asked != nil {
			return
		}
		r.missed(e)
		if !e.Time.After(r.s.Ended) {
			r.judgeGoal(e)
		}
		r.s.Cursor = max(r.s.Cursor, e.Seq)
	}
}

type runner struct {
	p     *Program
	pl    *plan
	s     State
	in    *Input
	d     campaign.Decision
	asked *campaign.Ask
	sent  []time.Time
	taken map[string]int
	facts rules.Facts
	now   time.Time // of the turn
	at    time.Time // of the thing that is being judged
	steps int
	fault error

	again  bool   // the event was not judged: the team was formed before it
	looked string // the key of the team whose numbers are of this turn

	counted bool // the order that is being judged has, or had, a place in a team
}

func newRunner(p *Program, pl *plan, state State, in *Input) *runner {
	r := &runner{p: p, pl: pl, s: state, in: in, now: in.Now, at: in.Now, taken: maps.Clone(in.Taken)}
	// The caller may run the same state again with more answers, so nothing that it
	// holds may be written through.
	r.s.Moved = slices.Clone(state.Moved)
	r.s.Open = slices.Clone(state.Open)
	r.s.Closed = slices.Clone(state.Closed)
	r.s.Missed = slices.Clone(state.Missed)
	r.s.Pending = slices.Clone(state.Pending)
	r.s.Rounds = slices.Clone(state.Rounds)
	r.s.Splits = slices.Clone(state.Splits)
	r.s.Orders = slices.Clone(state.Orders)
	if state.Offer != nil {
		o := *state.Offer
		r.s.Offer = &o
	}
	if state.Asked != nil {
		a := *state.Asked
		r.s.Asked = &a
	}
	if state.Review != nil {
		v := *state.Review
		r.s.Review = &v
	}
	if state.Team != nil {
		t := *state.Team
		r.s.Team = &t
	}
	if state.Call != nil {
		c := *state.Call
		r.s.Call = &c
	}
	if state.Referral != nil {
		ref := *state.Referral
		r.s.Referral = &ref
	}
	r.sent = slices.Clone(in.Sent)
	r.facts = rules.Facts{Now: in.Now, Member: in.Member, Behaviour: in.Behaviour, Rewards: in.Rewards}
	return r
}

// live runs the journey through everything that has happened and fallen due. Should it
// end on the way, what came behind its end is judged as After would: nobody will be
// poked for that any more.
func (r *runner) live() {
	queue := r.through(r.unjudged())
	if r.s.Outcome != "" && r.asked == nil && r.fault == nil {
		r.after(queue)
	}
}

// through answers the events that it has not come to.
func (r *runner) through(queue []*campaign.Event) []*campaign.Event {
	if r.s.Fresh {
		r.s.Fresh = false
		r.s.Order = r.paidBy(r.s.Start, nil)
		if r.s.Holdout {
			r.trace(campaign.TraceHeldOut, "")
		}
		r.at = r.s.Since
		r.move(r.pl.first)
	}
	for !r.stopped() {
		// At the end of the campaign no further step begins, but an order that was stored
		// before still takes its offer.
		if !r.in.EndNow {
			r.settle()
		}
		if r.stopped() {
			return queue
		}
		due := r.nextDue()
		switch {
		case len(queue) > 0 && (due.IsZero() || r.in.EndNow || !queue[0].Stored.After(due)):
			r.at = queue[0].Stored
			if r.event(queue[0]); r.asked == nil && !r.again {
				r.s.Cursor = max(r.s.Cursor, queue[0].Seq)
				queue = queue[1:]
			}
			r.again = false
		case r.in.EndNow:
			r.at = r.now
			r.leave(campaign.OutcomeEnded)
		case !due.IsZero() && !due.After(r.now):
			if r.steps >= enoughSteps && (len(queue) == 0 || queue[0].Seq > r.s.Cursor) {
				return queue
			}
			r.at = due
			r.fire(due)
		default:
			return queue
		}
		if r.s.Ending != "" && len(r.s.Pending) == 0 && !r.ordered() && !r.stopped() {
			r.over(r.s.Ending) // the last delayed message has fallen away
		}
	}
	return queue
}

// unjudged are the events that no turn has looked at, in the order of their storing.
// In the first turn these are also events stored before the one that started the
// journey, if by their own time they came after it.
func (r *runner) unjudged() []*campaign.Event {
	var queue []*campaign.Event
	for i := range r.in.Events {
		e := &r.in.Events[i]
		fresh := r.s.Fresh && !e.Time.Before(r.s.Entered) && !slices.Contains(r.s.Moved, e.Seq)
		if e.Seq > r.s.Cursor || fresh {
			queue = append(queue, e)
		}
	}
	return queue
}

func (r *runner) stopped() bool { return r.asked != nil || r.fault != nil || r.s.Outcome != "" }

// settle runs steps until one waits or the journey is over.
func (r *runner) settle() {
	for !r.stopped() && !r.s.Waiting && r.s.Ending == "" {
		if r.steps++; r.steps > maxStepsPerTurn {
			r.fault = campaign.Errorf(campaign.CodeInternal, "journey %s runs through more than %d steps without a wait", r.in.ID.Journey, maxStepsPerTurn)
			return
		}
		if r.s.Step == "" {
			r.finish(campaign.OutcomeCompleted)
			return
		}
		n := r.pl.nodes[r.s.Step]
		if n == nil {
			r.fault = campaign.Errorf(campaign.CodeInternal, "journey %s has no step %s", r.in.ID.Journey, r.s.Step)
			return
		}
		r.s.Visit++
		r.traceAt(n.id, campaign.TraceStep, "name", n.name)
		r.enter(n)
	}
}

// enter begins a step. Each kind has its file.
func (r *runner) enter(n *node) {
	switch s := n.step.(type) {
	case *campaign.Send:
		r.enterSend(n, s)
	case *campaign.Wait:
		r.enterWait(n, s)
	case *campaign.Await:
		r.enterAwait(n, s)
	case *campaign.MakeOffer:
		r.enterOffer(n, s)
	case *campaign.Choose:
		r.enterChoose(n, s)
	case *campaign.Split:
		r.enterSplit(n, s)
	case *campaign.Repeat:
		r.enterRepeat(n, s)
	case *campaign.Tag:
		r.enterTag(n, s)
	case *campaign.Untag:
		r.enterUntag(n, s)
	case *campaign.Set:
		r.enterSet(n, s)
	case *campaign.Grant:
		r.enterGrant(n, s)
	case *campaign.AskQuestion:
		r.enterAsk(n, s)
	case *campaign.OpenReview:
		r.enterReview(n, s)
	case *campaign.FormTeam:
		r.enterTeam(n, s)
	case *campaign.CallService:
		r.enterCall(n, s)
	case *campaign.Goto:
		r.enterGoto(n, s)
	case *campaign.End:
		r.enterEnd(s)
	case *campaign.FollowReferral:
		r.enterRefer(n)
	}
}

// event judges one event: may it end the journey, does the step wait for it, is it an
// order for an offer, has it come too late, is it the goal.
func (r *runner) event(e *campaign.Event) {
	if campaign.ElsewhereReferred(e, r.in.ID.Campaign) {
		return
	}
	if r.again = r.formedBefore(e); r.again || r.stopped() {
		return
	}
	moved, again := r.bought(e)
	if r.again = again; again || r.stopped() {
		return
	}
	r.reserved(e)
	if r.refunded(e); r.asked != nil {
		return
	}
	if r.approved(e); r.asked != nil {
		return
	}
	if !e.Time.Before(r.s.Entered) && r.pl.Exit != nil && r.pl.Exit.Event == e.Type && r.s.Ending == "" && r.holds("exit", r.pl.exit, e) {
		r.trace(campaign.TraceExited, "", "type", e.Type, "event", e.ID)
		r.leave(campaign.OutcomeExited)
		return
	}
	waited := r.ordered()
	r.counted = false
	if r.order(e); r.asked != nil {
		return
	}
	if r.counted || !waited && r.ordered() {
		return // whether it reaches the goal is judged when the team is complete
	}
	if r.s.Waiting && r.s.Ending == "" {
		n := r.pl.nodes[r.s.Step]
		switch s := n.step.(type) {
		case *campaign.Await:
			if r.awaits(n, s, e) {
				r.happened(n, e)
				moved = true
			}
		case *campaign.AskQuestion:
			if r.isReply(s, e) {
				r.replied(n, s, e)
				moved = true
			}
		case *campaign.OpenReview:
			moved = r.decided(n, e)
		case *campaign.FormTeam:
			moved = r.isFormed(n, e)
		case *campaign.CallService:
			moved = r.called(n, s, e)
		case *campaign.FollowReferral:
			if moved = r.referred(n, e); r.asked != nil {
				return
			}
		case *campaign.Send, *campaign.Wait, *campaign.MakeOffer, *campaign.Choose, *campaign.Split, *campaign.Repeat, *campaign.Tag,
			*campaign.Untag, *campaign.Set, *campaign.Grant, *campaign.Goto, *campaign.End: // wait for no event, or for an order, which was judged above
		}
	}
	if !moved {
		r.missed(e)
	}
	r.judgeGoal(e)
}

func (r *runner) judgeGoal(e *campaign.Event) {
	if r.pl.Goal == nil || r.s.Goal || r.pl.Goal.Event != e.Type || e.Time.Before(r.s.Entered) || !r.holds("goal", r.pl.goal, e) {
		return
	}
	r.s.Goal = true
	value := amount(e, r.p.def.Currency)
	if value.Currency != r.p.def.Currency {
		value = campaign.Money{Currency: r.p.def.Currency} // what goals are worth is added up
	}
	r.d.Goal = &campaign.Goal{At: e.Time, Event: e.ID, Value: value}
	params := []string{"event", e.ID}
	if !value.IsZero() {
		params = append(params, "value", value.String())
	}
	r.trace(campaign.TraceGoal, "", params...)
	if r.s.GoalOrder = r.paidBy(e, nil); r.s.GoalOrder != "" {
		r.goalBack(r.orderOf(r.s.GoalOrder))
	}
	if r.pl.OnGoal != campaign.GoalContinues && r.s.Ending == "" && r.s.Outcome == "" {
		if r.ordered() { // she has paid, and is not taken out of her team
			r.dropPendingWhere(campaign.ReasonLeft, func(p *Pending) bool { return p.Team != r.s.Team.Key })
			r.finish(campaign.OutcomeConverted)
			return
		}
		if r.s.Waiting && r.waitsForOffer() {
			r.withdraw(r.s.Offer)
		}
		r.withdrawReview()
		r.giveUpCall(campaign.ReasonLeft)
		r.dropPending(campaign.ReasonLeft)
		r.finish(campaign.OutcomeConverted)
	}
}

// nextDue is the earliest moment at which something falls due; zero: nothing will.
func (r *runner) nextDue() time.Time {
	var due time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	for i := range r.s.Pending {
		earlier(r.s.Pending[i].Due)
	}
	switch {
	case r.ordered():
		earlier(r.s.Team.closes())
	case r.s.Waiting && r.s.Ending == "":
		earlier(r.stepDue())
	}
	return due
}

func (r *runner) stepDue() time.Time {
	switch s := r.pl.nodes[r.s.Step].step.(type) {
	case *campaign.Wait, *campaign.Repeat, *campaign.CallService:
		return r.s.Deadline
	case *campaign.Await:
		return r.s.Deadline.Add(s.Grace)
	case *campaign.MakeOffer:
		return r.s.Offer.heardUntil()
	case *campaign.AskQuestion:
		if !r.s.Deadline.IsZero() { // or the question is pending
			return r.s.Deadline.Add(s.Grace)
		}
	case *campaign.OpenReview:
		return r.s.Review.due()
	case *campaign.FormTeam:
		return r.s.Team.EndsAt
	case *campaign.FollowReferral:
		return r.referralDue()
	case *campaign.Send: // its message is pending
	case *campaign.Choose, *campaign.Split, *campaign.Tag, *campaign.Untag, *campaign.Set, *campaign.Grant, *campaign.Goto,
		*campaign.End: // never wait
	}
	return time.Time{}
}

// fire does what fell due at a moment: messages before the end of the wait, so that a
// reminder due at the last moment is judged while its offer is open.
func (r *runner) fire(due time.Time) {
	for i := range r.s.Pending {
		if !r.s.Pending[i].Due.After(due) {
			r.firePending(i)
			return
		}
	}
	n := r.pl.nodes[r.s.Step]
	switch s := n.step.(type) {
	case *campaign.Wait:
		r.since(r.s.Deadline, 0)
		r.move(n.next)
	case *campaign.Await:
		r.timedOut(n, s)
	case *campaign.MakeOffer:
		if r.ordered() {
			r.boughtDue(n)
			return
		}
		r.lapse(n)
	case *campaign.Repeat:
		r.nextRound(n, s)
	case *campaign.AskQuestion:
		r.notAnswered(n, s)
	case *campaign.OpenReview:
		r.reviewDue(n, s)
	case *campaign.FormTeam:
		r.teamDue(n)
	case *campaign.CallService:
		r.notCalled(n, s)
	case *campaign.FollowReferral:
		r.referralFires(n)
	case *campaign.Send, *campaign.Choose, *campaign.Split, *campaign.Tag, *campaign.Untag, *campaign.Set, *campaign.Grant,
		*campaign.Goto, *campaign.End:
		r.fault = campaign.Errorf(campaign.CodeInternal, "step %s of journey %s has no timer", n.id, r.in.ID.Journey)
	}
}

// move goes to a step, which settle will enter.
func (r *runner) move(id string) {
	r.s.Step, r.s.Waiting, r.s.Deadline = id, false, time.Time{}
}

// since sets the logical moment of the next step: the own time of an event (seq) or
// the due moment of a timer (0). It never goes back.
func (r *runner) since(t time.Time, seq int64) {
	if t.After(r.s.Since) {
		r.s.Since, r.s.Moved = t, nil
	}
	if seq != 0 {
		r.s.Moved = append(r.s.Moved, seq)
	}
}

// finish ends the journey in its own course: delayed messages still go out first, and a
// team in which she has paid is waited for.
func (r *runner) finish(outcome string) {
	if len(r.s.Pending) > 0 || r.ordered() {
		r.s.Ending, r.s.Waiting = outcome, true
		return
	}
	r.over(outcome)
}

// leave ends the journey at once: open offers are withdrawn, and what this turn or an
// earlier one had not yet sent is not sent.
func (r *runner) leave(outcome string) {
	if formed := r.leaveTeam(); !formed.IsZero() {
		r.teamFormed(r.pl.nodes[r.s.Step], formed, 0)
	}
	if r.stopped() {
		return
	}
	if r.leaveBought(campaign.RefundLeft); r.stopped() {
		return
	}
	if r.s.Waiting && r.s.Ending == "" && r.waitsForOffer() {
		r.withdraw(r.s.Offer)
	}
	r.leaveReferral()
	r.withdrawReview()
	r.giveUpCall(campaign.ReasonLeft)
	for i := range r.s.Open {
		r.withdraw(&r.s.Open[i])
	}
	r.s.Open = nil
	for _, send := range r.d.Sends {
		r.traceAt(send.Step, campaign.TraceNotSent, "message", send.Message, "reason", campaign.ReasonLeft)
	}
	r.d.Sends = nil
	r.dropPending(campaign.ReasonLeft)
	r.over(outcome)
}

func (r *runner) over(outcome string) {
	r.s.Outcome, r.s.Ending, r.s.Waiting, r.s.Ended = outcome, "", false, r.at
	r.trace(campaign.TraceEnded, "", "outcome", outcome)
}

func (r *runner) waitsForOffer() bool {
	n := r.pl.nodes[r.s.Step]
	if n == nil {
		return false
	}
	_, ok := n.step.(*campaign.MakeOffer)
	return ok && r.s.Offer != nil && r.s.Offer.State == campaign.OfferOpen
}

// holds decides a condition; none holds always. One that cannot be decided does not
// hold, and the trace says so.
func (r *runner) holds(where string, x *rules.Expr, e *campaign.Event) bool {
	if x == nil {
		return true
	}
	ok, err := x.Bool(r.with(e))
	if err != nil {
		r.trace(campaign.TraceFault, "", "where", where, "detail", err.Error())
		return false
	}
	return ok
}

// with gives the facts for an expression; e is `event`.
func (r *runner) with(e *campaign.Event) *rules.Facts { return r.withOffer(e, r.s.Offer) }

// withOffer is with for a message about an offer that need not be the one opened last.
func (r *runner) withOffer(e *campaign.Event, o *Offer) *rules.Facts {
	r.facts.Event, r.facts.Start, r.facts.Answers = e, r.s.Start, r.s.Answers
	r.facts.Offer, r.facts.Team = nil, nil
	if t := r.s.Team; t != nil {
		r.facts.Team = &rules.TeamView{Code: t.Code, Size: t.Size, Joined: t.Joined, EndsAt: t.EndsAt, Leader: t.Leader}
	}
	r.facts.Calls = r.s.Calls
	if o != nil {
		view := rules.OfferView{ID: o.ID, Name: o.Name, Price: o.Price, ListPrice: o.ListPrice, ExpiresAt: o.ExpiresAt}
		if def, ok := r.p.def.Offer(o.Name); ok {
			view.Title = def.Title
		}
		r.facts.Offer = &view
	}
	return &r.facts
}

// ask puts a question to the keeper of the truth; ok is false until it is answered.
func (r *runner) ask(a campaign.Ask) (campaign.Answer, bool) {
	if answer, ok := r.in.Answers[a.Key]; ok {
		return answer, true
	}
	a.Version = r.in.Version
	r.asked = &a
	return campaign.Answer{}, false
}

func (r *runner) trace(kind campaign.TraceKind, step string, params ...string) {
	if step == "" {
		step = r.s.Step
	}
	r.traceAt(step, kind, params...)
}

func (r *runner) traceAt(step string, kind campaign.TraceKind, params ...string) {
	line := campaign.TraceLine{At: r.at, Step: step, Kind: kind}
	for i := 0; i+1 < len(params); i += 2 {
		if params[i+1] == "" {
			continue
		}
		if line.Params == nil {
			line.Params = map[string]string{}
		}
		line.Params[params[i]] = params[i+1]
	}
	if r.d.Trace == nil {
		r.d.Trace = make([]campaign.TraceLine, 0, usualTrace)
	}
	r.d.Trace = append(r.d.Trace, line)
}

// usualTrace is how many lines most turns write at most.
const usualTrace = 6

func (r *runner) result() (State, campaign.Decision, *campaign.Ask, error) {
	if r.fault != nil {
		return State{}, campaign.Decision{}, nil, r.fault
	}
	if r.asked != nil {
		return State{}, campaign.Decision{}, r.asked, nil
	}
	r.s.V = stateVersion
	r.d.Cursor = r.s.Cursor
	r.d.Step = r.s.Step
	r.d.Outcome = r.s.Outcome
	r.describe()
	return r.s, r.d, nil, nil
}

// saved writes the state into the decision.
func saved(s State, d campaign.Decision, asked *campaign.Ask, err error) (campaign.Decision, *campaign.Ask, error) {
	if err != nil || asked != nil {
		return campaign.Decision{}, asked, err
	}
	d.State, err = s.Save()
	if err != nil {
		return campaign.Decision{}, nil, err
	}
	return d, nil, nil
}
