package devstack

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTemporalOnPostgres is the wiring of docker-compose.yml in one process: a Temporal
// server on PostgreSQL that sets up its own schemas, twice.
func TestTemporalOnPostgres(t *testing.T) {
	t.Parallel()
	stack := bring(t, Config{Dir: newDir(t), NoUI: true, Ephemeral: true, TemporalStore: StorePostgres})
	startWorkflow(t, stack.TemporalAddress, "kept")
	if err := stack.KillTemporal(); err != nil {
		t.Fatal(err)
	}
	if err := stack.StartTemporal(t.Context()); err != nil {
		t.Fatal(err)
	}
	requireWorkflow(t, stack.TemporalAddress, "kept")
	execute(t.Context(), t, strings.Replace(stack.DatabaseURL, "/banyan?", "/temporal_visibility?", 1),
		"SELECT 1 FROM executions_visibility")
	for _, argument := range stack.temporal.args {
		if strings.Contains(argument, stack.postgres.cluster.Password) {
			t.Error("the password is on the command line")
		}
	}
}

func TestUnknownStoreIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := Up(t.Context(), Config{Dir: t.TempDir(), TemporalStore: "paper"}); err == nil {
		t.Error("a store of paper was accepted")
	}
}

func TestBuildHappensOnceAndIsToldAbout(t *testing.T) {
	t.Parallel()
	root, log := sourceTree(t), filepath.Join(t.TempDir(), "builds")
	// A Go tool that says what it does, and makes the file that -o names.
	m := buildMachine(t, root, "echo build >> "+log+"\n"+
		"echo 'go: downloading example.test/a v1.0.0' >&2\necho example.test/a/b >&2\n"+
		`while [ "$1" != -o ]; do shift; done; echo program > "$2"`)
	dir := t.TempDir()
	var said bytes.Buffer
	out := newProgress(&said)
	var group sync.WaitGroup
	paths := make([]string, 4)
	for i := range paths {
		group.Go(func() {
			path, err := BuildTemporal(t.Context(), Config{Dir: dir, machine: m, out: out})
			if err != nil {
				t.Error(err)
			}
			paths[i] = path
		})
	}
	group.Wait()
	if text, err := os.ReadFile(log); err != nil || strings.Count(string(text), "build") != 1 {
		t.Errorf("builds: %q, %v", text, err)
	}
	for _, path := range paths {
		if path != paths[0] || !isFile(path) {
			t.Errorf("the program is %q", path)
		}
	}
	if !strings.Contains(said.String(), "built the Temporal server in") {
		t.Errorf("people were told: %s", said.String())
	}

	// A changed source is another program, and old ones go.
	for _, change := range []string{"// 1", "// 2", "// 3"} {
		write(t, filepath.Join(root, "devstack", "temporal", "main.go"), change)
		if _, err := BuildTemporal(t.Context(), Config{Dir: dir, machine: m}); err != nil {
			t.Fatal(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "bin", "temporal-*"))
	if err != nil || len(left) != keepBinaries {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestFailedBuildShowsWhy(t *testing.T) {
	t.Parallel()
	m := buildMachine(t, sourceTree(t), "echo 'main.go:1: no such thing' >&2; exit 1")
	dir := t.TempDir()
	_, err := BuildTemporal(t.Context(), Config{Dir: dir, machine: m})
	if err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("the error is %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "bin", "temporal-*")); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestBuildWithoutSourceOrGo(t *testing.T) {
	t.Parallel()
	m := bareMachine()
	m.getwd = func() (string, error) { return t.TempDir(), nil }
	if _, err := BuildTemporal(t.Context(), Config{Dir: t.TempDir(), machine: m}); err == nil ||
		!strings.Contains(err.Error(), EnvSource) || !strings.Contains(err.Error(), EnvTemporalAddress) {
		t.Errorf("without sources: %v", err)
	}
	root := sourceTree(t)
	m.getwd = func() (string, error) { return root, nil }
	if _, err := BuildTemporal(t.Context(), Config{Dir: t.TempDir(), machine: m}); err == nil ||
		!strings.Contains(err.Error(), "not on PATH") {
		t.Errorf("without Go: %v", err)
	}
}

func TestProgressWhereLinesStay(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	out := newProgress(&said)
	for range 100 {
		out.livef("working")
	}
	out.lastLive = time.Now().Add(-livePause)
	out.livef("working")
	if got := strings.Count(said.String(), "working\n"); got != 2 {
		t.Errorf("%d lines in %q", got, said.String())
	}
	said.Reset()
	out.terminal = true
	out.livef("one")
	out.livef("two")
	out.sayf("done")
	if got, want := said.String(), "one\r\x1b[Ktwo\r\x1b[Kdone\n"; got != want {
		t.Errorf("a terminal gets %q", got)
	}
}

func TestReadyLineInPieces(t *testing.T) {
	t.Parallel()
	ready := &readyLine{found: make(chan struct{})}
	for _, piece := range []string{"rea", "dy address=127.0.0.1:1 ui=htt", "p://127.0.0.1:2\n", "more\n"} {
		if _, err := ready.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-ready.found:
	default:
		t.Fatal("the line was not seen")
	}
	if a, u := ready.field("address"), ready.field("ui"); a != "127.0.0.1:1" || u != "http://127.0.0.1:2" {
		t.Errorf("address %q, ui %q", a, u)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	m := bareMachine()
	m.getwd = func() (string, error) { return t.TempDir(), nil }
	findings, err := Inspect(t.Context(), Config{Dir: t.TempDir(), machine: m})
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range findings {
		if want := finding.Name == "data folder"; finding.OK != want || finding.Detail == "" {
			t.Errorf("on an empty machine: %+v", finding)
		}
	}
}

// sourceTree makes a project with the sources of a server.
func sourceTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	source := filepath.Join(root, "devstack", "temporal")
	if err := os.MkdirAll(source, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "go.mod"), "module "+modulePath+"\n")
	for _, name := range []string{"main.go", "go.mod", "go.sum"} {
		write(t, filepath.Join(source, name), name)
	}
	return root
}

// buildMachine has the project and, for a Go tool, a script.
func buildMachine(t *testing.T, root, body string) *machine {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "go")
	script(t, tool, body)
	m := bareMachine()
	m.getwd = func() (string, error) { return root, nil }
	m.lookPath = func(name string) (string, error) {
		if name == "go" {
			return tool, nil
		}
		return "", exec.ErrNotFound
	}
	return m
}
