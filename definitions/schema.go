package definitions

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/banyanhq/banyan/campaign"
)

// SchemaID names the JSON Schema of the campaign language.
const SchemaID = "https://raw.githubusercontent.com/banyanhq/banyan/main/definitions/campaign.schema.json"

// schema is a JSON Schema, or a part of one.
type schema = map[string]any

// word explains one key to whoever writes a campaign in an editor, in English and in
// Chinese, and says what may stand behind it.
type word struct {
	title, titleZH string
	text, textZH   string
	example        any
	value          schema
	required       bool
}

// lexicon are the words of one shape. The keys are the shape's, so the checker and the
// schema cannot know different ones; a key that has no word is allowed and not explained.
type lexicon struct {
	shape shape
	words map[string]word
	more  schema // of keys that the campaign itself declares; nil: there are none
}

// Schema gives the JSON Schema (draft 2020-12) of the campaign language, with that of
// files of tests and of populations among its definitions, made from the
// shapes that the checker reads by. It is coarser than the checker: it refuses nothing
// that the checker accepts, and does not know whether names are declared, expressions
// have sense or paths end.
func Schema() []byte {
	defs := schema{}
	kinds := make([]any, 0, len(campaign.StepKinds()))
	for _, kind := range campaign.StepKinds() {
		s, _ := stepOf(kind)
		s.keys = append(slices.Clone(s.keys), "label")
		words := maps.Clone(stepWords[kind])
		if words == nil {
			words = map[string]word{}
		}
		words["label"] = labelWord
		w := words[string(kind)]
		w.required = true
		words[string(kind)] = w
		def := objectOf(lexicon{shape: s, words: words})
		def["title"], def["description"] = w.title+" · "+w.titleZH, w.text+"\n\n"+w.textZH
		defs["step-"+string(kind)] = def
		kinds = append(kinds, reference("step-"+string(kind)))
	}
	defs["step"] = schema{
		"title":       "Step · 步骤",
		"description": "One step: the key of one kind, and what goes with it.\n\n一个步骤：写出一种步骤的键，以及与它搭配的键。",
		"type":        "object",
		"anyOf":       kinds,
	}
	for _, l := range lexicons() {
		if l.shape.what != topShape.what {
			defs[defName(l.shape)] = objectOf(l)
		}
	}
	top := objectOf(lexicon{shape: topShape, words: topWords})
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["$id"] = SchemaID
	top["title"] = "Banyan campaign · 榕树营销活动"
	top["description"] = "One campaign: what members go through, what they are sent, offered and given.\n\n一个营销活动：会员会经历什么，收到什么消息、优惠和奖励。"
	top["$defs"] = defs
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(top); err != nil {
		panic("the schema is not JSON: " + err.Error()) // only by a word that is no JSON value
	}
	return out.Bytes()
}

// defName is the name of a shape among the schema's definitions: "an offer" is offer.
func defName(s shape) string {
	_, name, found := strings.Cut(s.what, " ")
	if !found {
		name = s.what
	}
	return strings.ReplaceAll(name, " ", "-")
}

func objectOf(l lexicon) schema {
	properties, required := schema{}, []string{}
	for _, key := range l.shape.keys {
		w, ok := l.words[key]
		if !ok {
			properties[key] = true
			continue
		}
		property := schema{}
		maps.Copy(property, w.value)
		if w.title != "" {
			property["title"] = w.title + " · " + w.titleZH
			property["description"] = w.text + "\n\n" + w.textZH
		}
		if w.example != nil {
			property["examples"] = []any{w.example}
		}
		properties[key] = property
		if w.required {
			required = append(required, key)
		}
	}
	out := schema{"type": "object", "additionalProperties": false, "properties": properties}
	if l.more != nil {
		out["additionalProperties"] = l.more
	}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func reference(name string) schema { return schema{"$ref": "#/$defs/" + name} }

// of refers to the definition of a shape.
func of(s shape) schema { return reference(defName(s)) }

// The values of the language. Whether a scalar stands in quotes does not matter to the
// checker, so a text may look like a number to a reader of YAML.

func aText() schema { return schema{"type": []string{"string", "number", "boolean"}} }

func aTitle() schema {
	return schema{"type": []string{"string", "number", "boolean"}, "minLength": 1, "maxLength": maxTitle}
}

func aWording() schema {
	return schema{"type": []string{"string", "number", "boolean"}, "minLength": 1, "maxLength": maxText}
}

func aSubject() schema {
	return schema{"type": []string{"string", "number", "boolean"}, "minLength": 1, "maxLength": maxSubject}
}

func aCondition() schema {
	return schema{"type": []string{"string", "number", "boolean"}, "minLength": 1, "maxLength": maxExpression}
}

func aName(r rule) schema {
	return schema{"type": []string{"string", "boolean"}, "pattern": r.pattern.String()}
}

func aDuration() schema {
	return schema{"type": "string", "minLength": 2, "pattern": `^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$`}
}

func anAmount() schema {
	return schema{"type": []string{"number", "string"}, "minimum": 0, "pattern": `^-?[0-9]+(\.[0-9]{1,2})?$`}
}

func aCount(most int64) schema {
	return schema{"type": []string{"integer", "string"}, "minimum": 1, "maximum": most, "pattern": `^[0-9]+$`}
}

func aTimeOfDay() schema {
	return schema{"type": "string", "pattern": `^[0-9]{1,2}:[0-9]{2}$`}
}

func oneOfWords[T ~string](words ...T) schema { return schema{"enum": words} }

// oneOrMore is a value or a list of them.
func oneOrMore(item schema) schema {
	return anyOf(item, schema{"type": "array", "items": item, "minItems": 1})
}

func anyOf(of ...schema) schema { return schema{"anyOf": of} }

// someSteps is a block of steps, which may be empty or missing.
func someSteps() schema {
	return schema{"type": []string{"array", "null"}, "items": reference("step")}
}

// entriesOf is a section: a mapping from names to values.
func entriesOf(r rule, value schema) schema {
	return schema{"type": "object", "propertyNames": schema{"pattern": r.pattern.String()}, "additionalProperties": value}
}

func someTimes() schema { return anyOf(aCount(maxCount), of(timesShape)) }

func aType() schema { return anyOf(oneOfWords(campaign.Types()...), of(propertyShape)) }
