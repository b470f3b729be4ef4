package fakeplatform_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/fakeplatform"
)

// phones speaks to a platform that sends texts, as the vendor's pages describe it.
type phones struct {
	*fakeplatform.Platform
	t   *testing.T
	url string
}

const gatewaySecret = "a shared secret for tests alone"

// startPhones runs one whose clock stands at nine in the morning in Beijing.
func startPhones(t *testing.T, change func(*fakeplatform.SMSAccount)) *phones {
	t.Helper()
	account := fakeplatform.SMSAccount{
		SecretID: "AKID1", SecretKey: "k3y", App: "1400006666", Sign: "榕树", GatewaySecret: gatewaySecret,
		Templates: []fakeplatform.SMSTemplate{
			{ID: 1110, Text: "{1}，月卡 {2} 元为你锁定。拒收请回复R", Marketing: true},
			{ID: 1111, Text: "{1}，你好", Status: -1},
			{ID: 1112, Text: "课程 {1} 开始"},
			{ID: 1113, Text: "Hello {1}", International: true},
		},
	}
	if change != nil {
		change(&account)
	}
	clock := new(fakeplatform.Clock)
	now := clock.Now().UTC()
	nine := time.Date(now.Year(), now.Month(), now.Day(), 1, 0, 0, 0, time.UTC)
	clock.Advance(nine.Add(24 * time.Hour).Sub(now))
	p := fakeplatform.New(fakeplatform.Options{SMS: account, Clock: clock})
	server := httptest.NewServer(p)
	t.Cleanup(func() { p.Close(); server.Close() })
	return &phones{p, t, server.URL}
}

func sum(key, text string) string {
	h := hmac.New(sha256.New, []byte(key))
	_, _ = io.WriteString(h, text)
	return string(h.Sum(nil))
}

// ask makes a signed call of Tencent's API.
func (p *phones) ask(id, key, action, body string) string {
	p.t.Helper()
	at := p.Clock().Now()
	day := at.UTC().Format("2006-01-02")
	host := strings.TrimPrefix(p.url, "http://")
	digest := sha256.Sum256([]byte(body))
	canonical := "POST\n/\n\ncontent-type:application/json\nhost:" + host + "\nx-tc-action:" + strings.ToLower(action) + "\n\ncontent-type;host;x-tc-action\n" + hex.EncodeToString(digest[:])
	digest = sha256.Sum256([]byte(canonical))
	message := fmt.Sprintf("TC3-HMAC-SHA256\n%d\n%s/sms/tc3_request\n%x", at.Unix(), day, digest)
	signature := hex.EncodeToString([]byte(sum(sum(sum(sum("TC3"+key, day), "sms"), "tc3_request"), message)))
	req, err := http.NewRequest(http.MethodPost, p.url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-TC-Action": action, "X-TC-Version": "2021-01-11", "X-TC-Region": "ap-guangzhou", "X-TC-Timestamp": fmt.Sprint(at.Unix()),
		"Authorization": fmt.Sprintf("TC3-HMAC-SHA256 Credential=%s/%s/sms/tc3_request, SignedHeaders=content-type;host;x-tc-action, Signature=%s", id, day, signature),
	} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, _ := io.ReadAll(resp.Body)
	return strings.TrimSpace(string(answer))
}

// send gives the code with which a text ended.
func (p *phones) send(number, template string, params ...string) string {
	p.t.Helper()
	if params == nil {
		params = []string{}
	}
	body, _ := json.Marshal(map[string]any{
		"PhoneNumberSet": []string{number}, "SmsSdkAppId": "1400006666", "TemplateId": template, "SignName": "榕树", "TemplateParamSet": params,
	})
	var said struct {
		Response struct {
			SendStatusSet []struct{ Code, PhoneNumber string }
			Error         struct{ Code string }
		}
	}
	answer := p.ask("AKID1", "k3y", "SendSms", string(body))
	if err := json.Unmarshal([]byte(answer), &said); err != nil {
		p.t.Fatalf("%s: %v", answer, err)
	}
	if len(said.Response.SendStatusSet) == 1 {
		return said.Response.SendStatusSet[0].Code
	}
	return said.Response.Error.Code
}

// sameJSON compares what two JSON texts say.
func sameJSON(t *testing.T, got, want string) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	return fmt.Sprint(a) == fmt.Sprint(b)
}

// TestSMSWire holds what the platform takes and answers to the written-down examples.
func TestSMSWire(t *testing.T) {
	t.Parallel()
	p := startPhones(t, func(a *fakeplatform.SMSAccount) {
		a.Templates[0].Text = "{1}，月卡 {2} 元为你锁定。拒收请回复R"
	})
	got := p.ask("AKID1", "k3y", "SendSms", wire(t, "tencent-sendsms.request"))
	if want := strings.Replace(wire(t, "tencent-sendsms.response"), "5000:1045710669157053657849499619", "5000:1", 1); !sameJSON(t, got, want) {
		t.Errorf("answered %s, want %s", got, want)
	}
	p.Unsubscribe("+8618501234444")
	if got, want := p.ask("AKID1", "k3y", "SendSms", wire(t, "tencent-sendsms.request")), wire(t, "tencent-sendsms-blacklist.response"); !sameJSON(t, got, want) {
		t.Errorf("answered %s, want %s", got, want)
	}
	if got, want := p.ask("AKID1", "other", "SendSms", wire(t, "tencent-sendsms.request")), wire(t, "tencent-error-signature.response"); !sameJSON(t, got, want) {
		t.Errorf("answered %s, want %s", got, want)
	}
	if got, want := p.ask("AKID1", "k3y", "DescribeSmsTemplateList", wire(t, "tencent-templates.request")), wire(t, "tencent-templates.response"); !sameJSON(t, got, want) {
		t.Errorf("answered %s, want %s", got, want)
	}
	if r := p.Received("+8618501234444"); len(r) != 1 || r[0].Text != "【榕树】小林，月卡 199 元为你锁定。拒收请回复R" || r[0].App != 0 {
		t.Errorf("received %+v", r)
	}
	if page := (&caller{p.Platform, t, p.url}).get("/"); !strings.Contains(page, "<h2>&#43;8618501234444</h2>") || !strings.Contains(page, `<div class="time">SMS ·`) || !strings.Contains(page, "【榕树】小林") {
		t.Errorf("page: %s", page)
	}
}

func TestSMSCodes(t *testing.T) {
	t.Parallel()
	p := startPhones(t, func(a *fakeplatform.SMSAccount) { a.Balance = 5 })
	const lin = "+8613800000001"
	for _, c := range []struct {
		number, template string
		params           []string
		want             string
	}{
		{lin, "1112", []string{"瑜伽"}, "Ok"},
		{lin, "1112", []string{"瑜伽"}, "LimitExceeded.PhoneNumberThirtySecondLimit"},
		{lin, "1111", []string{"瑜伽"}, "FailedOperation.TemplateUnapprovedOrNotExist"},
		{lin, "9", nil, "FailedOperation.TemplateUnapprovedOrNotExist"},
		{lin, "1112", nil, "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"},
		{lin, "1112", []string{"https://x.example.com"}, "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter"},
		{lin, "1112", []string{strings.Repeat("长", 500)}, "InvalidParameterValue.ContentLengthLimit"},
		{"+86138", "1112", []string{"瑜伽"}, "InvalidParameterValue.IncorrectPhoneNumber"},
		{"+4915112345678", "1112", []string{"瑜伽"}, "UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone"},
		{lin, "1113", []string{"Lin"}, "UnsupportedOperation.GlobalTemplateToChineseMainlandPhone"},
		{lin, "1112", []string{strings.Repeat("长", 300)}, "FailedOperation.InsufficientBalanceInSmsPackage"}, // five parts beside the one above
		{lin, "1112", []string{strings.Repeat("长", 100)}, "Ok"},
	} {
		if got := p.send(c.number, c.template, c.params...); got != c.want {
			t.Errorf("%s, %s, %.20q: %s, want %s", c.number, c.template, c.params, got, c.want)
		}
	}
	p.Next(fakeplatform.SMSCode("FailedOperation.ContainSensitiveWord"), fakeplatform.SMSError("InternalError"), fakeplatform.Busy)
	for _, want := range []string{"FailedOperation.ContainSensitiveWord", "InternalError", "RequestLimitExceeded"} {
		if got := p.send(lin, "1112", "x"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := p.Record(); got.SMSSent != 2 || got.SMSUnsigned != 0 {
		t.Errorf("%+v", got)
	}
}

func TestSMSByTheClock(t *testing.T) {
	t.Parallel()
	p := startPhones(t, nil)
	for i := range 10 {
		if got := p.send("+8613800000001", "1110", "小林", fmt.Sprint(i)); got != "Ok" {
			t.Fatalf("%d: %s", i, got)
		}
	}
	if got := p.send("+8613800000001", "1110", "小林", "10"); got != "LimitExceeded.PhoneNumberDailyLimit" {
		t.Errorf("the eleventh: %s", got)
	}
	p.Clock().Advance(14 * time.Hour) // eleven at night
	if got := p.send("+8613800000002", "1110", "小林", "1"); got != "FailedOperation.MarketingSendTimeConstraint" {
		t.Errorf("at night: %s", got)
	}
	if got := p.send("+8613800000002", "1112", "瑜伽"); got != "Ok" {
		t.Errorf("a notification at night: %s", got)
	}
	p.Clock().Advance(10 * time.Hour)
	if got := p.send("+8613800000001", "1110", "小林", "10"); got != "Ok" {
		t.Errorf("the next day: %s", got)
	}
}

func TestSMSSignatures(t *testing.T) {
	t.Parallel()
	p := startPhones(t, nil)
	for _, c := range []struct{ id, key, want string }{
		{"AKID1", "k3y", `"FeeCount":0`}, {"AKID2", "k3y", "AuthFailure.SecretIdNotFound"}, {"AKID1", "key", "AuthFailure.SignatureFailure"},
	} {
		if got := p.ask(c.id, c.key, "SendStatusStatistics", `{"SmsSdkAppId":"1400006666","BeginTime":"2026112308","EndTime":"2026112309"}`); !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %s", c.id, c.key, got)
		}
	}
	if got := p.ask("AKID1", "k3y", "SendStatusStatistics", `{"SmsSdkAppId":"1400006667","BeginTime":"2026112308","EndTime":"2026112309"}`); !strings.Contains(got, "SmsSdkAppIdVerifyFail") {
		t.Errorf("another application: %s", got)
	}
	resp, err := http.Post(p.url, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, _ := io.ReadAll(resp.Body); !strings.Contains(string(body), "AuthFailure.InvalidAuthorization") {
		t.Errorf("unsigned: %s", body)
	}
	if got := p.Record(); got.SMSUnsigned != 3 {
		t.Errorf("%+v", got)
	}
}

// TestSMSGateway holds the gateway to the written-down examples, and to its key.
func TestSMSGateway(t *testing.T) {
	t.Parallel()
	p := startPhones(t, func(a *fakeplatform.SMSAccount) { a.Dead = []string{"+8613800000009"} })
	post := func(body, secret string) (status int, answer string) {
		t.Helper()
		at := fmt.Sprint(p.Clock().Now().Unix())
		req, err := http.NewRequest(http.MethodPost, p.url+"/sms", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Banyan-Signature", "t="+at+",v1="+hex.EncodeToString([]byte(sum(secret, at+"."+body))))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, strings.TrimSpace(string(text))
	}
	example := wire(t, "sms-gateway.request")
	for range 2 {
		if status, answer := post(example, gatewaySecret); status != 200 || answer != wire(t, "sms-gateway.response") {
			t.Errorf("%d %s", status, answer)
		}
	}
	for body, want := range map[string]int{
		strings.Replace(example, "小林", "小李", 1):           409,
		`{"key":"k","phone":"+8613800000009","text":"x"}`: 422,
		`{"key":"k","text":"x"}`:                          400,
		`{"check":true}`:                                  200,
		`no JSON`:                                         400,
	} {
		if status, answer := post(body, gatewaySecret); status != want {
			t.Errorf("%s: %d %s, want %d", body, status, answer, want)
		}
	}
	if status, _ := post(example, "another"); status != 401 {
		t.Errorf("another secret: %d", status)
	}
	if r := p.Received("+8618501234444"); len(r) != 1 || r[0].Text != "【榕树】小林，月卡 199 元为你锁定。拒收请回复R" || p.Record().SMSRepeated != 1 {
		t.Errorf("received %+v, %+v", r, p.Record())
	}
}
