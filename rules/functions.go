package rules

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// function is one that an expression may call.
type function struct {
	name   string
	usage  string // how it is called, for messages
	method bool   // called as x.name(…)
	either bool   // called either way
	macro  bool   // taken apart by the parser
}

// functions are all that expressions may call, in the order of the reference. CEL has
// some more: those that give up types (dyn, type), and those on types that campaigns do
// not have (bytes, uint).
var functions = []function{
	{name: "segment", usage: `segment("name")`},
	{name: "count", usage: `count("event", duration("30d")), or count("event") for ever`},
	{name: "sum", usage: `sum("event", "property", duration("30d")), or sum("event", "property") for ever`},
	{name: "last", usage: `last("event")`},
	{name: "budget", usage: `budget("reward").left, or budget("reward").left_today`},
	{name: "reward", usage: `reward("name").code`},
	{name: "money", usage: `money("9.90")`},
	{name: "yuan", usage: "yuan(money)"},
	{name: "percent", usage: "percent(number)"},
	{name: "local", usage: "local(time)"},
	{name: "format", usage: `format(time, "YYYY-MM-DD HH:mm")`},
	{name: "mask", usage: "mask(string)"},
	{name: "duration", usage: `duration("48h")`},
	{name: "timestamp", usage: `timestamp("2026-12-01T00:00:00+08:00")`},
	{name: "has", usage: "has(member.city)", macro: true},
	{name: "size", usage: "size(text) or size(list)", either: true},
	{name: "int", usage: "int(x) of a number, a string or a time"},
	{name: "double", usage: "double(x) of a number or a string"},
	{name: "string", usage: "string(x) of a number, a bool or a time; for money there is yuan(x)"},
	{name: "bool", usage: "bool(string)"},
	{name: "matches", usage: `text.matches("^1[3-9]")`, either: true},
	{name: "contains", usage: `text.contains("word")`, method: true},
	{name: "startsWith", usage: `text.startsWith("word")`, method: true},
	{name: "endsWith", usage: `text.endsWith("word")`, method: true},
	{name: "exists", usage: `list.exists(x, x == "vip")`, method: true, macro: true},
	{name: "exists_one", usage: `list.exists_one(x, x == "vip")`, method: true, macro: true},
	{name: "all", usage: `list.all(x, x != "vip")`, method: true, macro: true},
	{name: "filter", usage: `list.filter(x, x.startsWith("a"))`, method: true, macro: true},
	{name: "map", usage: `list.map(x, x + "!")`, method: true, macro: true},
	{name: "getFullYear", usage: "time.getFullYear()", method: true},
	{name: "getMonth", usage: "time.getMonth(), January is 0", method: true},
	{name: "getDate", usage: "time.getDate(), the first is 1", method: true},
	{name: "getDayOfMonth", usage: "time.getDayOfMonth(), the first is 0", method: true},
	{name: "getDayOfWeek", usage: "time.getDayOfWeek(), Sunday is 0", method: true},
	{name: "getDayOfYear", usage: "time.getDayOfYear(), the first is 0", method: true},
	{name: "getHours", usage: "time.getHours()", method: true},
	{name: "getMinutes", usage: "time.getMinutes()", method: true},
	{name: "getSeconds", usage: "time.getSeconds()", method: true},
	{name: "getMilliseconds", usage: "time.getMilliseconds()", method: true},
}

func findFunction(name string) (function, bool) {
	for _, f := range functions {
		if f.name == name {
			return f, true
		}
	}
	return function{}, false
}

// functionNames lists the functions that are called the same way, for suggestions.
func functionNames(method bool) []string {
	var names []string
	for _, f := range functions {
		if f.method == method || f.either {
			names = append(names, f.name)
		}
	}
	return names
}

// isOperator reports whether a call is an operator, or a helper that the expansion of a
// macro calls. Nobody can write their names.
func isOperator(name string) bool {
	if _, ok := operators.FindReverse(name); ok {
		return true
	}
	switch name {
	case operators.NotStrictlyFalse, operators.Conditional, operators.Index:
		return true
	}
	return false
}

// Identifiers of the overloads declared here.
const (
	overloadMoney        = "banyan_money"
	overloadYuan         = "banyan_yuan"
	overloadPercent      = "banyan_percent"
	overloadPercentWhole = "banyan_percent_int"
	overloadLocal        = "banyan_local"
	overloadFormat       = "banyan_format"
	overloadMask         = "banyan_mask"
)

// options declares the functions and what money can do.
func (e *Env) options() []cel.EnvOption {
	money, text, at := moneyType, cel.StringType, cel.TimestampType
	opts := []cel.EnvOption{
		// Written with a literal, money() never gets here: the literal was converted when
		// the expression was compiled.
		cel.Function("money", cel.Overload(overloadMoney, []*cel.Type{text}, money, cel.UnaryBinding(e.money))),
		cel.Function("yuan", cel.Overload(overloadYuan, []*cel.Type{money}, text, cel.UnaryBinding(yuan))),
		cel.Function("percent",
			cel.Overload(overloadPercent, []*cel.Type{cel.DoubleType}, text, cel.UnaryBinding(percent)),
			cel.Overload(overloadPercentWhole, []*cel.Type{cel.IntType}, text, cel.UnaryBinding(percent))),
		cel.Function("local", cel.Overload(overloadLocal, []*cel.Type{at}, text, cel.UnaryBinding(e.local))),
		cel.Function("format", cel.Overload(overloadFormat, []*cel.Type{at, text}, text, cel.BinaryBinding(e.format))),
		cel.Function("mask", cel.Overload(overloadMask, []*cel.Type{text}, text, cel.UnaryBinding(mask))),
		// The operators' own bindings ask the value what it can do; moneyValue can.
		cel.Function(operators.Add, cel.Overload("add_money", []*cel.Type{money, money}, money)),
		cel.Function(operators.Subtract, cel.Overload("subtract_money", []*cel.Type{money, money}, money)),
		cel.Function(operators.Multiply, cel.Overload("multiply_money_int", []*cel.Type{money, cel.IntType}, money)),
		cel.Function(operators.Divide, cel.Overload("divide_money", []*cel.Type{money, money}, cel.IntType)),
		cel.Function(operators.Negate, cel.Overload("negate_money", []*cel.Type{money}, money)),
	}
	for _, op := range []string{operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals} {
		opts = append(opts, cel.Function(op, cel.Overload("money"+op, []*cel.Type{money, money}, cel.BoolType)))
	}
	return opts
}

func yuan(v ref.Val) ref.Val {
	m, ok := v.(moneyValue)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	return types.String(m.String())
}

func percent(v ref.Val) ref.Val {
	switch n := v.(type) {
	case types.Double:
		return types.String(percentText(float64(n)))
	case types.Int:
		return types.String(percentText(float64(n)))
	}
	return types.MaybeNoSuchOverloadErr(v)
}

func (e *Env) local(v ref.Val) ref.Val {
	t, ok := v.(types.Timestamp)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	return types.String(e.localText(t.Time))
}

func mask(v ref.Val) ref.Val {
	s, ok := v.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	return types.String(maskText(string(s)))
}
