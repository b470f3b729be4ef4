package store

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
)

// A connection that broke under a question is worth another try; it is no fault of ours.
func TestABrokenConnectionIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		io.ErrUnexpectedEOF, io.EOF, net.ErrClosed,
		&net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET},
	} {
		if got := campaign.CodeOf(translate(fmt.Errorf("query: %w", err), "read")); got != campaign.CodeUnavailable {
			t.Errorf("%v has the code %s", err, got)
		}
	}
	for _, err := range []error{pgx.ErrNoRows, errors.New("something else")} {
		if got := campaign.CodeOf(translate(err, "read")); got == campaign.CodeUnavailable {
			t.Errorf("%v has the code %s", err, got)
		}
	}
}
