package sms_test

import (
	"crypto/sha256"
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
	"github.com/banyanhq/banyan/channels/sms"
	"github.com/banyanhq/banyan/fakeplatform"
)

const (
	secretID  = "AKID0123456789EXAMPLE"
	secretKey = "the-secret-key-of-the-account"
	appID     = "1400006666"
	secret    = "a shared secret for tests alone"
	phone     = "+8613800000001"
)

const templateFile = `
templates:
  - {id: 1110, text: "{1}，月卡 {2} 元为你锁定。拒收请回复R", kind: marketing}
  - {id: 1111, text: "课程 {1} 开始", kind: service}
  - {id: 1112, text: "Hello {1}", kind: service, international: true}
  - {id: 1113, text: "body-of-{1} 月卡 199 元 <b>&"}
  - {id: 1114, text: "{1}!!"}
`

func account() fakeplatform.SMSAccount {
	return fakeplatform.SMSAccount{
		SecretID: secretID, SecretKey: secretKey, App: appID, Sign: "榕树", GatewaySecret: secret,
		Templates: []fakeplatform.SMSTemplate{
			{ID: 1110, Text: "{1}，月卡 {2} 元为你锁定。拒收请回复R"},
			{ID: 1111, Text: "课程 {1} 开始"},
			{ID: 1112, Text: "Hello {1}", International: true},
			{ID: 1113, Text: "body-of-{1} 月卡 199 元 <b>&"},
			{ID: 1114, Text: "{1}!!"},
		},
	}
}

// start runs a platform, and gives the settings for both of its ways to send texts.
func start(tb testing.TB, account fakeplatform.SMSAccount) (p *fakeplatform.Platform, tencent, gateway sms.Config) {
	tb.Helper()
	p = fakeplatform.New(fakeplatform.Options{SMS: account})
	server := httptest.NewServer(p)
	tb.Cleanup(func() { p.Close(); server.Close() })
	tencent = sms.Config{
		Provider: sms.ProviderTencent, URL: server.URL, SecretID: secretID, SecretKey: secretKey, App: appID, Sign: "榕树", Templates: []byte(templateFile),
	}
	gateway = sms.Config{Provider: sms.ProviderGateway, URL: server.URL + "/sms", Secret: secret, Sign: "榕树", AllowPrivate: true}
	return p, tencent, gateway
}

func channel(tb testing.TB, cfg sms.Config) *sms.Channel {
	tb.Helper()
	c, err := sms.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// to gives each member a number of her own.
func to(member string) campaign.Identity {
	sum := sha256.Sum256([]byte(member))
	number := uint64(sum[0])<<24 | uint64(sum[1])<<16 | uint64(sum[2])<<8 | uint64(sum[3])
	return at(fmt.Sprintf("+8613%09d", number%1_000_000_000))
}

func at(number string) campaign.Identity {
	return campaign.Identity{ID: 7, Kind: campaign.IdentityPhone, Address: number, State: campaign.IdentityReachable}
}

func message(body string) channels.Message {
	return channels.Message{Key: fmt.Sprintf("k/%x", sha256.Sum256([]byte(body))), Channel: sms.Name, Name: "hi", Member: "m-lin", Body: body, Kind: campaign.KindService, Attempt: 1, To: at(phone)}
}

// texts are what a phone shows, without the signature.
func texts(p *fakeplatform.Platform, number string) (bodies []string) {
	for _, r := range p.Received(number) {
		bodies = append(bodies, strings.TrimPrefix(r.Text, "【榕树】"))
	}
	return bodies
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{sms.ProviderTencent, sms.ProviderGateway} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			conformance.Run(t, func(t *testing.T) conformance.Harness {
				p, cfg, gateway := start(t, account())
				h := conformance.Harness{
					To: to, Secrets: []string{secretID, secretKey, secret}, RetryAfter: 31 * time.Second,
					MaxBody:   494*3 + 2, // with the signature 500 characters
					Delivered: func(m channels.Message) []string { return texts(p, m.To.Address) },
				}
				throttle := fakeplatform.SMSCode("LimitExceeded.PhoneNumberThirtySecondLimit")
				if provider == sms.ProviderGateway {
					cfg, throttle, h.RetryAfter = gateway, fakeplatform.Throttled, 7*time.Second
				}
				cfg.OptOut = sms.OptOutLeave // the suite's texts arrive as they are
				h.Channel = channel(t, cfg)
				h.Arrange = func(f conformance.Fault) bool {
					p.Next(map[conformance.Fault]fakeplatform.Fault{
						conformance.Refuse: fakeplatform.SMSCode("FailedOperation.ContainSensitiveWord"), conformance.Throttle: throttle,
						conformance.Drop: fakeplatform.LoseAnswer, conformance.Stall: fakeplatform.NeverAnswer,
					}[f])
					return true
				}
				return h
			})
		})
	}
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

// listener answers as it is told and keeps what it was asked.
type listener struct {
	answer string
	status int
	body   string
	header http.Header
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	l.body, l.header = string(data), r.Header
	if l.status != 0 {
		w.WriteHeader(l.status)
	}
	_, _ = io.WriteString(w, l.answer)
}

func listen(t *testing.T) (*listener, string) {
	t.Helper()
	l := new(listener)
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	return l, server.URL
}

const wireKey = "journey/fitness-trial/trial-to-card/m-1024/1/3"

func wireMessage() channels.Message {
	m := message("小林，月卡 199 元为你锁定。")
	m.Key, m.Kind, m.To = wireKey, campaign.KindMarketing, at("+8618501234444")
	return m
}

// TestWire holds what goes out and what is understood to the written-down examples.
func TestWire(t *testing.T) {
	t.Parallel()
	l, url := listen(t)
	c := channel(t, sms.Config{
		Provider: sms.ProviderTencent, URL: url, SecretID: secretID, SecretKey: secretKey, App: appID, Sign: "榕树", Templates: []byte(templateFile),
	})
	sum := sha256.Sum256([]byte(wireKey))
	session := fmt.Sprintf("%x", sum[:16]) // the examples hold one that is not made of a key
	l.answer = wire(t, "tencent-sendsms.response")
	receipt, err := c.Deliver(t.Context(), wireMessage())
	if err != nil || receipt.ProviderID != "5000:1045710669157053657849499619" {
		t.Errorf("Deliver = %+v, %v", receipt, err)
	}
	if want := strings.Replace(wire(t, "tencent-sendsms.request"), "0e8fdbc57f33e4f9f5a1e9a0c3f5d0b1", session, 1); l.body != want {
		t.Errorf("sent %s, want %s", l.body, want)
	}
	for name, want := range map[string]string{
		"X-TC-Action": "SendSms", "X-TC-Version": "2021-01-11", "X-TC-Region": "ap-guangzhou", "Content-Type": "application/json; charset=utf-8",
	} {
		if got := l.header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	l.answer = wire(t, "tencent-sendsms-blacklist.response")
	_, err = c.Deliver(t.Context(), wireMessage())
	if f := channels.AsFailure(err); f.Error() != "refused: failed_operation_phone_number_in_blacklist" || f.Marks != campaign.IdentityOptedOut {
		t.Errorf("on the list of those who want none: %v, marks %q", err, f.Marks)
	}
	l.answer = wire(t, "tencent-error-signature.response")
	if _, err = c.Deliver(t.Context(), wireMessage()); text(err) != "config: auth_failure_signature_failure" {
		t.Errorf("a signature that is refused: %v", err)
	}
	for _, answer := range []string{"", "ok", "{}", `{"Response":{}}`, `{"Response":{"SendStatusSet":[]}}`, `{"Response":{"SendStatusSet":[{}]}}`, `{"Response":[]}`, `{"Response":{"SendStatusSet":"x"}}`} {
		l.answer = answer
		if _, err = c.Deliver(t.Context(), wireMessage()); text(err) != "unknown: no_answer" {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

// TestFaults: what the vendor's servers may do, over real sockets.
func TestFaults(t *testing.T) {
	t.Parallel()
	for fault, want := range map[fakeplatform.Fault]struct {
		failure string
		arrived int
	}{
		fakeplatform.Busy:                             {"retry: request_limit_exceeded", 0},
		fakeplatform.ServerError:                      {"unknown: http_502", 0},
		fakeplatform.LoseAnswer:                       {"unknown: connection_lost", 1},
		fakeplatform.SMSCode("InternalError.Timeout"): {"unknown: internal_error_timeout", 0},
		fakeplatform.SMSCode("FailedOperation.InsufficientBalanceInSmsPackage"): {"config: failed_operation_insufficient_balance_in_sms_package", 0},
		fakeplatform.SMSError("AuthFailure.SecretIdNotFound"):                   {"config: auth_failure_secret_id_not_found", 0},
		fakeplatform.SMSError("InternalError"):                                  {"unknown: internal_error", 0},
	} {
		p, cfg, _ := start(t, account())
		p.Next(fault)
		if _, err := channel(t, cfg).Deliver(t.Context(), message("课程 瑜伽 开始")); text(err) != want.failure || len(texts(p, phone)) != want.arrived {
			t.Errorf("%s: %v, %d received, want %+v", fault, err, len(texts(p, phone)), want)
		}
	}
}

func TestAnswersThatAreNotTheVendors(t *testing.T) {
	t.Parallel()
	l, url := listen(t)
	_, cfg, _ := start(t, account())
	cfg.URL = url
	c := channel(t, cfg)
	for status, want := range map[int]string{
		429: "retry: http_429", 503: "retry: http_503", 500: "unknown: http_500", 504: "unknown: http_504", 404: "config: http_404", 302: "config: http_302",
	} {
		l.status = status
		if _, err := c.Deliver(t.Context(), message("课程 瑜伽 开始")); text(err) != want {
			t.Errorf("%d: %v, want %s", status, err, want)
		}
	}
}

// TestLimits: what the vendor counts comes again at the time at which it is taken.
func TestLimits(t *testing.T) {
	t.Parallel()
	p, cfg, _ := start(t, account())
	c := channel(t, cfg)
	deliver := func(body string) *channels.Failure {
		_, err := c.Deliver(t.Context(), message(body))
		return channels.AsFailure(err)
	}
	if f := deliver("课程 0 开始"); f != nil {
		t.Fatal(f)
	}
	if f := deliver("课程 0 开始"); f == nil || f.Reason != "limit_exceeded_phone_number_thirty_second_limit" || f.RetryAfter != 31*time.Second {
		t.Errorf("the same words at once: %v", f)
	}
	for i := range 9 {
		if f := deliver(fmt.Sprintf("课程 %d 开始", i+1)); f != nil {
			t.Fatalf("%d: %v", i, f)
		}
	}
	if f := deliver("课程 10 开始"); f == nil || f.Reason != "limit_exceeded_phone_number_daily_limit" || f.Class != channels.ClassRetry ||
		f.RetryAfter < 8*time.Hour-time.Minute || f.RetryAfter > 32*time.Hour+11*time.Minute {
		t.Errorf("the eleventh of a day: %+v", f)
	}
	p.Unsubscribe(phone)
	if f := deliver("课程 瑜伽 开始"); f == nil || f.Class != channels.ClassRefused || f.Marks != campaign.IdentityOptedOut {
		t.Errorf("after R: %+v", f)
	}
	if got := p.Record(); got.SMSSent != 10 || got.SMSUnsigned != 0 {
		t.Errorf("%+v", got)
	}
}

// TestTexts: what is made of a text before it goes, and what does not go.
func TestTexts(t *testing.T) {
	t.Parallel()
	marketing := func(body string) channels.Message {
		m := message(body)
		m.Kind = campaign.KindMarketing
		return m
	}
	abroad := func(body string) channels.Message {
		m := message(body)
		m.To = at("+4915112345678")
		return m
	}
	same := func(*sms.Config) {}
	for name, c := range map[string]struct {
		change func(*sms.Config)
		m      channels.Message
		want   string // what arrives, or the failure
		marks  campaign.IdentityState
	}{
		"the words to opt out are put behind": {same, marketing("小林，月卡 199 元为你锁定。"), "小林，月卡 199 元为你锁定。拒收请回复R", ""},
		"once":                                {same, marketing("小林，月卡 199 元为你锁定。拒收请回复R\n"), "小林，月卡 199 元为你锁定。拒收请回复R", ""},
		"not told and not allowed":            {func(c *sms.Config) { c.OptOut = sms.OptOutRefuse }, marketing("小林，月卡 199 元为你锁定。"), "refused: no_opt_out", ""},
		"told":                                {func(c *sms.Config) { c.OptOut = sms.OptOutRefuse }, marketing("小林，月卡 199 元为你锁定。拒收请回复R"), "小林，月卡 199 元为你锁定。拒收请回复R", ""},
		"service needs none":                  {func(c *sms.Config) { c.OptOut = sms.OptOutRefuse }, message("课程 瑜伽 开始"), "课程 瑜伽 开始", ""},
		"our signature is taken off":          {same, message("【榕树】课程 瑜伽 开始"), "课程 瑜伽 开始", ""},
		"another's is not":                    {same, message("【别家】课程 瑜伽 开始"), "refused: no_template", ""},
		"no template":                         {same, message("今天不上课"), "refused: no_template", ""},
		"a template of the other kind":        {same, marketing("课程 瑜伽 开始"), "refused: no_template", ""},
		"an empty parameter":                  {same, message("课程  开始"), "refused: no_template", ""},
		"abroad":                              {same, abroad("Hello Lin"), "Hello Lin", ""},
		"abroad with a template of here":      {same, abroad("课程 瑜伽 开始"), "refused: no_template", ""},
		"too long":                            {same, message("课程 " + strings.Repeat("瑜", 491) + " 开始"), "refused: too_long", ""},
		"as long as can be":                   {same, message("课程 " + strings.Repeat("瑜", 490) + " 开始"), "课程 " + strings.Repeat("瑜", 490) + " 开始", ""},
		"too many parts":                      {func(c *sms.Config) { c.MaxParts = 1 }, message("课程 " + strings.Repeat("瑜", 61) + " 开始"), "refused: too_many_parts", ""},
		"one part":                            {func(c *sms.Config) { c.MaxParts = 1 }, message("课程 " + strings.Repeat("瑜", 60) + " 开始"), "课程 " + strings.Repeat("瑜", 60) + " 开始", ""},
		"nothing":                             {same, message(" 【榕树】 "), "refused: invalid_message", ""},
		"a link in a parameter":               {same, message("课程 https://shop.example.com 开始"), "refused: invalid_parameter_value_prohibited_use_url_in_template_parameter", ""},
	} {
		p, cfg, _ := start(t, account())
		c.change(&cfg)
		_, err := channel(t, cfg).Deliver(t.Context(), c.m)
		got := text(err)
		if arrived := texts(p, c.m.To.Address); err == nil && len(arrived) == 1 {
			got = arrived[0]
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	_, cfg, _ := start(t, account())
	c := channel(t, cfg)
	for number, want := range map[string]string{
		"": "refused: no_address", "12345": "refused: invalid_number", // it was stored before there were rules
		"+862112345678": "refused: invalid_parameter_value_incorrect_phone_number", // no mobile
	} {
		m := message("课程 瑜伽 开始")
		m.To.Address = number
		_, err := c.Deliver(t.Context(), m)
		if f := channels.AsFailure(err); text(err) != want || (f.Marks == campaign.IdentityUnreachable) != (number != "") {
			t.Errorf("%q: %v, marks %q", number, err, f.Marks)
		}
	}
	if kind, account := channels.Reaches(c); kind != campaign.IdentityPhone || account != "" {
		t.Errorf("it goes to %s of %q", kind, account)
	}
}

// TestTheWordsAreJoined: behind a text without a mark stands a comma, and words of another
// script stand behind a blank. A gateway shows them as they are.
func TestTheWordsAreJoined(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ words, body, want string }{
		{"", "月卡 199 元", "月卡 199 元，拒收请回复R"},
		{"", "月卡 199 元！", "月卡 199 元！拒收请回复R"},
		{"", "月卡 199 元，拒收请回复R。", "月卡 199 元，拒收请回复R。"},
		{"回T退订", "月卡 199 元\n", "月卡 199 元，回T退订"},
		{"Reply STOP to end", "Your card is ready.", "Your card is ready. Reply STOP to end"},
	} {
		p, _, cfg := start(t, account())
		cfg.OptOutText = c.words
		m := message(c.body)
		m.Kind = campaign.KindMarketing
		if _, err := channel(t, cfg).Deliver(t.Context(), m); err != nil || strings.Join(texts(p, phone), "|") != c.want {
			t.Errorf("%q: %q, %v; want %q", c.body, texts(p, phone), err, c.want)
		}
	}
}
