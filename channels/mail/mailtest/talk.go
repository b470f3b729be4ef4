package mailtest

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// talk is one connection.
type talk struct {
	s    *Server
	conn net.Conn
	r    *bufio.Reader

	greeted, secure bool
	user            string
	from, to        string
	fault           Fault
}

func (s *Server) serve(conn net.Conn) {
	t := &talk{s: s, conn: conn, r: bufio.NewReader(conn)}
	if s.Implicit {
		t.encrypt()
	}
	if s.Greeting != "" {
		t.say("%s", s.Greeting)
	} else {
		t.say("220 mail.test ESMTP")
	}
	for {
		line, err := t.line()
		if err != nil || !t.answer(line) {
			return
		}
	}
}

func (t *talk) encrypt() {
	secure := tls.Server(t.conn, t.s.TLS)
	t.conn, t.r, t.secure, t.greeted = secure, bufio.NewReader(secure), true, false
}

func (t *talk) say(format string, args ...any) {
	_ = t.conn.SetWriteDeadline(time.Now().Add(time.Minute))
	_, _ = fmt.Fprintf(t.conn, format+"\r\n", args...)
}

func (t *talk) line() (string, error) {
	line, err := t.r.ReadString('\n')
	if err == nil && !strings.HasSuffix(line, "\r\n") {
		return "", fmt.Errorf("a bare line feed")
	}
	return strings.TrimSuffix(line, "\r\n"), err
}

// answer does one command; false ends the talk.
func (t *talk) answer(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb = strings.ToUpper(verb); verb {
	case "EHLO":
		t.ehlo()
	case "HELO":
		t.greeted = true
		t.say("250 mail.test")
	case "STARTTLS":
		if t.s.TLS == nil || t.secure {
			t.say("502 5.5.1 not here")
			return true
		}
		t.say("220 2.0.0 go ahead")
		t.encrypt()
	case "AUTH":
		return t.auth(rest)
	case "MAIL":
		return t.mail(rest)
	case "RCPT":
		t.rcpt(rest)
	case "DATA":
		return t.data()
	case "RSET":
		t.from, t.to, t.fault = "", "", ""
		t.say("250 2.0.0 reset")
	case "NOOP":
		t.say("250 2.0.0 ok")
	case "QUIT":
		t.say("221 2.0.0 bye")
		return false
	default:
		t.say("500 5.5.2 what is %s", verb)
	}
	return true
}

func (t *talk) ehlo() {
	t.greeted = true
	lines := []string{"mail.test", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE 10000000"}
	if t.s.TLS != nil && !t.secure {
		lines = append(lines, "STARTTLS")
	}
	if t.s.User != "" && (t.secure || t.s.TLS == nil) {
		lines = append(lines, "AUTH "+t.s.methods())
	}
	for i, l := range lines {
		if i < len(lines)-1 {
			t.say("250-%s", l)
		} else {
			t.say("250 %s", l)
		}
	}
}

func (s *Server) methods() string { return cmp.Or(s.Methods, "PLAIN LOGIN") }

func (t *talk) auth(rest string) bool {
	method, initial, _ := strings.Cut(rest, " ")
	var user, password string
	ask := func(prompt string) string {
		t.say("334 %s", base64.StdEncoding.EncodeToString([]byte(prompt)))
		line, _ := t.line()
		text, _ := base64.StdEncoding.DecodeString(line)
		return string(text)
	}
	if !slices.Contains(strings.Fields(t.s.methods()), strings.ToUpper(method)) {
		method = ""
	}
	switch strings.ToUpper(method) {
	case "PLAIN":
		text, _ := base64.StdEncoding.DecodeString(initial)
		parts := strings.Split(string(text), "\x00")
		if len(parts) == 3 {
			user, password = parts[1], parts[2]
		}
	case "LOGIN":
		if user = initial; user == "" {
			user = ask("Username:")
		}
		password = ask("Password:")
	default:
		t.say("504 5.5.4 no such method")
		return true
	}
	if user != t.s.User || password != t.s.Password {
		t.say("535 5.7.8 Error: authentication failed for %s", user)
		return true
	}
	t.user = user
	t.say("235 2.7.0 welcome")
	return true
}

func (t *talk) mail(rest string) bool {
	switch {
	case !t.greeted:
		t.say("503 5.5.1 say hello first")
		return true
	case t.s.User != "" && t.user == "":
		t.say("530 5.7.0 Authentication required")
		return true
	case t.from != "":
		t.say("503 5.5.1 one mail at a time")
		return true
	}
	from, ok := path(rest, "FROM:")
	if !ok {
		t.say("501 5.5.4 syntax: MAIL FROM:<address>")
		return true
	}
	t.fault = t.s.fault()
	switch t.fault {
	case HangUpSender:
		return false
	case NoSender:
		t.say("553 5.7.1 <%s>: Sender address rejected: not owned by user", from)
		return true
	case Goodbye:
		t.say("421 4.4.2 timeout, closing")
		return false
	default: // it is met later
	}
	t.from = from
	t.say("250 2.1.0 ok")
	return true
}

// path reads FROM:<address> and leaves parameters behind it alone.
func path(rest, word string) (string, bool) {
	if len(rest) < len(word) || !strings.EqualFold(rest[:len(word)], word) {
		return "", false
	}
	address, _, ok := strings.Cut(rest[len(word):], ">")
	return strings.TrimPrefix(address, "<"), ok && strings.HasPrefix(address, "<")
}

func (t *talk) rcpt(rest string) {
	to, ok := path(rest, "TO:")
	if t.fault == Tarpit {
		slow := time.NewTimer(t.s.Delay)
		defer slow.Stop()
		select {
		case <-slow.C:
		case <-t.s.stop:
		}
	}
	switch {
	case t.from == "":
		t.say("503 5.5.1 who from?")
	case !ok || !strings.Contains(to, "@"):
		t.say("501 5.1.3 bad address")
	case t.fault == Greylist:
		t.say("451 4.7.1 <%s>: greylisted, come again", to)
	case t.fault == NoSuchMailbox:
		t.say("550 5.1.1 <%s>: Recipient address rejected: User unknown", to)
	case t.fault == Policy:
		t.say("550 5.7.1 <%s>: not from you", to)
	case t.fault == BareRefusal:
		t.say("550 relay not permitted")
	default:
		t.to = to
		t.say("250 2.1.5 ok")
	}
}

func (t *talk) data() bool {
	if t.to == "" {
		t.say("554 5.5.1 no valid recipients")
		return true
	}
	t.say("354 end with a dot")
	if t.fault == HangUpContent {
		_, _ = t.line()
		return false
	}
	var text bytes.Buffer
	for {
		line, err := t.line()
		if err != nil {
			return false
		}
		if line == "." {
			break
		}
		if len(line) > 998 {
			t.say("500 5.6.0 line too long") // RFC 5321, 4.5.3.1.6
			return false
		}
		text.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
	}
	fault := t.fault
	taken, err := t.read(text.Bytes())
	from, to := t.from, t.to
	t.from, t.to, t.fault = "", "", ""
	switch {
	case err != nil:
		t.say("554 5.6.0 this is no mail: %v", err)
		return true
	case fault == BadContent:
		t.say("554 5.7.1 looks like spam to %s", to)
		return true
	case fault == TryContent:
		t.say("452 4.3.1 the disk is full")
		return true
	}
	taken.From, taken.To = from, to
	t.s.mu.Lock()
	t.s.mails = append(t.s.mails, taken)
	id := len(t.s.mails)
	t.s.mu.Unlock()
	switch fault {
	case DropAnswer:
		return false
	case Stall, Tarpit:
		<-t.s.stop
		return false
	default: // it was met before
	}
	t.say("250 2.0.0 Ok: queued as 4F%05d", id)
	return true
}

// read takes a mail apart as a mail program does.
func (t *talk) read(text []byte) (m Mail, err error) {
	parsed, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		return m, err
	}
	m = Mail{Header: parsed.Header, Secure: t.secure, User: t.user}
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject")); err != nil {
		return m, err
	}
	body := parsed.Body
	if strings.EqualFold(parsed.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	raw, err := io.ReadAll(body)
	m.Body = strings.ReplaceAll(string(raw), "\r\n", "\n")
	return m, err
}
