package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/banyanhq/banyan/channels"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func TestFailureByProgress(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, c := range []struct {
		err     error
		reached bool
		want    string
	}{
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), false, "retry: connection_refused"},
		{dial(os.NewSyscallError("connect", syscall.ENETUNREACH)), false, "retry: unreachable"},
		{dial(&net.DNSError{Err: "no such host", Name: "s3cret.example.com", IsNotFound: true}), false, "retry: dns"},
		{dial(&net.DNSError{Err: "i/o timeout", IsTimeout: true}), false, "retry: dns"},
		{dial(os.ErrDeadlineExceeded), false, "retry: timeout"},
		{dial(errPrivate), false, "config: private_address"},
		{io.EOF, true, "unknown: connection_lost"},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, true, "unknown: connection_lost"},
		{errors.New(`malformed HTTP response "s3cret"`), true, "unknown: network"},
	} {
		var way Progress
		way.reached.Store(c.reached)
		f := way.Failure(t.Context(), c.err)
		if f.Error() != c.want {
			t.Errorf("%v: %v, want %s", c.err, f, c.want)
		}
		if f.Err != nil && strings.Contains(f.Err.Error(), "s3cret") {
			t.Errorf("the cause of %v passes on what it quotes", f)
		}
	}

	ctx, cancel := channels.WithDeadline(t.Context(), channels.Message{Deadline: noon.AddDate(-10, 0, 0)})
	defer cancel()
	if f := new(Progress).Failure(ctx, context.DeadlineExceeded); f.Error() != "refused: deadline" {
		t.Errorf("a deadline that passes before anything is sent: %v", f)
	}
}
