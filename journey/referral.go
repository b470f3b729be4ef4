package journey

import (
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// ReferralPart is the part that a member would have in a referral.
type ReferralPart string

// Parts in a referral.
const (
	AsInviter ReferralPart = "inviter"
	AsInvitee ReferralPart = "invitee"
)

func (p *Program) referralRule(part ReferralPart) *rules.Expr {
	if part == AsInviter {
		return p.inviters
	}
	return p.invitees
}

// ReferralNeeds are the questions about a member's past that decide whether she may have a
// part in a referral.
func (p *Program) ReferralNeeds(part ReferralPart) []campaign.Behaviour {
	return union(nil, p.referralRule(part))
}

// MayRefer decides whether a member may have a part in a referral; why is empty if so.
func (p *Program) MayRefer(part ReferralPart, e Entrant) (why string) {
	if x := p.referralRule(part); x != nil {
		return decide(x, &rules.Facts{Now: e.Now, Member: e.Member, Behaviour: e.Behaviour})
	}
	return ""
}
