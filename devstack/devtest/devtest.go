// Package devtest gives tests real services: a database of their own, a Temporal
// namespace of their own, or a whole stack that they may kill.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { devtest.Main(m) }
//
// and takes what it needs:
//
//	dsn := devtest.Database(t)         // empty, dropped at cleanup
//	address := devtest.Temporal(t)     // shared with the other tests
//	namespace := devtest.Namespace(t)  // fresh, with Banyan's search attributes
//	stack := devtest.Stack(t)          // private, for tests that kill things
//
// The services are those that the environment names (BANYAN_TEST_DATABASE_URL or
// BANYAN_DATABASE_URL, TEMPORAL_ADDRESS), which is how `devstack run -- go test ./...`
// shares one stack among all packages. Without them, each test process starts an
// ephemeral one at its first need. Tests do not see each other either way.
package devtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/devstack"
)

// EnvTestDatabaseURL names a cluster for tests alone; it wins over BANYAN_DATABASE_URL.
// Its role must be allowed to create databases.
const EnvTestDatabaseURL = "BANYAN_TEST_DATABASE_URL"

const (
	// startTimeout covers a first build of the Temporal server on a small machine.
	startTimeout = 20 * time.Minute
	stopTimeout  = 30 * time.Second
)

// The services of this test process, each started at its first need.
var (
	sharedPostgres shared[*devstack.Postgres]
	sharedTemporal shared[*devstack.Temporal]
)

// shared is a service that is started once per process.
type shared[S interface{ Stop(context.Context) error }] struct {
	once    sync.Once
	service S
	err     error
	started bool
}

// get starts the service at the first call.
func (s *shared[S]) get(tb testing.TB, start func(context.Context, devstack.Config) (S, error)) S {
	tb.Helper()
	s.once.Do(func() {
		// Not the test's context: the service outlives the test that needed it first.
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		s.service, s.err = start(ctx, config())
		s.started = s.err == nil
	})
	if s.err != nil {
		tb.Fatalf("start a service for tests: %v", s.err)
	}
	return s.service
}

// stop ends the service if it was started.
func (s *shared[S]) stop(ctx context.Context) error {
	if !s.started {
		return nil
	}
	return s.service.Stop(ctx)
}

// config is what tests need: fresh data, no web UI, progress where a slow first build
// would otherwise look like a hang.
func config() devstack.Config {
	return devstack.Config{Ephemeral: true, NoUI: true, Out: os.Stderr}
}

// Main runs a package's tests and then takes down what they started. Call it from
// TestMain; the test binary exits with the status of the tests.
func Main(m *testing.M) {
	status := m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := errors.Join(sharedTemporal.stop(ctx), sharedPostgres.stop(ctx)); err != nil {
		fmt.Fprintln(os.Stderr, "devtest: take the services down:", err)
		if status == 0 {
			status = 1
		}
	}
	os.Exit(status) //nolint:gocritic // exitAfterDefer: only a timer is left
}

// Stack brings up a private ephemeral stack and takes it down at cleanup. Options may
// change its configuration, for instance its Temporal store. It costs about two seconds.
func Stack(tb testing.TB, options ...func(*devstack.Config)) *devstack.Stack {
	tb.Helper()
	cfg := config()
	cfg.Own = true // private even where the environment names a shared one
	for _, option := range options {
		option(&cfg)
	}
	stack, err := devstack.Up(tb.Context(), cfg)
	if err != nil {
		tb.Fatalf("bring a stack up: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := stack.Down(ctx); err != nil {
			tb.Errorf("take the stack down: %v", err)
		}
	})
	return stack
}
