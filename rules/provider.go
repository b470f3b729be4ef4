package rules

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/banyanhq/banyan/campaign"
)

// provider tells CEL which fields the variables of one scope have.
type provider struct {
	*types.Registry
	env     *Env
	objects map[string]*object // by type name
}

// FindStructType implements types.Provider.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if strings.HasPrefix(name, typePrefix) || name == moneyType.TypeName() {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return nil, false
}

// FindStructFieldNames implements types.Provider.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	o, ok := p.objects[name]
	if !ok {
		return nil, false
	}
	return slices.Sorted(maps.Keys(o.fields)), true
}

// FindStructFieldType implements types.Provider.
func (p *provider) FindStructFieldType(name, fieldName string) (*types.FieldType, bool) {
	switch name {
	case typePrefix + varLiteral:
		return p.env.literalField(fieldName)
	case typePrefix + varBehaviour:
		return p.env.behaviourField(fieldName)
	case typePrefix + varSegment:
		return p.env.segmentField(fieldName)
	}
	o, ok := p.objects[name]
	if !ok {
		return nil, false
	}
	f, ok := o.fields[fieldName]
	if !ok {
		return nil, false
	}
	return fieldType(f.typ, f.get, f.has), true
}

// NewValue implements types.Provider: expressions build no objects.
func (p *provider) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("%s cannot be built in an expression", name)
}

var errNotFacts = errors.New("a variable did not resolve to the facts")

func fieldType(t *types.Type, get func(*activation) (any, error), has func(*activation) bool) *types.FieldType {
	return &types.FieldType{
		Type: t,
		IsSet: func(target any) bool {
			a, ok := target.(*activation)
			return ok && has(a)
		},
		GetFrom: func(target any) (any, error) {
			a, ok := target.(*activation)
			if !ok {
				return nil, errNotFacts
			}
			return get(a)
		},
	}
}

func always(*activation) bool { return true }

// Kinds of literal, as the names of the fields of @literal begin.
const (
	literalMoney    = "money:"
	literalDuration = "duration:"
	literalTime     = "timestamp:"
	literalBroken   = "broken" // an argument that was reported already; of any type
)

// literalField converts a constant, once.
func (e *Env) literalField(name string) (*types.FieldType, bool) {
	var val ref.Val
	t := types.DynType
	switch kind, text, _ := strings.Cut(name, ":"); kind + ":" {
	case literalMoney:
		m, err := campaign.ParseMoney(text, e.def.Currency)
		if err != nil {
			return nil, false
		}
		val, t = moneyValue{m}, moneyType
	case literalDuration:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, false
		}
		val, t = types.Duration{Duration: time.Duration(n)}, types.DurationType
	case literalTime:
		at, err := parseTime(text)
		if err != nil {
			return nil, false
		}
		val, t = types.Timestamp{Time: at.In(e.loc)}, types.TimestampType
	case literalBroken + ":":
		val = types.NewErr("the argument is not valid")
	default:
		return nil, false
	}
	return fieldType(t, func(*activation) (any, error) { return val, nil }, always), true
}

// parseTime reads a time as CEL does: RFC 3339, with a four-digit year from 1 on.
func parseTime(text string) (time.Time, error) {
	switch v := types.String(text).ConvertToType(types.TimestampType).(type) {
	case types.Timestamp:
		return v.Time, nil
	case *types.Err:
		return time.Time{}, v
	}
	return time.Time{}, errors.New("not a time")
}

// behaviourSeparator joins the parts of a question in the name of a field.
const behaviourSeparator = "\x00"

func behaviourName(b campaign.Behaviour) string {
	return strings.Join([]string{b.Function, b.Event, b.Property, strconv.FormatInt(int64(b.Within), 10)}, behaviourSeparator)
}

func behaviourFrom(name string) (campaign.Behaviour, bool) {
	parts := strings.Split(name, behaviourSeparator)
	if len(parts) != 4 {
		return campaign.Behaviour{}, false
	}
	within, err := strconv.ParseInt(parts[3], 10, 64)
	return campaign.Behaviour{
		Function: parts[0], Event: parts[1], Property: parts[2], Within: time.Duration(within),
	}, err == nil
}

// behaviourText writes a question as an expression asks it.
func behaviourText(b campaign.Behaviour) string {
	if b.Function == campaign.AboutBudget {
		return b.Function + "(" + strconv.Quote(b.Event) + ")." + b.Property
	}
	text := b.Function + "(" + strconv.Quote(b.Event)
	if b.Property != "" {
		text += ", " + strconv.Quote(b.Property)
	}
	if b.Within != 0 {
		text += `, duration("` + campaign.FormatDuration(b.Within) + `")`
	}
	return text + ")"
}

// behaviourField is a question about past events: a count, a sum or the last time.
func (e *Env) behaviourField(name string) (*types.FieldType, bool) {
	b, ok := behaviourFrom(name)
	if !ok {
		return nil, false
	}
	t, of := types.DoubleType, func(_ *Env, v campaign.BehaviourValue) ref.Val { return types.Double(v.Sum) }
	switch b.Function {
	case "count", campaign.AboutBudget:
		t, of = types.IntType, func(_ *Env, v campaign.BehaviourValue) ref.Val { return types.Int(v.Count) }
	case "last":
		t, of = types.TimestampType, func(e *Env, v campaign.BehaviourValue) ref.Val {
			return types.Timestamp{Time: v.Last.In(e.loc)}
		}
	case "sum":
		if e.sumsMoney(b) {
			t, of = moneyType, func(e *Env, v campaign.BehaviourValue) ref.Val {
				return moneyValue{campaign.Money{Minor: v.Minor, Currency: e.def.Currency}}
			}
		}
	}
	return fieldType(t, func(a *activation) (any, error) { return a.behaviour(b, of) }, always), true
}

func (e *Env) sumsMoney(b campaign.Behaviour) bool {
	event, ok := e.def.Event(b.Event)
	if !ok {
		return false
	}
	p, ok := event.Property(b.Property)
	return ok && p.Type == campaign.TypeMoney
}

// segmentField is whether the member is in a segment.
func (e *Env) segmentField(name string) (*types.FieldType, bool) {
	i, ok := e.segmentIndex[name]
	if !ok {
		return nil, false
	}
	return fieldType(types.BoolType, func(a *activation) (any, error) { return a.segment(i) }, always), true
}
