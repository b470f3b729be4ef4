package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/definitions"
)

// TestMain lets the test binary be a process of the compared, as the program itself is.
func TestMain(m *testing.M) {
	if os.Getenv(envRole) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Every benchmark runs from end to end in its smallest size, and says something of each
// of the things that it compares. What it says of speed is nobody's business here.
func TestSmoke(t *testing.T) {
	for _, b := range suite() {
		t.Run(b.name, func(t *testing.T) {
			var out, progress bytes.Buffer
			if err := command(t.Context(), []string{"--short", "--json", b.name}, &out, &progress); err != nil {
				t.Fatalf("%v\n%s", err, progress.String())
			}
			var results []Result
			if err := json.Unmarshal(out.Bytes(), &results); err != nil || len(results) != 1 {
				t.Fatalf("%d results, %v\n%s", len(results), err, out.String())
			}
			r := results[0]
			by := map[string]bool{}
			for _, m := range r.Measures {
				by[m.By] = true
				for _, sample := range m.Samples {
					if math.IsNaN(sample) || sample < 0 {
						t.Errorf("%s, %s, %s: %v", m.Of, m.By, m.What, sample)
					}
				}
			}
			if len(by) < 2 {
				t.Errorf("it compares nothing: %v", by)
			}
			if len(r.Goals) == 0 {
				t.Error("it judges no goal")
			}
			if r.Command != "go run . --short "+b.name {
				t.Errorf("the command that makes the numbers is said to be %q", r.Command)
			}
		})
	}
}

func TestPageIsWrittenFromKeptResults(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "results")
	r := &run{Result: Result{
		Name: "decision", Title: "one decision", Command: "go run . decision", At: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Took: 12,
		Machine: Machine{OS: "linux/amd64", CPU: "a processor", Cores: 2, MemoryMB: 8192, Go: "go1.26", SDK: "v1", Postgres: "15"},
	}, progress: &bytes.Buffer{}}
	for _, sample := range []float64{30, 10, 20} {
		r.add("a|b", "time", "CEL", "ns", sample)
		r.add("a|b", "time", "Go", "ns", 2)
	}
	r.atMost("a|b", "times Go's", r.median("a|b", "time", "CEL")/r.median("a|b", "time", "Go"), 25)
	r.atLeast("a|b", "of Go's rate", 0.1, 0.5)
	if err := r.keep(kept); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "notes"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes", "decision.md"), []byte("Words for it.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(dir, "page.md")
	if err := command(t.Context(), []string{"--keep", kept, "--write", page}, &bytes.Buffer{}, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`| time | CEL | 20 ns | 10 – 30 | 3 |`,
		`| [decision](#decision) | a\|b, times Go's ≤ 25 | 10 | met |`,
		`| [decision](#decision) | a\|b, of Go's rate ≥ 0.5 | 0.1 | **missed** |`,
		"cd bench && go run . decision", "Words for it.", "2 cores (a processor), 8 GB of memory, linux/amd64, go1.26, Temporal SDK v1, PostgreSQL 15",
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("the page lacks %q:\n%s", want, data)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--short", "check"}, "go run . --short check"},
		{[]string{"--short", "--check.lines=300", "check"}, "go run . --short --check.lines=300 check"},
	} {
		var out bytes.Buffer
		if err := command(t.Context(), append([]string{"--json"}, c.args...), &out, &bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), `"command": "`+c.want+`"`) {
			t.Errorf("%v: %s", c.args, out.String())
		}
	}
	if err := command(t.Context(), []string{"nothing"}, &bytes.Buffer{}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "decision") {
		t.Errorf("an unknown benchmark: %v; want the names of those that there are", err)
	}
}

func TestPercentile(t *testing.T) {
	samples := []float64{40, 10, 30, 20}
	for p, want := range map[float64]float64{0: 10, 50: 25, 100: 40} {
		if got := percentile(samples, p); got != want {
			t.Errorf("p%v is %v, want %v", p, got, want)
		}
	}
	if got := percentile(nil, 50); !math.IsNaN(got) {
		t.Errorf("of nothing it is %v", got)
	}
}

func TestNumber(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0", 12: "12", 1234567: "1,234,567", -1000: "-1,000", 123.4: "123", 12.34: "12.3", 1.234: "1.23", 0.1234: "0.12",
	} {
		if got := number(f); got != want {
			t.Errorf("%v is written %s, want %s", f, got, want)
		}
	}
}

func TestParseStat(t *testing.T) {
	// A name may hold spaces and brackets; utime, stime, cutime and cstime are 14 to 17.
	p, ok := parseStat("42 (a (b) c) S 7 1 1 0 -1 0 0 0 0 0 100 50 30 20 20 0 1 0 5 6 7\n")
	if want := (process{pid: 42, parent: 7, name: "a (b) c", cpu: 2 * time.Second}); !ok || p != want {
		t.Errorf("%+v %v, want %+v", p, ok, want)
	}
	if _, ok := parseStat("nonsense"); ok {
		t.Error("nonsense was read")
	}
}

// The funnel that is measured must let through any number of members, as the
// hand-written one does.
func TestFunnelHasNoLimits(t *testing.T) {
	source, err := funnelCampaign()
	if err != nil {
		t.Fatal(err)
	}
	def, problems := definitions.Check("campaign.yaml", []byte(driven(source, "slices")))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	for _, o := range def.Offers {
		if o.Stock != 0 {
			t.Errorf("offer %s has a stock of %d", o.Name, o.Stock)
		}
	}
	for _, r := range def.Rewards {
		if r.Budget != 0 {
			t.Errorf("reward %s has a budget of %d", r.Name, r.Budget)
		}
	}
	for _, j := range def.Journeys {
		if j.Holdout != 0 || j.Drive != "slices" {
			t.Errorf("journey %s holds out %d and has drive %q", j.Name, j.Holdout, j.Drive)
		}
	}
}
