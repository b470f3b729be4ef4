package docs_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/graph"
)

// Every shipped campaign has its page, and every page is about one.
func TestCampaignIndex(t *testing.T) {
	t.Parallel()
	names := definitions.ShippedNames()
	index := read(t, "docs/campaigns/README.md")
	for _, name := range names {
		if !strings.Contains(index, "]("+name+".md)") {
			t.Errorf("docs/campaigns/README.md does not lead to %s.md", name)
		}
	}
	for _, page := range pages(t) {
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		if filepath.Dir(page) == "docs/campaigns" && name != "README" && !slices.Contains(names, name) {
			t.Errorf("%s is about no campaign that is shipped", page)
		}
	}
}

// The page of a shipped campaign is true: its picture is what banyan graph draws, its
// commands say what stands there, and its table names every event with every property.
// With -update the picture and what the commands say are written as they are.
func TestCampaignPages(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "banyan"), "../cmd/banyan").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, name := range definitions.ShippedNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := name + definitions.CampaignSuffix
			source, err := fs.ReadFile(definitions.Shipped(), file)
			if err != nil {
				t.Fatal(err)
			}
			def, problems := definitions.Check(file, source)
			if def == nil {
				t.Fatal(problems.Text(false))
			}
			page := "docs/campaigns/" + name + ".md"
			isPictured(t, def, page)
			isPlayed(t, page, bin)
			tellsEvents(t, def, page)
		})
	}
}

func isPictured(t *testing.T, def *campaign.Definition, page string) {
	t.Helper()
	drawn, err := graph.Draw(def, "", graph.SVG)
	if err != nil {
		t.Fatal(err)
	}
	picture := strings.TrimSuffix(page, ".md") + ".svg"
	if *update {
		if err := os.WriteFile("../"+picture, []byte(drawn), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(read(t, picture), drawn); diff != "" {
		t.Errorf("%s is not what banyan graph draws; write it with -update and look at it:\n%s", picture, diff)
	}
	if !strings.Contains(read(t, page), "]("+filepath.Base(picture)+")") {
		t.Errorf("%s does not show %s", page, picture)
	}
}

// isPlayed runs the commands of a page one after the other, in a folder of its own.
func isPlayed(t *testing.T, page, bin string) {
	t.Helper()
	dir, text := t.TempDir(), read(t, page)
	list, _ := blocks(t, page)
	played := ""
	for _, b := range list {
		if b.lang != "console" {
			continue
		}
		var said strings.Builder
		for call := range strings.SplitSeq(strings.TrimPrefix("\n"+b.text, "\n$ "), "\n$ ") {
			line, _, _ := strings.Cut(call, "\n")
			played += line + "\n"
			cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "LANG=C")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err != nil {
				t.Errorf("%s:%d: %s: %v\n%s", page, b.line+1, line, err, out.String())
			}
			said.WriteString("$ " + line + "\n" + trailing.ReplaceAllString(out.String(), "\n"))
		}
		if *update {
			text = strings.Replace(text, "```console\n"+b.text+"```", "```console\n"+said.String()+"```", 1)
			continue
		}
		if diff := cmp.Diff(b.text, said.String()); diff != "" {
			t.Errorf("%s:%d: this is not what the commands say (-page +commands); -update writes it:\n%s", page, b.line+1, diff)
		}
	}
	for _, command := range []string{"banyan examples ", "banyan test ", "banyan simulate "} {
		if !strings.Contains(played, command) {
			t.Errorf("%s does not run %s", page, command)
		}
	}
	if *update {
		if err := os.WriteFile("../"+page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// trailing are blanks that end a line, which no page keeps.
var trailing = regexp.MustCompile(` +\n`)

// eventRow is a line of the table of events: the event, its properties, and what it means.
var eventRow = regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\| *([^|]*?) *\\|")

// tellsEvents holds the table under "What to tell" to the events that a campaign hears.
func tellsEvents(t *testing.T, def *campaign.Definition, page string) {
	t.Helper()
	_, section, ok := strings.Cut(read(t, page), "\n## What to tell\n")
	if !ok {
		t.Fatalf(`%s has no section "What to tell"`, page)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var got, want []string
	for _, m := range eventRow.FindAllStringSubmatch(section, -1) {
		got = append(got, m[1]+": "+strings.ReplaceAll(m[2], "`", ""))
	}
	for _, e := range def.Events {
		if campaign.IsReferralEvent(e.Name) {
			continue // which nobody has to tell
		}
		var names []string
		for _, p := range e.Properties {
			names = append(names, p.Name)
		}
		want = append(want, e.Name+": "+strings.Join(names, ", "))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: the table of events (-declared +told):\n%s", page, diff)
	}
}
