package graph

import (
	"fmt"

	"github.com/banyanhq/banyan/campaign"
)

// referring says what a referral waits for, and who gets what.
func referring(def *campaign.Definition) (out []string) {
	r := def.Referral
	if r == nil {
		return nil
	}
	out = append(out, "qualifies by "+r.Qualifies.Event+" within "+campaign.FormatDuration(r.Qualifies.Within))
	if r.Hold > 0 {
		out = append(out, "held for "+campaign.FormatDuration(r.Hold))
	}
	if r.Invitee != "" {
		out = append(out, "invitee: "+r.Invitee)
	}
	for _, s := range r.Inviter {
		line := "inviter: " + s.Reward
		if s.From > 1 {
			line += fmt.Sprintf(" from success %d on", s.From)
		}
		out = append(out, line)
	}
	if r.Refunds && r.ClawBack > 0 {
		out = append(out, "taken back on a refund within "+campaign.FormatDuration(r.ClawBack))
	}
	return out
}
