package mail

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	netmail "net/mail"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/optout"
)

const (
	// DefaultTimeout bounds one delivery, the server's last answer included. An attempt to
	// send may take 15 seconds in all, with the wait for a connection, and has to be written
	// down after.
	DefaultTimeout = 11 * time.Second
	// placeTimeout is how long a message waits while all connections are in use. It is not
	// of the delivery's own time: what begins late would end as unknown.
	placeTimeout = 2 * time.Second
	// stepTimeout bounds connecting, and each command after it with its answer, but for the
	// last: a server that scans what it takes thinks about that one.
	stepTimeout = 5 * time.Second
	// answerTimeout is left for the last answer at least, or half of a delivery's time if
	// that is less. A server that has been slow before is left while the mail is certainly
	// not taken: behind the last line it would end as unknown.
	answerTimeout = 5 * time.Second
	// DefaultConnections bounds open connections from one process. Many providers take ten
	// from one address.
	DefaultConnections = 8
	// LaterAfter is how long a message rests that the server does not take now: greylists
	// open after one to five minutes, and SMTP has no way to say when to come again.
	LaterAfter = time.Minute

	idleTimeout = 20 * time.Second // under the half minute after which strict servers hang up
	perConn     = 100              // messages; some servers close after so many
)

// Config is the channel's section. An empty URL leaves the channel out.
type Config struct {
	// URL of the mail server that takes our mail: smtp://user:password@host:587 asks for
	// encryption by STARTTLS, smtps://…:465 is encrypted from the first byte.
	URL string
	// Password may stand here instead of in the URL.
	Password string
	// From is who the mail is from, such as "Lin's Studio <hello@shop.example.com>".
	From string
	// AllowPlain lets mail go out without encryption where the server offers none. A
	// password never does, but to this machine itself.
	AllowPlain bool
	// Links are what members opt out by; required.
	Links optout.Links
	// Timeout bounds one delivery; zero is DefaultTimeout.
	Timeout time.Duration
	// Connections bounds open connections; zero is DefaultConnections.
	Connections int
	// Roots are who may sign the server's certificate; nil: who this machine trusts.
	Roots *x509.CertPool
}

// String shows the server and nothing secret.
func (c Config) String() string {
	if u, err := url.Parse(c.URL); err == nil && u.Host != "" {
		return fmt.Sprintf("mail by %s://%s", u.Scheme, u.Host)
	}
	return "mail"
}

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// New checks the configuration and makes the channel. It touches no network. Errors name
// the setting and never quote it.
func New(cfg Config) (*Channel, error) {
	invalid := func(format string, args ...any) (*Channel, error) {
		return nil, campaign.Errorf(campaign.CodeInvalid, format, args...)
	}
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps"):
		return invalid("BANYAN_MAIL_URL is not an address such as smtp://user:password@smtp.example.com:587 or smtps://…:465")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return invalid("BANYAN_MAIL_URL has something behind the host and the port, which means nothing")
	case !cfg.Links.Ready():
		return invalid("mail needs BANYAN_PUBLIC_URL and BANYAN_LINK_SECRET: every marketing mail carries a link to opt out")
	}
	from, err := netmail.ParseAddress(cfg.From)
	if err != nil {
		return invalid("BANYAN_MAIL_FROM is no sender such as Lin's Studio <hello@shop.example.com>")
	}
	if _, why := campaign.ParseAddress(campaign.IdentityMail, from.Address); why != "" {
		return invalid("BANYAN_MAIL_FROM is no sender such as Lin's Studio <hello@shop.example.com>")
	}
	c := &Channel{
		host: u.Hostname(), implicit: u.Scheme == "smtps", plain: cfg.AllowPlain, from: from, links: cfg.Links, roots: cfg.Roots,
		timeout: cmp.Or(cfg.Timeout, DefaultTimeout), places: make(chan struct{}, cmp.Or(cfg.Connections, DefaultConnections)),
		now: time.Now,
	}
	c.address = net.JoinHostPort(c.host, cmp.Or(u.Port(), map[bool]string{true: "465", false: "587"}[c.implicit]))
	if u.User != nil {
		c.user = u.User.Username()
		c.password, _ = u.User.Password()
	}
	if cfg.Password != "" {
		c.password = cfg.Password
	}
	if (c.user == "") != (c.password == "") {
		return invalid("mail needs a user and a password, or neither: smtp://user:password@…, or the password in BANYAN_MAIL_PASSWORD")
	}
	_, c.domain, _ = strings.Cut(from.Address, "@")
	if c.helo, err = os.Hostname(); err != nil || !strings.Contains(c.helo, ".") {
		c.helo = c.domain
	}
	return c, nil
}
