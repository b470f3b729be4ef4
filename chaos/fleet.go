package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/client"

	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
	"github.com/banyanhq/banyan/chaos/proxy"
	"github.com/banyanhq/banyan/devstack"
)

const (
	apis      = 2
	workers   = 3
	namespace = "default"
	adminKey  = "byn_the-admin-key-of-the-chaos-run"
	secret    = "the secret of the chaos run's receiver"

	postgresName, temporalName = "PostgreSQL", "Temporal"

	startLimit = 2 * time.Minute
	slowAnswer = 1500 * time.Millisecond
)

// fleet is an installation of Banyan as processes, everything on loopback.
type fleet struct {
	dir      string // logs, data, the event file
	banyan   string // the program
	odd      string // the same with a wrong clock
	postgres *devstack.Postgres
	temporal *devstack.Temporal
	toData   *proxy.Proxy // between Banyan's programs and PostgreSQL
	fromT    *proxy.Proxy // between Temporal and PostgreSQL
	toT      *proxy.Proxy // between Banyan's programs and Temporal
	apis     []*program
	workers  []*program
	urls     []string // of the APIs
	receiver *webhooktest.Receiver
	hook     *http.Server
	pool     *pgxpool.Pool // ours, past the proxies
	client   client.Client // ours, past the proxies

	serving  sync.Mutex           // held by whoever ends or starts PostgreSQL or Temporal
	started  map[string]time.Time // when the adversary last started one; guarded by serving
	quits    map[string]int       // how often one ended by itself; guarded by serving
	keepers  sync.WaitGroup
	stopKeep context.CancelFunc
}

func newFleet(dir, banyan, odd string) *fleet {
	return &fleet{dir: dir, banyan: banyan, odd: odd, started: map[string]time.Time{}, quits: map[string]int{}}
}

// muster brings everything up. After an error, dismiss puts away what it got to.
func (f *fleet) muster(ctx context.Context, seed uint64, taken func(webhooktest.Record)) error {
	if err := f.borrowTemporal(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := f.servers(ctx); err != nil {
		return err
	}
	if err := f.receive(ctx, seed, taken); err != nil {
		return err
	}
	if err := f.programs(ctx); err != nil {
		return err
	}
	f.keep()
	return nil
}

// servers starts PostgreSQL, with all that makes a commit last, and Temporal on it.
func (f *fleet) servers(ctx context.Context) error {
	cfg := devstack.Config{Dir: f.dir, Own: true, NoUI: true, TemporalStore: devstack.StorePostgres}
	var err error
	if f.postgres, err = devstack.StartPostgres(ctx, cfg); err != nil {
		return err
	}
	at, err := url.Parse(f.postgres.URL)
	if err != nil {
		return errors.New("devstack's database URL cannot be read")
	}
	if f.toData, err = proxy.New(ctx, at.Host); err != nil {
		return err
	}
	if f.fromT, err = proxy.New(ctx, at.Host); err != nil {
		return err
	}
	at.Host = f.fromT.Address()
	cfg.TemporalDatabaseURL = at.String()
	if f.temporal, err = devstack.StartTemporal(ctx, cfg); err != nil {
		return err
	}
	if f.toT, err = proxy.New(ctx, f.temporal.Address); err != nil {
		return err
	}
	if f.pool, err = pgxpool.New(ctx, f.postgres.URL+"&pool_max_conns=4&pool_min_conns=2"); err != nil {
		return err
	}
	f.client, err = client.NewLazyClient(client.Options{
		HostPort: f.temporal.Address, Namespace: namespace, Logger: silent(),
	})
	return err
}

// borrowTemporal takes the server that is built into the project's own folder, so that it
// is not built again for every run.
func (f *fleet) borrowTemporal(ctx context.Context) error {
	built, err := devstack.BuildTemporal(ctx, devstack.Config{Out: os.Stderr})
	if err != nil {
		return err
	}
	bin := filepath.Join(f.dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	return os.Symlink(built, filepath.Join(bin, filepath.Base(built)))
}

// receive starts the receiver of messages, which misbehaves: it hangs up after taking a
// message, asks to be left alone for a second, fails, and is slow.
func (f *fleet) receive(ctx context.Context, seed uint64, taken func(webhooktest.Record)) error {
	var err error
	f.receiver, err = webhooktest.NewReceiver(webhooktest.Options{
		Secret: secret, Journal: f.journal(), Delay: slowAnswer, Taken: taken,
		Plan: webhooktest.Plan{Seed: seed, Faults: 2, Shares: []webhooktest.Share{
			{Fault: webhooktest.FaultDrop, Of: 0.06},
			{Fault: webhooktest.FaultThrottle, Of: 0.04},
			{Fault: webhooktest.FaultFail, Of: 0.04},
			{Fault: webhooktest.FaultSlow, Of: 0.04},
			{Fault: webhooktest.FaultLose, Of: 0.02},
		}},
	})
	if err != nil {
		return err
	}
	listener, err := listen(ctx)
	if err != nil {
		return err
	}
	f.hook = &http.Server{Handler: f.receiver, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	f.hook.Addr = listener.Addr().String()
	go func() { _ = f.hook.Serve(listener) }()
	return nil
}

func (f *fleet) journal() string { return filepath.Join(f.dir, "receiver.ndjson") }
func (f *fleet) events() string  { return filepath.Join(f.dir, "events.ndjson") }

// programs starts Banyan's: each reaches PostgreSQL and Temporal through a proxy.
func (f *fleet) programs(ctx context.Context) error {
	at, err := url.Parse(f.postgres.URL)
	if err != nil {
		return errors.New("devstack's database URL cannot be read")
	}
	direct := at.String()
	if out, err := f.operate(ctx, direct, "migrate", "up"); err != nil {
		return fmt.Errorf("migrate: %w\n%s", err, out)
	}
	at.Host = f.toData.Address()
	env := []string{
		"BANYAN_DATABASE_URL=" + at.String(), "TEMPORAL_ADDRESS=" + f.toT.Address(), "TEMPORAL_NAMESPACE=" + namespace,
		"BANYAN_LOG=json", "BANYAN_CHANNEL=webhook", "BANYAN_WEBHOOK_URL=http://" + f.hook.Addr + "/", "BANYAN_WEBHOOK_SECRET=" + secret,
		"BANYAN_WEBHOOK_ALLOW_PRIVATE=true", "BANYAN_ADMIN_KEY=" + adminKey, "BANYAN_DEMO_CLOCK=allow",
	}
	for i := range apis {
		listener, err := listen(ctx)
		if err != nil {
			return err
		}
		address := listener.Addr().String()
		if err := listener.Close(); err != nil {
			return err
		}
		f.urls = append(f.urls, "http://"+address)
		f.apis = append(f.apis, f.program(fmt.Sprintf("api %d", i+1), append(env, "BANYAN_LISTEN="+address), "serve"))
	}
	for i := range workers {
		f.workers = append(f.workers, f.program(fmt.Sprintf("worker %d", i+1), append(env, "BANYAN_LISTEN="), "worker"))
	}
	for _, p := range f.all() {
		if err := p.start(""); err != nil {
			return err
		}
	}
	for _, url := range f.urls {
		if err := until(ctx, 100*time.Millisecond, func() bool { return ready(ctx, url) }); err != nil {
			return fmt.Errorf("wait for the API at %s: %w\n%s", url, err, f.apis[0].tail(10))
		}
	}
	return nil
}

func (f *fleet) program(name string, env []string, args ...string) *program {
	return &program{name: name, path: f.banyan, args: args, env: env, log: filepath.Join(f.dir, strings.ReplaceAll(name, " ", "-")+".log")}
}

func (f *fleet) all() []*program { return append(append([]*program{}, f.apis...), f.workers...) }

// operate runs one of Banyan's commands as an operator does, past the proxies.
func (f *fleet) operate(ctx context.Context, dsn string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, f.banyan, args...)
	cmd.Env = append(os.Environ(), "BANYAN_DATABASE_URL="+dsn, "TEMPORAL_ADDRESS="+f.temporal.Address, "TEMPORAL_NAMESPACE="+namespace,
		"BANYAN_SERVER="+first(f.urls), "BANYAN_KEY="+adminKey, "LANG=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// keep restarts a server that ends by itself, as a service manager would.
func (f *fleet) keep() {
	ctx, cancel := context.WithCancel(context.Background())
	f.stopKeep = cancel
	for _, s := range []struct {
		name  string
		ended <-chan error
		start func(context.Context) error
	}{{postgresName, f.postgres.Failed(), f.postgres.Restart}, {temporalName, f.temporal.Failed(), f.temporal.Restart}} {
		f.keepers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-s.ended: //nolint:errcheck // why it ended stands in its log
				}
				f.again(ctx, s.name, time.Now(), s.start)
			}
		})
	}
}

// again starts a server that has ended by itself, unless the adversary has meanwhile
// taken it away and started it.
func (f *fleet) again(ctx context.Context, name string, ended time.Time, start func(context.Context) error) {
	f.serving.Lock()
	defer f.serving.Unlock()
	f.quits[name]++
	if f.started[name].After(ended) {
		return
	}
	for ctx.Err() == nil && start(ctx) != nil {
		_ = rest(ctx, keeperRest)
	}
}

// dismiss ends everything that was started, in whatever state it is.
func (f *fleet) dismiss() error {
	var errs []error
	if f.stopKeep != nil {
		f.stopKeep()
		f.keepers.Wait()
	}
	for _, p := range f.all() {
		errs = append(errs, p.kill())
	}
	if f.client != nil {
		f.client.Close()
	}
	if f.pool != nil {
		f.pool.Close()
	}
	if f.hook != nil {
		errs = append(errs, f.hook.Close(), f.receiver.Close())
	}
	ctx := context.Background() // what was started is ended, whoever is impatient
	if f.temporal != nil {
		errs = append(errs, f.temporal.Kill(), f.temporal.Stop(ctx))
	}
	for _, p := range []*proxy.Proxy{f.toData, f.fromT, f.toT} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	if f.postgres != nil {
		errs = append(errs, f.postgres.Stop(ctx))
	}
	return errors.Join(errs...)
}

// connect opens a connection past the proxies.
func (f *fleet) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, f.postgres.URL)
}

func listen(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", "127.0.0.1:0")
}

func ready(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// until waits for a condition.
func until(ctx context.Context, every time.Duration, holds func() bool) error {
	for !holds() {
		if err := rest(ctx, every); err != nil {
			return err
		}
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// silent keeps the client's complaints about dead servers to itself: they are the point.
func silent() quiet { return quiet{} }

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
