package app_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/conformance"
	"github.com/banyanhq/banyan/channels/wecom"
	"github.com/banyanhq/banyan/channels/wecom/app"
	"github.com/banyanhq/banyan/fakeplatform"
)

const (
	corp   = "ww0123456789abcdef"
	secret = "the-secret-of-the-app"
	agent  = 1000002
)

// start runs a platform whose staff are these people.
func start(tb testing.TB, staff ...string) (*fakeplatform.Platform, app.Config) {
	tb.Helper()
	p := fakeplatform.New(fakeplatform.Options{Corp: corp, Secret: secret, Agent: agent, Staff: staff})
	server := httptest.NewServer(p)
	tb.Cleanup(func() { p.Close(); server.Close() })
	return p, app.Config{Account: wecom.Account{URL: server.URL, Corp: corp, Secret: secret}, Agent: agent}
}

func channel(tb testing.TB, cfg app.Config) *app.Channel {
	tb.Helper()
	c, err := app.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func to(member string) campaign.Identity {
	return campaign.Identity{ID: 7, Kind: campaign.IdentityWecomUser, Account: corp, Address: member, State: campaign.IdentityReachable}
}

func message(member, body string) channels.Message {
	return channels.Message{Key: fmt.Sprintf("k/%s/%x", member, sha256.Sum256([]byte(body))), Channel: app.Name, Name: "hi", Member: member, Body: body, Attempt: 1, To: to(member)}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// everybody of the suite.
func staff() (names []string) {
	for _, n := range []string{"once", "twice", "large", "malformed", "gone", "late", "cancelled", "deadline", "throttled", "dropped"} {
		names = append(names, "m-"+n)
	}
	for i := range 16 {
		for n := range 8 {
			names = append(names, fmt.Sprintf("m-concurrent-%d-%d", i, n))
		}
		names = append(names, fmt.Sprintf("m-concurrent-%d", i))
	}
	return names
}

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(t *testing.T) conformance.Harness {
		p, cfg := start(t, staff()...)
		return conformance.Harness{
			Channel: channel(t, cfg), To: to, Secrets: []string{secret, "accesstoken000001"}, MaxBody: 2048,
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
				case conformance.Refuse: // nobody of that name is on the staff
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
	data, err := os.ReadFile("../../../testdata/wire/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// TestWire holds what goes out and what is understood to the written-down examples.
func TestWire(t *testing.T) {
	t.Parallel()
	var query, body string
	answers := map[string]string{"/cgi-bin/gettoken": wire(t, "wecom-gettoken.response"), "/cgi-bin/message/send": wire(t, "wecom-message-send.response")}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			data, _ := io.ReadAll(r.Body)
			query, body = r.URL.RawQuery, string(data)
		}
		_, _ = io.WriteString(w, answers[r.URL.Path])
	}))
	defer server.Close()
	c := channel(t, app.Config{Account: wecom.Account{URL: server.URL, Corp: corp, Secret: secret}, Agent: agent})
	receipt, err := c.Deliver(t.Context(), message("ZhangSan", "月卡 199 元\n<a href=\"https://shop.example.com\">看看</a>"))
	if err != nil || receipt.ProviderID != "msg000001" {
		t.Fatalf("Deliver = %+v, %v", receipt, err)
	}
	if want := wire(t, "wecom-message-send.request"); body != want || query != "access_token=accesstoken000001" {
		t.Errorf("sent %s ? %s, want %s", query, body, want)
	}
	answers["/cgi-bin/message/send"] = wire(t, "wecom-message-send-invalid.response")
	if _, err := c.Deliver(t.Context(), message("LiSi", "x")); text(err) != "refused: errcode_81013" {
		t.Errorf("nobody valid: %v", err)
	}
	for example, want := range map[string]string{"wecom-gettoken-corpid": "BANYAN_WECOM_CORP", "wecom-gettoken-secret": "BANYAN_WECOM_SECRET"} {
		answers["/cgi-bin/gettoken"] = wire(t, example+".response")
		fresh := channel(t, app.Config{Account: wecom.Account{URL: server.URL, Corp: corp, Secret: secret}, Agent: agent})
		_, err := channels.Check(t.Context(), fresh)
		if !strings.Contains(text(err), want) || strings.Contains(text(err), secret) {
			t.Errorf("%s: %v, want one with %s", example, err, want)
		}
		if _, err := fresh.Deliver(t.Context(), message("ZhangSan", "x")); channels.AsFailure(err).Class != channels.ClassConfig {
			t.Errorf("%s: %v", example, err)
		}
	}
}

// TestCodes has the platform answer each code, for what it means.
func TestCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]channels.Class{
		0:  "",
		-1: channels.ClassRetry, 45033: channels.ClassRetry, 45009: channels.ClassRetry, 45011: channels.ClassRetry,
		40014: channels.ClassConfig, 42001: channels.ClassConfig, 40001: channels.ClassConfig, // twice in a row
		48002: channels.ClassConfig, 60011: channels.ClassConfig, 60020: channels.ClassConfig, 301002: channels.ClassConfig, 40058: channels.ClassConfig,
		40003: channels.ClassRefused, 40096: channels.ClassRefused, 84061: channels.ClassRefused, 81013: channels.ClassRefused,
		45002: channels.ClassRefused, 47003: channels.ClassRefused, 87014: channels.ClassRefused, 40007: channels.ClassRefused, 99999: channels.ClassRefused,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			calls := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/cgi-bin/gettoken" {
					_, _ = io.WriteString(w, wire(t, "wecom-gettoken.response"))
					return
				}
				calls++
				_ = json.NewEncoder(w).Encode(map[string]any{"errcode": code, "errmsg": "m-lin is not welcome"})
			}))
			defer server.Close()
			c := channel(t, app.Config{Account: wecom.Account{URL: server.URL, Corp: corp, Secret: secret}, Agent: agent})
			_, err := c.Deliver(t.Context(), message("m-lin", "x"))
			f := channels.AsFailure(err)
			if f == nil {
				f = new(channels.Failure)
			}
			if f.Class != want {
				t.Errorf("failure is %v, want %s", f, want)
			}
			receiver := code == 40003 || code == 40096 || code == 84061 || code == 81013
			if (f.Marks == campaign.IdentityUnreachable) != receiver {
				t.Errorf("it marks %q", f.Marks)
			}
			if once := code != 40014 && code != 42001 && code != 40001; (calls == 1) != once || calls > 2 {
				t.Errorf("%d calls", calls)
			}
		})
	}
}

func TestATokenThatIsRevokedIsReplacedOnce(t *testing.T) {
	t.Parallel()
	p, cfg := start(t, "lin")
	c := channel(t, cfg)
	for i := range 4 {
		if i == 2 {
			p.Revoke()
		}
		if _, err := c.Deliver(t.Context(), message("lin", fmt.Sprint(i))); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if got := p.Record(); got.TokensAsked != 2 || len(p.Received("lin")) != 4 {
		t.Errorf("%+v, %d received", got, len(p.Received("lin")))
	}
	p.Clock().Advance(3 * time.Hour) // the token has run out
	if _, err := c.Deliver(t.Context(), message("lin", "later")); err != nil {
		t.Error(err)
	}
}

// TestBlocked: while the platform blocks an API nothing is sent to it, for each call would
// only be counted.
func TestBlocked(t *testing.T) {
	t.Parallel()
	p, cfg := start(t, "lin")
	c := channel(t, cfg)
	p.Next(fakeplatform.Blocked)
	_, err := c.Deliver(t.Context(), message("lin", "x"))
	if f := channels.AsFailure(err); f.Error() != "retry: errcode_45009" || f.RetryAfter < time.Minute || f.RetryAfter > 70*time.Second {
		t.Errorf("failure is %+v", f)
	}
	for range 20 {
		_, err = c.Deliver(t.Context(), message("lin", "x"))
		if f := channels.AsFailure(err); f.Error() != "retry: parked" || f.RetryAfter < 50*time.Second {
			t.Errorf("failure is %+v", f)
		}
	}
	if got := p.Record(); got.Calls != 1 || got.WhileBlocked != 0 {
		t.Errorf("%+v", got)
	}
}

// TestBlockedAtOnce: of the calls that were under way when the block began none waits
// longer than for the first block.
func TestBlockedAtOnce(t *testing.T) {
	t.Parallel()
	var together sync.WaitGroup
	together.Add(wecom.Parallel)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cgi-bin/gettoken" {
			_, _ = io.WriteString(w, wire(t, "wecom-gettoken.response"))
			return
		}
		together.Done()
		together.Wait()
		_, _ = io.WriteString(w, `{"errcode":45009,"errmsg":"api freq out of limit"}`)
	}))
	defer server.Close()
	c := channel(t, app.Config{Account: wecom.Account{URL: server.URL, Corp: corp, Secret: secret}, Agent: agent})
	var group sync.WaitGroup
	for i := range wecom.Parallel {
		group.Go(func() {
			_, err := c.Deliver(t.Context(), message("lin", fmt.Sprint(i)))
			if f := channels.AsFailure(err); f == nil || f.Error() != "retry: errcode_45009" || f.RetryAfter > 70*time.Second {
				t.Errorf("failure is %+v", f)
			}
		})
	}
	group.Wait()
}

// TestParallel: no more calls are under way than the vendor lets through.
func TestParallel(t *testing.T) {
	t.Parallel()
	p, cfg := start(t, staff()...)
	c := channel(t, cfg)
	var group sync.WaitGroup
	for i := range 60 {
		group.Go(func() {
			if _, err := c.Deliver(t.Context(), message("m-once", fmt.Sprint(i%20))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := p.Record(); got.MostParallel > wecom.Parallel || got.RefusedAtOnce != 0 {
		t.Errorf("%+v", got)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for fault, want := range map[fakeplatform.Fault]string{
		fakeplatform.Busy: "retry: errcode_-1", fakeplatform.ServerError: "unknown: http_502", fakeplatform.NoIP: "config: errcode_60020",
		fakeplatform.LoseAnswer: "unknown: connection_lost",
	} {
		p, cfg := start(t, "lin")
		c := channel(t, cfg)
		p.Next(fault)
		if _, err := c.Deliver(t.Context(), message("lin", "x")); text(err) != want {
			t.Errorf("%s: %v, want %s", fault, err, want)
		}
		// It is safe to repeat: the platform holds back what it has sent.
		if _, err := c.Deliver(t.Context(), message("lin", "x")); err != nil || len(p.Received("lin")) != 1 {
			t.Errorf("%s: %v, %d received", fault, err, len(p.Received("lin")))
		}
	}
}

// TestAProxyThatFails: what stands between us and the platform answers 5xx after it has
// passed on a message as well as before. A token that was lost on its way harms nobody.
func TestAProxyThatFails(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		var failing atomic.Value
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == failing.Load() {
				w.WriteHeader(status)
				return
			}
			_, _ = io.WriteString(w, wire(t, "wecom-gettoken.response"))
		}))
		t.Cleanup(server.Close)
		for path, class := range map[string]channels.Class{"/cgi-bin/gettoken": channels.ClassRetry, "/cgi-bin/message/send": channels.ClassUnknown} {
			failing.Store(path)
			c := channel(t, app.Config{Account: wecom.Account{URL: server.URL, Corp: corp, Secret: secret}, Agent: agent})
			if _, err := c.Deliver(t.Context(), message("lin", "x")); text(err) != fmt.Sprintf("%s: http_%d", class, status) {
				t.Errorf("%s: %v, want %s: http_%d", path, err, class, status)
			}
		}
	}
}

// few lets so many through.
type few int

func (f *few) Take(context.Context, string, string, int, int) (time.Duration, error) {
	if *f--; *f < 0 {
		return 10 * time.Second, nil
	}
	return 0, nil
}

func TestWhatWouldBeDroppedIsNotSent(t *testing.T) {
	t.Parallel()
	p, cfg := start(t, "lin")
	limit := few(1)
	cfg.Limiter = &limit
	c := channel(t, cfg)
	if _, err := c.Deliver(t.Context(), message("lin", "one")); err != nil {
		t.Error(err)
	}
	_, err := c.Deliver(t.Context(), message("lin", "two"))
	if f := channels.AsFailure(err); f.Error() != "retry: member_limit" || f.RetryAfter != 10*time.Second {
		t.Errorf("failure is %+v", f)
	}
	if _, err := c.Deliver(t.Context(), message("lin", strings.Repeat("月", 683))); text(err) != "refused: too_long" {
		t.Errorf("2,049 bytes: %v", err)
	}
	if got := p.Record(); got.Calls != 1 {
		t.Errorf("%+v", got)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	good := app.Config{Account: wecom.Account{Corp: corp, Secret: secret}, Agent: agent}
	for name, c := range map[string]struct {
		change  func(*app.Config)
		problem string
	}{
		"good":      {func(*app.Config) {}, ""},
		"no agent":  {func(c *app.Config) { c.Agent = 0 }, "BANYAN_WECOM_AGENT"},
		"no secret": {func(c *app.Config) { c.Account.Secret = "" }, "BANYAN_WECOM_SECRET"},
		"no corp":   {func(c *app.Config) { c.Account.Corp = "" }, "BANYAN_WECOM_CORP"},
		"no URL":    {func(c *app.Config) { c.Account.URL = "qyapi.weixin.qq.com" }, "BANYAN_WECOM_URL"},
	} {
		cfg := good
		c.change(&cfg)
		if _, err := app.New(cfg); (err == nil) != (c.problem == "") || !strings.Contains(text(err), c.problem) {
			t.Errorf("%s: %v, want one with %q", name, err, c.problem)
		}
		for _, format := range []string{"%v", "%+v", "%#v"} {
			if shown := fmt.Sprintf(format, cfg); strings.Contains(shown, secret) {
				t.Errorf("%s shows the secret: %s", format, shown)
			}
		}
	}
}
