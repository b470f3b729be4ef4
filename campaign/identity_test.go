package campaign_test

import (
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind       campaign.IdentityKind
		text, want string // want empty: it is refused
	}{
		{"mail", " Lin.Lan+1@Example.COM ", "Lin.Lan+1@example.com"},
		{"mail", "林@example.com", "林@example.com"},
		{"mail", "lin@localhost", ""},
		{"mail", "Lin <lin@example.com>", ""},
		{"mail", "lin@example.com, mei@example.com", ""},
		{"mail", "lin@example.com\r\nBcc: x@example.com", ""},
		{"mail", `"a b"@example.com`, ""},
		{"mail", strings.Repeat("l", 65) + "@example.com", ""},
		{"phone", "138 0000-0001", "+8613800000001"},
		{"phone", "+86 138 0000 0001", "+8613800000001"},
		{"phone", "0049 (30) 1234567", "+49301234567"},
		{"phone", "12345", ""},
		{"phone", "+86138000000010000", ""},
		{"openid", "oJ_x-1", "oJ_x-1"},
		{"openid", "o J", ""},
		{"wecom_userid", "ZhangSan@corp.cn", "ZhangSan@corp.cn"},
		{"mail", "", ""},
		{"pigeon", "x", ""},
	} {
		got, why := campaign.ParseAddress(c.kind, c.text)
		if got != c.want || (got == "") == (why == "") {
			t.Errorf("ParseAddress(%s, %q) = %q, %q; want %q", c.kind, c.text, got, why, c.want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"lin@example.com", "+8613800000001", "o_x", "\x00@\xff", "@"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range campaign.IdentityKinds() {
			address, why := campaign.ParseAddress(kind, text)
			if (address == "") == (why == "") {
				t.Fatalf("%s: %q, %q", kind, address, why)
			}
			if address == "" {
				continue
			}
			if again, _ := campaign.ParseAddress(kind, address); again != address {
				t.Errorf("%s: %q is read as %q", kind, address, again)
			}
			if strings.ContainsAny(address, "\r\n") {
				t.Errorf("%s: %q breaks a line", kind, address)
			}
			if masked := campaign.MaskAddress(kind, address); masked == address {
				t.Errorf("%s: %q is shown whole", kind, address)
			}
		}
	})
}

func TestMaskAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"lin@example.com": "l***@example.com", "+8613800000001": "+86138****0001",
	} {
		kind := campaign.IdentityMail
		if address[0] == '+' {
			kind = campaign.IdentityPhone
		}
		if got := campaign.MaskAddress(kind, address); got != want {
			t.Errorf("MaskAddress(%s) = %s, want %s", address, got, want)
		}
	}
	if got := campaign.MaskAddress(campaign.IdentityOpenID, "oJ123456789"); got != "oJ12***89" {
		t.Errorf("an openid is shown as %s", got)
	}
	if got := campaign.MaskAddress(campaign.IdentityWecomUser, "LinLan"); got != "***" {
		t.Errorf("a short id is shown as %s", got)
	}
}

func TestUnreached(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		identity campaign.Identity
		kind     campaign.MessageKind
		want     string
	}{
		{campaign.Identity{Address: "a", State: campaign.IdentityReachable}, campaign.KindMarketing, ""},
		{campaign.Identity{Address: "a", State: campaign.IdentityOptedOut}, campaign.KindMarketing, campaign.ReasonOptedOut},
		{campaign.Identity{Address: "a", State: campaign.IdentityOptedOut}, campaign.KindService, ""},
		{campaign.Identity{Address: "a", State: campaign.IdentityUnreachable}, campaign.KindService, campaign.ReasonUnreachable},
		{campaign.Identity{State: campaign.IdentityOptedOut}, campaign.KindService, campaign.ReasonNoAddress},
		{campaign.Identity{State: campaign.IdentityReachable}, campaign.KindMarketing, campaign.ReasonNoAddress},
	} {
		if got := c.identity.Unreached(c.kind); got != c.want {
			t.Errorf("%+v, %s: %q, want %q", c.identity, c.kind, got, c.want)
		}
	}
}

func TestVias(t *testing.T) {
	t.Parallel()
	def := campaign.Definition{Journeys: []campaign.Journey{
		{Steps: campaign.Steps{
			&campaign.Send{Via: []string{"webhook"}},
			&campaign.MakeOffer{Via: []string{"mail", "webhook"}, Lapsed: campaign.Steps{&campaign.Send{Via: []string{"console"}}, &campaign.Wait{}}},
		}},
		{Steps: campaign.Steps{&campaign.AskQuestion{Via: []string{"wecom/app"}}, &campaign.Send{}}},
	}}
	if got := strings.Join(def.MessagesBy("mail"), " "); got != "" {
		t.Errorf("steps without messages send %s", got)
	}
	if got := strings.Join(def.Vias(), " "); got != "webhook mail console wecom/app" {
		t.Errorf("Vias() = %s", got)
	}
}

func TestMessagesBy(t *testing.T) {
	t.Parallel()
	by := func(names ...string) []string { return names }
	def := campaign.Definition{Journeys: []campaign.Journey{
		{Steps: campaign.Steps{
			&campaign.Send{Message: "hello", Via: by("webhook", "sms")},
			&campaign.Send{Message: "usual"},
			&campaign.MakeOffer{
				Announce: "offer", Remind: []campaign.Reminder{{Send: "last-call"}}, Via: by("sms"),
				Lapsed: campaign.Steps{&campaign.Send{Message: "hello", Via: by("sms")}, &campaign.Send{Message: "mailed", Via: by("mail")}},
			},
		}},
		{Steps: campaign.Steps{
			&campaign.AskQuestion{Message: "question", Again: "once-more", Via: by("sms")},
			&campaign.FormTeam{Remind: []campaign.Reminder{{Send: "team-reminder"}}, Via: by("sms")},
		}},
	}}
	if got, want := strings.Join(def.MessagesBy("sms"), " "), "hello offer last-call question once-more team-reminder"; got != want {
		t.Errorf("MessagesBy(sms) = %s, want %s", got, want)
	}
}
