package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// The stores a Temporal server of ours can keep its data in.
const (
	// StoreSQLite is one file; the default.
	StoreSQLite = "sqlite"
	// StorePostgres is the same server on PostgreSQL, as in production.
	StorePostgres = "postgres"
)

// Environment variables that this package reads or hands on.
const (
	EnvDatabaseURL     = "BANYAN_DATABASE_URL"
	EnvTemporalAddress = "TEMPORAL_ADDRESS"
	EnvTemporalUI      = "BANYAN_TEMPORAL_UI"
	EnvHome            = "BANYAN_HOME"
	EnvSource          = "BANYAN_SOURCE"
)

// Config says where things live and how they are kept. The zero value is right for
// `banyan dev`.
type Config struct {
	// Dir is the project's own data folder. Empty means BANYAN_HOME, or else `.banyan`
	// next to Banyan's go.mod, or else `.banyan` in the current folder.
	Dir string
	// Out receives progress for people; nil means silence.
	Out io.Writer
	// Ephemeral gives fresh data in a temporary folder that Down removes. Dir then
	// only keeps what was built.
	Ephemeral bool
	// Durable makes an ephemeral PostgreSQL wait for the disk as one in production does.
	// It is for measurements; tests need not wait.
	Durable bool
	// Own starts services of our own even where the environment names others. It is
	// for tests that kill what they use.
	Own bool
	// NoUI leaves out Temporal's web UI.
	NoUI bool
	// TemporalStore is StoreSQLite (the default) or StorePostgres.
	TemporalStore string
	// TemporalDatabaseURL is the cluster for StorePostgres. Up fills it in.
	TemporalDatabaseURL string

	machine *machine // what this package asks of the machine; tests replace it
	out     *progress
	scratch *scratch // the temporary folder of an ephemeral stack
}

// Stack is a running PostgreSQL and Temporal.
type Stack struct {
	// DatabaseURL is a PostgreSQL connection string for a database of Banyan's own.
	DatabaseURL string
	// TemporalAddress is the server's host:port.
	TemporalAddress string
	// TemporalUI is the web UI's URL; empty if there is none.
	TemporalUI string

	postgres *Postgres
	temporal *Temporal
	scratch  *scratch
}

// Up brings both services up, side by side, and returns when both answer. ctx bounds
// the start; a stack that is up lives until Down, or until this process ends.
func Up(ctx context.Context, cfg Config) (*Stack, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	stack := &Stack{}
	if cfg, stack.scratch, err = cfg.withScratch(); err != nil {
		return nil, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	databaseUp := make(chan struct{})
	group.Go(func() error {
		var err error
		stack.postgres, err = StartPostgres(groupCtx, cfg)
		if err == nil {
			close(databaseUp)
		}
		return err
	})
	group.Go(func() error {
		cfg := cfg
		if cfg.TemporalStore == StorePostgres && cfg.TemporalDatabaseURL == "" && !cfg.temporalIsExternal() {
			// Building takes minutes the first time and needs no database.
			if _, err := BuildTemporal(groupCtx, cfg); err != nil {
				return err
			}
			select {
			case <-databaseUp:
				cfg.TemporalDatabaseURL = stack.postgres.URL
			case <-groupCtx.Done():
				return groupCtx.Err()
			}
		}
		var err error
		stack.temporal, err = StartTemporal(groupCtx, cfg)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, stack.Down(context.WithoutCancel(ctx)))
	}
	stack.DatabaseURL = stack.postgres.URL
	stack.TemporalAddress = stack.temporal.Address
	stack.TemporalUI = stack.temporal.UI
	return stack, nil
}

// Down stops what Up started: Temporal first, because it may live on the database. It
// leaves alone what was there before. Calling it again does nothing.
func (s *Stack) Down(ctx context.Context) error {
	var errs []error
	if s.temporal != nil {
		errs = append(errs, s.temporal.Stop(ctx))
	}
	if s.postgres != nil {
		errs = append(errs, s.postgres.Stop(ctx))
	}
	return errors.Join(append(errs, s.scratch.remove())...)
}

// Env is the environment, as KEY=value, by which another program finds the stack.
func (s *Stack) Env() []string {
	env := []string{
		EnvDatabaseURL + "=" + s.DatabaseURL,
		EnvTemporalAddress + "=" + s.TemporalAddress,
	}
	if s.TemporalUI != "" {
		env = append(env, EnvTemporalUI+"="+s.TemporalUI)
	}
	return env
}

// Wait returns nil when ctx ends, or an error as soon as a service ends that nobody
// stopped, with the last lines of its log.
func (s *Stack) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.postgres.service.failed():
		return err
	case err := <-s.temporal.service.failed():
		return err
	}
}

// KillTemporal ends Temporal with SIGKILL and returns when it is gone.
func (s *Stack) KillTemporal() error { return s.temporal.Kill() }

// StartTemporal starts Temporal again after KillTemporal: same ports, same data.
func (s *Stack) StartTemporal(ctx context.Context) error { return s.temporal.Restart(ctx) }

// KillPostgres ends PostgreSQL with SIGKILL and returns when its main process is gone.
func (s *Stack) KillPostgres() error { return s.postgres.Kill() }

// StartPostgres starts PostgreSQL again after KillPostgres: same port, same data.
func (s *Stack) StartPostgres(ctx context.Context) error { return s.postgres.Restart(ctx) }

// complete fills in defaults. Calling it on a complete Config changes nothing.
func (c Config) complete() (Config, error) {
	if c.machine == nil {
		c.machine = thisMachine()
	}
	if c.Own {
		c.machine = c.machine.withoutServices()
	}
	if c.out == nil {
		c.out = newProgress(c.Out)
	}
	switch c.TemporalStore {
	case "":
		c.TemporalStore = StoreSQLite
	case StoreSQLite, StorePostgres:
	default:
		return c, fmt.Errorf("unknown Temporal store %q: use %s or %s", c.TemporalStore, StoreSQLite, StorePostgres)
	}
	if c.Dir == "" {
		c.Dir = c.machine.home()
	}
	var err error
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return c, fmt.Errorf("find the data folder: %w", err)
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return c, fmt.Errorf("make the data folder: %w", err)
	}
	return c, nil
}

// withScratch gives an ephemeral configuration its folder if it has none yet. The folder
// belongs to the caller, who gets nil if it has somebody else's.
func (c Config) withScratch() (Config, *scratch, error) {
	if !c.Ephemeral || c.scratch != nil {
		return c, nil, nil
	}
	made, err := newScratch()
	c.scratch = made
	return c, made, err
}

// folder is where a service of this configuration keeps its data.
func (c Config) folder(service string) string {
	if c.scratch != nil {
		return filepath.Join(c.scratch.dir, service)
	}
	return filepath.Join(c.Dir, service)
}
