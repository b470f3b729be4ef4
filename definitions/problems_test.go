package definitions_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/rules"
)

// made is an input that would be unreadable if it were written out: a text/template with
// the functions repeat and byte.
const made = "campaign.template"

// people is a population for the campaign of its section.
const people = "population.yaml"

// section is one file of testdata/problems: what a check means, a file that it is told
// of, and what is told.
type section struct {
	check, prose, shown string
	source              []byte // of the campaign
	population          []byte // that is told of, where it is not the campaign
	generated           bool
	archive             *txtar.Archive
	file                string
}

func sectionsOf(t *testing.T) []section {
	t.Helper()
	files, err := filepath.Glob("testdata/problems/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sections: %v", err)
	}
	slices.Sort(files)
	var out []section
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := section{
			check: strings.TrimSuffix(filepath.Base(file), ".txtar"), prose: strings.TrimSpace(string(archive.Comment)),
			archive: archive, file: file,
		}
		switch in, tmpl := part(archive, input), part(archive, made); {
		case in != nil:
			s.source, s.shown = in.Data, string(in.Data)
		case tmpl != nil:
			s.shown, s.generated = string(tmpl.Data), true
			s.source = fill(t, s.shown)
		default:
			t.Fatalf("%s has neither %s nor %s", file, input, made)
		}
		if p := part(archive, people); p != nil {
			s.population, s.shown = p.Data, string(p.Data)
		}
		out = append(out, s)
	}
	return out
}

func fill(t *testing.T, text string) []byte {
	t.Helper()
	tmpl, err := template.New("").Funcs(template.FuncMap{
		"repeat": func(n int, s string) string { return strings.Repeat(s, n) },
		"byte":   func(n int) string { return string([]byte{byte(n)}) },
	}).Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, nil); err != nil {
		t.Fatal(err)
	}
	return []byte(b.String())
}

// shownProblems is how much of a long answer a section shows.
const shownProblems = 3

// TestProblemSections checks that every section shows its problem and nothing else, and
// that docs/problems.md is made of them. -update writes both.
func TestProblemSections(t *testing.T) {
	t.Parallel()
	const page = "../docs/problems.md"
	var doc, index strings.Builder
	for _, s := range sectionsOf(t) {
		def, found := definitions.Check(input, s.source)
		at := s.source
		if s.population != nil {
			if def == nil {
				t.Fatalf("the campaign of %s is refused:\n%s", s.file, found.Text(false))
			}
			_, found = definitions.CheckPopulation(people, s.population, def)
			at = s.population
		}
		if s.prose == "" || len(found) == 0 {
			t.Errorf("%s has no words, or no problem is found", s.file)
		}
		for _, p := range found {
			if p.Check != s.check && (s.check != "too-many-problems" || p.Check != "unknown-step") {
				t.Errorf("%s shows something else too:\n%s", s.file, p)
			}
		}
		if !slices.ContainsFunc(found, func(p definitions.Problem) bool { return p.Check == s.check }) {
			t.Errorf("%s does not show %s:\n%s", s.file, s.check, found.Text(false))
		}
		positions(t, at, found)
		told := found
		if len(told) > shownProblems {
			told = slices.Concat(told[:1], told[len(told)-1:])
		}
		text := told.Text(false)
		if *update {
			s.archive.Files = slices.DeleteFunc(s.archive.Files, func(f txtar.File) bool { return f.Name == problems })
			s.archive.Files = append(s.archive.Files, txtar.File{Name: problems, Data: []byte(text)})
			if err := os.WriteFile(s.file, txtar.Format(s.archive), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if want := part(s.archive, problems); want == nil {
			t.Errorf("%s has no part %q; go test ./definitions -run TestProblemSections -update writes it", s.file, problems)
		} else if diff := cmp.Diff(string(want.Data), text); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.file, diff)
		}
		index.WriteString("[" + s.check + "](#" + s.check + ")\n")
		doc.WriteString("\n## " + s.check + "\n\n")
		kind := "yaml refused"
		if !found.Refused() {
			doc.WriteString("A warning. ")
			kind = "yaml"
		}
		doc.WriteString(s.prose + "\n\n")
		if s.population != nil {
			doc.WriteString("This is a population, for `banyan simulate`.\n\n")
			kind = "yaml population refused"
		}
		if s.generated {
			kind = "text"
			if strings.Contains(s.shown, "{{repeat") {
				doc.WriteString("Here `{{repeat 3 \"x\"}}` would stand for `xxx`.\n\n")
			} else {
				doc.WriteString("Here `{{byte 7}}` stands for the byte of this number, which cannot be shown.\n\n")
			}
		}
		doc.WriteString("```" + kind + "\n" + strings.TrimSuffix(s.shown, "\n") + "\n```\n\n```text\n" + strings.TrimSuffix(text, "\n") + "\n```\n")
	}
	got := problemsIntro + strings.ReplaceAll(strings.TrimSuffix(index.String(), "\n"), "\n", ",\n") + ".\n" + doc.String()
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), got); diff != "" {
		t.Errorf("docs/problems.md is not what testdata/problems makes; go test ./definitions -run TestProblemSections -update writes it (-have +want):\n%s", diff)
	}
}

const problemsIntro = `# Problems

Everything that ` + "`banyan check`" + ` can say about a campaign file and its tests, and ` + "`banyan simulate`" + ` about a population, by the name that stands in
brackets behind the message. Each section shows a file and what is said of it; both are checked by a test. A file with a problem is refused; one with warnings is accepted.

` + "```sh\n" + `banyan check spring.yaml autumn.yaml       # for people; colour on a terminal, none with NO_COLOR
banyan check --format=json spring.yaml     # for programs: line, column, path, check, message, hint
banyan check --format=github *.yaml        # annotations in a GitHub workflow
banyan check --strict spring.yaml          # warnings refuse too
banyan check --sms-templates approved.yaml spring.yaml  # what goes by sms and fits no approved template
` + "```\n" + `
The status is 0 when every file is accepted, 1 when one is refused or cannot be read, 2 when the command was called in a wrong way.

`

// TestEveryCheckHasItsSection reads the checker's own code, so that a new check cannot be
// forgotten, and a section cannot outlive its check.
func TestEveryCheckHasItsSection(t *testing.T) {
	t.Parallel()
	told := checksOf(t)
	for _, check := range rules.Checks() {
		told[check] = "package rules"
	}
	// What CEL says in words that nobody foresaw cannot be shown.
	delete(told, "expression")
	have := map[string]bool{}
	for _, s := range sectionsOf(t) {
		have[s.check] = true
		if told[s.check] == "" {
			t.Errorf("%s is a section of a check that there is not", s.file)
		}
	}
	for _, check := range slices.Sorted(maps.Keys(told)) {
		if !have[check] {
			t.Errorf("%s has the check %q and no section; write definitions/testdata/problems/%s.txtar", told[check], check, check)
		}
	}
	if len(have) < 60 {
		t.Errorf("only %d sections", len(have))
	}
}

// checksOf finds the names of all checks in this package's code, with the place of each.
func checksOf(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	// The argument that names the check, by function.
	argument := map[string]int{"problem": 1, "warn": 1, "unknown": 1, "wholeFile": 0, "report": 2, "share": 1}
	found := map[string]string{}
	set := token.NewFileSet()
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		literal := func(e ast.Expr) (string, bool) {
			lit, ok := e.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return "", false
			}
			s, err := strconv.Unquote(lit.Value)
			return s, err == nil
		}
		keep := func(e ast.Expr, prefix string) bool {
			s, ok := literal(e)
			if ok {
				found[prefix+s] = set.Position(e.Pos()).String()
			}
			return ok
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				name := ""
				switch f := n.Fun.(type) {
				case *ast.SelectorExpr:
					name = f.Sel.Name
				case *ast.Ident:
					name = f.Name
				}
				if name == "refer" { // its check is "unknown-" and the word
					keep(n.Args[1], "unknown-")
				}
				if at, ok := argument[name]; ok && len(n.Args) > at+1 && !keep(n.Args[at], "") {
					if !named(n.Args[at]) {
						t.Errorf("%s: which check this is cannot be seen; write it as a literal", set.Position(n.Pos()))
					}
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "Check" || key.Name == "check") {
					keep(n.Value, "")
				}
			case *ast.AssignStmt:
				for i, left := range n.Lhs {
					if id, ok := left.(*ast.Ident); ok && id.Name == "check" && len(n.Rhs) == len(n.Lhs) {
						keep(n.Rhs[i], "")
					}
				}
			}
			return true
		})
	}
	return found
}

// named reports whether an argument passes on a check that was named elsewhere.
func named(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "check"
	case *ast.SelectorExpr:
		return strings.EqualFold(e.Sel.Name, "check")
	case *ast.BinaryExpr: // in refer
		lit, ok := e.X.(*ast.BasicLit)
		return ok && lit.Value == `"unknown-"`
	}
	return false
}
