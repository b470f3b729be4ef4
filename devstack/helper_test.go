package devstack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
)

// envHelper makes the test binary a starter that a test can kill: it brings a stack up
// on the configuration in this variable, prints it, and waits for its own end.
const envHelper = "DEVSTACK_TEST_HELPER"

func TestMain(m *testing.M) {
	if text := os.Getenv(envHelper); text != "" {
		if err := helper(text); err != nil {
			fmt.Fprintln(os.Stderr, "helper:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// helperConfig is what a helper process is told.
type helperConfig struct {
	Dir          string
	PostgresOnly bool
}

func helper(text string) error {
	var told helperConfig
	if err := json.Unmarshal([]byte(text), &told); err != nil {
		return err
	}
	cfg := Config{Dir: told.Dir, Own: true, NoUI: true, Out: os.Stderr, machine: testMachine()}
	up := Stack{}
	if told.PostgresOnly {
		postgres, err := StartPostgres(context.Background(), cfg)
		if err != nil {
			return err
		}
		up.DatabaseURL = postgres.URL
	} else {
		stack, err := Up(context.Background(), cfg)
		if err != nil {
			return err
		}
		up = *stack
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{
		"database": up.DatabaseURL, "temporal": up.TemporalAddress,
	}); err != nil {
		return err
	}
	select {} // until killed
}

// testMachine is this one, but leaves Temporal's default ports to people.
func testMachine() *machine {
	m := thisMachine()
	m.ports = temporalPorts{}
	return m
}

// newDir gives a data folder that PostgreSQL's user can reach (t.TempDir is private),
// with the server that the project has built already.
func newDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "banyan-devstack-test-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(builtServer(t)), filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// theServer is built once for all tests, in the project's own folder.
var theServer = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	return BuildTemporal(ctx, Config{Out: os.Stderr})
})

func builtServer(t *testing.T) string {
	t.Helper()
	path, err := theServer()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// bring brings a stack up and takes it down at the end of the test.
func bring(t *testing.T, cfg Config) *Stack {
	t.Helper()
	cfg.Own = true
	if cfg.machine == nil {
		cfg.machine = testMachine()
	}
	stack, err := Up(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return stack
}

// execute runs one statement on a database.
func execute(ctx context.Context, t *testing.T, dsn, statement string) {
	t.Helper()
	if err := withConnection(ctx, dsn, func(connection *pgx.Conn) error {
		_, err := connection.Exec(ctx, statement)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// count counts the rows of table things.
func count(ctx context.Context, t *testing.T, dsn string) int {
	t.Helper()
	var n int
	if err := withConnection(ctx, dsn, func(connection *pgx.Conn) error {
		return connection.QueryRow(ctx, "SELECT count(*) FROM things").Scan(&n)
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// startWorkflow starts a workflow that nobody works on, so that it stays open.
func startWorkflow(t *testing.T, address, id string) {
	t.Helper()
	c := dial(t, address)
	if _, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: "nobody"}, "none"); err != nil {
		t.Fatal(err)
	}
}

// requireWorkflow fails unless the workflow is there and open.
func requireWorkflow(t *testing.T, address, id string) {
	t.Helper()
	description, err := dial(t, address).DescribeWorkflowExecution(t.Context(), id, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := description.GetWorkflowExecutionInfo().GetStatus(); got != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		t.Fatalf("the workflow is %s", got)
	}
}

func dial(t *testing.T, address string) client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), client.Options{HostPort: address, Logger: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// eventually waits for a condition, failing after a generous while.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !condition() {
		if err := pause(ctx); err != nil {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}
