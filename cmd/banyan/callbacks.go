package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/banyanhq/banyan/callbacks"
	"github.com/banyanhq/banyan/store"
)

// readCallbacks reads the accounts whose platforms call back. One of which nothing but its id
// is set has no callbacks: channels need that too.
func readCallbacks(e *env) (all callbacks.Endpoints, accounts []callbacks.Account, err error) {
	r := reader{getenv: e.Getenv}
	for _, a := range []callbacks.Account{
		{Channel: callbacks.Wecom, ID: r.setting("BANYAN_WECOM_CORP"), Token: r.setting("BANYAN_WECOM_CALLBACK_TOKEN"), Key: r.setting("BANYAN_WECOM_CALLBACK_KEY")},
		{
			Channel: callbacks.OfficialAccount, ID: r.setting("BANYAN_OFFICIALACCOUNT_APP"),
			Token: r.setting("BANYAN_OFFICIALACCOUNT_CALLBACK_TOKEN"), Key: r.setting("BANYAN_OFFICIALACCOUNT_CALLBACK_KEY"),
		},
		{
			Channel: callbacks.MiniProgram, ID: r.setting("BANYAN_MINIPROGRAM_APP"),
			Token: r.setting("BANYAN_MINIPROGRAM_CALLBACK_TOKEN"), Key: r.setting("BANYAN_MINIPROGRAM_CALLBACK_KEY"),
		},
	} {
		if a.Token != "" || a.Key != "" {
			accounts = append(accounts, a)
		}
	}
	pay := callbacks.Account{Channel: callbacks.Pay, ID: r.setting("BANYAN_WECHATPAY_MERCHANT"), Key: r.setting("BANYAN_WECHATPAY_KEY")}
	certificates := r.setting("BANYAN_WECHATPAY_CERTIFICATES")
	key, id := r.setting("BANYAN_WECHATPAY_PUBLIC_KEY"), r.setting("BANYAN_WECHATPAY_PUBLIC_KEY_ID")
	if r.err != nil {
		return all, nil, r.err
	}
	if pay.Verifiers, err = callbacks.ParseVerifiers(certificates, key, id); err != nil {
		return all, nil, err
	}
	if pay.ID != "" || pay.Key != "" || len(pay.Verifiers) > 0 {
		accounts = append(accounts, pay)
	}
	all, err = callbacks.New(accounts...)
	return all, accounts, err
}

// callbackFindings says whether the settings of callbacks are whole, and which address is to
// be entered at the vendor's.
func callbackFindings(e *env, now time.Time) (findings []store.Finding) {
	r := reader{getenv: e.Getenv}
	base := r.setting("BANYAN_PUBLIC_URL")
	_, accounts, err := readCallbacks(e)
	if err != nil {
		return []store.Finding{{Check: "callback settings", Detail: err.Error()}}
	}
	for _, a := range accounts {
		f := store.Finding{Check: fmt.Sprintf("callbacks of %s", a), OK: true}
		path := callbacks.Path + string(a.Channel) + "/" + a.ID
		f.Detail = "they are whole; enter this address at the vendor's: " + joinURL(base, path)
		ended := 0
		for _, v := range a.Verifiers {
			if !v.Ends.IsZero() && now.After(v.Ends) {
				ended++
			}
		}
		if ended > 0 {
			f.OK = false
			f.Detail = fmt.Sprintf("%d of the platform certificates in BANYAN_WECHATPAY_CERTIFICATES have ended: get the present ones from the merchant platform, or change to the public key", ended)
		}
		findings = append(findings, f)
	}
	return findings
}

func joinURL(base, path string) string {
	if base == "" {
		return "https://YOUR-HOST" + path + " (BANYAN_PUBLIC_URL is not set)"
	}
	return strings.TrimRight(base, "/") + path
}
