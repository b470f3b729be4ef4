package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/store"
)

// files writes settings, each into a file of its own, and gives the environment that names
// them.
func files(t *testing.T, settings map[string]string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	set := map[string]string{}
	for name, value := range settings {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		set[name+"_FILE"] = path
	}
	return set
}

// Every setting of serve and worker comes from a file where its name with _FILE is set.
func TestEverySettingFromAFile(t *testing.T) {
	t.Parallel()
	set := files(t, map[string]string{
		"BANYAN_DATABASE_URL": "postgres://banyan@db.internal/banyan", "BANYAN_LISTEN": "127.0.0.1:9999", "BANYAN_ADMIN_KEY": strings.Repeat("k", store.MinBootstrapKey),
		"BANYAN_RATE_LIMIT": "7", "BANYAN_INTENT_LIMIT": "8", "BANYAN_METRICS_LISTEN": "127.0.0.1:9998", "BANYAN_DEMO_CLOCK": "allow", "BANYAN_LOG": "json",
		"BANYAN_CHANNEL": "mail", "BANYAN_WEBHOOK_URL": "https://shop.example.com/hook", "BANYAN_WEBHOOK_SECRET": "a secret of the webhook's", "BANYAN_WEBHOOK_ALLOW_PRIVATE": "true",
		"BANYAN_CALL_SECRET": "a secret of the calls'", "BANYAN_CALL_ALLOW": "crm.internal",
		"BANYAN_REFUND_URL": "https://shop.example.com/refunds", "BANYAN_REFUND_SECRET": "a secret of the refunds'", "BANYAN_REFUND_ALLOW_PRIVATE": "true",
		"BANYAN_MAIL_URL": "smtp://hello@smtp.example.com", "BANYAN_MAIL_PASSWORD": "p4ss", "BANYAN_MAIL_FROM": "hello@example.com",
		"BANYAN_MAIL_CONNECTIONS": "3", "BANYAN_MAIL_ALLOW_PLAIN": "true",
		"BANYAN_WECOM_CORP": "ww1", "BANYAN_WECOM_SECRET": "s3cret", "BANYAN_WECOM_AGENT": "1000002", "BANYAN_WECOM_URL": "https://wecom.internal",
		"BANYAN_SMS_PROVIDER": "gateway", "BANYAN_SMS_URL": "https://sms.example.com", "BANYAN_SMS_SIGN": "榕树", "BANYAN_SMS_OPT_OUT": "refuse", "BANYAN_SMS_OPT_OUT_TEXT": "退订回T",
		"BANYAN_SMS_MAX_PARTS": "2", "BANYAN_SMS_SECRET_ID": "AKID1", "BANYAN_SMS_SECRET_KEY": "k3y", "BANYAN_SMS_APP": "1400006666", "BANYAN_SMS_REGION": "ap-beijing",
		"BANYAN_SMS_SECRET": "a secret of the gateway's", "BANYAN_SMS_ALLOW_PRIVATE": "true",
		"BANYAN_PUBLIC_URL": "https://banyan.example.com", "BANYAN_LINK_SECRET": "a secret of more than sixteen bytes", "BANYAN_ADDRESS_KEY": strings.Repeat("0f", 32),
		"BANYAN_REFERRAL_HOSTS":       "shop.example",
		"BANYAN_WECOM_CALLBACK_TOKEN": "t0ken", "BANYAN_WECOM_CALLBACK_KEY": strings.Repeat("a", 43),
		"BANYAN_OFFICIALACCOUNT_APP": "wx1", "BANYAN_OFFICIALACCOUNT_SECRET": "s3cret", "BANYAN_OFFICIALACCOUNT_URL": "https://weixin.internal", "BANYAN_OFFICIALACCOUNT_CALLBACK_TOKEN": "t0ken", "BANYAN_OFFICIALACCOUNT_CALLBACK_KEY": strings.Repeat("b", 43),
		"BANYAN_MINIPROGRAM_APP": "wx2", "BANYAN_MINIPROGRAM_SECRET": "s3cret", "BANYAN_MINIPROGRAM_URL": "https://weixin.internal", "BANYAN_MINIPROGRAM_CALLBACK_TOKEN": "t0ken", "BANYAN_MINIPROGRAM_CALLBACK_KEY": strings.Repeat("c", 43),
		"BANYAN_WECHATPAY_MERCHANT": "1900000001", "BANYAN_WECHATPAY_KEY": strings.Repeat("k", 32), "BANYAN_WECHATPAY_CERTIFICATES": payCertificate,
		"BANYAN_WECHATPAY_PUBLIC_KEY": payPublicKey, "BANYAN_WECHATPAY_PUBLIC_KEY_ID": "PUB_KEY_ID_0119000000012026050100000001",
	})
	// These name a file of their own.
	for _, name := range []string{"BANYAN_SMS_TEMPLATES_FILE", "BANYAN_MINIPROGRAM_TEMPLATES_FILE"} {
		set[name] = filepath.Join(t.TempDir(), "templates.yaml")
		if err := os.WriteFile(set[name], []byte("templates: []\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "### `banyan serve` and `banyan worker`")
	table, _, _ := strings.Cut(rest, "\n### ")
	for line := range strings.Lines(table) {
		if name, ok := strings.CutPrefix(line, "| `BANYAN_"); ok {
			name, _, _ = strings.Cut("BANYAN_"+name, "`")
			if set[strings.TrimSuffix(name, "_FILE")+"_FILE"] == "" {
				t.Errorf("docs/operate.md names %s, which is not tried here", name)
			}
		}
	}
	s, err := readSettings(&env{Getenv: func(name string) string { return set[name] }, Stdout: new(strings.Builder), Stderr: new(strings.Builder)})
	if err != nil {
		t.Fatal(err)
	}
	c := s.Channels
	for name, ok := range map[string]bool{
		"BANYAN_DATABASE_URL": s.DatabaseURL == "postgres://banyan@db.internal/banyan", "BANYAN_LISTEN": s.Listen == "127.0.0.1:9999", "BANYAN_ADMIN_KEY": len(s.AdminKey) == store.MinBootstrapKey,
		"BANYAN_RATE_LIMIT": s.Rate == 7, "BANYAN_INTENT_LIMIT": s.MaxIntents == 8, "BANYAN_METRICS_LISTEN": s.MetricsAt == "127.0.0.1:9998", "BANYAN_DEMO_CLOCK": s.DemoClock,
		"callbacks":      slices.Equal(s.Callbacks.Paths(), []string{"/callbacks/wecom/ww1", "/callbacks/officialaccount/wx1", "/callbacks/miniprogram/wx2", "/callbacks/wechatpay/1900000001"}),
		"BANYAN_CHANNEL": c.Default == "mail", "BANYAN_WEBHOOK_…": c.Webhook.URL != "" && c.Webhook.Secret != "" && c.Webhook.AllowPrivate,
		"BANYAN_REFUND_…": c.Refund.URL != "" && c.Refund.Secret != "" && c.Refund.AllowPrivate,
		"BANYAN_CALL_…":   c.Call.Secret != "" && c.Call.Allow == "crm.internal", "BANYAN_MAIL_…": c.Mail.URL != "" && c.Mail.Password == "p4ss" && c.Mail.From == "hello@example.com",
		"BANYAN_MAIL_CONNECTIONS": c.Mail.Connections == 3, "BANYAN_MAIL_ALLOW_PLAIN": c.Mail.AllowPlain,
		"BANYAN_WECOM_…": c.WecomApp.Account.Corp == "ww1" && c.WecomApp.Account.Secret == "s3cret" && c.WecomApp.Account.URL == "https://wecom.internal", "BANYAN_WECOM_AGENT": c.WecomApp.Agent == 1000002,
		"BANYAN_OFFICIALACCOUNT_…":              c.OfficialAccount.Account.App == "wx1" && c.OfficialAccount.Account.Secret == "s3cret" && c.OfficialAccount.Account.URL == "https://weixin.internal",
		"BANYAN_MINIPROGRAM_…":                  c.MiniProgram.Account.App == "wx2" && c.MiniProgram.Account.Secret == "s3cret" && c.MiniProgram.Account.URL == "https://weixin.internal" && len(c.MiniProgram.Templates) > 0,
		"BANYAN_SMS_…, of texts":                c.SMS.Provider == "gateway" && c.SMS.URL != "" && c.SMS.Sign == "榕树" && c.SMS.OptOut == "refuse" && c.SMS.OptOutText == "退订回T" && c.SMS.MaxParts == 2,
		"BANYAN_SMS_…, of Tencent's":            c.SMS.SecretID == "AKID1" && c.SMS.SecretKey == "k3y" && c.SMS.App == "1400006666" && c.SMS.Region == "ap-beijing" && len(c.SMS.Templates) > 0,
		"BANYAN_SMS_…, of a gateway":            c.SMS.Secret != "" && c.SMS.AllowPrivate,
		"BANYAN_PUBLIC_URL, BANYAN_LINK_SECRET": s.Links.Ready(), "BANYAN_ADDRESS_KEY": len(s.AddressKeys) == 1,
		"BANYAN_REFERRAL_HOSTS": slices.Equal(s.Referrals.Hosts, []string{"shop.example"}) && s.Referrals.Base == "https://banyan.example.com" && len(s.Referrals.Keys) == 1,
	} {
		if !ok {
			t.Errorf("%s is not read from its file", name)
		}
	}
	var out strings.Builder
	log, err := logger(&env{Getenv: func(name string) string { return set[name] }, Stderr: &out})
	if err != nil {
		t.Fatal(err)
	}
	if log.Info("hello"); !strings.HasPrefix(out.String(), "{") {
		t.Errorf("BANYAN_LOG is not read from its file: %s", out.String())
	}
}

// The commands that work on the database find it as the programs do, and calls find their
// key so.
func TestCommandsReadFiles(t *testing.T) {
	t.Parallel()
	url := devtest.Database(t)
	c := &terminal{t: t, env: files(t, map[string]string{"BANYAN_DATABASE_URL": url})}
	c.must("migrate")
	if got := c.must("migrate", "status"); !strings.Contains(got, "applied") {
		t.Errorf("migrate status: %s", got)
	}
	key := strings.TrimSpace(c.must("keys", "create", "--scope", "admin"))
	if !strings.HasPrefix(key, "byn_") {
		t.Errorf("the key is %q", key)
	}
	for name, run := range map[string]struct {
		set  map[string]string
		says string
	}{
		"both":    {set: map[string]string{"BANYAN_DATABASE_URL": url, "BANYAN_DATABASE_URL_FILE": c.env["BANYAN_DATABASE_URL_FILE"]}, says: "are both set"},
		"neither": {set: map[string]string{}, says: "BANYAN_DATABASE_URL"},
		"no file": {set: map[string]string{"BANYAN_DATABASE_URL_FILE": c.env["BANYAN_DATABASE_URL_FILE"] + "x"}, says: "cannot be read"},
	} {
		other := &terminal{t: t, env: run.set}
		for _, args := range [][]string{{"migrate"}, {"doctor"}, {"keys", "create", "--scope", "admin"}} {
			if status := other.run(args...); status != exitUsage || !strings.Contains(other.stderr.String(), run.says) {
				t.Errorf("%s, %v: status %d, %s", name, args, status, other.stderr.String())
			}
		}
	}
	withFlag := &terminal{t: t, env: map[string]string{"BANYAN_DATABASE_URL_FILE": "/none"}}
	withFlag.must("migrate", "status", "--database", url)

	var authorized []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorized = append(authorized, r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, `{"keys":[]}`)
	}))
	defer server.Close()
	keyed := &terminal{t: t, env: files(t, map[string]string{"BANYAN_KEY": key, "BANYAN_SERVER": server.URL})}
	if keyed.must("keys", "list"); len(authorized) != 1 || authorized[0] != "Bearer "+key {
		t.Errorf("%d calls came with %q", len(authorized), authorized)
	}
	keyed.env["BANYAN_KEY"] = key
	if status := keyed.run("keys", "list"); status != exitUsage || !strings.Contains(keyed.stderr.String(), "are both set") || strings.Contains(keyed.stderr.String(), key) {
		t.Errorf("keys list with two keys: %d, %s", status, keyed.stderr.String())
	}
}
