package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseOptions(t *testing.T) {
	t.Parallel()
	opts, err := parseOptions([]string{"--db", "x.db", "--search-attributes", "A, B,"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if opts.ip != loopback || opts.namespace != "default" || opts.retention != 72*time.Hour ||
		!slices.Equal(opts.attributes, []string{"A", "B"}) {
		t.Errorf("the defaults are %+v", opts)
	}
	for name, args := range map[string][]string{
		"no store":         {},
		"two stores":       {"--db", "x.db", "--postgres", "postgres://h/d"},
		"a stray argument": {"--db", "x.db", "more"},
		"a host name":      {"--db", "x.db", "--ip", "localhost"},
		"an unknown flag":  {"--db", "x.db", "--colour"},
	} {
		if _, err := parseOptions(args, io.Discard); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := parseOptions([]string{"--help"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help says %v", err)
	}
}

func TestParsePostgres(t *testing.T) {
	t.Setenv("PGPASSWORD", "from the environment")
	conf, _, err := parsePostgres("postgres://banyan@127.0.0.1:5433/main?sslmode=verify-full&sslrootcert=" +
		filepath.Join("testdata", "none"))
	if err == nil {
		t.Errorf("a missing certificate was accepted: %+v", conf)
	}
	conf, maintenance, err := parsePostgres("postgres://banyan@127.0.0.1:5433/main?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	if conf.ConnectAddr != "127.0.0.1:5433" || conf.User != "banyan" || conf.Password != "from the environment" ||
		conf.ConnectAttributes["sslmode"] != "disable" || maintenance != "main" {
		t.Errorf("read %+v, %s", conf, maintenance)
	}
	if _, _, err := parsePostgres("host=/var/run/postgresql dbname=x"); err == nil || !strings.Contains(err.Error(), "TCP") {
		t.Errorf("a socket: %v", err)
	}
}

func TestServeAndServeAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "temporal.db")
	for range 2 { // a new file, and then the same
		opts, err := parseOptions([]string{"--db", file}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if opts.port, err = freePort(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		ready, out := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			err := run(ctx, opts, out)
			_ = out.CloseWithError(errors.Join(io.EOF, err)) // a pipe in memory cannot fail to close
			ended <- err
		}()
		line := make([]byte, 256)
		n, err := ready.Read(line)
		if err != nil || !strings.HasPrefix(string(line[:n]), "ready address=127.0.0.1:") {
			t.Errorf("the server says %q, %v", line[:n], err)
		}
		if err := checkFree(t.Context(), loopback, opts.port); err == nil {
			t.Error("nobody listens on the port")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestStandardInputIsTheLeash(t *testing.T) {
	t.Parallel()
	leash, held := net.Pipe()
	ctx, cancel := withStdin(t.Context(), leash)
	defer cancel()
	if err := ctx.Err(); err != nil {
		t.Fatal(err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
}

func TestStaticConfigKeepsToLoopback(t *testing.T) {
	t.Parallel()
	opts := options{ip: "0.0.0.0", port: 7233}
	persistence, err := openSQLite(filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	conf, err := serverConfig(t.Context(), opts, persistence)
	if err != nil {
		t.Fatal(err)
	}
	if conf.PublicClient.HostPort != "127.0.0.1:7233" {
		t.Errorf("the server reaches itself at %s", conf.PublicClient.HostPort)
	}
	ports := map[int]bool{}
	for name, service := range conf.Services {
		if name != "frontend" && service.RPC.BindOnIP != loopback {
			t.Errorf("%s listens on %s", name, service.RPC.BindOnIP)
		}
		ports[service.RPC.GRPCPort] = true
	}
	if len(ports) != 4 {
		t.Errorf("the services share ports: %v", ports)
	}
}
