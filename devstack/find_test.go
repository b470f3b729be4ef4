package devstack

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestWithoutPostgresTheThreeWaysOutAreNamed(t *testing.T) {
	t.Parallel()
	m := bareMachine()
	_, err := StartPostgres(t.Context(), Config{Dir: newDir(t), machine: m})
	if !errors.Is(err, errNoPostgres) {
		t.Fatalf("the error is %v", err)
	}
	for _, way := range []string{EnvDatabaseURL, "apt-get install postgresql", "brew install", "make postgres"} {
		if !strings.Contains(err.Error(), way) {
			t.Errorf("%q is not named in: %v", way, err)
		}
	}
}

func TestStubIsNotTakenForPostgres(t *testing.T) {
	t.Parallel()
	broken := installation(t, "echo 'not installed' >&2; exit 1")
	strange := installation(t, "echo hello")
	old := installation(t, "echo 'postgres (PostgreSQL) 9.6.24'")
	m := bareMachine()
	m.glob = func(pattern string) ([]string, error) {
		if pattern == "/usr/lib/postgresql/*/bin" {
			return []string{broken, strange, old}, nil
		}
		return nil, nil
	}
	_, err := m.findPostgres(t.Context())
	if !errors.Is(err, errNoPostgres) {
		t.Fatalf("the error is %v", err)
	}
	for _, dir := range []string{broken, strange, old} {
		if !strings.Contains(err.Error(), dir) {
			t.Errorf("what is wrong with %s is not told: %v", dir, err)
		}
	}
}

func TestPostgresIsFoundInOrder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, version := range []string{"9", "15", "17"} {
		fakeInstallation(t, filepath.Join(root, version, "bin"), "echo 'x (PostgreSQL) "+version+".2 (Debian)'")
	}
	onPath := installation(t, "echo 'x (PostgreSQL) 16.4'")
	behindConfig := installation(t, "echo 'x (PostgreSQL) 14.9'")
	config := filepath.Join(t.TempDir(), "pg_config")
	script(t, config, "echo "+behindConfig)
	// Debian's way: links on PATH that lead to the installation.
	links := t.TempDir()
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.Symlink(filepath.Join(onPath, name), filepath.Join(links, name)); err != nil {
			t.Fatal(err)
		}
	}

	m := bareMachine()
	m.lookPath = func(name string) (string, error) {
		switch name {
		case "initdb":
			return filepath.Join(links, name), nil
		case "pg_config":
			return config, nil
		}
		return "", exec.ErrNotFound
	}
	m.glob = func(pattern string) ([]string, error) {
		if strings.HasPrefix(pattern, "/usr/lib/postgresql") {
			return filepath.Glob(filepath.Join(root, "*", "bin"))
		}
		return nil, nil
	}
	found, err := m.findPostgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var versions []string
	for _, b := range found {
		versions = append(versions, b.version)
	}
	if want := []string{"16.4", "14.9", "17.2", "15.2"}; !slices.Equal(versions, want) {
		t.Errorf("found %v, want %v", versions, want)
	}
	if found[0].dir != onPath {
		t.Errorf("the links were not followed: %s", found[0].dir)
	}
}

func TestProjectRootAndHome(t *testing.T) {
	t.Parallel()
	root, other := t.TempDir(), t.TempDir()
	inside := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "go.mod"), "// ours\nmodule "+modulePath+"\n\ngo 1.26\n")
	// A module inside, like the server's own, is not the project.
	write(t, filepath.Join(root, "a", "go.mod"), "module "+modulePath+"/a\n")
	env := map[string]string{}
	m := &machine{
		getenv: func(name string) string { return env[name] },
		getwd:  func() (string, error) { return inside, nil },
	}
	if got, ok := m.projectRoot(); !ok || got != root {
		t.Errorf("the project is %q, %t", got, ok)
	}
	if got := m.home(); got != filepath.Join(root, ".banyan") {
		t.Errorf("home is %s", got)
	}
	env[EnvSource] = other
	if got, ok := m.projectRoot(); ok {
		t.Errorf("%s without our go.mod was taken for the project", got)
	}
	if got := m.home(); got != ".banyan" {
		t.Errorf("home without a project is %s", got)
	}
	env[EnvHome] = "/somewhere"
	if got := m.home(); got != "/somewhere" {
		t.Errorf("home is %s", got)
	}
}

func TestCanReach(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	stranger := &account{name: "stranger", uid: 4321, gid: 4321}
	closed := filepath.Join(dir, "closed", "open")
	if err := os.MkdirAll(closed, 0o755); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o700: false, 0o750: false, 0o711: true, 0o701: true} {
		if err := os.Chmod(filepath.Dir(closed), mode); err != nil {
			t.Fatal(err)
		}
		got, err := stranger.canReach(closed)
		if err != nil || got != want {
			t.Errorf("through mode %o: %t, %v", mode, got, err)
		}
	}
	if got, err := (*account)(nil).canReach(closed); err != nil || !got {
		t.Errorf("ourselves: %t, %v", got, err)
	}
}

// bareMachine has an empty environment and no programs.
func bareMachine() *machine {
	m := thisMachine()
	m.getenv = func(string) string { return "" }
	m.lookPath = func(name string) (string, error) { return "", &exec.Error{Name: name, Err: exec.ErrNotFound} }
	m.glob = func(string) ([]string, error) { return nil, nil }
	return m
}

// installation makes a folder whose initdb and postgres run the body.
func installation(t *testing.T, body string) string {
	t.Helper()
	dir := t.TempDir()
	fakeInstallation(t, dir, body)
	return dir
}

func fakeInstallation(t *testing.T, dir, body string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script(t, filepath.Join(dir, "initdb"), body)
	script(t, filepath.Join(dir, "postgres"), body)
}

func script(t *testing.T, path, body string) {
	t.Helper()
	defer noForks()()
	write(t, path, "#!/bin/sh\n"+body+"\n")
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// noForks keeps other tests from starting processes until the returned function is
// called. A child that is forked while a program is being written holds it open for
// writing until it executes its own, and Linux runs no program that is open for writing.
func noForks() func() {
	syscall.ForkLock.RLock()
	return syscall.ForkLock.RUnlock
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T, port int) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address(port))
	if err != nil {
		t.Fatal(err)
	}
	return listener
}
