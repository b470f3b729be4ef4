package journey

import (
	"time"

	"github.com/banyanhq/banyan/campaign"
)

func (r *runner) enterWait(n *node, s *campaign.Wait) {
	until, what := r.s.Since.Add(s.For), campaign.FormatDuration(s.For)
	switch {
	case n.until != nil:
		until, what = n.until.Next(r.s.Since, r.p.loc), s.Until
	case n.when != nil:
		until, what = r.moment(n), s.At
	}
	if !until.After(r.s.Since) {
		r.trace(campaign.TracePassed, n.id, "what", what, "until", r.p.local(until))
		r.move(n.next)
		return
	}
	// A date from afar must not keep a journey for ever.
	if most := r.s.Since.Add(campaign.MaxDuration); until.After(most) {
		until = most
	}
	r.s.Deadline = until
	r.s.Waiting = true
	r.trace(campaign.TraceWaiting, "", "what", what, "until", r.p.local(r.s.Deadline))
}

// moment works out the time that an expression gives. `now` in it is the moment at which
// the step began, however late the turn runs. One that has no value holds up nobody.
func (r *runner) moment(n *node) time.Time {
	facts := r.with(r.s.Event)
	turn := facts.Now
	facts.Now = r.s.Since
	value, err := n.when.Value(facts)
	facts.Now = turn
	if err != nil {
		r.trace(campaign.TraceFault, n.id, "where", "wait "+n.id, "detail", err.Error())
		return r.s.Since
	}
	t, _ := value.(time.Time)
	return t.UTC().Truncate(time.Microsecond)
}
