package webhook

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/outbound"
)

const (
	// DefaultTimeout bounds one delivery with all its redirects. WeChat and WeCom give
	// a receiver of theirs the same five seconds, so people build receivers for it.
	DefaultTimeout = 5 * time.Second
	// DefaultConnections bounds open connections to the receiver. A receiver that
	// answers in 100 ms takes 640 messages a second over them, more than one process
	// decides; a small one is not run over.
	DefaultConnections = 64
	// MinSecretBytes is the shortest secret that is taken.
	MinSecretBytes = outbound.MinSecretBytes
)

// Config is the channel's section. An empty URL leaves the channel out.
type Config struct {
	// URL of the receiver, http or https. User and password in it are sent as basic
	// authorization, a query is kept; neither is ever logged.
	URL string
	// Secret signs requests. Several, separated by commas, sign side by side while the
	// receiver changes from one to the next.
	Secret string
	// AllowPrivate permits a receiver, configured or redirected to, in a private
	// network or on this machine.
	AllowPrivate bool
	// Timeout bounds one delivery; zero is DefaultTimeout.
	Timeout time.Duration
	// Connections bounds open connections; zero is DefaultConnections.
	Connections int
}

// String shows where messages go and nothing secret: paths are left out too, since many
// services put a token there.
func (c Config) String() string {
	if u, err := url.Parse(c.URL); err == nil && u.Host != "" {
		return fmt.Sprintf("webhook to %s://%s", u.Scheme, u.Host)
	}
	return "webhook"
}

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// New checks the configuration and makes the channel. It touches no network. Errors
// name the setting and never quote it.
func New(cfg Config) (*Channel, error) {
	invalid := func(text string) (*Channel, error) {
		return nil, campaign.Errorf(campaign.CodeInvalid, "%s", text)
	}
	target, err := url.Parse(cfg.URL)
	switch {
	case err != nil || target.Hostname() == "" || (target.Scheme != "http" && target.Scheme != "https"):
		return invalid("BANYAN_WEBHOOK_URL is not a URL such as https://shop.example.com/banyan")
	case target.Fragment != "":
		return invalid("BANYAN_WEBHOOK_URL has a part after #, which is never sent")
	case !cfg.AllowPrivate && literallyPrivate(target.Hostname()):
		return invalid("BANYAN_WEBHOOK_URL names a private address; set BANYAN_WEBHOOK_ALLOW_PRIVATE=true if the receiver is in-house")
	}
	secrets, err := outbound.Secrets("BANYAN_WEBHOOK_SECRET", cfg.Secret)
	if err != nil {
		return invalid(err.Error())
	}
	allowed := outbound.Public
	if cfg.AllowPrivate {
		allowed = nil
	}
	user := target.User
	target.User = nil
	timeout := cmp.Or(cfg.Timeout, DefaultTimeout)
	return &Channel{
		target: target, user: user, secrets: secrets, timeout: timeout, now: time.Now,
		client: outbound.Transport(allowed, timeout, cmp.Or(cfg.Connections, DefaultConnections)),
	}, nil
}

// literallyPrivate finds a private address that is written out. A name is judged by
// the address that it has when it is dialled, every time.
func literallyPrivate(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && !outbound.Public(addr)
}
