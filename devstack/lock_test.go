package devstack

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestLockNamesItsHolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	held, err := takeLock(t.Context(), path, "the thing", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := takeLock(t.Context(), path, "the thing", nil); err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("the second holder is told %v", err)
	}
	if err := held.release(); err != nil {
		t.Fatal(err)
	}
	again, err := takeLock(t.Context(), path, "the thing", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.release(); err != nil {
		t.Error(err)
	}
}

// TestLockOutlivesItsHolderInItsChildren is the case of a killed starter whose service
// is still there.
func TestLockOutlivesItsHolderInItsChildren(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	held, err := takeLock(t.Context(), path, "the thing", nil)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("/bin/sh", "-c", "read -r _")
	leash, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	child.ExtraFiles = []*os.File{held.file}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	// The starter dies: its file is closed, and the number it noted means nobody.
	gone := exec.Command("/bin/sh", "-c", "exit")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	write(t, path, strconv.Itoa(gone.Process.Pid))
	if err := held.file.Close(); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 3*pollInterval)
	defer cancel()
	if _, err := takeLock(ctx, path, "the thing", nil); err == nil || !strings.Contains(err.Error(), "starter is gone") {
		t.Errorf("while the child lives: %v", err)
	}
	called := false
	taken, err := takeLock(t.Context(), path, "the thing", func(context.Context) error {
		called = true
		return leash.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	if !called {
		t.Error("nobody was asked to stop the leftover")
	}
	if err := taken.release(); err != nil {
		t.Error(err)
	}
	if err := child.Wait(); err == nil {
		t.Error("the child read something")
	}
}

func TestAbandonedScratchIsSwept(t *testing.T) {
	t.Parallel()
	abandoned, running, fresh := t.TempDir(), t.TempDir(), t.TempDir()
	long := time.Now().Add(-time.Hour)
	for _, dir := range []string{abandoned, running, fresh} {
		if err := os.Mkdir(filepath.Join(dir, "postgres"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"lock", "postgres/lock"} {
			path := filepath.Join(dir, name)
			write(t, path, "")
			if dir != fresh {
				if err := os.Chtimes(path, long, long); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	// Only a service is left of the running one.
	file, err := os.OpenFile(filepath.Join(running, "postgres", "lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // the lock goes with it
	if locked, err := tryLock(file); err != nil || !locked {
		t.Fatal(locked, err)
	}
	if !scratchIsAbandoned(abandoned) {
		t.Error("an abandoned folder is kept")
	}
	if scratchIsAbandoned(running) {
		t.Error("a folder whose service runs is swept")
	}
	if scratchIsAbandoned(fresh) {
		t.Error("a folder that is being made is swept")
	}
}
