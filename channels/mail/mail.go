// Package mail is the channel that writes mail: it hands each message to a mail server over
// SMTP, as the last link of a chain that Banyan does not see. docs/channels/mail.md says
// what it can and cannot promise.
package mail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	netmail "net/mail"
	"strings"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/optout"
)

// Name is the channel's name in `via`.
const Name = "mail"

// Channel writes mail through one server.
type Channel struct {
	address, host  string // of the server
	helo           string // our own name, as a server is told it
	implicit       bool   // encrypted from the first byte
	plain          bool   // unencrypted mail is allowed
	user, password string
	roots          *x509.CertPool

	from   *netmail.Address
	domain string // of from
	links  optout.Links

	timeout time.Duration
	places  chan struct{} // one for each open connection that is in use
	now     func() time.Time

	mu   sync.Mutex
	idle []*session // the one that was used last at the end
}

// Name gives "mail".
func (c *Channel) Name() string { return Name }

// Reaches says that mail goes to mail addresses.
func (c *Channel) Reaches() (campaign.IdentityKind, string) { return campaign.IdentityMail, "" }

// String keeps a Channel that somebody prints from showing its password.
func (c *Channel) String() string { return Name }

// Deliver hands the message to the mail server. There is no method Idempotent: SMTP knows
// no key, so a message whose answer was lost is never sent again.
func (c *Channel) Deliver(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if err := channels.Ready(ctx, m, c.now()); err != nil {
		return channels.Receipt{}, err
	}
	if m.To.Address == "" {
		return channels.Receipt{}, channels.Refuse(campaign.ReasonNoAddress, nil)
	}
	text, err := c.compose(m)
	if err != nil {
		return channels.Receipt{}, channels.Refuse(channels.ReasonInvalidMessage, nil)
	}
	ctx, cancel := channels.WithDeadline(ctx, m)
	defer cancel()
	patience := time.NewTimer(placeTimeout)
	defer patience.Stop()
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-patience.C:
		if ctx.Err() != nil {
			return channels.Receipt{}, notSent(ctx)
		}
		return channels.Receipt{}, channels.TryAgain("busy", 0, nil)
	case <-ctx.Done():
		return channels.Receipt{}, notSent(ctx)
	}
	ctx, cancelTimeout := context.WithTimeout(ctx, c.timeout)
	defer cancelTimeout()
	// Up to the last line.
	talk, cancelTalk := context.WithTimeout(ctx, c.timeout-min(answerTimeout, c.timeout/2))
	defer cancelTalk()
	for {
		s, kept, failure := c.session(talk)
		if failure != nil {
			return channels.Receipt{}, failure
		}
		id, failure := s.send(ctx, talk, c.from.Address, m.To.Address, text)
		if s.broken {
			s.close()
		} else {
			c.keep(s)
		}
		switch {
		case failure == nil:
			return channels.Receipt{ProviderID: id}, nil
		case kept && s.untouched && talk.Err() == nil:
			continue // it was kept and closed meanwhile: nothing of the message went over it
		}
		return channels.Receipt{}, failure
	}
}

// notSent is the failure of a message that nothing was sent of before ctx ended.
func notSent(ctx context.Context) *channels.Failure {
	reason := channels.ContextReason(ctx)
	if reason == channels.ReasonDeadline {
		return channels.Refuse(reason, ctx.Err())
	}
	return channels.TryAgain(reason, 0, ctx.Err())
}

// session gives a connection that is ready for a message: one that was kept, or a new one.
func (c *Channel) session(ctx context.Context) (s *session, kept bool, failure *channels.Failure) {
	for {
		c.mu.Lock()
		n := len(c.idle)
		if n == 0 {
			c.mu.Unlock()
			s, failure = c.dial(ctx)
			return s, false, failure
		}
		s = c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		if c.now().Sub(s.used) < idleTimeout {
			return s, true, nil
		}
		s.close()
	}
}

// keep puts a connection by for the next message.
func (c *Channel) keep(s *session) {
	s.messages++
	s.used = c.now()
	if s.messages >= perConn {
		s.close()
		return
	}
	var stale []*session
	c.mu.Lock()
	c.idle = append(c.idle, s)
	for len(c.idle) > 0 && s.used.Sub(c.idle[0].used) >= idleTimeout {
		stale, c.idle = append(stale, c.idle[0]), c.idle[1:]
	}
	c.mu.Unlock()
	for _, s := range stale {
		s.close()
	}
}

// compose writes the mail. Its Message-ID is made of the key: should a mail arrive twice,
// servers and people can tell that it is the same one.
func (c *Channel) compose(m channels.Message) ([]byte, error) {
	msg := gomail.NewMsg(gomail.WithEncoding(gomail.EncodingQP), gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(c.from)
	if err := msg.To(m.To.Address); err != nil {
		return nil, err
	}
	msg.Subject(oneLine(m.Subject))
	msg.SetDateWithValue(c.now())
	msg.SetMessageIDWithValue(messageID(m.Key) + "@" + c.domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notes, please
	body := m.Body
	if m.Kind != campaign.KindService {
		link := c.links.URL(m.To.ID)
		msg.SetGenHeaderPreformatted("List-Unsubscribe", "<"+link+">") // RFC 2369
		msg.SetGenHeaderPreformatted("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
		body += footer + link + "\n"
	}
	msg.SetBodyString(gomail.TypeTextPlain, body)
	var out bytes.Buffer
	_, err := msg.WriteTo(&out)
	return out.Bytes(), err
}

// footer stands above the link to opt out, behind the line that mail programs take for the
// end of what was written.
const footer = "\n\n-- \n退订 · Unsubscribe: "

// oneLine keeps a subject from becoming headers of its own.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func messageID(key string) string {
	sum := sha256.Sum256([]byte(key))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))
}
