package starter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/sdk/client"

	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

func TestMain(m *testing.M) { devtest.Main(m) }

const trial = `
campaign: fitness-trial
title: 体验课
member:
  city: string
  visits: int
  spent: money
  level: {type: string, one_of: [bronze, silver, gold]}
events:
  order.paid: {order: string, offer: string, amount: money, items: int, gift: bool, at: time, weight: number}
  lesson.attended: {lesson: string}
offers:
  monthly-card: {title: 月卡, price: 199, list_price: 299, lock: 48h, stock: 10}
rewards:
  first-card: {points: 100, budget: 1000}
messages:
  hello: "hello"
journeys:
  trial-to-card:
    start: {on: order.paid, when: 'event.offer == "trial"'}
    goal: {on: order.paid, when: 'event.offer == "monthly-card"'}
    steps:
      - await: lesson.attended
        for: 7d
        otherwise:
          - end: no-show
      - send: hello
      - offer: monthly-card
        taken:
          - grant: first-card
`

// api is a server under test and a key for it.
type api struct {
	t     testing.TB
	store *store.Store
	http  *httptest.Server
	url   string // of the database
	key   string

	server *starter.Server
}

type entrances func(campaign, journey, member string, properties json.RawMessage) (starter.EntryResult, error)

func (e entrances) Enter(_ context.Context, c, j, m string, p json.RawMessage) (starter.EntryResult, error) {
	return e(c, j, m, p)
}

func serve(tb testing.TB, change ...func(*starter.Config)) *api {
	tb.Helper()
	url := devtest.Database(tb)
	if _, err := store.Migrate(tb.Context(), url); err != nil {
		tb.Fatal(err)
	}
	s, err := store.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	cfg := starter.Config{Store: s, Version: "test"}
	for _, c := range change {
		c(&cfg)
	}
	server, err := starter.NewServer(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	a := &api{t: tb, store: s, http: httptest.NewServer(server), url: url, server: server}
	tb.Cleanup(a.http.Close)
	a.key = a.newKey(store.ScopeAdmin)
	return a
}

func (a *api) newKey(scopes ...store.Scope) string {
	a.t.Helper()
	secret, _, err := a.store.CreateKey(a.t.Context(), "test", scopes, time.Time{})
	if err != nil {
		a.t.Fatal(err)
	}
	return secret
}

type reply struct {
	status int
	header http.Header
	body   string
}

// json reads a field of the answer by its path.
func (r reply) json(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), into); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
}

func (a *api) do(method, path, body string, headers ...string) reply {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), method, a.http.URL+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+a.key)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			request.Header.Del(headers[i])
		}
	}
	response, err := a.http.Client().Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var buffer bytes.Buffer
	if _, err := io.Copy(&buffer, response.Body); err != nil {
		a.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, buffer.String()}
}

// must is do for what has to succeed.
func (a *api) must(method, path, body string, headers ...string) reply {
	a.t.Helper()
	r := a.do(method, path, body, headers...)
	if r.status >= 300 {
		a.t.Fatalf("%s %s: %d %s", method, path, r.status, r.body)
	}
	return r
}

type counts struct{ Events, Members, Intents, Versions int }

// counts says how much there is in the tables that callers write.
func (a *api) counts() (c counts) {
	a.t.Helper()
	conn, err := pgx.Connect(a.t.Context(), a.url)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = conn.Close(a.t.Context()) }()
	err = conn.QueryRow(a.t.Context(), `select (select count(*) from events), (select count(*) from members),
		(select count(*) from intents), (select count(*) from campaign_versions)`).Scan(&c.Events, &c.Members, &c.Intents, &c.Versions)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// row asks the database directly.
func (a *api) row(query string) pgx.Row {
	a.t.Helper()
	conn, err := pgx.Connect(a.t.Context(), a.url)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn.QueryRow(a.t.Context(), query)
}

func newServer(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

// away is a Temporal that does not answer.
type away struct{}

func (away) CheckHealth(context.Context, *client.CheckHealthRequest) (*client.CheckHealthResponse, error) {
	return nil, errors.New("connection refused")
}

// exec changes the database directly.
func (a *api) exec(statement string) (pgconn.CommandTag, error) {
	a.t.Helper()
	conn, err := pgx.Connect(a.t.Context(), a.url)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	defer func() { _ = conn.Close(a.t.Context()) }()
	return conn.Exec(a.t.Context(), statement)
}
