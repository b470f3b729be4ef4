package rules

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/banyanhq/banyan/campaign"
)

// push takes a condition apart for PostgreSQL. It is given the tree after the resolver,
// so calls with constants are fields already. nil is what cannot be translated.
func (e *Env) push(tree ast.Expr) pushed {
	switch tree.Kind() {
	case ast.LiteralKind:
		if b, ok := tree.AsLiteral().(types.Bool); ok {
			return pushedTest(func(_ *audienceWriter, want bool) condition { return settled(bool(b) == want) })
		}
	case ast.SelectKind:
		return e.pushSelect(tree.AsSelect())
	case ast.CallKind:
		return e.pushCall(tree.AsCall())
	case ast.ComprehensionKind:
		return e.pushExists(tree.AsComprehension())
	case ast.IdentKind, ast.ListKind, ast.MapKind, ast.StructKind, ast.UnspecifiedExprKind:
	}
	return nil
}

// pushExists translates member.tags.exists(t, t == "vip"), which is "vip" in member.tags.
func (e *Env) pushExists(c ast.ComprehensionExpr) pushed {
	step := c.LoopStep()
	if step.Kind() != ast.CallKind || step.AsCall().FunctionName() != operators.LogicalOr || !isIdent(c.Result(), c.AccuVar()) {
		return nil
	}
	sides := step.AsCall().Args()
	if !isIdent(sides[0], c.AccuVar()) || sides[1].Kind() != ast.CallKind || sides[1].AsCall().FunctionName() != operators.Equals {
		return nil
	}
	if b, ok := e.constantOf(c.AccuInit()).(bool); !ok || b {
		return nil
	}
	left, right := sides[1].AsCall().Args()[0], sides[1].AsCall().Args()[1]
	if isIdent(right, c.IterVar()) {
		left, right = right, left
	}
	if variable, name := selected(c.IterRange()); !isIdent(left, c.IterVar()) || variable != varMember || name != "tags" {
		return nil
	}
	return e.pushIn(right, c.IterRange())
}

func isIdent(x ast.Expr, name string) bool {
	return x.Kind() == ast.IdentKind && x.AsIdent() == name
}

func (e *Env) pushCall(c ast.CallExpr) pushed {
	args := c.Args()
	switch c.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr:
		both := pushedBoth{either: c.FunctionName() == operators.LogicalOr}
		for _, arg := range args {
			both.parts = append(both.parts, e.push(arg))
		}
		return both
	case operators.LogicalNot:
		return pushedNot{e.push(args[0])}
	case operators.Conditional:
		return pushedChoice{e.push(args[0]), e.push(args[1]), e.push(args[2])}
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return e.pushComparison(comparisons[c.FunctionName()], args[0], args[1])
	case operators.In:
		return e.pushIn(args[0], args[1])
	case "contains", "startsWith", "endsWith":
		return e.pushSearch(c)
	}
	return nil
}

// comparison is an operator, as SQL writes it.
type comparison string

var comparisons = map[string]comparison{
	operators.Equals: "=", operators.NotEquals: "<>", operators.Less: "<", operators.LessEquals: "<=",
	operators.Greater: ">", operators.GreaterEquals: ">=",
}

// turned is the operator with its sides exchanged, opposite the one that holds where this
// one does not.
func (c comparison) turned() comparison {
	return map[comparison]comparison{"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}[c]
}

func (c comparison) opposite() comparison {
	return map[comparison]comparison{"=": "<>", "<>": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}[c]
}

// holds reports whether a compares to b in this way, sign being that of a − b.
func (c comparison) holds(sign int) bool {
	switch c {
	case "=":
		return sign == 0
	case "<>":
		return sign != 0
	case "<":
		return sign < 0
	case "<=":
		return sign <= 0
	case ">":
		return sign > 0
	}
	return sign >= 0
}

// asking is the operator that holds for whom this one is want.
func (c comparison) asking(want bool) comparison {
	if want {
		return c
	}
	return c.opposite()
}

// operand is a side of a comparison: something of the member that PostgreSQL knows.
type operand interface {
	// compare asks for whom the operand compares to a constant in this way.
	compare(w *audienceWriter, c comparison, constant any) condition
}

// moment is a time that is known when the question is put; it is not where CEL's own
// arithmetic would have failed.
type moment func(now time.Time) (at time.Time, ok bool)

func (e *Env) pushComparison(c comparison, left, right ast.Expr) pushed {
	value, constant := e.operand(left), e.constantOf(right)
	if value == nil || constant == nil {
		value, constant, c = e.operand(right), e.constantOf(left), c.turned()
	}
	if value != nil && constant != nil {
		return pushedTest(func(w *audienceWriter, want bool) condition { return value.compare(w, c.asking(want), constant) })
	}
	if c != "=" && c != "<>" {
		return nil
	}
	// A condition that is compared with true or false.
	for _, sides := range [2][2]ast.Expr{{left, right}, {right, left}} {
		if b, ok := e.constantOf(sides[1]).(bool); ok {
			if of := e.push(sides[0]); (c == "=") == b {
				return of
			} else if of != nil {
				return pushedNot{of}
			}
		}
	}
	return nil
}

// constantOf gives what does not depend on the member: a string, int64, float64, bool,
// time.Duration or moment.
func (e *Env) constantOf(x ast.Expr) any {
	switch x.Kind() {
	case ast.LiteralKind:
		switch v := x.AsLiteral().(type) {
		case types.String:
			// PostgreSQL keeps neither of these, so no member has it; but it could not be asked.
			if s := string(v); utf8.ValidString(s) && !strings.ContainsRune(s, 0) {
				return s
			}
		case types.Int:
			return int64(v)
		case types.Double:
			if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
				return f
			}
		case types.Bool:
			return bool(v)
		}
	case ast.IdentKind:
		if strings.TrimPrefix(x.AsIdent(), ".") == varNow {
			return moment(func(now time.Time) (time.Time, bool) { return now, true })
		}
	case ast.SelectKind:
		if variable, name := selected(x); variable == varLiteral {
			return e.literalConstant(name)
		}
	case ast.CallKind:
		return e.shifted(x.AsCall())
	case ast.ComprehensionKind, ast.ListKind, ast.MapKind, ast.StructKind, ast.UnspecifiedExprKind:
	}
	return nil
}

func (e *Env) literalConstant(name string) any {
	kind, text, _ := strings.Cut(name, ":")
	switch kind + ":" {
	case literalDuration:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return time.Duration(n)
		}
	case literalTime:
		if at, err := parseTime(text); err == nil {
			return moment(func(time.Time) (time.Time, bool) { return at, true })
		}
	}
	return nil
}

// shifted is a moment and a duration added or subtracted.
func (e *Env) shifted(c ast.CallExpr) any {
	name := c.FunctionName()
	if name != operators.Add && name != operators.Subtract || len(c.Args()) != 2 {
		return nil
	}
	left, right := e.constantOf(c.Args()[0]), e.constantOf(c.Args()[1])
	if _, first := left.(time.Duration); first && name == operators.Add {
		left, right = right, left
	}
	at, isMoment := left.(moment)
	by, isDuration := right.(time.Duration)
	if !isMoment || !isDuration {
		return nil
	}
	return moment(func(now time.Time) (time.Time, bool) {
		from, ok := at(now)
		if name == operators.Subtract {
			if by == math.MinInt64 {
				return from, false
			}
			return inYears(from.Add(-by), ok)
		}
		return inYears(from.Add(by), ok)
	})
}

// The years that CEL's times have.
var (
	firstTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
)

func inYears(t time.Time, ok bool) (time.Time, bool) {
	return t, ok && !t.Before(firstTime) && !t.After(lastTime)
}

// selected gives the variable and the field of x.y.
func selected(x ast.Expr) (variable, name string) {
	if x.Kind() != ast.SelectKind || x.AsSelect().IsTestOnly() || x.AsSelect().Operand().Kind() != ast.IdentKind {
		return "", ""
	}
	return strings.TrimPrefix(x.AsSelect().Operand().AsIdent(), "."), x.AsSelect().FieldName()
}

// operand finds what of the member an expression reads, or nil.
func (e *Env) operand(x ast.Expr) operand {
	if x.Kind() == ast.CallKind {
		return e.computed(x.AsCall())
	}
	variable, name := selected(x)
	switch variable {
	case varMember:
		return e.memberOperand(name)
	case varBehaviour:
		if b, ok := behaviourFrom(name); ok && b.Function == "count" {
			return countOperand(b)
		}
	}
	return nil
}

// pointsNow are a member's points without what is past its end and not booked as such yet.
const pointsNow = "(m.points - case when m.points_end <= statement_timestamp() then (select coalesce(sum(b.remaining), 0) from point_batches b" +
	" where b.member = m.id and b.remaining > 0 and b.ends_at <= statement_timestamp()) else 0 end)"

func (e *Env) memberOperand(name string) operand {
	if p, ok := e.attribute(name); ok {
		switch p.Type {
		case campaign.TypeString:
			return e.textAttribute(name)
		case campaign.TypeInt, campaign.TypeNumber:
			return numberAttribute{name: name, whole: p.Type == campaign.TypeInt}
		case campaign.TypeBool, campaign.TypeTime, campaign.TypeMoney:
		}
		return nil
	}
	switch name {
	case "id", "source", "inviter":
		return textOperand{column: "m." + name}
	case fieldLevel:
		if e.def.HasLevels() {
			// A campaign's name holds no character that would have to be escaped.
			return textOperand{column: "coalesce(m.levels ->> '" + e.def.Name + "', '')"}
		}
		return textOperand{attribute: name}
	case "points":
		return wholeOperand(pointsNow)
	case "joined_at":
		return joinedOperand{}
	}
	return nil
}

func (e *Env) attribute(name string) (campaign.Property, bool) {
	i := slices.IndexFunc(e.attributes, func(p campaign.Property) bool { return p.Name == name })
	if i < 0 {
		return campaign.Property{}, false
	}
	return e.attributes[i], true
}

// textAttribute is an attribute, or the built-in field of its name where the member has
// no such attribute.
func (e *Env) textAttribute(name string) textOperand {
	o := textOperand{attribute: name}
	if slices.Contains(memberSoft, name) && name != "level" { // the built-in level is the attribute
		o.column = "m." + name
	}
	return o
}

// computed are the values of the member that take a call.
func (e *Env) computed(c ast.CallExpr) operand {
	args := c.Args()
	switch c.FunctionName() {
	case "size":
		list := c.Target()
		if !c.IsMemberFunction() {
			list = args[0]
		}
		if variable, field := selected(list); variable == varMember && field == "tags" {
			return wholeOperand("cardinality(m.tags)")
		}
	case operators.Subtract:
		if at, ok := e.constantOf(args[0]).(moment); ok && isJoined(args[1]) {
			return ageOperand{at: at}
		}
		if at, ok := e.constantOf(args[1]).(moment); ok && isJoined(args[0]) {
			return ageOperand{at: at, ahead: true}
		}
		if by, ok := e.constantOf(args[1]).(time.Duration); ok && isJoined(args[0]) && by != math.MinInt64 {
			return joinedOperand{by: -by}
		}
	case operators.Add:
		for i, arg := range args {
			if by, ok := e.constantOf(args[1-i]).(time.Duration); ok && isJoined(arg) {
				return joinedOperand{by: by}
			}
		}
	}
	return nil
}

func isJoined(x ast.Expr) bool {
	variable, name := selected(x)
	return variable == varMember && name == "joined_at"
}

// pushSelect translates what is a condition by itself: has(…), a bool of the member, a
// segment.
func (e *Env) pushSelect(sel ast.SelectExpr) pushed {
	if sel.Operand().Kind() != ast.IdentKind {
		return nil
	}
	name := sel.FieldName()
	switch strings.TrimPrefix(sel.Operand().AsIdent(), ".") {
	case varSegment:
		if i, ok := e.segmentIndex[name]; ok {
			return pushedSegment(i)
		}
	case varMember:
		if sel.IsTestOnly() {
			return e.pushHas(name)
		}
		if p, ok := e.attribute(name); ok && p.Type == campaign.TypeBool {
			return pushedTest(func(w *audienceWriter, want bool) condition {
				return truth(w.json(name)+" = "+w.arg("true", "jsonb"), want)
			})
		}
	}
	return nil
}

// truth is a condition that may be null, which is as good as false.
func truth(sql string, want bool) condition {
	if want {
		return exactly(sql)
	}
	return exactly("(" + sql + ") is not true")
}

// pushHas translates has(member.name).
func (e *Env) pushHas(name string) pushed {
	test := func(sql func(w *audienceWriter) string) pushed {
		return pushedTest(func(w *audienceWriter, want bool) condition { return truth(sql(w), want) })
	}
	p, declared := e.attribute(name)
	if !declared {
		switch name {
		case "tags":
			return test(func(*audienceWriter) string { return "cardinality(m.tags) > 0" })
		case "points":
			return pushedTest(func(_ *audienceWriter, want bool) condition { return settled(want) })
		case "joined_at":
			return test(func(w *audienceWriter) string { return "m.joined_at <> " + w.arg(time.Time{}, "timestamptz") })
		}
	}
	switch o := e.memberOperand(name).(type) {
	case textOperand:
		if declared {
			return test(func(w *audienceWriter) string {
				sql := "jsonb_typeof(" + w.json(o.attribute) + ") = 'string'"
				if o.column != "" {
					sql = "(" + sql + " or " + o.column + " <> '')"
				}
				return sql
			})
		}
		return test(func(w *audienceWriter) string { return o.value(w) + " <> ''" })
	case numberAttribute:
		return test(func(w *audienceWriter) string { return o.value(w, "null") + " is not null" })
	}
	if p.Type == campaign.TypeBool {
		return test(func(w *audienceWriter) string { return "jsonb_typeof(" + w.json(name) + ") = 'boolean'" })
	}
	return nil
}

// pushIn translates `x in […]` and `"tag" in member.tags`.
func (e *Env) pushIn(element, list ast.Expr) pushed {
	if variable, name := selected(list); variable == varMember && name == "tags" {
		tag, ok := e.constantOf(element).(string)
		if !ok {
			return nil
		}
		return pushedTest(func(w *audienceWriter, want bool) condition {
			return truth("m.tags @> "+w.arg([]string{tag}, "text[]"), want)
		})
	}
	value := e.operand(element)
	if value == nil || list.Kind() != ast.ListKind {
		return nil
	}
	var parts []pushed
	var texts []string
	for _, item := range list.AsList().Elements() {
		constant := e.constantOf(item)
		if constant == nil {
			return nil
		}
		if text, ok := constant.(string); ok && text != "" {
			texts = append(texts, text)
		}
		parts = append(parts, pushedTest(func(w *audienceWriter, want bool) condition {
			return value.compare(w, comparison("=").asking(want), constant)
		}))
	}
	if text, ok := value.(textOperand); ok && len(texts) == len(parts) {
		return pushedTest(func(w *audienceWriter, want bool) condition { return text.among(w, texts, want) })
	}
	if len(parts) > maxListed {
		return nil
	}
	return pushedBoth{either: true, parts: parts}
}

// maxListed is how many values of a list are asked one by one.
const maxListed = 50

// pushSearch translates text.contains("word") and the like.
func (e *Env) pushSearch(c ast.CallExpr) pushed {
	if !c.IsMemberFunction() || len(c.Args()) != 1 {
		return nil
	}
	value, isText := e.operand(c.Target()).(textOperand)
	word, ok := e.constantOf(c.Args()[0]).(string)
	if !isText || !ok {
		return nil
	}
	return pushedTest(func(w *audienceWriter, want bool) condition {
		text, arg := value.value(w), w.arg(word, "text")
		sql := "strpos(" + text + ", " + arg + ") > 0"
		switch c.FunctionName() {
		case "startsWith":
			sql = "starts_with(" + text + ", " + arg + ")"
		case "endsWith":
			sql = "right(" + text + ", char_length(" + arg + ")) = " + arg
		}
		return truth(sql, want)
	})
}
