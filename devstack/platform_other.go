//go:build !unix

package devstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// tryLock refuses: everything else here relies on Unix processes, and the lock is the
// first thing that every start asks for. Services that run elsewhere can still be used.
func tryLock(*os.File) (bool, error) {
	return false, fmt.Errorf("start services of our own: %w on this system; set %s and %s (on Windows, WSL works)",
		errors.ErrUnsupported, EnvDatabaseURL, EnvTemporalAddress)
}

func processExists(int) bool { return false }

func childAttributes(*account) *syscall.SysProcAttr { return nil }

func ownerOf(fs.FileInfo) (uid, gid uint32, ok bool) { return 0, 0, false }
