package rules

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/banyanhq/banyan/campaign"
)

// resolver walks a parsed expression before CEL checks its types. It knows the campaign's
// names, so it finds what CEL would only call undeclared; it turns the calls whose
// arguments are constants into fields (see varLiteral); and it notes what the expression
// asks.
type resolver struct {
	env     *Env
	scope   *scoped
	src     source
	info    *ast.SourceInfo
	make    ast.ExprFactory
	nextID  int64
	locals  []string
	inLoop  bool
	issues  []Issue
	told    map[int64]bool // nodes that have an issue; what CEL says of them is an echo
	asks    []campaign.Behaviour
	members []place // segments that are asked
	reads   map[string]bool
}

func newResolver(e *Env, sc *scoped, src string, parsed *cel.Ast) *resolver {
	tree := parsed.NativeRep()
	return &resolver{
		env: e, scope: sc, src: source{src}, info: tree.SourceInfo(), make: ast.NewExprFactory(),
		nextID: ast.MaxID(tree) + 1,
		told:   map[int64]bool{}, reads: map[string]bool{},
	}
}

// report adds an issue at a node.
func (r *resolver) report(e ast.Expr, issue Issue) {
	if issue.Length == 0 && issue.Offset == 0 {
		issue.Offset, issue.Length = r.place(e)
	}
	r.told[e.ID()] = true
	r.issues = append(r.issues, issue)
}

func (r *resolver) place(e ast.Expr) (offset, length int) {
	at, ok := r.info.GetOffsetRange(e.ID())
	if !ok {
		return 0, len(r.src.text)
	}
	return r.src.token(r.src.byteOffset(int(at.Start)))
}

func (r *resolver) walk(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		r.ident(e)
	case ast.SelectKind:
		r.selection(e)
	case ast.CallKind:
		r.call(e)
	case ast.ListKind:
		for _, element := range e.AsList().Elements() {
			r.walk(element)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			r.walk(entry.AsMapEntry().Key())
			r.walk(entry.AsMapEntry().Value())
		}
	case ast.StructKind:
		r.report(e, Issue{
			Check: checkValue, Message: "an expression cannot build an object", Hint: `a message writes its values between {{ and }}`,
		})
	case ast.ComprehensionKind:
		r.comprehension(e)
	case ast.LiteralKind:
		switch e.AsLiteral().(type) {
		case types.Null:
			r.report(e, Issue{
				Check: checkValue, Message: "campaigns have no null", Hint: `what is missing reads as "", 0 or false; has(member.city) tells whether it is there`,
			})
		case types.Bytes, types.Uint:
			r.report(e, Issue{
				Check: checkValue, Message: "campaigns have no values of this kind", Hint: `write "text" or 42, without a letter before or behind it`,
			})
		}
	case ast.UnspecifiedExprKind:
	}
}

func (r *resolver) comprehension(e ast.Expr) {
	c := e.AsComprehension()
	r.walk(c.IterRange())
	if r.inLoop {
		r.report(e, Issue{
			Check: checkSize, Message: "a test of every element stands inside another one",
			Hint: `one level is allowed, such as member.tags.exists(t, t == "vip")`,
		})
	}
	if _, taken := r.scope.objects[c.IterVar()]; taken || c.IterVar() == varNow {
		r.report(e, Issue{
			Check: checkReserved, Message: "`" + c.IterVar() + "` is a variable already", Hint: "call the element something else, such as x",
		})
	}
	outer, depth := r.inLoop, len(r.locals)
	r.walk(c.AccuInit())
	r.inLoop, r.locals = true, append(r.locals, c.AccuVar(), c.IterVar())
	r.walk(c.LoopCondition())
	r.walk(c.LoopStep())
	r.inLoop = outer
	r.walk(c.Result())
	r.locals = r.locals[:depth]
}

func (r *resolver) ident(e ast.Expr) {
	name := strings.TrimPrefix(e.AsIdent(), ".")
	if name == varNow || slices.Contains(r.locals, name) {
		r.reads[name] = true
		return
	}
	if o, ok := r.scope.objects[name]; ok {
		r.reads[name] = true
		r.report(e, Issue{
			Check: checkField, Message: "`" + name + "` is not a value by itself", Hint: "read one of its fields: " + listNames(o.names),
			Allowed: o.names,
		})
		return
	}
	r.unknownVariable(e, name)
}

// unknownVariable says why a name cannot be read: because it does not exist, or because
// it does not exist here.
func (r *resolver) unknownVariable(e ast.Expr, name string) {
	known := r.scope.variables
	issue := Issue{Check: checkVariable, Message: "`" + name + "` is not known", Hint: allowedHint(name, known, "variables"), Allowed: known}
	switch name {
	case varEvent, varStart, varOffer:
		issue.Check = checkNotHere
	}
	switch name {
	case varEvent:
		issue.Message, issue.Hint = "`event` cannot be read here", "no event comes with this; readable are "+listNames(known)
	case varStart:
		issue.Message, issue.Hint = "`start` cannot be read here", "no journey has begun yet; readable are "+listNames(known)
	case varOffer:
		issue.Message, issue.Hint = "`offer` cannot be read here", "no offer has been made yet; readable are "+listNames(known)
	case varTeam:
		issue.Check = checkNotHere
		issue.Message, issue.Hint = "`team` cannot be read here", "no team comes together in this journey; readable are "+listNames(known)
	case varAnswers:
		issue.Message, issue.Hint = "`answers` cannot be read here", "no question has been asked; readable are "+listNames(known)
	case varCalls:
		issue.Message, issue.Hint = "`calls` cannot be read here", "no service has been called; readable are "+listNames(known)
	default:
		for _, v := range known {
			o, ok := r.scope.objects[v]
			if ok && o.fields[name] != nil {
				issue.Hint = "did you mean `" + v + "." + name + "`?"
				break
			}
		}
		if _, ok := findFunction(name); ok {
			issue.Hint = "it is a function; a call has parentheses"
		}
		if near := Nearest(name, known); near == "" && r.quotable(name) {
			issue.Hint = `a text stands in quotes: "` + name + `"`
		}
	}
	r.report(e, issue)
}

// quotable reports whether a name is a value of some one_of list, so that the quotes may
// have been forgotten.
func (r *resolver) quotable(name string) bool {
	for _, o := range r.scope.objects {
		for _, f := range o.fields {
			if slices.Contains(f.oneOf, name) {
				return true
			}
		}
	}
	return false
}

func (r *resolver) selection(e ast.Expr) {
	if r.budget(e) {
		return
	}
	sel := e.AsSelect()
	if _, f, ok := r.field(e); ok {
		if f.of != nil && !sel.IsTestOnly() {
			r.reportField(e, Issue{
				Check: checkField, Message: "`" + f.of.name + "` is not a value by itself",
				Hint: "read one of its fields: " + listNames(f.of.names), Allowed: f.of.names,
			})
		}
		return
	}
	o, root := r.object(sel.Operand())
	if o == nil {
		r.walk(sel.Operand())
		if r.told[sel.Operand().ID()] {
			r.told[e.ID()] = true
			return
		}
		// What was a call may be a variable with fields now.
		if o, root = r.object(sel.Operand()); o == nil || o.fields[sel.FieldName()] != nil {
			return
		}
	}
	r.reads[root] = true
	issue := Issue{
		Check: checkField, Message: "`" + o.name + "` has no `" + sel.FieldName() + "`",
		Hint: didYouMean(sel.FieldName(), o.names), Allowed: o.names,
	}
	if issue.Hint == "" {
		issue.Hint = "it has " + listNames(o.names)
	}
	r.reportField(e, issue)
}

// field finds the field that a node selects of a variable, and notes that it is read.
func (r *resolver) field(e ast.Expr) (*object, *field, bool) {
	if e.Kind() != ast.SelectKind {
		return nil, nil, false
	}
	sel := e.AsSelect()
	o, root := r.object(sel.Operand())
	if o == nil {
		return nil, nil, false
	}
	f, ok := o.fields[sel.FieldName()]
	if !ok {
		return nil, nil, false
	}
	r.reads[root] = true
	if f.ofTime {
		r.reads[varNow] = true
	}
	if f.clash != "" && !r.told[e.ID()] {
		r.reportField(e, Issue{Check: checkClash, Message: f.clash, Hint: "give one of the two another name"})
	}
	return o, f, true
}

// object finds the variable, or the part of one, that a node stands for, and the name of
// the variable.
func (r *resolver) object(e ast.Expr) (o *object, root string) {
	switch e.Kind() {
	case ast.IdentKind:
		name := strings.TrimPrefix(e.AsIdent(), ".")
		if !slices.Contains(r.locals, name) {
			return r.scope.objects[name], name
		}
	case ast.SelectKind:
		outer, root := r.object(e.AsSelect().Operand())
		if outer == nil {
			return nil, ""
		}
		if f := outer.fields[e.AsSelect().FieldName()]; f != nil {
			return f.of, root
		}
	case ast.CallKind, ast.ComprehensionKind, ast.ListKind, ast.LiteralKind, ast.MapKind, ast.StructKind, ast.UnspecifiedExprKind:
	}
	return nil, ""
}

// reportField adds an issue at the name of the field of a selection.
func (r *resolver) reportField(e ast.Expr, issue Issue) {
	sel := e.AsSelect()
	from := 0
	if at, ok := r.info.GetOffsetRange(sel.Operand().ID()); ok {
		from = r.src.byteOffset(int(at.Start))
	}
	issue.Offset, issue.Length = r.src.field(from, sel.FieldName())
	r.report(e, issue)
}

func (r *resolver) call(e ast.Expr) {
	c := e.AsCall()
	name := c.FunctionName()
	if isOperator(name) {
		r.walkCall(c)
		r.oneOf(e) // of what calls were turned into too
		return
	}
	f, ok := findFunction(name)
	if !ok {
		r.unknownFunction(e)
		for _, arg := range c.Args() {
			r.walk(arg)
		}
		return
	}
	if c.IsMemberFunction() && !f.method && !f.either || !c.IsMemberFunction() && f.method {
		r.report(e, Issue{Check: checkArguments, Message: "`" + name + "` is not called this way", Hint: "write " + f.usage})
		r.walkCall(c)
		return
	}
	if f.macro {
		// With the right arguments the parser would have taken the macro apart.
		r.report(e, wrongCall(f))
		return
	}
	if r.constant(e, f) {
		return
	}
	r.walkCall(c)
}

func (r *resolver) walkCall(c ast.CallExpr) {
	if c.IsMemberFunction() {
		r.walk(c.Target())
	}
	for _, arg := range c.Args() {
		r.walk(arg)
	}
}

func (r *resolver) unknownFunction(e ast.Expr) {
	c := e.AsCall()
	name := c.FunctionName()
	known := functionNames(c.IsMemberFunction())
	issue := Issue{Check: checkFunction, Message: "there is no function `" + name + "`", Hint: didYouMean(name, known), Allowed: known}
	if near := Nearest(name, known); near != "" {
		f, _ := findFunction(near)
		issue.Hint = "did you mean `" + near + "`? It is called as " + f.usage
	}
	if issue.Hint == "" {
		if f, ok := findFunction(Nearest(name, functionNames(!c.IsMemberFunction()))); ok {
			issue.Hint = "did you mean " + f.usage + "?"
		} else {
			issue.Hint = "known are " + listNames(known)
		}
	}
	if c.IsMemberFunction() {
		// math.floor(1): the target is no value, and saying so too would only confuse.
		if t := c.Target(); t.Kind() != ast.IdentKind || r.scope.objects[t.AsIdent()] != nil || slices.Contains(r.locals, t.AsIdent()) {
			r.walk(t)
		}
	}
	r.report(e, issue)
}
