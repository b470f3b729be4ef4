// Package proxy is a TCP proxy that fails when it is told to: it cuts connections,
// lets nothing through for a while, or takes no new ones.
package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// Proxy passes connections on to one address.
type Proxy struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	pairs  map[*pair]struct{}
	gate   chan struct{} // closed while bytes flow; replaced by an open one for a freeze
	refuse bool
	closed bool
	work   sync.WaitGroup
	cuts   atomic.Int64
}

// pair is one connection and its continuation.
type pair struct{ near, far net.Conn }

// bufferSize is one read: far above a query or a call.
const bufferSize = 32 << 10

// New listens on a free port of loopback.
func New(ctx context.Context, target string) (*Proxy, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	flowing := make(chan struct{})
	close(flowing)
	p := &Proxy{listener: listener, target: target, pairs: map[*pair]struct{}{}, gate: flowing}
	p.work.Go(p.accept)
	return p, nil
}

// Address is where the proxy listens.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Cuts is how many connections were cut so far.
func (p *Proxy) Cuts() int { return int(p.cuts.Load()) }

func (p *Proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.work.Go(func() { p.serve(near) })
	}
}

func (p *Proxy) serve(near net.Conn) {
	p.mu.Lock()
	refused := p.refuse || p.closed
	p.mu.Unlock()
	if refused {
		reset(near)
		return
	}
	far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		reset(near) // as if the server itself had refused
		return
	}
	c := &pair{near, far}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		reset(near)
		reset(far)
		return
	}
	p.pairs[c] = struct{}{}
	p.mu.Unlock()
	var directions sync.WaitGroup
	directions.Go(func() { p.pump(far, near) })
	directions.Go(func() { p.pump(near, far) })
	directions.Wait()
	_, _ = near.Close(), far.Close()
	p.mu.Lock()
	delete(p.pairs, c)
	p.mu.Unlock()
}

// pump copies one direction until either side ends, and then ends both.
func (p *Proxy) pump(to, from net.Conn) {
	buffer := make([]byte, bufferSize)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			p.mu.Lock()
			gate := p.gate
			p.mu.Unlock()
			<-gate
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_, _ = to.Close(), from.Close()
}

// Cut resets all connections, whatever is on its way in them.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		reset(c.near)
		reset(c.far)
	}
	p.cuts.Add(int64(len(p.pairs)))
	return len(p.pairs)
}

// Refuse decides whether new connections are turned away.
func (p *Proxy) Refuse(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = yes
}

// Freeze lets nothing through, in either direction, until Thaw.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.frozen() {
		p.gate = make(chan struct{})
	}
}

// Thaw ends a freeze: what was held back goes on its way.
func (p *Proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen() {
		close(p.gate)
	}
}

func (p *Proxy) frozen() bool {
	select {
	case <-p.gate:
		return false
	default:
		return true
	}
}

// Close ends the proxy and everything that goes through it.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.listener.Close()
	p.Thaw()
	p.Cut()
	p.work.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// reset closes a connection so that the other side sees an error and no orderly end.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
