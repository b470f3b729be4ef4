package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// api speaks to whichever API answers, as a shop with two addresses does.
type api struct {
	urls []string
	http *http.Client
}

// refusal is an answer that is no success.
type refusal struct {
	status int
	body   string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.body) }

// final reports whether trying again is of no use.
func (r *refusal) final() bool {
	return r.status < http.StatusInternalServerError && r.status != http.StatusTooManyRequests
}

// callLimit is how long one call may take: longer than anything that Banyan waits for.
const callLimit = 15 * time.Second

func newAPI(urls []string) *api {
	return &api{urls: urls, http: &http.Client{Timeout: callLimit, Transport: &http.Transport{MaxIdleConnsPerHost: senders}}}
}

// call makes one call to one of the APIs.
func (a *api) call(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	url := a.urls[rand.IntN(len(a.urls))] + path
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+adminKey)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := a.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return &refusal{response.StatusCode, string(text)}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// insist calls again and again until the call is answered with a success or a final no.
func (a *api) insist(ctx context.Context, method, path, contentType string, body []byte, out any) (tries int, err error) {
	for tries = 1; ; tries++ {
		err = a.call(ctx, method, path, contentType, body, out)
		if no, ok := err.(*refusal); err == nil || ok && no.final() { //nolint:errorlint // call returns it bare
			return tries, err
		}
		if err := rest(ctx, 100*time.Millisecond); err != nil {
			return tries, err
		}
	}
}
