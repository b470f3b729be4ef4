package sms_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/sms"
	"github.com/banyanhq/banyan/fakeplatform"
)

// The doctor asks, and says what to do.
func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		account func(*fakeplatform.SMSAccount)
		change  func(*sms.Config)
		want    string
	}{
		"good":           {want: ""},
		"a person's":     {account: func(a *fakeplatform.SMSAccount) { a.Individual = true; a.Templates = nil }, want: ""},
		"no such key":    {change: func(c *sms.Config) { c.SecretID = "AKIDother" }, want: "mend BANYAN_SMS_SECRET_ID"},
		"other secret":   {change: func(c *sms.Config) { c.SecretKey = "another" }, want: "BANYAN_SMS_SECRET_KEY does not belong"},
		"other app":      {change: func(c *sms.Config) { c.App = "1400000000" }, want: "BANYAN_SMS_APP"},
		"not approved":   {account: func(a *fakeplatform.SMSAccount) { a.Templates[0].Status = 1 }, want: "1110 is not approved yet"},
		"refused":        {account: func(a *fakeplatform.SMSAccount) { a.Templates[2].Status = -1 }, want: "1112 was refused"},
		"not there":      {account: func(a *fakeplatform.SMSAccount) { a.Templates = a.Templates[1:] }, want: "1110 is not among your templates"},
		"another text":   {account: func(a *fakeplatform.SMSAccount) { a.Templates[1].Text = "课程 {1} 结束" }, want: "1111 has another text"},
		"nobody listens": {change: func(c *sms.Config) { c.URL = "http://127.0.0.1:1" }, want: "firewall"},
	} {
		a := account()
		if c.account != nil {
			c.account(&a)
		}
		p, cfg, _ := start(t, a)
		if c.change != nil {
			c.change(&cfg)
		}
		asked, err := channels.Check(t.Context(), channel(t, cfg))
		if !asked || (err == nil) != (c.want == "") || !strings.Contains(text(err), c.want) || strings.Contains(text(err), cfg.SecretKey) {
			t.Errorf("%s: %v, want one with %q", name, err, c.want)
		}
		if got := p.Record(); got.SMSSent != 0 || len(p.Received("")) != 0 {
			t.Errorf("%s: a check sends", name)
		}
	}
	p, cfg, _ := start(t, account())
	p.Clock().Advance(time.Hour)
	if err := channel(t, cfg).Check(t.Context()); !strings.Contains(text(err), "clock") {
		t.Errorf("a wrong clock: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := channel(t, cfg).Check(ctx); err == nil {
		t.Error("a check that nobody waits for is in order")
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	tencent := sms.Config{Provider: sms.ProviderTencent, SecretID: secretID, SecretKey: secretKey, App: appID, Sign: "【榕树】", Templates: []byte(templateFile)}
	gateway := sms.Config{Provider: sms.ProviderGateway, URL: "https://sms.example.com/banyan?token=t0ken", Secret: secret}
	for name, c := range map[string]struct {
		of      sms.Config
		change  func(*sms.Config)
		problem string
	}{
		"tencent":         {tencent, func(*sms.Config) {}, ""},
		"gateway":         {gateway, func(*sms.Config) {}, ""},
		"no provider":     {tencent, func(c *sms.Config) { c.Provider = "pigeon" }, "BANYAN_SMS_PROVIDER"},
		"no key":          {tencent, func(c *sms.Config) { c.SecretKey = "" }, "BANYAN_SMS_SECRET_KEY"},
		"key with a line": {tencent, func(c *sms.Config) { c.SecretKey = secretKey + "\nx" }, "BANYAN_SMS_SECRET_KEY"},
		"no app":          {tencent, func(c *sms.Config) { c.App = "app" }, "BANYAN_SMS_APP"},
		"no signature":    {tencent, func(c *sms.Config) { c.Sign = "" }, "BANYAN_SMS_SIGN"},
		"abroad needs none": {tencent, func(c *sms.Config) {
			c.Sign, c.Templates = "", []byte("templates: [{id: 1112, text: Hello, international: true}]")
		}, ""},
		"odd signature":    {tencent, func(c *sms.Config) { c.Sign = "榕【树" }, "BANYAN_SMS_SIGN"},
		"no templates":     {tencent, func(c *sms.Config) { c.Templates = nil }, "BANYAN_SMS_TEMPLATES_FILE"},
		"bad templates":    {tencent, func(c *sms.Config) { c.Templates = []byte("templates: [{id: a}]") }, "BANYAN_SMS_TEMPLATES_FILE: template 1 (a)"},
		"another's ids":    {tencent, func(c *sms.Config) { c.Templates = []byte("templates: [{id: SMS_1, text: x}]") }, `"SMS_1" is none`},
		"address":          {tencent, func(c *sms.Config) { c.URL = "sms.tencentcloudapi.com" }, "BANYAN_SMS_URL"},
		"address with way": {tencent, func(c *sms.Config) { c.URL = "https://sms.tencentcloudapi.com/v3" }, "BANYAN_SMS_URL"},
		"region":           {tencent, func(c *sms.Config) { c.Region = "ap guangzhou" }, "BANYAN_SMS_REGION"},
		"opt out":          {tencent, func(c *sms.Config) { c.OptOut = "never" }, "BANYAN_SMS_OPT_OUT is append, refuse or leave"},
		"opt out words":    {tencent, func(c *sms.Config) { c.OptOutText = "。" }, "BANYAN_SMS_OPT_OUT_TEXT"},
		"no gateway":       {gateway, func(c *sms.Config) { c.URL = "" }, "BANYAN_SMS_URL"},
		"private":          {gateway, func(c *sms.Config) { c.URL = "http://10.0.0.1/sms" }, "BANYAN_SMS_ALLOW_PRIVATE"},
		"fragment":         {gateway, func(c *sms.Config) { c.URL += "#x" }, "never sent"},
		"short secret":     {gateway, func(c *sms.Config) { c.Secret = "short" }, "BANYAN_SMS_SECRET"},
	} {
		cfg := c.of
		c.change(&cfg)
		made, err := sms.New(cfg)
		if got := text(err); (got == "") != (c.problem == "") || !strings.Contains(got, c.problem) || strings.Contains(got, secretKey) || strings.Contains(got, "t0ken") {
			t.Errorf("%s: %q, want one with %q", name, got, c.problem)
		}
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			shown := fmt.Sprintf(format, cfg)
			if err == nil && format != "%#v" {
				shown += fmt.Sprintf(format, made)
			}
			if strings.Contains(shown, secretKey) || strings.Contains(shown, secret) || strings.Contains(shown, "t0ken") {
				t.Errorf("%s: %s shows a secret: %s", name, format, shown)
			}
		}
	}
}
