package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/banyanhq/banyan/starter"
)

// Timeouts of a call, and bounds of its repetition: a call that the server could not
// take (429, 503, no connection) is repeated, because every call may be.
const (
	callTimeout = 2 * time.Minute
	callTries   = 5
	callWait    = 500 * time.Millisecond
	maxAnswer   = 64 << 20

	defaultServer = "http://" + defaultListen
)

// client speaks to the API.
type client struct {
	server *url.URL
	key    string
	http   *http.Client
	// repeats goes with a write that is not one and the same when it is repeated: the
	// Idempotency-Key by which the server knows it again; empty: none is needed.
	repeats string
}

func newClient(g *Globals) (*client, error) {
	address, err := g.setting(g.Server, "BANYAN_SERVER")
	if err != nil {
		return nil, err
	}
	// A variable that is set to nothing is one that is not set.
	server, err := url.Parse(strings.TrimSuffix(cmp.Or(address, defaultServer), "/"))
	if err != nil || server.Scheme != "http" && server.Scheme != "https" || server.Host == "" {
		return nil, usageError{fmt.Sprintf("--server %q is not a URL such as http://127.0.0.1:8080", address)}
	}
	key, err := g.setting(g.Key, "BANYAN_KEY")
	if err != nil {
		return nil, err
	}
	if key == "" {
		return nil, usageError{"give an API key: --key KEY, or BANYAN_KEY; `banyan keys create` makes one"}
	}
	return &client{server: server, key: key, http: &http.Client{Timeout: callTimeout}}, nil
}

// problemError is a refusal by the server.
type problemError struct{ starter.Problem }

func (p *problemError) Error() string {
	var b strings.Builder
	b.WriteString(p.Detail)
	for _, d := range p.Errors {
		b.WriteString("\n  ")
		if d.Path != "" {
			b.WriteString(d.Path + ": ")
		}
		b.WriteString(d.Message)
		if d.Hint != "" {
			b.WriteString(" (" + d.Hint + ")")
		}
	}
	return b.String()
}

// call makes one call, with patience. body may be nil; into may be nil.
func (c *client) call(ctx context.Context, method, path, contentType string, body []byte, into any) error {
	wait := callWait
	for try := 1; ; try++ {
		again, after, err := c.once(ctx, method, path, contentType, body, into)
		if !again || try == callTries {
			return err
		}
		timer := time.NewTimer(max(wait, after))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		wait *= 2
	}
}

func (c *client) once(ctx context.Context, method, path, contentType string, body []byte, into any) (again bool, after time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, method, c.server.String()+path, bytes.NewReader(body))
	if err != nil {
		return false, 0, err
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	request.Header.Set("User-Agent", "banyan/"+version)
	if c.repeats != "" && method != http.MethodGet {
		request.Header.Set("Idempotency-Key", c.repeats)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return ctx.Err() == nil, 0, fmt.Errorf("cannot reach the server at %s: %w", c.server.Redacted(), unwrapURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return true, 0, fmt.Errorf("the server broke off its answer: %w", err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		refusal := &problemError{starter.Problem{Status: response.StatusCode, Detail: response.Status}}
		_ = json.Unmarshal(answer, &refusal.Problem) // a proxy's page is no problem document: its status will do
		again = response.StatusCode == http.StatusTooManyRequests || response.StatusCode == http.StatusServiceUnavailable
		after, _ = time.ParseDuration(response.Header.Get("Retry-After") + "s")
		return again, after, refusal
	}
	if into == nil || len(answer) == 0 {
		return false, 0, nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return false, 0, fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	return false, 0, nil
}

// unwrapURL leaves out the URL, which may name a member.
func unwrapURL(err error) error {
	var broken *url.Error
	if errors.As(err, &broken) {
		return broken.Err
	}
	return err
}

// get and post are call for the usual.
func (c *client) get(ctx context.Context, path string, into any) error {
	return c.call(ctx, http.MethodGet, path, "", nil, into)
}

func (c *client) post(ctx context.Context, path string, body, into any) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return err
		}
	}
	return c.call(ctx, http.MethodPost, path, "application/json", data, into)
}

// campaignPath is the path of a campaign, or of something in it.
func campaignPath(name string, rest ...string) string {
	parts := []string{"/v1/campaigns", url.PathEscape(name)}
	for _, r := range rest {
		parts = append(parts, url.PathEscape(r))
	}
	return strings.Join(parts, "/")
}
