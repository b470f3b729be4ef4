package rules

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// typeWord names a type as campaigns do.
func typeWord(t *types.Type) string { return typeWordOf(cel.FormatCELType(t)) }

func typeWordOf(s string) string {
	switch s {
	case "double":
		return "number"
	case "timestamp", "google.protobuf.Timestamp":
		return "time"
	case "google.protobuf.Duration":
		return "duration"
	case "dyn":
		return "something of mixed type"
	}
	if inner, ok := strings.CutPrefix(s, "list("); ok {
		return "a list of " + typeWordOf(strings.TrimSuffix(inner, ")"))
	}
	return strings.TrimPrefix(s, typePrefix)
}

// typeIssues puts what CEL's type checker says into plain words. What it says of nodes
// that have an issue already is an echo, and left out.
func (r *resolver) typeIssues(parsed *cel.Ast, found *cel.Issues) {
	nodes := map[int64]ast.Expr{}
	ast.PostOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) { nodes[e.ID()] = e }))
	for _, err := range found.Errors() {
		if r.told[err.ExprID] || len(r.issues) > 0 && isEcho(err.Message) {
			continue
		}
		issue := r.typeIssue(err.Message, nodes[err.ExprID])
		if at, ok := r.info.GetOffsetRange(err.ExprID); ok {
			issue.Offset, issue.Length = r.src.token(r.src.byteOffset(int(at.Start)))
		} else {
			issue.Offset, issue.Length = r.src.token(r.src.lineColumn(err.Location.Line(), err.Location.Column()))
		}
		r.issues = append(r.issues, issue)
	}
	if len(r.issues) == 0 {
		r.issues = append(r.issues, Issue{Length: len(r.src.text), Check: checkType, Message: "the types do not fit"})
	}
}

// isEcho reports whether CEL speaks of what has no type because it is wrong already, or of
// a variable or a null by itself.
func isEcho(message string) bool {
	for _, sign := range []string{"!error!", "null", typePrefix, "type(", "undeclared reference"} {
		if strings.Contains(message, sign) {
			return true
		}
	}
	return false
}

var (
	overloadMessage = regexp.MustCompile(`^found no matching overload for '(.*)' applied to '(.*)'$`)
	expectedMessage = regexp.MustCompile(`^expected type '(.*)' but found '(.*)'$`)
	fieldsMessage   = regexp.MustCompile(`^type '(.*)' does not support field selection$`)
	fieldMessage    = regexp.MustCompile(`^undefined field '(.*)'$`)
	rangeMessage    = regexp.MustCompile(`^expression of type '(.*)' cannot be range`)
)

func (r *resolver) typeIssue(message string, node ast.Expr) Issue {
	if m := overloadMessage.FindStringSubmatch(message); m != nil {
		return overloadIssue(m[1], splitTypes(m[2]), node)
	}
	if m := expectedMessage.FindStringSubmatch(message); m != nil {
		have, want := typeWordOf(m[2]), typeWordOf(m[1])
		if want == "bool" {
			return Issue{Check: checkType, Message: "a condition is true or false, and this is " + have, Hint: "compare it with something"}
		}
		return Issue{Check: checkType, Message: want + " is wanted here, and this is " + have, Hint: "all values of a list are of one type"}
	}
	if m := fieldsMessage.FindStringSubmatch(message); m != nil {
		return Issue{Check: checkField, Message: typeWordOf(m[1]) + " has no fields", Hint: "a dot reads from " + listNames(r.scope.variables)}
	}
	if m := fieldMessage.FindStringSubmatch(message); m != nil {
		return Issue{Check: checkField, Message: "this has no field `" + m[1] + "`", Hint: "a dot reads from " + listNames(r.scope.variables)}
	}
	if m := rangeMessage.FindStringSubmatch(message); m != nil {
		return Issue{Check: checkType, Message: "this is " + typeWordOf(m[1]) + ", not a list", Hint: `write a list, such as member.tags.exists(t, t == "vip")`}
	}
	// A message that is not known here is still better than none, in CEL's own words.
	return Issue{Check: checkOther, Message: message}
}

// splitTypes takes a signature apart: "(money, int)", or "string.(int)" of a method.
func splitTypes(signature string) []string {
	var list []string
	if target, args, ok := strings.Cut(signature, ".("); ok {
		list, signature = append(list, typeWordOf(target)), "("+args
	}
	signature = strings.TrimSuffix(strings.TrimPrefix(signature, "("), ")")
	depth, begin := 0, 0
	for i := range len(signature) {
		switch signature[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				list = append(list, typeWordOf(strings.TrimSpace(signature[begin:i])))
				begin = i + 1
			}
		}
	}
	if last := strings.TrimSpace(signature[begin:]); last != "" {
		list = append(list, typeWordOf(last))
	}
	return list
}

// overloadIssue says what does not go together, and what to write instead.
func overloadIssue(name string, args []string, node ast.Expr) Issue {
	var values []ast.Expr
	if node != nil && node.Kind() == ast.CallKind {
		values = node.AsCall().Args()
	}
	switch name {
	case operators.Conditional:
		if len(args) == 3 && args[1] != args[2] {
			return Issue{Check: checkType, Message: "the two sides of `:` are of one type; these are " + args[1] + " and " + args[2]}
		}
		return Issue{Check: checkType, Message: "a condition is true or false, and this is " + args[0], Hint: "compare it with something"}
	case operators.LogicalNot:
		return Issue{Check: checkType, Message: "`!` turns a condition around, and this is " + args[0], Hint: "compare it with something, such as != 0 or != \"\""}
	case operators.In, operators.OldIn:
		return Issue{Check: checkType, Message: "`in` cannot look for " + args[0] + " in " + args[len(args)-1], Hint: `write "vip" in member.tags, or member.city in ["上海", "北京"]`}
	case operators.Index:
		return Issue{Check: checkType, Message: "this is " + args[0] + "; only lists have elements", Hint: "a list counts from 0"}
	}
	if symbol, ok := operators.FindReverse(name); ok && symbol != "" && len(args) == 2 {
		return Issue{Check: checkType, Message: "`" + symbol + "` " + verb(name) + " " + args[0] + " and " + args[1], Hint: pairHint(name, args, values)}
	}
	if symbol, ok := operators.FindReverse(name); ok && symbol != "" {
		return Issue{Check: checkType, Message: "`" + symbol + "` cannot be used on " + strings.Join(args, ", ")}
	}
	hint := ""
	if f, ok := findFunction(name); ok {
		hint = "write " + f.usage
	}
	if len(args) == 0 {
		return Issue{Check: checkType, Message: "`" + name + "` is called with something", Hint: hint}
	}
	return Issue{Check: checkType, Message: "`" + name + "` does not take " + strings.Join(args, ", "), Hint: hint}
}

func verb(operator string) string {
	switch operator {
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return "cannot compare"
	}
	return "cannot join"
}

// pairHint is how two values of different types come together.
func pairHint(operator string, args []string, values []ast.Expr) string {
	is := func(a, b string) bool { return args[0] == a && args[1] == b || args[0] == b && args[1] == a }
	literal := ""
	for _, v := range values {
		if n, ok := literalNumber(v); ok {
			literal = n
		}
	}
	switch {
	case slices.Contains(args, "money") && operator == operators.Multiply:
		return "money stands on the left and a whole number on the right, such as offer.price * 3"
	case slices.Contains(args, "money") && operator == operators.Divide, operator == operators.Modulo && slices.Contains(args, "money"):
		return `money is divided by money alone, which gives how many whole times it goes in: event.amount / money("10.00")`
	case operator == operators.Add && is("string", "money"):
		return "make money a text: yuan(x)"
	case operator == operators.Add && is("string", "time"):
		return "make a time a text: local(x)"
	case operator == operators.Add && (is("string", "int") || is("string", "number") || is("string", "bool")):
		return "make it a text: string(x)"
	case is("money", "int"), is("money", "number"), is("money", "string"):
		return moneyHint(literal)
	case is("int", "number") && literal != "" && !strings.Contains(literal, "."):
		return "write " + literal + ".0"
	case is("int", "number"):
		return "make both numbers: double(x)"
	case is("time", "string"), is("time", "int"):
		return `write a time as timestamp("2026-12-01T00:00:00+08:00")`
	case is("duration", "int"), is("duration", "string"), is("duration", "number"):
		return `write a span as duration("48h") or duration("7d")`
	case is("string", "int") && literal != "":
		return `write "` + literal + `"`
	}
	return ""
}

// moneyHint is how an amount is written.
func moneyHint(literal string) string {
	if _, err := strconv.ParseFloat(literal, 64); err != nil {
		literal = "199"
	}
	return `write money("` + literal + `")`
}
