package definitions_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/compare"
	"github.com/banyanhq/banyan/definitions"
)

// shapeLiteral finds the shapes in the code of the checker.
var shapeLiteral = regexp.MustCompile(`shape\{\s*what:\s*"([^"]+)"`)

const schemaFile = "campaign.schema.json"

// TestSchemaFile checks that the file that editors fetch is what the checker's shapes make.
func TestSchemaFile(t *testing.T) {
	t.Parallel()
	if *update {
		if err := os.WriteFile(schemaFile, definitions.Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(schemaFile)
	if err != nil || !bytes.Equal(have, definitions.Schema()) {
		t.Errorf("%s is not up to date (%v); `make generate` writes it", schemaFile, err)
	}
}

// schemaOf compiles the schema once; the validator is another implementation than ours.
var schemaOf = sync.OnceValues(func() (*jsonschema.Schema, error) { return schemaAt("") })

// schemaAt compiles a part of the schema.
func schemaAt(pointer string) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(definitions.Schema()))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(definitions.SchemaID, document); err != nil {
		return nil, err
	}
	return c.Compile(definitions.SchemaID + pointer)
}

// valueOf reads YAML as an editor does, into what a JSON Schema speaks of. Files that
// cannot be read so are refused by the checker for that reason.
func valueOf(source []byte) (value any, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	var document yaml.Node
	if err := yaml.Load(source, &document); err != nil || len(document.Content) == 0 {
		return nil, false
	}
	budget := 200_000
	return plain(document.Content[0], &budget)
}

func plain(n *yaml.Node, budget *int) (any, bool) {
	if *budget--; *budget < 0 {
		return nil, false
	}
	switch n.Kind {
	case yaml.AliasNode:
		return plain(n.Alias, budget)
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			v, ok := plain(n.Content[i+1], budget)
			if !ok || n.Content[i].Kind != yaml.ScalarNode {
				return nil, false
			}
			out[n.Content[i].Value] = v
		}
		return out, true
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, c := range n.Content {
			var ok bool
			if out[i], ok = plain(c, budget); !ok {
				return nil, false
			}
		}
		return out, true
	case yaml.ScalarNode:
		switch n.Tag {
		case "!!null":
			return nil, true
		case "!!bool":
			return strings.EqualFold(n.Value, "true"), true
		case "!!int", "!!float":
			if _, err := strconv.ParseFloat(n.Value, 64); err == nil && json.Valid([]byte(n.Value)) {
				return json.Number(n.Value), true
			}
		}
		return n.Value, true
	case yaml.DocumentNode, yaml.StreamNode:
	}
	return nil, false
}

// agree holds the checker and the schema together on one file: what the one accepts the
// other accepts. It reports whether the schema refused the file.
func agree(t *testing.T, name string, source []byte, accepted bool) (refused bool) {
	t.Helper()
	s, err := schemaOf()
	if err != nil {
		t.Fatal(err)
	}
	return refuses(t, s, name, source, accepted)
}

func refuses(t *testing.T, s *jsonschema.Schema, name string, source []byte, accepted bool) (refused bool) {
	t.Helper()
	value, ok := valueOf(source)
	if !ok {
		if accepted {
			t.Errorf("%s: the checker reads what an editor cannot:\n%s", name, source)
		}
		return true
	}
	problem := s.Validate(value)
	if problem != nil && accepted {
		t.Errorf("%s: the checker accepts it, the schema does not: %v\n%s", name, problem, source)
	}
	return problem != nil
}

// TestSchemaAndCheckerAgree goes over every file that the tests of the checker read.
func TestSchemaAndCheckerAgree(t *testing.T) {
	t.Parallel()
	accepted, refused, byBoth := 0, 0, 0
	check := func(name string, source []byte) {
		def, _ := definitions.Check(name, source)
		no := agree(t, name, source, def != nil)
		switch {
		case def != nil:
			accepted++
		case no:
			byBoth++
			fallthrough
		default:
			refused++
		}
	}
	for _, folder := range []string{"ok", "err"} {
		files, err := filepath.Glob("testdata/" + folder + "/*.txtar")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			check(file, part(archive, input).Data)
		}
	}
	for _, s := range sectionsOf(t) {
		if len(s.source) < 100_000 {
			check(s.file, s.source)
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
		check(file, source)
	}
	t.Logf("%d files are accepted by both; %d are refused, %d of them by the schema too", accepted, refused, byBoth)
	if accepted < 20 || byBoth < 50 {
		t.Errorf("%d accepted, %d refused by both: too few to show anything", accepted, byBoth)
	}
}

// TestSchemaRefuses checks that the schema is not only agreeable: it refuses what an
// editor ought to underline.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	const good = "campaign: spring\ntitle: Spring\nevents:\n  order.paid: {order: string, offer: string, amount: money}\n" +
		"offers:\n  card: {price: 199, lock: 48h}\njourneys:\n  main:\n    start: {api: true}\n    goal: {on: order.paid}\n    steps:\n      - offer: card\n"
	if agree(t, "good", []byte(good), true) {
		t.Fatal("the schema refuses a good file")
	}
	for _, c := range [][2]string{
		{"campaign: spring\n", ""},
		{"campaign: spring", "campaign: Spring"},
		{"title:", "titel:"},
		{"price: 199", "price: -1"},
		{"price: 199, ", ""},
		{"lock: 48h", "lock: 2 days"},
		{"lock: 48h", "loc: 48h"},
		{"amount: money", "amount: cash"},
		{"api: true", "api: false"},
		{"    start: {api: true}\n", ""},
		{"- offer: card", "- ofer: card"},
		{"- offer: card", "- offer: card\n        wait: 1d"},
		{"- offer: card", "- {await: order.paid}"},
		{"- offer: card", "- {offer: card, remind: [{before: 1h}]}"},
		{"- offer: card", "- {wait: soon}"},
		{"- offer: card", "- wait"},
		{"steps:\n      - offer: card", "steps: []"},
		{"  main:", "  Main Journey:"},
	} {
		source := strings.Replace(good, c[0], c[1], 1)
		if source == good {
			t.Fatalf("%q is not in the file", c[0])
		}
		if !agree(t, c[1], []byte(source), false) {
			t.Errorf("the schema accepts %q for %q", c[1], c[0])
		}
		if def, _ := definitions.Check("f.yaml", []byte(source)); def != nil {
			t.Errorf("the checker accepts %q for %q", c[1], c[0])
		}
	}
}

// TestSchemaExplains checks that every key has its words in both languages, and an
// example that the schema accepts in its place.
func TestSchemaExplains(t *testing.T) {
	t.Parallel()
	var document map[string]any
	if err := json.Unmarshal(definitions.Schema(), &document); err != nil {
		t.Fatal(err)
	}
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(definitions.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(definitions.SchemaID, raw); err != nil {
		t.Fatal(err)
	}
	defs := document["$defs"].(map[string]any)
	keys := 0
	explain := func(at string, object map[string]any) {
		for key, p := range object["properties"].(map[string]any) {
			keys++
			property, ok := p.(map[string]any)
			if !ok {
				t.Errorf("%s: the key %q has no word; add it to the words of package definitions", at, key)
				continue
			}
			title, _ := property["title"].(string)
			text, _ := property["description"].(string)
			english, chinese, _ := strings.Cut(text, "\n\n")
			if !strings.Contains(title, " · ") || english == "" || !hasHan(chinese) {
				t.Errorf("%s.%s is not explained in both languages: %q, %q", at, key, title, text)
			}
			examples, _ := property["examples"].([]any)
			if len(examples) == 0 {
				t.Errorf("%s.%s has no example", at, key)
				continue
			}
			s, err := c.Compile(definitions.SchemaID + "#" + at + "/properties/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
			if err != nil {
				t.Errorf("%s.%s: %v", at, key, err)
				continue
			}
			for _, example := range examples {
				if err := s.Validate(example); err != nil {
					t.Errorf("the example of %s.%s is refused: %v", at, key, err)
				}
			}
		}
	}
	explain("", document)
	for name, def := range defs {
		if object := def.(map[string]any); object["properties"] != nil {
			explain("/$defs/"+name, object)
		}
	}
	for _, kind := range campaign.StepKinds() {
		def, ok := defs["step-"+string(kind)].(map[string]any)
		if !ok {
			t.Errorf("the schema has no step %q", kind)
			continue
		}
		if words, _ := def["description"].(string); len(words) < 20 || !hasHan(words) {
			t.Errorf("the step %q is not explained; add it to stepWords", kind)
		}
		if required, _ := def["required"].([]any); !slices.ContainsFunc(required, func(k any) bool { return reflect.DeepEqual(k, string(kind)) }) {
			t.Errorf("the step %q is not known by its key", kind)
		}
	}
	if keys < 60 {
		t.Errorf("only %d keys", keys)
	}
}

func hasHan(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0x4e00 && r <= 0x9fff })
}

// TestEveryShapeHasWords reads this package's code: every mapping that the checker knows
// must be among the lexicons, or the schema would not know it.
func TestEveryShapeHasWords(t *testing.T) {
	t.Parallel()
	var document struct {
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(definitions.Schema(), &document); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	shapes := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range shapeLiteral.FindAllStringSubmatch(string(text), -1) {
			shapes++
			name := strings.ReplaceAll(m[1][strings.Index(m[1], " ")+1:], " ", "-")
			if kind, ok := strings.CutSuffix(name, "-step"); ok {
				name = "step-" + kind
			}
			if _, ok := document.Defs[name]; !ok && name != "campaign" {
				t.Errorf("%s: the shape %q is not in the schema; add it to lexicons", file, m[1])
			}
		}
	}
	if shapes < 25 {
		t.Errorf("only %d shapes were found", shapes)
	}
}

// TestSchemaUnderChange changes one value after another of the accepted files, and holds
// checker and schema together on what comes of it.
func TestSchemaUnderChange(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/ok/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	values := []string{
		"true", "5", "'5'", "0", "null", "[]", "[a]", "{}", "{a: b}", "9.90", "1d12h", "'0h'", "5%", "once", "member", "22:00",
		"2026-12-01", "'member.id == \"x\"'", "continue", "service", "slices", "string", "order.paid", "''",
	}
	tried, accepted := 0, 0
	for f, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; ; i++ {
			// Some values for each place keep this short; all meet in the end.
			value := values[(i*5+f*3)%len(values)]
			source, ok := changed(part(archive, input).Data, i/4, value)
			if !ok {
				break
			}
			def, _ := definitions.Check(input, source)
			agree(t, file+" with "+value, source, def != nil)
			tried++
			if def != nil {
				accepted++
				// What changes the definition is told by package compare, too.
				before := part(archive, input).Data
				old, _ := definitions.Check(input, before)
				told := compare.Diff(old, def)
				if changed := meaning(t, before) != meaning(t, source); changed != (len(told) > 0) {
					t.Errorf("%s with %s: changed %v, told %v", file, value, changed, told)
				}
			}
		}
	}
	t.Logf("%d changes, %d of them accepted", tried, accepted)
	if tried < 500 || accepted < 30 {
		t.Errorf("%d changes, %d accepted: too few to show anything", tried, accepted)
	}
}

// changed puts a value in the place of the nth scalar that is no key.
func changed(source []byte, n int, value string) ([]byte, bool) {
	var document, other yaml.Node
	if yaml.Load(source, &document) != nil || yaml.Load([]byte(value), &other) != nil {
		return nil, false
	}
	var places []*yaml.Node
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i, c := range n.Content {
			if key := n.Kind == yaml.MappingNode && i%2 == 0; !key {
				if c.Kind == yaml.ScalarNode && c.Anchor == "" {
					places = append(places, c)
				}
				walk(c)
			}
		}
	}
	walk(&document)
	if n >= len(places) {
		return nil, false
	}
	*places[n] = *other.Content[0]
	out, err := yaml.Dump(&document)
	return out, err == nil
}
