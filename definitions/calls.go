package definitions

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/banyanhq/banyan/campaign"
)

// callName reads the name of a call: what its answer is saved as, or the host of one that
// saves nothing.
func (c *checker) callName(n node) *campaign.CallService {
	name, ok := c.text(n, "write the name of a call: its save_as")
	if !ok {
		return nil
	}
	call, known := c.def.Call(name)
	if !known {
		var names []string
		for i := range c.def.Journeys {
			for _, s := range c.def.Journeys[i].Steps.Calls() {
				names = append(names, s.Name())
			}
		}
		slices.Sort(names)
		c.unknown(n, "unknown-call", fmt.Sprintf("unknown call %q", shorten(name)), name, slices.Compact(names))
		return nil
	}
	return call
}

// answer reads what a service answers to a call, typed as the step declares it.
func (r *testForm) answer(o object, name node, e *TestEvent) {
	call := r.callName(name)
	if call == nil {
		return
	}
	e.Call = call.Name()
	with, has := o.get("with")
	if !has {
		with = name
	}
	e.Returned, _ = r.returnedBy(with, has, call)
}

// returnedBy reads the fields of an answer; given is false where none are written.
func (c *checker) returnedBy(n node, given bool, call *campaign.CallService) (map[string]json.RawMessage, bool) {
	form := campaign.EventType{Name: "call " + call.Name()}
	for i := range call.Returns {
		form.Properties = append(form.Properties, call.Returns[i].Property())
	}
	values, ok := map[string]json.RawMessage{}, true
	if given {
		values, ok = c.given(n, &form)
	}
	for i := range call.Returns {
		f := &call.Returns[i]
		if _, has := values[f.Name]; !has && !f.Optional && ok {
			c.problem(n, "missing-key", fmt.Sprintf("the answer lacks %q", f.Name), fmt.Sprintf("write with: {%s: …}, or make the field optional in the step", f.Name))
			ok = false
		}
	}
	return values, ok
}
