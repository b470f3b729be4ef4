package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.temporal.io/sdk/client"

	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

// healthy is a Temporal that answers.
type healthy struct{}

func (healthy) CheckHealth(context.Context, *client.CheckHealthRequest) (*client.CheckHealthResponse, error) {
	return &client.CheckHealthResponse{}, nil
}

// site is a fresh server on which the calls of the API page are made.
type site struct {
	t      *testing.T
	url    string
	key    string
	store  *store.Store
	taker  *turn.Taker
	routes map[string]string // METHOD /path, to its scope
	team   string            // the code of the team that was answered last
	code   string            // and that of an inviter
}

func newSite(t *testing.T) *site {
	t.Helper()
	dsn := devtest.Database(t)
	if _, err := store.Migrate(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	key, _, err := s.CreateKey(t.Context(), "docs", []store.Scope{store.ScopeAdmin}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	taker := &turn.Taker{Store: s, Programs: turn.NewCache(), Via: []string{"console"}}
	router := &starter.Router{Store: s, Taker: taker}
	server, err := starter.NewServer(starter.Config{
		Store: s, Entrances: router, Referrals: router, Temporal: healthy{}, Version: "dev",
		ReferralLinks: starter.ReferralLinks{Base: "https://go.shop.example", Keys: [][]byte{[]byte("a secret of the page")}, Hosts: []string{"shop.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(server)
	t.Cleanup(h.Close)
	a := &site{t: t, url: h.URL, key: key, store: s, taker: taker, routes: map[string]string{}}
	for path, item := range server.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "PUT": item.Put, "POST": item.Post, "DELETE": item.Delete} {
			if op != nil {
				a.routes[method+" "+path] = strings.Join(op.Security[0]["key"], " ")
			}
		}
	}
	return a
}

var (
	teamCode    = regexp.MustCompile(`/v1/teams/[2-9A-Z]{10}`)
	inviterCode = regexp.MustCompile(`(/referrals/codes/|"code": ")[2-9A-Z]{10}`)
)

var routeHeading = regexp.MustCompile("(?m)^### `(.+)`$\n+(?:Scope `([^`]+)`)?")

// The API page tells of every call that there is, with its scope; each example is
// made, in order, and answered with the status and the fields that the page shows.
func TestAPI(t *testing.T) {
	t.Parallel()
	a := newSite(t)
	list, prose := blocks(t, "docs/api.md")
	told := map[string]string{}
	for _, m := range routeHeading.FindAllStringSubmatch(prose, -1) {
		told[m[1]] = m[2]
	}
	if !maps.Equal(told, a.routes) {
		t.Errorf("the page tells of\n%v\nthe server has\n%v", told, a.routes)
	}
	lines, files, called := strings.Split(read(t, "docs/api.md"), "\n"), map[string]string{}, map[string]bool{}
	var answers []shown
	for i, b := range list {
		if name := b.info[strings.LastIndexByte(b.info, ' ')+1:]; strings.Contains(name, ".") {
			files["@"+name] = b.text
		}
		if b.lang != "sh" {
			continue
		}
		for _, words := range shell(b.text) {
			if words[0] != "curl" {
				continue
			}
			route, status, body := a.curl(words[1:], files)
			called[route] = true
			want := 0
			if i+1 < len(list) && list[i+1].lang == "json" {
				want, _ = strconv.Atoi(list[i+1].info)
				answers = append(answers, shown{list[i+1], body})
			}
			if want != status && (want != 0 || status >= 300) {
				t.Errorf("docs/api.md:%d: %s: %d, want %d\n%s", b.line+1, route, status, want, body)
			}
			a.after(route, body)
		}
	}
	for route := range a.routes {
		if !called[route] {
			t.Errorf("there is no example of %s", route)
		}
	}
	if *update {
		write(t, "api.md", lines, answers)
		return
	}
	for _, s := range answers {
		if want, got := shapeOf(t, []byte(s.text)), shapeOf(t, s.body); want != got {
			t.Errorf("docs/api.md:%d: the answer has other fields (-update writes it):\n%s\n%s", s.line+1, want, got)
		}
	}
}

// curl makes the call of a curl command line and names its route.
func (a *site) curl(args []string, files map[string]string) (route string, status int, body []byte) {
	a.t.Helper()
	method, target, data, header, password := "GET", "", "", http.Header{}, ""
	for i := 0; i < len(args); i++ {
		value := func() string {
			i++
			return strings.ReplaceAll(args[i], "$BANYAN_KEY", a.key)
		}
		switch arg := args[i]; arg {
		case "-sS":
		case "-X":
			method = value()
		case "-H":
			name, text, _ := strings.Cut(value(), ": ")
			header.Set(name, text)
		case "-d", "--data-binary":
			if data = value(); files[data] != "" {
				data = files[data]
			}
			data = inviterCode.ReplaceAllString(data, "${1}"+a.code)
		case "-u":
			_, password, _ = strings.Cut(value(), ":")
		default:
			target = strings.ReplaceAll(arg, "$BANYAN_SERVER", a.url)
			// A code is made by chance, so that of the page is another one.
			target = teamCode.ReplaceAllString(target, "/v1/teams/"+a.team)
			target = inviterCode.ReplaceAllString(target, "${1}"+a.code)
		}
	}
	request, err := http.NewRequestWithContext(a.t.Context(), method, target, strings.NewReader(data))
	if err != nil {
		a.t.Fatal(err)
	}
	request.Header = header
	if password != "" {
		request.SetBasicAuth("me", password)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if body, err = io.ReadAll(response.Body); err != nil {
		a.t.Fatal(err)
	}
	for known := range a.routes {
		of, path, _ := strings.Cut(known, " ")
		pattern := "^" + regexp.MustCompile(`\{[^}]+\}`).ReplaceAllString(path, "[^/]+") + "$"
		// Where two fit (/v1/members/{member}, /v1/members/batch) it is the one without a name.
		if of == method && regexp.MustCompile(pattern).MatchString(request.URL.Path) && (route == "" || !strings.Contains(path, "{")) {
			route = known
		}
	}
	return route, response.StatusCode, body
}

// after does what a worker and a router would do: the first turn of a journey that was
// entered, and the routing of events. It remembers the code of a team.
func (a *site) after(route string, body []byte) {
	var teams starter.TeamList
	if strings.HasSuffix(route, "/{member}/teams") && json.Unmarshal(body, &teams) == nil && len(teams.Teams) > 0 {
		a.team = teams.Teams[0].Code
	}
	if route == "POST /v1/events" {
		// And what a router would.
		if _, err := a.store.Route(a.t.Context(), 500, func(tx *store.RouteTx) error {
			return a.taker.Route(a.t.Context(), tx, func(*turn.BrokenError) {})
		}); err != nil {
			a.t.Fatal(err)
		}
	}
	var code starter.ReferralCodeAnswer
	if strings.HasSuffix(route, "/referrals/codes") && json.Unmarshal(body, &code) == nil && code.Code != "" {
		a.code = code.Code
	}
	if !strings.HasSuffix(route, "/entries") {
		return
	}
	var entry starter.EntryAnswer
	if err := json.Unmarshal(body, &entry); err != nil {
		a.t.Fatal(err)
	}
	row, err := strconv.ParseInt(entry.Journey, 10, 64)
	if err == nil {
		_, err = a.taker.Advance(a.t.Context(), row, 1)
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// shown is an answer of the page and the one that was really given.
type shown struct {
	block
	body []byte
}

// shapeOf gives the fields of a JSON value without what they hold.
func shapeOf(t *testing.T, data []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	var of func(v any) string
	of = func(v any) string {
		switch v := v.(type) {
		case map[string]any:
			var fields []string
			for _, name := range slices.Sorted(maps.Keys(v)) {
				fields = append(fields, name+of(v[name]))
			}
			return "{" + strings.Join(fields, " ") + "}"
		case []any:
			if len(v) > 0 {
				return "[" + of(v[0]) + "]"
			}
		}
		return ""
	}
	return of(v)
}

// write puts the real answers into the page, each field of the outermost object on a
// line of its own.
func write(t *testing.T, page string, lines []string, answers []shown) {
	t.Helper()
	for _, s := range slices.Backward(answers) {
		decoder := json.NewDecoder(bytes.NewReader(s.body))
		_, _ = decoder.Token() // the brace
		var fields []string
		for decoder.More() {
			var value json.RawMessage
			name, err := decoder.Token()
			if err == nil {
				err = decoder.Decode(&value)
			}
			if err != nil {
				t.Fatal(err)
			}
			fields = append(fields, fmt.Sprintf("  %q: %s", name, value))
		}
		text := []string{"{", strings.Join(fields, ",\n"), "}"}
		lines = slices.Replace(lines, s.line+1, s.line+1+strings.Count(s.text, "\n"), text...)
	}
	if err := os.WriteFile(page, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}
