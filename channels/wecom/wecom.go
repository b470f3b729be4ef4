// Package wecom speaks the API of WeCom (企业微信) for the channels below it: it holds the
// token, bounds how many calls are made at once, and says what an answer means.
package wecom

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/outbound"
)

const (
	// DefaultURL is where WeCom's API is.
	DefaultURL = "https://qyapi.weixin.qq.com"
	// DefaultTimeout bounds one call, and getting a token for it.
	DefaultTimeout = 5 * time.Second
	// Parallel is how many calls of one API are made at once: the vendor's staff name five
	// as the most for many of them, and answer 45033 above.
	Parallel = 4
	// early is how long before its end a token is asked for anew.
	early = 5 * time.Minute

	maxAnswer = 64 << 10
	noCode    = -2 // no platform has it
)

// Token is an access token.
type Token struct {
	Text    string
	Expires time.Time
}

// Tokens keeps the token of an account for all workers.
type Tokens interface {
	// Token gives the account's token. Where there is none, where it ends soon, or where it
	// is the one that the platform has just refused, fetch is called by one of all who ask,
	// in all processes, and the others get what it got.
	Token(ctx context.Context, account, refused string, fetch func(context.Context) (Token, error)) (Token, error)
}

// Soon reports whether a token must be asked for anew at the moment now.
func (t Token) Soon(now time.Time) bool { return t.Text == "" || !now.Before(t.Expires.Add(-early)) }

// Memory keeps tokens of one process. The zero value is ready.
type Memory struct {
	mu     sync.Mutex
	tokens map[string]Token
}

// Token implements Tokens.
func (m *Memory) Token(ctx context.Context, account, refused string, fetch func(context.Context) (Token, error)) (Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.tokens[account]; !t.Soon(time.Now()) && t.Text != refused {
		return t, nil
	}
	t, err := fetch(ctx)
	if err != nil {
		return Token{}, err
	}
	if m.tokens == nil {
		m.tokens = map[string]Token{}
	}
	m.tokens[account] = t
	return t, nil
}

// Account is one app of one company.
type Account struct {
	URL    string // DefaultURL unless set
	Corp   string // the company's id (企业ID)
	Secret string // of the app
	// Timeout bounds one call; zero is DefaultTimeout.
	Timeout time.Duration
	Tokens  Tokens // nil: this process's own
}

// String shows the company and nothing secret.
func (a Account) String() string { return "wecom " + a.Corp }

// GoString is String, for %#v.
func (a Account) GoString() string { return a.String() }

// LogValue is String, for slog.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.String()) }

// Dialect is what an account of one of the vendor's platforms has of its own; the rest of
// their APIs is alike.
type Dialect struct {
	URL     string        // where the API is
	Setting string        // the setting that URL comes from
	Name    string        // of the account among tokens
	Timeout time.Duration // of one call; zero is DefaultTimeout
	Tokens  Tokens        // nil: this process's own
	// Grant is the call that gives a token. It holds the account's secret.
	Grant func() Grant
	// Judge says what a code means where it is not as WeCom has it; ok is false for others.
	// Nil: all of them are as WeCom has them.
	Judge func(code int) (f *channels.Failure, ok bool)
}

// Grant is a call for a token.
type Grant struct {
	Method, Path string
	Query        url.Values
	Body         []byte
}

// Client calls the API for one account. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	corp    string
	dialect Dialect
	http    *http.Transport
	timeout time.Duration
	slots   *slots

	mu      sync.Mutex
	blocked map[string]block // by API
}

// NewClient checks the account. It touches no network. Errors name the settings and never
// quote a secret.
func NewClient(a Account, app string) (*Client, error) {
	switch {
	case a.Corp == "" || strings.ContainsAny(a.Corp, " \t\n"):
		return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_WECOM_CORP is the company's id (企业ID), such as ww0123456789abcdef")
	case a.Secret == "":
		return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_WECOM_SECRET is the secret of the app, from its page in the administration (应用管理)")
	}
	c, err := Speak(Dialect{
		URL: cmp.Or(a.URL, DefaultURL), Setting: "BANYAN_WECOM_URL", Name: "wecom/" + a.Corp + "/" + app, Timeout: a.Timeout, Tokens: a.Tokens,
		Grant: func() Grant {
			return Grant{Method: http.MethodGet, Path: "/cgi-bin/gettoken", Query: url.Values{"corpid": {a.Corp}, "corpsecret": {a.Secret}}}
		},
	})
	if err == nil {
		c.corp = a.Corp
	}
	return c, err
}

// Speak makes a client of a dialect. It touches no network. Errors name the setting and
// never quote it.
func Speak(d Dialect) (*Client, error) {
	base, err := url.Parse(d.URL)
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") || base.User != nil || base.RawQuery != "" {
		return nil, campaign.Errorf(campaign.CodeInvalid, "%s is not a URL such as %s", d.Setting, DefaultURL)
	}
	if d.Tokens == nil {
		d.Tokens = new(Memory)
	}
	timeout := cmp.Or(d.Timeout, DefaultTimeout)
	return &Client{
		base: base, dialect: d, timeout: timeout, slots: newSlots(Parallel), blocked: map[string]block{},
		http: &http.Transport{
			DialContext: (&net.Dialer{Timeout: timeout}).DialContext, TLSHandshakeTimeout: timeout, MaxIdleConnsPerHost: 2 * Parallel,
			IdleConnTimeout: 30 * time.Second, Proxy: http.ProxyFromEnvironment,
		},
	}, nil
}

// Corp is the company's id; empty for an account of another platform.
func (c *Client) Corp() string { return c.corp }

// status is the part of an answer that every API has; only WeChat gives a token without a code.
type status struct {
	Code  int    `json:"errcode"`
	Token string `json:"access_token"`
}

// Post calls an API with a body, and reads its answer into reply. A token that the platform
// refuses is dropped, and the call made once more with a new one.
func (c *Client) Post(ctx context.Context, path string, body []byte, reply any) *channels.Failure {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if f := c.parked(path, time.Now()); f != nil {
		return f
	}
	if f := c.slots.take(ctx); f != nil {
		return f
	}
	defer c.slots.give()
	for refused := ""; ; {
		token, f := c.token(ctx, refused)
		if f != nil {
			return f
		}
		code, f := c.call(ctx, http.MethodPost, path, url.Values{"access_token": {token}}, body, reply)
		switch {
		case f != nil:
			return f
		case tokenRefused(code) && refused == "":
			refused = token
			continue
		}
		return c.judge(path, code)
	}
}

// Ask gets a token, which shows whether the account is in order.
func (c *Client) Ask(ctx context.Context) *channels.Failure {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	_, f := c.token(ctx, "")
	return f
}

func (c *Client) token(ctx context.Context, refused string) (string, *channels.Failure) {
	t, err := c.dialect.Tokens.Token(ctx, c.dialect.Name, refused, c.fetch)
	if err == nil {
		return t.Text, nil
	}
	f, ok := errors.AsType[*channels.Failure](err)
	switch {
	case ok:
		return "", f
	case ctx.Err() != nil:
		return "", unsent(ctx)
	}
	return "", channels.TryAgain("token_store", 0, err)
}

// unsent is the failure of a call that was not made before ctx ended.
func unsent(ctx context.Context) *channels.Failure {
	if reason := channels.ContextReason(ctx); reason == channels.ReasonDeadline {
		return channels.Refuse(reason, ctx.Err())
	}
	return channels.TryAgain(channels.ContextReason(ctx), 0, ctx.Err())
}

func (c *Client) fetch(ctx context.Context) (Token, error) {
	var got struct {
		Token   string `json:"access_token"`
		Seconds int    `json:"expires_in"`
	}
	asked := time.Now()
	grant := c.dialect.Grant()
	code, f := c.call(ctx, grant.Method, grant.Path, grant.Query, grant.Body, &got)
	if f != nil {
		if f.Class == channels.ClassUnknown { // a token that was lost on its way harms nobody
			f = channels.TryAgain(f.Reason, f.RetryAfter, f.Err)
		}
		return Token{}, f
	}
	if code == 0 && (got.Token == "" || len(got.Token) > 512 || got.Seconds <= 0) {
		return Token{}, channels.Misconfigured("no_token", nil)
	}
	switch f := c.mean(code); {
	case f == nil:
		return Token{got.Token, asked.Add(time.Duration(got.Seconds) * time.Second)}, nil
	case f.Class == channels.ClassRefused || tokenRefused(code): // it is about the account, and not about a message
		return Token{}, channels.Misconfigured(f.Reason, nil)
	default:
		return Token{}, f
	}
}

// call makes one request. The query holds secrets, so no error of the library goes on.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body []byte, reply any) (code int, f *channels.Failure) {
	var way outbound.Progress
	target := c.base.JoinPath(path)
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(way.Watch(ctx), method, target.String(), bytes.NewReader(body))
	if err != nil {
		return 0, channels.Misconfigured("url", nil)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.RoundTrip(req)
	if err != nil {
		return 0, way.Failure(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // what we want of it is read by then
	switch {
	case resp.StatusCode >= 500: // a proxy says so after it has passed a call on as well as before
		return 0, channels.Unknown("http_"+strconv.Itoa(resp.StatusCode), nil)
	case resp.StatusCode != http.StatusOK:
		return 0, channels.Misconfigured("http_"+strconv.Itoa(resp.StatusCode), nil)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, way.Failure(ctx, err)
	}
	said := status{Code: noCode} // an answer without a code is none
	if len(text) > maxAnswer || json.Unmarshal(text, &said) != nil || (said.Code == noCode && said.Token == "") {
		return 0, channels.Unknown("no_answer", nil)
	}
	if said.Code == noCode {
		said.Code = 0
	}
	if reply != nil && said.Code == 0 {
		if json.Unmarshal(text, reply) != nil {
			return 0, channels.Unknown("no_answer", nil)
		}
	}
	return said.Code, nil
}

// slots bounds how many calls are made at once. Told that there were too many, it makes do
// with half for a while.
type slots struct {
	mu   sync.Mutex
	most int
	now  int
	busy int
	free chan struct{} // closed and made anew when somebody may go on
	till time.Time
}

const smallFor = time.Minute

func newSlots(most int) *slots { return &slots{most: most, now: most, free: make(chan struct{})} }

func (s *slots) take(ctx context.Context) *channels.Failure {
	for {
		s.mu.Lock()
		if s.now < s.most && time.Now().After(s.till) {
			s.now = s.most
		}
		if s.busy < s.now {
			s.busy++
			s.mu.Unlock()
			return nil
		}
		free := s.free
		s.mu.Unlock()
		select {
		case <-free:
		case <-ctx.Done():
			return unsent(ctx)
		}
	}
}

func (s *slots) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	close(s.free)
	s.free = make(chan struct{})
}

func (s *slots) shrink() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.till = max(1, s.now/2), time.Now().Add(smallFor)
}

// jitter spreads those who were all told to come again.
func jitter(most time.Duration) time.Duration { return time.Second + rand.N(most) }

// Reason is the reason of a failure that the platform gave a code for.
func Reason(code int) string { return fmt.Sprintf("errcode_%d", code) }
