package definitions_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/definitions"
)

// Keys that share a page, because each alone is little. Every other key at the top of a
// file, and each of those of a journey that are named here, has the page of its name.
var (
	sharedPages = map[string]string{
		"language": "top.md", "campaign": "top.md", "title": "top.md", "timezone": "top.md", "currency": "top.md",
		"on_goal": "goal.md", "exit": "goal.md",
	}
	ownPages = []string{"start", "entry", "goal", "on_goal", "exit", "holdout", "drive"}
)

// pageOfKey is the page of a key at the top or of a journey.
func pageOfKey(key string) string {
	if page, ok := sharedPages[key]; ok {
		return page
	}
	return key + ".md"
}

// object is a part of the JSON Schema that has keys.
type schemaObject struct {
	Properties map[string]json.RawMessage `json:"properties"`
}

var schemaRef = regexp.MustCompile(`"\$ref": *"#/\$defs/([^"]+)"`)

// reference walks the schema from the top, and notes which keys each page has to name. A
// mapping inside of another is explained where that one is, but a step on its own page.
type reference struct {
	defs  map[string]json.RawMessage
	wants map[string]map[string]string // page, key, and the part of the schema that it is of
}

func (r *reference) object(raw json.RawMessage, name, page string) {
	var o schemaObject
	if json.Unmarshal(raw, &o) != nil {
		return
	}
	for key, value := range o.Properties {
		here := page
		switch {
		case name == "":
			here = pageOfKey(key)
			r.want("top.md", key, name)
		case name == "journey" && slices.Contains(ownPages, key):
			here = pageOfKey(key)
			r.want(page, key, name)
		case strings.HasPrefix(name, "step-") && key == "label":
			here = "steps.md"
		}
		if !r.want(here, key, name) {
			continue
		}
		for _, m := range schemaRef.FindAllSubmatch(value, -1) {
			if inner := string(m[1]); inner != "step" {
				r.object(r.defs[inner], inner, here)
			}
		}
	}
}

// want notes a key; it answers whether that is new.
func (r *reference) want(page, key, of string) bool {
	if r.wants[page] == nil {
		r.wants[page] = map[string]string{}
	}
	id := of + "." + key
	_, seen := r.wants[page][id]
	r.wants[page][id] = key
	return !seen
}

// TestEveryKeyHasItsPage holds the reference to the schema: every key that the checker
// knows is named, as a word of code, on the page of what it belongs to.
func TestEveryKeyHasItsPage(t *testing.T) {
	t.Parallel()
	var schema struct {
		schemaObject
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(definitions.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	top, err := json.Marshal(schema.schemaObject)
	if err != nil {
		t.Fatal(err)
	}
	r := reference{defs: schema.Defs, wants: map[string]map[string]string{}}
	r.object(top, "", "top.md")
	for name, def := range schema.Defs {
		if strings.HasPrefix(name, "step-") {
			r.object(def, name, name+".md")
		}
	}
	pages, keys := pagesOfLanguage(t), 0
	for _, name := range slices.Sorted(maps.Keys(r.wants)) {
		page, ok := pages[name]
		if !ok {
			t.Errorf("there is no page docs/language/%s; it is to name %s: write the heading, a sentence that says what it is, the table of its keys, an example fenced as yaml, and its rules",
				name, strings.Join(slices.Sorted(maps.Values(r.wants[name])), ", "))
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(r.wants[name])) {
			keys++
			if key := r.wants[name][id]; !strings.Contains(page, "`"+key+"`") && !r.elsewhere(pages, name, id) {
				of, _, _ := strings.Cut(id, ".")
				t.Errorf("docs/language/%s does not name the key `%s`%s: add it to its table of keys", name, key, ofPart(of))
			}
		}
	}
	if keys < 150 {
		t.Errorf("only %d keys were found", keys)
	}
}

// elsewhere reports whether a page that a page links to names a key that belongs to both,
// as reminders do.
func (r *reference) elsewhere(pages map[string]string, name, id string) bool {
	for other, wants := range r.wants {
		if key, ok := wants[id]; ok && other != name && strings.Contains(pages[other], "`"+key+"`") && strings.Contains(pages[name], "]("+other) {
			return true
		}
	}
	return false
}

func ofPart(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" of %q in the schema", name)
}

// TestReferenceIsWhole checks what every page has: a heading, a sentence behind it, an
// example or a table, and its line in the index; and that some page names each problem.
func TestReferenceIsWhole(t *testing.T) {
	t.Parallel()
	pages := pagesOfLanguage(t)
	index, all := pages["README.md"], ""
	for name, page := range pages {
		lines := strings.Split(page, "\n")
		if len(lines) < 3 || !strings.HasPrefix(lines[0], "# ") || lines[1] != "" || !regexp.MustCompile(`^[A-Z].*`).MatchString(lines[2]) {
			t.Errorf("docs/language/%s does not begin with a heading and a sentence", name)
		}
		if !strings.Contains(page, "\n```yaml") && !strings.Contains(page, "\n| --- ") {
			t.Errorf("docs/language/%s has neither an example nor a table", name)
		}
		if name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/language/README.md does not name the page %s", name)
		}
		all += page
	}
	for _, s := range sectionsOf(t) {
		// Populations are no part of the language, and too many problems are of no key.
		if s.population == nil && s.check != "too-many-problems" && !strings.Contains(all, "](../problems.md#"+s.check+")") {
			t.Errorf("no page of docs/language names the problem %s: add it to the problems of the page that it belongs to", s.check)
		}
	}
}
