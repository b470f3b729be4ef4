package journey

import "github.com/banyanhq/banyan/campaign"

func (r *runner) enterEnd(s *campaign.End) { r.finish(s.Outcome) }
