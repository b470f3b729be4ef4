package fakeplatform

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// SMSAccount is an account of Tencent Cloud SMS. The gateway for texts takes plain ones, for
// the same phones.
type SMSAccount struct {
	SecretID, SecretKey string
	App                 string // SdkAppId
	Sign                string // the approved signature
	Templates           []SMSTemplate
	// Individual says that the account is a person's, who may not ask for templates.
	Individual bool
	// Balance is how many parts are paid for; 0: any number.
	Balance int
	// Dead are numbers that the gateway calls unreachable.
	Dead []string
	// GatewaySecret is the secret of the gateway for texts.
	GatewaySecret string
}

// SMSTemplate is a text that was handed in for approval.
type SMSTemplate struct {
	ID            uint64
	Text          string
	Status        int  // 0 approved, 1 being looked at, 2 not in force yet, -1 refused
	Marketing     bool // else a notification
	International bool
}

// Limits of texts, by the vendor's pages.
const (
	sameTextSeconds = 30
	textsADay       = 10
	maxTextRunes    = 500
	signatureAge    = 5 * time.Minute
)

// texts is what is known of phones.
type texts struct {
	refused map[string]bool        // numbers that have replied R
	sent    map[string][]time.Time // by number
	same    map[string]time.Time   // by number and text: when it was sent
	keys    map[string]gatewayTaken
	parts   int
	serial  int
}

func newTexts() texts {
	return texts{refused: map[string]bool{}, sent: map[string][]time.Time{}, same: map[string]time.Time{}, keys: map[string]gatewayTaken{}}
}

// SMSCode makes a call of SendSms end with this code for its number, and the gateway refuse
// a text.
func SMSCode(code string) Fault { return Fault("sms code " + code) }

// SMSError makes a call of SendSms be refused as a whole with this code.
func SMSError(code string) Fault { return Fault("sms error " + code) }

// Unsubscribe is what happens when a person replies R.
func (p *Platform) Unsubscribe(number string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts.refused[number] = true
}

type tencentStatus struct {
	SerialNo       string
	PhoneNumber    string
	Fee            int
	SessionContext string
	Code           string
	Message        string
	IsoCode        string
}

func (p *Platform) tencent(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	action := r.Header.Get("X-TC-Action")
	code := p.signed(r, body)
	p.mu.Lock()
	if action == "SendSms" {
		p.record.SMSRequests++
	}
	if code != "" {
		p.record.SMSUnsigned++
	}
	p.mu.Unlock()
	switch {
	case code != "":
		refuseTencent(w, code)
	case r.Header.Get("X-TC-Version") != "2021-01-11":
		refuseTencent(w, "NoSuchVersion")
	case r.Header.Get("X-TC-Region") == "":
		refuseTencent(w, "MissingParameter")
	case action == "SendSms":
		p.sendSms(w, r, body)
	case action == "SendStatusStatistics":
		p.statistics(w, body)
	case action == "DescribeSmsTemplateList":
		p.templateList(w, body)
	default:
		refuseTencent(w, "InvalidAction")
	}
}

var authorization = regexp.MustCompile(`^TC3-HMAC-SHA256 Credential=([^/ ]+)/(\d{4}-\d\d-\d\d)/([a-z]+)/tc3_request, SignedHeaders=([a-z;-]+), Signature=([0-9a-f]{64})$`)

// signed gives the code with which a request's signature is refused; empty: it is right.
func (p *Platform) signed(r *http.Request, body []byte) (code string) {
	m := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	seconds, err := strconv.ParseInt(r.Header.Get("X-TC-Timestamp"), 10, 64)
	switch {
	case m == nil || err != nil:
		return "AuthFailure.InvalidAuthorization"
	case m[1] != p.opts.SMS.SecretID:
		return "AuthFailure.SecretIdNotFound"
	case p.clock.Now().Sub(time.Unix(seconds, 0)).Abs() > signatureAge:
		return "AuthFailure.SignatureExpire"
	case time.Unix(seconds, 0).UTC().Format("2006-01-02") != m[2] || m[3] != "sms" || !strings.Contains(";"+m[4]+";", ";host;") || !strings.Contains(";"+m[4]+";", ";content-type;"):
		return "AuthFailure.SignatureFailure"
	}
	canonical := "POST\n/\n\n"
	for name := range strings.SplitSeq(m[4], ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		canonical += name + ":" + strings.ToLower(strings.TrimSpace(value)) + "\n"
	}
	digest := sha256.Sum256(body)
	canonical += "\n" + m[4] + "\n" + hex.EncodeToString(digest[:])
	digest = sha256.Sum256([]byte(canonical))
	toSign := fmt.Sprintf("TC3-HMAC-SHA256\n%d\n%s/sms/tc3_request\n%x", seconds, m[2], digest)
	want := hmacOf(hmacOf(hmacOf(hmacOf([]byte("TC3"+p.opts.SMS.SecretKey), m[2]), "sms"), "tc3_request"), toSign)
	if hex.EncodeToString(want) != m[5] {
		return "AuthFailure.SignatureFailure"
	}
	return ""
}

func hmacOf(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = io.WriteString(h, text)
	return h.Sum(nil)
}

// answerTencent writes an answer with the vendor's fields, each under the name that it has.
func answerTencent(w http.ResponseWriter, fields map[string]any) {
	fields["RequestId"] = "a0aabda6-cf91-4f3e-a81f-9198114a2279"
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(map[string]any{"Response": fields}) // the caller has gone, if not
}

func refuseTencent(w http.ResponseWriter, code string) {
	answerTencent(w, map[string]any{"Error": map[string]string{"Code": code, "Message": "it is refused"}})
}

func (p *Platform) statistics(w http.ResponseWriter, body []byte) {
	var q struct{ SmsSdkAppId, BeginTime, EndTime string }
	switch {
	case json.Unmarshal(body, &q) != nil || len(q.BeginTime) != 10 || len(q.EndTime) != 10:
		refuseTencent(w, "InvalidParameter")
	case q.SmsSdkAppId != p.opts.SMS.App:
		refuseTencent(w, "UnauthorizedOperation.SmsSdkAppIdVerifyFail")
	default:
		answerTencent(w, map[string]any{"SendStatusStatistics": map[string]int{"FeeCount": 0, "RequestCount": 0, "RequestSuccessCount": 0}})
	}
}

func (p *Platform) templateList(w http.ResponseWriter, body []byte) {
	var q struct {
		International int
		TemplateIdSet []uint64
	}
	switch {
	case json.Unmarshal(body, &q) != nil || len(q.TemplateIdSet) > 100:
		refuseTencent(w, "InvalidParameter")
		return
	case p.opts.SMS.Individual:
		refuseTencent(w, "FailedOperation.NotEnterpriseCertification")
		return
	}
	list := []map[string]any{}
	for _, t := range p.opts.SMS.Templates {
		if slices.Contains(q.TemplateIdSet, t.ID) && t.International == (q.International == 1) {
			list = append(list, map[string]any{"TemplateId": t.ID, "International": q.International, "StatusCode": t.Status, "TemplateContent": t.Text})
		}
	}
	answerTencent(w, map[string]any{"DescribeTemplateStatusSet": list})
}

func (p *Platform) sendSms(w http.ResponseWriter, r *http.Request, body []byte) {
	var q struct {
		PhoneNumberSet                                    []string
		SmsSdkAppId, TemplateId, SignName, SessionContext string
		TemplateParamSet                                  []string
	}
	if json.Unmarshal(body, &q) != nil {
		refuseTencent(w, "FailedOperation.FailResolvePacket")
		return
	}
	p.mu.Lock()
	fault := p.fault()
	statuses := make([]tencentStatus, 0, len(q.PhoneNumberSet))
	switch {
	case strings.HasPrefix(string(fault), "sms "), fault == Busy, fault == ServerError, len(q.PhoneNumberSet) > 200:
	default:
		for _, number := range q.PhoneNumberSet {
			code := p.text(number, q.SmsSdkAppId, q.SignName, q.TemplateId, q.TemplateParamSet)
			statuses = append(statuses, p.status(number, q.SessionContext, code))
		}
	}
	p.mu.Unlock()
	code, isCode := strings.CutPrefix(string(fault), "sms code ")
	failure, isError := strings.CutPrefix(string(fault), "sms error ")
	switch {
	case isError:
		refuseTencent(w, failure)
	case fault == Busy:
		refuseTencent(w, "RequestLimitExceeded")
	case len(q.PhoneNumberSet) == 0:
		refuseTencent(w, "MissingParameter.EmptyPhoneNumberSet")
	case len(q.PhoneNumberSet) > 200:
		refuseTencent(w, "LimitExceeded.PhoneNumberCountLimit")
	case isCode:
		for _, number := range q.PhoneNumberSet {
			statuses = append(statuses, p.status(number, q.SessionContext, code))
		}
		answerTencent(w, map[string]any{"SendStatusSet": statuses})
	case !p.misbehave(w, r, fault):
		answerTencent(w, map[string]any{"SendStatusSet": statuses})
	}
}

func (p *Platform) status(number, session, code string) tencentStatus {
	s := tencentStatus{PhoneNumber: number, SessionContext: session, Code: code, Message: "it is refused"}
	if code == "Ok" {
		s.SerialNo, s.Fee, s.Message, s.IsoCode = fmt.Sprintf("5000:%d", p.texts.serial), 1, "send success", "CN"
	}
	return s
}

var (
	aNumber  = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	aChinese = regexp.MustCompile(`^\+861[3-9][0-9]{9}$`)
	variable = regexp.MustCompile(`\{\d+\}`)
)

// text judges a text to one number and hands it over; its callers hold the lock.
func (p *Platform) text(number, app, sign, template string, params []string) (code string) {
	account, now := &p.opts.SMS, p.clock.Now()
	chinese := strings.HasPrefix(number, "+86")
	at := slices.IndexFunc(account.Templates, func(t SMSTemplate) bool { return strconv.FormatUint(t.ID, 10) == template })
	switch {
	case app != account.App:
		return "UnauthorizedOperation.SmsSdkAppIdVerifyFail"
	case sign != account.Sign && (chinese || sign != ""):
		return "FailedOperation.SignatureIncorrectOrUnapproved"
	case at < 0 || account.Templates[at].Status != 0:
		return "FailedOperation.TemplateUnapprovedOrNotExist"
	case !aNumber.MatchString(number) || chinese && !aChinese.MatchString(number):
		return "InvalidParameterValue.IncorrectPhoneNumber"
	}
	t := account.Templates[at]
	switch {
	case chinese && t.International:
		return "UnsupportedOperation.GlobalTemplateToChineseMainlandPhone"
	case !chinese && !t.International:
		return "UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone"
	case len(variable.FindAllString(t.Text, -1)) != len(params):
		return "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"
	case slices.ContainsFunc(params, func(s string) bool { return strings.Contains(s, "http://") || strings.Contains(s, "https://") }):
		return "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter"
	case p.texts.refused[number]:
		return "FailedOperation.PhoneNumberInBlacklist"
	}
	if hour := now.UTC().Add(8 * time.Hour).Hour(); t.Marketing && (hour < 8 || hour >= 22) {
		return "FailedOperation.MarketingSendTimeConstraint"
	}
	body := variable.ReplaceAllStringFunc(t.Text, func(name string) string {
		n, _ := strconv.Atoi(strings.Trim(name, "{}"))
		return params[n-1]
	})
	if sign != "" {
		body = "【" + sign + "】" + body
	}
	parts := 1
	if n := utf8.RuneCountInString(body); n > maxTextRunes {
		return "InvalidParameterValue.ContentLengthLimit"
	} else if n > 70 {
		parts = (n + 66) / 67
	}
	if account.Balance > 0 && p.texts.parts+parts > account.Balance {
		return "FailedOperation.InsufficientBalanceInSmsPackage"
	}
	if code := p.tooOften(number, body, now); code != "" {
		return code
	}
	p.texts.parts += parts
	p.hand(number, body, now)
	return "Ok"
}

// tooOften applies the limits that a new account has.
func (p *Platform) tooOften(number, body string, now time.Time) (code string) {
	if now.Sub(p.texts.same[number+"\x00"+body]) < sameTextSeconds*time.Second {
		return "LimitExceeded.PhoneNumberThirtySecondLimit"
	}
	day, today := now.UTC().Add(8*time.Hour).Format("2006-01-02"), 0
	for _, at := range p.texts.sent[number] {
		if at.UTC().Add(8*time.Hour).Format("2006-01-02") == day {
			today++
		}
	}
	if today >= textsADay {
		return "LimitExceeded.PhoneNumberDailyLimit"
	}
	return ""
}

// hand gives a text to a phone; its callers hold the lock.
func (p *Platform) hand(number, body string, now time.Time) {
	p.texts.serial++
	p.texts.same[number+"\x00"+body] = now
	p.texts.sent[number] = append(p.texts.sent[number], now)
	p.record.SMSSent++
	p.received = append(p.received, Received{Person: number, Text: body, At: now})
}
