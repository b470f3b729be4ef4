package webhook

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/banyanhq/banyan/channels"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, " 7 ": 7 * time.Second, "3600": time.Hour, "3601": time.Hour,
		"99999999999999999999999": time.Hour, "-5": 0, "1.5": 0, "soon": 0,
		"Tue, 01 Dec 2026 12:00:30 GMT":    30 * time.Second,
		"Tue, 01 Dec 2026 11:00:00 GMT":    0,
		"Wed, 02 Dec 2026 12:00:00 GMT":    time.Hour,
		"Tuesday, 01-Dec-26 12:00:09 GMT":  9 * time.Second, // the older forms that RFC 9110 keeps
		"Tue Dec  1 12:00:08 2026":         8 * time.Second,
		"Tue, 01 Dec 2026 12:00:30 +08:00": 0,
	} {
		if got := retryAfter(value, noon); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestOutcomeByStatus(t *testing.T) {
	for status, want := range map[int]string{
		200: "", 201: "", 202: "", 204: "",
		400: "refused: http_400", 403: "refused: http_403", 404: "refused: http_404", 409: "refused: http_409",
		410: "refused: http_410", 422: "refused: http_422",
		401: "config: http_401", 101: "config: http_101",
		408: "retry: http_408", 425: "retry: http_425", 429: "retry: http_429",
		500: "retry: http_500", 502: "retry: http_502", 503: "retry: http_503", 599: "retry: http_599",
	} {
		_, err := answer{status: status}.outcome(noon)
		if got := text(err); got != want {
			t.Errorf("status %d: %q, want %q", status, got, want)
		}
	}
}

func TestProviderID(t *testing.T) {
	header := http.Header{IDHeader: {"from-header"}}
	for body, want := range map[string]string{
		`{"id":"abc"}`: "abc", `{"id":42}`: "42", `{"id":9007199254740993}`: "9007199254740993",
		`{"id":"` + strings.Repeat("x", 200) + `"}`: strings.Repeat("x", 200),
		`{"id":"` + strings.Repeat("x", 201) + `"}`: "",
		`{"id":"nul\u0000"}`:                        "", `{"id":"line\n"}`: "",
		`{"id":null}`: "from-header", `{"id":{}}`: "from-header", `[]`: "from-header", `ok`: "from-header", "": "from-header",
	} {
		if got := (answer{header: header, body: []byte(body)}).providerID(); got != want {
			t.Errorf("providerID of %.40q = %q, want %q", body, got, want)
		}
	}
}

func TestFollow(t *testing.T) {
	for _, c := range []struct {
		from     string
		status   int
		location string
		want     string // an address or a failure
	}{
		{"https://shop.example.com/a", 308, "/b?c=d#e", "https://shop.example.com/b?c=d"},
		{"https://shop.example.com/a", 307, "https://SHOP.example.com:443/b", "https://SHOP.example.com:443/b"},
		{"http://shop.example.com/a", 308, "https://shop.example.com/a", "https://shop.example.com/a"},
		{"https://shop.example.com/a", 308, "https://user:pw@shop.example.com/b", "https://shop.example.com/b"},
		{"https://shop.example.com/a", 308, "http://shop.example.com/a", "config: redirect_host"},
		{"https://shop.example.com/a", 308, "https://shop.example.com:8443/a", "config: redirect_host"},
		{"http://shop.example.com:8080/a", 308, "https://shop.example.com/a", "config: redirect_host"},
		{"https://shop.example.com/a", 308, "https://other.example.com/a", "config: redirect_host"},
		{"https://shop.example.com/a", 308, "//169.254.169.254/latest", "config: redirect_host"},
		{"https://shop.example.com/a", 308, "http://[::ffff:10.0.0.1]/", "config: redirect_host"},
		{"https://shop.example.com/a", 308, "file:///etc/passwd", "config: redirect_host"},
		{"https://shop.example.com/a", 308, "", "config: redirect_location"},
		{"https://shop.example.com/a", 308, "https://%zz", "config: redirect_location"},
		{"https://shop.example.com/a", 301, "/b", "config: redirect_301"},
		{"https://shop.example.com/a", 302, "/b", "config: redirect_302"},
		{"https://shop.example.com/a", 303, "/b", "config: redirect_303"},
		{"https://shop.example.com/a", 304, "", "config: redirect_304"},
	} {
		from, err := url.Parse(c.from)
		if err != nil {
			t.Fatal(err)
		}
		to, failure := follow(from, answer{status: c.status, header: http.Header{"Location": {c.location}}}, 0)
		var got string
		if failure != nil {
			got = failure.Error()
		} else {
			got = to.String()
		}
		if got != c.want {
			t.Errorf("%s answers %d %q: %s, want %s", c.from, c.status, c.location, got, c.want)
		}
	}
}

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
		var way progress
		way.reached.Store(c.reached)
		f := way.failure(t.Context(), c.err)
		if f.Error() != c.want {
			t.Errorf("%v: %v, want %s", c.err, f, c.want)
		}
		if f.Err != nil && strings.Contains(f.Err.Error(), "s3cret") {
			t.Errorf("the cause of %v passes on what it quotes", f)
		}
	}

	ctx, cancel := channels.WithDeadline(t.Context(), channels.Message{Deadline: noon.AddDate(-10, 0, 0)})
	defer cancel()
	if f := new(progress).failure(ctx, context.DeadlineExceeded); f.Error() != "refused: deadline" {
		t.Errorf("a deadline that passes before anything is sent: %v", f)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
