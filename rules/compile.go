package rules

import (
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/banyanhq/banyan/campaign"
)

// Limits of an expression, all applied when it is compiled. Bounding evaluation while it
// runs would make each one about three times as slow, so what is accepted has to be cheap
// enough in its worst case.
const (
	// MaxSource is the longest expression, in bytes: several screens, longer than any
	// condition that somebody still understands.
	MaxSource = 4096
	// MaxDepth is how deeply an expression may be nested. Parsing is recursive; depth is
	// stack.
	MaxDepth = 50
	// MaxCost is the highest estimate of what an expression costs in CEL's units, of which
	// reading a field is one, segments included. With the sizes in cost.go it allows every
	// test of a member's tags and refuses searching long texts in them; one evaluation
	// stays well under a millisecond.
	MaxCost = 10_000
)

// Want says what type an expression has to have.
type Want struct {
	typ   campaign.Type
	text  bool
	json  bool
	name  string
	oneOf string // joined, so that a Want can be a key
}

// What an expression is wanted for.
var (
	WantAny  = Want{}                       // any single value
	WantBool = Want{typ: campaign.TypeBool} // a condition
	WantText = Want{text: true}             // what a text shows: Value gives it as a string
	WantJSON = Want{json: true}             // anything that JSON can hold, maps and lists too: JSON gives it
)

// WantType wants a value of a type. An int will do for a number and becomes one.
func WantType(t campaign.Type) Want { return Want{typ: t} }

// WantAttribute wants a value for an attribute: of its type and, as far as the expression
// is a literal, one of its values.
func WantAttribute(p campaign.Property) Want {
	return Want{typ: p.Type, name: p.Name, oneOf: strings.Join(p.OneOf, "\x00")}
}

// Compile checks an expression. It gives either an Expr or at least one Issue. Equal
// expressions are compiled once.
func (e *Env) Compile(src string, sc Scope, want Want) (*Expr, []Issue) {
	sc = sc.normal()
	sc.mixed = want.json
	key := cacheKey{src: src, scope: sc.key(), want: want}
	if hit, ok := e.cache.get(key); ok {
		return hit.expr, slices.Clone(hit.issues)
	}
	x, issues := e.compile(src, sc, want)
	if x != nil {
		e.follow(x)
		if issue, dear := tooDear(x.cost, src); dear {
			x, issues = nil, []Issue{issue}
		}
	}
	e.cache.put(key, compiled{expr: x, issues: issues})
	return x, slices.Clone(issues)
}

// compile checks an expression by itself, without the segments that it asks.
func (e *Env) compile(src string, sc Scope, want Want) (*Expr, []Issue) {
	if len(src) > MaxSource {
		return nil, []Issue{{
			Length: len(src),
			Check:  checkSize, Message: "the expression is " + strconv.Itoa(len(src)) + " bytes long; " + strconv.Itoa(MaxSource) + " are allowed",
			Hint: "name parts of it as segments",
		}}
	}
	if strings.TrimSpace(src) == "" {
		return nil, []Issue{{Length: len(src), Check: checkSyntax, Message: "the expression is empty", Hint: want.example()}}
	}
	e.compiling.Lock()
	defer e.compiling.Unlock()
	scope, err := e.in(sc, sc.key())
	if err != nil {
		return nil, []Issue{{Length: len(src), Check: checkOther, Message: "the expression cannot be checked: " + err.Error()}}
	}
	parsed, found := scope.cel.Parse(src)
	if found.Err() != nil {
		return nil, syntaxIssues(src, found)
	}
	r := newResolver(e, scope, src, parsed)
	r.walk(parsed.NativeRep().Expr())
	r.wanted(parsed.NativeRep().Expr(), want)
	checked, found := scope.cel.Check(parsed)
	if found.Err() != nil {
		r.typeIssues(parsed, found)
	}
	if len(r.issues) > 0 {
		return nil, sortIssues(r.issues)
	}
	if issue, ok := want.accepts(checked.OutputType(), src); !ok {
		return nil, []Issue{issue}
	}
	return e.plan(src, scope, want, checked, r)
}

// plan makes the program of a checked expression.
func (e *Env) plan(src string, scope *scoped, want Want, checked *cel.Ast, r *resolver) (*Expr, []Issue) {
	estimate, err := scope.cel.EstimateCost(checked, estimator{})
	if err != nil {
		return nil, []Issue{{Length: len(src), Check: checkOther, Message: "the cost of the expression cannot be estimated: " + err.Error()}}
	}
	if issue, dear := tooDear(estimate.Max, src); dear {
		return nil, []Issue{issue}
	}
	program, err := scope.cel.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(compareSpans))
	if err != nil {
		return nil, []Issue{{Length: len(src), Check: checkOther, Message: "the expression cannot be evaluated: " + err.Error()}}
	}
	var push pushed
	form := ""
	if want == WantBool {
		push = e.push(checked.NativeRep().Expr())
		if f, ok := formOf(checked.NativeRep().Expr()); ok {
			form = f
		}
	}
	return &Expr{
		env: e, src: src, pushed: push, form: form, want: want, program: program,
		own: estimate.Max, cost: estimate.Max,
		behaviours: r.asks, direct: r.members, reads: r.reads,
	}, nil
}

// example is what to write where nothing stands.
func (w Want) example() string {
	if w.typ == campaign.TypeBool {
		return `write a condition, such as member.points > 100`
	}
	return `write an expression, such as member.name`
}

// accepts checks the type of a whole expression.
func (w Want) accepts(t *types.Type, src string) (Issue, bool) {
	have := typeWord(t)
	trimmed := strings.TrimSpace(src)
	issue := Issue{Check: checkType, Offset: strings.Index(src, trimmed), Length: len(trimmed)}
	shown := slices.Contains([]string{"string", "int", "number", "bool", "money", "time"}, have)
	switch {
	case w.json:
		issue.Message = "JSON cannot hold " + have
		issue.Hint = `write a map such as {"member": member.id}, a list, or a single value`
		return issue, holdsJSON(t)
	case w.text || w == WantAny:
		issue.Message = "a text cannot show " + have
		if w == WantAny {
			issue.Message = "a single value is wanted here, and this is " + have
		}
		issue.Hint = "make it a string, number, bool, money or time; size(list) counts"
		return issue, shown
	case have == string(w.typ), w.typ == campaign.TypeNumber && have == "int":
		return Issue{}, true
	case w.typ == campaign.TypeBool:
		issue.Message = "a condition is true or false, and this is " + have
		issue.Hint = "compare it with something, such as " + firstLine(trimmed) + " == …"
		return issue, false
	}
	issue.Message = "a value of type " + string(w.typ) + " is wanted here, and this is " + have
	if w.name != "" {
		issue.Message = "`" + w.name + "` is " + string(w.typ) + ", and this is " + have
	}
	if number := trimmed; w.typ == campaign.TypeMoney && (have == "int" || have == "number") {
		issue.Hint = moneyHint(number)
	}
	return issue, false
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// wanted checks literal results against the values that an attribute may have.
func (r *resolver) wanted(e ast.Expr, want Want) {
	if want.oneOf == "" {
		return
	}
	values := strings.Split(want.oneOf, "\x00")
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Conditional {
		r.wanted(e.AsCall().Args()[1], want)
		r.wanted(e.AsCall().Args()[2], want)
		return
	}
	if text, ok := literalText(e); ok && !slices.Contains(values, text) {
		r.report(e, Issue{
			Check: checkImpossible, Message: want.name + " is one of " + strings.Join(values, ", "), Hint: didYouMean(text, values), Allowed: values,
		})
	}
}
