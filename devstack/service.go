package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// service is one program of ours: at most one process at a time, on a leash, with a log.
type service struct {
	name    string
	logFile string
	lock    *lock // held by us and by the process

	mu      sync.Mutex
	child   *child
	failure chan error // one error, when a process ends that nobody stopped
}

// child is one process of a service.
type child struct {
	process  *os.Process
	done     chan struct{} // closed when the process is gone and reaped
	err      error         // why it ended; read after done
	expected atomic.Bool   // somebody asked for the end
}

func newService(name, logFile string, lock *lock) *service {
	return &service{name: name, logFile: logFile, lock: lock, failure: make(chan error, 1)}
}

// failed yields an error if a process of the service ends that nobody stopped. On a nil
// service, one that somebody else runs, it never does.
func (s *service) failed() <-chan error {
	if s == nil {
		return nil
	}
	return s.failure
}

// start runs the command. Its standard output goes to stdout, or to the log if that is
// nil; its standard input is the leash; it inherits the lock as file 3.
func (s *service) start(cmd *exec.Cmd, stdout io.Writer) (*child, error) {
	log, err := openLog(s.logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the process has its own copy
	cmd.Stderr = log
	cmd.Stdout = stdout
	if stdout == nil {
		cmd.Stdout = log
	}
	cmd.ExtraFiles = []*os.File{s.lock.file}
	// Nothing is ever written to the leash. Wait closes our end when the process is
	// gone, the system closes it when we are.
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	c := &child{process: cmd.Process, done: make(chan struct{})}
	s.mu.Lock()
	s.child = c
	s.mu.Unlock()
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// watch reports the end of a process that is up. It is for processes that started well:
// before that, whoever starts them reports.
func (s *service) watch(c *child) {
	go func() {
		<-c.done
		if c.expected.Load() {
			return
		}
		select {
		case s.failure <- s.ended(c):
		default: // the first failure is the one worth telling
		}
	}()
}

// ended describes a process that is gone, with the last lines of its log.
func (s *service) ended(c *child) error {
	reason := "it exited"
	if c.err != nil {
		reason = c.err.Error()
	}
	return fmt.Errorf("%s ended: %s\n%s", s.name, reason, tail(s.logFile))
}

// stop asks the process to end with the given signal, insists after grace or when ctx
// ends, and returns when it is gone.
func (s *service) stop(ctx context.Context, signal os.Signal, grace time.Duration) error {
	s.mu.Lock()
	c := s.child
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	c.expected.Store(true)
	if err := c.process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", s.name, err)
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.done:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return s.kill()
}

// kill ends the process with SIGKILL and returns when it is gone.
func (s *service) kill() error {
	s.mu.Lock()
	c := s.child
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	c.expected.Store(true)
	if err := c.process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", s.name, err)
	}
	<-c.done
	return nil
}

const (
	logLimit  = 8 << 20 // a log larger than this is set aside when the next process starts
	tailLines = 12
)

// openLog opens a log for appending, setting aside one that has grown large.
func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > logLimit {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("set aside a large log: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return file, nil
}

// tail gives the last lines of a log, for an error message.
func tail(path string) string {
	text, err := readEnd(path, 16<<10)
	if err != nil {
		return fmt.Sprintf("(its log cannot be read: %v)", err)
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return "the end of " + path + ":\n  " + strings.Join(lines, "\n  ")
}

// readEnd gives the last bytes of a file.
func readEnd(path string, limit int64) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("look at: %w", err)
	}
	text, err := io.ReadAll(io.NewSectionReader(file, max(0, info.Size()-limit), limit))
	if err != nil {
		return "", fmt.Errorf("read: %w", err)
	}
	return string(text), nil
}
