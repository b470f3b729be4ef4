package devstack

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDataOutlivesDownAndCrash(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	cfg := Config{Dir: dir, NoUI: true}

	stack := bring(t, cfg)
	execute(t.Context(), t, stack.DatabaseURL, "CREATE TABLE things AS SELECT generate_series(1, 3)")
	startWorkflow(t, stack.TemporalAddress, "kept")
	if err := stack.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := stack.Down(t.Context()); err != nil {
		t.Fatalf("a second Down: %v", err)
	}

	again := bring(t, cfg)
	if again.DatabaseURL != stack.DatabaseURL || again.TemporalAddress != stack.TemporalAddress {
		t.Errorf("the addresses changed: %v, then %v", stack.Env(), again.Env())
	}
	if got := count(t.Context(), t, again.DatabaseURL); got != 3 {
		t.Errorf("%d rows are left of 3", got)
	}
	requireWorkflow(t, again.TemporalAddress, "kept")

	execute(t.Context(), t, again.DatabaseURL, "INSERT INTO things VALUES (4)")
	for _, kill := range []func() error{again.KillTemporal, again.KillPostgres} {
		if err := kill(); err != nil {
			t.Fatal(err)
		}
	}
	for _, start := range []func(context.Context) error{again.StartPostgres, again.StartTemporal} {
		if err := start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := count(t.Context(), t, again.DatabaseURL); got != 4 {
		t.Errorf("%d rows are left of 4 after a crash", got)
	}
	requireWorkflow(t, again.TemporalAddress, "kept")
}

func TestSecondStackOnTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: newDir(t), NoUI: true, Own: true, machine: testMachine()}
	stack := bring(t, cfg)
	started := time.Now()
	_, err := Up(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "in use by process") || !strings.Contains(err.Error(), EnvHome) {
		t.Fatalf("the second start says %v", err)
	}
	if waited := time.Since(started); waited > 5*time.Second {
		t.Errorf("the refusal took %s", waited)
	}
	if err := pingPostgres(t.Context(), stack.DatabaseURL); err != nil {
		t.Errorf("the first stack suffered: %v", err)
	}
}

func TestKilledStarterTakesItsServicesAlong(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	starter, up := startHelper(t, helperConfig{Dir: dir}, nil)
	execute(t.Context(), t, up["database"], "CREATE TABLE things AS SELECT generate_series(1, 3)")
	startWorkflow(t, up["temporal"], "kept")

	if err := starter.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = starter.Wait() // it says "killed", as it should

	// At once, while the old services are still noticing.
	stack := bring(t, Config{Dir: dir, NoUI: true})
	if got := count(t.Context(), t, stack.DatabaseURL); got != 3 {
		t.Errorf("%d rows are left of 3", got)
	}
	requireWorkflow(t, stack.TemporalAddress, "kept")
}

func TestServicesEndWithTheirStarter(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	starter, _ := startHelper(t, helperConfig{Dir: dir}, nil)
	if err := starter.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = starter.Wait() // it says "killed", as it should
	for _, name := range []string{"postgres", "temporal"} {
		// The services hold the lock as long as one of their processes lives.
		eventually(t, name+" to end", func() bool {
			file, err := os.OpenFile(filepath.Join(dir, name, "lock"), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close() //nolint:errcheck // only tried
			locked, err := tryLock(file)
			return err == nil && locked
		})
	}
}

func TestEphemeralStackLeavesNothing(t *testing.T) {
	t.Parallel()
	stack := bring(t, Config{Dir: newDir(t), NoUI: true, Ephemeral: true})
	dir := stack.scratch.dir
	if err := stack.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", dir, err)
	}
}

func TestWaitReportsAServiceThatDies(t *testing.T) {
	t.Parallel()
	stack := bring(t, Config{Dir: newDir(t), NoUI: true, Ephemeral: true})
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := stack.Wait(done); err != nil {
		t.Errorf("Wait on a healthy stack says %v", err)
	}
	// Not KillTemporal, which would be expected.
	if err := stack.temporal.service.child.process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := stack.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "Temporal ended") {
		t.Errorf("Wait says %v", err)
	}
}

func TestEnvironmentStartsNothing(t *testing.T) {
	t.Parallel()
	running := bring(t, Config{Dir: newDir(t), NoUI: true, Ephemeral: true})
	dir := t.TempDir()
	m := thisMachine()
	m.getenv = func(name string) string {
		return map[string]string{
			EnvDatabaseURL:     running.DatabaseURL,
			EnvTemporalAddress: running.TemporalAddress,
			EnvTemporalUI:      "http://example.test",
		}[name]
	}
	stack, err := Up(t.Context(), Config{Dir: dir, machine: m})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		EnvDatabaseURL + "=" + running.DatabaseURL,
		EnvTemporalAddress + "=" + running.TemporalAddress,
		EnvTemporalUI + "=http://example.test",
	}
	if got := stack.Env(); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("Env is %v", got)
	}
	if err := stack.KillTemporal(); err == nil {
		t.Error("KillTemporal killed another's server")
	}
	if err := stack.KillPostgres(); err == nil {
		t.Error("KillPostgres killed another's server")
	}
	if err := stack.Down(t.Context()); err != nil {
		t.Error(err)
	}
	if made, err := os.ReadDir(dir); err != nil || len(made) != 0 {
		t.Errorf("the data folder holds %v (%v)", made, err)
	}
	if err := pingPostgres(t.Context(), running.DatabaseURL); err != nil {
		t.Errorf("Down took down another's PostgreSQL: %v", err)
	}
}

func TestServicesThatDoNotAnswerAreNamed(t *testing.T) {
	t.Parallel()
	port, err := choosePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := thisMachine()
	m.getenv = func(name string) string {
		return map[string]string{
			EnvDatabaseURL:     "postgres://banyan:secret@" + address(port) + "/banyan",
			EnvTemporalAddress: address(port),
		}[name]
	}
	cfg := Config{Dir: t.TempDir(), machine: m}
	_, postgresErr := StartPostgres(t.Context(), cfg)
	if postgresErr == nil || !strings.Contains(postgresErr.Error(), EnvDatabaseURL) || strings.Contains(postgresErr.Error(), "secret") {
		t.Errorf("PostgreSQL: %v", postgresErr)
	}
	if _, err := StartTemporal(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), address(port)) {
		t.Errorf("Temporal: %v", err)
	}
}

func TestCancelledStartLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if stack, err := Up(ctx, Config{Dir: dir, NoUI: true, Own: true, machine: testMachine()}); err == nil {
		// A machine that is this fast has nothing to cancel.
		if err := stack.Down(t.Context()); err != nil {
			t.Error(err)
		}
	}
	bring(t, Config{Dir: dir, NoUI: true})
}

// startHelper runs the test binary as a starter and returns what it brought up.
func startHelper(t *testing.T, told helperConfig, prepare func(*exec.Cmd)) (*exec.Cmd, map[string]string) {
	t.Helper()
	text, err := json.Marshal(told)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envHelper+"="+string(text))
	cmd.Stderr = os.Stderr
	if prepare != nil {
		prepare(cmd)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // most tests have done so
	var up map[string]string
	if err := json.NewDecoder(stdout).Decode(&up); err != nil {
		t.Fatalf("the starter did not come up: %v", err)
	}
	return cmd, up
}
