package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/all"
	"github.com/banyanhq/banyan/channels/sms"
	"github.com/banyanhq/banyan/fakeplatform"
)

const someTemplates = `
templates:
  - {id: 1110, text: "{1}，月卡 {2} 元为你锁定。拒收请回复R", kind: marketing}
`

func TestSMSSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	platform := fakeplatform.New(fakeplatform.Options{SMS: fakeplatform.SMSAccount{
		SecretID: "AKID1", SecretKey: "k3y", App: "1400006666", Sign: "榕树",
		Templates: []fakeplatform.SMSTemplate{{ID: 1110, Text: "{1}，月卡 {2} 元为你锁定。拒收请回复R"}},
	}})
	server := httptest.NewServer(platform)
	t.Cleanup(func() { platform.Close(); server.Close() })
	set := map[string]string{
		"BANYAN_WEBHOOK_URL": "https://shop.example.com/banyan", "BANYAN_WEBHOOK_SECRET": "a secret of more than sixteen bytes",
		"BANYAN_SMS_PROVIDER": "tencent", "BANYAN_SMS_URL": server.URL, "BANYAN_SMS_SECRET_ID": "AKID1", "BANYAN_SMS_SECRET_KEY_FILE": file("key", "k3y\n"),
		"BANYAN_SMS_APP": "1400006666", "BANYAN_SMS_SIGN": "榕树", "BANYAN_SMS_TEMPLATES_FILE": file("templates.yaml", someTemplates),
	}
	examine := func(change map[string]string) string {
		out, err := json.Marshal(channelFindings(t.Context(), &env{Stdout: new(bytes.Buffer), Getenv: func(name string) string {
			if value, changed := change[name]; changed {
				return value
			}
			return set[name]
		}}))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if got := examine(nil); got != `[{"check":"channel sms","ok":true,"detail":"its account is in order"}]` {
		t.Errorf("in order: %s", got)
	}
	for want, change := range map[string]map[string]string{
		"BANYAN_SMS_SECRET_KEY does not belong":                      {"BANYAN_SMS_SECRET_KEY_FILE": "", "BANYAN_SMS_SECRET_KEY": "other"},
		"BANYAN_SMS_TEMPLATES_FILE is missing":                       {"BANYAN_SMS_TEMPLATES_FILE": ""},
		"BANYAN_SMS_TEMPLATES_FILE names a file that cannot be read": {"BANYAN_SMS_TEMPLATES_FILE": filepath.Join(dir, "none")},
		"BANYAN_SMS_TEMPLATES_FILE names an empty file":              {"BANYAN_SMS_TEMPLATES_FILE": file("empty", "\n")},
		"1111 is not among your templates":                           {"BANYAN_SMS_TEMPLATES_FILE": file("more.yaml", someTemplates+"  - {id: 1111, text: hello}\n")},
		"BANYAN_SMS_MAX_PARTS is a number from 1":                    {"BANYAN_SMS_MAX_PARTS": "none"},
		"BANYAN_SMS_PROVIDER is tencent or gateway":                  {"BANYAN_SMS_PROVIDER": "pigeon"},
	} {
		if got := examine(change); !strings.Contains(got, `"ok":false`) || !strings.Contains(got, want) || strings.Contains(got, "k3y") {
			t.Errorf("%v: %s, want %q", change, got, want)
		}
	}
	if len(platform.Received("")) != 0 {
		t.Error("a check sends texts")
	}
}

const textedCampaign = `
campaign: texted
title: Texted
member: {name: string}
events:
  order.paid: {order: string, offer: string, amount: money}
messages:
  card-offer: "{{ member.name }}，月卡 {{ 100 + 99 }} 元为你锁定。"
  hello: {text: Hello, sms: "{{ member.name }}，你好"}
  elsewhere: Hello
journeys:
  way:
    start: {api: true}
    goal: {on: order.paid}
    steps:
      - send: card-offer
        via: [sms, webhook]
      - send: hello
        via: sms
      - send: elsewhere
        via: webhook
`

func TestCheckWithSMSTemplates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	check := func(args ...string) (status int, said string) {
		var out bytes.Buffer
		status = execute(t.Context(), append([]string{"check"}, args...), &env{Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }})
		return status, out.String()
	}
	texted, templates := file("texted.yaml", textedCampaign), file("templates.yaml", someTemplates)
	all := file("all.yaml", someTemplates+"  - {id: 1111, text: '{1}，你好，拒收请回复R'}\n")
	if status, said := check("--sms-templates", all, texted); status != exitDone || !strings.Contains(said, "texted.yaml: ok") {
		t.Errorf("all approved: %d\n%s", status, said)
	}
	status, said := check("--sms-templates", templates, texted)
	if status == exitDone || !strings.Contains(said, "texted.yaml: no approved template gives the text by sms of: hello;") || strings.Contains(said, "ok") {
		t.Errorf("one is missing: %d\n%s", status, said)
	}
	if status, said := check("--sms-templates", templates, "--format=json", texted); status == exitDone || !strings.Contains(said, `"no_sms_template": [`) || strings.Contains(said, "card-offer") {
		t.Errorf("JSON: %d\n%s", status, said)
	}
	if status, said := check("--sms-templates", templates, "--format=github", texted); status == exitDone || !strings.Contains(said, "title=no_sms_template::no approved template") {
		t.Errorf("annotations: %d\n%s", status, said)
	}
	if status, said := check("--sms-templates", file("bad.yaml", "templates: [{id: 1}]"), texted); status == exitDone || !strings.Contains(said, "bad.yaml: template 1 (1): write its text") {
		t.Errorf("bad templates: %d\n%s", status, said)
	}
}

// A text by the settings of `banyan dev --fake-platform` appears on the page of phones.
func TestTheFakePlatformTakesTexts(t *testing.T) {
	t.Parallel()
	platform, err := startPlatform(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(platform.close)
	set := platform.settings()
	cfg, _, err := readChannels(&env{Stdout: new(bytes.Buffer), Getenv: func(name string) string { return set[name] }})
	if err != nil {
		t.Fatal(err)
	}
	built, _, err := all.Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	channel, ok := built.Get(sms.Name)
	if !ok {
		t.Fatal("there is no such channel")
	}
	const number = "+8613800000001"
	if _, err := channels.Check(t.Context(), channel); err != nil {
		t.Error(err)
	}
	if _, err := channel.Deliver(t.Context(), channels.Message{
		Key: "k", Member: "m-1", Body: "月卡 199 元", Kind: campaign.KindMarketing, To: campaign.Identity{Kind: campaign.IdentityPhone, Address: number},
	}); err != nil {
		t.Error(err)
	}
	if got := platform.own.Received(number); len(got) != 1 || got[0].Text != "月卡 199 元，拒收请回复R" {
		t.Errorf("received %+v", got)
	}
}
