package journey

import "github.com/banyanhq/banyan/campaign"

func (r *runner) enterWait(s *campaign.Wait) {
	r.s.Deadline = r.s.Since.Add(s.For)
	r.s.Waiting = true
	r.trace(campaign.TraceWaiting, "", "what", campaign.FormatDuration(s.For), "until", r.p.local(r.s.Deadline))
}
