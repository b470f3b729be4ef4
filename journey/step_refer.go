package journey

import (
	"slices"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Referral is the referral that a journey follows: that of its member, the invitee. The
// journey takes it through its states by her events and by time, as it takes a member
// through steps; the store keeps what it came to.
type Referral struct {
	campaign.Bond
	State campaign.ReferralState `json:"state"`
	// Order and Event are those that qualified, at the moment Qualified.
	Order     string    `json:"order,omitempty"`
	Event     string    `json:"event,omitempty"`
	Qualified time.Time `json:"qualified,omitzero"`
	Approved  bool      `json:"approved,omitempty"` // a person has let it pass
}

// enterRefer begins to follow a referral. Its time to qualify counts from the moment of the
// binding.
func (r *runner) enterRefer(n *node) {
	bond, ok := campaign.BondOf(r.s.Start)
	if !ok || r.p.def.Referral == nil {
		r.fault = campaign.Errorf(campaign.CodeInternal, "journey %s of campaign %s follows no referral", r.in.ID.Journey, r.p.def.Name)
		return
	}
	q := &r.p.def.Referral.Qualifies
	r.s.Referral = &Referral{Bond: bond, State: campaign.ReferralBound}
	r.s.Deadline, r.s.Waiting = r.s.Since.Add(q.Within), true
	r.trace(campaign.TraceWaiting, n.id, "what", q.Event, "until", r.p.local(r.s.Deadline))
	// What was stored before the binding was looked at counts, if by its own time it came
	// after. A refund may have been told before its order.
	for i := range r.in.Events {
		if e := &r.in.Events[i]; e.Seq <= r.s.Cursor && r.s.Waiting {
			r.refunded(e)
			r.referred(n, e)
		}
	}
}

// referred judges one event about the referral. What a refund takes back has been taken
// back before it comes here.
func (r *runner) referred(n *node, e *campaign.Event) (moved bool) {
	ref := r.s.Referral
	switch {
	case r.isRefund(e.Type):
		return r.unreferred(n, e)
	case ref.State == campaign.ReferralBound && r.qualifies(n, e):
		return r.qualified(n, e)
	case ref.State == campaign.ReferralQualified && r.openReview():
		return r.referralDecided(n, e)
	}
	return false
}

// qualifies reports whether an event is the one that counts: by its own time not before the
// binding and not after the deadline, and stored before the grace was over.
func (r *runner) qualifies(n *node, e *campaign.Event) bool {
	q := &r.p.def.Referral.Qualifies
	return e.Type == q.Event && !e.Time.Before(r.s.Since) && !e.Time.After(r.s.Deadline) && !e.Stored.After(r.s.Deadline.Add(q.Grace)) &&
		!slices.Contains(r.s.Moved, e.Seq) && r.holds("referral.qualifies", n.when, e)
}

// qualified begins the hold, at the own time of the event, unless its order went back
// before. Where a person is to decide she is asked now, so that a decision that comes in
// time holds up nobody.
func (r *runner) qualified(n *node, e *campaign.Event) (moved bool) {
	ref, def := r.s.Referral, r.p.def.Referral
	p, _ := campaign.PaymentOf(e, r.p.def.Currency)
	id := p.Order
	r.pays(e, nil)
	if order := r.orderOf(id); order != nil && !order.Whole.IsZero() {
		r.trace(campaign.TraceReferralRefunded, n.id, "order", id, "event", e.ID)
		return false
	}
	r.s.Event = e
	r.since(e.Time, e.Seq)
	ref.State, ref.Order, ref.Event, ref.Qualified = campaign.ReferralQualified, id, e.ID, e.Time
	r.s.Deadline = r.s.Since.Add(def.Hold)
	r.trace(campaign.TraceReferralQualified, n.id, "type", e.Type, "event", e.ID, "until", r.p.local(r.s.Deadline))
	r.refer(campaign.ReferralEffect{At: e.Time, Event: e.ID, Order: ref.Order})
	if ref.Held {
		r.holdReferral(n, "review", campaign.ReasonReviewed, e.ID, r.s.Since)
	}
	return true
}

// holdReferral asks a person about the referral. Her time begins at a moment, or now if the
// engine comes much later. What nobody is to decide about is rejected.
func (r *runner) holdReferral(n *node, part, reason, event string, from time.Time) {
	v := r.p.def.Referral.Fraud.Review
	if v == nil { // what would be held is not bound then; this one was, by other rules or later facts
		r.rejectReferral(n, reason, event, from)
		return
	}
	role, ok := r.p.def.Role(v.By)
	if !ok {
		r.fault = campaign.Errorf(campaign.CodeInternal, "campaign %s has no role %s", r.p.def.Name, v.By)
		return
	}
	if r.now.Sub(from) >= min(campaign.DefaultGrace, v.For/2) {
		from = r.now // nobody has less time because the engine is late
	}
	ref := r.s.Referral
	review := &Review{Key: r.key(n.id, part), Step: n.id, State: campaign.ReviewOpen, ClosesAt: from.Add(v.For)}
	if role.Backup != "" {
		review.EscalatesAt, review.ClosesAt = review.ClosesAt, review.ClosesAt.Add(v.For)
	}
	r.s.Review = review
	r.d.Reviews = append(r.d.Reviews, campaign.Review{
		Key: review.Key, Kind: campaign.ReviewDecide, State: campaign.ReviewOpen, Step: n.id, Event: event, At: from, About: aboutReferral,
		Role: v.By, Backup: role.Backup, Otherwise: v.Otherwise, EscalatesAt: review.EscalatesAt, ClosesAt: review.ClosesAt,
		Detail: map[string]string{"referral": strconv.FormatInt(ref.Referral, 10), "inviter": ref.Inviter},
	})
	r.trace(campaign.TraceReviewOpened, n.id, "role", role.Title, "until", r.p.local(review.due()))
}

// aboutReferral is what a person is asked about a referral that is held.
const aboutReferral = "referral held by the rules of fraud"

// openReview reports whether a person is asked about the referral.
func (r *runner) openReview() bool {
	return r.s.Review != nil && r.s.Review.State == campaign.ReviewOpen
}

// referralDecided takes a person's decision about a referral that was held.
func (r *runner) referralDecided(n *node, e *campaign.Event) bool {
	v, ok := campaign.VerdictOf(e)
	if !ok || v.Review != r.s.Review.Key {
		return false
	}
	r.s.Review.State = v.Decision.State()
	r.trace(campaign.TraceReviewDecided, n.id, "decided", string(r.s.Review.State), "by", v.By, "why", v.Reason)
	r.afterReview(n, e.Time)
	return true
}

// afterReview goes on by how the review ended, at that moment.
func (r *runner) afterReview(n *node, at time.Time) {
	if r.s.Review.State != campaign.ReviewApproved {
		r.rejectReferral(n, campaign.ReasonReviewed, "", at)
		return
	}
	r.s.Referral.Approved = true
	if r.s.Deadline.Before(at) {
		r.s.Deadline = at // it was held longer than the hold
	}
}

// unreferred hears that an order went back. The qualifying one rejects the referral as long
// as its rewards are held, and makes it count no more after that; they were taken back
// already. A part of it changes nothing but what is taken back.
func (r *runner) unreferred(n *node, e *campaign.Event) bool {
	ref := r.s.Referral
	order := r.orderOf(ref.Order)
	if order == nil || order.Whole.IsZero() {
		return false
	}
	switch ref.State {
	case campaign.ReferralQualified:
		r.since(e.Time, e.Seq)
		r.rejectReferral(n, campaign.RefusedRefunded, e.ID, r.at)
	case campaign.ReferralVested:
		r.since(e.Time, e.Seq)
		ref.State = campaign.ReferralClawedBack
		r.trace(campaign.TraceReferralClawedBack, n.id, "order", ref.Order, "event", e.ID)
		r.refer(campaign.ReferralEffect{At: r.at, Event: e.ID, Order: ref.Order})
		if r.s.Outcome == "" { // or it was ended at once
			r.finish(string(campaign.ReferralClawedBack))
		}
	case campaign.ReferralBound, campaign.ReferralRejected, campaign.ReferralExpired, campaign.ReferralClawedBack:
		return false
	}
	return true
}

func (r *runner) rejectReferral(n *node, reason, event string, at time.Time) {
	if r.openReview() {
		r.s.Review.State = campaign.ReviewWithdrawn
		r.closeReview(r.s.Review, at)
		r.trace(campaign.TraceReviewDropped, n.id)
	}
	r.s.Referral.State = campaign.ReferralRejected
	r.trace(campaign.TraceReferralRejected, n.id, "reason", reason)
	r.refer(campaign.ReferralEffect{At: at, Event: event, Reason: reason})
	r.finish(string(campaign.ReferralRejected))
}

// referralDue is when something falls due: the end of the time to qualify, the moment at
// which the rewards are given, or somebody else is asked about them, and the end of the
// time in which they may be taken back.
func (r *runner) referralDue() time.Time {
	switch ref := r.s.Referral; {
	case ref.State == campaign.ReferralBound:
		return r.s.Deadline.Add(r.p.def.Referral.Qualifies.Grace)
	case ref.State == campaign.ReferralQualified && r.openReview():
		return r.s.Review.due()
	}
	return r.s.Deadline
}

// referralFires does what fell due.
func (r *runner) referralFires(n *node) {
	ref, def := r.s.Referral, r.p.def.Referral
	switch {
	case ref.State == campaign.ReferralBound:
		r.since(r.s.Deadline, 0)
		r.s.Missed = append(r.s.Missed, Missed{Step: n.id, Since: r.s.Entered, Deadline: r.s.Deadline})
		r.expireReferral(n, r.s.Deadline)
		r.finish(string(campaign.ReferralExpired))
	case ref.State == campaign.ReferralQualified && r.openReview():
		v := r.s.Review
		if !v.Escalated && !v.EscalatesAt.IsZero() {
			v.Escalated = true
			by := def.Fraud.Review.By
			r.trace(campaign.TraceReviewBackup, n.id, "role", r.roleTitle(by), "backup", r.roleTitle(r.backupOf(by)), "until", r.p.local(v.ClosesAt))
			return
		}
		v.State = def.Fraud.Review.Otherwise.State()
		r.closeReview(v, v.ClosesAt)
		r.trace(campaign.TraceReviewOver, n.id, "decided", string(v.State))
		r.afterReview(n, v.ClosesAt)
	case ref.State == campaign.ReferralQualified:
		r.vest(n)
	default:
		r.since(r.s.Deadline, 0)
		r.settled()
	}
}

func (r *runner) expireReferral(n *node, at time.Time) {
	r.s.Referral.State = campaign.ReferralExpired
	r.trace(campaign.TraceReferralExpired, n.id, "what", r.p.def.Referral.Qualifies.Event)
	r.refer(campaign.ReferralEffect{At: at})
}

// vest gives both sides their rewards, at the end of the hold. Whether the rules of fraud
// let it, which success of the inviter it is, and whether her limit allows it, is found out
// under her lock.
func (r *runner) vest(n *node) {
	ref, def, at := r.s.Referral, r.p.def.Referral, r.s.Deadline
	part := "vest"
	if ref.Approved {
		part = "vest/approved" // a person may have been asked in this very turn
	}
	answer, ok := r.ask(campaign.Ask{Key: r.key(n.id, part), Vest: &campaign.VestAsk{
		Referral: ref.Referral, Inviter: ref.Inviter, Limit: def.Limit, At: at, Fraud: &def.Fraud, Approved: ref.Approved,
		Qualified: campaign.ReferralEffect{At: ref.Qualified, Event: ref.Event, Order: ref.Order},
	}})
	switch {
	case !ok:
		return
	case answer.Held:
		r.holdReferral(n, "review/vest", campaign.ReasonFraud, "", at)
		return
	case !answer.OK:
		r.rejectReferral(n, campaign.ReasonFraud, "", at)
		return
	}
	effect := campaign.ReferralEffect{At: at}
	r.since(at, 0)
	order := r.orderOf(ref.Order)
	if def.ClawBack == 0 {
		order = nil // nothing is taken back
	}
	success := int64(answer.Success)
	if def.Invitee != "" {
		given, ok := r.grant(n, grantOf{key: r.key(n.id, "invitee"), reward: def.Invitee, order: order})
		if !ok {
			return
		}
		if given {
			effect.Invitee = def.Invitee
		}
	}
	if reward := def.Reward(answer.Success); reward != "" {
		given, ok := r.grant(n, grantOf{key: r.key(n.id, "inviter"), reward: reward, to: ref.Inviter, toInviter: true, order: order, refused: answer.Reason, value: &success})
		if !ok {
			return
		}
		if given {
			effect.Inviter = reward
		}
	}
	ref.State = campaign.ReferralVested
	r.trace(campaign.TraceReferralVested, n.id, "success", strconv.Itoa(answer.Success))
	r.refer(effect)
	r.s.Deadline = at.Add(def.ClawBack)
	if order == nil {
		r.settled()
	}
}

// mayUnvest reports, of a journey that was ended at once, whether an event may still take
// the rewards back.
func (r *runner) mayUnvest(e *campaign.Event) bool {
	ref := r.s.Referral
	if ref == nil || ref.State != campaign.ReferralVested || !r.isRefund(e.Type) {
		return false
	}
	order := r.orderOf(ref.Order)
	if order != nil && e.Stored.After(r.s.Deadline) {
		order.Granted = false
	}
	return order != nil && order.Granted
}

// settled ends a referral whose rewards nothing takes back any more.
func (r *runner) settled() {
	if order := r.orderOf(r.s.Referral.Order); order != nil {
		order.Granted = false
	}
	r.finish(string(campaign.ReferralVested))
}

// leaveReferral ends a referral whose journey is ended at once.
func (r *runner) leaveReferral() {
	n := r.pl.nodes[r.s.Step]
	if r.s.Referral == nil || n == nil {
		return
	}
	switch r.s.Referral.State {
	case campaign.ReferralBound:
		r.expireReferral(n, r.at)
	case campaign.ReferralQualified:
		if r.openReview() {
			r.s.Review.State = campaign.ReviewWithdrawn
			r.closeReview(r.s.Review, r.at)
		}
		r.s.Referral.State = campaign.ReferralRejected
		r.trace(campaign.TraceReferralRejected, n.id, "reason", campaign.ReasonEnded)
		r.refer(campaign.ReferralEffect{At: r.at, Reason: campaign.ReasonEnded})
	case campaign.ReferralVested, campaign.ReferralRejected, campaign.ReferralExpired, campaign.ReferralClawedBack: // nothing is owed
	}
}

// refer tells the keeper of the truth what the referral came to.
func (r *runner) refer(e campaign.ReferralEffect) {
	e.Referral, e.State = r.s.Referral.Referral, r.s.Referral.State
	r.d.Referrals = append(r.d.Referrals, e)
}

// lateReferral records an event that would have qualified the invitee in time, but was
// stored too late.
func (r *runner) lateReferral(e *campaign.Event, m Missed, n *node) bool {
	q := &r.p.def.Referral.Qualifies
	if e.Type != q.Event || e.Time.Before(m.Since) || e.Time.After(m.Deadline) || !e.Stored.After(m.Deadline.Add(q.Grace)) || !r.holds("referral.qualifies", n.when, e) {
		return false
	}
	r.trace(campaign.TraceLate, n.id, "type", e.Type, "event", e.ID, "what", n.name)
	return true
}

// referralSummary says what the referral waits for, and names its state.
func (r *runner) referralSummary() (name, summary string) {
	ref, def := r.s.Referral, r.p.def.Referral
	until := r.p.local(r.referralDue())
	switch {
	case ref.State == campaign.ReferralBound:
		summary = "waits for " + def.Qualifies.Event + " until " + r.p.local(r.s.Deadline)
	case ref.State == campaign.ReferralQualified && r.openReview():
		role := def.Fraud.Review.By
		if r.s.Review.Escalated {
			role = r.backupOf(role)
		}
		summary = "waits for " + r.roleTitle(role) + " to decide until " + until
	case ref.State == campaign.ReferralQualified:
		summary = "the rewards are held until " + until
	default:
		summary = "a refund takes the rewards back until " + until
	}
	return "referral " + string(ref.State), summary
}

// listensReferral names the event types that concern the referral.
func (r *runner) listensReferral() (types []string) {
	def := r.p.def.Referral
	switch r.s.Referral.State {
	case campaign.ReferralBound:
		types = append(types, def.Qualifies.Event)
	case campaign.ReferralQualified:
		if r.openReview() {
			types = append(types, campaign.EventReviewDecided)
		}
	case campaign.ReferralVested, campaign.ReferralRejected, campaign.ReferralExpired, campaign.ReferralClawedBack: // wait for a refund alone
	}
	return types // and refunds, of which every journey hears that has something to take back
}
