package composetest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestNamespaceGetsOurSearchAttributes compares the setup script with the constants of
// package campaign, read as text: this module does not import the product.
func TestNamespaceGetsOurSearchAttributes(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "campaign", "names.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if !strings.HasPrefix(name.Name, "Attribute") || i >= len(spec.Values) {
				continue
			}
			if literal, ok := spec.Values[i].(*ast.BasicLit); ok {
				value, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Error(err)
				}
				want = append(want, value)
			}
		}
		return true
	})
	text := read(t, "deploy", "temporal", "namespace.sh")
	for what, pattern := range map[string]string{
		"made":   `--name (\w+) --type Keyword`,
		"probed": `(\w+)=''`,
	} {
		var got []string
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			got = append(got, match[1])
		}
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s are %v, want %v", what, got, want)
		}
	}
}

// TestServerVersionsAgree holds the containers to the versions that tests run with.
func TestServerVersionsAgree(t *testing.T) {
	t.Parallel()
	modules := read(t, "devstack", "temporal", "go.mod")
	version := func(module string) string {
		match := regexp.MustCompile(regexp.QuoteMeta(module) + ` v(\S+)`).FindStringSubmatch(modules)
		if match == nil {
			t.Fatalf("devstack/temporal/go.mod does not name %s", module)
		}
		return match[1]
	}
	p := project(t)
	for service, want := range map[string]string{
		"temporal":           "temporalio/server:" + version("go.temporal.io/server"),
		"temporal-schema":    "temporalio/admin-tools:" + version("go.temporal.io/server"),
		"temporal-namespace": "temporalio/admin-tools:" + version("go.temporal.io/server"),
		"temporal-ui":        "temporalio/ui:" + version("github.com/temporalio/ui-server/v2"),
	} {
		if got := p.Services[service].Image; got != want {
			t.Errorf("%s is %s, the tests run with %s", service, got, want)
		}
	}
}

func TestImageHoldsOneProgramWithoutRights(t *testing.T) {
	t.Parallel()
	text := read(t, "Dockerfile")
	_, final, ok := strings.Cut(text, "FROM scratch")
	if !ok {
		t.Fatal("the image is not built on scratch")
	}
	for what, pattern := range map[string]string{
		"a user that is not root, by number": `(?m)^USER [1-9]\d*:[1-9]\d*$`,
		"a health check":                     `(?m)^HEALTHCHECK .*CMD \["/banyan", "healthcheck"\]$`,
		"the program as entry point":         `(?m)^ENTRYPOINT \["/banyan"\]$`,
		"root certificates":                  `ca-certificates\.crt`,
	} {
		if !regexp.MustCompile(pattern).MatchString(final) {
			t.Errorf("the image lacks %s", what)
		}
	}
	if !strings.Contains(text, "CGO_ENABLED=0") || !strings.Contains(text, "-tags timetzdata") {
		t.Error("the program is not static, or lacks time zones")
	}
	ignored := strings.Fields(read(t, ".dockerignore"))
	for _, path := range []string{".env", ".banyan", ".git"} {
		if !slices.Contains(ignored, path) {
			t.Errorf("%s would go into the build", path)
		}
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
