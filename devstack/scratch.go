package devstack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// scratchPattern names the temporary folders of ephemeral stacks.
const scratchPattern = "banyan-scratch-*"

// scratch is the temporary folder of an ephemeral stack. It holds a lock, so that the
// next ephemeral stack can tell the leftovers of a killed one from a stack that runs.
type scratch struct {
	dir  string
	lock *os.File
	// extra are folders elsewhere that go with it; see reachableHome.
	extra []string
}

// newScratch makes a temporary folder, and removes those whose processes are gone.
func newScratch() (*scratch, error) {
	sweepScratch()
	dir, err := os.MkdirTemp("", scratchPattern)
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	// Traversable, because PostgreSQL may run as another user than ours.
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, fmt.Errorf("open the temporary folder: %w", err)
	}
	file, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("lock the temporary folder: %w", err)
	}
	if _, err := tryLock(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &scratch{dir: dir, lock: file}, nil
}

// remove deletes the folder and what goes with it. A nil scratch is none.
func (s *scratch) remove() error {
	if s == nil || s.lock == nil {
		return nil
	}
	var errs []error
	for _, dir := range append(s.extra, s.dir) {
		if err := os.RemoveAll(dir); err != nil {
			errs = append(errs, fmt.Errorf("remove temporary data: %w", err))
		}
	}
	errs = append(errs, s.lock.Close())
	s.lock = nil
	return errors.Join(errs...)
}

// sweepScratch removes what killed ephemeral stacks left behind. It is a courtesy: what
// cannot be removed, because it belongs to another user, stays.
func sweepScratch() {
	leftovers, err := filepath.Glob(filepath.Join(os.TempDir(), scratchPattern))
	if err != nil {
		return
	}
	for _, dir := range leftovers {
		if scratchIsAbandoned(dir) {
			_ = os.RemoveAll(dir)
		}
	}
}

// scratchIsAbandoned says whether the lock of a temporary folder can be had, and those
// of its services too, which may outlive their starter by a moment. A folder without a
// lock is one that is being made.
func scratchIsAbandoned(dir string) bool {
	locks, err := filepath.Glob(filepath.Join(dir, "*", "lock"))
	if err != nil {
		return false
	}
	for _, path := range append(locks, filepath.Join(dir, "lock")) {
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return false
		}
		locked, err := tryLock(file)
		info, statErr := file.Stat()
		_ = file.Close()
		if err != nil || !locked || statErr != nil {
			return false
		}
		// Between making a file and locking it lies a moment.
		if time.Since(info.ModTime()) < time.Minute {
			return false
		}
	}
	return true
}
