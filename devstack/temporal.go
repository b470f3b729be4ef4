package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/banyanhq/banyan/campaign"
)

// Temporal is a running Temporal server, ours or somebody else's.
type Temporal struct {
	// Address is the server's host:port.
	Address string
	// UI is the web UI's URL; empty if there is none.
	UI string

	binary  string
	args    []string
	env     []string
	service *service // nil if somebody else runs it
	scratch *scratch // of its own, if it was started alone
}

const (
	temporalStartTimeout = time.Minute
	temporalStopGrace    = 5 * time.Second // the server's own limit is two seconds
)

// temporalPorts are the ports of a server and its web UI.
type temporalPorts struct {
	Server int `json:"server"`
	UI     int `json:"ui"`
}

// StartTemporal gives the Temporal that the environment names, or else starts our own
// embedded server, with its data from last time if there is some, building it first if
// need be.
func StartTemporal(ctx context.Context, cfg Config) (*Temporal, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	if cfg.temporalIsExternal() {
		return externalTemporal(ctx, cfg)
	}
	t := &Temporal{env: os.Environ()}
	if t.binary, err = BuildTemporal(ctx, cfg); err != nil {
		return nil, err
	}
	if cfg, t.scratch, err = cfg.withScratch(); err != nil {
		return nil, err
	}
	if err := t.startOwn(ctx, cfg); err != nil {
		return nil, errors.Join(err, t.Stop(context.WithoutCancel(ctx)))
	}
	return t, nil
}

// startOwn starts the embedded server. After an error, Stop puts away what it got to.
func (t *Temporal) startOwn(ctx context.Context, cfg Config) error {
	home := cfg.folder("temporal")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return fmt.Errorf("make Temporal's folder: %w", err)
	}
	lock, err := takeLock(ctx, filepath.Join(home, "lock"), "the Temporal data in "+home, nil)
	if err != nil {
		return err
	}
	t.service = newService("Temporal", filepath.Join(home, "temporal.log"), lock)
	if err := t.startServer(ctx, cfg, home); err != nil {
		return err
	}
	where := home
	if cfg.TemporalStore == StorePostgres {
		where = "PostgreSQL"
	}
	cfg.out.sayf("Temporal is up on %s (data in %s)", t.Address, where)
	if t.UI != "" {
		cfg.out.sayf("Temporal's web UI: %s", t.UI)
	}
	return nil
}

// startServer chooses ports and store, and starts. Ports that were free a moment ago may
// be taken by the time the server asks for them; then it tries others.
func (t *Temporal) startServer(ctx context.Context, cfg Config, home string) error {
	t.args = []string{
		"--watch-stdin",
		"--namespace", client.DefaultNamespace,
		"--search-attributes", strings.Join(campaign.SearchAttributes(), ","),
	}
	if err := t.useStore(cfg, home); err != nil {
		return err
	}
	arguments := t.args
	for attempt := 1; ; attempt++ {
		ports, err := cfg.temporalPorts(ctx, home)
		if err != nil {
			return err
		}
		t.args = slices.Concat(arguments, []string{
			"--port", strconv.Itoa(ports.Server), "--ui-port", strconv.Itoa(ports.UI),
		})
		err = t.Restart(ctx)
		if err == nil || attempt == 3 || !strings.Contains(err.Error(), "is taken") {
			return err
		}
	}
}

// useStore says where the server keeps its data.
func (t *Temporal) useStore(cfg Config, home string) error {
	if cfg.TemporalStore == StoreSQLite {
		t.args = append(t.args, "--db", filepath.Join(home, "temporal.db"))
		return nil
	}
	dsn, err := url.Parse(cfg.TemporalDatabaseURL)
	if err != nil || dsn.Scheme == "" {
		// The parser's own words would repeat the URL, and with it the password.
		return errors.New("keep Temporal's data in PostgreSQL: the database must be given as postgres://…")
	}
	if password, ok := dsn.User.Password(); ok {
		// Every user of the machine can read command lines.
		t.env = append(t.env, "PGPASSWORD="+password)
		dsn.User = url.User(dsn.User.Username())
	}
	t.args = append(t.args, "--postgres", dsn.String())
	return nil
}

// temporalPorts gives the ports of last time, or new ones, and remembers them.
func (c Config) temporalPorts(ctx context.Context, home string) (temporalPorts, error) {
	file := filepath.Join(home, "ports.json")
	last := temporalPorts{}
	if text, err := os.ReadFile(file); err == nil {
		// Ports are a habit, not a promise: an unreadable file means new ones.
		_ = json.Unmarshal(text, &last)
	}
	var ports temporalPorts
	var err error
	prefer := c.machine.ports
	if c.Ephemeral {
		prefer = temporalPorts{}
	}
	if ports.Server, err = choosePort(ctx, last.Server, prefer.Server); err != nil {
		return ports, err
	}
	for !c.NoUI && (ports.UI == 0 || ports.UI == ports.Server) {
		if ports.UI, err = choosePort(ctx, last.UI, prefer.UI); err != nil {
			return ports, err
		}
	}
	text, err := json.Marshal(ports)
	if err != nil {
		return ports, fmt.Errorf("remember Temporal's ports: %w", err)
	}
	return ports, writeFile(file, text)
}

// Restart starts the server again after Kill: same ports, same data.
func (t *Temporal) Restart(ctx context.Context) error {
	if t.service == nil {
		return errors.New("restart Temporal: somebody else runs it")
	}
	ctx, cancel := context.WithTimeout(ctx, temporalStartTimeout)
	defer cancel()
	cmd := exec.Command(t.binary, t.args...) //nolint:noctx // outlives the start; Stop ends it
	cmd.Env = t.env
	cmd.Dir = filepath.Dir(t.service.logFile)
	cmd.SysProcAttr = childAttributes(nil)
	ready := &readyLine{found: make(chan struct{})}
	c, err := t.service.start(cmd, ready)
	if err != nil {
		return err
	}
	select {
	case <-ready.found:
		t.Address, t.UI = ready.field("address"), ready.field("ui")
		t.service.watch(c)
		return nil
	case <-c.done:
		return t.service.ended(c)
	case <-ctx.Done():
		return errors.Join(
			fmt.Errorf("wait for Temporal: %w\n%s", context.Cause(ctx), tail(t.service.logFile)),
			t.service.kill())
	}
}

// Stop ends a server of ours; it leaves another's alone.
func (t *Temporal) Stop(ctx context.Context) error {
	if t.service == nil || t.service.lock == nil {
		return t.scratch.remove()
	}
	err := t.service.stop(ctx, syscall.SIGTERM, temporalStopGrace)
	err = errors.Join(err, t.service.lock.release())
	t.service.lock = nil
	return errors.Join(err, t.scratch.remove())
}

// Kill ends the server with SIGKILL, as a crash would.
func (t *Temporal) Kill() error {
	if t.service == nil {
		return errors.New("kill Temporal: somebody else runs it")
	}
	return t.service.kill()
}

// Failed yields an error when the server ends that nobody stopped; never for one that
// somebody else runs.
func (t *Temporal) Failed() <-chan error { return t.service.failed() }

// temporalIsExternal says whether the environment names a server. Temporal's default
// configuration file alone does not count: a developer's profile for production must
// not turn a local stack, or a test run, into visitors there.
func (c Config) temporalIsExternal() bool {
	for _, name := range temporalSelectors() {
		if c.machine.getenv(name) != "" {
			return true
		}
	}
	return false
}

// temporalSelectors are the variables of Temporal's environment configuration that name
// a server.
func temporalSelectors() []string {
	return []string{EnvTemporalAddress, "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"}
}

// externalTemporal checks the server that the environment names.
func externalTemporal(ctx context.Context, cfg Config) (*Temporal, error) {
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: envLookup{cfg.machine}})
	if err != nil {
		return nil, fmt.Errorf("read Temporal's environment configuration: %w", err)
	}
	if options.HostPort == "" {
		options.HostPort = client.DefaultHostPort
	}
	if err := checkTemporal(ctx, options); err != nil {
		return nil, fmt.Errorf("use the Temporal at %s that the environment names: %w", options.HostPort, err)
	}
	cfg.out.sayf("Temporal: the one at %s", options.HostPort)
	return &Temporal{Address: options.HostPort, UI: cfg.machine.getenv(EnvTemporalUI)}, nil
}

// checkTemporal connects and asks whether the server is well.
func checkTemporal(ctx context.Context, options client.Options) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	options.Logger = silent{}
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.Close()
	if _, err := c.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("check its health: %w", err)
	}
	return nil
}

// readyLine takes the server's standard output and waits for the line that says it is up.
type readyLine struct {
	mu    sync.Mutex
	text  string
	found chan struct{} // closed when the line is complete
}

// Write collects output; it is called by one goroutine.
func (r *readyLine) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	complete := strings.Contains(r.text, "\n")
	if !complete {
		r.text += string(p)
		if strings.HasPrefix(r.text, "ready ") && strings.Contains(r.text, "\n") {
			close(r.found)
		}
	}
	return len(p), nil
}

// field gives the value of one key=value of the line.
func (r *readyLine) field(key string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, word := range strings.Fields(r.text) {
		if value, ok := strings.CutPrefix(word, key+"="); ok {
			return value
		}
	}
	return ""
}

// silent is a client logger for checks whose failure is reported as an error.
type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}

// envLookup reads Temporal's environment configuration from a machine.
type envLookup struct{ machine *machine }

// Environ lists the variables; only the process has a list.
func (e envLookup) Environ() []string { return os.Environ() }

// LookupEnv gives one variable; Temporal treats empty as unset for those we replace.
func (e envLookup) LookupEnv(key string) (string, bool) {
	value := e.machine.getenv(key)
	return value, value != ""
}
