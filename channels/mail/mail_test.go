package mail_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/conformance"
	"github.com/banyanhq/banyan/channels/mail"
	"github.com/banyanhq/banyan/channels/mail/mailtest"
	"github.com/banyanhq/banyan/optout"
)

const (
	secret   = "a secret of more than sixteen bytes"
	password = "p4ss word"
	from     = "Lin's Studio <hello@shop.example.com>"
)

func links(tb testing.TB) optout.Links {
	tb.Helper()
	l, err := optout.New("https://banyan.shop.example.com", secret)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// start runs a server that encrypts and asks for a password, unless change says otherwise,
// and gives the configuration of a channel to it.
func start(tb testing.TB, change func(*mailtest.Server)) (*mailtest.Server, mail.Config) {
	tb.Helper()
	settings, roots, err := mailtest.Certificate()
	if err != nil {
		tb.Fatal(err)
	}
	s := &mailtest.Server{TLS: settings, User: "hello", Password: password}
	if change != nil {
		change(s)
	}
	if err := s.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	cfg := mail.Config{From: from, Links: links(tb), Roots: roots, URL: "smtp://" + s.Address()}
	if s.Implicit {
		cfg.URL = "smtps://" + s.Address()
	}
	if s.User != "" {
		cfg.URL, cfg.Password = strings.Replace(cfg.URL, "://", "://hello@", 1), password
	}
	return s, cfg
}

func channel(tb testing.TB, cfg mail.Config) *mail.Channel {
	tb.Helper()
	c, err := mail.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func to(member string) campaign.Identity {
	return campaign.Identity{ID: 42, Kind: campaign.IdentityMail, Address: member + "@example.com", State: campaign.IdentityReachable}
}

func message(member string) channels.Message {
	return channels.Message{
		Key: "effect/fitness-trial/" + member + "/1", Channel: "mail", Campaign: "fitness-trial", Name: "card-offer", Member: member,
		Subject: "小林，月卡为你锁价", Body: "你好：\n.一行以点开头\n199 元", Kind: campaign.KindMarketing, Attempt: 1, To: to(member),
	}
}

// written is a body without what stands below it.
func written(m mailtest.Mail) string {
	body, _, _ := strings.Cut(m.Body, "\n\n-- \n")
	return body
}

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(t *testing.T) conformance.Harness {
		s, cfg := start(t, nil)
		return conformance.Harness{
			Channel: channel(t, cfg), To: to, Secrets: []string{password, secret}, RetryAfter: mail.LaterAfter,
			Delivered: func(m channels.Message) (bodies []string) {
				for _, got := range s.Mails(m.To.Address) {
					bodies = append(bodies, written(got))
				}
				return bodies
			},
			Arrange: func(f conformance.Fault) bool {
				s.Next(map[conformance.Fault]mailtest.Fault{
					conformance.Refuse: mailtest.NoSuchMailbox, conformance.Throttle: mailtest.Greylist,
					conformance.Drop: mailtest.DropAnswer, conformance.Stall: mailtest.Stall,
				}[f])
				return true
			},
		}
	})
}

func TestAMail(t *testing.T) {
	t.Parallel()
	s, cfg := start(t, nil)
	c := channel(t, cfg)
	m := message("lin")
	m.Subject = "小林，月卡\r\nBcc: mei@example.com"
	receipt, err := c.Deliver(t.Context(), m)
	if err != nil || receipt.ProviderID != "4F00001" {
		t.Fatalf("Deliver = %+v, %v", receipt, err)
	}
	got := s.Mails("")
	if len(got) != 1 {
		t.Fatalf("%d mails", len(got))
	}
	link := links(t).URL(42)
	for _, c := range []struct{ what, got, want string }{
		{"sender", got[0].From, "hello@shop.example.com"},
		{"receiver", got[0].To, "lin@example.com"},
		{"From", got[0].Header.Get("From"), `"Lin's Studio" <hello@shop.example.com>`},
		{"To", got[0].Header.Get("To"), "<lin@example.com>"},
		{"Bcc", got[0].Header.Get("Bcc"), ""},
		{"Subject", got[0].Subject, "小林，月卡 Bcc: mei@example.com"},
		{"List-Unsubscribe", got[0].Header.Get("List-Unsubscribe"), "<" + link + ">"},
		{"List-Unsubscribe-Post", got[0].Header.Get("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click"},
		{"Auto-Submitted", got[0].Header.Get("Auto-Submitted"), "auto-generated"},
		{"body", got[0].Body, m.Body + "\n\n-- \n退订 · Unsubscribe: " + link + "\n"},
		{"user", got[0].User, "hello"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %q, want %q", c.what, c.got, c.want)
		}
	}
	if !got[0].Secure {
		t.Error("it was not encrypted")
	}
	if date, err := got[0].Header.Date(); err != nil || time.Since(date) > time.Hour {
		t.Errorf("Date is %v, %v", date, err)
	}
}

func TestTheMessageIDIsTheKeys(t *testing.T) {
	t.Parallel()
	s, cfg := start(t, nil)
	c := channel(t, cfg)
	for _, member := range []string{"lin", "lin", "mei"} {
		if _, err := c.Deliver(t.Context(), message(member)); err != nil {
			t.Fatal(err)
		}
	}
	ids := map[string]string{}
	for _, m := range s.Mails("") {
		id := m.Header.Get("Message-ID")
		if !strings.HasSuffix(id, "@shop.example.com>") || strings.Contains(id, "lin") {
			t.Errorf("Message-ID is %s", id)
		}
		if had := ids[m.To]; had != "" && had != id {
			t.Errorf("the same message has the ids %s and %s", had, id)
		}
		ids[m.To] = id
	}
	if ids["lin@example.com"] == ids["mei@example.com"] {
		t.Error("two messages have one id")
	}
}

func TestAServiceMailHasNoLinkToOptOut(t *testing.T) {
	t.Parallel()
	s, cfg := start(t, nil)
	m := message("lin")
	m.Kind = campaign.KindService
	if _, err := channel(t, cfg).Deliver(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := s.Mails("")[0]
	if got.Header.Get("List-Unsubscribe") != "" || strings.TrimSuffix(got.Body, "\n") != m.Body {
		t.Errorf("%v\n%s", got.Header, got.Body)
	}
}

// TestAnswers has the server answer each stage in each way.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for fault, want := range map[mailtest.Fault]struct {
		failure string
		taken   int
		marks   campaign.IdentityState
		after   time.Duration
	}{
		mailtest.Greylist:      {failure: "retry: smtp_451", after: mail.LaterAfter},
		mailtest.Goodbye:       {failure: "retry: smtp_421", after: mail.LaterAfter},
		mailtest.TryContent:    {failure: "retry: smtp_452", after: mail.LaterAfter},
		mailtest.NoSuchMailbox: {failure: "refused: smtp_550", marks: campaign.IdentityUnreachable},
		mailtest.Policy:        {failure: "refused: smtp_550"},
		mailtest.BareRefusal:   {failure: "refused: smtp_550"},
		mailtest.BadContent:    {failure: "refused: smtp_554"},
		mailtest.NoSender:      {failure: "config: smtp_553"},
		mailtest.DropAnswer:    {failure: "unknown: connection_lost", taken: 1},
		mailtest.HangUpContent: {failure: "unknown: connection_lost"}, // the whole mail had been sent off by then
		mailtest.HangUpSender:  {failure: "retry: connection_lost"},
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			s, cfg := start(t, nil)
			c := channel(t, cfg)
			s.Next(fault)
			_, err := c.Deliver(t.Context(), message("lin"))
			f := channels.AsFailure(err)
			if f == nil || f.Error() != want.failure || f.Marks != want.marks || f.RetryAfter != want.after {
				t.Errorf("failure is %+v, want %+v", f, want)
			}
			if got := len(s.Mails("")); got != want.taken {
				t.Errorf("%d mails were taken, want %d", got, want.taken)
			}
			// What one message met is over with it.
			if _, err := c.Deliver(t.Context(), message("mei")); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

func TestWhoIsLetIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server func(*mailtest.Server)
		cfg    func(*mail.Config)
		want   string // of the failure; empty: it is delivered
		advice string // of Check
	}{
		"starttls":       {},
		"implicit":       {server: func(s *mailtest.Server) { s.Implicit = true }},
		"login":          {server: func(s *mailtest.Server) { s.Methods = "LOGIN" }},
		"no password":    {server: func(s *mailtest.Server) { s.User = "" }},
		"wrong password": {cfg: func(c *mail.Config) { c.Password = "wrong" }, want: "config: smtp_535", advice: "user and password"},
		"not logged in":  {cfg: func(c *mail.Config) { c.URL, c.Password = strings.Replace(c.URL, "hello@", "", 1), "" }, want: "config: smtp_530", advice: "BANYAN_MAIL_FROM"},
		"unknown method": {server: func(s *mailtest.Server) { s.Methods = "GSSAPI" }, want: "config: smtp_504", advice: "let us in"},
		"no encryption":  {server: func(s *mailtest.Server) { s.TLS = nil }, want: "config: no_starttls", advice: "offers no encryption"},
		"plain allowed": {
			server: func(s *mailtest.Server) { s.TLS, s.User = nil, "" }, cfg: func(c *mail.Config) { c.AllowPlain = true },
		},
		"not trusted": {cfg: func(c *mail.Config) { c.Roots = x509.NewCertPool() }, want: "retry: tls", advice: "certificate"},
		"busy":        {server: func(s *mailtest.Server) { s.Greeting = "421 4.3.2 too busy" }, want: "retry: smtp_421", advice: "later"},
		"not welcome": {server: func(s *mailtest.Server) { s.Greeting = "554 5.7.1 go away" }, want: "config: smtp_554", advice: "let us in"},
		"no server":   {server: func(s *mailtest.Server) { s.Greeting = "HTTP/1.1 400 Bad Request" }, want: "retry: network", advice: "does it run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, cfg := start(t, c.server)
			if c.cfg != nil {
				c.cfg(&cfg)
			}
			channel := channel(t, cfg)
			_, err := channel.Deliver(t.Context(), message("lin"))
			if got := text(err); got != c.want {
				t.Errorf("failure is %q, want %q", got, c.want)
			}
			if got := len(s.Mails("")); (got == 1) != (c.want == "") {
				t.Errorf("%d mails were taken", got)
			}
			checked, err := channels.Check(t.Context(), channel)
			if got := text(err); !checked || (got == "") != (c.advice == "") || !strings.Contains(got, c.advice) || strings.Contains(got, password) {
				t.Errorf("Check = %v, %q, want one with %q", checked, got, c.advice)
			}
			if got := len(s.Mails("")); got > 1 {
				t.Error("a check sends mail")
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	s, cfg := start(t, nil)
	s.HangUp()
	cfg.URL = "smtp://127.0.0.1:1"
	cfg.Password = ""
	if _, err := channel(t, cfg).Deliver(t.Context(), message("lin")); text(err) != "retry: connection_refused" {
		t.Errorf("failure is %v", err)
	}
}

// TestConnectionsAreUsedAgain sends many messages over few connections, and goes on when
// the server has closed those that were kept.
func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	s, cfg := start(t, nil)
	cfg.Connections = 3
	c := channel(t, cfg)
	send := func(n int) {
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() {
				if _, err := c.Deliver(t.Context(), message(fmt.Sprintf("m%d", i))); err != nil {
					t.Errorf("m%d: %v", i, err)
				}
			})
		}
		group.Wait()
	}
	send(40)
	if all, most := s.Connections(); all > 3 || most > 3 {
		t.Errorf("%d connections, %d at once, want 3", all, most)
	}
	s.HangUp()
	send(40)
	// How many there are at once the server cannot say now: it may not have noticed yet that
	// the old ones are gone.
	if all, _ := s.Connections(); all > 6 || len(s.Mails("")) != 80 {
		t.Errorf("%d connections, %d mails", all, len(s.Mails("")))
	}
}

// overdue is a context whose time is over when the test says so.
type overdue struct {
	context.Context
	over chan struct{}
}

func (o overdue) Done() <-chan struct{} { return o.over }

func (o overdue) Err() error {
	select {
	case <-o.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestASlowServerIsLeftBehind(t *testing.T) {
	t.Parallel()
	s, cfg := start(t, nil)
	cfg.Timeout = time.Hour
	c := channel(t, cfg)
	s.Next(mailtest.Stall)
	ctx := overdue{t.Context(), make(chan struct{})}
	go func() {
		for len(s.Mails("")) == 0 {
			time.Sleep(time.Millisecond)
		}
		close(ctx.over)
	}()
	if _, err := c.Deliver(ctx, message("lin")); text(err) != "unknown: timeout" {
		t.Errorf("failure is %v", err)
	}
}

// TestATarpit: a server that thinks before the last line is left while the mail is
// certainly not taken, and with time to spare for its last answer.
func TestATarpit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ delay, timeout time.Duration }{
		"a step takes too long":     {time.Hour, time.Hour},
		"too little time is left":   {3 * time.Second, 4 * time.Second},
		"the whole time is too low": {time.Hour, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, cfg := start(t, func(s *mailtest.Server) { s.Delay = c.delay })
			cfg.Timeout = c.timeout
			s.Next(mailtest.Tarpit)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := channel(t, cfg).Deliver(ctx, message("lin")); text(err) != "retry: timeout" || ctx.Err() != nil {
				t.Errorf("failure is %v", err)
			}
			if len(s.Mails("")) != 0 {
				t.Error("it was taken")
			}
		})
	}
}

// TestAFullChannelHoldsNobody has one message hold the only connection, and another that
// stops waiting for it: nothing of that one was sent.
func TestAFullChannelHoldsNobody(t *testing.T) {
	t.Parallel()
	s, cfg := start(t, nil)
	cfg.Connections, cfg.Timeout = 1, time.Hour
	c := channel(t, cfg)
	s.Next(mailtest.Stall)
	ctx, cancel := context.WithCancel(t.Context())
	stuck := make(chan error, 1)
	go func() {
		_, err := c.Deliver(ctx, message("stuck"))
		stuck <- err
	}()
	for len(s.Mails("")) == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := c.Deliver(t.Context(), message("busy")); text(err) != "retry: busy" {
		t.Errorf("the one that has waited long enough: %v", err)
	}
	m := message("waiting")
	m.Deadline = time.Now().Add(20 * time.Millisecond)
	if _, err := c.Deliver(t.Context(), m); text(err) != "refused: deadline" {
		t.Errorf("the one that waits: %v", err)
	}
	cancel()
	if err := <-stuck; text(err) != "unknown: canceled" {
		t.Errorf("the one that was stuck: %v", err)
	}
	if _, err := c.Deliver(t.Context(), message("next")); err != nil {
		t.Errorf("the next: %v", err)
	}
}

func TestNoAddressNoMail(t *testing.T) {
	t.Parallel()
	_, cfg := start(t, nil)
	m := message("lin")
	m.To.Address = ""
	if _, err := channel(t, cfg).Deliver(t.Context(), m); text(err) != "refused: no_address" {
		t.Errorf("failure is %v", err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
