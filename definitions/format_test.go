package definitions_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/definitions"
)

// TestFormat checks the files of testdata/format: an input and what it is formatted to.
func TestFormat(t *testing.T) {
	t.Parallel()
	archives(t, "testdata/format", func(t *testing.T, source []byte, want func(string, []byte)) {
		t.Helper()
		want("formatted.yaml", formatOf(t, source))
	})
}

// formatOf formats a file and checks what must hold of every file.
func formatOf(t testing.TB, source []byte) []byte {
	t.Helper()
	out, problems, err := definitions.Format(input, source)
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	if problems != nil {
		return nil
	}
	again, problems, err := definitions.Format(input, out)
	if err != nil || problems != nil || string(again) != string(out) {
		t.Fatalf("formatted twice it differs: %v %v\n%s", err, problems, cmp.Diff(string(out), string(again)))
	}
	if a, b := meaning(t, source), meaning(t, out); a != b {
		t.Fatalf("the definition has changed:\n%s\n%s", cmp.Diff(a, b), out)
	}
	return out
}

var lineNumber = regexp.MustCompile(`"line":[0-9]+,?`)

// meaning is the definition that a file becomes, without the lines of its steps; of a
// file that is refused, the checks that refuse it.
func meaning(t testing.TB, source []byte) string {
	t.Helper()
	def, found := definitions.Check(input, source)
	if def == nil {
		var checks []string
		for _, p := range found {
			if p.Check != "duplicate-key" { // which of two is the second depends on their order
				checks = append(checks, p.Check)
			}
		}
		slices.Sort(checks)
		return strings.Join(slices.Compact(checks), " ")
	}
	body, err := json.Marshal(def)
	if err != nil {
		t.Fatal(err)
	}
	return lineNumber.ReplaceAllString(string(body), "")
}

// inputs are all files that the tests read.
func inputs(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, folder := range []string{"ok", "err", "problems", "format"} {
		files, err := filepath.Glob("testdata/" + folder + "/*.txtar")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if p := part(archive, input); p != nil {
				out[file] = p.Data
			}
		}
	}
	shipped, err := fs.Glob(definitions.Shipped(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range shipped {
		source, err := fs.ReadFile(definitions.Shipped(), file)
		if err != nil {
			t.Fatal(err)
		}
		out[file] = source
	}
	return out
}

// TestFormatEverything formats every file that there is.
func TestFormatEverything(t *testing.T) {
	t.Parallel()
	formatted := 0
	for file, source := range inputs(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			if formatOf(t, source) != nil {
				formatted++
			}
		})
	}
	if formatted < 100 {
		t.Errorf("only %d files were formatted", formatted)
	}
}

// TestFormatKeepsComments puts comments wherever a file may have one, and looks for each
// in what comes out.
func TestFormatKeepsComments(t *testing.T) {
	files := inputs(t)
	names := make([]string, 0, len(files))
	for name, source := range files {
		if def, _ := definitions.Check(name, source); def != nil && len(source) < 3_000 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	shipped, err := os.ReadFile("fitness-trial.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files["fitness-trial.yaml"] = shipped
	names = append(names, "fitness-trial.yaml")
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.SampledFrom(names).Draw(r, "file")
		source := files[name]
		want := meaning(t, source)
		lines := strings.Split(strings.TrimSuffix(string(source), "\n"), "\n")
		put := 0
		var out []string
		for _, line := range lines {
			switch rapid.IntRange(0, 5).Draw(r, "what") {
			case 0:
				out = append(out, strings.Repeat(" ", rapid.IntRange(0, 12).Draw(r, "indent"))+fmt.Sprintf("# c%d.", put), line)
				put++
			case 1:
				out = append(out, line+fmt.Sprintf("  # c%d.", put))
				put++
			case 2:
				out = append(out, "", line)
			default:
				out = append(out, line)
			}
		}
		text := []byte(strings.Join(out, "\n") + "\n")
		if meaning(t, text) != want {
			return // a comment fell into a text
		}
		formatted := string(formatOf(t, text))
		for i := range put {
			if n := strings.Count(formatted, fmt.Sprintf("# c%d.", i)); n != 1 {
				r.Fatalf("comment %d stands there %d times:\n%s\nformatted:\n%s", i, n, text, formatted)
			}
		}
	})
}

// FuzzFormat looks for a text that is formatted to something else than it says, that is
// formatted differently a second time, or that makes the formatter panic.
func FuzzFormat(f *testing.F) {
	for _, source := range inputs(f) {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		if len(source) < 20_000 {
			out, problems, err := definitions.Format(input, source)
			switch {
			case err != nil: // it has seen for itself that it would change the file
			case problems == nil:
				if a, b := meaning(t, source), meaning(t, out); a != b {
					t.Errorf("the definition has changed:\n%s", cmp.Diff(a, b))
				}
			}
		}
	})
}

// TestShippedIsFormatted checks that the campaigns that we ship are written as `banyan fmt`
// writes.
func TestShippedIsFormatted(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(definitions.Shipped(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := fs.ReadFile(definitions.Shipped(), file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(source), string(formatOf(t, source))); diff != "" {
			t.Errorf("%s is not formatted; run banyan fmt -w:\n%s", file, diff)
		}
	}
}
