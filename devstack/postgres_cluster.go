package devstack

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	postgresRole     = "banyan" // superuser of the private cluster
	postgresDatabase = "banyan"
)

// cluster is a PostgreSQL cluster of ours on disk.
type cluster struct {
	home      string // traversable; holds the log, the lock, the connection and …
	data      string // … the data, private to the account
	account   *account
	bin       binaries
	ephemeral bool
	connection
}

// connection is how to log in. It is kept in a file that only its owner can read:
// loopback is open to every user of the machine, so a password guards it.
type connection struct {
	Port     int    `json:"port"`
	Password string `json:"password"`
}

// url is the connection string for one database of the cluster.
func (c *cluster) url(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(postgresRole, c.Password),
		Host:     address(c.Port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// placeCluster decides where a cluster lives and who runs it, and makes the folder.
func placeCluster(cfg Config) (*cluster, error) {
	home := cfg.folder("postgres")
	account, err := cfg.machine.postgresAccount(filepath.Join(home, "data"))
	if err != nil {
		return nil, err
	}
	if err := makeHome(home); err != nil {
		return nil, err
	}
	reachable, err := account.canReach(home)
	if err != nil {
		return nil, err
	}
	if !reachable {
		// Under a private home folder, say. Keyed by the place it stands in for, so
		// that the next start finds it.
		elsewhere, err := reachableHome(home, cfg.machine, account)
		if err != nil {
			return nil, err
		}
		cfg.out.sayf("PostgreSQL runs as %s, who cannot reach %s: its data goes to %s", account.name, home, elsewhere)
		home = elsewhere
		if cfg.scratch != nil {
			cfg.scratch.extra = append(cfg.scratch.extra, home)
		}
		if account, err = cfg.machine.postgresAccount(filepath.Join(home, "data")); err != nil {
			return nil, err
		}
	}
	return &cluster{home: home, data: filepath.Join(home, "data"), account: account, ephemeral: cfg.Ephemeral && !cfg.Durable}, nil
}

// reachableHome makes a place for a cluster whose own is closed to PostgreSQL's user.
// Only root needs it, and root can make it.
func reachableHome(home string, machine *machine, account *account) (string, error) {
	sum := sha256.Sum256([]byte(home))
	for _, base := range machine.shared {
		if err := os.MkdirAll(base, 0o755); err != nil {
			continue // a read-only system, say: the next place may do
		}
		dir := filepath.Join(base, "postgres-"+hex.EncodeToString(sum[:6]))
		if err := makeHome(dir); err != nil {
			continue
		}
		info, err := os.Lstat(dir)
		if err != nil {
			continue
		}
		// In a folder that all may write to, somebody else may have been there first.
		if uid, _, ok := ownerOf(info); !ok || int(uid) != machine.euid || !info.IsDir() {
			continue
		}
		if reachable, err := account.canReach(dir); err == nil && reachable {
			return dir, nil
		}
	}
	return "", fmt.Errorf("PostgreSQL runs as %s, who can reach neither %s nor a folder in %s: name another folder with %s",
		account.name, home, strings.Join(machine.shared, " or "), EnvHome)
}

// makeHome makes a folder that other users can pass through but not list.
func makeHome(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make PostgreSQL's folder: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return fmt.Errorf("open PostgreSQL's folder: %w", err)
	}
	return nil
}

// ready makes the cluster if it is not there, and reads how to log in.
func (c *cluster) ready(ctx context.Context, cfg Config) error {
	installed, err := cfg.machine.findPostgres(ctx)
	if err != nil {
		return err
	}
	c.bin = installed[0]
	version, err := os.ReadFile(filepath.Join(c.data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return c.create(ctx, cfg)
	}
	if err != nil {
		return fmt.Errorf("read the data's version: %w", err)
	}

	// Data belongs to the major version that made it.
	major := strings.TrimSpace(string(version))
	for _, b := range installed {
		if strconv.Itoa(b.major) == major {
			c.bin = b
			return c.readConnection()
		}
	}
	return fmt.Errorf("%s was made by PostgreSQL %s, which is not installed (found %s): "+
		"install it, or remove the folder to start afresh", c.data, major, c.bin.version)
}

// create makes a new cluster under another name first, so that a kill half way leaves
// nothing that looks like one.
func (c *cluster) create(ctx context.Context, cfg Config) error {
	cfg.out.sayf("making a PostgreSQL %s cluster in %s", c.bin.version, c.data)
	draft := c.data + ".new"
	if err := os.RemoveAll(draft); err != nil {
		return fmt.Errorf("remove a half-made cluster: %w", err)
	}
	if err := os.Mkdir(draft, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if err := c.account.own(draft); err != nil {
		return err
	}
	c.connection = connection{Password: rand.Text()}
	passwordFile := filepath.Join(c.home, "password.new")
	if err := os.WriteFile(passwordFile, []byte(c.Password), 0o600); err != nil {
		return fmt.Errorf("hand over the password: %w", err)
	}
	defer os.Remove(passwordFile) //nolint:errcheck // overwritten by the next time, and owner-only
	if err := c.account.own(passwordFile); err != nil {
		return err
	}

	args := []string{
		"--pgdata=" + draft,
		"--username=" + postgresRole, "--pwfile=" + passwordFile,
		"--auth=scram-sha-256",
		// The same order and the same case rules on every machine.
		"--encoding=UTF8", "--locale=C",
	}
	if c.ephemeral {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, c.bin.initdb(), args...)
	cmd.Dir = c.home
	cmd.Env = c.environment()
	cmd.SysProcAttr = childAttributes(c.account)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", c.bin.initdb(), err, text)
	}
	// The way in is written before the data appears: data that nobody can log in to
	// would be worse than none.
	if err := c.writeConnection(); err != nil {
		return err
	}
	if err := os.Rename(draft, c.data); err != nil {
		return fmt.Errorf("put the cluster in place: %w", err)
	}
	return nil
}

// environment is what PostgreSQL's programs need of ours: nothing that would change
// where they look or how they speak.
func (c *cluster) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "PGTZ=UTC"}
}

func (c *cluster) connectionFile() string { return filepath.Join(c.home, "connection.json") }

// readConnection reads how to log in.
func (c *cluster) readConnection() error {
	text, err := os.ReadFile(c.connectionFile())
	if err != nil {
		return fmt.Errorf("read how to log in to %s (without it, remove the folder to start afresh): %w", c.data, err)
	}
	if err := json.Unmarshal(text, &c.connection); err != nil {
		return fmt.Errorf("read %s: %w", c.connectionFile(), err)
	}
	return nil
}

// writeConnection keeps how to log in, whole or not at all.
func (c *cluster) writeConnection() error {
	text, err := json.Marshal(c.connection)
	if err != nil {
		return fmt.Errorf("keep how to log in: %w", err)
	}
	return writeFile(c.connectionFile(), text)
}

// writeFile replaces a private file in one step.
func writeFile(path string, text []byte) error {
	draft := path + ".new"
	if err := os.WriteFile(draft, text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(draft, path); err != nil {
		return fmt.Errorf("put %s in place: %w", path, err)
	}
	return nil
}
