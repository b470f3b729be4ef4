package proxy_test

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"github.com/banyanhq/banyan/chaos/proxy"
)

// echo is a server that answers each line with itself.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

type client struct {
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, p *proxy.Proxy) *client {
	t.Helper()
	c, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &client{c, bufio.NewReader(c)}
}

// says sends a line and reports whether it comes back.
func (c *client) says(line string) bool {
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return false
	}
	got, err := c.lines.ReadString('\n')
	return err == nil && got == line+"\n"
}

func TestProxy(t *testing.T) {
	p, err := proxy.New(t.Context(), echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	c := dial(t, p)
	if !c.says("hello") {
		t.Fatal("nothing gets through")
	}

	p.Freeze()
	answered := make(chan bool)
	go func() { answered <- c.says("are you there?") }()
	select {
	case <-answered:
		t.Error("something gets through a frozen proxy")
	case <-time.After(50 * time.Millisecond): // it would have come at once
	}
	p.Thaw()
	if !<-answered {
		t.Error("what was held back is lost")
	}

	p.Refuse(true)
	if dial(t, p).says("let me in") {
		t.Error("a new connection was served")
	}
	if !c.says("still here") {
		t.Error("the old connection was not")
	}
	p.Refuse(false)

	if n := p.Cut(); n != 1 || p.Cuts() != 1 || c.says("hello") {
		t.Errorf("%d of one connection were cut", n)
	}
	if !dial(t, p).says("again") {
		t.Error("after a cut no new connection is served")
	}
}

// A proxy that is closed while it is frozen does not wait for anybody.
func TestCloseEndsAFreeze(t *testing.T) {
	p, err := proxy.New(t.Context(), echo(t))
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, p)
	if !c.says("hello") {
		t.Fatal("nothing gets through")
	}
	p.Freeze()
	if _, err := io.WriteString(c, "never mind\n"); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if c.says("hello") {
		t.Error("a closed proxy serves")
	}
}
