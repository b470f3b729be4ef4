// Command temporal is Banyan's own Temporal server for development and tests: all of
// Temporal's services and its web UI in one process, on SQLite or on PostgreSQL.
//
// It lives in a module of its own, because a server brings hundreds of dependencies
// that neither an API nor a worker should carry. Package devstack builds it once and
// starts it; it is not meant for production.
//
//	temporal --db FILE                    one SQLite file, kept between runs
//	temporal --postgres URL               databases temporal and temporal_visibility
//
// When the server answers and the namespace is there, it prints one line on standard
// output and nothing else:
//
//	ready address=127.0.0.1:7233 ui=http://127.0.0.1:8233
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopGrace is how long a stop may take. Every change that a client was told about is
// committed already, so ending hard after it loses nothing.
const stopGrace = 2 * time.Second

// startTimeout bounds everything between the first line of main and the ready line.
const startTimeout = 2 * time.Minute

// options are the command line, checked.
type options struct {
	ip          string
	port        int
	uiPort      int
	metricsPort int
	db          string
	postgres    string
	namespace   string
	retention   time.Duration
	attributes  []string
	logLevel    string
	watchStdin  bool
}

func main() {
	opts, err := parseOptions(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "temporal:", err)
		os.Exit(2)
	}
	if err := serve(opts); err != nil {
		fmt.Fprintln(os.Stderr, "temporal:", err)
		os.Exit(1)
	}
}

// serve runs the server until a signal, or the end of standard input, stops it.
func serve(opts options) error {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if opts.watchStdin {
		ctx, cancel = withStdin(ctx, os.Stdin)
		defer cancel()
	}
	return run(ctx, opts, os.Stdout)
}

// parseOptions reads and checks the command line.
func parseOptions(args []string, usage io.Writer) (options, error) {
	var opts options
	var attributes string
	flags := flag.NewFlagSet("temporal", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&opts.ip, "ip", loopback, "address for the server and its web UI")
	flags.IntVar(&opts.port, "port", 7233, "port of the server (gRPC)")
	flags.IntVar(&opts.uiPort, "ui-port", 0, "port of the web UI; 0 for none")
	flags.IntVar(&opts.metricsPort, "metrics-port", 0, "port of Prometheus metrics, on loopback; 0 for none")
	flags.StringVar(&opts.db, "db", "", "SQLite file; the schema's version is added to its name")
	flags.StringVar(&opts.postgres, "postgres", "", "URL of a PostgreSQL cluster; the password may come from PGPASSWORD")
	flags.StringVar(&opts.namespace, "namespace", "default", "namespace that must exist")
	flags.DurationVar(&opts.retention, "retention", 72*time.Hour, "how long the namespace keeps closed workflows")
	flags.StringVar(&attributes, "search-attributes", "Campaign,Journey,Step,Outcome,Phase,Member,Version",
		"Keyword search attributes that the namespace must have")
	flags.StringVar(&opts.logLevel, "log-level", "warn", "debug, info, warn or error")
	flags.BoolVar(&opts.watchStdin, "watch-stdin", false,
		"stop when standard input closes, so that the server never outlives the process that started it")
	if err := flags.Parse(args); err != nil {
		return options{}, fmt.Errorf("read the command line: %w", err)
	}

	for name := range strings.SplitSeq(attributes, ",") {
		if name = strings.TrimSpace(name); name != "" {
			opts.attributes = append(opts.attributes, name)
		}
	}
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case (opts.db == "") == (opts.postgres == ""):
		return options{}, errors.New("give exactly one of --db and --postgres")
	case net.ParseIP(opts.ip) == nil:
		return options{}, fmt.Errorf("--ip %q is not an address", opts.ip)
	}
	return opts, nil
}

// withStdin gives a context that ends when stdin does. The starter holds the other end
// of the pipe and the system closes it however the starter dies, SIGKILL included.
func withStdin(parent context.Context, stdin io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		defer cancel()
		// Whatever ended the read, nobody is there any more.
		_, _ = io.Copy(io.Discard, stdin)
	}()
	return ctx, cancel
}

// run serves until ctx ends.
func run(ctx context.Context, opts options, out io.Writer) error {
	startCtx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	for _, port := range []int{opts.port, opts.uiPort, opts.metricsPort} {
		if err := checkFree(startCtx, opts.ip, port); err != nil {
			return err
		}
	}
	server, err := start(startCtx, opts)
	if err != nil {
		return err
	}

	ready := "ready address=" + net.JoinHostPort(opts.ip, strconv.Itoa(opts.port))
	if opts.uiPort != 0 {
		ready += " ui=http://" + net.JoinHostPort(opts.ip, strconv.Itoa(opts.uiPort))
	}
	if _, err := fmt.Fprintln(out, ready); err != nil {
		return fmt.Errorf("announce readiness: %w", err)
	}

	<-ctx.Done()
	return server.stop(stopGrace)
}
