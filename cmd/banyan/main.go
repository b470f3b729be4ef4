// Command banyan runs and operates Banyan: the API server, the worker, and a command
// line that says the same things by the same words as the API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/banyanhq/banyan/campaign"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1 // refused or failed
	exitUsage  = 2 // called in a wrong way
)

// version is set when a release is built: -ldflags "-X main.version=v1.2.3".
var version = "dev"

// env is what a command sees of the world, so that tests can give it another one.
type env struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
	// Color tells whether Stderr is a terminal.
	Color bool
}

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return execute(ctx, os.Args[1:], &env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Color: colored(os.Stderr, os.Getenv),
	})
}

// execute parses the arguments and runs the command that they name.
func execute(ctx context.Context, args []string, e *env) int {
	cli := CLI{Globals: Globals{getenv: e.Getenv}}
	left := -1 // the status with which --help leaves
	parser, err := kong.New(&cli,
		kong.Name("banyan"), kong.Description("Marketing campaigns that never lose anybody."),
		kong.UsageOnError(), kong.Writers(e.Stdout, e.Stderr), kong.Exit(func(status int) { left = status }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(e), kong.Bind(&cli.Globals),
	)
	if err != nil {
		_, _ = fmt.Fprintln(e.Stderr, "banyan:", err)
		return exitFailed
	}
	command, err := parser.Parse(args)
	if left >= 0 {
		return left
	}
	if err != nil {
		_, _ = fmt.Fprintf(e.Stderr, "banyan: %v\nTry: banyan --help\n", err)
		return exitUsage
	}
	if err := command.Run(); err != nil {
		return report(e, err)
	}
	return exitDone
}

// errSaid ends a command whose output has said what is wrong already.
var errSaid = errors.New("")

// usageError is a wrong call that only the command could see.
type usageError struct{ text string }

func (u usageError) Error() string { return u.text }

func report(e *env, err error) int {
	var usage usageError
	switch {
	case errors.Is(err, errSaid):
		return exitFailed
	case errors.As(err, &usage):
		_, _ = fmt.Fprintln(e.Stderr, "banyan:", err)
		return exitUsage
	case errors.Is(err, context.Canceled):
		_, _ = fmt.Fprintln(e.Stderr, "banyan: stopped")
		return exitFailed
	}
	_, _ = fmt.Fprintln(e.Stderr, "banyan:", err)
	if campaign.CodeOf(err) == campaign.CodeUnavailable {
		_, _ = fmt.Fprintln(e.Stderr, "Nothing was lost; try again when it is there.")
	}
	return exitFailed
}

// colored reports whether a file is a terminal that shows colour, and nobody asked for
// none: see https://no-color.org.
func colored(f *os.File, getenv func(string) string) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}
