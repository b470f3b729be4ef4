package outbound

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// JSON writes a body. Its bytes depend on the value alone, so that a receiver may compare
// what it gets under one key, and texts stand in it as they are.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Post is a signed request of ours.
type Post struct {
	Body    []byte
	Key     string // of the effect; empty: it has none
	Attempt int    // from 1; zero: it is not counted
	User    *url.Userinfo
	Secrets []string
	At      time.Time // of the signature
}

// Request makes the request. It is for a transport without http.Client, which would turn a
// POST into a GET on some redirects and quote addresses in its errors.
func (p *Post) Request(ctx context.Context, to *url.URL) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(p.Body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Banyan")
	req.Header.Set(SignatureHeader, Sign(p.Body, p.At, p.Secrets...))
	if p.Key != "" {
		// With this header net/http repeats the request by itself when a kept connection
		// turns out to be dead. That is what the key is for: the receiver takes it once.
		req.Header.Set(KeyHeader, HeaderKey(p.Key))
	}
	if p.Attempt > 0 {
		req.Header.Set(AttemptHeader, strconv.Itoa(p.Attempt))
	}
	if p.User != nil {
		password, _ := p.User.Password()
		req.SetBasicAuth(p.User.Username(), password)
	}
	return req, nil
}
