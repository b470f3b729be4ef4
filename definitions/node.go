package definitions

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/banyanhq/banyan/rules"
)

// node is a YAML node and its place among the keys of the file.
type node struct {
	yaml *yaml.Node
	path *path
}

// path is how one gets to a node from the top. It is written out only for a problem.
type path struct {
	parent *path
	key    string
	index  int // in a list; -1 behind a key
}

var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

func (p *path) String() string {
	if p == nil {
		return ""
	}
	parent := p.parent.String()
	switch {
	case p.index >= 0:
		return parent + "[" + strconv.Itoa(p.index) + "]"
	case !plainKey.MatchString(p.key):
		return parent + "[" + strconv.Quote(p.key) + "]"
	case parent == "":
		return p.key
	}
	return parent + "." + p.key
}

// last is the nearest key above, to name a value in a message.
func (p *path) last() string {
	for ; p != nil; p = p.parent {
		if p.index < 0 {
			return p.key
		}
	}
	return "the file"
}

func (n node) child(key string, y *yaml.Node) node {
	return node{yaml: resolve(y), path: &path{parent: n.path, key: key, index: -1}}
}

func (n node) item(i int) node {
	return node{yaml: resolve(n.yaml.Content[i]), path: &path{parent: n.path, index: i}}
}

// resolve follows aliases; bounded has made sure that they end.
func resolve(y *yaml.Node) *yaml.Node {
	for y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	return y
}

func (n node) isNull() bool     { return n.yaml.Kind == yaml.ScalarNode && n.yaml.Tag == "!!null" }
func (n node) isScalar() bool   { return n.yaml.Kind == yaml.ScalarNode && !n.isNull() }
func (n node) isMapping() bool  { return n.yaml.Kind == yaml.MappingNode }
func (n node) isSequence() bool { return n.yaml.Kind == yaml.SequenceNode }

// what says what a node is, for a message about what it should be.
func (n node) what() string {
	switch {
	case n.isNull():
		return "nothing"
	case n.isMapping():
		return "a mapping"
	case n.isSequence():
		return "a list"
	}
	return strconv.Quote(shorten(n.yaml.Value))
}

// shorten keeps a message readable whatever stands in the file.
func shorten(s string) string {
	const most = 60
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// field is one key of a mapping with its value.
type field struct {
	name  string
	key   node
	value node
}

// fields reads a mapping. Keys must be plain texts, each once; merge keys are refused.
func (c *checker) fields(n node, want string) ([]field, bool) {
	if !n.isMapping() {
		c.wrongType(n, want)
		return nil, false
	}
	content := n.yaml.Content
	out := make([]field, 0, len(content)/2)
	seen := make(map[string]*yaml.Node, len(content)/2)
	for i := 0; i+1 < len(content); i += 2 {
		key := resolve(content[i])
		at := node{yaml: content[i], path: n.path}
		switch {
		case key.Tag == "!!merge":
			c.problem(at, "merge-key", "merge keys (<<) are not part of the campaign language",
				"write the keys out, or use an alias for a whole value")
			continue
		case key.Kind != yaml.ScalarNode:
			c.keyIsNoText(at, key)
			continue
		}
		at.path = &path{parent: n.path, key: key.Value, index: -1}
		if first, ok := seen[key.Value]; ok {
			c.problem(at, "duplicate-key", fmt.Sprintf("key %q is written twice", shorten(key.Value)),
				fmt.Sprintf("it stands in line %d already; each key is written once", first.Line))
			continue
		}
		seen[key.Value] = content[i]
		out = append(out, field{name: key.Value, key: at, value: n.child(key.Value, content[i+1])})
	}
	return out, true
}

// keyIsNoText reports a key that is a mapping or list, most often a forgotten quote
// around a text that begins with {{.
func (c *checker) keyIsNoText(at node, key *yaml.Node) {
	hint := "a key is a name"
	if key.Kind == yaml.MappingNode && key.Style&yaml.FlowStyle != 0 {
		hint = "put a text that begins with {{ into quotes"
	}
	c.problem(at, "wrong-type", "this key is not a text", hint)
}

// shape names the keys that a mapping may have.
type shape struct {
	what  string // with its article: "an offer"
	keys  []string
	later []string // of the language, but not of this build
	// never are keys that are refused for ever, with who says why; small letters and underscores.
	never map[string]func(*checker, node)
}

// refusedKeys are keys that one check refuses.
func refusedKeys(refuse func(*checker, node), keys ...string) map[string]func(*checker, node) {
	out := make(map[string]func(*checker, node), len(keys))
	for _, k := range keys {
		out[k] = refuse
	}
	return out
}

// refuses says who refuses a key, in whatever way people write it; nil: nobody.
func (s shape) refuses(key string) func(*checker, node) {
	return s.never[strings.ToLower(strings.ReplaceAll(key, "-", "_"))]
}

// object is a mapping whose keys have been looked at.
type object struct {
	node
	fields []field
	meant  []string // known keys that unknown ones were probably meant to be
}

// object reads a mapping with known keys; what it does not know it reports.
func (c *checker) object(n node, s shape) (object, bool) {
	all, ok := c.fields(n, s.what+" is a mapping with "+list(s.keys))
	o := object{node: n}
	for _, f := range all {
		switch {
		case slices.Contains(s.keys, f.name):
			o.fields = append(o.fields, f)
		case slices.Contains(s.later, f.name):
			c.notYet(f.key, f.name)
		case s.refuses(f.name) != nil:
			s.refuses(f.name)(c, f.key)
		default:
			o.meant = append(o.meant, rules.Nearest(f.name, s.keys))
			c.unknown(f.key, "unknown-key", fmt.Sprintf("unknown key %q in %s", shorten(f.name), s.what), f.name, s.keys)
		}
	}
	return o, ok
}

// get finds a key that is present; one with nothing behind it counts as present.
func (o object) get(key string) (node, bool) {
	f, ok := o.field(key)
	return f.value, ok
}

func (o object) field(key string) (field, bool) {
	for _, f := range o.fields {
		if f.name == key {
			return f, true
		}
	}
	return field{}, false
}

// items reads a list; a single value is taken for a list of one.
func (c *checker) items(n node) []node {
	if !n.isSequence() {
		return []node{n}
	}
	out := make([]node, len(n.yaml.Content))
	for i := range out {
		out[i] = n.item(i)
	}
	return out
}

// text reads a scalar as it is written. YAML's own ideas of what is a number, a date
// or a truth value do not count.
func (c *checker) text(n node, want string) (string, bool) {
	if !n.isScalar() {
		c.wrongType(n, want)
		return "", false
	}
	return n.yaml.Value, true
}

// wrongType reports a value of another kind than want, which is a whole phrase.
func (c *checker) wrongType(n node, want string) {
	if c.looksLikeTemplate(n) {
		return
	}
	subject := fmt.Sprintf("%q", shorten(n.path.last()))
	if n.path == nil {
		subject = "the file"
	}
	c.problem(n, "wrong-type", fmt.Sprintf("%s is %s", subject, n.what()), want)
}

// missing reports a required key that is not there, unless it was only misspelt.
func (c *checker) missing(o object, at node, what, key, hint string) {
	if slices.Contains(o.meant, key) {
		return
	}
	c.problem(at, "missing-key", fmt.Sprintf("%s has no %q", what, key), hint)
}

// unknown reports a name that is not known here, with those that are.
func (c *checker) unknown(at node, check, message, name string, known []string) {
	hint := "none is declared"
	if len(known) > 0 {
		hint = "allowed: " + list(known)
	}
	if near := rules.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	c.problem(at, check, message, hint)
}

// notYet reports what the language has and this build has not.
func (c *checker) notYet(at node, what string) {
	c.problem(at, "not-supported-yet", fmt.Sprintf("%q is part of the campaign language but not supported yet", what),
		"leave it out until a version of Banyan supports it")
}

// list writes names for a message; a very long list is cut.
func list(names []string) string {
	const most = 30
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
