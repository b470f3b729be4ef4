package journey

import (
	"encoding/json"
	"maps"

	"github.com/banyanhq/banyan/campaign"
)

// enterSet sets attributes one after the other; each sees those before it. A value
// that cannot be worked out leaves its attribute as it is, and the trace says so.
func (r *runner) enterSet(n *node, s *campaign.Set) {
	for i, a := range s.Assign {
		value, err := n.exprs[i].Value(r.with(r.s.Event))
		var data json.RawMessage
		if err == nil {
			data, err = json.Marshal(value)
		}
		if err != nil {
			r.trace(campaign.TraceFault, n.id, "where", "set "+a.Attribute, "detail", err.Error())
			continue
		}
		if r.d.Member.Set == nil {
			r.d.Member.Set = map[string]json.RawMessage{}
		}
		r.d.Member.Set[a.Attribute] = data
		r.changeMember(func(m *campaign.Member) {
			m.Attributes = maps.Clone(m.Attributes)
			if m.Attributes == nil {
				m.Attributes = map[string]json.RawMessage{}
			}
			m.Attributes[a.Attribute] = data
		})
		r.trace(campaign.TraceSet, n.id, "attribute", a.Attribute)
	}
	r.move(n.next)
}
