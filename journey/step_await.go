package journey

import (
	"slices"

	"github.com/banyanhq/banyan/campaign"
)

func (r *runner) enterAwait(n *node, s *campaign.Await) {
	r.s.Deadline = r.s.Since.Add(s.For)
	r.s.Waiting = true
	r.trace(campaign.TraceWaiting, "", "what", joined(s.Events), "until", r.p.local(r.s.Deadline))
	r.alreadyHappened(n, s)
}

// alreadyHappened judges the events that were stored before the wait began, but by their
// own time came after, like any other.
func (r *runner) alreadyHappened(n *node, s *campaign.Await) {
	for i := range r.in.Events {
		if e := &r.in.Events[i]; e.Seq <= r.s.Cursor && r.awaits(n, s, e) {
			r.happened(n, e)
			return
		}
	}
}

// awaits reports whether an event is one that the await waits for: of its type, by its
// own time within the wait, stored before the grace was over, and of the right kind.
func (r *runner) awaits(n *node, s *campaign.Await, e *campaign.Event) bool {
	return slices.Contains(s.Events, e.Type) &&
		!e.Time.Before(r.s.Since) && !e.Time.After(r.s.Deadline) && !e.Stored.After(r.s.Deadline.Add(s.Grace)) &&
		!slices.Contains(r.s.Moved, e.Seq) && !campaign.ElsewhereReferred(e, r.in.ID.Campaign) && r.holds("await "+n.id, n.when, e)
}

func (r *runner) happened(n *node, e *campaign.Event) {
	r.trace(campaign.TraceHappened, n.id, "type", e.Type, "event", e.ID)
	r.s.Event = e
	if e.Type == campaign.EventOrderPaid {
		r.s.Order = r.paidBy(e, nil)
	}
	r.since(e.Time, e.Seq)
	r.move(n.next)
}

func (r *runner) timedOut(n *node, s *campaign.Await) {
	r.trace(campaign.TraceTimedOut, n.id, "what", joined(s.Events))
	r.s.Missed = lastN(append(r.s.Missed, Missed{Step: n.id, Since: r.s.Since, Deadline: r.s.Deadline}), keepClosed)
	r.since(r.s.Deadline, 0)
	r.move(n.blocks["otherwise"])
}

// missed records an event that by its own time would have ended a wait whose time has
// run out since. It changes no step any more.
func (r *runner) missed(e *campaign.Event) {
	r.lateVerdict(e)
	for _, m := range r.s.Missed {
		n := r.pl.nodes[m.Step]
		if n == nil {
			continue
		}
		if s, ok := n.step.(*campaign.AskQuestion); ok && e.Type == campaign.EventReply && !e.Time.Before(m.Since) && !e.Time.After(m.Deadline) &&
			e.Stored.After(m.Deadline.Add(s.Grace)) {
			r.trace(campaign.TraceLate, n.id, "type", e.Type, "event", e.ID, "what", n.name)
			return
		}
		if _, ok := n.step.(*campaign.FollowReferral); ok && r.lateReferral(e, m, n) {
			return
		}
		s, ok := n.step.(*campaign.Await)
		if ok && slices.Contains(s.Events, e.Type) && !e.Time.Before(m.Since) && !e.Time.After(m.Deadline) &&
			e.Stored.After(m.Deadline.Add(s.Grace)) && r.holds("await "+n.id, n.when, e) {
			r.trace(campaign.TraceLate, n.id, "type", e.Type, "event", e.ID, "what", n.name)
			return
		}
	}
}
