package webhook

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/outbound"
)

const (
	// MaxRetryAfter bounds what a receiver may ask for.
	MaxRetryAfter = outbound.MaxRetryAfter
	// MaxRedirects is one for a trailing slash, one for https and one to spare.
	MaxRedirects = 3

	maxAnswer     = outbound.MaxAnswer // of an answer's body we want one id; what is longer is not read
	maxProviderID = 200                // far above a UUID; it is stored with every message
)

// answer is what we keep of a response.
type answer struct {
	status int
	header http.Header
	body   []byte // nil when it was too long or broke off: the status stands without it
	// repeated is set when the request was sent more than once to get this answer.
	repeated bool
}

func read(resp *http.Response) answer {
	a := answer{status: resp.StatusCode, header: resp.Header}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) <= maxAnswer {
		a.body = body
	}
	return a
}

func (a answer) redirects() bool { return a.status >= 300 && a.status < 400 }

// outcome turns a final status into a receipt or a failure.
func (a answer) outcome(now time.Time) (channels.Receipt, error) {
	reason := "http_" + strconv.Itoa(a.status)
	switch {
	case a.status >= 200 && a.status < 300:
		return channels.Receipt{ProviderID: a.providerID()}, nil
	case outbound.WorthRetry(a.status):
		return channels.Receipt{}, channels.TryAgain(reason, outbound.RetryAfter(a.header.Get("Retry-After"), now), nil)
	case a.status == http.StatusUnauthorized:
		// Our secret or password is wrong, and so it is for everybody. To refuse would
		// throw away every message of the campaign while somebody mends one setting.
		return channels.Receipt{}, channels.Misconfigured(reason, nil)
	case a.status >= 400:
		return channels.Receipt{}, channels.Refuse(reason, nil)
	default: // a final 1xx, such as 101: the receiver is no web hook
		return channels.Receipt{}, channels.Misconfigured(reason, nil)
	}
}

// providerID reads {"id": …} or, failing that, the header. What is no plain short text
// is left out: it would go to the database and to people's screens.
func (a answer) providerID() string {
	var says struct {
		ID json.RawMessage `json:"id"`
	}
	var id string
	if json.Unmarshal(a.body, &says) == nil && len(says.ID) > 0 {
		if json.Unmarshal(says.ID, &id) != nil {
			var number json.Number
			if json.Unmarshal(says.ID, &number) == nil {
				id = number.String()
			}
		}
	}
	if id == "" {
		id = a.header.Get(IDHeader)
	}
	odd := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	if len(id) > maxProviderID || strings.ContainsFunc(id, odd) {
		return ""
	}
	return id
}

// follow finds where a redirect leads, or why we do not go there. Only 307 and 308 keep
// a POST a POST; after any other the receiver would get a GET without a message. Only
// the same origin is followed, or its change from http to https, so that signature,
// key and the member's message never reach a host that nobody configured.
func follow(from *url.URL, a answer, hops int) (*url.URL, *channels.Failure) {
	if a.status != http.StatusTemporaryRedirect && a.status != http.StatusPermanentRedirect {
		return nil, channels.Misconfigured(fmt.Sprintf("redirect_%d", a.status), nil)
	}
	if hops >= MaxRedirects {
		return nil, channels.Misconfigured("redirect_loop", nil)
	}
	location := a.header.Get("Location")
	to, err := from.Parse(location)
	if location == "" || err != nil {
		return nil, channels.Misconfigured("redirect_location", nil)
	}
	to.User, to.Fragment = nil, ""
	upgrade := from.Scheme == "http" && to.Scheme == "https" && port(from) == "80" && port(to) == "443"
	same := from.Scheme == to.Scheme && port(from) == port(to)
	if sameHost := strings.EqualFold(from.Hostname(), to.Hostname()); !sameHost || (!same && !upgrade) {
		return nil, channels.Misconfigured("redirect_host", nil)
	}
	return to, nil
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}
