package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/conformance"
	"github.com/banyanhq/banyan/channels/webhook"
	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
)

const secret = "a shared secret for tests alone"

// pair is a receiver on a socket and a channel to it.
func pair(t *testing.T, opts webhooktest.Options, change func(*webhook.Config)) (*webhook.Channel, *webhooktest.Receiver) {
	t.Helper()
	opts.Secret = secret
	receiver, err := webhooktest.NewReceiver(opts)
	if err != nil {
		t.Fatal(err)
	}
	return sender(t, receiver, change), receiver
}

func sender(t *testing.T, receiver http.Handler, change func(*webhook.Config)) *webhook.Channel {
	t.Helper()
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	cfg := webhook.Config{URL: server.URL + "/hook?token=t0ken", Secret: secret, AllowPrivate: true}
	if change != nil {
		change(&cfg)
	}
	c, err := webhook.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func message(key string) channels.Message {
	return channels.Message{
		Key: key, Channel: webhook.Name, Campaign: "fitness-trial", Journey: "trial-to-card", Name: "card-offer",
		Member: "m-1024", Body: "月卡 <199> & more", Kind: campaign.KindService,
		At: time.Date(2026, 12, 1, 20, 15, 3, 123456000, time.FixedZone("", 8*3600)), Attempt: 1,
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Fatalf("Deliver: %q, want %q", got, want)
	}
}

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Harness {
		t.Helper()
		c, receiver := pair(t, webhooktest.Options{RetryAfter: conformance.RetryAfter}, func(cfg *webhook.Config) {
			cfg.URL = strings.Replace(cfg.URL, "http://", "http://user:passw0rd@", 1)
		})
		return conformance.Harness{
			Channel: c,
			Secrets: []string{secret, "t0ken", "passw0rd"},
			Delivered: func(m channels.Message) (bodies []string) {
				for _, r := range receiver.Delivered() {
					if r.Member == m.Member {
						bodies = append(bodies, r.Body)
					}
				}
				return bodies
			},
			Arrange: func(f conformance.Fault) bool {
				receiver.Next(map[conformance.Fault]webhooktest.Fault{
					conformance.Refuse:   webhooktest.FaultRefuse,
					conformance.Throttle: webhooktest.FaultThrottle,
					conformance.Drop:     webhooktest.FaultDrop,
					conformance.Stall:    webhooktest.FaultStall,
				}[f])
				return true
			},
		}
	})
}

func TestTheRequest(t *testing.T) {
	type seen struct {
		header http.Header
		body   string
		query  string
		user   string
	}
	requests := make(chan seen, 1)
	c := sender(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		requests <- seen{r.Header, string(body), r.URL.RawQuery, user + ":" + password}
		w.Header().Set(webhook.IDHeader, "wh-1")
	}), func(cfg *webhook.Config) {
		cfg.URL = strings.Replace(cfg.URL, "http://", "http://user:passw0rd@", 1)
		cfg.Secret = secret + ", the one that comes after it"
	})
	m := message("journey/fitness-trial/张三 100%/1")
	m.Attempt = 3
	receipt, err := c.Deliver(t.Context(), m)
	wantError(t, err, "")
	if receipt.ProviderID != "wh-1" {
		t.Errorf("provider id %q", receipt.ProviderID)
	}
	got := <-requests
	want := `{"key":"journey/fitness-trial/张三 100%/1","campaign":"fitness-trial","journey":"trial-to-card",` +
		`"message":"card-offer","member":"m-1024","body":"月卡 <199> & more","kind":"service","at":"2026-12-01T20:15:03.123456+08:00"}`
	if got.body != want {
		t.Errorf("body\n%s\nwant\n%s", got.body, want)
	}
	for name, want := range map[string]string{
		"Content-Type":        "application/json",
		webhook.KeyHeader:     "journey/fitness-trial/%E5%BC%A0%E4%B8%89%20100%25/1",
		webhook.AttemptHeader: "3",
	} {
		if got := got.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got.query != "token=t0ken" || got.user != "user:passw0rd" {
		t.Errorf("query %q and user %q did not arrive", got.query, got.user)
	}
	for _, s := range []string{secret, "the one that comes after it"} { // both while secrets change
		if err := webhook.Verify(s, got.header.Get(webhook.SignatureHeader), []byte(got.body), time.Now(), time.Minute); err != nil {
			t.Errorf("the signature under %q: %v", s, err)
		}
	}
	if text := fmt.Sprintf("%+v", c); text != webhook.Name {
		t.Errorf("printing the channel shows %s", text)
	}
}

// TestOnceThroughEverything sends through a receiver that misbehaves in every way, and
// repeats as the engine would, without its waits.
func TestOnceThroughEverything(t *testing.T) {
	c, receiver := pair(t, webhooktest.Options{Delay: time.Millisecond, Plan: webhooktest.Plan{Seed: 7, Shares: []webhooktest.Share{
		{Fault: webhooktest.FaultDrop, Of: 0.2},
		{Fault: webhooktest.FaultLose, Of: 0.1},
		{Fault: webhooktest.FaultThrottle, Of: 0.1},
		{Fault: webhooktest.FaultFail, Of: 0.1},
		{Fault: webhooktest.FaultSlow, Of: 0.1},
	}}}, nil)
	const members = 200
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for n := worker; n < members; n += 8 {
				m := message(fmt.Sprintf("effect/%d", n))
				for {
					_, err := c.Deliver(context.Background(), m)
					if err == nil {
						break
					}
					if f := channels.AsFailure(err); (f.Class != channels.ClassRetry && f.Class != channels.ClassUnknown) || m.Attempt > 10 {
						t.Errorf("%s, attempt %d: %v", m.Key, m.Attempt, err)
						break
					}
					m.Attempt++
				}
			}
		})
	}
	group.Wait()
	stats := receiver.Stats()
	if len(receiver.Delivered()) != members || stats.Accepted != members {
		t.Errorf("%d members reached, %d accepted, want %d", len(receiver.Delivered()), stats.Accepted, members)
	}
	if stats.Repeated == 0 || stats.Conflicts+stats.Unsigned+stats.Malformed != 0 {
		t.Errorf("want repeats and no complaint: %+v", stats)
	}
	if sum := stats.Accepted + stats.Repeated + stats.NotTaken; sum != stats.Requests {
		t.Errorf("%d requests, of which %d are explained", stats.Requests, sum)
	}
}

// A receiver that takes a message on a kept connection and hangs up is asked again by
// net/http at once. When that repetition is turned away, the message has arrived all the
// same: nobody may conclude that it has not.
func TestTurnedAwayAfterALostAnswerIsUnknown(t *testing.T) {
	for _, fault := range []webhooktest.Fault{webhooktest.FaultThrottle, webhooktest.FaultFail, webhooktest.FaultRefuse} {
		c, receiver := pair(t, webhooktest.Options{}, nil)
		receiver.Next(webhooktest.FaultNone, webhooktest.FaultDrop, fault)
		if _, err := c.Deliver(t.Context(), message("first")); err != nil { // leaves a connection behind
			t.Fatal(err)
		}
		_, err := c.Deliver(t.Context(), message("second"))
		if _, taken := receiver.Delivered()["second"]; !taken || receiver.Stats().Requests != 3 {
			t.Fatalf("not what this test is about: %+v", receiver.Stats())
		}
		if f := channels.AsFailure(err); f == nil || f.Class != channels.ClassUnknown {
			t.Errorf("%s: %v, want %s", fault, err, channels.ClassUnknown)
		}
		if f := channels.AsFailure(err); fault == webhooktest.FaultThrottle && f.RetryAfter == 0 {
			t.Error("how long the receiver wants to be left alone is lost")
		}
	}
}

func TestTimeoutAfterSendingIsUnknown(t *testing.T) {
	c, receiver := pair(t, webhooktest.Options{}, func(cfg *webhook.Config) { cfg.Timeout = 200 * time.Millisecond })
	receiver.Next(webhooktest.FaultStall)
	_, err := c.Deliver(t.Context(), message("k"))
	wantError(t, err, "unknown: timeout")
}

func TestAServerErrorIsARetry(t *testing.T) {
	c, receiver := pair(t, webhooktest.Options{}, nil)
	receiver.Next(webhooktest.FaultFail)
	_, err := c.Deliver(t.Context(), message("k"))
	wantError(t, err, "retry: http_500")
}

func TestAWrongSecretIsConfiguration(t *testing.T) {
	c, receiver := pair(t, webhooktest.Options{}, func(cfg *webhook.Config) { cfg.Secret = "not the one that is expected" })
	_, err := c.Deliver(t.Context(), message("k"))
	wantError(t, err, "config: http_401")
	if got := receiver.Stats().Unsigned; got != 1 {
		t.Errorf("%d unsigned requests", got)
	}
}

func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	c := sender(t, http.NotFoundHandler(), func(cfg *webhook.Config) { cfg.URL = "http://" + address })
	_, err = c.Deliver(t.Context(), message("k"))
	wantError(t, err, "retry: connection_refused")
}

func TestAnUntrustedCertificateIsARetryBecauseNothingWasSent(t *testing.T) {
	var reached atomic.Bool
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	c := sender(t, http.NotFoundHandler(), func(cfg *webhook.Config) { cfg.URL = server.URL })
	_, err := c.Deliver(t.Context(), message("k"))
	wantError(t, err, "retry: tls")
	if reached.Load() {
		t.Error("the receiver got a request")
	}
}

func TestAnAnswerIsReadToItsLimit(t *testing.T) {
	c := sender(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"id": "wh-1", "rest": strings.Repeat("x", 1<<20)})
	}), nil)
	receipt, err := c.Deliver(t.Context(), message("k"))
	wantError(t, err, "") // the status has said that it is taken
	if receipt.ProviderID != "" {
		t.Errorf("provider id %q from an answer that is too long", receipt.ProviderID)
	}
}

func TestNamesThatLeadInsideAreRefusedWhenDialled(t *testing.T) {
	var reached atomic.Bool
	c := sender(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }), func(cfg *webhook.Config) {
		cfg.URL = strings.Replace(cfg.URL, "127.0.0.1", "localhost", 1)
		cfg.AllowPrivate = false
	})
	_, err := c.Deliver(t.Context(), message("k"))
	wantError(t, err, "config: private_address")
	if reached.Load() {
		t.Error("the receiver got a request")
	}
}

func TestRedirects(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	receiver, err := webhooktest.NewReceiver(webhooktest.Options{Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	redirect := func(status int, location string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(status)
		})
	}
	mux := http.NewServeMux()
	mux.Handle("/hook", receiver)
	mux.Handle("/kept", redirect(http.StatusPermanentRedirect, "/kept/"))
	mux.Handle("/kept/", redirect(http.StatusTemporaryRedirect, "/hook"))
	mux.Handle("/see-other", redirect(http.StatusSeeOther, "/hook"))
	mux.Handle("/loop", redirect(http.StatusTemporaryRedirect, "/loop"))
	mux.Handle("/metadata", redirect(http.StatusTemporaryRedirect, "http://169.254.169.254/latest/meta-data"))
	mux.Handle("/elsewhere", redirect(http.StatusTemporaryRedirect, other.URL))
	for path, want := range map[string]string{
		"/kept":      "",
		"/see-other": "config: redirect_303",
		"/loop":      "config: redirect_loop",
		"/metadata":  "config: redirect_host",
		"/elsewhere": "config: redirect_host",
	} {
		c := sender(t, mux, func(cfg *webhook.Config) { cfg.URL = strings.Replace(cfg.URL, "/hook", path, 1) })
		_, err := c.Deliver(t.Context(), message("k"+path))
		wantError(t, err, want)
	}
	if got := receiver.Delivered()["k/kept"]; got.Body != message("").Body || len(receiver.Delivered()) != 1 || elsewhere.Load() != 0 {
		t.Errorf("delivered %v, elsewhere %d", receiver.Delivered(), elsewhere.Load())
	}
}

func TestNewRefuses(t *testing.T) {
	good := webhook.Config{URL: "https://shop.example.com/t0ken", Secret: secret}
	for name, c := range map[string]struct {
		change  func(*webhook.Config)
		problem string
	}{
		"good":               {func(*webhook.Config) {}, ""},
		"two secrets":        {func(c *webhook.Config) { c.Secret += "," + secret }, ""},
		"private by consent": {func(c *webhook.Config) { c.URL, c.AllowPrivate = "http://10.0.0.7/t0ken", true }, ""},
		"no scheme":          {func(c *webhook.Config) { c.URL = "shop.example.com/t0ken" }, "BANYAN_WEBHOOK_URL"},
		"another scheme":     {func(c *webhook.Config) { c.URL = "ftp://shop.example.com/t0ken" }, "BANYAN_WEBHOOK_URL"},
		"no host":            {func(c *webhook.Config) { c.URL = "https:///t0ken" }, "BANYAN_WEBHOOK_URL"},
		"not a URL":          {func(c *webhook.Config) { c.URL = "https://t0ken%zz" }, "BANYAN_WEBHOOK_URL"},
		"fragment":           {func(c *webhook.Config) { c.URL += "#t0ken" }, "after #"},
		"private":            {func(c *webhook.Config) { c.URL = "http://10.0.0.7/t0ken" }, "BANYAN_WEBHOOK_ALLOW_PRIVATE"},
		"private in v6":      {func(c *webhook.Config) { c.URL = "http://[::ffff:127.0.0.1]/t0ken" }, "BANYAN_WEBHOOK_ALLOW_PRIVATE"},
		"no secret":          {func(c *webhook.Config) { c.Secret = "" }, "BANYAN_WEBHOOK_SECRET"},
		"short secret":       {func(c *webhook.Config) { c.Secret = "t0ken" }, "at least 16 bytes"},
		"an empty one":       {func(c *webhook.Config) { c.Secret += "," }, "BANYAN_WEBHOOK_SECRET"},
		"too many":           {func(c *webhook.Config) { c.Secret = strings.Repeat(secret+",", 3) + secret }, "one to 3 secrets"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			_, err := webhook.New(cfg)
			switch {
			case c.problem == "" && err != nil:
				t.Fatal(err)
			case c.problem == "":
			case err == nil || !strings.Contains(err.Error(), c.problem) || campaign.CodeOf(err) != campaign.CodeInvalid:
				t.Fatalf("error is %v, want one with %q", err, c.problem)
			case strings.Contains(err.Error(), "t0ken"):
				t.Errorf("the error quotes the setting: %v", err)
			}
		})
	}
}
