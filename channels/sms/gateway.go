package sms

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/outbound"
)

// GatewayText is the JSON body of a request to a gateway. It is the same, byte for byte,
// over all attempts.
type GatewayText struct {
	Key        string               `json:"key"`
	Phone      string               `json:"phone"` // E.164
	Text       string               `json:"text"`  // without the signature
	Sign       string               `json:"sign,omitempty"`
	Kind       campaign.MessageKind `json:"kind"`
	Parts      int                  `json:"parts"`
	Template   string               `json:"template,omitempty"`
	Parameters []string             `json:"parameters,omitempty"`
}

// gatewayCheck is the body of a request that sends nothing.
type gatewayCheck struct {
	Check bool `json:"check"`
}

// gateway hands texts to a service that a company runs.
type gateway struct {
	target  *url.URL // without userinfo
	user    *url.Userinfo
	secrets []string
	client  http.RoundTripper
	now     func() time.Time
}

func newGateway(cfg Config) (*gateway, error) {
	invalid := func(text string) (*gateway, error) {
		return nil, campaign.Errorf(campaign.CodeInvalid, "%s", text)
	}
	target, err := url.Parse(cfg.URL)
	switch {
	case err != nil || target.Hostname() == "" || target.Scheme != "http" && target.Scheme != "https":
		return invalid("BANYAN_SMS_URL is not a URL such as https://sms.example.com/banyan")
	case target.Fragment != "":
		return invalid("BANYAN_SMS_URL has a part after #, which is never sent")
	case !cfg.AllowPrivate && literallyPrivate(target.Hostname()):
		return invalid("BANYAN_SMS_URL names a private address; set BANYAN_SMS_ALLOW_PRIVATE=true if the gateway is in-house")
	}
	secrets, err := outbound.Secrets("BANYAN_SMS_SECRET", cfg.Secret)
	if err != nil {
		return invalid(err.Error())
	}
	allowed := outbound.Public
	if cfg.AllowPrivate {
		allowed = nil
	}
	user := target.User
	target.User = nil
	return &gateway{
		target: target, user: user, secrets: secrets, now: time.Now,
		client: outbound.Transport(allowed, cmp.Or(cfg.Timeout, DefaultTimeout), maxConnections),
	}, nil
}

func literallyPrivate(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && !outbound.Public(addr)
}

// Idempotent is true: the gateway gets our key and is told by the documentation to take it
// once.
func (g *gateway) Idempotent() bool { return true }

// Send makes one request.
func (g *gateway) Send(ctx context.Context, m *SMS) (id string, f *channels.Failure) {
	return g.post(ctx, m.Key, m.Attempt, GatewayText{
		Key: m.Key, Phone: m.Number, Text: m.Text, Sign: m.Sign, Kind: m.Kind, Parts: m.Parts, Template: m.Template, Parameters: m.Parameters,
	})
}

// Check makes a request that sends nothing.
func (g *gateway) Check(ctx context.Context, _ []Template) error {
	_, f := g.post(ctx, "", 0, gatewayCheck{true})
	if f == nil {
		return nil
	}
	what := "the SMS gateway cannot be used (" + f.Reason + "): "
	switch f.Reason {
	case "http_401":
		what += "it does not believe our signature; is BANYAN_SMS_SECRET its secret, and this machine's clock right?"
	case "http_400", "http_404", "http_405", "http_422":
		what += `it does not answer {"check":true} with a 2xx, or BANYAN_SMS_URL leads elsewhere`
	case outbound.ReasonPrivate:
		what += "its address is a private one; set BANYAN_SMS_ALLOW_PRIVATE=true if it is in-house"
	case "dns", "connection_refused", "network", "unreachable", channels.ReasonTimeout:
		what += "it cannot be reached; is BANYAN_SMS_URL right, and does a firewall let this machine connect to it?"
	case "tls":
		what += "its certificate is not valid for this name, or nobody here trusts who signed it"
	default:
		what += "look into its log"
	}
	return campaign.Errorf(campaign.CodeInvalid, "%s", what)
}

// post makes one request.
func (g *gateway) post(ctx context.Context, key string, attempt int, request any) (id string, f *channels.Failure) {
	body, err := outbound.JSON(request)
	if err != nil {
		return "", channels.Refuse(channels.ReasonInvalidMessage, nil)
	}
	var way outbound.Progress
	signed := outbound.Post{Body: body, Key: key, Attempt: attempt, User: g.user, Secrets: g.secrets, At: g.now()}
	req, err := signed.Request(way.Watch(ctx), g.target)
	if err != nil {
		return "", channels.Misconfigured("url", nil)
	}
	resp, err := g.client.RoundTrip(req)
	if err != nil {
		return "", way.Failure(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // what we want of it is read by then
	id, f = g.outcome(resp)
	if f != nil && way.Repeated() { // an earlier request of this delivery may have been taken
		doubt := channels.Unknown(f.Reason, nil)
		doubt.RetryAfter = f.RetryAfter
		return "", doubt
	}
	return id, f
}

// outcome judges an answer by its status. Of a refusal the gateway may say what it means for
// the number.
func (g *gateway) outcome(resp *http.Response) (id string, f *channels.Failure) {
	var says struct {
		ID    json.RawMessage        `json:"id"`
		State campaign.IdentityState `json:"state"`
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, outbound.MaxAnswer+1))
	if err == nil && len(text) <= outbound.MaxAnswer {
		_ = json.Unmarshal(text, &says) // the status stands without it
	}
	reason := "http_" + strconv.Itoa(resp.StatusCode)
	switch status := resp.StatusCode; {
	case status >= 200 && status < 300:
		return identifier(says.ID), nil
	case outbound.WorthRetry(status):
		return "", channels.TryAgain(reason, outbound.RetryAfter(resp.Header.Get("Retry-After"), g.now()), nil)
	case status == http.StatusUnauthorized, status < 400: // wrong for everybody: a secret, or a redirect
		return "", channels.Misconfigured(reason, nil)
	}
	f = channels.Refuse(reason, nil)
	if says.State == campaign.IdentityOptedOut || says.State == campaign.IdentityUnreachable {
		f.Marks = says.State
	}
	return "", f
}

// identifier reads an id that is a text or a number.
func identifier(raw json.RawMessage) (id string) {
	var number json.Number
	if json.Unmarshal(raw, &id) != nil && json.Unmarshal(raw, &number) == nil {
		id = number.String()
	}
	return id
}
