// Package call calls outside services on behalf of journeys: a signed POST with an
// idempotency key, to an address that is public or allowed, whose typed answer comes back.
// To the engine it is a channel like others, which no `via` can name.
//
// docs/channels/call.md says what a service receives and must promise.
package call

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/outbound"
)

// Name is the channel's name among the others.
const Name = campaign.ChannelCall

// Reasons of this channel, beside those of every channel and http_404 and the like.
const (
	ReasonNoSecret = "no_secret" // nothing to sign with is configured
	ReasonHTTP     = "http_not_allowed"
	ReasonTooLong  = "answer_too_long"
	ReasonURL      = "url"
)

// Payload is the JSON body of a request.
type Payload struct {
	Key      string          `json:"key"`
	Campaign string          `json:"campaign"`
	Journey  string          `json:"journey"`
	Step     string          `json:"step"`
	Call     string          `json:"call"` // what the answer is saved as, else the host
	Member   string          `json:"member"`
	Body     json.RawMessage `json:"body"`
	At       time.Time       `json:"at"`
}

// Channel makes calls. It is safe for concurrent use.
type Channel struct {
	secrets  []string
	allow    allowed
	client   http.RoundTripper
	breakers breakers
	now      func() time.Time
}

// Name gives "call".
func (c *Channel) Name() string { return Name }

// Idempotent is true: the service gets our key and is told by the documentation to do it
// once.
func (c *Channel) Idempotent() bool { return true }

// String keeps a Channel that somebody prints from showing its secrets.
func (c *Channel) String() string { return Name }

// Deliver makes one call, once. The receipt holds what was answered.
func (c *Channel) Deliver(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if err := channels.Ready(ctx, m, c.now()); err != nil {
		return channels.Receipt{}, err
	}
	var request campaign.CallRequest
	if err := json.Unmarshal([]byte(m.Body), &request); err != nil {
		return channels.Receipt{}, channels.Refuse(channels.ReasonInvalidMessage, nil)
	}
	target, err := url.Parse(request.URL)
	switch {
	case err != nil || target.Hostname() == "" || target.User != nil || target.Scheme != "https" && target.Scheme != "http":
		return channels.Receipt{}, channels.Refuse(ReasonURL, nil)
	case target.Scheme == "http" && !c.allow.host(target):
		return channels.Receipt{}, channels.Refuse(ReasonHTTP, nil)
	case len(c.secrets) == 0:
		return channels.Receipt{}, channels.Misconfigured(ReasonNoSecret, nil)
	}
	body, err := encode(m, &request)
	if err != nil {
		return channels.Receipt{}, channels.Refuse(channels.ReasonInvalidMessage, nil)
	}
	breaker := c.breakers.of(target.Host)
	if wait, open := breaker.enter(c.now()); open {
		return channels.Receipt{}, channels.TryAgain(channels.ReasonCircuitOpen, wait, nil)
	}
	ctx, cancel := channels.WithDeadline(ctx, m)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, min(max(request.Timeout, time.Millisecond), campaign.MaxCallTimeout))
	defer cancelTimeout()
	returned, failure := c.post(ctx, target, m, &request, body)
	breaker.leave(c.now(), verdict(failure))
	if failure != nil {
		return channels.Receipt{}, failure
	}
	return channels.Receipt{Returned: returned}, nil
}

// verdict is what an attempt says of the service's health: one that answers, be it with a
// refusal, is well; what ends before anybody could answer says nothing.
func verdict(f *channels.Failure) health {
	switch {
	case f == nil, f.Class == channels.ClassRefused && f.Reason != channels.ReasonDeadline && f.Reason != outbound.ReasonPrivate:
		return well
	case f.Reason == channels.ReasonCanceled, f.Reason == channels.ReasonDeadline, f.Reason == outbound.ReasonPrivate:
		return unsaid
	case f.Reason == "http_"+strconv.Itoa(http.StatusTooManyRequests):
		return unsaid // it is well and busy, and says by itself when to come again
	}
	return ill
}

// post makes one request.
func (c *Channel) post(ctx context.Context, to *url.URL, m channels.Message, request *campaign.CallRequest, body []byte) (map[string]json.RawMessage, *channels.Failure) {
	var way outbound.Progress
	signed := outbound.Post{Body: body, Key: m.Key, Attempt: m.Attempt, Secrets: c.secrets, At: c.now()}
	req, err := signed.Request(way.Watch(ctx), to)
	if err != nil {
		return nil, channels.Refuse(ReasonURL, nil)
	}
	if c.allow.host(to) {
		req = req.WithContext(trusted(req.Context()))
	}
	resp, err := c.client.RoundTrip(req)
	if err != nil {
		f := way.Failure(ctx, err)
		if f.Reason == outbound.ReasonPrivate {
			// The address stands in the campaign. It does not become a public one by waiting.
			return nil, channels.Refuse(f.Reason, f.Err)
		}
		return nil, f
	}
	defer func() { _ = resp.Body.Close() }() // what we want of it is read by then
	return c.outcome(ctx, &way, resp, request)
}

// outcome turns a response into what was returned, or into a failure.
func (c *Channel) outcome(ctx context.Context, way *outbound.Progress, resp *http.Response, request *campaign.CallRequest) (map[string]json.RawMessage, *channels.Failure) {
	reason := "http_" + strconv.Itoa(resp.StatusCode)
	switch status := resp.StatusCode; {
	case status >= 200 && status < 300:
	case outbound.WorthRetry(status):
		// A gateway may answer so for a service that did do it, and so may a service for
		// the first of two requests under one key. It is asked again under that key.
		return nil, inDoubt(channels.TryAgain(reason, outbound.RetryAfter(resp.Header.Get("Retry-After"), c.now()), nil), way)
	case status >= 300 && status < 400:
		return nil, channels.Refuse("redirect_"+strconv.Itoa(status), nil)
	default:
		return nil, channels.Refuse(reason, nil)
	}
	if len(request.Returns) == 0 {
		return nil, nil
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, campaign.MaxCallBody+1))
	if err != nil {
		return nil, way.Failure(ctx, err)
	}
	if len(answer) > campaign.MaxCallBody {
		return nil, channels.Refuse(ReasonTooLong, nil)
	}
	returned, err := request.ReadAnswer(answer)
	if err != nil && ctx.Err() != nil {
		// The connection was being closed because the time is over, which a service may take
		// for a reason to end its answer in good order, half of it or not.
		return nil, way.Failure(ctx, ctx.Err())
	}
	if err != nil {
		return nil, channels.Refuse(campaign.ReasonUnfit, err)
	}
	return returned, nil
}

// inDoubt turns "not done" into "not known" where an earlier request of the same attempt
// lost its answer.
func inDoubt(f *channels.Failure, way *outbound.Progress) *channels.Failure {
	if !way.Repeated() {
		return f
	}
	unknown := channels.Unknown(f.Reason, f)
	unknown.RetryAfter = f.RetryAfter
	return unknown
}

// encode writes the body. It depends on the claim alone, so that a service may compare what
// it gets under one key.
func encode(m channels.Message, request *campaign.CallRequest) ([]byte, error) {
	return outbound.JSON(Payload{
		Key: m.Key, Campaign: m.Campaign, Journey: m.Journey, Step: request.Step, Call: m.Name, Member: m.Member, Body: request.Body, At: m.At,
	})
}
