package wecom

import (
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// Codes of answers that are acted on; the vendor's rule is to judge by the code and never
// by the words beside it.
const (
	codeBusy        = -1
	codeConcurrency = 45033
)

// tokenRefused reports codes that speak of the token.
func tokenRefused(code int) bool { return code == 40014 || code == 42001 || code == 40001 }

// block is how long an API takes nothing from us.
type block struct {
	until time.Time
	times int // in a row
}

// The vendor blocks an API for a minute, an hour, or the day, and does not say which. So
// the first block is taken for a minute's, and one that goes on for a longer one.
var blockFor = []time.Duration{time.Minute, 10 * time.Minute, time.Hour}

// parked holds calls back while an API is blocked: each would only be counted again.
func (c *Client) parked(path string, now time.Time) *channels.Failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.blocked[path]; now.Before(b.until) {
		return channels.TryAgain("parked", b.until.Sub(now)+jitter(5*time.Second), nil)
	}
	return nil
}

// judge says what a code means, and remembers what it says about the calls to come.
func (c *Client) judge(path string, code int) *channels.Failure {
	f := c.mean(code)
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case rated(code):
		b := c.blocked[path]
		if now.After(b.until) { // of several that were under way at once one counts
			b = block{now.Add(blockFor[min(b.times, len(blockFor)-1)]), b.times + 1}
			c.blocked[path] = b
		}
		f.RetryAfter = b.until.Sub(now) + jitter(5*time.Second)
	case code == codeConcurrency:
		c.slots.shrink()
	case code == 0:
		delete(c.blocked, path)
	}
	return f
}

// mean says what a code means in the platform's dialect.
func (c *Client) mean(code int) *channels.Failure {
	if c.dialect.Judge != nil {
		if f, ok := c.dialect.Judge(code); ok {
			return f
		}
	}
	return judge(code)
}

func rated(code int) bool { return code == 45009 || code == 45011 }

// judge says what a code means for the message that was sent with it.
func judge(code int) *channels.Failure {
	reason := Reason(code)
	switch {
	case code == 0:
		return nil
	case code == codeBusy:
		return channels.TryAgain(reason, jitter(2*time.Second), nil)
	case code == codeConcurrency:
		return channels.TryAgain(reason, jitter(3*time.Second), nil)
	case rated(code):
		return channels.TryAgain(reason, blockFor[0], nil)
	case tokenRefused(code): // the second in a row: the account is wrong, or somebody else changes its tokens
		return channels.Misconfigured(reason, nil)
	}
	switch code {
	case 48002, 60011, 60020, 301002, 40058, // no permission, address not on the list, another app
		40013, 41001, 40056, 48001, 40086, 40091: // corp id, token missing, agent: nobody is reached by this account
		return channels.Misconfigured(reason, nil)
	case 40003, 40096, 84061, 81013, 60111: // the receiver
		f := channels.Refuse(reason, nil)
		f.Marks = campaign.IdentityUnreachable
		return f
	}
	// The content, or what nobody foresaw: the platform has said no to this message.
	return channels.Refuse(reason, nil)
}
