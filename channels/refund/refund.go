// Package refund asks a shop to pay an order back: a signed POST under the order's own key to
// the one address that the installation configures. To the engine it is a channel like
// others, which no `via` can name.
//
// docs/channels/refund.md says what a shop receives and must promise.
package refund

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/outbound"
)

// Name is the channel's name among the others.
const Name = campaign.ChannelRefund

const (
	// DefaultTimeout bounds one request. A shop that asks its payment provider first needs
	// longer than a receiver of messages.
	DefaultTimeout = 10 * time.Second
	// DefaultConnections bounds open connections to the shop from one process.
	DefaultConnections = 16
	maxID              = 200 // of the shop's own id of a refund
)

// ReasonNoShop says that no shop is configured.
const ReasonNoShop = "no_shop"

// Payload is the JSON body of a request.
type Payload struct {
	Key      string                `json:"key"`
	Campaign string                `json:"campaign"`
	Journey  string                `json:"journey"`
	Step     string                `json:"step"`
	Member   string                `json:"member"`
	Offer    string                `json:"offer"`
	Order    string                `json:"order"`
	Team     string                `json:"team"`
	Amount   campaign.Money        `json:"amount"`
	Reason   campaign.RefundReason `json:"reason"`
	At       time.Time             `json:"at"`
}

// Config is the channel's section.
type Config struct {
	// URL of the shop's endpoint for refunds. Without one no request is made, and each waits
	// until one is set.
	URL string
	// Secret signs requests; several, separated by commas, sign side by side.
	Secret string
	// AllowPrivate permits a shop in a private network or on this machine.
	AllowPrivate bool
	// Timeout bounds one request; zero is DefaultTimeout.
	Timeout time.Duration
}

// String shows where requests go and nothing secret.
func (c Config) String() string {
	if u, err := url.Parse(c.URL); err == nil && u.Host != "" {
		return fmt.Sprintf("refunds to %s://%s", u.Scheme, u.Host)
	}
	return "refunds without a shop"
}

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Channel asks one shop. It is safe for concurrent use.
type Channel struct {
	target  *url.URL // nil: none is configured
	secrets []string
	timeout time.Duration
	client  http.RoundTripper
	now     func() time.Time
}

// New checks the configuration and makes the channel. It touches no network. Errors name the
// setting and never quote it.
func New(cfg Config) (*Channel, error) {
	invalid := func(text string) (*Channel, error) { return nil, campaign.Errorf(campaign.CodeInvalid, "%s", text) }
	c := &Channel{timeout: cmp.Or(cfg.Timeout, DefaultTimeout), now: time.Now}
	if cfg.URL == "" {
		return c, nil
	}
	target, err := url.Parse(cfg.URL)
	switch {
	case err != nil || target.Hostname() == "" || (target.Scheme != "http" && target.Scheme != "https"):
		return invalid("BANYAN_REFUND_URL is not a URL such as https://shop.example.com/refunds")
	case target.User != nil:
		return invalid("BANYAN_REFUND_URL holds a user or a password; requests are signed with BANYAN_REFUND_SECRET instead")
	case target.Fragment != "":
		return invalid("BANYAN_REFUND_URL has a part after #, which is never sent")
	case !cfg.AllowPrivate && literallyPrivate(target.Hostname()):
		return invalid("BANYAN_REFUND_URL names a private address; set BANYAN_REFUND_ALLOW_PRIVATE=true if the shop is in-house")
	case !cfg.AllowPrivate && target.Scheme != "https":
		return invalid("BANYAN_REFUND_URL is not https: it is about money")
	}
	if c.secrets, err = outbound.Secrets("BANYAN_REFUND_SECRET", cfg.Secret); err != nil {
		return invalid(err.Error())
	}
	allowed := outbound.Public
	if cfg.AllowPrivate {
		allowed = nil
	}
	c.target, c.client = target, outbound.Transport(allowed, c.timeout, DefaultConnections)
	return c, nil
}

func literallyPrivate(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && !outbound.Public(addr)
}

// Name gives "refund".
func (c *Channel) Name() string { return Name }

// Idempotent is true: the shop gets the order's own key and is told by the documentation to
// pay back once for it.
func (c *Channel) Idempotent() bool { return true }

// String keeps a Channel that somebody prints from showing its secrets.
func (c *Channel) String() string { return Name }

// Deliver makes one request. The receipt holds the shop's own id of the refund, where it
// answers one.
func (c *Channel) Deliver(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if err := channels.Ready(ctx, m, c.now()); err != nil {
		return channels.Receipt{}, err
	}
	var request campaign.RefundRequest
	if err := json.Unmarshal([]byte(m.Body), &request); err != nil || request.Order == "" {
		return channels.Receipt{}, channels.Refuse(channels.ReasonInvalidMessage, nil)
	}
	if c.target == nil {
		return channels.Receipt{}, channels.Misconfigured(ReasonNoShop, nil)
	}
	body, err := encode(m, &request)
	if err != nil {
		return channels.Receipt{}, channels.Refuse(channels.ReasonInvalidMessage, nil)
	}
	ctx, cancel := channels.WithDeadline(ctx, m)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, c.timeout)
	defer cancelTimeout()
	return c.post(ctx, m, body)
}

// post makes one request. It uses the transport without http.Client, so that no redirect is
// followed and no address quoted in an error.
func (c *Channel) post(ctx context.Context, m channels.Message, body []byte) (channels.Receipt, error) {
	var way outbound.Progress
	req, err := http.NewRequestWithContext(way.Watch(ctx), http.MethodPost, c.target.String(), bytes.NewReader(body))
	if err != nil {
		return channels.Receipt{}, channels.Misconfigured("url", nil)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Banyan")
	req.Header.Set(outbound.KeyHeader, outbound.HeaderKey(m.Key))
	req.Header.Set(outbound.SignatureHeader, outbound.Sign(body, c.now(), c.secrets...))
	if m.Attempt > 0 {
		req.Header.Set(outbound.AttemptHeader, strconv.Itoa(m.Attempt))
	}
	resp, err := c.client.RoundTrip(req)
	if err != nil {
		return channels.Receipt{}, way.Failure(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // what we want of it is read by then
	reason := "http_" + strconv.Itoa(resp.StatusCode)
	var failure *channels.Failure
	switch status := resp.StatusCode; {
	case status >= 200 && status < 300:
		return channels.Receipt{ProviderID: providerID(resp.Body)}, nil
	case outbound.WorthRetry(status):
		failure = channels.TryAgain(reason, outbound.RetryAfter(resp.Header.Get("Retry-After"), c.now()), nil)
	case status == http.StatusUnauthorized, status >= 300 && status < 400, status < 200:
		// Secret or address are wrong, and so they are for every refund: they wait until
		// somebody has mended the setting.
		failure = channels.Misconfigured(reason, nil)
	default:
		failure = channels.Refuse(reason, nil)
	}
	if way.Repeated() { // the answer to the first of two requests was lost
		unknown := channels.Unknown(failure.Reason, failure)
		unknown.RetryAfter = failure.RetryAfter
		failure = unknown
	}
	return channels.Receipt{}, failure
}

// providerID reads {"id": …}. What is no plain short text is left out: it would go to the
// database and to people's screens.
func providerID(body io.Reader) string {
	answer, err := io.ReadAll(io.LimitReader(body, outbound.MaxAnswer+1))
	var says struct {
		ID string `json:"id"`
	}
	odd := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	if err != nil || len(answer) > outbound.MaxAnswer || json.Unmarshal(answer, &says) != nil || len(says.ID) > maxID || strings.ContainsFunc(says.ID, odd) {
		return ""
	}
	return says.ID
}

// encode writes the body. It depends on the claim alone, so that a shop may compare what it
// gets under one key.
func encode(m channels.Message, r *campaign.RefundRequest) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(Payload{
		Key: m.Key, Campaign: m.Campaign, Journey: m.Journey, Step: r.Step, Member: m.Member, Offer: r.Offer, Order: r.Order, Team: r.Team,
		Amount: r.Amount, Reason: r.Reason, At: m.At,
	})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
