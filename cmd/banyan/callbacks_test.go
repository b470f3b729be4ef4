package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// The doctor says of each account whether its settings are whole, and what to enter where.
func TestDoctorLooksAtCallbacks(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	examine := func(set map[string]string) string {
		out, err := json.Marshal(callbackFindings(&env{Getenv: func(name string) string { return set[name] }, Stdout: new(bytes.Buffer)}, now))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	key := strings.Repeat("a", 43)
	pay := map[string]string{"BANYAN_WECHATPAY_MERCHANT": "1900000001", "BANYAN_WECHATPAY_KEY": strings.Repeat("k", 32), "BANYAN_WECHATPAY_CERTIFICATES": payCertificate}
	for _, c := range []struct {
		set  map[string]string
		want string
	}{
		{nil, "null"},
		{map[string]string{"BANYAN_WECOM_CORP": "ww1"}, "null"}, // the channel alone
		{
			map[string]string{"BANYAN_WECOM_CORP": "ww1", "BANYAN_WECOM_CALLBACK_TOKEN": "t0ken", "BANYAN_WECOM_CALLBACK_KEY": key, "BANYAN_PUBLIC_URL": "https://banyan.example.com/"},
			`[{"check":"callbacks of wecom ww1","ok":true,"detail":"they are whole; enter this address at the vendor's: https://banyan.example.com/callbacks/wecom/ww1"}]`,
		},
		{map[string]string{"BANYAN_WECOM_CORP": "ww1", "BANYAN_WECOM_CALLBACK_TOKEN": "t0ken"}, "BANYAN_WECOM_CALLBACK_KEY is the EncodingAESKey"},
		{map[string]string{"BANYAN_WECOM_CALLBACK_TOKEN": "t0ken", "BANYAN_WECOM_CALLBACK_KEY": key}, "BANYAN_WECOM_CORP is missing"},
		{map[string]string{"BANYAN_MINIPROGRAM_APP": "wx1", "BANYAN_MINIPROGRAM_CALLBACK_KEY": key}, "BANYAN_MINIPROGRAM_CALLBACK_TOKEN is missing"},
		{map[string]string{"BANYAN_WECHATPAY_MERCHANT": "1900000001"}, "BANYAN_WECHATPAY_KEY is the APIv3 key"},
		{pay, `"ok":true`},
	} {
		if got := examine(c.set); !strings.Contains(got, c.want) || strings.Contains(got, "t0ken") || strings.Contains(got, key) {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	now = time.Date(2032, 1, 1, 0, 0, 0, 0, time.UTC)
	if got := examine(pay); !strings.Contains(got, `"ok":false`) || !strings.Contains(got, "have ended") {
		t.Errorf("a certificate that has ended: %s", got)
	}
}
