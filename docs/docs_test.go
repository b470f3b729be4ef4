// Package docs_test holds the documentation to what is true: campaigns are checked,
// commands parsed, calls made, settings, links and routes compared with the code.
package docs_test

import (
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/devstack/devtest"
)

var update = flag.Bool("update", false, "write the answers of the API page as they are")

func TestMain(m *testing.M) { devtest.Main(m) }

// block is a fenced part of a page: "```lang info", its text, and the line of the fence.
type block struct {
	page, lang, info, text string
	line                   int // from 0; the text begins in the next line
}

// pages are all pages of the project, relative to the root.
func pages(t *testing.T) []string {
	t.Helper()
	list := []string{"README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md"}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			list = append(list, "docs/"+filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func read(t *testing.T, page string) string {
	t.Helper()
	data, err := os.ReadFile("../" + page)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// blocks gives the fenced parts of a page and what is left of it.
func blocks(t *testing.T, page string) (list []block, prose string) {
	t.Helper()
	var rest strings.Builder
	lines := strings.Split(read(t, page), "\n")
	for i := 0; i < len(lines); i++ {
		fence, ok := strings.CutPrefix(strings.TrimSpace(lines[i]), "```")
		if !ok {
			rest.WriteString(lines[i] + "\n")
			continue
		}
		b := block{page: page, line: i}
		b.lang, b.info, _ = strings.Cut(fence, " ")
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != "```"; i++ {
			b.text += lines[i] + "\n"
		}
		if i == len(lines) {
			t.Fatalf("%s:%d: this block does not end", page, b.line+1)
		}
		list = append(list, b)
	}
	return list, rest.String()
}

// Every campaign is one that Banyan accepts, or refuses where the page says so; an
// excerpt stands word for word in the model campaign.
func TestCampaigns(t *testing.T) {
	t.Parallel()
	model := read(t, "definitions/fitness-trial.yaml")
	for _, page := range pages(t) {
		if strings.HasPrefix(page, "docs/language/") {
			continue // packages definitions and simulate check them
		}
		list, _ := blocks(t, page)
		for _, b := range list {
			switch kind, _, _ := strings.Cut(b.info, " "); {
			case b.lang != "yaml" || kind == "compose":
			case kind == "tests" || kind == "population": // TestRehearse runs them
			case kind == "excerpt":
				if !strings.Contains(model, b.text) {
					t.Errorf("%s:%d: these lines do not stand in definitions/fitness-trial.yaml", page, b.line+1)
				}
			default:
				def, problems := definitions.Check(page, []byte(b.text))
				if (def == nil || problems.Refused()) != (kind == "refused") {
					t.Errorf("%s:%d: refused %v\n%s", page, b.line+1, kind != "refused", problems.Text(false))
				}
			}
		}
	}
}

// inline is a command within a sentence.
var inline = regexp.MustCompile("`((?:banyan|make) [^`]+)`")

// Every command is one that there is: targets of make, and Banyan's own with the flags
// and arguments that they are given.
func TestCommands(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	commands := map[string][]string{}
	for _, page := range pages(t) {
		list, prose := blocks(t, page)
		for _, m := range inline.FindAllStringSubmatch(prose, -1) {
			list = append(list, block{page: page, lang: "sh", text: m[1]})
		}
		for _, b := range list {
			if b.lang != "sh" {
				continue
			}
			for _, words := range shell(b.text) {
				if words[0] == "make" && len(words) > 1 && !strings.Contains(makefile, "\n"+words[1]+":") {
					t.Errorf("%s:%d: there is no %q in the Makefile", page, b.line+1, words[1])
				}
				if args := banyan(words); args != nil {
					commands[strings.Join(args, "\x00")] = append(args, page)
				}
			}
		}
	}
	if len(commands) < 15 {
		t.Errorf("only %d commands were found", len(commands))
	}
	binary := filepath.Join(t.TempDir(), "banyan")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../cmd/banyan").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, c := range commands {
		args, page := slices.Clone(c[:len(c)-1]), c[len(c)-1]
		// With --help the grammar is applied and nothing is done.
		if out, err := exec.CommandContext(t.Context(), binary, append(args, "--help")...).CombinedOutput(); err != nil {
			t.Errorf("%s: banyan %s: %v\n%s", page, strings.Join(args, " "), err, out)
		}
	}
}

// banyan gives the arguments of a call of our binary; nil for other commands.
func banyan(words []string) []string {
	if words[0] == "go" && len(words) > 1 && words[1] != "run" {
		return nil
	}
	for i, w := range words {
		if w == "banyan" || w == "/banyan" || w == "bin/banyan" || w == "./cmd/banyan" {
			if i == 0 || words[0] == "go" || words[0] == "docker" {
				return words[i+1:]
			}
		}
	}
	return nil
}

// shell splits a script into simple commands and those into words, well enough for
// documentation. Assignments in front of a command are left out.
func shell(script string) (commands [][]string) {
	var words []string
	var word strings.Builder
	quoted, open := rune(0), false
	endWord := func() {
		assignment := len(words) == 0 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(word.String())
		if open && !assignment {
			words = append(words, word.String())
		}
		word.Reset()
		open = false
	}
	endCommand := func() {
		if endWord(); len(words) > 0 {
			commands = append(commands, words)
		}
		words = nil
	}
	runes := []rune(strings.ReplaceAll(script, "\\\n", " "))
	for i := 0; i < len(runes); i++ {
		c := runes[i]
		switch {
		case quoted != 0 && c == quoted:
			quoted = 0
		case quoted != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quoted, open = c, true
		case c == '#' && !open:
			for i+1 < len(runes) && runes[i+1] != '\n' {
				i++
			}
		case strings.ContainsRune("\n|;&<>()", c):
			endCommand()
			if c == '<' || c == '>' { // the name of the file
				words = append(words, "file")
			}
		case unicode.IsSpace(c):
			endWord()
		default:
			word.WriteRune(c)
			open = true
		}
	}
	endCommand()
	return commands
}

var setting = regexp.MustCompile(`\bBANYAN_[A-Z]+(?:_[A-Z]+)*\b`)

// Every setting that a page names is read somewhere, and every one that is read is
// named on some page.
func TestSettings(t *testing.T) {
	t.Parallel()
	told, have := map[string]string{}, map[string]string{}
	for _, page := range pages(t) {
		for _, name := range setting.FindAllString(read(t, page), -1) {
			told[name] = page
		}
	}
	inGo, inShell := regexp.MustCompile(`"(BANYAN_[A-Z_]+[A-Z])"`), regexp.MustCompile(`\$\{?(BANYAN_[A-Z_]+[A-Z])\b`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		if d.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "docs" || name == "bin") {
			return fs.SkipDir
		}
		pattern := inShell
		switch {
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go"):
			pattern = inGo
		case strings.HasSuffix(name, ".sh"), name == "docker-compose.yml", name == "Makefile":
		default:
			return err
		}
		data, err := os.ReadFile(path)
		for _, m := range pattern.FindAllStringSubmatch(string(data), -1) {
			have[m[1]] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range told {
		if have[name] == "" {
			t.Errorf("%s names %s, which nothing reads", page, name)
		}
	}
	for name, file := range have {
		if told[name] == "" {
			t.Errorf("%s reads %s, which no page names", file, name)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^(#+) (.+)$`)
)

// Every link inside the project leads to a file, and to a heading where it names one.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		_, prose := blocks(t, page)
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(page), file))
			}
			if _, err := os.Stat("../" + target); err != nil {
				t.Errorf("%s: the link %s leads nowhere", page, m[1])
			} else if anchor != "" && !slices.Contains(anchors(t, target), anchor) {
				t.Errorf("%s: %s has no heading for %s", page, target, m[1])
			}
		}
	}
}

// anchors are the names of a page's headings, as code hosts make them.
func anchors(t *testing.T, page string) (names []string) {
	t.Helper()
	_, prose := blocks(t, page)
	for _, m := range heading.FindAllStringSubmatch(prose, -1) {
		names = append(names, strings.Map(func(c rune) rune {
			switch {
			case c == ' ':
				return '-'
			case unicode.IsLetter(c), unicode.IsDigit(c), c == '-', c == '_':
				return unicode.ToLower(c)
			}
			return -1
		}, m[2]))
	}
	return names
}

// The two READMEs have the same headings, level by level, and the same examples.
func TestReadmesAgree(t *testing.T) {
	t.Parallel()
	shape := func(page string) (levels, texts []string) {
		list, prose := blocks(t, page)
		for _, m := range heading.FindAllStringSubmatch(prose, -1) {
			levels = append(levels, m[1])
		}
		for _, b := range list {
			texts = append(texts, b.lang+"\n"+b.text)
		}
		return levels, texts
	}
	levels, texts := shape("README.md")
	levelsZH, textsZH := shape("README.zh-CN.md")
	if !slices.Equal(levels, levelsZH) {
		t.Errorf("the headings differ: %v, %v", levels, levelsZH)
	}
	if len(texts) != len(textsZH) {
		t.Fatalf("%d examples, and %d in Chinese", len(texts), len(textsZH))
	}
	for i := range texts {
		if texts[i] != textsZH[i] {
			t.Errorf("example %d differs:\n%s\n%s", i+1, texts[i], textsZH[i])
		}
	}
}
