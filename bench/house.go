package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/devstack"
	"github.com/banyanhq/banyan/store"
)

// house is one installation: servers of its own, Banyan's database, and the database of
// the hand-written service beside it in the same PostgreSQL.
type house struct {
	run    *run
	stack  *devstack.Stack
	store  *store.Store
	pool   *pgxpool.Pool // of Banyan's database
	hand   *pgxpool.Pool // of the hand-written one
	client client.Client // nil without Temporal

	url, handURL     string
	server, database int // process ids; 0: unknown
	stop             []func() error
}

// openHouse brings the servers up: PostgreSQL that waits for the disk, and Temporal with
// its data where temporalStore says; without Temporal if that is empty.
func openHouse(ctx context.Context, r *run, temporalStore string) (h *house, err error) {
	h = &house{run: r}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	cfg := devstack.Config{Ephemeral: true, Durable: true, Own: true, NoUI: true, TemporalStore: temporalStore, Out: r.progress}
	if temporalStore == "" {
		postgres, err := devstack.StartPostgres(ctx, cfg)
		if err != nil {
			return h, err
		}
		h.stop = append(h.stop, func() error { return postgres.Stop(context.WithoutCancel(ctx)) })
		h.url = postgres.URL
	} else {
		if h.stack, err = devstack.Up(ctx, cfg); err != nil {
			return h, err
		}
		h.stop = append(h.stop, func() error { return h.stack.Down(context.WithoutCancel(ctx)) })
		h.url = h.stack.DatabaseURL
		if err := h.dial(ctx); err != nil {
			return h, err
		}
	}
	h.server, h.database = childNamed("temporal"), childNamed("postgres")
	return h, h.prepare(ctx)
}

func (h *house) dial(ctx context.Context) (err error) {
	h.client, err = client.DialContext(ctx, client.Options{HostPort: h.stack.TemporalAddress, Logger: silent{}})
	if err != nil {
		return fmt.Errorf("connect to Temporal: %w", err)
	}
	h.stop = append(h.stop, func() error { h.client.Close(); return nil })
	info, err := h.client.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return fmt.Errorf("ask Temporal for its version: %w", err)
	}
	h.run.Machine.Temporal = info.GetServerVersion()
	return nil
}

// prepare makes both databases and opens them.
func (h *house) prepare(ctx context.Context) (err error) {
	if _, err = store.Migrate(ctx, h.url); err != nil {
		return err
	}
	if h.store, err = store.Open(ctx, h.url, store.WithApplicationName("bench")); err != nil {
		return err
	}
	h.stop = append(h.stop, func() error { h.store.Close(); return nil })
	if h.pool, err = pgxpool.New(ctx, h.url); err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	h.stop = append(h.stop, func() error { h.pool.Close(); return nil })
	if err := h.pool.QueryRow(ctx, "show server_version").Scan(&h.run.Machine.Postgres); err != nil {
		return fmt.Errorf("ask PostgreSQL for its version: %w", err)
	}
	if _, err := h.pool.Exec(ctx, "create database hand"); err != nil {
		return fmt.Errorf("make the database of the hand-written service: %w", err)
	}
	h.handURL = regexp.MustCompile(`/[^/?]*(\?|$)`).ReplaceAllString(h.url, "/hand$1")
	if h.hand, err = pgxpool.New(ctx, h.handURL); err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	h.stop = append(h.stop, func() error { h.hand.Close(); return nil })
	_, err = h.hand.Exec(ctx, handSchema)
	return err
}

// close takes down what was brought up, the last first.
func (h *house) close() error {
	var errs []error
	for len(h.stop) > 0 {
		last := len(h.stop) - 1
		errs = append(errs, h.stop[last]())
		h.stop = h.stop[:last]
	}
	return errors.Join(errs...)
}

// submit stores a campaign under a name of its own and starts it.
func (h *house) submit(ctx context.Context, source string, clock *store.DemoClock) (name string, err error) {
	h.run.houses++
	name = fmt.Sprintf("c%d", h.run.houses)
	source = regexp.MustCompile(`(?m)^campaign: .*$`).ReplaceAllString(source, "campaign: "+name)
	def, problems := definitions.Check("campaign.yaml", []byte(source))
	if def == nil || problems.Refused() {
		return "", fmt.Errorf("the campaign does not check:\n%s", problems.Text(false))
	}
	if _, err := h.store.Submit(ctx, def, []byte(source)); err != nil {
		return "", err
	}
	return name, h.store.Start(ctx, name, clock)
}

// retire lets nobody else into a campaign: what is measured next would enter it too.
func (h *house) retire(ctx context.Context, name string) error { return h.store.End(ctx, name, true) }

// tell stores events in batches as large as the API takes them.
func (h *house) tell(ctx context.Context, events []campaign.Event) error {
	for len(events) > 0 {
		n := min(1000, len(events))
		if _, err := h.store.StoreEvents(ctx, events[:n]); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

// patience is how long a benchmark waits without any change before it gives up: longer
// than the longest lock.
const patience = 12 * time.Minute

// until waits for a question to be answered with this number. It asks every so often,
// and less often where asking takes long, so that it costs next to nothing; the time is
// found out as exactly as that.
func until(ctx context.Context, every time.Duration, pool *pgxpool.Pool, want int64, sql string, args ...any) error {
	last, since := int64(-1), time.Now()
	for {
		var got int64
		asked := time.Now()
		if err := pool.QueryRow(ctx, sql, args...).Scan(&got); err != nil {
			return fmt.Errorf("ask how far it is: %w", err)
		}
		switch {
		case got == want:
			return nil
		case got != last:
			last, since = got, time.Now()
		case time.Since(since) > patience:
			return fmt.Errorf("nothing has moved for %s: %d, and %d expected, of: %s", patience, got, want, sql)
		}
		pause := time.NewTimer(max(every, askingShare*time.Since(asked)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause.C:
		}
	}
}

// askingShare bounds what asking costs: one part of so many.
const askingShare = 25

// one answers a question in SQL that has one answer.
func one[T any](ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (answer T, err error) {
	err = pool.QueryRow(ctx, sql, args...).Scan(&answer)
	return answer, err
}

// databaseBytes is what a database takes on disk, after its dead rows were put away.
func (h *house) databaseBytes(ctx context.Context, name string) (int64, error) {
	return one[int64](ctx, h.pool, "select pg_database_size($1)", name)
}

// Environment of the processes that a benchmark starts of itself.
const (
	envRole     = "BENCH_ROLE"
	envDatabase = "BENCH_DATABASE"
	envTemporal = "BENCH_TEMPORAL"
	envProfile  = "BENCH_PROFILE"
)

// child is a process that runs one of the things compared. It lives on a leash: when
// this process ends, so does it.
type child struct {
	cmd     *exec.Cmd
	pid     int
	leash   io.WriteCloser
	answers *bufio.Reader
}

// start starts a process in a role and waits until it works.
func (h *house) start(role, database string, env ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program itself: %w", err)
	}
	cmd := exec.Command(self) //nolint:noctx // it outlives no benchmark; stop ends it
	cmd.Env = append(append(os.Environ(), envRole+"="+role, envDatabase+"="+database), env...)
	if h.stack != nil {
		cmd.Env = append(cmd.Env, envTemporal+"="+h.stack.TemporalAddress)
	}
	if h.run.profile != "" {
		h.run.houses++
		cmd.Env = append(cmd.Env, envProfile+"="+filepath.Join(h.run.profile, fmt.Sprintf("%s-%s-%d.pprof", h.run.Name, role, h.run.houses)))
	}
	cmd.Stderr = &lines{to: h.run.progress, head: "    " + role + ": "}
	c := &child{cmd: cmd}
	if c.leash, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	c.pid, c.answers = cmd.Process.Pid, bufio.NewReader(out)
	if _, err := c.answers.ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not come up: %w", role, err), c.stop())
	}
	return c, nil
}

// ask gives an order and waits until it is done.
func (c *child) ask(order string) error {
	if _, err := io.WriteString(c.leash, order+"\n"); err != nil {
		return fmt.Errorf("ask a process to %s: %w", order, err)
	}
	answer, err := c.answers.ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != order {
		return fmt.Errorf("ask a process to %s: it answers %q, %w", order, answer, err)
	}
	return nil
}

// stop lets the process end and waits for that.
func (c *child) stop() error {
	_ = c.leash.Close()
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("a process of the benchmark: %w", err)
	}
	return nil
}

// cost is the CPU time and memory of everything that takes part.
type cost struct {
	at                      time.Time
	worker, server, postgre usage
}

func (h *house) cost(c *child) cost {
	return cost{time.Now(), used(c.pid), used(h.server), used(h.database)}
}

// addCPU notes the CPU time of every process for each of n journeys.
func (r *run) addCPU(of, by string, from, to cost, n int) {
	if from.postgre.Memory == 0 {
		return // no /proc here
	}
	ms := func(a, b usage) float64 { return float64((b.CPU - a.CPU).Microseconds()) / 1000 / float64(n) }
	worker, server, postgres := ms(from.worker, to.worker), ms(from.server, to.server), ms(from.postgre, to.postgre)
	r.add(of, "CPU, worker and router", by, "ms each", worker)
	r.add(of, "CPU, Temporal", by, "ms each", server)
	r.add(of, "CPU, PostgreSQL", by, "ms each", postgres)
	r.add(of, "CPU, all", by, "ms each", worker+server+postgres)
}

// copyRows writes rows the fastest way there is.
func copyRows(ctx context.Context, pool *pgxpool.Pool, table string, columns []string, n int, row func(i int) []any) error {
	_, err := pool.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromSlice(n, func(i int) ([]any, error) { return row(i), nil }))
	if err != nil {
		return fmt.Errorf("fill %s: %w", table, err)
	}
	return nil
}

// silent drops what a Temporal client has to say.
type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}
