package sms

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// codeOK is the code of a text that was taken.
const codeOK = "Ok"

// sense is what a code means for the message that was sent with it.
type sense int

const (
	refused sense = iota
	optedOut
	unreachable
	soon     // the API is asked too often
	minute   // of a limit in half a minute
	hour     // of a limit in an hour
	tomorrow // of a limit in a day
	morning  // of what is not sent at night
	misconfigured
	uncertain
)

// codes are those of SendSms that are acted on, by the vendor's list (短信 API 3.0 发送错误码
// and 公共错误码). What is not in it, and of no family below, is refused.
var codes = map[string]sense{
	"FailedOperation.PhoneNumberInBlacklist": optedOut, // 免打扰名单: mostly those who replied R

	"InvalidParameterValue.IncorrectPhoneNumber": unreachable,
	"FailedOperation.PhoneNumberParseFail":       unreachable,

	"LimitExceeded.PhoneNumberThirtySecondLimit":     minute,
	"LimitExceeded.DeliveryFrequencyLimit":           minute,
	"LimitExceeded.PhoneNumberOneHourLimit":          hour,
	"LimitExceeded.PhoneNumberDailyLimit":            tomorrow,
	"LimitExceeded.PhoneNumberSameContentDailyLimit": tomorrow,
	"LimitExceeded.AppDailyLimit":                    tomorrow,
	"LimitExceeded.DailyLimit":                       tomorrow,
	"LimitExceeded.AppMainlandChinaDailyLimit":       tomorrow,
	"LimitExceeded.AppGlobalDailyLimit":              tomorrow,
	"LimitExceeded.AppCountryOrRegionDailyLimit":     tomorrow,
	"FailedOperation.MarketingSendTimeConstraint":    morning, // marketing goes out from 8 to 22
	"RequestLimitExceeded":                           soon,
	"ServiceUnavailable":                             soon,
	"ResourceUnavailable":                            soon,

	"FailedOperation.SignatureIncorrectOrUnapproved":           misconfigured,
	"FailedOperation.TemplateIncorrectOrUnapproved":            misconfigured,
	"FailedOperation.TemplateUnapprovedOrNotExist":             misconfigured,
	"FailedOperation.TemplateIdNotExist":                       misconfigured,
	"FailedOperation.TemplateParamSetNotMatchApprovedTemplate": misconfigured, // our file differs from what was approved
	"FailedOperation.InsufficientBalanceInSmsPackage":          misconfigured,
	"FailedOperation.NotEnterpriseCertification":               misconfigured,
	"InvalidParameter.AppidAndBizId":                           misconfigured,
	"InvalidParameterValue.SdkAppIdNotExist":                   misconfigured,
	"InternalError.RequestTimeException":                       misconfigured, // our clock
	"InternalError.RestApiInterfaceNotExist":                   misconfigured,
	"InternalError.SigVerificationFail":                        misconfigured,
	"InternalError.SigFieldMissing":                            misconfigured,
	"ActionOffline":                                            misconfigured,
	"InvalidAction":                                            misconfigured,
	"IpInBlacklist":                                            misconfigured,
	"IpNotInWhitelist":                                         misconfigured,
	"NoSuchProduct":                                            misconfigured,
	"NoSuchVersion":                                            misconfigured,
	"UnsupportedRegion":                                        misconfigured,

	"InternalError.OtherError":    refused,
	"InternalError.JsonParseFail": refused,
}

// families are beginnings of codes that are not in the list.
var families = []struct {
	prefix string
	sense  sense
}{
	{"AuthFailure", misconfigured},
	{"UnauthorizedOperation", misconfigured},
	{"RequestLimitExceeded.", soon},
	{"InternalError", uncertain}, // something broke behind the API, and nobody says how far the text came
}

// judge says what a code means for the message that was sent with it.
func judge(code string, now time.Time) *channels.Failure {
	reason := reasonOf(code)
	sense, known := codes[code]
	for _, f := range families {
		if !known && strings.HasPrefix(code, f.prefix) {
			sense, known = f.sense, true
		}
	}
	switch sense {
	case optedOut, unreachable:
		f := channels.Refuse(reason, nil)
		f.Marks = campaign.IdentityOptedOut
		if sense == unreachable {
			f.Marks = campaign.IdentityUnreachable
		}
		return f
	case soon:
		return channels.TryAgain(reason, time.Second+rand.N(2*time.Second), nil)
	case minute:
		return channels.TryAgain(reason, 31*time.Second, nil)
	case hour:
		return channels.TryAgain(reason, time.Hour, nil)
	case tomorrow:
		return channels.TryAgain(reason, untilMorning(now, true)+rand.N(10*time.Minute), nil)
	case morning:
		return channels.TryAgain(reason, untilMorning(now, false)+rand.N(10*time.Minute), nil)
	case misconfigured:
		return channels.Misconfigured(reason, nil)
	case uncertain:
		return channels.Unknown(reason, nil)
	case refused:
	}
	return channels.Refuse(reason, nil)
}

// beijing is the zone in which the vendor counts days and keeps hours.
var beijing = time.FixedZone("CST", 8*60*60)

// untilMorning is the time to the next eight o'clock in Beijing, of another day where the
// day's limit is reached: nobody is woken up by a text that was to come the day before.
func untilMorning(now time.Time, anotherDay bool) time.Duration {
	here := now.In(beijing)
	at := time.Date(here.Year(), here.Month(), here.Day(), 8, 0, 0, 0, beijing)
	if anotherDay || !here.Before(at) {
		at = at.AddDate(0, 0, 1)
	}
	return at.Sub(here)
}

// reasonOf writes a code as reasons are written: FailedOperation.ContainSensitiveWord is
// failed_operation_contain_sensitive_word. What is no code of the vendor's is not shown.
func reasonOf(code string) string {
	if code == "" || len(code) > 80 {
		return "other_code"
	}
	var b strings.Builder
	for i, r := range code {
		switch {
		case r >= 'A' && r <= 'Z':
			if i > 0 && code[i-1] != '.' {
				b.WriteByte('_')
			}
			b.WriteRune(r + 'a' - 'A')
		case r == '.':
			b.WriteByte('_')
		case r >= 'a' && r <= 'z':
			b.WriteRune(r)
		default:
			return "other_code"
		}
	}
	return b.String()
}
