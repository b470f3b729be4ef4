// Package e2e runs Banyan as it runs in production: the real store, router, worker and
// channels on a real Temporal server and a real PostgreSQL.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/all"
	"github.com/banyanhq/banyan/channels/call"
	"github.com/banyanhq/banyan/channels/webhook"
	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
	"github.com/banyanhq/banyan/worker"
)

func TestMain(m *testing.M) { devtest.Main(m) }

const (
	hookSecret = "a secret for the tests of the webhook"
	callSecret = "a secret for the tests of services"
)

// patience is how long a test waits for a condition. It is no measure of speed: a
// machine that is slow is waited for, one that is stuck is not.
const patience = 100 * time.Second

// fleet is one installation of its own: a database, a namespace, a receiver of
// messages, and the processes that a test starts and stops.
type fleet struct {
	t         testing.TB
	ctx       context.Context
	dsn       string
	store     *store.Store
	pool      *pgxpool.Pool
	client    client.Client
	namespace string
	receiver  *webhooktest.Receiver
	hook      string // its address
	channels  channels.Set
	programs  *turn.Cache
	router    *starter.Router
	log       *slog.Logger
	drive     campaign.Drive // DriveMembers unless set
}

func newFleet(t testing.TB) *fleet {
	t.Helper()
	dsn := devtest.Database(t)
	ctx := t.Context()
	if _, err := store.Migrate(ctx, dsn); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	address := devtest.Temporal(t)
	namespace := devtest.Namespace(t)
	f := &fleet{
		t: t, ctx: ctx, dsn: dsn, store: s, pool: pool, namespace: namespace, client: devtest.Client(t, address, namespace),
		log: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	f.receiver, err = webhooktest.NewReceiver(webhooktest.Options{Secret: hookSecret})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(f.receiver)
	t.Cleanup(server.Close)
	f.hook = server.URL
	f.channels, _, err = all.Build(all.Config{
		Webhook: webhook.Config{URL: server.URL, Secret: hookSecret, AllowPrivate: true},
		Call:    call.Config{Secret: callSecret, Allow: "127.0.0.1, localhost"},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.programs = turn.NewCache()
	f.router = &starter.Router{
		Store: s, Taker: &turn.Taker{Store: s, Programs: f.programs, Via: []string{"webhook"}}, Client: f.client, Log: f.log,
	}
	return f
}

// testWriter passes a log to the test, and drops what comes after its end.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// run starts a part of the installation in the background and answers how to stop it.
func (f *fleet) run(part func(ctx context.Context) error) (stop func()) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(f.ctx))
	done := make(chan error, 1)
	go func() { done <- part(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("stopped with: %v", err)
		}
	})
	f.t.Cleanup(stop)
	return stop
}

func (f *fleet) runRouter() (stop func()) {
	return f.run(func(ctx context.Context) error {
		var group errgroup.Group
		group.Go(func() error { return f.router.Route(ctx) })
		group.Go(func() error { return f.router.Deliver(ctx) })
		return group.Wait()
	})
}

func (f *fleet) runWorker() (stop func()) {
	return f.run(func(ctx context.Context) error {
		return worker.Run(ctx, worker.Config{Store: f.store, Client: f.client, Channels: f.channels, Default: "webhook", Log: f.log})
	})
}

// submit stores a campaign and starts it; factor above 1 gives it a demo clock.
func (f *fleet) submit(source string, factor int64, from time.Time) string {
	f.t.Helper()
	name := f.version(source)
	var demo *store.DemoClock
	if factor > 1 {
		demo = &store.DemoClock{Factor: factor, From: from}
	}
	if err := f.store.Start(f.ctx, name, demo); err != nil {
		f.t.Fatal(err)
	}
	return name
}

func (f *fleet) version(source string) string {
	f.t.Helper()
	source = driven(source, f.drive)
	def, problems := definitions.Check("campaign.yaml", []byte(source))
	if def == nil {
		f.t.Fatalf("the campaign does not check:\n%s", problems.Text(false))
	}
	if _, err := f.store.Submit(f.ctx, def, []byte(source)); err != nil {
		f.t.Fatal(err)
	}
	return def.Name
}

func (f *fleet) events(events ...campaign.Event) []store.EventStatus {
	f.t.Helper()
	status, err := f.store.StoreEvents(f.ctx, events)
	if err != nil {
		f.t.Fatal(err)
	}
	return status
}

func paid(id, member, offer, amount string, at time.Time) campaign.Event {
	return campaign.Event{ID: id, Type: "order.paid", Member: member, Time: at, Properties: json.RawMessage(
		fmt.Sprintf(`{"order":"o-%s","offer":%q,"amount":{"amount":%q,"currency":"CNY"}}`, id, offer, amount))}
}

func attended(id, member string, at time.Time) campaign.Event {
	return campaign.Event{ID: id, Type: "lesson.attended", Member: member, Time: at, Properties: json.RawMessage(`{"lesson":"intro"}`)}
}

// count answers a question in SQL that has one number as its answer.
func (f *fleet) count(sql string, args ...any) int {
	f.t.Helper()
	var n int
	if err := f.pool.QueryRow(f.ctx, sql, args...).Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

func (f *fleet) text(sql string, args ...any) string {
	f.t.Helper()
	var s string
	if err := f.pool.QueryRow(f.ctx, sql, args...).Scan(&s); err != nil {
		f.t.Fatal(err)
	}
	return s
}

// now is the campaign's clock.
func (f *fleet) now(name string) time.Time {
	f.t.Helper()
	view, err := f.store.Campaign(f.ctx, name)
	if err != nil {
		f.t.Fatal(err)
	}
	return view.Now
}

// until waits for a condition.
func (f *fleet) until(what string, holds func() bool) {
	f.t.Helper()
	if !eventually(f.ctx, holds) {
		f.t.Fatalf("waited in vain until %s\n%s", what, f.state())
	}
}

func eventually(ctx context.Context, holds func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return false
		case <-limit.C:
			return false
		case <-tick.C:
		}
	}
	return true
}

// state is what a person would look at first when a test has waited in vain.
func (f *fleet) state() string {
	var b strings.Builder
	for title, sql := range map[string]string{
		"journeys": `select count(*) || ' ' || status || ' ' || step_name || ' ' || outcome || ' ' || summary from journeys group by status, step_name, outcome, summary limit 20`,
		"intents":  `select count(*) || ' ' || kind from intents group by kind`,
		"messages": `select count(*) || ' ' || name || ' ' || state || ' ' || reason from messages group by name, state, reason limit 20`,
	} {
		rows, err := f.pool.Query(context.WithoutCancel(f.ctx), sql)
		if err != nil {
			fmt.Fprintf(&b, "%s: %v\n", title, err)
			continue
		}
		for rows.Next() {
			var line string
			if rows.Scan(&line) == nil {
				fmt.Fprintf(&b, "%s: %s\n", title, line)
			}
		}
		rows.Close()
	}
	return b.String()
}

func (f *fleet) allDone() {
	f.t.Helper()
	f.until("no journey is under way", func() bool {
		return f.count(`select count(*) from journeys where status = 'active' or due_at is not null`) == 0 && f.count(`select count(*) from intents`) == 0
	})
	f.until("every message is settled", func() bool {
		return f.count(`select count(*) from messages where state in ('claimed', 'unknown')`) == 0
	})
}

func read(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
