package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// client calls Banyan's HTTP API.
type client struct {
	base string
	key  string
	http *http.Client
}

// Content types of what the API takes.
const (
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"
	typeYAML   = "application/yaml"
)

// A write may be repeated, so what fails for a moment is tried again.
const (
	tries       = 5
	retryGap    = 200 * time.Millisecond
	callTimeout = 30 * time.Second
)

// refusedError is an answer that is not what was asked for.
type refusedError struct {
	status int
	detail string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("the API answered %d: %s", e.status, e.detail)
}

// refused reads an RFC 9457 problem, or whatever a proxy says.
func refused(status int, body []byte) error {
	var problem struct{ Detail string }
	if err := json.Unmarshal(body, &problem); err != nil || problem.Detail == "" {
		problem.Detail = string(body)
	}
	return &refusedError{status, problem.Detail}
}

func (e *refusedError) again() bool {
	return e.status == http.StatusTooManyRequests || e.status >= http.StatusInternalServerError
}

// call sends one request until it is answered, and decodes the answer into out.
func (c *client) call(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	gap := retryGap
	for try := 1; ; try++ {
		err := c.once(ctx, method, path, contentType, body, out)
		var answer *refusedError
		if err == nil || try == tries || ctx.Err() != nil || errors.As(err, &answer) && !answer.again() {
			if err != nil {
				return fmt.Errorf("%s %s: %w", method, path, err)
			}
			return nil
		}
		if err := pause(ctx, gap); err != nil {
			return err
		}
		gap *= 2
	}
}

func (c *client) once(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // read to its end
	answer, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode >= http.StatusMultipleChoices:
		return refused(response.StatusCode, answer)
	case out == nil:
		return nil
	}
	return json.Unmarshal(answer, out)
}

func (c *client) get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, "", nil, out)
}

func (c *client) post(ctx context.Context, path, contentType string, body []byte, out any) error {
	return c.call(ctx, http.MethodPost, path, contentType, body, out)
}

// report asks for the campaign's report.
func (c *client) report(ctx context.Context, campaign string) (*Report, error) {
	var r Report
	if err := c.get(ctx, "/v1/campaigns/"+url.PathEscape(campaign)+"/report", &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// pause waits, or answers why it need not.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
