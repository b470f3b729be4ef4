package devstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// account is a user that a service runs as.
type account struct {
	name     string
	uid, gid uint32
}

// postgresAccount chooses whom PostgreSQL runs as: ourselves (nil), unless we are root,
// which PostgreSQL refuses. Then it is the owner of existing data, or else `postgres`
// where that user exists, or else `nobody`.
func (m *machine) postgresAccount(data string) (*account, error) {
	info, err := os.Stat(data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		info = nil
	case err != nil:
		return nil, fmt.Errorf("look at the data folder: %w", err)
	}
	if info != nil {
		uid, gid, ok := ownerOf(info)
		switch {
		case !ok:
		case m.euid == 0 && uid != 0:
			return &account{name: "user " + strconv.Itoa(int(uid)), uid: uid, gid: gid}, nil
		case m.euid != 0 && int(uid) != m.euid:
			return nil, fmt.Errorf("%s belongs to user %d, not to us (%d): "+
				"start as that user or as root, or name another folder with %s", data, uid, m.euid, EnvHome)
		}
	}
	if m.euid != 0 {
		return nil, nil //nolint:nilnil // nil is "as ourselves"
	}
	for _, name := range []string{"postgres", "nobody"} {
		if found, err := m.account(name); err == nil {
			return found, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and this machine has neither a user `postgres` nor `nobody`: " +
		"start as an ordinary user, or set " + EnvDatabaseURL)
}

// account looks up an unprivileged user.
func (m *machine) account(name string) (*account, error) {
	found, err := m.lookupUser(name)
	if err != nil {
		return nil, fmt.Errorf("look for user %s: %w", name, err)
	}
	uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return nil, fmt.Errorf("read user %s: %w", name, err)
	}
	if uid == 0 {
		return nil, fmt.Errorf("user %s is root under another name", name)
	}
	return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
}

// canReach says whether the account may pass through every folder from the root to dir.
// nil, ourselves, may by having made it.
func (a *account) canReach(dir string) (bool, error) {
	if a == nil {
		return true, nil
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, fmt.Errorf("resolve the data folder: %w", err)
	}
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return false, fmt.Errorf("look at a parent of the data folder: %w", err)
		}
		uid, gid, ok := ownerOf(info)
		mode := info.Mode().Perm()
		switch {
		case !ok:
			return false, nil
		case uid == a.uid:
			ok = mode&0o100 != 0
		case gid == a.gid:
			ok = mode&0o010 != 0
		default:
			ok = mode&0o001 != 0
		}
		if !ok {
			return false, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true, nil
		}
		dir = parent
	}
}

// own gives a file or folder to the account; nil leaves it with us.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("give %s to %s: %w", path, a.name, err)
	}
	return nil
}
