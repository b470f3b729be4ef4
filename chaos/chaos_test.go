package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/definitions"
)

// One seed is one plan: the same faults at the same moments, doing the same.
func TestPlan(t *testing.T) {
	a := &adversary{}
	n := len(a.kinds())
	plan := func(seed uint64) []fault { return a.plan(seed, n+3, time.Minute) }
	same := func(x, y fault) bool { return x.at == y.at && x.kind == y.kind }
	if !slices.EqualFunc(plan(7), plan(7), same) {
		t.Error("the same seed gives another plan")
	}
	if slices.EqualFunc(plan(7), plan(8), same) {
		t.Error("another seed gives the same plan")
	}
	kinds := map[string]bool{}
	last := time.Duration(-1)
	for i, f := range plan(7) {
		if i < n {
			kinds[f.kind] = true
		}
		if f.at < last || f.at >= time.Minute {
			t.Errorf("fault %d comes at %s, after one at %s", i, f.at, last)
		}
		last = f.at
	}
	if len(kinds) != n {
		t.Errorf("of %d kinds %d come before one comes again", n, len(kinds))
	}
}

func TestCampaigns(t *testing.T) {
	s := newSetup(100, 60, []string{"members", "slices"})
	for i := range s.funnels {
		f := &s.funnels[i]
		text := string(s.source(f, 3))
		if def, problems := definitions.Check(f.Campaign, []byte(text)); def == nil || problems.Refused() {
			t.Errorf("%s is refused:\n%s", f.Campaign, problems.Text(false))
		}
		for _, want := range []string{"campaign: " + f.Campaign + "\n", "第 3 版", "drive: " + f.Shop + "\n", `event.shop == "` + f.Shop + `"`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q", f.Campaign, want)
			}
		}
	}
}

// The odd program's clock is changed where Go's is read, and nowhere else.
func TestWrongClock(t *testing.T) {
	root, err := goTool(t.Context(), "env", "GOROOT")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := wrongClock(strings.TrimSpace(root), dir); err != nil {
		t.Fatal(err)
	}
	right, err := os.ReadFile(filepath.Join(strings.TrimSpace(root), "src", "time", "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := os.ReadFile(filepath.Join(dir, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Replace(string(wrong), "\tsec += 300\n", "", 1) != string(right) || len(wrong) == len(right) {
		t.Error("more or less than one line differs")
	}
}

func TestWriteInto(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# Page\n" + reportBegins + "\nold\n" + reportEnds + "\nrest\n")
	for range 2 {
		if err := writeInto(page, "new"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if want := "# Page\n" + reportBegins + "\n```text\nnew\n```\n" + reportEnds + "\nrest\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	write("# Page\n")
	if writeInto(page, "new") == nil {
		t.Error("a page without a place for the report takes it")
	}
}
