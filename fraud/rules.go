// Package fraud judges whether an invitation is what it says: one person brought another.
//
// It is pure. [Facts] are counts and flags that a store can ask for with a few indexed
// queries; [Rules] say what is too much; [Judge] gives a [Verdict] with its reasons. The same
// facts under the same rules always give the same verdict, so that it can be told and
// disputed later.
//
// A rule that hits adds its score and has an effect: allow (it only adds up), hold (a
// person must look before a reward vests), reject. The verdict is the strongest of
// the effects of its rules and of what the sum of the scores calls for.
//
// There are two sorts of rules. Evidence says something of these two people: the same
// payment account, a circle. Volume counts what honest people do too, only less: many
// invitations from one network. A branch of a gym, a dormitory and a popular blogger look like
// that. So a sum of scores rejects only if its evidence would be held by itself; volume
// alone makes a person look.
//
// What these rules stop and what they let through was measured: see the benchmark
// fraud in docs/performance.md.
package fraud

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Effect is what becomes of an invitation.
type Effect string

// The effects, the mildest first.
const (
	Allow  Effect = "allow"  // as a rule's effect: it only adds its score
	Hold   Effect = "hold"   // no reward until a person has decided
	Reject Effect = "reject" // no reward
)

// strength orders effects. One that is not known is taken for a hold: a mistake in the
// rules must not open the till.
func (e Effect) strength() int {
	switch e {
	case Allow:
		return 0
	case Reject:
		return 2
	case Hold:
	}
	return 1
}

// Name names a rule, in the campaign, in verdicts and in the report.
type Name string

// The rules, in the order in which reasons are told.
const (
	SamePerson      Name = "same-person"
	SamePhone       Name = "same-phone"
	SamePayment     Name = "same-payment"
	SameDevice      Name = "same-device"
	Circle          Name = "circle"
	BoundTwice      Name = "bound-twice"
	PhoneBound      Name = "phone-bound"
	PaymentBound    Name = "payment-bound"
	DeviceVelocity  Name = "device-velocity"
	InviterVelocity Name = "inviter-velocity"
	InviterNetwork  Name = "inviter-network"
	NetworkVelocity Name = "network-velocity"
	Burst           Name = "burst"
	DisposableMail  Name = "disposable-mail"
	DisposablePhone Name = "disposable-phone"
	Unverified      Name = "unverified"
	LeftAtOnce      Name = "left-at-once"
	InviteesLeave   Name = "invitees-leave"
	GuessedCode     Name = "guessed-code"
	GuessingNetwork Name = "guessing-network"
	ReusedRequest   Name = "reused-request"
	StaleRequest    Name = "stale-request"
)

const (
	defaultHoldAt   = 60
	defaultRejectAt = 100

	maxScore  = 1000
	maxMost   = 1_000_000
	maxWithin = 400 * day
)

// Names lists the rules in the order in which reasons are told.
func Names() []Name {
	names := make([]Name, len(book))
	for i := range book {
		names[i] = book[i].name
	}
	return names
}

// Setting is what can be set of a rule.
type Setting struct {
	Off    bool          `json:"off,omitempty"`    // it never hits
	Effect Effect        `json:"effect"`           // if it hits
	Score  int           `json:"score"`            // added if it hits; with twice as many as are too many twice, and so on
	Most   int           `json:"most,omitempty"`   // how many are let through; for rules with a limit
	Within time.Duration `json:"within,omitempty"` // in how long they are counted, or how long is too short or too long; for rules with a time
}

// Rules are the rules of a campaign. The zero Rules are the default ones.
type Rules struct {
	// HoldAt and RejectAt are the sums of scores from which on an invitation is held and
	// rejected; 0 is the default, 60 and 100.
	HoldAt   int `json:"hold_at,omitempty"`
	RejectAt int `json:"reject_at,omitempty"`
	// Settings are those that differ from the default.
	Settings map[Name]Setting `json:"settings,omitempty"`
	// MailDomains are domains of throw-away mailboxes, PhonePrefixes the first three digits of
	// numbers that can be had in bulk; nil is the default of each. Subdomains count.
	MailDomains   []string `json:"mail_domains,omitempty"`
	PhonePrefixes []string `json:"phone_prefixes,omitempty"`
}

// Default is the default rules written out.
func Default() Rules {
	r := Rules{
		HoldAt: defaultHoldAt, RejectAt: defaultRejectAt, Settings: make(map[Name]Setting, len(book)),
		MailDomains: slices.Clone(mailDomains), PhonePrefixes: slices.Clone(phonePrefixes),
	}
	for i := range book {
		r.Settings[book[i].name] = book[i].usual
	}
	return r
}

// Setting is what holds for a rule: its own setting, else the default one.
func (r Rules) Setting(name Name) Setting {
	if s, ok := r.Settings[name]; ok {
		return s
	}
	for i := range book {
		if book[i].name == name {
			return book[i].usual
		}
	}
	return Setting{Off: true}
}

// Within is in how long the facts of a rule are counted; 0 if the rule is off or
// has no time, so that its facts need not be asked for.
func (r Rules) Within(name Name) time.Duration {
	if s := r.Setting(name); !s.Off {
		return s.Within
	}
	return 0
}

// With is the rules with another setting of one rule.
func (r Rules) With(name Name, s Setting) Rules {
	r.Settings = maps.Clone(r.Settings)
	if r.Settings == nil {
		r.Settings = map[Name]Setting{}
	}
	r.Settings[name] = s
	return r
}

// Check says what is wrong with the rules, every mistake, or nil. Judge takes wrong rules
// too and never judges more mildly because of them than by a hold.
func (r Rules) Check() error {
	var wrong []error
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	hold, reject := r.thresholds()
	if hold < 1 || hold > maxScore || reject > maxScore {
		bad("hold_at and reject_at are 1 to %d; they are %d and %d", maxScore, hold, reject)
	}
	if reject < hold {
		bad("reject_at (%d) is below hold_at (%d); what is rejected would have been held first", reject, hold)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Settings)) {
		i := slices.IndexFunc(book, func(e rule) bool { return e.name == name })
		if i < 0 {
			bad("there is no rule %q; there are %s", name, listed(Names()))
			continue
		}
		s, usual := r.Settings[name], book[i].usual
		if s.Off {
			continue
		}
		if s.Effect != Allow && s.Effect != Hold && s.Effect != Reject {
			bad("%s: effect is allow, hold or reject, not %q", name, s.Effect)
		}
		if s.Score < 0 || s.Score > maxScore {
			bad("%s: score is 0 to %d, not %d", name, maxScore, s.Score)
		}
		if s.Most < 0 || s.Most > maxMost {
			bad("%s: most is 0 to %d, not %d", name, maxMost, s.Most)
		}
		if s.Most != 0 && usual.Most == 0 {
			bad("%s: it has no limit, so most has no meaning; leave it out", name)
		}
		if usual.Within == 0 && s.Within != 0 {
			bad("%s: it has no time, so within has no meaning; leave it out", name)
		}
		if usual.Within != 0 && (s.Within < time.Second || s.Within > maxWithin) {
			bad("%s: within is 1s to %s, not %s", name, campaign.FormatDuration(maxWithin), campaign.FormatDuration(s.Within))
		}
	}
	for _, d := range r.MailDomains {
		if d == "" || strings.ContainsAny(d, "@ \t") || d != strings.ToLower(d) {
			bad("mail_domains: %q is no domain in lower case, such as mailinator.com", d)
		}
	}
	for _, p := range r.PhonePrefixes {
		if p == "" || strings.Trim(p, "0123456789") != "" {
			bad("phone_prefixes: %q is not the digits that numbers begin with, such as 170", p)
		}
	}
	return errors.Join(wrong...)
}

func (r Rules) thresholds() (hold, reject int) {
	hold, reject = r.HoldAt, r.RejectAt
	if hold == 0 {
		hold = defaultHoldAt
	}
	if reject == 0 {
		reject = max(defaultRejectAt, hold)
	}
	return hold, reject
}

func listed(names []Name) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}

// mailDomains are services that give anybody a mailbox for minutes. The list is a
// beginning: such services come by the week, and a campaign may bring its own.
var mailDomains = []string{
	"10minutemail.com", "33mail.com", "burnermail.io", "dispostable.com", "emailondeck.com", "fakeinbox.com", "getnada.com", "guerrillamail.com",
	"linshiyouxiang.net", "mail.tm", "mailcatch.com", "maildrop.cc", "mailinator.com", "mailnesia.com", "mintemail.com", "moakt.com", "mytemp.email",
	"sharklasers.com", "spam4.me", "temp-mail.org", "tempmail.com", "tempmail.plus", "throwawaymail.com", "trashmail.com", "yopmail.com",
}

// phonePrefixes are the ranges of China's virtual operators, whose numbers are cheap and are
// what receiving platforms (接码) mostly offer. Millions of honest people have one too, which
// is why the rule only adds a little.
var phonePrefixes = []string{"162", "165", "167", "170", "171"}
