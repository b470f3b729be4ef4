package sms_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/outbound"
	"github.com/banyanhq/banyan/channels/sms"
	"github.com/banyanhq/banyan/fakeplatform"
)

func TestGatewayWire(t *testing.T) {
	t.Parallel()
	l, url := listen(t)
	c := channel(t, sms.Config{Provider: sms.ProviderGateway, URL: url, Secret: secret + ", " + secret + " of before", Sign: "榕树", AllowPrivate: true})
	l.answer = wire(t, "sms-gateway.response")
	receipt, err := c.Deliver(t.Context(), wireMessage())
	if err != nil || receipt.ProviderID != "sms000001" {
		t.Errorf("Deliver = %+v, %v", receipt, err)
	}
	if want := wire(t, "sms-gateway.request"); l.body != want {
		t.Errorf("sent %s, want %s", l.body, want)
	}
	signature := l.header.Get("Banyan-Signature")
	for _, s := range []string{secret, secret + " of before"} {
		if err := outbound.Verify(s, signature, []byte(l.body), time.Now(), time.Minute); err != nil {
			t.Errorf("signature %s: %v", signature, err)
		}
	}
	if l.header.Get("Idempotency-Key") != wireKey || l.header.Get("Banyan-Attempt") != "1" {
		t.Errorf("%v", l.header)
	}
	for _, c2 := range []struct {
		status       int
		answer, want string
		id           string
		marks        campaign.IdentityState
	}{
		{200, `{"id": 42}`, "", "42", ""},
		{202, `ok`, "", "", ""},
		{200, `{"id": "with a blank"}`, "", "", ""},
		{422, `{"state": "opted_out"}`, "refused: http_422", "", campaign.IdentityOptedOut},
		{410, `{"state": "unreachable"}`, "refused: http_410", "", campaign.IdentityUnreachable},
		{422, `{"state": "reachable"}`, "refused: http_422", "", ""},
		{400, ``, "refused: http_400", "", ""},
		{401, ``, "config: http_401", "", ""},
		{302, ``, "config: http_302", "", ""},
		{429, ``, "retry: http_429", "", ""},
		{503, ``, "retry: http_503", "", ""},
	} {
		l.status, l.answer = c2.status, c2.answer
		receipt, err := c.Deliver(t.Context(), wireMessage())
		f := channels.AsFailure(err)
		if f == nil {
			f = new(channels.Failure)
		}
		if text(err) != c2.want || receipt.ProviderID != c2.id || f.Marks != c2.marks {
			t.Errorf("%d %s: %+v, %v, marks %q", c2.status, c2.answer, receipt, err, f.Marks)
		}
	}
	// Where templates are configured, the gateway is told which one it is.
	l.status, l.answer = 200, ""
	c = channel(t, sms.Config{Provider: sms.ProviderGateway, URL: url, Secret: secret, Templates: []byte(templateFile), AllowPrivate: true})
	if _, err := c.Deliver(t.Context(), wireMessage()); err != nil {
		t.Error(err)
	}
	var sent sms.GatewayText
	if err := json.Unmarshal([]byte(l.body), &sent); err != nil || sent.Template != "1110" || strings.Join(sent.Parameters, "|") != "小林|199" || sent.Sign != "" {
		t.Errorf("sent %s, %v", l.body, err)
	}
}

// A gateway takes a key once, whatever comes between.
func TestGatewayOnce(t *testing.T) {
	t.Parallel()
	p, _, cfg := start(t, account())
	c := channel(t, cfg)
	p.Next(fakeplatform.LoseAnswer, fakeplatform.ServerError, fakeplatform.Busy)
	for _, want := range []string{"unknown: connection_lost", "retry: http_502", "retry: http_503", "", ""} {
		if _, err := c.Deliver(t.Context(), message("hello")); text(err) != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if got := p.Record(); len(texts(p, phone)) != 1 || got.SMSSent != 1 || got.SMSRepeated != 2 {
		t.Errorf("%d received, %+v", len(texts(p, phone)), got)
	}
	if !channels.Idempotent(c) || channels.Forgets(c) != 0 {
		t.Error("it does not say that it takes keys")
	}
	if tencent := channel(t, func() sms.Config { _, cfg, _ := start(t, account()); return cfg }()); channels.Idempotent(tencent) {
		t.Error("Tencent is said to take keys")
	}
	other, _, dead := start(t, fakeplatform.SMSAccount{GatewaySecret: secret, Dead: []string{phone}})
	if _, err := channel(t, dead).Deliver(t.Context(), message("hello")); channels.AsFailure(err).Marks != campaign.IdentityUnreachable {
		t.Errorf("a dead number: %v", err)
	}
	other.Unsubscribe("+8613800000002")
	m := message("hello")
	m.To = at("+8613800000002")
	if _, err := channel(t, dead).Deliver(t.Context(), m); channels.AsFailure(err).Marks != campaign.IdentityOptedOut {
		t.Errorf("one who wants none: %v", err)
	}
}

func TestCheckOfAGateway(t *testing.T) {
	t.Parallel()
	p, _, cfg := start(t, account())
	if err := channel(t, cfg).Check(t.Context()); err != nil {
		t.Error(err)
	}
	other := cfg
	other.Secret = "another secret of tests"
	if err := channel(t, other).Check(t.Context()); !strings.Contains(text(err), "BANYAN_SMS_SECRET") || strings.Contains(text(err), "another secret") {
		t.Errorf("another secret: %v", err)
	}
	other = cfg
	other.URL = strings.TrimSuffix(cfg.URL, "/sms") + "/elsewhere"
	if err := channel(t, other).Check(t.Context()); !strings.Contains(text(err), `{"check":true}`) {
		t.Errorf("elsewhere: %v", err)
	}
	if len(p.Received("")) != 0 {
		t.Error("a check sends")
	}
}

// A gateway in a private network is refused at the moment of dialling, whatever its name says.
func TestPrivateGateway(t *testing.T) {
	t.Parallel()
	_, _, cfg := start(t, account())
	cfg.AllowPrivate, cfg.URL = false, strings.Replace(cfg.URL, "127.0.0.1", "localhost", 1)
	if _, err := channel(t, cfg).Deliver(t.Context(), message("hello")); text(err) != "config: private_address" {
		t.Errorf("%v", err)
	}
}
