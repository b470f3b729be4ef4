// Package webhook is the channel that hands a message to a receiver of your own over
// HTTP: a signed POST with an idempotency key. Receivers written in Go use Payload and
// Verify; docs/channels/webhook.md shows the same for other languages.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/outbound"
)

// Name is the channel's name in `via`.
const Name = "webhook"

// Headers of a request, beside Content-Type.
const (
	// KeyHeader carries the effect key.
	KeyHeader = outbound.KeyHeader
	// AttemptHeader carries the number of the attempt.
	AttemptHeader = outbound.AttemptHeader
	// IDHeader is where a receiver may put its own id of the message in an answer, if
	// it does not answer with JSON.
	IDHeader = "Banyan-Message-Id"
)

// Payload is the JSON body of a request.
type Payload struct {
	Key      string               `json:"key"`
	Campaign string               `json:"campaign"`
	Journey  string               `json:"journey"`
	Message  string               `json:"message"`
	Member   string               `json:"member"`
	Body     string               `json:"body"`
	Kind     campaign.MessageKind `json:"kind"`
	At       time.Time            `json:"at"`
}

// Channel posts messages to one URL.
type Channel struct {
	target  *url.URL // without userinfo
	user    *url.Userinfo
	secrets []string
	timeout time.Duration
	client  http.RoundTripper
	now     func() time.Time
}

// Name gives "webhook".
func (c *Channel) Name() string { return Name }

// Idempotent is true: the receiver gets our key and is told by the documentation to
// take it once.
func (c *Channel) Idempotent() bool { return true }

// String keeps a Channel that somebody prints from showing its secrets.
func (c *Channel) String() string { return Name }

// Deliver posts the message and follows at most MaxRedirects within its receiver.
func (c *Channel) Deliver(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if err := channels.Ready(ctx, m, c.now()); err != nil {
		return channels.Receipt{}, err
	}
	body, err := encode(m)
	if err != nil {
		return channels.Receipt{}, channels.Refuse(channels.ReasonInvalidMessage, nil)
	}
	ctx, cancel := channels.WithDeadline(ctx, m)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, c.timeout)
	defer cancelTimeout()

	target, doubt := c.target, false
	for hops := 0; ; hops++ {
		a, failure := c.post(ctx, target, m, body)
		if failure != nil {
			return channels.Receipt{}, inDoubt(failure, doubt)
		}
		doubt = doubt || a.repeated
		if !a.redirects() {
			receipt, err := a.outcome(c.now())
			return receipt, inDoubt(err, doubt)
		}
		if target, failure = follow(target, a, hops); failure != nil {
			return channels.Receipt{}, inDoubt(failure, doubt)
		}
	}
}

// inDoubt turns a failure that says "not delivered" into one that does not know, where an
// earlier request of the same delivery lost its answer: that one may have been taken.
func inDoubt(err error, doubt bool) error {
	if err == nil || !doubt {
		return err
	}
	f := channels.AsFailure(err)
	unknown := channels.Unknown(f.Reason, f)
	unknown.RetryAfter = f.RetryAfter
	return unknown
}

// post makes one request. It uses the transport without http.Client, which would turn a
// POST into a GET on some redirects and quote addresses in its errors.
func (c *Channel) post(ctx context.Context, to *url.URL, m channels.Message, body []byte) (answer, *channels.Failure) {
	var way outbound.Progress
	req, err := http.NewRequestWithContext(way.Watch(ctx), http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, channels.Misconfigured("url", nil)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Banyan")
	// With this header net/http repeats the request by itself when a kept connection
	// turns out to be dead. That is what the key is for: the receiver takes it once.
	req.Header.Set(KeyHeader, HeaderKey(m.Key))
	req.Header.Set(SignatureHeader, Sign(body, c.now(), c.secrets...))
	if m.Attempt > 0 {
		req.Header.Set(AttemptHeader, strconv.Itoa(m.Attempt))
	}
	if c.user != nil {
		password, _ := c.user.Password()
		req.SetBasicAuth(c.user.Username(), password)
	}
	resp, err := c.client.RoundTrip(req)
	if err != nil {
		return answer{}, way.Failure(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // what we want of it is read by then
	a := read(resp)
	a.repeated = way.Repeated()
	return a, nil
}

// encode writes the body. It depends on the message alone, so that a receiver may
// compare what it gets under one key.
func encode(m channels.Message) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(Payload{
		Key: m.Key, Campaign: m.Campaign, Journey: m.Journey, Message: m.Name, Member: m.Member,
		Body: m.Body, Kind: m.Kind, At: m.At,
	})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
