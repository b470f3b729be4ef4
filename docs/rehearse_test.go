package docs_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/simulate"
)

// The page about rehearsals is played: its files are written, its commands run, and what
// they say begins as the page shows it.
func TestRehearse(t *testing.T) {
	t.Parallel()
	list, _ := blocks(t, "docs/rehearse.md")
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "banyan"), "../cmd/banyan").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, b := range list {
		if _, name, ok := strings.Cut(b.info, "file="); ok {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(b.text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	commands := 0
	for _, b := range list {
		if b.lang != "console" {
			continue
		}
		calls := strings.Split(strings.TrimPrefix("\n"+b.text, "\n$ "), "\n$ ")
		for _, call := range calls {
			line, want, _ := strings.Cut(call, "\n")
			commands++
			cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "LANG=C")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err != nil {
				out.WriteString("[status " + strconv.Itoa(cmd.ProcessState.ExitCode()) + "]\n")
			}
			if want = strings.TrimRight(want, "\n"); !strings.HasPrefix(out.String(), want) || want == "" && out.Len() > 0 {
				t.Errorf("docs/rehearse.md:%d: %s says\n%s\nand the page shows\n%s", b.line+1, line, out.String(), want)
			}
		}
	}
	if commands < 8 {
		t.Errorf("only %d commands were found", commands)
	}
}

// Tests that stand in examples pass.
func TestTestsOfExamples(t *testing.T) {
	t.Parallel()
	tests := 0
	for _, page := range pages(t) {
		list, _ := blocks(t, page)
		for _, b := range list {
			if b.lang != "yaml" || strings.HasPrefix(b.info, "refused") || !strings.Contains(b.text, "\ntests:") || !strings.HasPrefix(b.text, "campaign:") {
				continue
			}
			def, list, problems := definitions.Tests(page, []byte(b.text))
			if def == nil {
				t.Errorf("%s:%d:\n%s", page, b.line+1, problems.Text(false))
				continue
			}
			plan, err := simulate.NewPlan(def)
			if err != nil {
				t.Fatal(err)
			}
			for i := range list {
				tests++
				v, err := simulate.Verify(plan, &list[i])
				if err != nil {
					t.Fatal(err)
				}
				if !v.OK {
					t.Errorf("%s:%d:\n%s", page, b.line+1, v.Failures.Text(false))
				}
			}
		}
	}
	if tests == 0 {
		t.Error("no tests were found")
	}
}
