package miniprogram_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/conformance"
	"github.com/banyanhq/banyan/channels/miniprogram"
	"github.com/banyanhq/banyan/channels/wecom"
	"github.com/banyanhq/banyan/channels/weixin"
	"github.com/banyanhq/banyan/fakeplatform"
)

const (
	account   = "wx0123456789abcdef"
	secret    = "the-secret-of-the-account"
	lesson    = "课程名称：{{thing1.DATA}}\n上课时间：{{time2.DATA}}"
	booked    = "课程名称：瑜伽\n上课时间：2026年12月1日 20:15"
	templates = `
templates:
  - id: any
    text: "{{keyword1.DATA}}"
    kind: marketing
  - id: kE3-lesson
    kind: service
    page: pages/lesson?from=message
    text: |
      课程名称：{{thing1.DATA}}
      上课时间：{{time2.DATA}}
`
)

// start runs a platform whose users have all accepted a message of every template.
func start(tb testing.TB, users ...string) (*fakeplatform.Platform, miniprogram.Config) {
	tb.Helper()
	p := fakeplatform.New(fakeplatform.Options{Mini: fakeplatform.MiniProgram{
		App: account, Secret: secret, Users: users, Templates: map[string]string{"any": "{{keyword1.DATA}}", "kE3-lesson": lesson},
	}})
	server := httptest.NewServer(p)
	tb.Cleanup(func() { p.Close(); server.Close() })
	for _, u := range users {
		p.Accept(u, "any")
		p.Accept(u, "kE3-lesson")
	}
	return p, miniprogram.Config{Account: weixin.Account{URL: server.URL, App: account, Secret: secret}, Templates: []byte(templates)}
}

func channel(tb testing.TB, cfg miniprogram.Config) *miniprogram.Channel {
	tb.Helper()
	c, err := miniprogram.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func to(member string) campaign.Identity {
	return campaign.Identity{ID: 7, Kind: campaign.IdentityOpenID, Account: account, Address: "o-" + member, State: campaign.IdentityReachable}
}

func message(member, body string) channels.Message {
	return channels.Message{
		Key: "k/" + member + "/1", Channel: miniprogram.Name, Name: "hi", Member: member, Body: body, Kind: campaign.KindService, Attempt: 1, To: to(member),
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// users of the suite.
func users() (names []string) {
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
		p, cfg := start(t, users()...)
		return conformance.Harness{
			Channel: channel(t, cfg), To: to, Secrets: []string{secret, "stabletoken000001"},
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
				case conformance.Refuse: // nobody of that name has used it
				default: // the platform says no time; officialaccount's tests have what the client does
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
	answers := map[string]string{"/cgi-bin/stable_token": wire(t, "weixin-stable-token.response"), "/cgi-bin/message/subscribe/send": wire(t, "weixin-subscribe-send.response")}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		sent[r.Method+" "+r.URL.RequestURI()] = string(data)
		_, _ = io.WriteString(w, answers[r.URL.Path])
	}))
	defer server.Close()
	c := channel(t, miniprogram.Config{Account: weixin.Account{URL: server.URL, App: account, Secret: secret}, Templates: []byte(templates)})
	m := message("lin", "课程名称 瑜伽 <入门>\n上课时间: 2026年12月1日 20:15\n")
	m.To.Address = "oLiMei"
	if r, err := c.Deliver(t.Context(), m); err != nil || r.ProviderID != "3956132013513211904" {
		t.Fatalf("%+v, %v", r, err)
	}
	for call, want := range map[string]string{
		"POST /cgi-bin/stable_token":                                          wire(t, "weixin-stable-token.request"),
		"POST /cgi-bin/message/subscribe/send?access_token=stabletoken000001": wire(t, "weixin-subscribe-send.request"),
	} {
		if sent[call] != want {
			t.Errorf("%s sent %s, want %s", call, sent[call], want)
		}
	}
	answers["/cgi-bin/message/subscribe/send"] = wire(t, "weixin-subscribe-send-refused.response")
	if _, err := c.Deliver(t.Context(), m); text(err) != "refused: no_permit" {
		t.Errorf("43101: %v", err)
	}
	for said, want := range map[string]string{`"12"`: "12", `"a b"`: "", `null`: "", `{}`: ""} {
		answers["/cgi-bin/message/subscribe/send"] = `{"errcode":0,"msgid":` + said + `}`
		if r, err := c.Deliver(t.Context(), m); err != nil || r.ProviderID != want {
			t.Errorf("msgid %s: %+v, %v", said, r, err)
		}
	}
}

// ledger is the smallest that keeps the rules of Permits.
type ledger struct {
	left  int
	held  map[string]bool
	fails error
	seen  []string
}

func (l *ledger) TakePermit(_ context.Context, app, openid, template, key string) (bool, error) {
	l.seen = append(l.seen, app+" "+openid+" "+template)
	if l.fails != nil || l.held[key] {
		return l.held[key], l.fails
	}
	if l.left == 0 {
		return false, nil
	}
	l.left--
	l.held[key] = true
	return true, nil
}

func (l *ledger) ReturnPermit(ctx context.Context, _, _, _, key string) error {
	if ctx.Err() == nil && l.held[key] {
		l.left++
		delete(l.held, key)
	}
	return l.fails
}

func (l *ledger) EmptyPermits(context.Context, string, string, string) error {
	l.left = 0
	return l.fails
}

// TestEachCodeIsSettledWithTheLedger has the platform answer each code, for what it means and
// what becomes of the permit.
func TestEachCodeIsSettledWithTheLedger(t *testing.T) {
	t.Parallel()
	const used, back, none = 1, 2, 0
	for code, want := range map[int]struct {
		failure string
		left    int // of two
	}{
		0:     {"", used},
		43101: {"refused: no_permit", none},
		-1:    {"retry: errcode_-1", back}, 45009: {"retry: errcode_45009", back}, 45033: {"retry: errcode_45033", back},
		40001: {"config: errcode_40001", back}, 40164: {"config: errcode_40164", back}, 48001: {"config: errcode_48001", back},
		40003: {"refused: errcode_40003", back}, 40037: {"refused: errcode_40037", back}, 41030: {"refused: errcode_41030", back}, 47003: {"refused: errcode_47003", back},
		502: {"unknown: http_502", used}, // a status
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/cgi-bin/stable_token":
					_, _ = io.WriteString(w, wire(t, "weixin-stable-token.response"))
				case code == 502:
					w.WriteHeader(code)
				default:
					_ = json.NewEncoder(w).Encode(map[string]any{"errcode": code, "errmsg": "o-lin is not welcome"})
				}
			}))
			defer server.Close()
			l := &ledger{left: 2, held: map[string]bool{}}
			c := channel(t, miniprogram.Config{Account: weixin.Account{URL: server.URL, App: account, Secret: secret}, Templates: []byte(templates), Permits: l})
			_, err := c.Deliver(t.Context(), message("lin", booked))
			if text(err) != want.failure || l.left != want.left || !slices.Equal(l.seen, []string{account + " o-lin kE3-lesson"}) {
				t.Errorf("failure is %v, %d permits are left, asked for %q; want %+v", err, l.left, l.seen, want)
			}
			if f := channels.AsFailure(err); f != nil && (f.Marks == campaign.IdentityUnreachable) != (code == 40003) {
				t.Errorf("it marks %q", f.Marks)
			}
		})
	}
}

// TestOnePermitIsOneMessage: without one the platform is not even asked.
func TestOnePermitIsOneMessage(t *testing.T) {
	t.Parallel()
	p, cfg := start(t, "o-lin", "o-wu")
	l := &ledger{left: 1, held: map[string]bool{}}
	cfg.Permits = l
	c := channel(t, cfg)
	send := func(member, key, want string) {
		t.Helper()
		m := message(member, booked)
		m.Key = key
		if _, err := c.Deliver(t.Context(), m); text(err) != want {
			t.Errorf("%s: %v, want %q", key, err, want)
		}
	}
	p.Next(fakeplatform.Busy)
	send("lin", "k-1", "retry: errcode_-1") // and its permit is free for another
	send("lin", "k-2", "")
	send("lin", "k-1", "refused: no_permit")
	if got := p.Record(); got.MiniCalls != 2 || got.MiniNoPermit != 0 || len(p.Received("o-lin")) != 1 || p.Permitted("o-lin", "kE3-lesson") != 0 {
		t.Errorf("%+v, %+v", got, p.Received(""))
	}
	// The platform knows better: she declined where nobody told of it.
	p.Decline("o-wu", "kE3-lesson")
	l.left = 3
	send("wu", "k-3", "refused: no_permit")
	send("wu", "k-4", "refused: no_permit")
	if got := p.Record(); got.MiniNoPermit != 1 || l.left != 0 {
		t.Errorf("%+v, %d permits are left", got, l.left)
	}
	l.fails = errors.New("o-lin is not there")
	send("lin", "k-5", "retry: permits")
	ctx, cancel := context.WithCancel(t.Context())
	l.fails = context.Canceled
	m := message("lin", booked)
	m.Deadline = time.Now().Add(time.Hour)
	cancel()
	if _, err := c.Deliver(ctx, m); text(err) != "retry: canceled" {
		t.Errorf("canceled: %v", err)
	}
}

// TestAPermitComesBackFromAWorkerThatStops: nobody waits for the answer any more, and the
// ledger hears all the same.
func TestAPermitComesBackFromAWorkerThatStops(t *testing.T) {
	t.Parallel()
	_, cfg := start(t, "o-lin")
	l := &ledger{left: 1, held: map[string]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	cfg.Permits, cfg.Account.Tokens = l, stopping(cancel)
	if _, err := channel(t, cfg).Deliver(ctx, message("lin", booked)); text(err) != "retry: canceled" || l.left != 1 || len(l.seen) != 1 {
		t.Errorf("%v, %d permits are left", err, l.left)
	}
}

// stopping stops the worker while it waits for a token.
type stopping func()

func (s stopping) Token(ctx context.Context, _, _ string, _ func(context.Context) (wecom.Token, error)) (wecom.Token, error) {
	s()
	<-ctx.Done()
	return wecom.Token{}, ctx.Err()
}

// TestTheFakeIsAsStrict: what the checks here let pass is refused there.
func TestTheFakeIsAsStrict(t *testing.T) {
	t.Parallel()
	p, cfg := start(t, "o-lin")
	cfg.Templates = []byte(`{"templates": [{"id": "gone", "text": "A {{thing1.DATA}}"}, {"id": "any", "text": "B {{thing9.DATA}}"}]}`)
	c := channel(t, cfg)
	for body, want := range map[string]string{"A 1": "refused: errcode_40037", "B 1": "refused: errcode_47003"} {
		if _, err := c.Deliver(t.Context(), message("lin", body)); text(err) != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
	if p.Permitted("o-lin", "any") != 1 {
		t.Error("a refused message used a permit")
	}
}

func TestTextsFindTheirTemplate(t *testing.T) {
	t.Parallel()
	_, cfg := start(t, "o-lin")
	for _, each := range []struct {
		kind       campaign.MessageKind
		body, want string
	}{
		{campaign.KindService, booked, ""},
		{campaign.KindService, "\n 课程名称:瑜伽 \n 上课时间 20:15 \n", ""},
		{campaign.KindService, "课程名称：瑜伽", "refused: no_template"},           // a line is missing
		{campaign.KindService, "课程名称：\n上课时间：20:15", "refused: no_template"}, // a value is
		{campaign.KindService, "课程：瑜伽\n上课时间：20:15", "refused: no_template"}, // another label
		{campaign.KindService, booked + "\n备注：无", "refused: no_template"},   // a line more
		{campaign.KindService, "", "refused: no_template"},                  //
		{campaign.KindMarketing, booked, "refused: no_template"},            // that template is for service
		{"", "anything", ""}, // without a kind it is marketing
		{campaign.KindService, "课程名称：" + strings.Repeat("瑜", 20) + "\n上课时间：20:15", ""}, // as long as a thing may be
		{campaign.KindService, "课程名称：" + strings.Repeat("瑜", 21) + "\n上课时间：20:15", "refused: too_long"},
	} {
		p, own := start(t, "o-lin")
		own.Templates = cfg.Templates
		m := message("lin", each.body)
		m.Kind = each.kind
		if _, err := channel(t, own).Deliver(t.Context(), m); text(err) != each.want {
			t.Errorf("%q: %v, want %q", each.body, err, each.want)
		}
		if (each.want == "") != (p.Record().MiniCalls == 1) {
			t.Errorf("%q: %d calls", each.body, p.Record().MiniCalls)
		}
	}
}

func TestTemplatesAreChecked(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"":              "it is empty",
		"[":             "it cannot be read",
		"templates: []": "it lists no template",
		"templats: []":  "templats",
		`{"templates": [{"id": "", "text": "{{thing1.DATA}}"}]}`:                                          "template 1 (): write the id",
		`{"templates": [{"id": "a", "text": ""}]}`:                                                        "template 1 (a): write its text",
		`{"templates": [{"id": "a", "text": "hello"}]}`:                                                   "line 1 of its text",
		`{"templates": [{"id": "a", "text": "x {{thing1.DATA}}\ny {{Thing.DATA}}"}]}`:                     "line 2 of its text",
		`{"templates": [{"id": "a", "text": "x {{thing1.DATA}}\ny {{thing1.DATA}}"}]}`:                    "thing1 a second time",
		`{"templates": [{"id": "a", "text": "{{thing1.DATA}}", "kind": "war"}]}`:                          "kind is marketing or service",
		`{"templates": [{"id": "a", "text": "{{thing1.DATA}}", "page": "https://x"}]}`:                    "and no URL",
		`{"templates": [{"id": "a", "text": "{{thing1.DATA}}"}, {"id": "a", "text": "{{thing1.DATA}}"}]}`: "template 2 (a): the id stands twice",
		`{"templates": [{"id": "a", "text": "` + strings.Repeat(`{{thing1.DATA}}\n`, 21) + `"}]}`:         "its text is too long",
		"templates: [" + strings.Repeat(`{id: a, text: b},`, miniprogram.MaxTemplates+1) + "]":            "200 are the most",
	} {
		if _, err := miniprogram.ParseTemplates([]byte(source)); !strings.Contains(text(err), want) || want == "" {
			t.Errorf("%.80s: %v, want %s", source, err, want)
		}
	}
}

func FuzzParseTemplates(f *testing.F) {
	f.Add([]byte(templates), booked)
	f.Add([]byte(`{"templates": [{"id": "a", "text": "x{{thing1.DATA}}"}]}`), "x 1")
	f.Fuzz(func(t *testing.T, source []byte, body string) {
		if _, err := miniprogram.ParseTemplates(source); err != nil {
			return
		}
		c, err := miniprogram.New(miniprogram.Config{Account: weixin.Account{App: account, Secret: secret, URL: "http://127.0.0.1:1"}, Templates: source, Permits: new(ledger)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Deliver(t.Context(), message("lin", body)); !strings.HasPrefix(text(err), "refused: ") { // nobody has permitted anything
			t.Errorf("it is %v", err)
		}
	})
}

func TestConfigurationIsCheckedAndShowsNoSecret(t *testing.T) {
	t.Parallel()
	good := weixin.Account{App: account, Secret: secret}
	for want, cfg := range map[string]miniprogram.Config{
		"BANYAN_MINIPROGRAM_APP":                       {Account: weixin.Account{Secret: secret}, Templates: []byte(templates)},
		"BANYAN_MINIPROGRAM_SECRET":                    {Account: weixin.Account{App: account}, Templates: []byte(templates)},
		"BANYAN_MINIPROGRAM_URL":                       {Account: weixin.Account{App: account, Secret: secret, URL: "https://user:passw0rd@x"}, Templates: []byte(templates)},
		"BANYAN_MINIPROGRAM_TEMPLATES_FILE names":      {Account: good},
		"BANYAN_MINIPROGRAM_TEMPLATES_FILE: it cannot": {Account: good, Templates: []byte("[")},
	} {
		_, err := miniprogram.New(cfg)
		if !strings.Contains(text(err), want) {
			t.Errorf("error is %v, want one with %s", err, want)
		}
		if shown := text(err) + fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg); strings.Contains(shown, secret) || strings.Contains(shown, "passw0rd") {
			t.Errorf("it shows a secret: %s", shown)
		}
	}
}
