package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/devstack"
	"github.com/banyanhq/banyan/devstack/devtest"
)

// A demo clock is for servers that were told so, and for those of one's own machine.
func TestDemoClockIsForDemos(t *testing.T) {
	t.Parallel()
	world := func(value string) *env {
		return &env{Getenv: func(name string) string {
			return map[string]string{"BANYAN_DATABASE_URL": "postgres://", "BANYAN_DEMO_CLOCK": value}[name]
		}}
	}
	stack := &devstack.Stack{DatabaseURL: "postgres://other"}
	for value, want := range map[string]struct{ serve, dev bool }{
		"": {false, true}, "refuse": {false, false}, "allow": {true, true},
	} {
		s, err := readSettings(world(value))
		if err != nil || s.DemoClock != want.serve {
			t.Errorf("BANYAN_DEMO_CLOCK=%s: serve allows it: %v, %v", value, s.DemoClock, err)
		}
		s, err = readSettings(world(value).on(stack))
		if err != nil || s.DemoClock != want.dev || s.DatabaseURL != stack.DatabaseURL {
			t.Errorf("BANYAN_DEMO_CLOCK=%s: dev allows it: %v, on %s, %v", value, s.DemoClock, s.DatabaseURL, err)
		}
	}
}

func TestKeptKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dev.key")
	key, err := keptKey(file)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := keptKey(file); err != nil || again != key || len(key) < 40 {
		t.Errorf("the key was %q and is %q, %v", key, again, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info.Mode(), err)
	}
}

func TestNobodySitsAtDevNull(t *testing.T) {
	t.Parallel()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	if interactive(null) || interactive(strings.NewReader("")) {
		t.Error("the demo would wait for ever")
	}
}

// banyan dev says where it is and with which key, answers there, and ends in order.
func TestDev(t *testing.T) {
	t.Setenv("BANYAN_HOME", t.TempDir())
	t.Setenv("BANYAN_DATABASE_URL", devtest.Database(t))
	t.Setenv("TEMPORAL_ADDRESS", devtest.Temporal(t))
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	out := newWatched()
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, []string{"dev"}, &env{Stdin: strings.NewReader(""), Stdout: out, Stderr: testLog{t}, Getenv: func(name string) string {
			if name == "BANYAN_LISTEN" {
				return "127.0.0.1:0"
			}
			return os.Getenv(name)
		}})
	}()
	found := out.wait(ctx, regexp.MustCompile(`BANYAN_SERVER=(\S+) BANYAN_KEY=(\S+)`))
	if found == nil {
		t.Fatalf("it said:\n%s", out.text())
	}
	for _, path := range []string{"/readyz", "/v1/campaigns"} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, found[1]+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+found[2])
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s answered %s", path, response.Status)
		}
	}
	stop()
	if status := <-ended; status != exitDone {
		t.Errorf("it ended with status %d", status)
	}
}

// testLog passes a log to the test.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}
