package definitions_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata")

// The files of an archive in testdata. A `problems` part is what Text gives, a
// `definition.json` part what the campaign becomes.
const (
	input    = "campaign.yaml"
	problems = "problems"
	result   = "definition.json"
)

// TestErr checks that every file in testdata/err is refused with exactly the problems
// that stand behind it.
func TestErr(t *testing.T) {
	t.Parallel()
	archives(t, "testdata/err", func(t *testing.T, source []byte, want func(string, []byte)) {
		t.Helper()
		def, got := definitions.Check(input, source)
		if def != nil || !got.Refused() {
			t.Error("the file was accepted")
		}
		positions(t, source, got)
		want(problems, []byte(got.Text(false)))
	})
}

// TestOK checks that every file in testdata/ok is accepted, what it becomes, and which
// warnings there are.
func TestOK(t *testing.T) {
	t.Parallel()
	archives(t, "testdata/ok", func(t *testing.T, source []byte, want func(string, []byte)) {
		t.Helper()
		def, got := definitions.Check(input, source)
		if def == nil {
			t.Fatalf("the file was refused:\n%s", got.Text(false))
		}
		positions(t, source, got)
		body, err := json.MarshalIndent(def, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		want(problems, []byte(got.Text(false)))
		want(result, append(body, '\n'))

		var again campaign.Definition
		if err := json.Unmarshal(body, &again); err != nil {
			t.Fatal(err)
		}
		second, err := json.MarshalIndent(again, "", "  ")
		if err != nil || !bytes.Equal(body, second) {
			t.Errorf("the definition changes on its way through JSON: %v\n%s", err, cmp.Diff(string(body), string(second)))
		}
	})
}

// archives runs check over each archive of a folder. It gets the input and a function
// that compares, or with -update rewrites, a part of the archive.
func archives(t *testing.T, folder string, check func(*testing.T, []byte, func(string, []byte))) {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no archives in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source := part(archive, input)
			if source == nil {
				t.Fatalf("%s has no part %s", file, input)
			}
			check(t, source.Data, func(name string, got []byte) {
				p := part(archive, name)
				if *update {
					archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == name })
					if len(got) > 0 {
						archive.Files = append(archive.Files, txtar.File{Name: name, Data: got})
					}
					return
				}
				var want []byte
				if p != nil {
					want = p.Data
				}
				if diff := cmp.Diff(string(want), string(got)); diff != "" {
					t.Errorf("%s differs from %s (-want +got):\n%s", name, file, diff)
				}
			})
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func part(archive *txtar.Archive, name string) *txtar.File {
	for i := range archive.Files {
		if archive.Files[i].Name == name {
			return &archive.Files[i]
		}
	}
	return nil
}

// positions checks that each problem points into the file and says what it must.
func positions(t *testing.T, source []byte, found definitions.Problems) {
	t.Helper()
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n").Replace(string(source))
	lines := strings.Split(text, "\n")
	for i, p := range found {
		if p.Message == "" || p.Check == "" {
			t.Errorf("a problem without words: %+v", p)
		}
		if p.Line == 0 {
			continue
		}
		if p.Line > len(lines) || p.Snippet != lines[p.Line-1] || p.Column < 1 || p.Width < 1 ||
			p.Column > utf8.RuneCountInString(p.Snippet)+1 {
			t.Errorf("a problem that points nowhere: %+v", p)
		}
		if i > 0 && (found[i-1].Line > p.Line || found[i-1].Line == p.Line && found[i-1].Column > p.Column) {
			t.Errorf("problems out of order: %v", found)
		}
	}
}

// TestShipped checks that what we ship is accepted without a word.
func TestShipped(t *testing.T) {
	t.Parallel()
	names := definitions.ShippedNames()
	files, err := fs.Glob(definitions.Shipped(), "*")
	if err != nil || len(files) != 3*len(names) || !slices.Contains(names, "fitness-trial") {
		t.Fatalf("a campaign, its tests and its population are three files; there are %d for %v: %v", len(files), names, err)
	}
	for _, name := range names {
		file := name + definitions.CampaignSuffix
		def, found := definitions.Check(file, readShipped(t, file))
		if def == nil || len(found) > 0 {
			t.Errorf("%s:\n%s", file, found.Text(false))
			continue
		}
		if def.Name != name {
			t.Errorf("%s holds the campaign %s", file, def.Name)
		}
		// Package simulate runs the tests.
		file = name + definitions.TestsSuffix
		if tests, found := definitions.TestsBeside(file, readShipped(t, file), def); len(tests) < 5 || len(found) > 0 {
			t.Errorf("%s: %d tests\n%s", file, len(tests), found.Text(false))
		}
		file = name + definitions.PopulationSuffix
		if pop, found := definitions.CheckPopulation(file, readShipped(t, file), def); pop == nil || len(found) > 0 {
			t.Errorf("%s:\n%s", file, found.Text(false))
		}
	}
}

func readShipped(t *testing.T, file string) []byte {
	t.Helper()
	source, err := fs.ReadFile(definitions.Shipped(), file)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// TestShippedKeepsTheRules checks what law and platforms forbid and people copy easily: a
// reward or a journey that hangs on sharing, and data of children or of bodies.
func TestShippedKeepsTheRules(t *testing.T) {
	t.Parallel()
	for _, name := range definitions.ShippedNames() {
		def, _ := definitions.Check(name, readShipped(t, name+definitions.CampaignSuffix))
		if def == nil {
			t.Fatal(name)
		}
		for _, e := range def.Events {
			for _, word := range []string{"share", "forward", "repost", "help", "bargain", "collect"} {
				if strings.Contains(e.Name, word) {
					t.Errorf("%s hears %s: nothing may be given for it", name, e.Name)
				}
			}
		}
		for _, p := range def.Member {
			for _, word := range []string{"child", "baby", "kid", "birth", "age", "face", "finger", "voice", "phone", "id_"} {
				if strings.Contains(p.Name, word) {
					t.Errorf("%s reads member.%s: what is not needed is not asked for", name, p.Name)
				}
			}
		}
		if def.Limits.QuietHours == nil || def.Limits.MessagesPerMember == nil {
			t.Errorf("%s has no quiet hours, or no cap", name)
		}
	}
}
