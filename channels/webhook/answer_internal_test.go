package webhook

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

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

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
