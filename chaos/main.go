// Command chaos runs a whole installation of Banyan, lets members walk through it, and
// does to it what happens to installations: processes are killed, servers crash,
// connections break, clocks are wrong, events come twice and in another order. In the end
// it proves that nothing was lost and nothing was done twice. See docs/reliability.md.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/banyanhq/banyan/chaos/judge"
)

// options are the command line.
type options struct {
	seed     uint64
	members  int
	duration time.Duration
	faults   int
	factor   int64
	settle   time.Duration
	drives   string
	write    string
	keep     bool
}

func main() {
	var o options
	flag.Uint64Var(&o.seed, "seed", 0, "what chance is drawn from; 0: a new one, which is printed")
	flag.IntVar(&o.members, "members", 5000, "how many members walk the funnel")
	flag.DurationVar(&o.duration, "duration", 10*time.Minute, "for how long faults are done")
	flag.IntVar(&o.faults, "faults", 50, "how many faults are done")
	flag.Int64Var(&o.factor, "factor", 900, "how many times as fast the campaigns' clocks run")
	flag.DurationVar(&o.settle, "settle", 10*time.Minute, "how long the fleet may take after the last fault until everything has settled")
	flag.StringVar(&o.drives, "drives", "members,slices", "the drives, each with its part of the members")
	flag.StringVar(&o.write, "write", "", "a page that takes the report, between its marks")
	flag.BoolVar(&o.keep, "keep", false, "keep logs and data also of a run that went well")
	flag.Parse()
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	// A second Ctrl-C ends us at once, and the fleet with us, for it is on a leash.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, &o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// errWrong is the end of a run that has proved the opposite of what it should.
var errWrong = errors.New("something is wrong: see the report")

// run does one run and writes its report.
func run(ctx context.Context, o *options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", fmt.Sprintf("banyan-chaos-%d-", o.seed))
	if err != nil {
		return err
	}
	// PostgreSQL may run as another user than ours.
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	r := &round{o: o, out: out, dir: dir, begin: time.Now()}
	r.say("seed %d: %d members, %d faults in %s; logs and data in %s", o.seed, o.members, o.faults, o.duration, dir)
	defer func() {
		if r.fleet != nil {
			err = errors.Join(err, r.fleet.dismiss())
		}
		if err == nil && !o.keep {
			err = os.RemoveAll(dir)
		} else {
			fmt.Fprintln(out, "logs and data are kept in", dir)
		}
	}()
	return r.all(ctx)
}

// round is one run.
type round struct {
	o         *options
	out       io.Writer
	dir       string
	begin     time.Time
	setup     *setup
	fleet     *fleet
	crowd     *crowd
	adversary *adversary
	trouble   chan error // the first thing that went wrong outside of the engine's promises

	mu sync.Mutex // of out
}

func (r *round) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, "%6.1f s  %s\n", time.Since(r.begin).Seconds(), fmt.Sprintf(format, args...))
}

func (r *round) all(ctx context.Context) error {
	o := r.o
	r.setup = newSetup(o.members, o.factor, strings.Split(o.drives, ","))
	r.trouble = make(chan error, 1)
	banyan, odd, err := build(ctx, r.dir)
	if err != nil {
		return err
	}
	r.say("both programs are built: the real one, and one with a wrong clock")
	file, err := judge.Create(filepath.Join(r.dir, "events.ndjson"))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	r.crowd = newCrowd(o.seed, r.setup.funnels, o.members, file)
	r.crowd.failing = func(err error) {
		select {
		case r.trouble <- err:
		default: // the first is the one worth telling
		}
	}
	r.fleet = newFleet(r.dir, banyan, odd)
	if err := r.fleet.muster(ctx, o.seed, r.crowd.got); err != nil {
		return err
	}
	r.say("the fleet is up: PostgreSQL, Temporal on PostgreSQL, %d APIs, %d workers", apis, workers)
	r.crowd.api = newAPI(r.fleet.urls)
	r.adversary = &adversary{f: r.fleet, crowd: r.crowd, setup: r.setup, versions: map[string]int{}}

	ctx, cancel := context.WithCancel(ctx)
	defer r.crowd.work.Wait()
	defer cancel()
	r.crowd.stop = ctx
	if err := r.open(ctx); err != nil {
		return err
	}
	return r.play(ctx)
}

// open submits and starts the campaigns on a fast clock.
func (r *round) open(ctx context.Context) error {
	body, err := json.Marshal(map[string]any{"demo_clock": map[string]int64{"factor": r.setup.factor}})
	if err != nil {
		return err
	}
	for i := range r.setup.funnels {
		f := &r.setup.funnels[i]
		if _, err := r.adversary.version(ctx, f); err != nil {
			return err
		}
		if _, err := r.crowd.api.insist(ctx, http.MethodPost, "/v1/campaigns/"+f.Campaign+"/start", "application/json", body, nil); err != nil {
			return fmt.Errorf("start %s: %w", f.Campaign, err)
		}
		var view struct{ Clock campaignClock }
		if _, err := r.crowd.api.insist(ctx, http.MethodGet, "/v1/campaigns/"+f.Campaign, "", nil, &view); err != nil {
			return fmt.Errorf("ask for %s: %w", f.Campaign, err)
		}
		r.crowd.clock[f.Campaign] = view.Clock
	}
	return nil
}

// play lets the crowd and the adversary loose, waits until everything has settled, and
// judges.
func (r *round) play(ctx context.Context) error {
	o := r.o
	plan := r.adversary.plan(o.seed, o.faults, o.duration)
	r.adversary.begin = time.Now()
	// All come in the first half, so that the last meet the last faults on their way.
	r.crowd.open(ctx, o.duration/2)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		r.adversary.run(ctx, plan, func(d deed) { r.say("%s", d.line()) })
	}()
	select {
	case <-finished:
	case err := <-r.trouble:
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.say("the last fault is over; %s", r.numbers(ctx))
	limit, cancel := context.WithTimeout(ctx, o.settle)
	defer cancel()
	settled := time.Now()
	if err := r.settle(limit); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.say("not settled after %s: %s", o.settle, r.numbers(ctx))
		fmt.Fprintln(r.out, r.fleet.stuck(ctx))
		return errors.Join(err, r.judge(ctx, time.Since(settled)))
	}
	r.say("everything has settled")
	return r.judge(ctx, time.Since(settled))
}

// settle waits until members and fleet have nothing more to do.
func (r *round) settle(ctx context.Context) error {
	shown := time.Now()
	for {
		select {
		case err := <-r.trouble:
			return err
		default:
		}
		busy := r.crowd.busy.Load()
		n, err := r.fleet.open(ctx)
		switch {
		case err == nil && n == 0 && busy == 0 && r.crowd.busy.Load() == 0:
			return nil
		case time.Since(shown) > 15*time.Second:
			shown = time.Now()
			r.say("%s", r.numbers(ctx))
		}
		if err := rest(ctx, 250*time.Millisecond); err != nil {
			return errors.New("members or fleet still have something to do")
		}
	}
}

func (r *round) numbers(ctx context.Context) string {
	return fmt.Sprintf("%d members have begun, %d are about to do something; %s", r.crowd.begun.Load(), r.crowd.busy.Load(), r.fleet.numbers(ctx))
}

// judge lets the judge and the doctor look, and writes the report.
func (r *round) judge(ctx context.Context, settling time.Duration) error {
	db, err := r.fleet.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	v, err := judge.Try(ctx, &judge.Case{
		DB: db, Events: r.fleet.events(), Journal: r.fleet.journal(), Funnels: r.setup.funnels, Members: r.crowd.members(),
		Alive: judge.Workflows{Client: r.fleet.client, Namespace: namespace, Patience: 30 * time.Second},
	})
	if err != nil {
		return err
	}
	v.Checks = append(v.Checks, r.reconcile(ctx, v), r.doctor(ctx), r.deeds())
	report := r.report(v, settling)
	fmt.Fprintln(r.out, "\n"+report)
	if !v.OK() {
		r.explain(ctx, v)
		return errWrong
	}
	if r.o.write != "" {
		return writeInto(r.o.write, report)
	}
	return nil
}

// reconcile does what an operator does about messages whose outcome is unknown: asks the
// receiver and tells the doctor.
func (r *round) reconcile(ctx context.Context, v *judge.Verdict) judge.Check {
	c := judge.Check{Name: "unknown messages reconciled", Detail: fmt.Sprintf("%d settled by what the receiver has", len(v.Unknown))}
	for key, arrived := range v.Unknown {
		answer := "--not-arrived"
		if arrived {
			answer = "--arrived"
		}
		if out, err := r.fleet.operate(ctx, r.fleet.postgres.URL, "doctor", answer, key); err != nil {
			c.Wrong = append(c.Wrong, fmt.Sprintf("%s %s: %s", answer, key, cmp.Or(strings.TrimSpace(out), err.Error())))
		}
	}
	c.OK = len(c.Wrong) == 0
	return c
}

// doctor asks Banyan's own doctor, who may see something a moment later than we do.
func (r *round) doctor(ctx context.Context) judge.Check {
	c := judge.Check{Name: "banyan doctor says healthy"}
	var out string
	var err error
	for limit := time.Now().Add(20 * time.Second); ; {
		out, err = r.fleet.operate(ctx, r.fleet.postgres.URL, "doctor")
		if err == nil || time.Now().After(limit) || rest(ctx, time.Second) != nil {
			break
		}
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	c.OK, c.Detail = err == nil, fmt.Sprintf("%d checks", len(lines))
	if !c.OK {
		c.Wrong = lines
	}
	return c
}

// deeds checks the adversary's own work: a fault that could not be done proves nothing,
// and a repeated event that counted again is a failure.
func (r *round) deeds() judge.Check {
	c := judge.Check{Name: "every fault was done"}
	for _, d := range r.adversary.deeds {
		if d.err != nil {
			c.Wrong = append(c.Wrong, d.line())
		}
	}
	c.OK = len(c.Wrong) == 0 && len(r.adversary.deeds) == r.o.faults
	c.Detail = fmt.Sprintf("%d of %d", len(r.adversary.deeds), r.o.faults)
	return c
}

// explained bounds how many wrong members' stories are printed.
const explained = 3

func (r *round) explain(ctx context.Context, v *judge.Verdict) {
	for _, member := range v.Wrong[:min(explained, len(v.Wrong))] {
		story, err := r.fleet.operate(ctx, r.fleet.postgres.URL, "explain", member, "--lang", "en")
		fmt.Fprintf(r.out, "\n%s\n", cmp.Or(strings.TrimSpace(story), fmt.Sprint(err)))
	}
	if n := len(v.Wrong); n > explained {
		fmt.Fprintf(r.out, "\n… and %d more members\n", n-explained)
	}
}
