package rules

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/banyanhq/banyan/campaign"
)

// CallResult is what the answer to a call holds, under the name that it is saved as.
type CallResult struct {
	Name   string
	Fields []campaign.Property
}

// callSlot tells the fields of all answers apart.
type callSlot struct {
	call, name string
	typ        campaign.Type
}

// callsOf lists what the calls of a journey save, in the order of the steps. Calls of one
// name return the same.
func callsOf(j *campaign.Journey) []CallResult {
	var out []CallResult
	for _, c := range j.Steps.Calls() {
		if c.SaveAs == "" || len(c.Returns) == 0 {
			continue
		}
		result := CallResult{Name: c.SaveAs}
		for i := range c.Returns {
			result.Fields = append(result.Fields, c.Returns[i].Property())
		}
		out = joinCalls(out, []CallResult{result})
	}
	return out
}

// joinCalls adds what is not there yet, by its name.
func joinCalls(list, more []CallResult) []CallResult {
	for _, c := range more {
		if !slices.ContainsFunc(list, func(o CallResult) bool { return o.Name == c.Name }) {
			list = append(list, c)
		}
	}
	return list
}

func slotsOf(calls []CallResult) []callSlot {
	var out []callSlot
	for _, c := range calls {
		for _, p := range c.Fields {
			out = append(out, callSlot{c.Name, p.Name, p.Type})
		}
	}
	return out
}

// callsObject describes calls: one object for each call. A field that was not answered
// reads as the zero value.
func (e *Env) callsObject(calls []CallResult) *object {
	all := newObject(varCalls)
	for _, c := range calls {
		o := newObject(varCalls + "." + c.Name)
		for _, p := range c.Fields {
			slot := slices.Index(e.calls, callSlot{c.Name, p.Name, p.Type})
			if slot < 0 || celTypes[p.Type] == nil {
				continue
			}
			o.add(&field{
				name: p.Name, typ: celTypes[p.Type], oneOf: slices.Clone(p.OneOf),
				get: func(a *activation) (any, error) { return a.call(slot).val, nil },
				has: func(a *activation) bool { return a.call(slot).has },
			})
		}
		name := c.Name
		all.add(&field{
			name: name, typ: objectType(o.name), of: o,
			get: func(a *activation) (any, error) { return a, nil },
			has: func(a *activation) bool { return a.facts.Calls[name] != nil },
		})
	}
	return all
}

func (a *activation) call(slot int) *slotValue {
	s := &a.calls[slot]
	if s.seen != a.generation {
		s.seen = a.generation
		c := a.env.calls[slot]
		raw, present := a.facts.Calls[c.call][c.name]
		s.setJSON(a.env, c.typ, raw, present)
	}
	return s
}

// holdsJSON reports whether JSON can hold values of a type. What a map or a list of mixed
// values holds is only known when it is made.
func holdsJSON(t *types.Type) bool {
	switch t.Kind() {
	case types.ListKind:
		return holdsJSON(t.Parameters()[0])
	case types.MapKind:
		key := t.Parameters()[0]
		return (key.Kind() == types.StringKind || key.Kind() == types.DynKind) && holdsJSON(t.Parameters()[1])
	case types.StringKind, types.IntKind, types.DoubleKind, types.BoolKind, types.TimestampKind, types.DurationKind, types.DynKind, types.TypeParamKind:
		return true
	default:
		return t.IsExactType(moneyType)
	}
}

var (
	errNotJSON = errors.New("JSON cannot hold one of the values")
	errKeys    = errors.New("the keys of a map are texts")
)

// JSON evaluates an expression that was wanted as WantJSON. Money is written as
// {"amount": "199.00", "currency": "CNY"}, a time as RFC 3339, a duration as 48h.
func (x *Expr) JSON(f *Facts) (json.RawMessage, error) {
	if x == nil {
		return nil, errNoExpr
	}
	if f == nil {
		return nil, errNoFacts
	}
	// Lists of the facts are read within the evaluation, which owns them.
	a := x.env.acquire(f)
	defer x.env.release(a)
	v, err := x.run(a)
	if err != nil {
		return nil, x.failed(err)
	}
	value, err := plainJSON(v)
	if err != nil {
		return nil, x.failed(err)
	}
	data, err := json.Marshal(value)
	if err != nil {
		return nil, x.failed(err)
	}
	return data, nil
}

// plainJSON gives a value as encoding/json writes it.
func plainJSON(v ref.Val) (any, error) {
	switch v := v.(type) {
	case types.Timestamp:
		return v.Format(time.RFC3339Nano), nil
	case types.Duration:
		return campaign.FormatDuration(v.Duration), nil
	case types.Double:
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, errNotJSON
		}
		return float64(v), nil
	case traits.Mapper:
		out := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, ok := key.(types.String)
			if !ok {
				return nil, errKeys
			}
			value, err := plainJSON(v.Get(key))
			if err != nil {
				return nil, err
			}
			out[string(name)] = value
		}
		return out, nil
	case traits.Lister:
		out := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			value, err := plainJSON(it.Next())
			if err != nil {
				return nil, err
			}
			out = append(out, value)
		}
		return out, nil
	}
	value, ok := native(v)
	if !ok {
		return nil, errNotJSON
	}
	return value, nil
}
