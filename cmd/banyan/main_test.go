package main

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/banyanhq/banyan/devstack/devtest"
)

func TestMain(m *testing.M) {
	testscript.Main(wrapped{m}, map[string]func(){"banyan": main})
}

// wrapped lets devtest put its own things away after the tests, while testscript runs
// this binary as banyan.
type wrapped struct{ m *testing.M }

func (w wrapped) Run() int {
	devtest.Main(w.m) // ends the process
	return 0
}

func TestScripts(t *testing.T) {
	definitions, err := filepath.Abs("../../definitions")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("DEFINITIONS", definitions)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status,
		},
	})
}

// status runs a command and checks its exit status, which exec does not tell.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command [args…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s: status %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// terminal is a command line under test.
type terminal struct {
	t              *testing.T
	env            map[string]string
	stdin          string
	stdout, stderr bytes.Buffer
}

func (c *terminal) run(args ...string) int {
	c.t.Helper()
	c.stdout.Reset()
	c.stderr.Reset()
	return execute(c.t.Context(), args, &env{
		Stdin: strings.NewReader(c.stdin), Stdout: &c.stdout, Stderr: &c.stderr,
		Getenv: func(name string) string { return c.env[name] },
	})
}

// must runs a command that has to succeed and answers what it said.
func (c *terminal) must(args ...string) string {
	c.t.Helper()
	if got := c.run(args...); got != exitDone {
		c.t.Fatalf("banyan %s: status %d\n%s%s", strings.Join(args, " "), got, c.stdout.String(), c.stderr.String())
	}
	return c.stdout.String()
}
