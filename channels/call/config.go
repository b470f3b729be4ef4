package call

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/outbound"
)

// Bounds of connections.
const (
	// connectTimeout bounds connecting and TLS; the call's own timeout bounds the whole.
	connectTimeout = 5 * time.Second
	// DefaultConnections bounds open connections to one service from one process.
	DefaultConnections = 64
)

// Config is the channel's section.
type Config struct {
	// Secret signs calls; several, separated by commas, sign side by side. Without one no
	// call is made.
	Secret string
	// Allow lists hosts, perhaps with a port, and networks in CIDR notation, separated by
	// commas, that may be called though they are private. A host that it names may be called
	// by http too.
	Allow string
	// Connections bounds open connections to one service; zero is DefaultConnections.
	Connections int
	// Transport may change how connections are made, for instance whose certificates count;
	// nil: nothing.
	Transport func(*http.Transport)
}

// String shows nothing secret.
func (c Config) String() string {
	if c.Secret == "" {
		return "call without a secret"
	}
	return "call"
}

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// New checks the configuration and makes the channel. It touches no network. Errors name
// the setting and never quote a secret.
func New(cfg Config) (*Channel, error) {
	c := &Channel{now: time.Now}
	var err error
	if cfg.Secret != "" {
		if c.secrets, err = outbound.Secrets("BANYAN_CALL_SECRET", cfg.Secret); err != nil {
			return nil, campaign.Errorf(campaign.CodeInvalid, "%w", err)
		}
	}
	if c.allow, err = parseAllow(cfg.Allow); err != nil {
		return nil, err
	}
	c.client = c.transport(cmp.Or(cfg.Connections, DefaultConnections), cfg.Transport)
	return c, nil
}

// transport makes two pools: one whose every connection is judged by the address that is
// really dialled, and one for hosts that the setting names, whose address is the operator's
// business. A connection of the one never serves a request of the other.
func (c *Channel) transport(connections int, change func(*http.Transport)) http.RoundTripper {
	judged := outbound.Transport(c.allow.address, connectTimeout, connections)
	named := outbound.Transport(nil, connectTimeout, connections)
	if change != nil {
		change(judged)
		change(named)
	}
	return pools{judged, named}
}

type pools struct{ judged, named *http.Transport }

// RoundTrip implements http.RoundTripper.
func (p pools) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Context().Value(trustedKey{}) != nil {
		return p.named.RoundTrip(r)
	}
	return p.judged.RoundTrip(r)
}

type trustedKey struct{}

func trusted(ctx context.Context) context.Context { return context.WithValue(ctx, trustedKey{}, true) }

// allowed is what the setting permits besides public addresses by https.
type allowed struct {
	hosts    []string // host, or host:port, in lower case
	networks []netip.Prefix
}

// parseAllow reads BANYAN_CALL_ALLOW.
func parseAllow(list string) (a allowed, err error) {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.ToLower(strings.TrimSpace(item)); item == "" {
			continue
		}
		if prefix, err := netip.ParsePrefix(item); err == nil {
			a.networks = append(a.networks, prefix.Masked())
			continue
		}
		if strings.ContainsAny(item, "/@?#* ") {
			return allowed{}, wrongAllow(item)
		}
		u, err := url.Parse("http://" + item)
		if addr, bare := netip.ParseAddr(item); bare == nil && addr.Is6() {
			u, err = url.Parse("http://" + net.JoinHostPort(item, ""))
		}
		if err != nil || u.Hostname() == "" {
			return allowed{}, wrongAllow(item)
		}
		host := strings.Trim(u.Hostname(), ".")
		if u.Port() != "" {
			host = net.JoinHostPort(host, u.Port())
		}
		a.hosts = append(a.hosts, host)
	}
	return a, nil
}

func wrongAllow(item string) error {
	return campaign.Errorf(campaign.CodeInvalid,
		"%s", fmt.Sprintf("BANYAN_CALL_ALLOW holds %q; write hosts such as crm.internal or crm.internal:8443, and networks such as 10.1.0.0/16, separated by commas", item))
}

// host reports whether the setting names the host of an address, with its port or with any.
func (a allowed) host(u *url.URL) bool {
	name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if addr, err := netip.ParseAddr(name); err == nil && a.network(addr) {
		return true
	}
	return slices.Contains(a.hosts, name) || slices.Contains(a.hosts, net.JoinHostPort(name, port))
}

// address reports whether an address may be dialled: a public one, or one of the networks.
func (a allowed) address(addr netip.Addr) bool {
	return outbound.Public(addr) || a.network(addr)
}

func (a allowed) network(addr netip.Addr) bool {
	plain := outbound.Plain(addr)
	return slices.ContainsFunc(a.networks, func(p netip.Prefix) bool { return p.Contains(plain) })
}
