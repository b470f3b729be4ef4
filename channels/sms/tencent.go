package sms

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/outbound"
)

const (
	// TencentURL is where the API of Tencent Cloud SMS is.
	TencentURL = "https://sms.tencentcloudapi.com"
	// DefaultRegion is where an account's texts are, unless told.
	DefaultRegion = "ap-guangzhou"

	tencentService = "sms"
	tencentVersion = "2021-01-11"
)

// tencent sends by Tencent Cloud SMS (腾讯云短信), one number to a request.
type tencent struct {
	base                *url.URL
	secretID, secretKey string
	app, region         string
	client              http.RoundTripper
	now                 func() time.Time
}

func newTencent(cfg Config, templates []Template) (*tencent, error) {
	invalid := func(text string) (*tencent, error) {
		return nil, campaign.Errorf(campaign.CodeInvalid, "%s", text)
	}
	base, err := url.Parse(cmp.Or(cfg.URL, TencentURL))
	switch {
	case err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" || base.User != nil || base.RawQuery != "" || strings.Trim(base.Path, "/") != "":
		return invalid("BANYAN_SMS_URL is not a URL such as " + TencentURL)
	case cfg.SecretID == "" || cfg.SecretKey == "":
		return invalid("BANYAN_SMS_SECRET_ID and BANYAN_SMS_SECRET_KEY are the key of a user who may send: 访问管理 > 访问密钥 in the console")
	case cfg.App == "" || strings.Trim(cfg.App, "0123456789") != "":
		return invalid("BANYAN_SMS_APP is the number of the application (SDK AppID), such as 1400006666")
	case len(templates) == 0:
		return invalid("BANYAN_SMS_TEMPLATES_FILE is missing: Tencent sends approved templates only, so Banyan has to know them")
	case !word(cfg.SecretID) || !word(cfg.SecretKey):
		return invalid("BANYAN_SMS_SECRET_ID or BANYAN_SMS_SECRET_KEY has blanks in it, or more than a key")
	case !word(cmp.Or(cfg.Region, DefaultRegion)):
		return invalid("BANYAN_SMS_REGION is a region such as " + DefaultRegion)
	}
	for _, t := range templates {
		if cfg.Sign == "" && !t.International {
			return invalid("BANYAN_SMS_SIGN is missing: in mainland China a text goes out under an approved signature")
		}
		if _, err := strconv.ParseUint(t.ID, 10, 63); err != nil {
			return invalid("BANYAN_SMS_TEMPLATES_FILE: Tencent's ids of templates are numbers, and " + strconv.Quote(t.ID) + " is none")
		}
	}
	base.Path = "/"
	timeout := cmp.Or(cfg.Timeout, DefaultTimeout)
	transport := outbound.Transport(nil, timeout, maxConnections)
	transport.Proxy = http.ProxyFromEnvironment // it is the vendor's address, and many firewalls let nothing else out
	return &tencent{
		base: base, secretID: cfg.SecretID, secretKey: cfg.SecretKey, app: cfg.App, region: cmp.Or(cfg.Region, DefaultRegion),
		client: transport, now: time.Now,
	}, nil
}

// word reports whether a setting is one word of plain characters.
func word(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Idempotent is false. The API takes no key: SessionContext comes back in the answer, which
// is what was lost, and the rule of one text of the same words in half a minute says of a
// repeat only that there was one before, can be turned off in the console, and lasts for
// less time than a repeat takes.
func (t *tencent) Idempotent() bool { return false }

// sendSms is the body of SendSms. Its fields are in the order of the vendor's page.
type sendSms struct {
	Numbers    []string `json:"PhoneNumberSet"`
	App        string   `json:"SmsSdkAppId"`
	Template   string   `json:"TemplateId"`
	Sign       string   `json:"SignName,omitempty"`
	Parameters []string `json:"TemplateParamSet"`
	Session    string   `json:"SessionContext"`
}

type sendStatus struct {
	Serial string `json:"SerialNo"`
	Code   string `json:"Code"`
}

// Send makes one request for one number.
func (t *tencent) Send(ctx context.Context, m *SMS) (id string, f *channels.Failure) {
	parameters := m.Parameters
	if parameters == nil {
		parameters = []string{}
	}
	var said struct {
		Statuses []sendStatus `json:"SendStatusSet"`
	}
	code, f := t.call(ctx, "SendSms", sendSms{
		Numbers: []string{m.Number}, App: t.app, Template: m.Template, Sign: m.Sign, Parameters: parameters, Session: session(m.Key),
	}, &said)
	switch {
	case f != nil:
		return "", f
	case code != "":
		return "", judge(code, t.now())
	case len(said.Statuses) != 1 || said.Statuses[0].Code == "": // one number was asked for
		return "", channels.Unknown(reasonNoAnswer, nil)
	case said.Statuses[0].Code != codeOK:
		return "", judge(said.Statuses[0].Code, t.now())
	}
	return said.Statuses[0].Serial, nil
}

// session is what the vendor keeps with a text and gives back: by it a text is found from
// its key, and nobody from it.
func session(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// reasonNoAnswer is the reason where what came back is no answer of the vendor's.
const reasonNoAnswer = "no_answer"

// call makes one signed request and reads its answer. code is the vendor's, of an answer
// that refuses the request as a whole.
func (t *tencent) call(ctx context.Context, action string, request, reply any) (code string, f *channels.Failure) {
	body, err := outbound.JSON(request)
	if err != nil {
		return "", channels.Refuse(channels.ReasonInvalidMessage, nil)
	}
	var way outbound.Progress
	req, err := http.NewRequestWithContext(way.Watch(ctx), http.MethodPost, t.base.String(), bytes.NewReader(body))
	if err != nil {
		return "", channels.Misconfigured("url", nil)
	}
	now := t.now()
	req.Header.Set("Content-Type", tc3ContentType)
	req.Header.Set("User-Agent", "Banyan")
	req.Header.Set("Authorization", signTC3(t.secretID, t.secretKey, tencentService, t.base.Host, body, now))
	req.Header.Set("X-TC-Action", action)
	req.Header.Set("X-TC-Version", tencentVersion)
	req.Header.Set("X-TC-Region", t.region)
	req.Header.Set("X-TC-Timestamp", strconv.FormatInt(now.Unix(), 10))
	resp, err := t.client.RoundTrip(req)
	if err != nil {
		return "", way.Failure(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // what we want of it is read by then
	if resp.StatusCode != http.StatusOK {
		return "", strange(resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err != nil {
		return "", way.Failure(ctx, err)
	}
	var said struct {
		Response *struct {
			Error *struct {
				Code string `json:"Code"`
			} `json:"Error"`
		} `json:"Response"`
	}
	if len(text) > maxReply || json.Unmarshal(text, &said) != nil || said.Response == nil {
		return "", channels.Unknown(reasonNoAnswer, nil)
	}
	if said.Response.Error != nil {
		return cmp.Or(said.Response.Error.Code, "NoCode"), nil
	}
	if json.Unmarshal(text, &struct {
		Response any `json:"Response"`
	}{reply}) != nil {
		return "", channels.Unknown(reasonNoAnswer, nil)
	}
	return "", nil
}

// maxReply is how much of an answer is read: a list of a hundred templates with their texts
// has some two hundred thousand bytes.
const maxReply = 1 << 20

// strange judges an answer that is not the API's, which always answers 200. Whoever stands
// between may have handed the request on before he gave up.
func strange(status int) *channels.Failure {
	reason := "http_" + strconv.Itoa(status)
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return channels.TryAgain(reason, 0, nil)
	case status >= 500:
		return channels.Unknown(reason, nil)
	}
	return channels.Misconfigured(reason, nil)
}
