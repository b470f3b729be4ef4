// Package webhook is the channel that hands a message to a receiver of your own over
// HTTP: a signed POST with an idempotency key. Receivers written in Go use Payload and
// Verify; docs/channels/webhook.md shows the same for other languages.
package webhook

import (
	"context"
	"net/http"
	"net/url"
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

// post makes one request.
func (c *Channel) post(ctx context.Context, to *url.URL, m channels.Message, body []byte) (answer, *channels.Failure) {
	var way outbound.Progress
	signed := outbound.Post{Body: body, Key: m.Key, Attempt: m.Attempt, User: c.user, Secrets: c.secrets, At: c.now()}
	req, err := signed.Request(way.Watch(ctx), to)
	if err != nil {
		return answer{}, channels.Misconfigured("url", nil)
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

// encode writes the body.
func encode(m channels.Message) ([]byte, error) {
	return outbound.JSON(Payload{
		Key: m.Key, Campaign: m.Campaign, Journey: m.Journey, Message: m.Name, Member: m.Member,
		Body: m.Body, Kind: m.Kind, At: m.At,
	})
}
