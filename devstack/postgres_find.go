package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oldestPostgres is the oldest major version that Banyan and Temporal are tested with.
const oldestPostgres = 14

// errNoPostgres names the ways out for somebody without PostgreSQL.
var errNoPostgres = errors.New("no PostgreSQL found (looked for initdb and postgres on PATH, behind pg_config, " +
	"and where Debian, Homebrew and the source build put them). Three ways out:\n" +
	"  - use a PostgreSQL that runs:  export " + EnvDatabaseURL + "=postgres://user:password@host:5432/database\n" +
	"  - install one:                 sudo apt-get install postgresql    (Debian, Ubuntu)\n" +
	"                                 brew install postgresql@17         (macOS)\n" +
	"  - let us install Debian's:     make postgres                      (as root)")

// binaries are one installation of PostgreSQL.
type binaries struct {
	dir     string
	major   int
	version string // as people say it: "15.18"
}

func (b binaries) initdb() string   { return filepath.Join(b.dir, "initdb") }
func (b binaries) postgres() string { return filepath.Join(b.dir, "postgres") }

// findPostgres gives the usable installations, the preferred one first: what the user
// put on PATH, then what pg_config names, then known places, newest first.
func (m *machine) findPostgres(ctx context.Context) ([]binaries, error) {
	var found []binaries
	var broken []error
	for _, dir := range m.postgresFolders(ctx) {
		b, err := inspectPostgres(ctx, dir)
		switch {
		case err == nil:
			found = append(found, b)
		case !errors.Is(err, os.ErrNotExist):
			broken = append(broken, err)
		}
	}
	if len(found) == 0 {
		return nil, errors.Join(append([]error{errNoPostgres}, broken...)...)
	}
	return found, nil
}

// postgresFolders lists the folders that may hold an installation, without repeats.
func (m *machine) postgresFolders(ctx context.Context) []string {
	var folders []string
	add := func(dir string) {
		// Debian puts links into PATH; the folder that they lead to is the installation.
		if resolved, err := filepath.EvalSymlinks(filepath.Join(dir, "initdb")); err == nil {
			dir = filepath.Dir(resolved)
		}
		if !slices.Contains(folders, dir) {
			folders = append(folders, dir)
		}
	}
	if initdb, err := m.lookPath("initdb"); err == nil {
		add(filepath.Dir(initdb))
	}
	if config, err := m.lookPath("pg_config"); err == nil {
		if dir, err := output(ctx, config, "--bindir"); err == nil {
			add(dir)
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/usr/local/pgsql/bin",
	} {
		dirs, err := m.glob(pattern)
		if err != nil {
			continue // only a malformed pattern is an error
		}
		slices.SortFunc(dirs, func(a, b string) int { return lastNumber(b) - lastNumber(a) })
		for _, dir := range dirs {
			add(dir)
		}
	}
	return folders
}

var (
	numberPattern  = regexp.MustCompile(`\d+`)
	versionPattern = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)
)

// lastNumber is the version in a folder's name, 0 without one.
func lastNumber(dir string) int {
	numbers := numberPattern.FindAllString(dir, -1)
	if len(numbers) == 0 {
		return 0
	}
	n, err := strconv.Atoi(numbers[len(numbers)-1])
	if err != nil {
		return 0 // a number too large to be a version
	}
	return n
}

// inspectPostgres runs what a folder holds, because a stub or a wrapper without its
// installation looks like the real thing until it is run.
func inspectPostgres(ctx context.Context, dir string) (binaries, error) {
	b := binaries{dir: dir}
	for _, path := range []string{b.initdb(), b.postgres()} {
		if _, err := os.Stat(path); err != nil {
			return b, fmt.Errorf("look for %s: %w", path, err)
		}
		text, err := output(ctx, path, "--version")
		if err != nil {
			return b, err
		}
		match := versionPattern.FindStringSubmatch(text)
		if match == nil {
			return b, fmt.Errorf("%s --version answers %q, not a version", path, text)
		}
		b.version = match[1]
		if b.major, err = strconv.Atoi(match[2]); err != nil {
			return b, fmt.Errorf("read the version of %s: %w", path, err)
		}
	}
	if b.major < oldestPostgres {
		return b, fmt.Errorf("%s is PostgreSQL %s; Banyan needs %d or newer", dir, b.version, oldestPostgres)
	}
	return b, nil
}

// output runs a short command and gives what it prints.
func output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	text, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "", fmt.Errorf("run %s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(text)), nil
}
