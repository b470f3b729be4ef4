package devstack

import (
	"bufio"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
)

// modulePath names the module whose folder is "the project".
const modulePath = "github.com/banyanhq/banyan"

// machine is everything this package asks of the machine before it starts something.
// Tests replace single answers.
type machine struct {
	getenv     func(string) string
	getwd      func() (string, error)
	lookPath   func(string) (string, error)
	glob       func(string) ([]string, error)
	lookupUser func(string) (*user.User, error)
	euid       int
	// shared are folders in which root may keep what another user must reach.
	shared []string
	// ports are those that a stack that stays takes for Temporal when they are free:
	// the ones that Temporal's tools try by default.
	ports temporalPorts
}

// thisMachine answers truthfully.
func thisMachine() *machine {
	return &machine{
		getenv:     os.Getenv,
		getwd:      os.Getwd,
		lookPath:   exec.LookPath,
		glob:       filepath.Glob,
		lookupUser: user.Lookup,
		euid:       os.Geteuid(),
		shared:     []string{"/var/lib/banyan", os.TempDir()},
		ports:      temporalPorts{Server: 7233, UI: 8233},
	}
}

// withoutServices is the machine without what its environment says about services.
func (m *machine) withoutServices() *machine {
	hidden := append(temporalSelectors(), EnvDatabaseURL)
	blind := *m
	blind.getenv = func(name string) string {
		if slices.Contains(hidden, name) {
			return ""
		}
		return m.getenv(name)
	}
	return &blind
}

// home is the data folder when the configuration names none.
func (m *machine) home() string {
	if dir := m.getenv(EnvHome); dir != "" {
		return dir
	}
	if root, ok := m.projectRoot(); ok {
		return filepath.Join(root, ".banyan")
	}
	return ".banyan"
}

// projectRoot finds Banyan's source: BANYAN_SOURCE, or the nearest folder upwards from
// the current one whose go.mod is Banyan's. Tests run in their package's folder, so
// without the walk every package would have a data folder, and a server, of its own.
func (m *machine) projectRoot() (string, bool) {
	if dir := m.getenv(EnvSource); dir != "" {
		return dir, declaresModule(filepath.Join(dir, "go.mod"))
	}
	dir, err := m.getwd()
	if err != nil {
		return "", false
	}
	for {
		if declaresModule(filepath.Join(dir, "go.mod")) {
			return dir, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

// declaresModule says whether a go.mod file is Banyan's.
func declaresModule(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "module "); ok {
			return strings.TrimSpace(name) == modulePath
		}
	}
	return false
}
