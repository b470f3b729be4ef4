package mail_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/channels/mail"
	"github.com/banyanhq/banyan/optout"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	good := mail.Config{URL: "smtp://hello:p4ss%20word@smtp.example.com", From: from, Links: links(t)}
	for name, c := range map[string]struct {
		change  func(*mail.Config)
		problem string
	}{
		"good":           {change: func(*mail.Config) {}},
		"scheme":         {func(c *mail.Config) { c.URL = "http://smtp.example.com" }, "BANYAN_MAIL_URL"},
		"path":           {func(c *mail.Config) { c.URL += "/mail" }, "BANYAN_MAIL_URL"},
		"no sender":      {func(c *mail.Config) { c.From = "" }, "BANYAN_MAIL_FROM"},
		"no domain":      {func(c *mail.Config) { c.From = "hello@localhost" }, "BANYAN_MAIL_FROM"},
		"no links":       {func(c *mail.Config) { c.Links = optout.Links{} }, "BANYAN_LINK_SECRET"},
		"no password":    {func(c *mail.Config) { c.URL = "smtp://hello@smtp.example.com" }, "BANYAN_MAIL_PASSWORD"},
		"no user":        {func(c *mail.Config) { c.URL, c.Password = "smtp://smtp.example.com", password }, "BANYAN_MAIL_PASSWORD"},
		"password alone": {func(c *mail.Config) { c.URL, c.Password = "smtp://hello@smtp.example.com", password }, ""},
	} {
		cfg := good
		c.change(&cfg)
		_, err := mail.New(cfg)
		if got := text(err); (got == "") != (c.problem == "") || !strings.Contains(got, c.problem) || strings.Contains(got, password) {
			t.Errorf("%s: %q, want one with %q", name, got, c.problem)
		}
		for _, format := range []string{"%v", "%+v", "%#v"} {
			if shown := fmt.Sprintf(format, cfg); strings.Contains(shown, "p4ss") {
				t.Errorf("%s: %s shows the password", name, shown)
			}
		}
	}
}
