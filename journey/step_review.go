package journey

import (
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Review is the decision that the journey asked for last.
type Review struct {
	Key         string               `json:"key"`
	Step        string               `json:"step"`
	State       campaign.ReviewState `json:"state"`
	EscalatesAt time.Time            `json:"escalates_at,omitzero"` // zero: the role has no backup
	ClosesAt    time.Time            `json:"closes_at"`
	Escalated   bool                 `json:"escalated,omitempty"` // the backup is asked
}

// OpenReview is the key of the review for whose decision the journey waits; ok is false
// where nobody is asked.
func (s *State) OpenReview() (key string, ok bool) {
	if s.Review == nil || s.Review.State != campaign.ReviewOpen || !s.Waiting || s.Holdout || s.Ending != "" {
		return "", false
	}
	return s.Review.Key, true
}

// due is when somebody else is asked, or nobody any more.
func (v *Review) due() time.Time {
	if !v.Escalated && !v.EscalatesAt.IsZero() {
		return v.EscalatesAt
	}
	return v.ClosesAt
}

// enterReview opens a review. The time of those who are asked begins at the moment at
// which the step before ended; but if the engine comes much later than that, it begins
// now: nobody has less time because of our outage. From then on it is fixed, so that it
// passes from one to the other whether a turn runs or not.
//
// For a held-out member nobody is asked. Her journey takes as long as if nobody decided,
// so that it is measured over the same time.
func (r *runner) enterReview(n *node, s *campaign.OpenReview) {
	role, ok := r.p.def.Role(s.By)
	if !ok {
		r.fault = campaign.Errorf(campaign.CodeInternal, "campaign %s has no role %s", r.p.def.Name, s.By)
		return
	}
	r.beginNowIfLate(s.For)
	v := &Review{Key: r.key(n.id, ""), Step: n.id, State: campaign.ReviewOpen, ClosesAt: r.s.Since.Add(s.For)}
	if role.Backup != "" {
		v.EscalatesAt, v.ClosesAt = v.ClosesAt, v.ClosesAt.Add(s.For)
	}
	r.s.Review, r.s.Waiting = v, true
	if r.s.Holdout {
		r.trace(campaign.TraceReviewSkipped, n.id, "role", role.Title, "reason", campaign.ReasonHoldout)
		return
	}
	r.d.Reviews = append(r.d.Reviews, campaign.Review{
		Key: v.Key, Kind: campaign.ReviewDecide, State: campaign.ReviewOpen, Step: n.id, At: r.s.Since,
		Role: s.By, Backup: role.Backup, About: s.About, Otherwise: s.Otherwise, EscalatesAt: v.EscalatesAt, ClosesAt: v.ClosesAt,
	})
	r.trace(campaign.TraceReviewOpened, n.id, "role", role.Title, "until", r.p.local(v.due()))
}

// beginNowIfLate moves the beginning of a step that asks somebody something to now, if
// the engine comes to it later than a slow message travels, or when half of the span that
// she has is over.
func (r *runner) beginNowIfLate(span time.Duration) {
	if r.now.Sub(r.s.Since) >= min(campaign.DefaultGrace, span/2) {
		r.since(r.now, 0)
	}
}

// decided takes a person's decision, if it is about the review that the step waits for.
// Whether it came in time was decided when it was stored.
func (r *runner) decided(n *node, e *campaign.Event) bool {
	v, ok := campaign.VerdictOf(e)
	if !ok || r.s.Review == nil || v.Review != r.s.Review.Key {
		return false
	}
	r.s.Review.State = v.Decision.State()
	r.trace(campaign.TraceReviewDecided, n.id, "decided", string(r.s.Review.State), "by", v.By, "why", v.Reason)
	r.since(e.Time, e.Seq)
	r.move(n.blocks[string(r.s.Review.State)])
	return true
}

// reviewDue asks the backup or, when its time is over too, lets Otherwise hold.
func (r *runner) reviewDue(n *node, s *campaign.OpenReview) {
	v := r.s.Review
	if !v.Escalated && !v.EscalatesAt.IsZero() {
		v.Escalated = true
		if !r.s.Holdout {
			r.trace(campaign.TraceReviewBackup, n.id, "role", r.roleTitle(s.By), "backup", r.roleTitle(r.backupOf(s.By)), "until", r.p.local(v.ClosesAt))
		}
		return
	}
	v.State = s.Otherwise.State()
	r.closeReview(v, v.ClosesAt)
	r.trace(campaign.TraceReviewOver, n.id, "decided", string(v.State))
	r.since(v.ClosesAt, 0)
	r.move(n.blocks[string(v.State)])
}

// withdrawReview takes back a review that the journey is leaving.
func (r *runner) withdrawReview() {
	if n := r.pl.nodes[r.s.Step]; n == nil || !r.s.Waiting || r.s.Ending != "" || r.s.Review == nil {
		return
	} else if _, ok := n.step.(*campaign.OpenReview); !ok {
		return
	}
	r.s.Review.State = campaign.ReviewWithdrawn
	r.closeReview(r.s.Review, r.at)
	if !r.s.Holdout {
		r.trace(campaign.TraceReviewDropped, r.s.Review.Step)
	}
}

func (r *runner) closeReview(v *Review, at time.Time) {
	if !r.s.Holdout {
		r.d.Reviews = append(r.d.Reviews, campaign.Review{Key: v.Key, Kind: campaign.ReviewDecide, State: v.State, Step: v.Step, At: at})
	}
}

// lateVerdict records a decision that was taken while the journey was being left.
func (r *runner) lateVerdict(e *campaign.Event) {
	v, ok := campaign.VerdictOf(e)
	if ok && r.s.Review != nil && v.Review == r.s.Review.Key && r.s.Review.State == campaign.ReviewWithdrawn {
		r.trace(campaign.TraceReviewTooLate, r.s.Review.Step, "decided", string(v.Decision.State()), "by", v.By, "why", v.Reason)
	}
}

func (r *runner) backupOf(role string) string {
	if def, ok := r.p.def.Role(role); ok {
		return def.Backup
	}
	return ""
}

func (r *runner) roleTitle(role string) string {
	if def, ok := r.p.def.Role(role); ok {
		return def.Title
	}
	return role
}

// askedRole is who is asked now.
func (r *runner) askedRole(s *campaign.OpenReview) string {
	if r.s.Review.Escalated {
		return r.roleTitle(r.backupOf(s.By))
	}
	return r.roleTitle(s.By)
}
