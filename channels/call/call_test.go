package call_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/call"
	"github.com/banyanhq/banyan/channels/call/calltest"
	"github.com/banyanhq/banyan/channels/conformance"
	"github.com/banyanhq/banyan/channels/outbound"
)

const secret = "a shared secret for tests alone"

// pair is a service behind TLS on a socket, and a channel that may call it.
func pair(t *testing.T, change func(*call.Config)) (*call.Channel, *calltest.Service, string) {
	t.Helper()
	service := &calltest.Service{Secret: secret, RetryAfter: conformance.RetryAfter}
	server := httptest.NewTLSServer(service)
	t.Cleanup(server.Close)
	return channel(t, server, change), service, server.URL
}

func channel(t *testing.T, server *httptest.Server, change func(*call.Config)) *call.Channel {
	t.Helper()
	cfg := call.Config{Secret: secret, Allow: "127.0.0.0/8, ::1/128", Transport: trusting(server)}
	if change != nil {
		change(&cfg)
	}
	c, err := call.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// trusting makes the certificate of a test's server count.
func trusting(server *httptest.Server) func(*http.Transport) {
	return func(transport *http.Transport) {
		if known, ok := server.Client().Transport.(*http.Transport); ok && known.TLSClientConfig != nil {
			transport.TLSClientConfig = &tls.Config{RootCAs: known.TLSClientConfig.RootCAs, ServerName: "example.com", MinVersion: tls.VersionTLS12}
		}
	}
}

var fields = []campaign.CallField{
	{Name: "level", Type: campaign.TypeString, OneOf: []string{"bronze", "gold"}}, {Name: "score", Type: campaign.TypeInt, Optional: true},
}

func request(t *testing.T, to string, change func(*campaign.CallRequest)) channels.Message {
	t.Helper()
	r := campaign.CallRequest{URL: to, Step: "2", Timeout: 20 * time.Second, Body: []byte(`{"member":"张三","points":7}`), Returns: fields, Currency: "CNY"}
	if change != nil {
		change(&r)
	}
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return channels.Message{
		Key: "crm/v1/main/张三/1/2/2", Channel: call.Name, Campaign: "crm", Journey: "main", Name: "levels", Member: "张三",
		Body: string(body), Kind: campaign.KindCall, At: time.Date(2026, 12, 1, 20, 15, 3, 0, time.UTC), Attempt: 1,
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Fatalf("error %q, want %q", got, want)
	}
}

// asMessages lets the suite of all channels, which knows texts alone, make calls.
type asMessages struct {
	*call.Channel
	to string
}

func (c asMessages) Deliver(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if utf8.ValidString(m.Body) {
		text, err := json.Marshal(m.Body)
		if err != nil {
			return channels.Receipt{}, err
		}
		body, err := json.Marshal(campaign.CallRequest{URL: c.to, Timeout: 5 * time.Second, Body: text})
		if err != nil {
			return channels.Receipt{}, err
		}
		m.Body = string(body)
	}
	return c.Channel.Deliver(ctx, m)
}

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Harness {
		t.Helper()
		c, service, to := pair(t, nil)
		return conformance.Harness{
			Channel: asMessages{c, to + "/t0ken"},
			Secrets: []string{secret, "t0ken"},
			Delivered: func(m channels.Message) (bodies []string) {
				for _, r := range service.Done() {
					var text string
					if r.Key == m.Key && json.Unmarshal(r.Body, &text) == nil {
						bodies = append(bodies, text)
					}
				}
				return bodies
			},
			Arrange: func(f conformance.Fault) bool {
				service.Next(map[conformance.Fault]calltest.Fault{
					conformance.Refuse: calltest.NotFound, conformance.Throttle: calltest.Busy,
					conformance.Drop: calltest.Drop, conformance.Stall: calltest.Stall,
				}[f])
				return true
			},
		}
	})
}

func TestTheCall(t *testing.T) {
	c, service, to := pair(t, nil)
	service.Answer = func(p call.Payload) any {
		return map[string]any{"level": "gold", "score": len(p.Member), "other": []int{1}}
	}
	receipt, err := c.Deliver(t.Context(), request(t, to+"/levels?tenant=7", nil))
	wantError(t, err, "")
	if len(receipt.Returned) != 2 || string(receipt.Returned["level"]) != `"gold"` || string(receipt.Returned["score"]) != `6` {
		t.Errorf("returned %v", receipt.Returned)
	}
	done := service.Done()
	if len(done) != 1 || len(service.Bad()) != 0 {
		t.Fatalf("done %v, bad %v", done, service.Bad())
	}
	p := done[0]
	if p.Key != "crm/v1/main/张三/1/2/2" || p.Campaign != "crm" || p.Journey != "main" || p.Step != "2" || p.Call != "levels" || p.Member != "张三" ||
		string(p.Body) != `{"member":"张三","points":7}` || !p.At.Equal(time.Date(2026, 12, 1, 20, 15, 3, 0, time.UTC)) {
		t.Errorf("%+v", p.Payload)
	}
	// One that reads nothing takes any 2xx.
	service.Answer = func(call.Payload) any { return []string{"thanks"} }
	receipt, err = c.Deliver(t.Context(), func() channels.Message {
		m := request(t, to, func(r *campaign.CallRequest) { r.Returns = nil })
		m.Key = "another"
		return m
	}())
	wantError(t, err, "")
	if receipt.Returned != nil {
		t.Errorf("returned %v", receipt.Returned)
	}
}

// What a service does wrong, and what becomes of it.
func TestFaults(t *testing.T) {
	for fault, c := range map[calltest.Fault]struct {
		want string
		done int
	}{
		calltest.Busy:        {"retry: http_429", 0},
		calltest.Unavailable: {"retry: http_500", 0},
		calltest.NotFound:    {"refused: http_404", 0},
		calltest.Redirect:    {"refused: redirect_307", 0},
		calltest.Unfit:       {"refused: answer_unfit", 1},
		calltest.Huge:        {"refused: answer_too_long", 1},
		calltest.Drop:        {"unknown: connection_lost", 1},
		calltest.Cut:         {"unknown: connection_lost", 1},
		calltest.Stall:       {"unknown: timeout", 1},
	} {
		t.Run(string(fault), func(t *testing.T) {
			channel, service, to := pair(t, nil)
			service.Answer = func(call.Payload) any { return map[string]any{"level": "gold"} }
			m := request(t, to, nil)
			if fault == calltest.Stall {
				// A connection that is there already is what no machine is too slow for.
				warm := m
				warm.Key = "warm"
				_, err := channel.Deliver(t.Context(), warm)
				wantError(t, err, "")
				m = request(t, to, func(r *campaign.CallRequest) { r.Timeout = time.Second })
			}
			before, asked := len(service.Done()), service.Requests()
			service.Next(fault)
			_, err := channel.Deliver(t.Context(), m)
			wantError(t, err, c.want)
			if done := len(service.Done()) - before; done != c.done || service.Requests() != asked+1 {
				t.Errorf("%d done by %d requests, want %d by 1", done, service.Requests()-asked, c.done)
			}
			if fault == calltest.Busy && channels.AsFailure(err).RetryAfter != conformance.RetryAfter {
				t.Errorf("again after %s", channels.AsFailure(err).RetryAfter)
			}
			// Again under the same key it is answered, and was done once.
			m = request(t, to, nil)
			m.Attempt = 2
			if receipt, err := channel.Deliver(t.Context(), m); err != nil || string(receipt.Returned["level"]) != `"gold"` {
				t.Errorf("again: %v, %v", receipt, err)
			}
			if done := service.Done(); len(done) != before+1 || len(service.Bad()) != 0 {
				t.Errorf("done %v, bad %v", done, service.Bad())
			}
		})
	}
}

// An answer that does not end within the timeout is a lost one.
func TestASlowAnswer(t *testing.T) {
	var asked atomic.Bool
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !asked.Swap(true) {
			_, _ = w.Write([]byte(`{"level": "gold"}`))
			return
		}
		_, _ = w.Write([]byte(`{"level": "go`))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	c := channel(t, server, nil)
	_, err := c.Deliver(t.Context(), request(t, server.URL, nil))
	wantError(t, err, "")
	_, err = c.Deliver(t.Context(), request(t, server.URL, func(r *campaign.CallRequest) { r.Timeout = 500 * time.Millisecond }))
	wantError(t, err, "unknown: timeout")
}

func TestAnswersThatDoNotFit(t *testing.T) {
	c, service, to := pair(t, nil)
	for i, answer := range []any{
		map[string]any{},
		map[string]any{"level": "silver"},
		map[string]any{"level": 1},
		map[string]any{"level": "gold", "score": "3"},
		[]string{"gold"},
		"gold", nil,
	} {
		service.Answer = func(call.Payload) any { return answer }
		m := request(t, to, nil)
		m.Key = fmt.Sprintf("key-%d", i)
		_, err := c.Deliver(t.Context(), m)
		wantError(t, err, "refused: answer_unfit")
	}
}

// Nothing private is dialled unless the setting names it, however the address is written
// and whatever a name says.
func TestPrivateAddressesAreRefused(t *testing.T) {
	service := &calltest.Service{Secret: secret}
	server := httptest.NewTLSServer(service)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	strict := channel(t, server, func(cfg *call.Config) { cfg.Allow = "" })
	elsewhere := channel(t, server, func(cfg *call.Config) { cfg.Allow = "10.0.0.0/8, crm.internal" })
	for _, host := range []string{
		"127.0.0.1", "127.1.2.3", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "169.254.169.254", "100.100.100.200", "10.255.255.1",
		"192.168.1.1", "[fd00:ec2::254]", "[fe80::1]", "[64:ff9b::7f00:1]",
	} {
		for name, c := range map[string]*call.Channel{"nothing is allowed": strict, "another is": elsewhere} {
			if name == "another is" && host == "10.255.255.1" {
				continue
			}
			_, err := c.Deliver(t.Context(), request(t, "https://"+net.JoinHostPort(strings.Trim(host, "[]"), port), nil))
			if f := channels.AsFailure(err); f == nil || f.Reason != outbound.ReasonPrivate || f.Class != channels.ClassRefused {
				t.Errorf("%s, %s: %v", host, name, err)
			}
		}
	}
	if service.Requests() != 0 {
		t.Fatalf("%d requests came through", service.Requests())
	}
	for _, allow := range []string{"127.0.0.0/8,::1/128", "localhost", "LOCALHOST:" + port, "127.0.0.1/32, ::1/128"} {
		c := channel(t, server, func(cfg *call.Config) { cfg.Allow = allow })
		_, err := c.Deliver(t.Context(), request(t, "https://localhost:"+port, func(r *campaign.CallRequest) { r.Returns = nil }))
		wantError(t, err, "")
	}
	c := channel(t, server, func(cfg *call.Config) { cfg.Allow = "localhost:1" })
	_, err = c.Deliver(t.Context(), request(t, "https://localhost:"+port, nil))
	wantError(t, err, "refused: private_address")
}

// A proxy of the environment would hide the address that is dialled.
func TestProxiesAreIgnored(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("https_proxy", "http://127.0.0.1:1")
	t.Setenv("NO_PROXY", "")
	c, service, to := pair(t, nil)
	_, err := c.Deliver(t.Context(), request(t, to, func(r *campaign.CallRequest) { r.Returns = nil }))
	wantError(t, err, "")
	if service.Requests() != 1 {
		t.Errorf("%d requests", service.Requests())
	}
}

// Without encryption only hosts that the setting names are called.
func TestHTTP(t *testing.T) {
	service := &calltest.Service{Secret: secret}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for allow, want := range map[string]string{
		"":                       "refused: http_not_allowed",
		"localhost":              "refused: http_not_allowed",
		"10.0.0.0/8":             "refused: http_not_allowed",
		"127.0.0.1":              "",
		target.Host:              "",
		"127.0.0.0/8":            "",
		"crm.internal,127.0.0.1": "",
	} {
		c := channel(t, server, func(cfg *call.Config) { cfg.Allow = allow })
		_, err := c.Deliver(t.Context(), request(t, server.URL, func(r *campaign.CallRequest) { r.Returns = nil }))
		if got := fmt.Sprint(err); got != want && (err != nil || want != "") {
			t.Errorf("allow %q: %v, want %q", allow, err, want)
		}
	}
}

func TestWhatIsNeverCalled(t *testing.T) {
	c, service, to := pair(t, nil)
	for _, address := range []string{"", "ftp://x", "https://", "https://user:pw@" + strings.TrimPrefix(to, "https://"), "%", "//host"} {
		_, err := c.Deliver(t.Context(), request(t, address, nil))
		wantError(t, err, "refused: url")
	}
	m := request(t, to, nil)
	m.Body = "no request"
	_, err := c.Deliver(t.Context(), m)
	wantError(t, err, "refused: invalid_message")
	silent, err := call.New(call.Config{Allow: "127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = silent.Deliver(t.Context(), request(t, to, nil))
	wantError(t, err, "config: no_secret")
	if service.Requests() != 0 {
		t.Errorf("%d requests", service.Requests())
	}
}

func TestConnectionsThatFail(t *testing.T) {
	c, _, _ := pair(t, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = c.Deliver(t.Context(), request(t, "https://"+closed, nil))
	wantError(t, err, "retry: connection_refused")
	_, err = c.Deliver(t.Context(), request(t, "https://no-such-host.invalid", nil))
	wantError(t, err, "retry: dns")
	// Somebody else's certificate.
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	strict := channel(t, server, func(cfg *call.Config) { cfg.Transport = nil })
	_, err = strict.Deliver(t.Context(), request(t, server.URL, nil))
	wantError(t, err, "retry: tls")
}

func TestConfig(t *testing.T) {
	for _, allow := range []string{"", "crm.internal", "crm.internal:8443, 10.0.0.0/8", "::1", "[::1]:80", "fd00::/8", " , "} {
		if _, err := call.New(call.Config{Secret: secret, Allow: allow}); err != nil {
			t.Errorf("%q: %v", allow, err)
		}
	}
	for _, allow := range []string{"https://crm.internal", "10.0.0.0/33", "a b", "*.internal", "user@host", ":80"} {
		if _, err := call.New(call.Config{Secret: secret, Allow: allow}); err == nil || !strings.Contains(err.Error(), "BANYAN_CALL_ALLOW") {
			t.Errorf("%q: %v", allow, err)
		}
	}
	if _, err := call.New(call.Config{Secret: "short"}); err == nil || !strings.Contains(err.Error(), "BANYAN_CALL_SECRET") || strings.Contains(err.Error(), "short ") {
		t.Errorf("%v", err)
	}
	cfg := call.Config{Secret: secret}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, cfg); strings.Contains(text, secret) {
			t.Errorf("%s shows the secret: %s", format, text)
		}
	}
}
