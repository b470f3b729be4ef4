package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A starter that was killed leaves a cluster that is about to stop, because its leash is
// cut. What follows is for the case that it does not, and for what it leaves on disk.

func (c *cluster) pidFile() string { return filepath.Join(c.data, "postmaster.pid") }

// readPID gives the process that the data folder says runs it, 0 if it names none.
func (c *cluster) readPID() (int, error) {
	text, err := os.ReadFile(c.pidFile())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read PostgreSQL's process file: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return 0, nil //nolint:nilerr // cut short by a crash: it names no process
	}
	return pid, nil
}

// stopLeftover asks a server that still runs on our data, though its starter is gone, to
// stop. It does not wait: the lock falls when the last of its processes has ended.
func (c *cluster) stopLeftover(ctx context.Context) error {
	pid, err := c.readPID()
	if err != nil || pid == 0 || !c.runs(ctx, pid) {
		return err
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("find the leftover PostgreSQL: %w", err)
	}
	if err := process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the leftover PostgreSQL, process %d: %w", pid, err)
	}
	return nil
}

// clearStalePID removes a process file whose process is not PostgreSQL on our data: its
// number was given to another program after a crash, and PostgreSQL would take that one
// for itself and refuse to start. Numbers of dead processes are left to PostgreSQL's own
// check. The lock is ours by now, and every server of ours inherits it, so one that does
// run was started by somebody else.
func (c *cluster) clearStalePID(ctx context.Context) error {
	pid, err := c.readPID()
	if err != nil || pid == 0 || !processExists(pid) {
		return err
	}
	if c.runs(ctx, pid) {
		return fmt.Errorf("a PostgreSQL that we did not start, process %d, runs on %s: stop it", pid, c.data)
	}
	if err := os.Remove(c.pidFile()); err != nil {
		return fmt.Errorf("remove a stale process file: %w", err)
	}
	return nil
}

// runs says whether a process is a PostgreSQL server on our data folder.
func (c *cluster) runs(ctx context.Context, pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		// Not Linux, or gone.
		text, err = exec.CommandContext(ctx, "ps", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
		if err != nil {
			return false
		}
	}
	return strings.Contains(string(text), "postgres") && strings.Contains(string(text), c.data)
}
