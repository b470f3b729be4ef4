package journey

import (
	"slices"
	"strconv"

	"github.com/banyanhq/banyan/campaign"
)

// Back is a turn that takes a move back: the journey stands again where it stood before
// it, on the version that it had left, which judges what has happened since. The
// migration is one from the version that the journey is on to that one, and no turn may
// have been taken since the move. Offers that the move withdrew are open again; those
// that it opened are withdrawn. What it sent and granted stays sent and granted.
//
// With running false the campaign is paused, and nothing is judged.
func (m *Migration) Back(before State, running bool) func(State, Input) (campaign.Decision, *campaign.Ask, error) {
	return func(state State, in Input) (campaign.Decision, *campaign.Ask, error) {
		r := newRunner(m.from, m.old, state, &in)
		m.back(r, before, running)
		return saved(r.result())
	}
}

func (m *Migration) back(r *runner, before State, running bool) {
	d := &campaign.Migrated{Do: campaign.MigrationKeep, From: r.s.Step, Version: r.in.Version}
	r.d.Migrated = d
	if r.s.Outcome != "" {
		d.Kept = campaign.KeptOver
		return
	}
	if m.new == nil {
		r.fault = campaign.Errorf(campaign.CodeInternal, "journey %s is not in version %d, from which it came", r.in.ID.Journey, m.version)
		return
	}
	// Who decides about a review has been told that it is withdrawn.
	if n := m.new.nodes[before.Step]; n != nil && n.step.Kind() == campaign.StepReview && before.Waiting && !r.s.Holdout &&
		(r.s.Review == nil || r.s.Review.Key != before.Review.Key || r.s.Review.State != campaign.ReviewOpen) {
		d.Kept = campaign.KeptWithdrawn
		return
	}
	// A call that was given up is not made any more.
	if before.Call != nil && before.Waiting && !before.Call.Over && before.Call.Key != "" &&
		(r.s.Call == nil || r.s.Call.Key != before.Call.Key || r.s.Call.Over) {
		d.Kept = campaign.KeptWithdrawn
		return
	}
	// The place that she gave back may be somebody else's.
	if n := m.new.nodes[before.Step]; n != nil && n.step.Kind() == campaign.StepTeam && before.Waiting && !r.s.Holdout &&
		(before.Team == nil || before.Team.State != campaign.TeamOpen) {
		d.Kept = campaign.KeptWithdrawn
		return
	}
	if n := m.new.nodes[before.Step]; n != nil && n.step.Kind() == campaign.StepOffer && before.Waiting && before.Ending == "" &&
		(before.Offer == nil || before.Offer.State != campaign.OfferOpen) {
		d.Kept = campaign.KeptWithdrawn
		return
	}
	if r.ordered() && !before.buys() {
		if r.leaveBought(campaign.RefundMigrated) {
			d.Kept = campaign.KeptMovedOn
			return
		}
		if r.stopped() {
			return
		}
	}
	if before.Team == nil || r.s.Team == nil || before.Team.Key != r.s.Team.Key {
		if formed := r.leaveTeam(); !formed.IsZero() {
			d.Kept = campaign.KeptMovedOn
			r.at = formed
			r.teamFormed(r.pl.nodes[r.s.Step], formed, 0)
			return
		}
		if r.stopped() {
			return
		}
	}
	if d.Before = r.savedAs(&r.s); r.fault != nil {
		return
	}
	d.Do, d.To, d.Version, d.Digest = campaign.MigrationMove, before.Step, m.version, m.digest
	r.at = r.now
	m.leaveOffers(r, &before)
	if before.Review == nil || r.s.Review == nil || before.Review.Key != r.s.Review.Key {
		r.withdrawReview()
	}
	if before.Call == nil || r.s.Call == nil || before.Call.Key != r.s.Call.Key {
		r.giveUpCall(campaign.ReasonMigrated)
	}
	r.dropPendingIf(func(p *Pending) bool {
		return !slices.ContainsFunc(before.Pending, func(q Pending) bool { return q.Key == p.Key })
	})
	r.trace(campaign.TraceMigrated, "", "from_version", strconv.Itoa(r.in.Version), "to_version", strconv.Itoa(m.version),
		"from", d.From, "to", d.To, "how", "back")
	d.Sends, d.Offers, d.Trace = len(r.d.Sends), len(r.d.Offers), len(r.d.Trace)
	m.reopen(r, &before)

	visit, goal, cursor := max(r.s.Visit, before.Visit), r.s.Goal || before.Goal, r.s.Cursor
	orders, goalOrder, lastPaid := r.s.Orders, max(r.s.GoalOrder, before.GoalOrder), r.s.LastPaid
	refunds := append(r.refundsBroughtTo(m.new), before.Refunds...)
	in := *r.in
	in.Version = m.version
	back := newRunner(m.to, m.new, before, &in) // a copy of the state, so that it may be run again
	back.d, back.at = r.d, r.now
	// Visits go on counting, so that no effect of a later visit has a key that was used.
	for i := range back.s.Pending {
		if p := &back.s.Pending[i]; p.Visit == back.s.Visit {
			p.Visit = visit
		}
	}
	back.s.Visit, back.s.Goal, back.s.Cursor = visit, goal, cursor
	back.s.Orders, back.s.GoalOrder, back.s.LastPaid = orders, goalOrder, lastPaid // what was granted stays granted, and can go back
	back.s.Closed = lastN(append(back.s.Closed, m.opened(r, &before)...), keepClosed)
	slices.Sort(refunds)
	back.s.Refunds = slices.Compact(refunds)
	*r = *back
	if running {
		r.live()
	}
}

// stands are the offers that are open in a state.
func (s *State) stands() (open []Offer) {
	if s.Waiting && s.Offer != nil && s.Offer.State == campaign.OfferOpen && s.Offer.locked() {
		open = append(open, *s.Offer)
	}
	return append(open, s.Open...)
}

// leaveOffers withdraws what the move opened.
func (m *Migration) leaveOffers(r *runner, before *State) {
	for _, o := range r.s.stands() {
		if slices.ContainsFunc(before.stands(), func(b Offer) bool { return b.ID == o.ID }) {
			continue
		}
		o.State, o.ClosedAt = campaign.OfferWithdrawn, r.at
		r.closeOffer(&o, campaign.Money{}, campaign.ReasonMigrated)
		r.trace(campaign.TraceOfferWithdraw, o.Step, "offer", o.Name)
	}
}

// opened are the offers that opened and closed since the move. Who pays for one of them all
// the same is seen by a person.
func (m *Migration) opened(r *runner, before *State) (list []Offer) {
	for _, o := range r.s.Closed {
		is := func(b Offer) bool { return b.ID == o.ID }
		if !slices.ContainsFunc(before.Closed, is) && !slices.ContainsFunc(before.stands(), is) {
			o.Step = m.match[o.Step]
			list = append(list, o)
		}
	}
	return list
}

// reopen opens what the move closed.
func (m *Migration) reopen(r *runner, before *State) {
	for _, o := range before.stands() {
		if r.s.Holdout || !slices.ContainsFunc(r.s.Closed, func(c Offer) bool { return c.ID == o.ID }) {
			continue
		}
		effect := o.effect(campaign.Money{})
		effect.Reopened = true
		r.d.Offers = append(r.d.Offers, effect)
		r.traceAt(o.Step, campaign.TraceOfferOpened, "offer", o.Name, "price", o.Price.String(), "until", r.until(&o))
	}
}

func (r *runner) until(o *Offer) string {
	if !o.locked() {
		return ""
	}
	return r.p.local(o.ExpiresAt)
}
