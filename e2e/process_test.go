package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// banyan builds the real binary.
func banyan(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "banyan")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../cmd/banyan")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build banyan: %v\n%s", err, out)
	}
	return path
}

// program is a subcommand of the binary that is started, killed and started again.
type program struct {
	t    testing.TB
	path string
	args []string
	env  []string
	log  string // what it wrote, over all its lives

	cmd   *exec.Cmd
	done  chan struct{} // closed when it has ended
	ended error         // how
}

func newProgram(t testing.TB, path string, env []string, args ...string) *program {
	t.Helper()
	p := &program{t: t, path: path, args: args, env: env, log: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the end of what banyan %s wrote:\n%s", strings.Join(args, " "), p.tail())
		}
	})
	return p
}

func (p *program) start() {
	p.t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	// Not the test's context: the process ends by kill alone, which waits for it.
	p.cmd = exec.CommandContext(context.WithoutCancel(p.t.Context()), p.path, p.args...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	leash(p.cmd)
	if err := errors.Join(p.cmd.Start(), log.Close()); err != nil {
		p.t.Fatal(err)
	}
	p.done = make(chan struct{})
	go func() {
		defer close(p.done)
		p.ended = p.cmd.Wait()
	}()
}

// kill ends the process with SIGKILL and returns when it is gone.
func (p *program) kill() {
	if p.cmd == nil {
		return
	}
	select {
	case <-p.done:
		p.t.Errorf("banyan %s had ended by itself: %v", strings.Join(p.args, " "), p.ended)
	default:
		if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			p.t.Errorf("kill: %v", err)
		}
		<-p.done
	}
	p.cmd = nil
}

func (p *program) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// freeAddress finds an address that a server can be told to listen on, again and again.
func freeAddress(t testing.TB) string {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// ready waits until a server answers that it can do its work.
func (a *api) ready(t testing.TB) {
	t.Helper()
	var last error
	if !eventually(t.Context(), func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		last = a.call(ctx, http.MethodGet, "/readyz", nil, "", nil)
		return last == nil
	}) {
		t.Fatal(fmt.Errorf("the API is not ready: %w", last))
	}
}
