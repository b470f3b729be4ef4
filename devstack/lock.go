package devstack

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// pollInterval is the pause between two looks at a condition that is about to come true.
	pollInterval = 25 * time.Millisecond
	// leftoverWait is how long the services of a starter that died may take to notice
	// that their leash is cut, and to stop.
	leftoverWait = 20 * time.Second
)

// lock says that one process uses a folder. It is an flock, so it ends with its holders
// and never goes stale; the services inherit it, so that a folder is not free before
// the last of them is gone.
type lock struct{ file *os.File }

// takeLock takes the lock file, or says who has it. If the holder is dead and only its
// services are left, it calls leftover once and waits for them to end.
func takeLock(ctx context.Context, path, what string, leftover func(context.Context) error) (*lock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock of %s: %w", what, err)
	}
	ctx, cancel := context.WithTimeout(ctx, leftoverWait)
	defer cancel()
	for told := false; ; {
		locked, err := tryLock(file)
		if err == nil && locked {
			err = writeHolder(file)
		}
		if err == nil && !locked {
			holder := readHolder(file)
			switch {
			case holder != 0 && processExists(holder):
				err = fmt.Errorf("%s is in use by process %d (%s): stop it, or name another folder with %s",
					what, holder, path, EnvHome)
			case !told && leftover != nil && holder != 0:
				told = true
				err = leftover(ctx)
			}
		}
		if err == nil && !locked {
			err = pause(ctx)
			if err != nil {
				err = fmt.Errorf("%s is still held by a service whose starter is gone (%s): %w", what, path, err)
			}
		}
		if err != nil {
			_ = file.Close() // the first error is the one worth telling
			return nil, err
		}
		if locked {
			return &lock{file: file}, nil
		}
	}
}

// release gives the lock back. A service that still runs keeps it until it ends.
func (l *lock) release() error {
	if err := l.file.Truncate(0); err != nil {
		_ = l.file.Close()
		return fmt.Errorf("clear the lock: %w", err)
	}
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("release the lock: %w", err)
	}
	return nil
}

// writeHolder notes this process as the one to name to others.
func writeHolder(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("note the lock's holder: %w", err)
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return fmt.Errorf("note the lock's holder: %w", err)
	}
	return nil
}

// readHolder gives the noted process, or 0 while nobody is noted.
func readHolder(file *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}

// pause waits one poll interval, or says why ctx ended.
func pause(ctx context.Context) error {
	timer := time.NewTimer(pollInterval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
