package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres is a running PostgreSQL, ours or somebody else's.
type Postgres struct {
	// URL is a connection string for a database of Banyan's own.
	URL string

	cluster *cluster // nil if somebody else runs it
	service *service
	scratch *scratch // of its own, if it was started alone
}

const (
	postgresStartTimeout = time.Minute
	// postgresStopGrace covers the checkpoint of a fast shutdown.
	postgresStopGrace = 20 * time.Second
)

// leashScript starts PostgreSQL on the leash. Its stages:
//
//	the shell keeps its standard input, the leash, as file 4;
//	a watcher in the background, without the lock that is file 3, reads the leash until
//	it ends, and then asks the process with the shell's id for a fast shutdown;
//	the shell becomes PostgreSQL, which therefore has that id.
//
// The watcher is started through a subshell that ends at once, so that it is not a child
// of PostgreSQL, which looks after all its children.
const leashScript = `exec 4<&0 </dev/null
( ( exec 3<&-; read -r _ <&4; kill -INT $$ ) >/dev/null 2>&1 & )
exec "$@" 4<&-`

// StartPostgres gives the PostgreSQL that BANYAN_DATABASE_URL names, or else starts a
// private cluster, with its data from last time if there is some.
func StartPostgres(ctx context.Context, cfg Config) (*Postgres, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	if dsn := cfg.machine.getenv(EnvDatabaseURL); dsn != "" {
		if err := pingPostgres(ctx, dsn); err != nil {
			return nil, fmt.Errorf("use the PostgreSQL of %s: %w", EnvDatabaseURL, err)
		}
		cfg.out.sayf("PostgreSQL: the one that %s names", EnvDatabaseURL)
		return &Postgres{URL: dsn}, nil
	}

	p := &Postgres{}
	if cfg, p.scratch, err = cfg.withScratch(); err != nil {
		return nil, err
	}
	if err := p.startOwn(ctx, cfg); err != nil {
		return nil, errors.Join(err, p.Stop(context.WithoutCancel(ctx)))
	}
	return p, nil
}

// startOwn starts a private cluster. After an error, Stop puts away what it got to.
func (p *Postgres) startOwn(ctx context.Context, cfg Config) error {
	c, err := placeCluster(cfg)
	if err != nil {
		return err
	}
	lock, err := takeLock(ctx, filepath.Join(c.home, "lock"), "the PostgreSQL data in "+c.home, c.stopLeftover)
	if err != nil {
		return err
	}
	p.cluster, p.service = c, newService("PostgreSQL", filepath.Join(c.home, "postgres.log"), lock)
	if err := p.startCluster(ctx, cfg); err != nil {
		return err
	}
	p.URL = c.url(postgresDatabase)
	cfg.out.sayf("PostgreSQL %s is up on %s (data in %s)", c.bin.version, address(c.Port), c.home)
	return nil
}

// startCluster starts a cluster that is locked for us and makes our database.
func (p *Postgres) startCluster(ctx context.Context, cfg Config) error {
	c := p.cluster
	if err := c.ready(ctx, cfg); err != nil {
		return err
	}
	if err := c.clearStalePID(ctx); err != nil {
		return err
	}
	port, err := choosePort(ctx, c.Port)
	if err != nil {
		return err
	}
	if port != c.Port {
		c.Port = port
		if err := c.writeConnection(); err != nil {
			return err
		}
	}
	if err := p.run(ctx); err != nil {
		return err
	}
	return c.createDatabase(ctx)
}

// run starts the server and waits until it takes connections. A cluster that was just
// killed may still have a straggler on its shared memory, and then refuses for a moment.
func (p *Postgres) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, postgresStartTimeout)
	defer cancel()
	for {
		c, err := p.service.start(p.cluster.command(), nil)
		if err != nil {
			return err
		}
		err = p.await(ctx, c)
		if err == nil {
			p.service.watch(c)
			return nil
		}
		if ctx.Err() != nil || !strings.Contains(err.Error(), "pre-existing shared memory") {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// await returns when the server takes connections, or when it ended instead.
func (p *Postgres) await(ctx context.Context, c *child) error {
	for {
		err := pingPostgres(ctx, p.cluster.url("postgres"))
		if err == nil {
			return nil
		}
		select {
		case <-c.done:
			return p.service.ended(c)
		default:
		}
		if waitErr := pause(ctx); waitErr != nil {
			return fmt.Errorf("wait for PostgreSQL: %w (last: %w)\n%s", waitErr, err, tail(p.service.logFile))
		}
	}
}

// Stop ends a PostgreSQL of ours; it leaves another's alone.
func (p *Postgres) Stop(ctx context.Context) error {
	if p.service == nil || p.service.lock == nil {
		return p.scratch.remove()
	}
	// SIGINT is a fast shutdown: sessions end, nothing that was committed is lost.
	// Ephemeral data goes away anyhow, so SIGQUIT spares it the last checkpoint.
	signal := os.Signal(syscall.SIGINT)
	if p.cluster.ephemeral {
		signal = syscall.SIGQUIT
	}
	err := p.service.stop(ctx, signal, postgresStopGrace)
	err = errors.Join(err, p.service.lock.release())
	p.service.lock = nil
	return errors.Join(err, p.scratch.remove())
}

// Kill ends the main process with SIGKILL, as a crash would.
func (p *Postgres) Kill() error {
	if p.service == nil {
		return errors.New("kill PostgreSQL: somebody else runs it")
	}
	return p.service.kill()
}

// Abort ends the server as `pg_ctl stop -m immediate` does: sessions are cut off, nothing
// is written any more, and the next start recovers from the log. Unlike Kill it leaves
// no process behind, so that a start right after it finds the data free.
func (p *Postgres) Abort(ctx context.Context) error {
	if p.service == nil {
		return errors.New("abort PostgreSQL: somebody else runs it")
	}
	return p.service.stop(ctx, syscall.SIGQUIT, postgresStopGrace)
}

// Failed yields an error when the server ends that nobody stopped; never for one that
// somebody else runs.
func (p *Postgres) Failed() <-chan error { return p.service.failed() }

// Restart starts the cluster again after Kill or Abort: same port, same data.
func (p *Postgres) Restart(ctx context.Context) error {
	if p.service == nil {
		return errors.New("restart PostgreSQL: somebody else runs it")
	}
	return p.run(ctx)
}

// command is the server with its settings for development.
func (c *cluster) command() *exec.Cmd {
	settings := []string{
		"listen_addresses=" + loopback,
		"port=" + strconv.Itoa(c.Port),
		// Sockets have short path limits and need a folder that both users can use;
		// loopback does for everything.
		"unix_socket_directories=",
		// Packages of tests run side by side, each with pools of its own, beside
		// Temporal's 25 connections.
		"max_connections=200",
		// A development machine has other work; the system's file cache does the rest.
		"shared_buffers=128MB",
		// Queries are short: compiling one costs more than running it.
		"jit=off",
		"timezone=UTC",
		"log_timezone=UTC",
		// Chatter about checkpoints would hide what matters.
		"log_checkpoints=off",
		"log_line_prefix=%m [%p] %d ",
	}
	if c.ephemeral {
		// The data does not outlive the process, so nothing needs to outlive the
		// machine. Killed processes are still survived: what they wrote is the system's, and
		// with synchronous commits it is written before anybody is told.
		settings = append(settings, "fsync=off", "full_page_writes=off", "max_wal_size=256MB")
	}
	args := []string{"-c", leashScript, "sh", c.bin.postgres(), "-D", c.data}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command("/bin/sh", args...) //nolint:noctx // outlives the start; Stop ends it
	cmd.Dir = c.home
	cmd.Env = c.environment()
	cmd.SysProcAttr = childAttributes(c.account)
	return cmd
}

// createDatabase makes Banyan's database unless it is there.
func (c *cluster) createDatabase(ctx context.Context) error {
	return withConnection(ctx, c.url("postgres"), func(connection *pgx.Conn) error {
		var exists bool
		if err := connection.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)",
			postgresDatabase).Scan(&exists); err != nil {
			return fmt.Errorf("look for database %s: %w", postgresDatabase, err)
		}
		if exists {
			return nil
		}
		if _, err := connection.Exec(ctx, "CREATE DATABASE "+postgresDatabase); err != nil {
			return fmt.Errorf("create database %s: %w", postgresDatabase, err)
		}
		return nil
	})
}

// pingPostgres connects and asks something.
func pingPostgres(ctx context.Context, dsn string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return withConnection(ctx, dsn, func(connection *pgx.Conn) error { return connection.Ping(ctx) })
}

// withConnection lends a connection to do.
func withConnection(ctx context.Context, dsn string, do func(*pgx.Conn) error) error {
	connection, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	err = do(connection)
	return errors.Join(err, connection.Close(ctx))
}
