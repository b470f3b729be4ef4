package rules

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/banyanhq/banyan/campaign"
)

// zero is what a value of the type reads as where there is none.
func (e *Env) zero(t campaign.Type) ref.Val { return e.zeroes[t] }

// decode reads stored JSON as the declared type. What does not fit is not there.
func (e *Env) decode(t campaign.Type, raw []byte) (ref.Val, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return nil, false
	}
	switch t {
	case campaign.TypeString:
		return decodeText(raw)
	case campaign.TypeInt:
		return decodeInt(raw)
	case campaign.TypeNumber:
		n, err := strconv.ParseFloat(string(raw), 64)
		// ParseFloat knows more spellings than JSON has: inf, 0x1p-2, 1_000.
		return types.Double(n), err == nil && json.Valid(raw)
	case campaign.TypeBool:
		return types.Bool(raw[0] == 't'), string(raw) == "true" || string(raw) == "false"
	case campaign.TypeTime:
		return e.decodeTime(raw)
	case campaign.TypeMoney:
		var m campaign.Money
		if raw[0] != '{' || m.UnmarshalJSON(raw) != nil {
			return nil, false
		}
		return moneyValue{e.inCurrency(m)}, true
	}
	return nil, false
}

func decodeText(raw []byte) (ref.Val, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, false
	}
	if text := raw[1 : len(raw)-1]; plain(text) {
		return types.String(text), raw[len(raw)-1] == '"'
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil, false
	}
	return types.String(s), true
}

// plain reports whether a JSON string says what it holds without escapes.
func plain(text []byte) bool {
	for _, c := range text {
		if c == '\\' || c == '"' || c < ' ' {
			return false
		}
	}
	return utf8.Valid(text)
}

func decodeInt(raw []byte) (ref.Val, bool) {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return types.Int(n), raw[0] != '+'
	}
	// Some callers have floats alone and write 3 as 3.0. Beyond 2⁵³ a float no longer
	// tells whole numbers apart.
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !json.Valid(raw) || n != math.Trunc(n) || math.Abs(n) > 1<<53 {
		return nil, false
	}
	return types.Int(n), true
}

func (e *Env) decodeTime(raw []byte) (ref.Val, bool) {
	text, ok := decodeText(raw)
	if !ok {
		return nil, false
	}
	s, ok := text.(types.String)
	if !ok {
		return nil, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(s))
	// CEL's times begin with the year 1.
	if err != nil || t.UTC().Year() < 1 {
		return nil, false
	}
	return types.Timestamp{Time: t.In(e.loc)}, true
}

// inCurrency gives money without a currency, which is how nothing at all is stored, the
// campaign's.
func (e *Env) inCurrency(m campaign.Money) campaign.Money {
	if m.Currency == "" {
		m.Currency = e.def.Currency
	}
	return m
}

// native gives a result as what Go callers expect.
func native(v ref.Val) (any, bool) {
	switch v := v.(type) {
	case types.String:
		return string(v), true
	case types.Int:
		return int64(v), true
	case types.Double:
		return float64(v), true
	case types.Bool:
		return bool(v), true
	case types.Timestamp:
		return v.UTC(), true
	case moneyValue:
		return v.Money, true
	}
	return nil, false
}

// tagList is member.tags. A test for one tag, which is what segments mostly ask, compares
// strings and allocates nothing; for everything else it turns into a list of CEL's own.
type tagList struct {
	tags []string
	list traits.Lister
}

func (l *tagList) lister() traits.Lister {
	if l.list == nil {
		l.list = types.NewStringList(types.DefaultTypeAdapter, l.tags)
	}
	return l.list
}

// Contains implements traits.Container.
func (l *tagList) Contains(value ref.Val) ref.Val {
	want, ok := value.(types.String)
	if !ok {
		return types.False
	}
	for _, tag := range l.tags {
		if tag == string(want) {
			return types.True
		}
	}
	return types.False
}

// Add implements traits.Adder.
func (l *tagList) Add(other ref.Val) ref.Val { return l.lister().Add(other) }

// Get implements traits.Indexer.
func (l *tagList) Get(index ref.Val) ref.Val { return l.lister().Get(index) }

// Iterator implements traits.Iterable.
func (l *tagList) Iterator() traits.Iterator { return l.lister().Iterator() }

// Size implements traits.Sizer.
func (l *tagList) Size() ref.Val { return types.Int(len(l.tags)) }

// ConvertToNative implements ref.Val.
func (l *tagList) ConvertToNative(typeDesc reflect.Type) (any, error) {
	return l.lister().ConvertToNative(typeDesc)
}

// ConvertToType implements ref.Val.
func (l *tagList) ConvertToType(typeVal ref.Type) ref.Val { return l.lister().ConvertToType(typeVal) }

// Equal implements ref.Val.
func (l *tagList) Equal(other ref.Val) ref.Val { return l.lister().Equal(other) }

// Type implements ref.Val.
func (l *tagList) Type() ref.Type { return types.ListType }

// Value implements ref.Val.
func (l *tagList) Value() any { return l.tags }
