package rules

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// Always tells the answer of a condition that asks nothing, such as `1 > 2`, and so has
// the same one for ever. The second result is false for every other condition.
func (x *Expr) Always() (answer, certain bool) {
	if x.want != WantBool || len(x.reads) > 0 || len(x.segments) > 0 || len(x.behaviours) > 0 {
		return false, false
	}
	b, err := x.Bool(&Facts{})
	return b, err == nil
}

// Same reports whether two conditions are certainly one: written alike, but for blanks,
// brackets and the order of what is compared.
func (x *Expr) Same(y *Expr) bool { return x.form != "" && x.form == y.form }

// Opposite reports whether certainly one of two conditions holds and the other does not,
// as with `member.points > 100` and `member.points <= 100`.
func (x *Expr) Opposite(y *Expr) bool { return x.form != "" && x.form == negated(y.form) }

const not = "!"

func negated(form string) string {
	if rest, ok := strings.CutPrefix(form, not); ok {
		return rest
	}
	return not + form
}

// formOf writes a condition in one way for all ways of writing it. It gives nothing for
// one that may have no answer (a division, an element of a list, a conversion): where a
// condition fails, its opposite fails too, and neither case runs.
func formOf(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return strings.TrimPrefix(e.AsIdent(), "."), true
	case ast.SelectKind:
		s := e.AsSelect()
		of, ok := formOf(s.Operand())
		if s.IsTestOnly() {
			return "has(" + of + "." + s.FieldName() + ")", ok
		}
		return of + "." + s.FieldName(), ok
	case ast.LiteralKind:
		return fmt.Sprintf("%T:%v", e.AsLiteral(), e.AsLiteral().Value()), true
	case ast.ListKind:
		return formsOf("[", e.AsList().Elements())
	case ast.CallKind:
		return formOfCall(e.AsCall())
	case ast.ComprehensionKind, ast.MapKind, ast.StructKind, ast.UnspecifiedExprKind:
	}
	return "", false
}

func formsOf(name string, list []ast.Expr) (string, bool) {
	out := make([]string, len(list))
	for i, e := range list {
		var ok bool
		if out[i], ok = formOf(e); !ok {
			return "", false
		}
	}
	return name + "(" + strings.Join(out, ",") + ")", true
}

// harmless are functions that always have an answer.
var harmless = []string{
	operators.LogicalAnd, operators.LogicalOr, operators.In, operators.Conditional, "contains", "startsWith", "endsWith", "size",
}

func formOfCall(c ast.CallExpr) (string, bool) {
	name, args := c.FunctionName(), slices.Clone(c.Args())
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	prefix := ""
	switch name {
	case operators.LogicalNot:
		form, ok := formOf(args[0])
		return negated(form), ok
	case operators.NotEquals:
		name, prefix = operators.Equals, not
	case operators.Greater: // a > b is b < a
		name = operators.Less
		slices.Reverse(args)
	case operators.LessEquals: // a <= b is !(b < a)
		name, prefix = operators.Less, not
		slices.Reverse(args)
	case operators.GreaterEquals: // a >= b is !(a < b)
		name, prefix = operators.Less, not
	case operators.Equals, operators.Less:
	default:
		if !slices.Contains(harmless, name) {
			return "", false
		}
	}
	if name == operators.Equals {
		left, ok := formOf(args[0])
		right, ok2 := formOf(args[1])
		if left > right {
			left, right = right, left
		}
		return prefix + name + "(" + left + "," + right + ")", ok && ok2
	}
	form, ok := formsOf(name, args)
	return prefix + form, ok
}
