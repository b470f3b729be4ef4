package docs_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// play does what a page tells, in a folder of its own.
type play struct {
	t     *testing.T
	page  string
	lines []string
	list  []block
	dir   string
}

func newPlay(t *testing.T, page string) *play {
	t.Helper()
	p := &play{t: t, page: page, lines: strings.Split(read(t, page), "\n"), dir: t.TempDir()}
	p.list, _ = blocks(t, page)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(p.dir, "banyan"), "../cmd/banyan").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	// A command may come before the file that it reads.
	for i := range p.list {
		p.file(&p.list[i])
	}
	return p
}

// file writes the file that a block is: its fence says file=NAME.
func (p *play) file(b *block) {
	p.t.Helper()
	if _, name, ok := strings.Cut(b.info, "file="); ok {
		p.write(name, b.text)
	}
}

func (p *play) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

var (
	// edit is what the reader is asked to change: <!-- spring.yaml: "for: 3d" becomes "for: 2d" -->
	edit = regexp.MustCompile(`^<!-- (\S+): "(.*)" becomes "(.*)" -->$`)
	// drawn names the command that gives the picture below it.
	drawn = regexp.MustCompile(`^<!-- \$ (.*) -->$`)
)

// above does what the comments above a block say, and gives the command that draws it.
func (p *play) above(b *block) (command string) {
	p.t.Helper()
	from := b.line
	for from > 0 && strings.HasPrefix(p.lines[from-1], "<!-- ") {
		from--
	}
	for _, line := range p.lines[from:b.line] {
		switch m, d := edit.FindStringSubmatch(line), drawn.FindStringSubmatch(line); {
		case d != nil:
			command = d[1]
		case m != nil:
			text, err := os.ReadFile(filepath.Join(p.dir, m[1]))
			if err != nil || !strings.Contains(string(text), m[2]) {
				p.t.Fatalf("%s:%d: %q does not stand in %s: %v", p.page, b.line, m[2], m[1], err)
			}
			p.write(m[1], strings.Replace(string(text), m[2], m[3], 1))
		default:
			p.t.Errorf("%s:%d: nobody knows what this comment asks for: %s", p.page, b.line, line)
		}
	}
	return command
}

// run runs a command line in the folder; what it says ends with its status, unless that is 0.
func (p *play) run(line string, env ...string) string {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "sh", "-c", line)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), append(env, "PATH="+p.dir+":"+os.Getenv("PATH"), "LANG=C")...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		out.WriteString("[status " + strconv.Itoa(cmd.ProcessState.ExitCode()) + "]\n")
	}
	return out.String()
}

// all goes down the page: it runs what stands behind "$ " in blocks fenced as console,
// which is to say what begins as the page shows it, and holds pictures to the commands
// that draw them. -update writes the pictures. It answers how many commands it ran.
func (p *play) all() (commands int) {
	p.t.Helper()
	for i := range p.list {
		b := &p.list[i]
		p.file(b)
		if draw := p.above(b); draw != "" {
			commands++
			if out := p.run(draw); out != b.text && *update {
				p.update(b, out)
			} else if out != b.text {
				p.t.Errorf("%s:%d: %s gives (-update writes it)\n%s\nand the page shows\n%s", p.page, b.line+1, draw, out, b.text)
			}
		}
		if b.lang != "console" {
			continue
		}
		for _, call := range strings.Split(strings.TrimPrefix("\n"+b.text, "\n$ "), "\n$ ") {
			line, want, _ := strings.Cut(call, "\n")
			commands++
			out := p.run(line)
			if want = strings.TrimRight(want, "\n"); !strings.HasPrefix(out, want) || want == "" && out != "" {
				p.t.Errorf("%s:%d: %s says\n%s\nand the page shows\n%s", p.page, b.line+1, line, out, want)
			}
		}
	}
	return commands
}

// update writes a block of the page anew.
func (p *play) update(b *block, text string) {
	p.t.Helper()
	page := read(p.t, p.page)
	fence := strings.Join(p.lines[:b.line+1], "\n") + "\n"
	if !strings.HasPrefix(page, fence+b.text) {
		p.t.Fatalf("%s:%d: the page has changed meanwhile; run the test again", p.page, b.line+1)
	}
	if err := os.WriteFile("../"+p.page, []byte(fence+text+page[len(fence)+len(b.text):]), 0o644); err != nil {
		p.t.Fatal(err)
	}
}
