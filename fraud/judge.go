package fraud

import (
	"slices"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Verdict is what becomes of an invitation, and why.
type Verdict struct {
	Effect  Effect   `json:"effect"`
	Score   int      `json:"score"`
	Reasons []Reason `json:"reasons,omitempty"` // the rules that hit, in the order of Names
}

// Reason is one rule that hit.
type Reason struct {
	Rule   Name          `json:"rule"`
	Effect Effect        `json:"effect"`
	Score  int           `json:"score"`           // what it added
	Found  int           `json:"found,omitempty"` // how many, for rules that count
	Took   time.Duration `json:"took,omitempty"`  // how long, for rules with a time of their own
	Most   int           `json:"most,omitempty"`
	Within time.Duration `json:"within,omitempty"`
}

// Rejected and Held say what becomes of an invitation.
func (v Verdict) Rejected() bool { return v.Effect == Reject }

// Held says that a person must decide.
func (v Verdict) Held() bool { return v.Effect == Hold }

// Judge judges one invitation.
func Judge(rules Rules, facts Facts) Verdict {
	hold, reject := rules.thresholds()
	v := Verdict{Effect: Allow}
	evidence, volume := 0, 0
	for i := range book {
		e := &book[i]
		s, ok := rules.Settings[e.name]
		if !ok {
			s = e.usual
		}
		if s.Off {
			continue
		}
		found, hit := e.hit(&rules, &s, &facts)
		if !hit {
			continue
		}
		r := Reason{Rule: e.name, Effect: s.Effect, Score: max(0, s.Score), Within: s.Within}
		if e.counts {
			r.Found, r.Most = found, s.Most
		}
		if e.usual.Most > 0 { // 12 where 6 are too many weigh twice as much
			r.Score = min(maxScore, r.Score*min(maxScore, max(1, found/(max(0, s.Most)+1))))
		}
		if e.took != nil {
			r.Took = e.took(&facts)
		}
		if e.volume {
			volume += r.Score
		} else {
			evidence += r.Score
		}
		v.Reasons = append(v.Reasons, r)
		if s.Effect.strength() > v.Effect.strength() {
			v.Effect = s.Effect
		}
	}
	v.Score = evidence + volume
	switch {
	case v.Score >= reject && evidence >= hold:
		v.Effect = Reject
	case v.Effect != Reject && (v.Score >= hold || v.Effect != Allow): // also for an effect that is not known
		v.Effect = Hold
	}
	return v
}

// rule is one entry of the book of rules.
type rule struct {
	name   Name
	usual  Setting
	volume bool // it counts what honest people do too
	counts bool // found is a number
	hit    func(r *Rules, s *Setting, f *Facts) (found int, hit bool)
	took   func(f *Facts) time.Duration
}

// book is the rules, with the settings that they have by default. Why a number is what it
// is stands in docs/referral-fraud.md, and in a word here.
var book = []rule{
	// The same member or the same phone is the same person. A payment account is shared
	// by couples and by parents, a device by families: a person looks, and at both together too.
	{name: SamePerson, usual: Setting{Effect: Reject, Score: 100}, hit: flag(func(f *Facts) bool { return f.SamePerson || f.Inviter != "" && f.Inviter == f.Invitee })},
	{name: SamePhone, usual: Setting{Effect: Reject, Score: 100}, hit: flag(func(f *Facts) bool { return f.SamePhone })},
	{name: SamePayment, usual: Setting{Effect: Hold, Score: 25}, hit: flag(func(f *Facts) bool { return f.SamePayment })},
	{name: SameDevice, usual: Setting{Effect: Hold, Score: 25}, hit: flag(func(f *Facts) bool { return f.SameDevice && !f.KnownPlace })},
	{name: Circle, usual: Setting{Effect: Reject, Score: 100}, counts: true, hit: func(_ *Rules, _ *Setting, f *Facts) (int, bool) {
		// found is how many invitations the circle has: 2 if she brought the inviter herself.
		i := slices.Index(f.Chain, f.Invitee)
		return i + 2, f.Invitee != "" && i >= 0
	}},
	{name: BoundTwice, usual: Setting{Effect: Reject, Score: 100}, counts: true, hit: over(func(f *Facts) int { return f.Bound })},
	{name: PhoneBound, usual: Setting{Effect: Reject, Score: 100}, counts: true, hit: over(func(f *Facts) int { return f.PhoneBound })},
	// Two others: a parent who pays for two children and herself.
	{name: PaymentBound, usual: Setting{Effect: Hold, Score: 30, Most: 2}, counts: true, hit: over(func(f *Facts) int { return f.PaymentBound })},

	// One other: a phone handed on, a couple with one tablet. A month: nobody hands phones on by the week.
	// It is volume, because the tablet at a desk that nobody named looks like a farm.
	{name: DeviceVelocity, usual: Setting{Effect: Hold, Score: 50, Most: 1, Within: 30 * day}, volume: true, counts: true, hit: over(away(func(f *Facts) int { return f.DeviceMembers }))},
	// Twenty a day is more than one tells in person. A blogger's readers come from everywhere,
	// machines from a few networks: so only few networks count, here and in bursts.
	{name: InviterVelocity, usual: Setting{Effect: Allow, Score: 30, Most: 20, Within: day}, volume: true, counts: true, hit: over(away(func(f *Facts) int { return crowded(f.InviterBinds, f.InviterNetworks) }))},
	// A family on one Wi-Fi is two to five; a week, because farms take their time.
	{name: InviterNetwork, usual: Setting{Effect: Allow, Score: 30, Most: 5, Within: 7 * day}, volume: true, counts: true, hit: over(away(func(f *Facts) int { return f.InviterNetwork }))},
	// Carriers put thousands of phones behind one block: a little, and for an hour only.
	{name: NetworkVelocity, usual: Setting{Effect: Allow, Score: 10, Most: 30, Within: time.Hour}, volume: true, counts: true, hit: over(away(func(f *Facts) int { return f.NetworkBinds }))},
	{name: Burst, usual: Setting{Effect: Allow, Score: 40, Most: 5, Within: 10 * time.Minute}, volume: true, counts: true, hit: over(away(func(f *Facts) int { return crowded(f.BurstBinds, f.BurstNetworks) }))},

	{name: DisposableMail, usual: Setting{Effect: Hold, Score: 60}, hit: func(r *Rules, _ *Setting, f *Facts) (int, bool) {
		domains := r.MailDomains
		if domains == nil {
			domains = mailDomains
		}
		return 0, inDomains(domains, f.MailDomain)
	}},
	{name: DisposablePhone, usual: Setting{Effect: Allow, Score: 20}, hit: func(r *Rules, _ *Setting, f *Facts) (int, bool) {
		prefixes := r.PhonePrefixes
		if prefixes == nil {
			prefixes = phonePrefixes
		}
		return 0, slices.ContainsFunc(prefixes, func(p string) bool { return p != "" && strings.HasPrefix(f.PhonePrefix, p) })
	}},
	{name: Unverified, usual: Setting{Effect: Allow, Score: 30}, hit: flag(func(f *Facts) bool { return f.Unverified })},

	// Half the usual hold of 48 hours: who was there a day has looked at it.
	{name: LeftAtOnce, usual: Setting{Effect: Reject, Score: 100, Within: day}, took: func(f *Facts) time.Duration { return f.LeftAfter }, hit: func(_ *Rules, s *Setting, f *Facts) (int, bool) {
		return 0, f.Left && f.LeftAfter < s.Within
	}},
	{name: InviteesLeave, usual: Setting{Effect: Hold, Score: 60, Most: 3}, counts: true, hit: func(_ *Rules, s *Setting, f *Facts) (int, bool) {
		// More than a few, and at least half of them: of a blogger's hundreds some always leave.
		return f.InviterLeft, f.InviterLeft > s.Most && 2*f.InviterLeft >= f.InviterOld
	}},

	// Five typing errors in an hour are many for a code of ten characters with a check character.
	{name: GuessedCode, usual: Setting{Effect: Hold, Score: 60, Most: 5, Within: time.Hour}, counts: true, hit: over(func(f *Facts) int { return f.CodeFailures })},
	{name: GuessingNetwork, usual: Setting{Effect: Allow, Score: 30, Most: 50, Within: time.Hour}, volume: true, counts: true, hit: over(away(func(f *Facts) int { return f.NetworkFailures }))},

	{name: ReusedRequest, usual: Setting{Effect: Reject, Score: 100}, counts: true, hit: over(func(f *Facts) int { return f.RequestMembers })},
	// Ten minutes: clocks of phones differ, and requests wait in a lift.
	{name: StaleRequest, usual: Setting{Effect: Hold, Score: 60, Within: 10 * time.Minute}, took: func(f *Facts) time.Duration { return f.RequestAge }, hit: func(_ *Rules, s *Setting, f *Facts) (int, bool) {
		return 0, f.RequestAge > s.Within
	}},
}

const day = 24 * time.Hour

// flag is a rule about something that is so or not.
func flag(is func(*Facts) bool) func(*Rules, *Setting, *Facts) (int, bool) {
	return func(_ *Rules, _ *Setting, f *Facts) (int, bool) { return 0, is(f) }
}

// over is a rule about a number that is more than Most.
func over(count func(*Facts) int) func(*Rules, *Setting, *Facts) (int, bool) {
	return func(_ *Rules, s *Setting, f *Facts) (int, bool) {
		n := count(f)
		return n, n > s.Most
	}
}

// away counts only where the place is not one of the campaign's own.
func away(count func(*Facts) int) func(*Facts) int {
	return func(f *Facts) int {
		if f.KnownPlace {
			return 0
		}
		return count(f)
	}
}

// crowded is a number of invitations if they came from few networks: at most half as many.
// From no known network at all they count, or hiding it would help.
func crowded(binds, networks int) int {
	if 2*networks > binds {
		return 0
	}
	return binds
}

// inDomains reports whether domain is one of them or below one of them.
func inDomains(domains []string, domain string) bool {
	domain = strings.TrimSuffix(strings.ToLower(domain), ".")
	for domain != "" {
		if slices.Contains(domains, domain) {
			return true
		}
		_, domain, _ = strings.Cut(domain, ".")
	}
	return false
}

// Words tells a verdict in one line.
func (v Verdict) Words(lang campaign.Lang) string {
	words := verdictWords[lang]
	if words == nil {
		words = verdictWords[campaign.English]
	}
	if len(v.Reasons) == 0 {
		return words[v.Effect]
	}
	reasons := make([]string, len(v.Reasons))
	for i, r := range v.Reasons {
		reasons[i] = r.Words(lang)
	}
	colon, comma := ": ", "; "
	if lang == campaign.Chinese {
		colon, comma = "：", "；"
	}
	return words[v.Effect] + colon + strings.Join(reasons, comma)
}
