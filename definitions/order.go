package definitions

import (
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"github.com/banyanhq/banyan/campaign"
)

// The formatter finds its way through a file by the schema: which mapping this is, and so
// in which order its keys stand, and which mappings are inside it.

// schemaDefs are the definitions of the schema, and the top under "".
var schemaDefs = sync.OnceValue(func() map[string]schema {
	defs := map[string]schema{"": objectOf(lexicon{shape: topShape, words: topWords})}
	for _, l := range lexicons() {
		defs[defName(l.shape)] = objectOf(l)
	}
	for _, kind := range campaign.StepKinds() {
		s, _ := stepOf(kind)
		defs[stepDef(kind)] = objectOf(lexicon{shape: s, words: stepWords[kind]})
	}
	return defs
})

func stepDef(kind campaign.StepKind) string { return "step-" + string(kind) }

// topSchema is what a file follows: a population is known by its key, and every other file
// is a campaign, whose tests a file of tests has.
func topSchema(root *yaml.Node) schema {
	keys := map[string]bool{}
	if root.Kind == yaml.MappingNode {
		for i := 0; i < len(root.Content); i += 2 {
			keys[root.Content[i].Value] = true
		}
	}
	if keys["population"] && !keys["campaign"] {
		return of(populationShape)
	}
	return reference("")
}

// keyOrders gives the order of keys for each definition: that of the shapes. In a step the
// key of its kind comes first, and then its label.
func keyOrders() map[string][]string {
	orders := map[string][]string{"": topShape.keys}
	for _, l := range lexicons() {
		orders[defName(l.shape)] = l.shape.keys
	}
	for _, kind := range campaign.StepKinds() {
		s, _ := stepOf(kind)
		rest := slices.DeleteFunc(slices.Clone(s.keys), func(key string) bool { return key == string(kind) })
		orders[stepDef(kind)] = append([]string{string(kind), "label"}, rest...)
	}
	return orders
}

// choice is one schema that a value may follow, with the definition's name where there is one.
type choice struct {
	name string
	schema
}

// choicesOf follows references and takes alternatives apart.
func choicesOf(s schema, name string) []choice {
	if ref, ok := s["$ref"].(string); ok {
		name = strings.TrimPrefix(ref, "#/$defs/")
		if name == "step" {
			var out []choice
			for _, kind := range campaign.StepKinds() {
				out = append(out, choice{stepDef(kind), schemaDefs()[stepDef(kind)]})
			}
			return out
		}
		return []choice{{name, schemaDefs()[name]}}
	}
	if several, ok := s["anyOf"].([]schema); ok {
		var out []choice
		for _, a := range several {
			out = append(out, choicesOf(a, "")...)
		}
		return out
	}
	return []choice{{name, s}}
}

// propertiesOf finds the definition that a mapping follows: of a step, the one whose key
// it has.
func (f *formatter) propertiesOf(n *yaml.Node, s schema) choice {
	var first choice
	for _, c := range choicesOf(s, "") {
		if c.schema["properties"] == nil && c.schema["additionalProperties"] == nil {
			continue
		}
		kind, step := strings.CutPrefix(c.name, "step-")
		if !step {
			return c
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == kind {
				return c
			}
		}
	}
	return first
}

// child is the schema of the value behind a key.
func (c choice) child(key string) schema {
	if properties, ok := c.schema["properties"].(schema); ok {
		if s, ok := properties[key].(schema); ok {
			return s
		}
	}
	if s, ok := c.schema["additionalProperties"].(schema); ok {
		return s
	}
	return schema{}
}

// itemsOf is the schema of the items of a list. A value that may stand alone or in a list
// follows the same.
func itemsOf(s schema) schema {
	for _, c := range choicesOf(s, "") {
		if items, ok := c.schema["items"].(schema); ok {
			return items
		}
	}
	return schema{}
}
