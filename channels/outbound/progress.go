package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"

	"github.com/banyanhq/banyan/channels"
)

// Progress is how far a request came, which decides what its end means.
type Progress struct {
	// reached is set when the request has a connection, TLS included. From there on
	// bytes may have gone out. That is earlier than the last byte and errs on the safe
	// side: the hook for the last byte may run after the error has come back.
	reached   atomic.Bool
	handshake atomic.Bool // TLS failed
	// connections counts those that the request was given. net/http gives it another
	// when a kept one breaks, and then the answer is that to the repetition: the one
	// to the first was lost, and with it whether the message was taken.
	connections atomic.Int32
}

// Repeated reports whether an earlier answer may have been lost on the way to this one.
func (p *Progress) Repeated() bool { return p.connections.Load() > 1 }

// Watch makes a request under the context report to the progress.
func (p *Progress) Watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) {
			p.reached.Store(true)
			p.connections.Add(1)
		},
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				p.handshake.Store(true)
			}
		},
	})
}

// Failure classes an error of the transport.
func (p *Progress) Failure(ctx context.Context, err error) *channels.Failure {
	reason, cause := p.reason(ctx, err)
	switch {
	case p.reached.Load():
		return channels.Unknown(reason, cause)
	case errors.Is(err, errPrivate):
		return channels.Misconfigured(reason, cause)
	case reason == channels.ReasonDeadline:
		return channels.Refuse(reason, cause)
	default:
		return channels.TryAgain(reason, 0, cause)
	}
}

// reason names the error and gives a cause whose text we know. Errors of net/http and
// of the resolver are not passed on: they may quote what the receiver sent.
func (p *Progress) reason(ctx context.Context, err error) (string, error) {
	if errors.Is(err, errPrivate) {
		return ReasonPrivate, errPrivate
	}
	if ctx.Err() != nil {
		return channels.ContextReason(ctx), ctx.Err()
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "dns", nil
	}
	if p.handshake.Load() {
		return "tls", nil
	}
	for _, known := range []struct {
		err    error
		reason string
	}{
		{syscall.ECONNREFUSED, "connection_refused"},
		{syscall.ECONNRESET, "connection_lost"},
		{syscall.EPIPE, "connection_lost"},
		{io.EOF, "connection_lost"},
		{io.ErrUnexpectedEOF, "connection_lost"},
		{syscall.EHOSTUNREACH, "unreachable"},
		{syscall.ENETUNREACH, "unreachable"},
	} {
		if errors.Is(err, known.err) {
			return known.reason, known.err
		}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return channels.ReasonTimeout, context.DeadlineExceeded
	}
	return "network", nil
}
