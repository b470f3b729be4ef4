// Command devstack brings Banyan's development services up for another command, or in
// the foreground.
//
//	devstack run -- go test ./...    fresh services for one command, then its exit status
//	devstack up                      services that keep their data, until Ctrl-C
//	devstack build                   only make the embedded Temporal server
//	devstack doctor                  say what would be used
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/banyanhq/banyan/devstack"
)

// stopTimeout bounds taking the services down; what is left then ends with this process.
const stopTimeout = 30 * time.Second

const usage = `usage:
  devstack run [flags] -- COMMAND [ARGUMENT…]   fresh services for one command, then its exit status
  devstack up [flags]                           services that keep their data, until Ctrl-C
  devstack build [--dir DIR]                    only make the embedded Temporal server
  devstack doctor [--dir DIR]                   say what would be used
`

// errNotOK says that doctor found something missing, which it has told already.
var errNotOK = errors.New("something is missing")

func main() {
	status, err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "devstack:", err)
		if status == 0 {
			status = 1
		}
	}
	os.Exit(status)
}

// run executes one subcommand and gives the exit status.
func run(args []string) (int, error) {
	if len(args) == 0 {
		return 2, fmt.Errorf("say what to do\n%s", usage)
	}
	cfg := devstack.Config{Out: os.Stderr}
	flags := flag.NewFlagSet("devstack "+args[0], flag.ContinueOnError)
	flags.Usage = func() {
		_, _ = io.WriteString(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&cfg.Dir, "dir", "", "data folder (default BANYAN_HOME, or .banyan in the project)")
	flags.StringVar(&cfg.TemporalStore, "temporal-store", devstack.StoreSQLite, "sqlite or postgres")
	switch args[0] {
	case "run":
		cfg.Ephemeral = true
		flags.BoolVar(&cfg.Ephemeral, "ephemeral", true, "fresh data, removed afterwards")
		ui := flags.Bool("ui", false, "with Temporal's web UI")
		if err := flags.Parse(args[1:]); err != nil {
			return 2, fmt.Errorf("read the flags: %w", err)
		}
		cfg.NoUI = !*ui
		return runCommand(cfg, flags.Args())
	case "up":
		flags.BoolVar(&cfg.Ephemeral, "ephemeral", false, "fresh data, removed afterwards")
	case "build", "doctor":
	case "help", "-h", "-help", "--help":
		_, _ = io.WriteString(os.Stdout, usage)
		return 0, nil
	default:
		return 2, fmt.Errorf("unknown command %q\n%s", args[0], usage)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return 2, fmt.Errorf("read the flags: %w", err)
	}
	if flags.NArg() > 0 {
		return 2, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	switch args[0] {
	case "build":
		return 0, build(ctx, cfg)
	case "doctor":
		return 0, doctor(ctx, cfg)
	default:
		return 0, up(ctx, cfg)
	}
}

// build builds the embedded server and prints where it is.
func build(ctx context.Context, cfg devstack.Config) error {
	path, err := devstack.BuildTemporal(ctx, cfg)
	if err != nil {
		return err
	}
	_, err = fmt.Println(path)
	return err
}

// doctor prints what would be used.
func doctor(ctx context.Context, cfg devstack.Config) error {
	findings, err := devstack.Inspect(ctx, cfg)
	if err != nil {
		return err
	}
	for _, finding := range findings {
		mark := "ok     "
		if !finding.OK {
			mark, err = "missing", errNotOK
		}
		detail := strings.ReplaceAll(finding.Detail, "\n", "\n          ")
		fmt.Printf("%s  %s: %s\n", mark, finding.Name, detail)
	}
	return err
}

// up keeps the services up in the foreground.
func up(ctx context.Context, cfg devstack.Config) error {
	stack, err := devstack.Up(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Println("\n# for other terminals:")
	for _, variable := range stack.Env() {
		name, value, _ := strings.Cut(variable, "=")
		fmt.Printf("export %s='%s'\n", name, value)
	}
	err = stack.Wait(ctx)
	fmt.Fprintln(os.Stderr, "taking the services down")
	return errors.Join(err, down(stack))
}

// runCommand runs a command with the services' addresses in its environment.
func runCommand(cfg devstack.Config, args []string) (int, error) {
	if len(args) == 0 {
		return 2, fmt.Errorf("say which command to run\n%s", usage)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	stack, err := devstack.Up(ctx, cfg)
	if err != nil {
		return 1, err
	}

	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // the user's own command; stopped by signals below
	cmd.Env = append(os.Environ(), stack.Env()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = runUntil(signals, cmd)
	downErr := down(stack)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, downErr
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), downErr
	default:
		return 1, errors.Join(fmt.Errorf("run %s: %w", args[0], err), downErr)
	}
}

// runUntil runs the command to its end, so that services are not taken from under it.
// The command is in our process group: a terminal's Ctrl-C has reached it already, and a
// second one would mean "at once" to many programs. A SIGTERM is for us alone, and is
// handed on.
func runUntil(signals <-chan os.Signal, cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			return err
		case received := <-signals:
			if received == syscall.SIGTERM {
				// It may be gone already, which Wait will tell.
				_ = cmd.Process.Signal(received)
			}
		}
	}
}

// down takes the services down, however this process was asked to end.
func down(stack *devstack.Stack) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return stack.Down(ctx)
}
