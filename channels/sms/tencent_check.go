package sms

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// templatesAtOnce is how many templates the API tells of in one answer.
const templatesAtOnce = 100

// statistics is the body of SendStatusStatistics, the cheapest call that names the
// application. Hours are written as 2026112315.
type statistics struct {
	Begin  string `json:"BeginTime"`
	End    string `json:"EndTime"`
	App    string `json:"SmsSdkAppId"`
	Limit  int    `json:"Limit"`
	Offset int    `json:"Offset"`
}

// templateList is the body of DescribeSmsTemplateList.
type templateList struct {
	International int      `json:"International"`
	IDs           []uint64 `json:"TemplateIdSet"`
}

type templateStatus struct {
	ID     uint64 `json:"TemplateId"`
	Status int    `json:"StatusCode"` // 0 approved, 1 being looked at, 2 not in force yet, -1 refused
	Text   string `json:"TemplateContent"`
}

// Check asks for the application's counts, which shows whether key, clock and application
// are right, and looks whether the templates of our file are those that were approved. An
// account that may not ask for its templates passes without.
func (t *tencent) Check(ctx context.Context, templates []Template) error {
	const hours = "2006010215"
	now := t.now().In(beijing)
	var counts struct{}
	code, f := t.call(ctx, "SendStatusStatistics", statistics{Begin: now.Add(-time.Hour).Format(hours), End: now.Format(hours), App: t.app}, &counts)
	if err := advice(code, f); err != nil {
		return err
	}
	for _, international := range []bool{false, true} {
		ids := make([]uint64, 0, len(templates))
		for _, template := range templates {
			if id, err := strconv.ParseUint(template.ID, 10, 63); err == nil && template.International == international {
				ids = append(ids, id)
			}
		}
		for some := range slices.Chunk(ids, templatesAtOnce) {
			var said struct {
				Templates []templateStatus `json:"DescribeTemplateStatusSet"`
			}
			request := templateList{IDs: some}
			if international {
				request.International = 1
			}
			code, f := t.call(ctx, "DescribeSmsTemplateList", request, &said)
			switch {
			case code == "FailedOperation.NotEnterpriseCertification", code == "FailedOperation.ProhibitSubAccountUse",
				strings.HasPrefix(code, "UnauthorizedOperation"), strings.HasPrefix(code, "AuthFailure.UnauthorizedOperation"):
				return nil // it may send all the same
			case code == "FailedOperation.MissingTemplateList":
				said.Templates = nil
			default:
				if err := advice(code, f); err != nil {
					return err
				}
			}
			if err := differences(templates, some, said.Templates); err != nil {
				return err
			}
		}
	}
	return nil
}

// differences says where the file of templates and what the vendor has differ.
func differences(ours []Template, ids []uint64, theirs []templateStatus) error {
	var wrong []string
	for _, id := range ids {
		at := slices.IndexFunc(theirs, func(s templateStatus) bool { return s.ID == id })
		own := slices.IndexFunc(ours, func(t Template) bool { return t.ID == strconv.FormatUint(id, 10) })
		switch {
		case at < 0:
			wrong = append(wrong, fmt.Sprintf("%d is not among your templates", id))
		case theirs[at].Status == -1:
			wrong = append(wrong, fmt.Sprintf("%d was refused", id))
		case theirs[at].Status != 0:
			wrong = append(wrong, fmt.Sprintf("%d is not approved yet", id))
		case own >= 0 && theirs[at].Text != "" && strings.TrimSpace(theirs[at].Text) != ours[own].Text:
			wrong = append(wrong, fmt.Sprintf("%d has another text than in the file", id))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	const most = 10
	more := ""
	if len(wrong) > most {
		more = fmt.Sprintf(" and %d more", len(wrong)-most)
		wrong = wrong[:most]
	}
	return campaign.Errorf(campaign.CodeInvalid, "mend BANYAN_SMS_TEMPLATES_FILE; of its templates %s%s", strings.Join(wrong, "; "), more)
}

// advice is an answer for the person who set the account up; nil: all is well.
func advice(code string, f *channels.Failure) error {
	if code == "" && f == nil {
		return nil
	}
	var what string
	reason := code
	if f != nil {
		reason = f.Reason
	}
	switch {
	case f != nil && (reason == "dns" || reason == "connection_refused" || reason == "network" || reason == "unreachable" || reason == channels.ReasonTimeout):
		what = "it cannot be reached; is BANYAN_SMS_URL right, and does a firewall let this machine connect to it?"
	case f != nil:
		what = "what answers at BANYAN_SMS_URL is not its API"
	case code == "AuthFailure.SecretIdNotFound", code == "AuthFailure.InvalidSecretId":
		what = "there is no such key; mend BANYAN_SMS_SECRET_ID"
	case code == "AuthFailure.SignatureFailure":
		what = "BANYAN_SMS_SECRET_KEY does not belong to BANYAN_SMS_SECRET_ID"
	case code == "AuthFailure.SignatureExpire", code == "InternalError.RequestTimeException":
		what = "this machine's clock is wrong by more than five minutes; let it be set over the network (NTP)"
	case code == "IpNotInWhitelist", code == "IpInBlacklist", code == "UnauthorizedOperation.RequestIpNotInWhitelist":
		what = "this machine's public address may not call it; let it in where the console keeps the list"
	case code == "UnauthorizedOperation.SmsSdkAppIdVerifyFail", code == "InvalidParameterValue.SdkAppIdNotExist", code == "InvalidParameter.AppidAndBizId":
		what = "the application is not one of this account; mend BANYAN_SMS_APP (应用管理 > 应用列表 > SDK AppID)"
	case code == "UnauthorizedOperation.SdkAppIdIsDisabled":
		what = "the application is switched off; ask the vendor why"
	case strings.HasPrefix(code, "UnauthorizedOperation.Ser"): // the vendor spells it SerivceSuspendDueToArrears
		what = "the account is in debt; charge it (费用中心)"
	case strings.HasPrefix(code, "AuthFailure.UnauthorizedOperation"), strings.HasPrefix(code, "UnauthorizedOperation"):
		what = "the key's user may not do this; give it the policy QcloudSMSFullAccess, or one with sms:SendSms, sms:SendStatusStatistics and sms:DescribeSmsTemplateList (访问管理 > 用户)"
	case code == "UnsupportedRegion":
		what = "there is no such region; mend BANYAN_SMS_REGION"
	default:
		what = "look its code up in the vendor's list (短信 > API 中心 > 错误码)"
	}
	return campaign.Errorf(campaign.CodeInvalid, "Tencent Cloud SMS does not take this account (%s): %s", shownCode(reason), what)
}

// shownCode keeps what is no code of the vendor's off the screen.
func shownCode(code string) string {
	if len(code) > 80 || strings.ContainsFunc(code, func(r rune) bool {
		return r != '.' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return "another code"
	}
	return code
}
