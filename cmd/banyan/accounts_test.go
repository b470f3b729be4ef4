package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/channels/mail/mailtest"
)

func TestSettingsFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const secret = "a secret of more than sixteen bytes"
	set := map[string]string{
		"BANYAN_PUBLIC_URL": "https://banyan.example.com", "BANYAN_LINK_SECRET_FILE": file("link", secret+"\n"),
		"BANYAN_MAIL_URL": "smtp://hello@smtp.example.com", "BANYAN_MAIL_FROM": "hello@example.com", "BANYAN_MAIL_PASSWORD_FILE": file("mail", " p4ss \n"),
		"BANYAN_MAIL_CONNECTIONS": "3",
	}
	cfg, links, err := readChannels(&env{Getenv: func(name string) string { return set[name] }, Stdout: new(bytes.Buffer)})
	if err != nil || cfg.Mail.Password != "p4ss" || cfg.Mail.Connections != 3 || !links.Ready() || !cfg.Mail.Links.Ready() {
		t.Fatalf("%+v, %v, %v", cfg.Mail, links, err)
	}
	for name, c := range map[string]struct {
		change  map[string]string
		problem string
	}{
		"both":      {map[string]string{"BANYAN_MAIL_PASSWORD": "p4ss"}, "are both set"},
		"no file":   {map[string]string{"BANYAN_MAIL_PASSWORD_FILE": filepath.Join(dir, "none")}, "cannot be read"},
		"empty":     {map[string]string{"BANYAN_MAIL_PASSWORD_FILE": file("empty", "\n")}, "empty file"},
		"no bool":   {map[string]string{"BANYAN_MAIL_ALLOW_PLAIN": "perhaps"}, "true or false"},
		"no number": {map[string]string{"BANYAN_MAIL_CONNECTIONS": "0"}, "from 1 to 1000"},
		"no secret": {map[string]string{"BANYAN_LINK_SECRET_FILE": ""}, "BANYAN_LINK_SECRET"},
	} {
		_, _, err := readChannels(&env{Stdout: new(bytes.Buffer), Getenv: func(name string) string {
			if value, changed := c.change[name]; changed {
				return value
			}
			return set[name]
		}})
		if err == nil || !strings.Contains(err.Error(), c.problem) || strings.Contains(err.Error(), "p4ss") {
			t.Errorf("%s: %v, want one with %q", name, err, c.problem)
		}
	}
}

// The doctor asks each account, and says what to do about one that is not in order.
func TestDoctorAsksTheChannels(t *testing.T) {
	t.Parallel()
	server := &mailtest.Server{}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	set := map[string]string{
		"BANYAN_PUBLIC_URL": "https://banyan.example.com", "BANYAN_LINK_SECRET": "a secret of more than sixteen bytes",
		"BANYAN_MAIL_URL": "smtp://" + server.Address(), "BANYAN_MAIL_FROM": "hello@example.com",
	}
	examine := func() string {
		out, err := json.Marshal(channelFindings(t.Context(), &env{Getenv: func(name string) string { return set[name] }, Stdout: new(bytes.Buffer)}))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if got := examine(); !strings.Contains(got, `"channel mail","ok":false`) || !strings.Contains(got, "BANYAN_MAIL_ALLOW_PLAIN") {
		t.Errorf("without encryption: %s", got)
	}
	set["BANYAN_MAIL_ALLOW_PLAIN"] = "true"
	if got := examine(); got != `[{"check":"channel mail","ok":true,"detail":"its account is in order"}]` {
		t.Errorf("in order: %s", got)
	}
	set["BANYAN_MAIL_FROM"] = "nobody"
	if got := examine(); !strings.Contains(got, `"channels","ok":false`) || !strings.Contains(got, "BANYAN_MAIL_FROM") {
		t.Errorf("wrong setting: %s", got)
	}
	if len(server.Mails("")) != 0 {
		t.Error("a check sends mail")
	}
	clear(set)
	if got := examine(); got != "null" {
		t.Errorf("nothing configured: %s", got)
	}
}
