package simulate

import (
	"encoding/json"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// decide lets chance decide what people are asked about her. A role is asked until its
// time is over and then its backup, each with what the population says of it; what the one
// would have decided after its time the other is asked.
func (b *behaviour) decide(l *life, w *walk, d *campaign.Decision) {
	for i := range d.Reviews {
		r := &d.Reviews[i]
		if r.Kind != campaign.ReviewDecide || r.State != campaign.ReviewOpen {
			continue
		}
		own := b.own.of(luckReview, b.asked)
		b.asked++
		if len(b.r.pop.Reviews) == 0 {
			continue
		}
		if r.EscalatesAt.IsZero() {
			b.verdict(l, w, r, r.Role, own, l.now, r.ClosesAt)
			continue
		}
		// From the moment at which the backup is asked the question is no longer the role's.
		if !b.verdict(l, w, r, r.Role, own.of(0, 0), l.now, r.EscalatesAt.Add(-1)) {
			b.verdict(l, w, r, r.Backup, own.of(1, 0), r.EscalatesAt, r.ClosesAt)
		}
	}
}

// soonest is how long a decision takes at least, so that time goes on in a journey that
// asks again after each.
const soonest = time.Second

// verdict says whether a role that is asked from a moment on decides by its deadline, and
// lets it.
func (b *behaviour) verdict(l *life, w *walk, r *campaign.Review, role string, own luck, asked, deadline time.Time) bool {
	for i := range b.r.pop.Reviews {
		d := &b.r.pop.Reviews[i]
		if !d.Decides(role, w.plan.Name, r.Step) {
			continue
		}
		v := campaign.Verdict{Review: r.Key, Decision: campaign.Approve, By: role}
		switch n := own.part(); {
		case n < d.Approve:
		case n < d.Approve+d.Reject:
			v.Decision = campaign.Reject
		default:
			return false
		}
		hours := d.Hours
		if hours == nil {
			hours = &b.r.pop.Hours
		}
		at := hours.Pick(asked.Add(d.After.From), d.After.To-d.After.From, b.r.p.loc, own.below)
		at = latest(at, asked.Add(soonest))
		if at.After(deadline) {
			return false
		}
		l.queue.push(future{at: at, ready: decision(w, v)})
		return true
	}
	return false
}

// decision makes the event of a decision, unless nobody is asked any more at its moment.
func decision(w *walk, v campaign.Verdict) func(*life, *future) bool {
	return func(l *life, f *future) bool {
		if key, ok := w.state.OpenReview(); !ok || key != v.Review || w.done() {
			return false
		}
		return f.decides(l, v)
	}
}

// decides makes the event that tells what was decided about a review.
func (f *future) decides(l *life, v campaign.Verdict) bool {
	properties, err := json.Marshal(v)
	f.event = campaign.Event{ID: campaign.OwnEventID("review/" + v.Review), Type: campaign.EventReviewDecided, Time: l.now, Properties: properties}
	return err == nil
}
