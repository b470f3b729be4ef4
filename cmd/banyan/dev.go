package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	temporal "go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/banyanhq/banyan/devstack"
	"github.com/banyanhq/banyan/store"
)

type devCommand struct {
	FakePlatform bool   `help:"Run a fake platform too: messages to staff by wecom/app, and texts by sms, appear on its page."`
	FakeListen   string `help:"Where the fake platform listens." name:"fake-platform-listen" default:"127.0.0.1:8090" placeholder:"ADDRESS"`
}

// Run brings up what is missing on this machine (PostgreSQL, Temporal), and runs the API,
// the router and a worker in this process. What the environment names is used instead.
func (c *devCommand) Run(ctx context.Context, e *env) error {
	if e.Getenv("BANYAN_DATABASE_URL_FILE") != "" {
		return usageError{"banyan dev takes a database from BANYAN_DATABASE_URL, and from no file: unset BANYAN_DATABASE_URL_FILE"}
	}
	stack, err := devstack.Up(ctx, devstack.Config{Out: e.Stderr})
	if err != nil {
		return err
	}
	return errors.Join(c.dev(ctx, e, stack), stack.Down(context.WithoutCancel(ctx)))
}

func (c *devCommand) dev(ctx context.Context, e *env, stack *devstack.Stack) error {
	own := e.on(stack)
	var platform *devPlatform
	if c.FakePlatform {
		var err error
		if platform, err = startPlatform(ctx, c.FakeListen); err != nil {
			return err
		}
		defer platform.close()
		own = own.with(platform.settings())
	}
	s, err := readSettings(own)
	if err != nil {
		return err
	}
	s.Temporal.HostPort = stack.TemporalAddress
	keyFile := ""
	if s.AdminKey == "" {
		keyFile = filepath.Join(devstack.Home(), "dev.key")
		if s.AdminKey, err = keptKey(keyFile); err != nil {
			return err
		}
	}
	if _, err := store.Migrate(ctx, s.DatabaseURL); err != nil {
		return err
	}
	listener, err := listen(ctx, "BANYAN_LISTEN", cmp.Or(s.Listen, defaultListen))
	if err != nil {
		return err
	}
	p := &printer{w: e.Stdout}
	p.line("API       %s/docs  (any name, the key as the password)", apiURL(listener))
	if stack.TemporalUI != "" {
		p.line("Temporal  %s", stack.TemporalUI)
	}
	if platform != nil {
		p.line("Phones    %s  (wecom/app; account %s, userids %s; sms to any number)", platform.url, platformCorp, strings.Join(platformStaff, ", "))
	}
	if keyFile != "" {
		p.line("key       %s  (kept in %s)", s.AdminKey, keyFile)
	}
	p.line("In another terminal:")
	p.line("  export BANYAN_SERVER=%s BANYAN_KEY=%s", apiURL(listener), shown(s.AdminKey, keyFile))
	if databaseFile, err := keepDatabaseURL(e, s.DatabaseURL); err != nil {
		return err
	} else if databaseFile != "" {
		// The URL has a password in it, so it is in a file and not on the screen.
		p.line("  export BANYAN_DATABASE_URL=\"$(cat %s)\"  TEMPORAL_ADDRESS=%s  # for banyan doctor, migrate, keys", databaseFile, s.Temporal.HostPort)
	} else {
		p.line("  export TEMPORAL_ADDRESS=%s  # for banyan doctor, with your BANYAN_DATABASE_URL", s.Temporal.HostPort)
	}
	p.line("Ctrl-C ends it; the data is kept in %s.", devstack.Home())
	if p.err != nil {
		return p.err
	}
	return house(ctx, &s, stack, listener)
}

// shown is a key as an export may show it: one that the operator set stays unseen.
func shown(key, keyFile string) string {
	if keyFile == "" {
		return "$BANYAN_ADMIN_KEY"
	}
	return key
}

// house runs the API, the router and a worker in one process until ctx is done or one of
// them, or a server that they need, fails.
func house(ctx context.Context, s *settings, stack *devstack.Stack, listener net.Listener) error {
	workers := *s
	workers.Listen, workers.MetricsAt = "", "" // the API's own ports answer for both
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return stack.Wait(ctx) })
	group.Go(func() error { return serveOn(ctx, s, listener) })
	group.Go(func() error { return work(ctx, &workers) })
	return group.Wait()
}

// on is the environment as programs on a stack of ours see it. A machine where
// everything runs in one process is no place of production, so a demo clock is allowed
// unless the environment refuses it.
func (e *env) on(stack *devstack.Stack) *env {
	set := map[string]string{"BANYAN_DATABASE_URL": stack.DatabaseURL}
	if e.Getenv("BANYAN_DEMO_CLOCK") == "" {
		set["BANYAN_DEMO_CLOCK"] = "allow"
	}
	return e.with(set)
}

// with is the environment with other values for some names, from files too.
func (e *env) with(set map[string]string) *env {
	other := *e
	other.Getenv = func(name string) string {
		if value, ok := set[name]; ok {
			return value
		}
		if _, ok := set[strings.TrimSuffix(name, "_FILE")]; ok {
			return ""
		}
		return e.Getenv(name)
	}
	return &other
}

// keptKey reads an admin key from a file, or makes one and keeps it there, for the
// owner's eyes only.
func keptKey(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err == nil {
		return strings.TrimSpace(string(data)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the key: %w", err)
	}
	key := newKey()
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the key: %w", err)
	}
	return key, nil
}

// keepDatabaseURL keeps the URL of a private cluster where the owner alone can read it;
// a URL that the environment gave is known to who gave it.
func keepDatabaseURL(e *env, url string) (file string, err error) {
	if e.Getenv("BANYAN_DATABASE_URL") != "" {
		return "", nil
	}
	file = filepath.Join(devstack.Home(), "dev.database")
	if err := os.WriteFile(file, []byte(url+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the database's URL: %w", err)
	}
	return file, nil
}

// newKey makes an admin key.
func newKey() string { return "byn_" + rand.Text() + rand.Text() }

func apiURL(listener net.Listener) string { return "http://" + listener.Addr().String() }

// journeysURL is the page of Temporal's web UI that lists a campaign's journeys.
func journeysURL(stack *devstack.Stack, campaign string) string {
	return stack.TemporalUI + "/namespaces/" + temporal.DefaultNamespace + "/workflows?query=" +
		url.QueryEscape(fmt.Sprintf("Campaign = %q", campaign))
}
