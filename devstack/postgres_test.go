package devstack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestStaleProcessFileDoesNotStopTheNextStart(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: newDir(t), Own: true}
	first := startPostgres(t, cfg)
	execute(t.Context(), t, first.URL, "CREATE TABLE things AS SELECT generate_series(1, 3)")
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The number of the dead server was given to another program: to this test.
	file := first.cluster.pidFile()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("SIGKILL left no process file: %v", err)
	}
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	reused := append([]byte(strconv.Itoa(os.Getpid())+"\n"), rest...)
	if err := os.WriteFile(file, reused, 0o600); err != nil {
		t.Fatal(err)
	}
	second := startPostgres(t, cfg)
	if got := count(t.Context(), t, second.URL); got != 3 {
		t.Errorf("%d rows are left of 3", got)
	}
}

func TestLeftoverServerIsStopped(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: newDir(t), Own: true}
	first := startPostgres(t, cfg)
	pid, err := first.cluster.readPID()
	if err != nil || pid == 0 {
		t.Fatalf("no process noted: %d, %v", pid, err)
	}
	if !first.cluster.runs(t.Context(), pid) {
		t.Error("the running server is not recognised")
	}
	if first.cluster.runs(t.Context(), os.Getpid()) {
		t.Error("this test is taken for a server")
	}
	if err := first.cluster.clearStalePID(t.Context()); err == nil {
		t.Error("the process file of a running server was cleared")
	}
	if err := first.cluster.stopLeftover(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-first.service.child.done
}

func TestPasswordIsNeededAndPrivate(t *testing.T) {
	t.Parallel()
	p := startPostgres(t, Config{Dir: newDir(t), Own: true})
	u, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), "postgres")
	if err := pingPostgres(t.Context(), u.String()); err == nil {
		t.Error("a wrong password lets one in")
	}
	info, err := os.Stat(p.cluster.connectionFile())
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the password file has mode %o", mode)
	}
}

func TestTakenPortIsReplaced(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: newDir(t), Own: true}
	first := startPostgres(t, cfg)
	taken := first.cluster.Port
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	listener := listen(t, taken)
	second := startPostgres(t, cfg)
	if second.cluster.Port == taken {
		t.Error("the taken port was kept")
	}
	_ = listener.Close()
}

// TestFolderThatPostgresCannotReach starts as root under a private folder.
func TestFolderThatPostgresCannotReach(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root starts PostgreSQL as another user")
	}
	shared := newDir(t)
	m := thisMachine().withoutServices()
	m.shared = []string{filepath.Join(t.TempDir(), "as closed"), shared}
	dir := filepath.Join(t.TempDir(), "home") // below a folder of mode 0700
	var said bytes.Buffer
	cfg := Config{Dir: dir, machine: m, Out: &said}
	first := startPostgres(t, cfg)
	if !strings.HasPrefix(first.cluster.home, shared) {
		t.Errorf("the data is in %s", first.cluster.home)
	}
	if !strings.Contains(said.String(), "cannot reach "+dir) {
		t.Errorf("nobody was told: %s", said.String())
	}
	execute(t.Context(), t, first.URL, "CREATE TABLE things AS SELECT generate_series(1, 3)")
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := count(t.Context(), t, startPostgres(t, cfg).URL); got != 3 {
		t.Errorf("%d rows are left of 3", got)
	}
}

// TestOrdinaryUser starts as one, with a copy of this program that such a user can read.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("every other test shows it already: this is not root")
	}
	nobody, err := thisMachine().account("nobody")
	if err != nil {
		t.Skip("this machine has no user nobody")
	}
	dir := newDir(t)
	program := filepath.Join(dir, "starter")
	copyProgram(t, program)
	home := filepath.Join(dir, "home")
	if err := errors.Join(os.Mkdir(home, 0o700), nobody.own(home)); err != nil {
		t.Fatal(err)
	}
	_, up := startHelper(t, helperConfig{Dir: home, PostgresOnly: true}, func(cmd *exec.Cmd) {
		cmd.Path, cmd.Args, cmd.Dir = program, []string{program}, home
		cmd.SysProcAttr = childAttributes(nobody)
	})
	if err := pingPostgres(t.Context(), up["database"]); err != nil {
		t.Error(err)
	}
}

func TestPostgresAccount(t *testing.T) {
	t.Parallel()
	users := map[string]*user.User{
		"postgres": {Username: "postgres", Uid: "101", Gid: "104"},
		"nobody":   {Username: "nobody", Uid: "65534", Gid: "65534"},
	}
	for name, test := range map[string]struct {
		euid int
		has  []string
		want string // "" is ourselves
		fail bool
	}{
		"an ordinary user runs it":       {euid: 1000, has: []string{"postgres", "nobody"}},
		"root prefers postgres":          {has: []string{"postgres", "nobody"}, want: "postgres"},
		"root makes do with nobody":      {has: []string{"nobody"}, want: "nobody"},
		"root without either is refused": {fail: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &machine{euid: test.euid, lookupUser: func(name string) (*user.User, error) {
				for _, has := range test.has {
					if has == name {
						return users[name], nil
					}
				}
				return nil, user.UnknownUserError(name)
			}}
			account, err := m.postgresAccount(filepath.Join(t.TempDir(), "none"))
			switch {
			case test.fail != (err != nil):
				t.Errorf("the error is %v", err)
			case test.want == "" && account != nil, test.want != "" && (account == nil || account.name != test.want):
				t.Errorf("the account is %+v", account)
			}
		})
	}
}

func TestExistingDataDecidesTheAccount(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make folders of others")
	}
	data := t.TempDir()
	if err := os.Chown(data, 4321, 1234); err != nil {
		t.Fatal(err)
	}
	account, err := (&machine{euid: 0}).postgresAccount(data)
	if err != nil || account == nil || account.uid != 4321 || account.gid != 1234 {
		t.Errorf("for root: %+v, %v", account, err)
	}
	if _, err := (&machine{euid: 1000}).postgresAccount(data); err == nil || !strings.Contains(err.Error(), "belongs to user 4321") {
		t.Errorf("for another user: %v", err)
	}
}

func startPostgres(t *testing.T, cfg Config) *Postgres {
	t.Helper()
	p, err := StartPostgres(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func copyProgram(t *testing.T, path string) {
	t.Helper()
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Skip("no way to copy this program")
	}
	defer self.Close() //nolint:errcheck // only read
	defer noForks()()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, self)
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
}
