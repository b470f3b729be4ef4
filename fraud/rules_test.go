package fraud_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/fraud"
)

const day = 24 * time.Hour

// honest is an invitation like most: from a friend, at home, on a phone of her own.
func honest() fraud.Facts {
	return fraud.Facts{
		Inviter: "m-1", Invitee: "m-2", Chain: []string{"m-7", "m-8"}, InviterBinds: 2, InviterNetworks: 2, InviterNetwork: 1, NetworkBinds: 3, BurstBinds: 1, BurstNetworks: 2,
		MailDomain: "qq.com", PhonePrefix: "138", InviterOld: 4, InviterLeft: 1, RequestAge: 2 * time.Second,
	}
}

// story is an honest invitation with something changed.
type story struct {
	rule   fraud.Name
	what   string
	change func(*fraud.Facts)
	effect fraud.Effect // of the verdict, with the default rules
}

// stopped are cases in which a rule hits.
var stopped = []story{
	{fraud.SamePerson, "she invites herself", func(f *fraud.Facts) { f.Invitee = f.Inviter }, fraud.Reject},
	{fraud.SamePerson, "two ids that were found to be one person", func(f *fraud.Facts) { f.SamePerson = true }, fraud.Reject},
	{fraud.SamePhone, "a second account with the same number", func(f *fraud.Facts) { f.SamePhone = true }, fraud.Reject},
	{fraud.SamePayment, "a second account paid from the same wallet", func(f *fraud.Facts) { f.SamePayment = true }, fraud.Hold},
	{fraud.SameDevice, "a second account on her own phone", func(f *fraud.Facts) { f.SameDevice = true }, fraud.Hold},
	{fraud.Circle, "A invites B, and B invites A", func(f *fraud.Facts) { f.Chain = []string{"m-2"} }, fraud.Reject},
	{fraud.Circle, "a circle of three", func(f *fraud.Facts) { f.Chain = []string{"m-7", "m-2", "m-8"} }, fraud.Reject},
	{fraud.Circle, "a circle of two hundred", func(f *fraud.Facts) { f.Chain = append(chain(198), "m-2") }, fraud.Reject},
	{fraud.BoundTwice, "invited by two", func(f *fraud.Facts) { f.Bound = 1 }, fraud.Reject},
	{fraud.PhoneBound, "comes back with a new account and the old number", func(f *fraud.Facts) { f.PhoneBound = 1 }, fraud.Reject},
	{fraud.PaymentBound, "a fourth account paid from one wallet", func(f *fraud.Facts) { f.PaymentBound = 3 }, fraud.Hold},
	{fraud.DeviceVelocity, "the third account on one phone within a month", func(f *fraud.Facts) { f.DeviceMembers = 2 }, fraud.Hold},
	{fraud.DeviceVelocity, "a farm: the twentieth, nothing verified, a number of a receiving platform, and her inviter's wallet", func(f *fraud.Facts) {
		f.DeviceMembers, f.Unverified, f.PhonePrefix, f.SamePayment = 19, true, "170", true
	}, fraud.Reject},
	{fraud.InviterVelocity, "forty-two in a day from ten networks", func(f *fraud.Facts) { f.InviterBinds, f.InviterNetworks = 42, 10 }, fraud.Hold},
	{fraud.InviterNetwork, "a farm: the thirteenth from one network in a week", func(f *fraud.Facts) { f.InviterNetwork = 12 }, fraud.Hold},
	{fraud.NetworkVelocity, "186 in an hour from one network", func(f *fraud.Facts) { f.NetworkBinds = 186 }, fraud.Hold},
	{fraud.Burst, "a script: twelve in ten minutes from one network", func(f *fraud.Facts) { f.BurstBinds, f.BurstNetworks = 12, 1 }, fraud.Hold},
	{fraud.DisposableMail, "a mailbox of ten minutes", func(f *fraud.Facts) { f.MailDomain = "mailinator.com" }, fraud.Hold},
	{fraud.DisposableMail, "one of its subdomains", func(f *fraud.Facts) { f.MailDomain = "X9.Mailinator.COM" }, fraud.Hold},
	{fraud.DisposablePhone, "a number of a receiving platform, after six in ten minutes from one network", func(f *fraud.Facts) {
		f.PhonePrefix, f.BurstBinds, f.BurstNetworks = "170", 6, 1
	}, fraud.Hold},
	{fraud.Unverified, "nothing verified, on her inviter's network with six others", func(f *fraud.Facts) { f.Unverified, f.InviterNetwork = true, 6 }, fraud.Hold},
	{fraud.LeftAtOnce, "joins, and leaves the same day", func(f *fraud.Facts) { f.Left, f.LeftAfter = true, 40*time.Minute }, fraud.Reject},
	{fraud.LeftAtOnce, "leaves in the same second", func(f *fraud.Facts) { f.Left = true }, fraud.Reject},
	{fraud.InviteesLeave, "four of five of his invitees left at once", func(f *fraud.Facts) { f.InviterOld, f.InviterLeft = 5, 4 }, fraud.Hold},
	{fraud.GuessedCode, "the sixth wrong code before the right one", func(f *fraud.Facts) { f.CodeFailures = 6 }, fraud.Hold},
	{fraud.GuessedCode, "a machine that tries codes", func(f *fraud.Facts) { f.CodeFailures = 500 }, fraud.Reject},
	{fraud.GuessingNetwork, "102 wrong codes from one network, each from another device", func(f *fraud.Facts) { f.NetworkFailures = 102 }, fraud.Hold},
	{fraud.ReusedRequest, "a recorded request with another member in it", func(f *fraud.Facts) { f.RequestMembers = 1 }, fraud.Reject},
	{fraud.StaleRequest, "a recorded request, sent an hour later", func(f *fraud.Facts) { f.RequestAge = time.Hour }, fraud.Hold},
}

// passed are the near cases: what is honest and looks almost like it. The rule does not
// hit, and the invitation is allowed.
var passed = []story{
	{fraud.SamePerson, "two people whose ids are not known", func(f *fraud.Facts) { f.Inviter, f.Invitee, f.Chain = "", "", nil }, fraud.Allow},
	{fraud.SamePerson, "an id that begins with the other", func(f *fraud.Facts) { f.Invitee = "m-12" }, fraud.Allow},
	{fraud.SamePhone, "a daughter with a number of her own, on her mother's Wi-Fi", func(f *fraud.Facts) { f.InviterNetwork = 3 }, fraud.Allow},
	{fraud.SamePayment, "a couple that pays separately, on one Wi-Fi", func(f *fraud.Facts) { f.InviterNetwork = 2 }, fraud.Allow},
	{fraud.SameDevice, "a friend who joins at the desk, on the branch's tablet that her inviter used", func(f *fraud.Facts) { f.SameDevice, f.KnownPlace = true, true }, fraud.Allow},
	{fraud.Circle, "brothers and sisters: both were brought by the same one", func(f *fraud.Facts) { f.Chain = []string{"m-7"} }, fraud.Allow},
	{fraud.Circle, "a chain of two hundred that is none", func(f *fraud.Facts) { f.Chain = chain(200) }, fraud.Allow},
	{fraud.BoundTwice, "invited again after the first invitation expired, on the phone that she was handed", func(f *fraud.Facts) { f.Bound, f.DeviceMembers = 0, 1 }, fraud.Allow},
	{fraud.PhoneBound, "a second child with a number of her own, on her mother's wallet", func(f *fraud.Facts) { f.PaymentBound = 1 }, fraud.Allow},
	{fraud.PaymentBound, "a mother who pays for two children and herself", func(f *fraud.Facts) { f.PaymentBound = 2 }, fraud.Allow},
	{fraud.DeviceVelocity, "a phone that was handed on", func(f *fraud.Facts) { f.DeviceMembers = 1 }, fraud.Allow},
	{fraud.DeviceVelocity, "the tablet at the desk of a gym", func(f *fraud.Facts) { f.DeviceMembers, f.KnownPlace = 80, true }, fraud.Allow},
	{fraud.InviterVelocity, "a student who tells twenty of her year", func(f *fraud.Facts) { f.InviterBinds, f.InviterNetworks = 20, 3 }, fraud.Allow},
	{fraud.InviterVelocity, "a blogger's good day: nine hundred, from everywhere", func(f *fraud.Facts) { f.InviterBinds, f.InviterNetworks = 900, 600 }, fraud.Allow},
	{fraud.InviterNetwork, "a family of six on one Wi-Fi", func(f *fraud.Facts) { f.InviterNetwork = 5 }, fraud.Allow},
	{fraud.InviterNetwork, "a branch whose Wi-Fi is known", func(f *fraud.Facts) { f.InviterNetwork, f.KnownPlace = 80, true }, fraud.Allow},
	{fraud.NetworkVelocity, "a dormitory on the first evening", func(f *fraud.Facts) { f.NetworkBinds = 30 }, fraud.Allow},
	{fraud.NetworkVelocity, "a carrier's block: thousands of phones", func(f *fraud.Facts) { f.NetworkBinds = 140 }, fraud.Allow},
	{fraud.Burst, "a blogger's readers, each from another network", func(f *fraud.Facts) { f.BurstBinds, f.BurstNetworks = 19, 17 }, fraud.Allow},
	{fraud.Burst, "five around a table", func(f *fraud.Facts) { f.BurstBinds, f.BurstNetworks = 5, 1 }, fraud.Allow},
	{fraud.DisposableMail, "a domain that ends alike", func(f *fraud.Facts) { f.MailDomain = "notmailinator.com" }, fraud.Allow},
	{fraud.DisposableMail, "no address", func(f *fraud.Facts) { f.MailDomain = "" }, fraud.Allow},
	{fraud.DisposablePhone, "a carrier's number that begins alike", func(f *fraud.Facts) { f.PhonePrefix = "177" }, fraud.Allow},
	{fraud.Unverified, "a platform's account and no phone", func(f *fraud.Facts) { f.PhonePrefix = "" }, fraud.Allow},
	{fraud.LeftAtOnce, "unsubscribes after a week", func(f *fraud.Facts) { f.Left, f.LeftAfter = true, 7*day }, fraud.Allow},
	{fraud.LeftAtOnce, "leaves when a day is over", func(f *fraud.Facts) { f.Left, f.LeftAfter = true, day }, fraud.Allow},
	{fraud.InviteesLeave, "a blogger of whose five hundred forty left", func(f *fraud.Facts) { f.InviterOld, f.InviterLeft = 500, 40 }, fraud.Allow},
	{fraud.InviteesLeave, "three of three", func(f *fraud.Facts) { f.InviterOld, f.InviterLeft = 3, 3 }, fraud.Allow},
	{fraud.GuessedCode, "five typing errors", func(f *fraud.Facts) { f.CodeFailures = 5 }, fraud.Allow},
	{fraud.GuessingNetwork, "the typing errors of an office", func(f *fraud.Facts) { f.NetworkFailures = 50 }, fraud.Allow},
	{fraud.ReusedRequest, "a retry: the same request for the same member, half a minute later", func(f *fraud.Facts) { f.RequestMembers, f.RequestAge = 0, 30*time.Second }, fraud.Allow},
	{fraud.StaleRequest, "a request that waited in a lift", func(f *fraud.Facts) { f.RequestAge = 9 * time.Minute }, fraud.Allow},
}

func chain(n int) []string {
	c := make([]string, n)
	for i := range c {
		c[i] = fmt.Sprintf("m-%d", 1000+i)
	}
	return c
}

func TestWhatRulesStop(t *testing.T) {
	t.Parallel()
	for _, s := range stopped {
		f := honest()
		s.change(&f)
		v := fraud.Judge(fraud.Rules{}, f)
		if !hit(v, s.rule) || v.Effect != s.effect {
			t.Errorf("%s (%s): %s; want %s by that rule", s.what, s.rule, v.Words(campaign.English), s.effect)
		}
		if off := fraud.Judge(fraud.Rules{}.With(s.rule, fraud.Setting{Off: true}), f); hit(off, s.rule) {
			t.Errorf("%s: %s is off and hits", s.what, s.rule)
		}
	}
}

func TestWhatRulesLetThrough(t *testing.T) {
	t.Parallel()
	if v := fraud.Judge(fraud.Rules{}, honest()); v.Effect != fraud.Allow || v.Score != 0 || v.Reasons != nil {
		t.Fatalf("the honest one is judged %+v", v)
	}
	for _, s := range passed {
		f := honest()
		s.change(&f)
		v := fraud.Judge(fraud.Rules{}, f)
		limited := fraud.Default().Setting(s.rule).Most > 0
		if v.Effect != fraud.Allow || hit(v, s.rule) && !limited {
			t.Errorf("%s (%s): %s", s.what, s.rule, v.Words(campaign.English))
		}
	}
}

// Every rule has a case that it stops and a near one that it lets through without
// hitting, and the two differ in what the rule looks at: with the case's facts the rule must
// be what makes the difference.
func TestEveryRuleHasItsCases(t *testing.T) {
	t.Parallel()
	for _, name := range fraud.Names() {
		stops, lets := false, false
		for _, s := range stopped {
			f := honest()
			s.change(&f)
			with, without := fraud.Judge(fraud.Rules{}, f), fraud.Judge(fraud.Rules{}.With(name, fraud.Setting{Off: true}), f)
			stops = stops || s.rule == name && with.Effect != fraud.Allow && without.Effect == fraud.Allow
		}
		for _, s := range passed {
			f := honest()
			s.change(&f)
			lets = lets || s.rule == name && !hit(fraud.Judge(fraud.Rules{}, f), name)
		}
		if !stops {
			t.Errorf("rule %s has no case that it and nothing else stops", name)
		}
		if !lets {
			t.Errorf("rule %s has no near case that it lets through", name)
		}
	}
	for _, s := range append(slices.Clone(stopped), passed...) {
		if !slices.Contains(fraud.Names(), s.rule) {
			t.Errorf("%q: there is no rule %s", s.what, s.rule)
		}
	}
}

func hit(v fraud.Verdict, name fraud.Name) bool {
	return slices.ContainsFunc(v.Reasons, func(r fraud.Reason) bool { return r.Rule == name })
}

// A limit is a limit: as many are let through, one more is not, whatever the limit.
func TestLimitsAreExact(t *testing.T) {
	t.Parallel()
	counted := map[fraud.Name]func(f *fraud.Facts, n int){
		fraud.PaymentBound:    func(f *fraud.Facts, n int) { f.PaymentBound = n },
		fraud.DeviceVelocity:  func(f *fraud.Facts, n int) { f.DeviceMembers = n },
		fraud.InviterVelocity: func(f *fraud.Facts, n int) { f.InviterBinds = n },
		fraud.InviterNetwork:  func(f *fraud.Facts, n int) { f.InviterNetwork = n },
		fraud.NetworkVelocity: func(f *fraud.Facts, n int) { f.NetworkBinds = n },
		fraud.Burst:           func(f *fraud.Facts, n int) { f.BurstBinds, f.BurstNetworks = n, 1 },
		fraud.InviteesLeave:   func(f *fraud.Facts, n int) { f.InviterOld, f.InviterLeft = n, n },
		fraud.GuessedCode:     func(f *fraud.Facts, n int) { f.CodeFailures = n },
		fraud.GuessingNetwork: func(f *fraud.Facts, n int) { f.NetworkFailures = n },
	}
	for _, name := range fraud.Names() {
		usual := fraud.Default().Setting(name)
		set, ok := counted[name]
		if ok != (usual.Most > 0) {
			t.Errorf("%s: has a limit of %d; is it tried: %v", name, usual.Most, ok)
			continue
		}
		for _, most := range []int{usual.Most, 1, 7, 1000} {
			if usual.Most == 0 {
				continue
			}
			s := usual
			s.Most = most
			rules := fraud.Rules{}.With(name, s)
			for n := most - 1; n <= most+1; n++ {
				f := fraud.Facts{}
				set(&f, n)
				if got := hit(fraud.Judge(rules, f), name); got != (n > most) {
					t.Errorf("%s with most %d: of %d it is %v that it hits", name, most, n, got)
				}
			}
			f := fraud.Facts{}
			set(&f, 3*(most+1))
			if r := fraud.Judge(rules, f).Reasons[0]; r.Found != 3*(most+1) || r.Most != most || r.Score != min(1000, 3*s.Score) {
				t.Errorf("%s, three times too many: %+v", name, r)
			}
		}
	}
}

// However many come from anywhere: what only counts makes a person look and rejects nobody.
func TestVolumeRejectsNobody(t *testing.T) {
	t.Parallel()
	f := honest()
	f.DeviceMembers, f.InviterBinds, f.InviterNetworks, f.InviterNetwork, f.NetworkBinds, f.BurstBinds, f.BurstNetworks, f.NetworkFailures = 1e6, 1e6, 1, 1e6, 1e6, 1e6, 1, 1e6
	f.PhonePrefix, f.Unverified = "170", true // weighs 50, which would not be held by itself
	if v := fraud.Judge(fraud.Rules{}, f); v.Effect != fraud.Hold || v.Score < 100 {
		t.Errorf("%d: %s", v.Score, v.Words(campaign.English))
	}
	f.SameDevice = true // with the other two, it would be held without the crowd
	if v := fraud.Judge(fraud.Rules{}, f); v.Effect != fraud.Reject {
		t.Errorf("with evidence: %s", v.Words(campaign.English))
	}
}

func TestScoresAddUp(t *testing.T) {
	t.Parallel()
	f := honest()
	f.PhonePrefix, f.Unverified = "171", true
	for _, c := range []struct {
		rules fraud.Rules
		score int
		want  fraud.Effect
	}{
		{fraud.Rules{}, 50, fraud.Allow},
		{fraud.Rules{HoldAt: 50}, 50, fraud.Hold},
		{fraud.Rules{HoldAt: 40, RejectAt: 50}, 50, fraud.Reject},
		{fraud.Rules{HoldAt: 51}, 50, fraud.Allow},
		{fraud.Rules{HoldAt: 200}, 50, fraud.Allow}, // reject_at follows
		{fraud.Rules{}.With(fraud.Unverified, fraud.Setting{Effect: fraud.Reject}), 20, fraud.Reject},
		{fraud.Rules{}.With(fraud.Unverified, fraud.Setting{Effect: "forgive"}), 20, fraud.Hold}, // a mistake does not open the till
		{fraud.Rules{PhonePrefixes: []string{}}, 30, fraud.Allow},
		{fraud.Rules{PhonePrefixes: []string{"17", ""}}, 50, fraud.Allow},
	} {
		if v := fraud.Judge(c.rules, f); v.Score != c.score || v.Effect != c.want {
			t.Errorf("%+v: %d, %s; want %d, %s", c.rules, v.Score, v.Words(campaign.English), c.score, c.want)
		}
	}
	if v := fraud.Judge(fraud.Rules{}, f); v.Rejected() || v.Held() {
		t.Errorf("%+v", v)
	}
	f.SamePerson = true
	if v := fraud.Judge(fraud.Rules{}, f); !v.Rejected() || v.Held() {
		t.Errorf("%+v", v)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, r := range []fraud.Rules{
		{},
		fraud.Default(),
		{HoldAt: 1, RejectAt: 1},
		{HoldAt: 1000},
		fraud.Rules{}.With(fraud.Burst, fraud.Setting{Off: true}),
		fraud.Rules{}.With(fraud.Burst, fraud.Setting{Effect: fraud.Reject, Score: 1000, Most: 0, Within: time.Second}),
	} {
		if err := r.Check(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	for says, r := range map[string]fraud.Rules{
		`no rule "self"; there are same-person, same-phone`: fraud.Rules{}.With("self", fraud.Setting{Effect: fraud.Hold}),
		"reject_at (50) is below hold_at (70)":              {HoldAt: 70, RejectAt: 50},
		"they are -1 and 100":                               {HoldAt: -1},
		"they are 1001 and 1001":                            {HoldAt: 1001},
		`effect is allow, hold or reject, not "stop"`:       fraud.Rules{}.With(fraud.Circle, fraud.Setting{Effect: "stop"}),
		"score is 0 to 1000, not -5":                        fraud.Rules{}.With(fraud.Circle, fraud.Setting{Effect: fraud.Hold, Score: -5}),
		"most is 0 to 1000000, not -5":                      fraud.Rules{}.With(fraud.PaymentBound, fraud.Setting{Effect: fraud.Hold, Most: -5}),
		"same-phone: it has no limit":                       fraud.Rules{}.With(fraud.SamePhone, fraud.Setting{Effect: fraud.Hold, Most: 5}),
		"same-phone: it has no time":                        fraud.Rules{}.With(fraud.SamePhone, fraud.Setting{Effect: fraud.Hold, Within: day}),
		"burst: within is 1s to 400d, not 0s":               fraud.Rules{}.With(fraud.Burst, fraud.Setting{Effect: fraud.Hold, Most: 5}),
		"burst: within is 1s to 400d, not 401d":             fraud.Rules{}.With(fraud.Burst, fraud.Setting{Effect: fraud.Hold, Most: 5, Within: 401 * day}),
		`"Mail.com" is no domain in lower case`:             {MailDomains: []string{"Mail.com"}},
		`"17x" is not the digits`:                           {PhonePrefixes: []string{"17x"}},
	} {
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v; want it to say %s", r, err, says)
		}
	}
	both := fraud.Rules{HoldAt: 70, RejectAt: 50}.With("self", fraud.Setting{})
	if err := both.Check(); strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two mistakes are told as %q", err)
	}
}

// The default rules written out mean what the zero Rules mean, and can be changed without
// changing them for others.
func TestDefault(t *testing.T) {
	t.Parallel()
	for _, s := range append(slices.Clone(stopped), passed...) {
		f := honest()
		s.change(&f)
		if a, b := fraud.Judge(fraud.Rules{}, f), fraud.Judge(fraud.Default(), f); a.Words("en") != b.Words("en") || a.Score != b.Score {
			t.Errorf("%s: %+v and %+v", s.what, a, b)
		}
	}
	d := fraud.Default()
	d.Settings[fraud.Burst] = fraud.Setting{Off: true}
	d.MailDomains[0] = "x"
	if fraud.Default().Setting(fraud.Burst).Off || fraud.Default().MailDomains[0] == "x" {
		t.Error("the default rules were changed")
	}
	if d.Within(fraud.Burst) != 0 || fraud.Default().Within(fraud.Burst) != 10*time.Minute {
		t.Error("the window of a rule that is off is asked for")
	}
	one := fraud.Rules{}.With(fraud.Burst, fraud.Setting{Off: true})
	_ = one.With(fraud.Circle, fraud.Setting{Off: true})
	if one.Setting(fraud.Circle).Off {
		t.Error("With changes the rules that it is called on")
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for _, s := range stopped {
		f := honest()
		s.change(&f)
		v := fraud.Judge(fraud.Rules{}, f)
		for _, lang := range []campaign.Lang{campaign.English, campaign.Chinese} {
			for _, r := range v.Reasons {
				if w := r.Words(lang); w == string(r.Rule) || strings.ContainsAny(w, "{}") || strings.Contains(w, "0s") && s.what != "leaves in the same second" {
					t.Errorf("%s in %s: %s", r.Rule, lang, w)
				}
			}
		}
	}
	f := honest()
	f.DeviceMembers, f.InviterNetwork = 2, 7
	v := fraud.Judge(fraud.Rules{}, f)
	for lang, want := range map[campaign.Lang]string{
		campaign.English: "held for review: 2 other members came from the same device within 30d, more than 1; the inviter brought 7 from the same network within 7d, more than 5",
		campaign.Chinese: "待人工审核：30d 内同一设备另有 2 位会员，超过 1 位；邀请人在 7d 内从同一网络邀请了 7 人，超过 5 人",
		"fr":             "held for review: 2 other members came from the same device within 30d, more than 1; the inviter brought 7 from the same network within 7d, more than 5",
	} {
		if got := v.Words(lang); got != want {
			t.Errorf("%s: %s; want %s", lang, got, want)
		}
	}
	if got := fraud.Judge(fraud.Rules{}, honest()).Words(campaign.Chinese); got != "通过" {
		t.Errorf("nothing found: %s", got)
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"114.114.114.114": "114.114.114.0/24", "114.114.114.1": "114.114.114.0/24", "::ffff:114.114.114.1": "114.114.114.0/24",
		"2408:8000:1:2:3:4:5:6": "2408:8000:1::/48", "2408:8000:1:ffff::%eth0": "2408:8000:1::/48",
		"10.1.2.3": "", "192.168.1.1": "", "172.16.0.1": "", "127.0.0.1": "", "::1": "", "100.64.3.4": "", "fe80::1": "", "fd00::1": "", "0.0.0.0": "", "224.0.0.1": "",
	} {
		got, ok := fraud.Network(netip.MustParseAddr(addr))
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s is in %s, %v; want %q", addr, got, ok, want)
		}
	}
	if _, ok := fraud.Network(netip.Addr{}); ok {
		t.Error("no address is in a network")
	}
}

func drawFacts(rt *rapid.T) fraud.Facts {
	n := func(name string) int {
		return rapid.SampledFrom([]int{-1, 0, 1, 2, 5, 6, 20, 31, 100, 1 << 40}).Draw(rt, name)
	}
	d := func(name string) time.Duration {
		return rapid.SampledFrom([]time.Duration{-1, 0, time.Second, time.Hour, 100 * day}).Draw(rt, name)
	}
	is := func(name string) bool { return rapid.Bool().Draw(rt, name) }
	id := rapid.SampledFrom([]string{"", "a", "b", "c"})
	return fraud.Facts{
		Inviter: id.Draw(rt, "inviter"), Invitee: id.Draw(rt, "invitee"), Chain: rapid.SliceOfN(id, 0, 4).Draw(rt, "chain"),
		SamePerson: is("person"), SamePhone: is("phone"), SamePayment: is("payment"), SameDevice: is("device"),
		Bound: n("bound"), PhoneBound: n("phones"), PaymentBound: n("payments"), KnownPlace: is("known"), DeviceMembers: n("devices"),
		InviterBinds: n("inviter binds"), InviterNetworks: n("inviter networks"), InviterNetwork: n("inviter network"), NetworkBinds: n("network"), BurstBinds: n("burst"), BurstNetworks: n("networks"),
		MailDomain:  rapid.SampledFrom([]string{"", ".", "a.yopmail.com", "qq.com", "..."}).Draw(rt, "mail"),
		PhonePrefix: rapid.SampledFrom([]string{"", "1", "170", "138"}).Draw(rt, "prefix"), Unverified: is("unverified"),
		Left: is("left"), LeftAfter: d("after"), InviterOld: n("old"), InviterLeft: n("leavers"),
		CodeFailures: n("failures"), NetworkFailures: n("network failures"), RequestMembers: n("members"), RequestAge: d("age"),
	}
}

// Under rules that pass Check, any facts have a verdict that its reasons explain; and
// switching a rule off never makes a verdict worse.
func TestVerdictsAreExplained(t *testing.T) {
	t.Parallel()
	worse := map[fraud.Effect]int{fraud.Allow: 0, fraud.Hold: 1, fraud.Reject: 2}
	rapid.Check(t, func(rt *rapid.T) {
		rules := fraud.Rules{HoldAt: rapid.IntRange(0, 100).Draw(rt, "hold")}
		if rapid.Bool().Draw(rt, "reject") {
			rules.RejectAt = max(60, rules.HoldAt) + rapid.IntRange(0, 100).Draw(rt, "reject at")
		}
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(fraud.Names()), 0, 4).Draw(rt, "rules") {
			s := fraud.Default().Setting(name)
			s.Effect = rapid.SampledFrom([]fraud.Effect{fraud.Allow, fraud.Hold, fraud.Reject}).Draw(rt, "effect")
			s.Score = rapid.IntRange(0, 1000).Draw(rt, "score")
			rules = rules.With(name, s)
		}
		if err := rules.Check(); err != nil {
			rt.Fatal(err)
		}
		f := drawFacts(rt)
		v := fraud.Judge(rules, f)
		sum, most := 0, 0
		for _, r := range v.Reasons {
			sum += r.Score
			most = max(most, worse[r.Effect])
		}
		if sum != v.Score || worse[v.Effect] < most || len(v.Reasons) == 0 && v.Effect != fraud.Allow {
			rt.Fatalf("%+v", v)
		}
		if again := fraud.Judge(rules, f); again.Words("zh") != v.Words("zh") || again.Score != v.Score {
			rt.Fatalf("judged again: %+v, before: %+v", again, v)
		}
		off := rapid.SampledFrom(fraud.Names()).Draw(rt, "off")
		if without := fraud.Judge(rules.With(off, fraud.Setting{Off: true}), f); worse[without.Effect] > worse[v.Effect] || hit(without, off) {
			rt.Fatalf("without %s: %+v, with it: %+v", off, without, v)
		}
	})
}

func FuzzJudge(f *testing.F) {
	f.Add("m-1", "m-2", "mailinator.com", "170", 5, 3, 60, 100, "hold", 4, int64(time.Hour), "burst")
	f.Add("", "", "", "", -1, -1, -1, -1, "", -1, int64(-1), "")
	f.Fuzz(func(t *testing.T, inviter, invitee, domain, prefix string, a, b, hold, reject int, effect string, most int, within int64, name string) {
		rules := fraud.Rules{HoldAt: hold, RejectAt: reject, PhonePrefixes: []string{prefix}}.With(fraud.Name(name), fraud.Setting{
			Effect: fraud.Effect(effect), Score: a, Most: most, Within: time.Duration(within),
		})
		_ = rules.Check()
		v := fraud.Judge(rules, fraud.Facts{
			Inviter: inviter, Invitee: invitee, Chain: []string{invitee, inviter}, MailDomain: domain, PhonePrefix: prefix, Bound: a, DeviceMembers: b,
			BurstBinds: a, BurstNetworks: b, InviterLeft: a, InviterOld: b, InviterNetwork: a, Left: true, LeftAfter: time.Duration(within),
		})
		if v.Effect != fraud.Allow && v.Effect != fraud.Hold && v.Effect != fraud.Reject || v.Score < 0 {
			t.Fatalf("%+v", v)
		}
		_ = v.Words(campaign.Chinese)
	})
}
