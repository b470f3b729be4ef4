package starter_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/callbacks"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/optout"
	"github.com/banyanhq/banyan/starter"
)

// pages are served beside the API that the document describes.
var pages = []string{"GET /docs", "GET /metrics", "GET /openapi.json", "GET /v1/schema/campaign.json"}

// The document and the handlers say the same: what is in one is in the other, and
// every call of the document is answered by a handler, and by nobody without a key.
func TestTheDocumentAndTheHandlersAgree(t *testing.T) {
	a := serve(t)
	server, err := starter.NewServer(starter.Config{Store: a.store})
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			OperationID string                     `json:"operationId"`
			Summary     string                     `json:"summary"`
			Security    []map[string][]string      `json:"security"`
			Responses   map[string]json.RawMessage `json:"responses"`
		} `json:"paths"`
	}
	a.must("GET", "/openapi.json", "").json(t, &document)
	if !strings.HasPrefix(document.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %s", document.OpenAPI)
	}
	var described []string
	ids := make(map[string]bool)
	for path, methods := range document.Paths {
		for method, op := range methods {
			method = strings.ToUpper(method)
			described = append(described, method+" "+path)
			if op.OperationID == "" || op.Summary == "" || ids[op.OperationID] {
				t.Errorf("%s %s: id %q, summary %q", method, path, op.OperationID, op.Summary)
			}
			ids[op.OperationID] = true
			concrete := regexp.MustCompile(`\{[^}]+\}`).ReplaceAllString(path, "999")
			r := a.do(method, concrete, "")
			if r.status == http.StatusMethodNotAllowed || r.status >= 500 || r.status == http.StatusNotFound && strings.Contains(r.body, "nothing at this path") {
				t.Errorf("%s %s is described and not handled: %d %s", method, path, r.status, r.body)
			}
			open := path == "/healthz" || path == "/readyz"
			if r := a.do(method, concrete, "", "Authorization", ""); (r.status == http.StatusUnauthorized) == open {
				t.Errorf("%s %s without a key: %d", method, path, r.status)
			}
			if !open && (len(op.Security) == 0 || op.Responses["401"] == nil) {
				t.Errorf("%s %s does not say that it needs a key", method, path)
			}
		}
	}
	handled := server.Patterns()
	for _, page := range pages {
		handled = slices.DeleteFunc(handled, func(p string) bool { return p == page })
	}
	// What members open is for them, and what platforms call for them, and not for programs.
	handled = slices.DeleteFunc(handled, func(p string) bool {
		return strings.Contains(p, optout.Path) || strings.Contains(p, starter.ReferralPath) || strings.Contains(p, callbacks.Path)
	})
	slices.Sort(described)
	slices.Sort(handled)
	if !slices.Equal(described, handled) {
		t.Errorf("described %v\nhandled   %v", described, handled)
	}
	page := a.must("GET", "/docs", "")
	for _, call := range described {
		if path := call[strings.IndexByte(call, ' ')+1:]; !strings.Contains(page.body, path) {
			t.Errorf("the page leaves out %s", path)
		}
	}
	if strings.Contains(page.body, "https://") || strings.Contains(page.body, "<script") {
		t.Error("the page needs the internet")
	}
}

func TestPagesTakeTheKeyAsAPassword(t *testing.T) {
	a := serve(t)
	for _, page := range pages {
		path := strings.TrimPrefix(page, "GET ")
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.http.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("anybody", a.key)
		response, err := a.http.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
	if r := a.do("GET", "/docs", "", "Authorization", ""); !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("a browser is not asked: %v", r.header)
	}
}

func TestReady(t *testing.T) {
	a := serve(t, func(c *starter.Config) { c.Temporal = away{} })
	r := a.do("GET", "/readyz", "", "Authorization", "")
	if r.status != http.StatusOK || !strings.Contains(r.body, `"degraded"`) || !strings.Contains(r.body, `"temporal":"unreachable"`) {
		t.Errorf("Temporal away: %d %s", r.status, r.body)
	}
	a.store.Close()
	if r := a.do("GET", "/readyz", "", "Authorization", ""); r.status != http.StatusServiceUnavailable || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("PostgreSQL away: %d %s", r.status, r.body)
	}
	if r := a.do("GET", "/healthz", "", "Authorization", ""); r.status != http.StatusOK {
		t.Errorf("alive: %d", r.status)
	}
}

// The schema that editors complete by is that of the command line, for a bearer of a key
// and, since editors fetch it as a browser does, by its password.
func TestTheSchemaIsServed(t *testing.T) {
	a := serve(t)
	r := a.must("GET", "/v1/schema/campaign.json", "")
	if r.body != string(definitions.Schema()) || r.header.Get("Content-Type") != "application/schema+json" {
		t.Errorf("%s: %.200s", r.header.Get("Content-Type"), r.body)
	}
	if r := a.do("GET", "/v1/schema/campaign.json", "", "Authorization", ""); r.status != http.StatusUnauthorized || !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("without a key: %d %s", r.status, r.header.Get("WWW-Authenticate"))
	}
}
