package sms

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// TestSignature holds the example of the vendor's page 签名方法 v3
// (cloud.tencent.com/document/api/382/52072), which signs a call of another product with the
// key of its examples.
func TestSignature(t *testing.T) {
	t.Parallel()
	body := `{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}`
	const id, key = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE", "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"
	// In Shanghai it is the day after already.
	at := time.Unix(1551113065, 0).In(time.FixedZone("CST", 8*60*60))
	const want = "TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/2019-02-25/cvm/tc3_request, " +
		"SignedHeaders=content-type;host, Signature=72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"
	if got := signTC3(id, key, "cvm", "cvm.tencentcloudapi.com", []byte(body), at); got != want {
		t.Errorf("signed as %s", got)
	}
	if got := hash([]byte(body)); got != "35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064" {
		t.Errorf("the body's hash is %s", got)
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 12, 1, 12, 0, 0, 0, beijing)
	for _, c := range []struct {
		code, want  string // class and reason
		least, most time.Duration
		marks       campaign.IdentityState
	}{
		{"FailedOperation.PhoneNumberInBlacklist", "refused: failed_operation_phone_number_in_blacklist", 0, 0, campaign.IdentityOptedOut},
		{"InvalidParameterValue.IncorrectPhoneNumber", "refused: invalid_parameter_value_incorrect_phone_number", 0, 0, campaign.IdentityUnreachable},
		{"FailedOperation.PhoneNumberParseFail", "refused: failed_operation_phone_number_parse_fail", 0, 0, campaign.IdentityUnreachable},
		{"LimitExceeded.PhoneNumberThirtySecondLimit", "retry: limit_exceeded_phone_number_thirty_second_limit", 31 * time.Second, 31 * time.Second, ""},
		{"LimitExceeded.DeliveryFrequencyLimit", "retry: limit_exceeded_delivery_frequency_limit", 31 * time.Second, 31 * time.Second, ""},
		{"LimitExceeded.PhoneNumberOneHourLimit", "retry: limit_exceeded_phone_number_one_hour_limit", time.Hour, time.Hour, ""},
		{"LimitExceeded.PhoneNumberDailyLimit", "retry: limit_exceeded_phone_number_daily_limit", 20 * time.Hour, 20*time.Hour + 10*time.Minute, ""},
		{"LimitExceeded.PhoneNumberSameContentDailyLimit", "retry: limit_exceeded_phone_number_same_content_daily_limit", 20 * time.Hour, 20*time.Hour + 10*time.Minute, ""},
		{"LimitExceeded.AppDailyLimit", "retry: limit_exceeded_app_daily_limit", 20 * time.Hour, 20*time.Hour + 10*time.Minute, ""},
		{"FailedOperation.MarketingSendTimeConstraint", "retry: failed_operation_marketing_send_time_constraint", 20 * time.Hour, 20*time.Hour + 10*time.Minute, ""},
		{"RequestLimitExceeded", "retry: request_limit_exceeded", time.Second, 3 * time.Second, ""},
		{"RequestLimitExceeded.IPLimitExceeded", "retry: request_limit_exceeded_i_p_limit_exceeded", time.Second, 3 * time.Second, ""},
		{"FailedOperation.SignatureIncorrectOrUnapproved", "config: failed_operation_signature_incorrect_or_unapproved", 0, 0, ""},
		{"FailedOperation.TemplateIncorrectOrUnapproved", "config: failed_operation_template_incorrect_or_unapproved", 0, 0, ""},
		{"FailedOperation.TemplateParamSetNotMatchApprovedTemplate", "config: failed_operation_template_param_set_not_match_approved_template", 0, 0, ""},
		{"FailedOperation.InsufficientBalanceInSmsPackage", "config: failed_operation_insufficient_balance_in_sms_package", 0, 0, ""},
		{"UnauthorizedOperation.SerivceSuspendDueToArrears", "config: unauthorized_operation_serivce_suspend_due_to_arrears", 0, 0, ""},
		{"UnauthorizedOperation.RequestIpNotInWhitelist", "config: unauthorized_operation_request_ip_not_in_whitelist", 0, 0, ""},
		{"AuthFailure.SignatureExpire", "config: auth_failure_signature_expire", 0, 0, ""},
		{"AuthFailure.SecretIdNotFound", "config: auth_failure_secret_id_not_found", 0, 0, ""},
		{"InternalError.RequestTimeException", "config: internal_error_request_time_exception", 0, 0, ""},
		{"FailedOperation.ContainSensitiveWord", "refused: failed_operation_contain_sensitive_word", 0, 0, ""},
		{"InvalidParameterValue.ContentLengthLimit", "refused: invalid_parameter_value_content_length_limit", 0, 0, ""},
		{"InvalidParameterValue.TemplateParameterLengthLimit", "refused: invalid_parameter_value_template_parameter_length_limit", 0, 0, ""},
		{"UnsupportedOperation.UnsupportedRegion", "refused: unsupported_operation_unsupported_region", 0, 0, ""},
		{"InternalError.OtherError", "refused: internal_error_other_error", 0, 0, ""},
		{"InternalError.Timeout", "unknown: internal_error_timeout", 0, 0, ""},
		{"InternalError.SendAndRecvFail", "unknown: internal_error_send_and_recv_fail", 0, 0, ""},
		{"InternalError", "unknown: internal_error", 0, 0, ""},
		{"FailedOperation.SomethingNew", "refused: failed_operation_something_new", 0, 0, ""},
		{"+8613800000001 is gone", "refused: other_code", 0, 0, ""},
		{strings.Repeat("A", 81), "refused: other_code", 0, 0, ""},
	} {
		f := judge(c.code, noon)
		if f.Error() != c.want || f.RetryAfter < c.least || f.RetryAfter > c.most || f.Marks != c.marks {
			t.Errorf("%s: %s after %v, marks %q", c.code, f, f.RetryAfter, f.Marks)
		}
	}
}

// Every code that is acted on stands on the page, so that one who sees its reason finds it.
func TestThePageNamesTheCodes(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/channels/sms.md")
	if err != nil {
		t.Fatal(err)
	}
	for code := range codes {
		if !strings.Contains(string(page), "`"+code+"`") {
			t.Errorf("the page does not name %s", code)
		}
	}
	for _, reason := range []string{
		ReasonNoTemplate, ReasonNoOptOut, ReasonTooLong, ReasonParts, ReasonNumber, reasonNoAnswer, channels.ReasonInvalidMessage,
		channels.ReasonDeadline, channels.ReasonCanceled, channels.ReasonTimeout, campaign.ReasonNoAddress,
	} {
		if !strings.Contains(string(page), "`"+reason+"`") {
			t.Errorf("the page does not name %s", reason)
		}
	}
}

func TestUntilMorning(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		now        string
		another    bool
		wantSpan   time.Duration
		wantMoment string
	}{
		{"2026-12-01T07:30:00+08:00", false, 30 * time.Minute, "2026-12-01T08:00:00+08:00"},
		{"2026-12-01T07:30:00+08:00", true, 24*time.Hour + 30*time.Minute, "2026-12-02T08:00:00+08:00"},
		{"2026-12-01T22:30:00+08:00", false, 9*time.Hour + 30*time.Minute, "2026-12-02T08:00:00+08:00"},
		{"2026-12-31T16:30:00Z", false, 7*time.Hour + 30*time.Minute, "2027-01-01T08:00:00+08:00"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		got := untilMorning(now, c.another)
		if moment := now.Add(got).In(beijing).Format(time.RFC3339); got != c.wantSpan || moment != c.wantMoment {
			t.Errorf("%s, %v: %v, %s", c.now, c.another, got, moment)
		}
	}
}
