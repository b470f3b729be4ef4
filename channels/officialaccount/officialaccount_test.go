package officialaccount_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/conformance"
	"github.com/banyanhq/banyan/channels/officialaccount"
	"github.com/banyanhq/banyan/channels/weixin"
	"github.com/banyanhq/banyan/fakeplatform"
)

const (
	account = "wx0123456789abcdef"
	secret  = "the-secret-of-the-account"
)

// start runs a platform whose followers have all just written to the account.
func start(tb testing.TB, followers ...string) (*fakeplatform.Platform, officialaccount.Config) {
	tb.Helper()
	p := fakeplatform.New(fakeplatform.Options{Official: fakeplatform.OfficialAccount{App: account, Secret: secret, Followers: followers}})
	server := httptest.NewServer(p)
	tb.Cleanup(func() { p.Close(); server.Close() })
	for _, f := range followers {
		p.Act(f, fakeplatform.Writes)
	}
	return p, officialaccount.Config{Account: weixin.Account{URL: server.URL, App: account, Secret: secret}}
}

func channel(tb testing.TB, cfg officialaccount.Config) *officialaccount.Channel {
	tb.Helper()
	c, err := officialaccount.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func to(member string) campaign.Identity {
	return campaign.Identity{ID: 7, Kind: campaign.IdentityOpenID, Account: account, Address: "o-" + member, State: campaign.IdentityReachable}
}

func message(member, body string) channels.Message {
	return channels.Message{Key: "k/" + member + "/1", Channel: officialaccount.Name, Name: "hi", Member: member, Body: body, Attempt: 1, To: to(member)}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// everybody of the suite.
func followers() (names []string) {
	for _, n := range []string{"once", "twice", "large", "malformed", "gone", "late", "cancelled", "deadline", "throttled", "dropped"} {
		names = append(names, "o-m-"+n)
	}
	for i := range 16 {
		for n := range 8 {
			names = append(names, fmt.Sprintf("o-m-concurrent-%d-%d", i, n))
		}
	}
	return names
}

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(t *testing.T) conformance.Harness {
		p, cfg := start(t, followers()...)
		return conformance.Harness{
			Channel: channel(t, cfg), To: to, Secrets: []string{secret, "stabletoken000001"}, MaxBody: 2048,
			Delivered: func(m channels.Message) (bodies []string) {
				for _, r := range p.Received(m.To.Address) {
					bodies = append(bodies, r.Text)
				}
				return bodies
			},
			Arrange: func(f conformance.Fault) bool {
				switch f {
				case conformance.Drop:
					p.Next(fakeplatform.LoseAnswer)
				case conformance.Stall:
					p.Next(fakeplatform.NeverAnswer)
				case conformance.Refuse: // nobody of that name follows
				default: // the platform says no time; TestBlocked has what it does
					return false
				}
				return true
			},
		}
	})
}

// wire reads a written-down example.
func wire(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../testdata/wire/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// TestWire holds what goes out and what is understood to the written-down examples.
func TestWire(t *testing.T) {
	t.Parallel()
	sent := map[string]string{}
	answers := map[string]string{"/cgi-bin/stable_token": wire(t, "weixin-stable-token.response"), "/cgi-bin/message/custom/send": wire(t, "weixin-custom-send.response")}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		sent[r.Method+" "+r.URL.RequestURI()] = string(data)
		_, _ = io.WriteString(w, answers[r.URL.Path])
	}))
	defer server.Close()
	cfg := officialaccount.Config{Account: weixin.Account{URL: server.URL, App: account, Secret: secret}}
	m := message("lin", "课程 <今晚> 八点")
	m.To.Address = "oLiMei"
	if _, err := channel(t, cfg).Deliver(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for call, want := range map[string]string{
		"POST /cgi-bin/stable_token":                                       wire(t, "weixin-stable-token.request"),
		"POST /cgi-bin/message/custom/send?access_token=stabletoken000001": wire(t, "weixin-custom-send.request"),
	} {
		if sent[call] != want {
			t.Errorf("%s sent %s, want %s", call, sent[call], want)
		}
	}
	answers["/cgi-bin/stable_token"] = wire(t, "weixin-stable-token-secret.response")
	c := channel(t, cfg)
	if _, err := channels.Check(t.Context(), c); !strings.Contains(text(err), "BANYAN_OFFICIALACCOUNT_SECRET") || strings.Contains(text(err), secret) {
		t.Errorf("a wrong secret: %v", err)
	}
	if _, err := c.Deliver(t.Context(), m); text(err) != "config: errcode_40125" {
		t.Errorf("a wrong secret: %v", err)
	}
}

// TestCodes has the platform answer each code, for what it means.
func TestCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]channels.Class{
		0:  "",
		-1: channels.ClassRetry, 45033: channels.ClassRetry, 45009: channels.ClassRetry, 45011: channels.ClassRetry,
		40014: channels.ClassConfig, 42001: channels.ClassConfig, 40001: channels.ClassConfig, // twice in a row
		48001: channels.ClassConfig, 48002: channels.ClassConfig, 40013: channels.ClassConfig, 40164: channels.ClassConfig, 40243: channels.ClassConfig, 89503: channels.ClassConfig,
		40003: channels.ClassRefused, 43004: channels.ClassRefused, 43019: channels.ClassRefused, 43101: channels.ClassRefused, 45015: channels.ClassRefused, 45047: channels.ClassRefused,
		45002: channels.ClassRefused, 47003: channels.ClassRefused, 87014: channels.ClassRefused, 99999: channels.ClassRefused,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			calls := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/cgi-bin/stable_token" {
					_, _ = io.WriteString(w, wire(t, "weixin-stable-token.response"))
					return
				}
				calls++
				_ = json.NewEncoder(w).Encode(map[string]any{"errcode": code, "errmsg": "o-lin is not welcome"})
			}))
			defer server.Close()
			c := channel(t, officialaccount.Config{Account: weixin.Account{URL: server.URL, App: account, Secret: secret}})
			_, err := c.Deliver(t.Context(), message("lin", "x"))
			f := channels.AsFailure(err)
			if f == nil {
				f = new(channels.Failure)
			}
			if f.Class != want || strings.Contains(text(err), "o-lin") {
				t.Errorf("failure is %v, want %s", f, want)
			}
			if (f.Marks == campaign.IdentityUnreachable) != (code == 40003) {
				t.Errorf("it marks %q", f.Marks)
			}
			if once := code != 40014 && code != 42001 && code != 40001; (calls == 1) != once || calls > 2 {
				t.Errorf("%d calls", calls)
			}
		})
	}
}

// TestWhatAFollowerDidAllowsSoMany: five in 48 hours after she wrote, three in a minute after a tap.
func TestWhatAFollowerDidAllowsSoMany(t *testing.T) {
	t.Parallel()
	p, cfg := start(t, "o-lin", "o-wu")
	c := channel(t, cfg)
	send := func(member string, n int, want string) {
		t.Helper()
		for i := range n {
			if _, err := c.Deliver(t.Context(), message(member, "x")); text(err) != want {
				t.Fatalf("%s, %d: %v, want %q", member, i, err, want)
			}
		}
	}
	send("lin", 5, "")
	send("lin", 1, "refused: errcode_45047")
	p.Act("o-lin", fakeplatform.Taps)
	send("lin", 3, "")
	send("lin", 1, "refused: errcode_45047")
	p.Clock().Advance(48 * time.Hour)
	send("lin", 1, "refused: errcode_45015")
	send("wu", 1, "refused: errcode_45015")
	p.Act("o-wu", fakeplatform.Writes)
	send("wu", 1, "")
	send("nobody", 1, "refused: errcode_43004")
	if got := p.Record(); len(p.Received("")) != 9 || got.OfficialOver != 2 || got.OfficialLate != 2 {
		t.Errorf("%+v, %d received", got, len(p.Received("")))
	}
}

func TestATokenThatIsRevokedIsReplacedOnce(t *testing.T) {
	t.Parallel()
	p, cfg := start(t, "o-lin")
	c := channel(t, cfg)
	for i := range 4 {
		if i == 2 {
			p.Revoke()
		}
		if _, err := c.Deliver(t.Context(), message("lin", fmt.Sprint(i))); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if got := p.Record(); got.TokensAsked != 2 || len(p.Received("o-lin")) != 4 {
		t.Errorf("%+v, %d received", got, len(p.Received("o-lin")))
	}
}

// TestBlocked: once the platform counts no more calls it is not asked for a while.
func TestBlocked(t *testing.T) {
	t.Parallel()
	p, cfg := start(t, "o-lin")
	c := channel(t, cfg)
	p.Next(fakeplatform.Blocked)
	for _, want := range []string{"retry: errcode_45009", "retry: parked"} {
		_, err := c.Deliver(t.Context(), message("lin", "x"))
		if f := channels.AsFailure(err); text(err) != want || f.RetryAfter < 55*time.Second || f.RetryAfter > 70*time.Second {
			t.Errorf("failure is %+v, want %s", f, want)
		}
	}
	if got := p.Record().OfficialCalls; got != 1 {
		t.Errorf("%d calls", got)
	}
}

func TestConfigurationIsCheckedAndShowsNoSecret(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]weixin.Account{
		"BANYAN_OFFICIALACCOUNT_APP":    {Secret: secret},
		"BANYAN_OFFICIALACCOUNT_SECRET": {App: account},
		"BANYAN_OFFICIALACCOUNT_URL":    {App: account, Secret: secret, URL: "https://user:passw0rd@x"},
	} {
		cfg := officialaccount.Config{Account: a}
		_, err := officialaccount.New(cfg)
		if !strings.Contains(text(err), want) {
			t.Errorf("error is %v, want one with %s", err, want)
		}
		if shown := text(err) + fmt.Sprintf("%v %+v %#v", cfg, cfg, a); strings.Contains(shown, secret) || strings.Contains(shown, "passw0rd") {
			t.Errorf("it shows a secret: %s", shown)
		}
	}
}
