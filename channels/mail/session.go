package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// session is one connection to the mail server, greeted, encrypted and logged in.
type session struct {
	conn   net.Conn
	client *smtp.Client

	used     time.Time
	messages int
	// broken: the connection cannot be used any more.
	broken bool
	// untouched: it broke before the server answered anything about the message.
	untouched bool
}

func (s *session) close() { _ = s.conn.Close() }

// stage is how far a delivery came, which decides what an answer means.
type stage int

const (
	stageConnect stage = iota // greeting, STARTTLS, EHLO
	stageLogin
	stageSender    // MAIL FROM
	stageReceiver  // RCPT TO
	stageContent   // DATA, and what is written after it
	stageAccepting // the last line is out: it may have been taken
)

// dial connects, encrypts and logs in.
func (c *Channel) dial(ctx context.Context) (*session, *channels.Failure) {
	step, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(step, "tcp", c.address)
	if err != nil {
		return nil, failure(ctx, stageConnect, err)
	}
	s := &session{conn: conn}
	// Whoever stops waiting, or runs out of time, ends whatever is being read or written.
	defer s.watch(step)()
	if f := c.open(ctx, s); f != nil {
		s.close()
		return nil, f
	}
	return s, nil
}

func (c *Channel) open(ctx context.Context, s *session) *channels.Failure {
	settings := &tls.Config{ServerName: c.host, RootCAs: c.roots, MinVersion: tls.VersionTLS12}
	conn := s.conn
	if c.implicit {
		secure := tls.Client(s.conn, settings)
		if err := secure.HandshakeContext(ctx); err != nil {
			return tlsFailure(ctx, err)
		}
		conn = secure
	}
	var err error
	if s.client, err = smtp.NewClient(conn, c.host); err != nil {
		return failure(ctx, stageConnect, err)
	}
	if err := s.client.Hello(c.helo); err != nil {
		return failure(ctx, stageConnect, err)
	}
	encrypted := c.implicit
	if offered, _ := s.client.Extension("STARTTLS"); !encrypted && offered {
		if err := s.client.StartTLS(settings); err != nil {
			if _, answered := errors.AsType[*textproto.Error](err); answered {
				return failure(ctx, stageConnect, err)
			}
			return tlsFailure(ctx, err)
		}
		encrypted = true
	}
	if !encrypted && !c.plain {
		return channels.Misconfigured(reasonNoTLS, nil)
	}
	if c.user == "" {
		return nil
	}
	if err := s.client.Auth(c.login(s, encrypted)); err != nil {
		return loginFailure(ctx, err)
	}
	return nil
}

// Reasons of the channel's own.
const (
	reasonNoTLS = "no_starttls"
	reasonLogin = "login"
)

// login chooses how to log in: PLAIN, or LOGIN for servers that know nothing else. Both
// show the password, so both are for encrypted connections, or this machine itself.
func (c *Channel) login(s *session, encrypted bool) smtp.Auth {
	_, methods := s.client.Extension("AUTH")
	if known := strings.Fields(strings.ToUpper(methods)); !contains(known, "PLAIN") && contains(known, "LOGIN") {
		return smtp.LoginAuth(c.user, c.password, c.host, false)
	}
	return smtp.PlainAuth("", c.user, c.password, c.host, false)
}

func contains(list []string, word string) bool {
	for _, s := range list {
		if s == word {
			return true
		}
	}
	return false
}

func loginFailure(ctx context.Context, err error) *channels.Failure {
	if _, answered := errors.AsType[*textproto.Error](err); answered || ctx.Err() != nil || broke(err) {
		return failure(ctx, stageLogin, err)
	}
	// The library would not show the password here, or finds no method that it knows.
	return channels.Misconfigured(reasonLogin, nil)
}

func tlsFailure(ctx context.Context, err error) *channels.Failure {
	if ctx.Err() != nil || timedOut(err) {
		return failure(ctx, stageConnect, err)
	}
	return channels.TryAgain("tls", 0, nil) // a certificate is often renewed without us
}

// watch ends reads and writes when ctx does, and not a moment before: what ended them is
// read from ctx. The function that it gives ends watching.
func (s *session) watch(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Unix(1, 0)) })
	return func() {
		if !stop() {
			s.broken = true // the deadline may yet be put into the past
		}
	}
}

// step does one command and reads its answer, within the time for one.
func (s *session) step(ctx context.Context, at stage, do func() error) *channels.Failure {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	stop := s.watch(ctx)
	err := do()
	stop()
	switch {
	case err == nil && !s.broken:
		return nil
	case err == nil: // it was over at the same moment
		err = ctx.Err()
	}
	_, answered := errors.AsType[*textproto.Error](err)
	s.broken = s.broken || !answered
	return failure(ctx, at, err)
}

// send hands one message over: up to its last line within talk, and all of it within ctx.
// The server's id of it is empty where it names none.
func (s *session) send(ctx, talk context.Context, from, to string, text []byte) (id string, f *channels.Failure) {
	var w io.WriteCloser
	for _, step := range []struct {
		at stage
		do func() error
	}{
		{stageSender, func() error { return s.goodbye(s.client.Mail("<" + from + ">")) }},
		{stageReceiver, func() error { return s.goodbye(s.client.Rcpt("<" + to + ">")) }},
		{stageContent, func() (err error) { w, err = s.client.Data(); return s.goodbye(err) }},
		{stageContent, func() error { _, err := w.Write(text); return err }}, // without its last line it is not taken
	} {
		if f := s.step(talk, step.at, step.do); f != nil {
			s.untouched = step.at == stageSender && s.broken
			s.reset(ctx)
			return "", f
		}
	}
	stop := s.watch(ctx)
	err := w.Close()
	stop()
	if err != nil {
		_, answered := errors.AsType[*textproto.Error](s.goodbye(err))
		s.broken = s.broken || !answered
		s.reset(ctx)
		return "", failure(ctx, stageAccepting, err)
	}
	if said, ok := w.(*smtp.DataCloser); ok {
		id = queueID(said.ServerResponse())
	}
	return id, nil
}

// goodbye notes that the server hangs up: 421 says so (RFC 5321, 3.8).
func (s *session) goodbye(err error) error {
	if reply, ok := errors.AsType[*textproto.Error](err); ok && reply.Code == 421 {
		s.broken = true
	}
	return err
}

// reset makes a connection ready for another message after a refusal.
func (s *session) reset(ctx context.Context) {
	if !s.broken && s.step(ctx, stageSender, s.client.Reset) != nil {
		s.broken = true
	}
}

var queued = regexp.MustCompile(`(?i)(?:queued as|\bid[= ])\s*<?([0-9a-z._-]{4,100})`)

// queueID finds the id under which the server's own log has the message.
func queueID(response string) string {
	if m := queued.FindStringSubmatch(response); m != nil {
		return m[1]
	}
	return ""
}

// failure says what an error at some stage means. Nothing of the server's words goes on:
// they quote addresses.
func failure(ctx context.Context, at stage, err error) *channels.Failure {
	if reply, answered := errors.AsType[*textproto.Error](err); answered {
		return refusal(at, reply)
	}
	reason, cause := reasonOf(ctx, err)
	switch {
	case at == stageAccepting:
		return channels.Unknown(reason, cause)
	case reason == channels.ReasonDeadline:
		return channels.Refuse(reason, cause)
	}
	return channels.TryAgain(reason, 0, cause)
}

// refusal classes what the server answered (RFC 5321, 4.2.1; RFC 3463).
func refusal(at stage, reply *textproto.Error) *channels.Failure {
	reason := "smtp_" + strconv.Itoa(reply.Code)
	switch {
	case reply.Code < 400 || reply.Code > 599: // no answer to this command: the server is none, or lost its way
		if at == stageAccepting {
			return channels.Unknown(reason, nil)
		}
		return channels.Misconfigured(reason, nil)
	case reply.Code < 500:
		return channels.TryAgain(reason, LaterAfter, nil)
	case at <= stageSender, reply.Code == 530, reply.Code == 534, reply.Code == 535, reply.Code == 538:
		// It does not let us in, or not with this sender: so it is for everybody. To refuse
		// would throw away every message while somebody mends one setting.
		return channels.Misconfigured(reason, nil)
	}
	f := channels.Refuse(reason, nil)
	if at == stageReceiver && nobodyThere.MatchString(reply.Msg) {
		f.Marks = campaign.IdentityUnreachable
	}
	return f
}

// nobodyThere finds the answers that speak of the address itself: no such mailbox or no
// such system, written wrongly, moved away, takes no mail, switched off (RFC 3463, RFC
// 7505). A bare 550 may be about us, and marks nobody.
var nobodyThere = regexp.MustCompile(`^5\.(?:1\.(?:1|2|3|6|10)|2\.1)\b`)

// reasonOf names an error of the connection and gives a cause whose text we know.
func reasonOf(ctx context.Context, err error) (string, error) {
	if ctx.Err() != nil {
		return channels.ContextReason(ctx), ctx.Err()
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "dns", nil
	}
	for _, known := range []struct {
		err    error
		reason string
	}{
		{syscall.ECONNREFUSED, "connection_refused"},
		{syscall.EHOSTUNREACH, "unreachable"},
		{syscall.ENETUNREACH, "unreachable"},
	} {
		if errors.Is(err, known.err) {
			return known.reason, known.err
		}
	}
	switch {
	case timedOut(err):
		return channels.ReasonTimeout, context.DeadlineExceeded
	case broke(err):
		return "connection_lost", nil
	}
	return "network", nil
}

func timedOut(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

func broke(err error) bool {
	for _, known := range []error{syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
