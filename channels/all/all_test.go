package all_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/channels/all"
	"github.com/banyanhq/banyan/channels/call"
	"github.com/banyanhq/banyan/channels/console"
	"github.com/banyanhq/banyan/channels/mail"
	"github.com/banyanhq/banyan/channels/miniprogram"
	"github.com/banyanhq/banyan/channels/officialaccount"
	"github.com/banyanhq/banyan/channels/sms"
	"github.com/banyanhq/banyan/channels/webhook"
	"github.com/banyanhq/banyan/channels/weixin"
	"github.com/banyanhq/banyan/optout"
)

const secret = "a secret of more than sixteen bytes"

func TestBuild(t *testing.T) {
	desk := console.Config{Out: io.Discard}
	hook := webhook.Config{URL: "https://shop.example.com/banyan?token=t0ken", Secret: secret}
	links, err := optout.New("https://banyan.example.com", secret)
	if err != nil {
		t.Fatal(err)
	}
	post := mail.Config{URL: "smtp://smtp.example.com", From: "hello@example.com", Links: links}
	texts := sms.Config{Provider: sms.ProviderGateway, URL: "https://sms.example.com/banyan?token=t0ken", Secret: secret}
	for name, c := range map[string]struct {
		cfg      all.Config
		names    []string
		standard string
		problem  string
	}{
		"nothing":             {problem: "no channel is configured"},
		"console alone":       {cfg: all.Config{Console: desk}, names: []string{"console", "call", "refund"}, standard: "console"},
		"the receiver first":  {cfg: all.Config{Console: desk, Webhook: hook}, names: []string{"webhook", "console", "call", "refund"}, standard: "webhook"},
		"unless told":         {cfg: all.Config{Console: desk, Webhook: hook, Default: "console"}, names: []string{"webhook", "console", "call", "refund"}, standard: "console"},
		"default not there":   {cfg: all.Config{Console: desk, Default: "webhook"}, problem: `"webhook" is not configured; there is: console`},
		"default not in here": {cfg: all.Config{Webhook: hook, Default: "pigeon"}, problem: `"pigeon" is not configured; there is: webhook`},
		"no default":          {cfg: all.Config{Webhook: hook, Default: "call"}, problem: `"call" is not configured; there is: webhook`},
		"bad call":            {cfg: all.Config{Console: desk, Call: call.Config{Allow: "http://x"}}, problem: "BANYAN_CALL_ALLOW"},
		"mail beside":         {cfg: all.Config{Console: desk, Webhook: hook, Mail: post}, names: []string{"webhook", "console", "mail", "call", "refund"}, standard: "webhook"},
		"mail as the default": {cfg: all.Config{Console: desk, Mail: post, Default: "mail"}, problem: `cannot be "mail"`},
		"mail alone":          {cfg: all.Config{Mail: post}, problem: "set BANYAN_WEBHOOK_URL too"},
		"sms beside":          {cfg: all.Config{Console: desk, SMS: texts}, names: []string{"console", "sms", "call", "refund"}, standard: "console"},
		"official account":    {cfg: all.Config{Console: desk, OfficialAccount: officialaccount.Config{Account: weixin.Account{App: "wx0123456789abcdef", Secret: secret}}}, names: []string{"console", "officialaccount", "call", "refund"}, standard: "console"},
		"mini program":        {cfg: all.Config{Console: desk, MiniProgram: miniprogram.Config{Account: weixin.Account{App: "wx0123456789abcdef", Secret: secret}, Templates: []byte(`{"templates": [{"id": "t1", "text": "{{thing1.DATA}}"}]}`)}}, names: []string{"console", "miniprogram", "call", "refund"}, standard: "console"},
		"bad mini program":    {cfg: all.Config{Console: desk, MiniProgram: miniprogram.Config{Account: weixin.Account{App: "wx0123456789abcdef", Secret: secret}}}, problem: "BANYAN_MINIPROGRAM_TEMPLATES_FILE"},
		"sms as the default":  {cfg: all.Config{Console: desk, SMS: texts, Default: "sms"}, problem: `cannot be "sms"`},
		"bad sms":             {cfg: all.Config{Console: desk, SMS: sms.Config{Provider: "pigeon"}}, problem: "BANYAN_SMS_PROVIDER"},
		"bad mail":            {cfg: all.Config{Console: desk, Mail: mail.Config{URL: "smtp://x"}}, problem: "BANYAN_PUBLIC_URL"},
		"bad section":         {cfg: all.Config{Console: desk, Webhook: webhook.Config{URL: "ftp://x"}}, problem: "BANYAN_WEBHOOK_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			set, standard, err := all.Build(c.cfg)
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Fatalf("error is %v, want one with %q", err, c.problem)
				}
				return
			}
			if err != nil || standard != c.standard || !slices.Equal(set.Names(), c.names) {
				t.Fatalf("Build = %v, %q, %v; want %v, %q", set.Names(), standard, err, c.names, c.standard)
			}
		})
	}
}

func TestPrintingTheConfigurationShowsNoSecret(t *testing.T) {
	cfg := all.Config{
		Webhook: webhook.Config{URL: "https://user:passw0rd@shop.example.com/t0ken?key=t0ken", Secret: secret},
		SMS:     sms.Config{Provider: "tencent", URL: "https://user:passw0rd@sms.example.com", SecretKey: secret, Secret: secret},
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		text := fmt.Sprintf(format, cfg)
		for _, hidden := range []string{"passw0rd", "t0ken", secret} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s shows %q: %s", format, hidden, text)
			}
		}
	}
}
