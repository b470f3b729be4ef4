package fraud

import "github.com/banyanhq/banyan/campaign"

// Of are the rules of a campaign's referrals.
func Of(f *campaign.ReferralFraud) Rules {
	rules := Rules{
		HoldAt: f.Hold, RejectAt: f.Reject, MailDomains: f.MailDomains, PhonePrefixes: f.PhonePrefixes, Settings: make(map[Name]Setting, len(f.Rules)),
	}
	for _, r := range f.Rules {
		rules.Settings[Name(r.Name)] = Setting{Off: r.Off, Effect: Effect(r.Effect), Score: r.Score, Most: r.Most, Within: r.Within}
	}
	return rules
}
