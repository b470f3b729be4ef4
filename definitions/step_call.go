package definitions

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

var (
	callShape    = shape{what: "a call step", keys: []string{"call", "otherwise"}}
	requestShape = shape{what: "a call", keys: []string{"url", "body", "returns", "save_as", "for", "timeout"}}
	returnShape  = shape{what: "a field of an answer", keys: []string{"type", "one_of", "optional"}}
)

// maxURL is how long the address of a service may be, in bytes.
const maxURL = 2_000

// seenCall is the first call of a name.
type seenCall struct {
	step *campaign.CallService
	at   node
}

func (c *checker) call(s *stepForm) campaign.Step {
	const form = "write {url: https://…, body: CEL, returns: {FIELD: TYPE}, save_as: NAME, for: 1h}"
	step := &campaign.CallService{StepCommon: s.common, Timeout: campaign.DefaultCallTimeout}
	if !s.value.isMapping() {
		c.wrongType(s.value, form)
		return nil
	}
	o, ok := c.object(s.value, requestShape)
	if v, has := o.get("url"); has {
		step.URL = c.address(v)
	} else if ok {
		c.missing(o, s.self.key, "this call", "url", form)
	}
	if v, has := o.get("body"); has && v.isMapping() {
		c.problem(v, "wrong-type", "\"body\" is a mapping", `put the whole expression between single quotes: body: '{"member": member.id}'`)
	} else if has {
		step.Body = s.condition(c, v, rules.WantJSON, s.journey.scope)
	}
	if v, has := o.get("returns"); has {
		step.Returns = c.returns(v)
	}
	if v, has := o.get("save_as"); has {
		step.SaveAs = c.saveAs(v)
		if _, returns := o.get("returns"); !returns && ok {
			c.missing(o, s.self.key, "this call", "returns", "write the fields that are read of the answer, such as `returns: {level: string}`, or leave save_as out")
		}
	} else if f, has := o.field("returns"); has && ok {
		c.missing(o, f.key, "this call", "save_as", "write under which name the answer is read, such as `save_as: crm` for calls.crm")
	}
	if v, has := o.get("for"); has {
		step.For, _ = c.duration(v)
	} else if ok {
		c.missing(o, s.self.key, "this call", "for", "every path must end: write how long the service is tried in all, such as `for: 1h`")
	}
	if v, has := o.get("timeout"); has {
		if d, good := c.duration(v); good {
			if step.Timeout = d; d > campaign.MaxCallTimeout {
				c.problem(v, "call-timeout", fmt.Sprintf("one try of %s is too long", campaign.FormatDuration(d)),
					fmt.Sprintf("write at most %s; `for` says how long it is tried in all", campaign.FormatDuration(campaign.MaxCallTimeout)))
			}
		}
	}
	step.Otherwise = s.blockOf(c, "otherwise")
	if ok {
		c.sameReturns(s.self.key, step)
	}
	return step
}

// address reads where a service is. It is part of the campaign and the same for every
// member, so it holds no expression; and what is secret stands in the settings of the
// worker, never here.
func (c *checker) address(n node) string {
	const form = "write an address such as https://crm.example.com/levels"
	s, ok := c.text(n, form)
	if !ok {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case len(s) > maxURL:
		c.problem(n, "call-url", fmt.Sprintf("the address has %d bytes", len(s)), fmt.Sprintf("at most %d are allowed; what the service is to know goes into `body`", maxURL))
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "":
		c.problem(n, "call-url", fmt.Sprintf("%q is no address of a service", shorten(s)), form+"; it is the same for every member, and what differs goes into `body`")
	case u.User != nil:
		c.problem(n, "call-url", "the address holds a user or a password", "leave them out: a campaign holds no secrets, and every call is signed")
	case u.Fragment != "":
		c.problem(n, "call-url", "the address has a part after #, which is never sent", "leave it out")
	case u.Scheme == "http":
		c.warn(n, "call-http", "the service is called without encryption",
			"write https://; a worker makes calls by http only to hosts that BANYAN_CALL_ALLOW names")
	}
	return s
}

// saveAs reads the name under which expressions read the answer.
func (c *checker) saveAs(n node) string {
	name, ok := c.name(n, attributeName)
	if ok && slices.Contains(celWords, name) {
		c.badName(n, attributeName, name)
	}
	return name
}

// celWords are words of the expression language, which no field can be called.
var celWords = []string{"in", "true", "false", "null"}

// returns reads the fields of the answer.
func (c *checker) returns(n node) []campaign.CallField {
	const form = "write a mapping from fields to types, such as {level: {type: string, one_of: [bronze, gold]}, score: int}"
	all, ok := c.fields(n, form)
	switch {
	case ok && len(all) == 0:
		c.problem(n, "missing-key", `"returns" is empty`, form+", or leave it out")
	case len(all) > campaign.MaxCallFields:
		c.problem(n, "call-returns", fmt.Sprintf("an answer of %d fields is too large", len(all)),
			fmt.Sprintf("at most %d are allowed: name those that the campaign reads; others may be in the answer and are left out", campaign.MaxCallFields))
	}
	out := make([]campaign.CallField, 0, len(all))
	for _, f := range all {
		if !attributeName.allows(f.name) || slices.Contains(celWords, f.name) {
			c.badName(f.key, attributeName, f.name)
		}
		out = append(out, c.returned(f))
	}
	return out
}

// returned reads `level: string`, or a mapping that says more.
func (c *checker) returned(f field) campaign.CallField {
	out := campaign.CallField{Name: f.name, Type: campaign.TypeString}
	if f.value.isScalar() {
		out.Type, _ = c.typeOf(f.value)
		return out
	}
	if !f.value.isMapping() {
		c.wrongType(f.value, "write one of "+list(typeNames())+", or {type: string, one_of: [bronze, silver]}")
		return out
	}
	o, ok := c.object(f.value, returnShape)
	v, has := o.get("type")
	if !has {
		if ok {
			c.missing(o, f.value, "the field", "type", "write {type: string, one_of: [bronze, silver]}, or {type: int, optional: true}")
		}
		return out
	}
	t, known := c.typeOf(v)
	out.Type = t
	if values, has := o.get("one_of"); has {
		if known && t != campaign.TypeString {
			c.problem(values, "one-of", fmt.Sprintf("one_of goes with strings, and this is %q", t), "leave it out, or make the type string")
		} else {
			out.OneOf = c.values(values)
		}
	}
	if v, has := o.get("optional"); has {
		word, _ := oneOf(c, v, "true", "false")
		out.Optional = word == "true"
	}
	return out
}

// sameReturns sees to it that calls of one name return the same, so that calls.NAME means
// the same wherever it is read.
func (c *checker) sameReturns(at node, step *campaign.CallService) {
	name := step.Name()
	if name == "" || step.SaveAs == "" && len(step.Returns) > 0 { // told already
		return
	}
	first, seen := c.calls[name]
	if !seen {
		if c.calls == nil {
			c.calls = map[string]seenCall{}
		}
		c.calls[name] = seenCall{step, at}
		return
	}
	if !reflect.DeepEqual(first.step.Returns, step.Returns) {
		c.problem(at, "call-returns", fmt.Sprintf("call %q returns something else in line %d", shorten(name), first.at.yaml.Line),
			"calls of one name return the same: write the same `returns`, or another `save_as`")
	}
}
