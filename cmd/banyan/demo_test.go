package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/demo"
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

// The demo as people run it: servers of its own, the model campaign, the report, and an
// independent count that agrees.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("ten days in two and a half minutes")
	}
	t.Parallel()
	c := &terminal{t: t}
	out := c.must("demo", "--exit")
	if !regexp.MustCompile(`all \d+ numbers agree`).MatchString(out) || !strings.Contains(out, "banyan explain") ||
		!regexp.MustCompile(`API +http://127\.0\.0\.1:\d+/docs`).MatchString(out) { // nobody else's machine
		t.Errorf("it said:\n%s", out)
	}
}

// What the demo says at its end: the report, whether it was counted the same, where to
// look, and one member's story.
func TestDemoTells(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if want := "/v1/members/" + demo.Interesting() + "/explain"; r.URL.Path != want || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("it asked for %s", r.URL.Path)
		}
		_, _ = w.Write([]byte(`{"member": {"id": "m-1"}, "journeys": [{"journey": "trial-to-card", "status": "done", "outcome": "champion"}]}`))
	}))
	defer api.Close()
	var out bytes.Buffer
	d := &demonstration{
		env: &env{Stdout: &out, Getenv: func(string) string { return "" }}, globals: &Globals{}, dir: t.TempDir(), key: "secret",
		stack: &devstack.Stack{TemporalUI: "http://ui"},
	}
	if err := os.WriteFile(d.messagesFile(), []byte("12-01  console  m-1  welcome  hello\n12-01  console  m-2  welcome  hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	result := &demo.Result{Campaign: demo.Campaign, Report: new(demo.Report), Told: 927, Duplicates: 106}
	report := `{"journeys": [{"entered": 20, "held_out": 2, "outcomes": [{"outcome": "lapsed", "members": 20}],
		"goal": {"converted": {"did": 9, "of": 18, "share": 0.5}, "held_out": {"did": 0, "of": 2, "share": 0}}}],
		"messages": [{"message": "welcome", "state": "sent", "messages": 18}], "rewards": [{"reward": "first-card", "granted": 7, "points": 700}]}`
	if err := json.Unmarshal([]byte(report), result.Report); err != nil {
		t.Fatal(err)
	}
	if err := d.tell(t.Context(), api.URL, result, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"927 events told, 106 of them", "entered 20 lapsed 20", "sent 18 welcome 18", "points 700", "all 7 numbers agree",
		"converted 9 50 % of 18 it spoke to · 0 % of 2 held out", "m-1 welcome hello", "champion", api.URL + "/docs",
		"http://ui/namespaces/default/workflows?query=Campaign+%3D+%22fitness-trial%22", "secret", "--stay",
	} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
	out.Reset()
	d.globals.JSON, d.stay = true, true
	if err := d.tell(t.Context(), api.URL, result, []string{"late: 1, counted again 2"}); err != nil {
		t.Fatal(err)
	}
	var said told
	if err := json.Unmarshal(out.Bytes(), &said); err != nil || said.Numbers["entered"] != 20 || len(said.Differences) != 1 || said.API != api.URL {
		t.Errorf("as JSON: %+v, %v", said, err)
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
