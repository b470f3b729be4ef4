// Package mailtest is a mail server to test against, and to try campaigns with: it speaks
// ESMTP over real connections (RFC 5321, STARTTLS, AUTH), keeps what it takes, and
// misbehaves where it is told to. It shares no code with the channel.
package mailtest

import (
	"crypto/tls"
	"net"
	"net/mail"
	"sync"
	"time"
)

// Fault is how the server treats one message.
type Fault string

// Faults.
const (
	Greylist      Fault = "greylist"       // 451 to the receiver
	NoSuchMailbox Fault = "no_mailbox"     // 550 5.1.1 to the receiver
	Policy        Fault = "policy"         // 550 5.7.1 to the receiver
	BareRefusal   Fault = "bare"           // 550 to the receiver, with nothing more
	BadContent    Fault = "bad_content"    // 554 to the whole mail
	TryContent    Fault = "try_content"    // 452 to the whole mail
	DropAnswer    Fault = "drop_answer"    // takes it and hangs up
	Stall         Fault = "stall"          // takes it and never answers
	HangUpContent Fault = "hang_up_in"     // hangs up in the middle of the mail, and takes nothing
	HangUpSender  Fault = "hang_up_sender" // hangs up at MAIL FROM
	NoSender      Fault = "no_sender"      // 553 to the sender
	Goodbye       Fault = "goodbye"        // 421 at MAIL FROM
	Tarpit        Fault = "tarpit"         // answers to the receiver after the server's Delay, then as Stall
)

// Mail is one that was taken.
type Mail struct {
	From, To string // of the envelope
	Header   mail.Header
	Subject  string // decoded
	Body     string // decoded, with \n
	Secure   bool
	User     string
}

// Server is a mail server. Set it up before Start.
type Server struct {
	// TLS offers STARTTLS with this certificate; nil: no encryption.
	TLS *tls.Config
	// Implicit expects encryption from the first byte.
	Implicit bool
	// User and Password are asked for where they are set.
	User, Password string
	// Methods are those of AUTH; "PLAIN LOGIN" unless set.
	Methods string
	// Greeting replaces the usual one.
	Greeting string
	// Delay is how long a Tarpit takes.
	Delay time.Duration

	listener net.Listener
	stop     chan struct{}
	wait     sync.WaitGroup

	mu          sync.Mutex
	mails       []Mail
	faults      []Fault
	conns       map[net.Conn]bool
	connections int
	open, most  int
}

// Start listens on a free port of this machine.
func (s *Server) Start() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed by Close
	if err != nil {
		return err
	}
	s.listener, s.stop, s.conns = listener, make(chan struct{}), map[net.Conn]bool{}
	s.wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn], s.connections, s.open = true, s.connections+1, s.open+1
			s.most = max(s.most, s.open)
			s.mu.Unlock()
			s.wait.Go(func() {
				defer s.gone(conn)
				s.serve(conn)
			})
		}
	})
	return nil
}

// Address is host and port.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close hangs up on everybody.
func (s *Server) Close() {
	_ = s.listener.Close()
	close(s.stop)
	s.HangUp()
	s.wait.Wait()
}

// HangUp closes the open connections, as servers do with idle ones.
func (s *Server) HangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
}

func (s *Server) gone(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	s.open--
}

// Next makes the next messages meet these faults, one each.
func (s *Server) Next(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Mails are those that were taken for an address; all of them for an empty one.
func (s *Server) Mails(to string) (list []Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.mails {
		if to == "" || m.To == to {
			list = append(list, m)
		}
	}
	return list
}

// Connections is how many there have been, and how many at once.
func (s *Server) Connections() (all, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections, s.most
}

func (s *Server) fault() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 {
		return ""
	}
	f := s.faults[0]
	s.faults = s.faults[1:]
	return f
}
