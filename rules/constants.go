package rules

import (
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/banyanhq/banyan/campaign"
)

// constant checks the calls whose arguments have to be, or happen to be, constants and
// puts a field in the place of those that are fully known. It reports whether it did, or
// whether the call is of no more use: then nothing below it needs a look.
func (r *resolver) constant(e ast.Expr, f function) bool {
	args := e.AsCall().Args()
	switch f.name {
	case "segment":
		return r.segment(e, f, args)
	case "count", "last", "sum":
		return r.behaviour(e, f, args)
	case campaign.AboutBudget:
		return r.spoiled(e, e, wrongCall(f)) // with what is selected of it, selection sees it first
	case "reward":
		return r.reward(e, f, args)
	case "money":
		return r.money(e, f, args)
	case "duration":
		return r.literalCall(e, f, args, func(text string) (string, error) {
			d, err := parseSpan(text)
			return literalDuration + strconv.FormatInt(int64(d), 10), err
		}, `write a number and a unit, such as duration("48h") or duration("7d")`)
	case "timestamp":
		return r.literalCall(e, f, args, func(text string) (string, error) {
			_, err := parseTime(text)
			return literalTime + text, err
		}, `write a time with its offset, such as timestamp("2026-12-01T00:00:00+08:00")`)
	case "matches":
		r.pattern(e, args)
	case "format":
		r.layout(args)
	}
	return false
}

// literalText gives the text of a string literal.
func literalText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// replace puts the field of a variable that nobody can write in the place of a call.
func (r *resolver) replace(e ast.Expr, variable, fieldName string) {
	operand := r.make.NewIdent(r.nextID, variable)
	r.nextID++
	e.SetKindCase(r.make.NewSelect(e.ID(), operand, fieldName))
}

// spoiled reports an issue and puts something of any type in the place of a call, so that
// CEL does not complain about what surrounds it.
func (r *resolver) spoiled(e, at ast.Expr, issue Issue) bool {
	r.report(at, issue)
	r.told[e.ID()] = true
	r.replace(e, varLiteral, literalBroken)
	return true
}

func wrongCall(f function) Issue {
	return Issue{Check: checkArguments, Message: "`" + f.name + "` is not called this way", Hint: "write " + f.usage}
}

func (r *resolver) segment(e ast.Expr, f function, args []ast.Expr) bool {
	if len(args) != 1 {
		return r.spoiled(e, e, wrongCall(f))
	}
	name, ok := literalText(args[0])
	if !ok {
		return r.spoiled(e, args[0], Issue{
			Check: checkArguments, Message: "the name of a segment is written out, in quotes", Hint: "write " + f.usage, Allowed: r.env.segmentNames,
		})
	}
	if _, ok := r.env.segmentIndex[name]; !ok {
		return r.spoiled(e, args[0], Issue{
			Check: checkSegment, Message: "there is no segment `" + name + "`", Hint: allowedHint(name, r.env.segmentNames, "segments"),
			Allowed: r.env.segmentNames,
		})
	}
	if !slices.ContainsFunc(r.members, func(p place) bool { return p.name == name }) {
		offset, length := r.place(args[0])
		r.members = append(r.members, place{name: name, offset: offset, length: length})
	}
	r.replace(e, varSegment, name)
	return true
}

func (r *resolver) behaviour(e ast.Expr, f function, args []ast.Expr) bool {
	least := 1
	if f.name == "sum" {
		least = 2
	}
	most := least + 1
	if f.name == "last" {
		most = least
	}
	if len(args) < least || len(args) > most {
		return r.spoiled(e, e, wrongCall(f))
	}
	b := campaign.Behaviour{Function: f.name}
	name, ok := literalText(args[0])
	if !ok {
		return r.spoiled(e, args[0], Issue{
			Check: checkArguments, Message: "the event is written out, in quotes, so that what a journey needs to know is known beforehand",
			Hint: "write " + f.usage, Allowed: r.env.eventNames,
		})
	}
	event, ok := r.env.def.Event(name)
	if !ok {
		return r.spoiled(e, args[0], Issue{
			Check: checkEvent, Message: "there is no event `" + name + "`", Hint: allowedHint(name, r.env.eventNames, "events"),
			Allowed: r.env.eventNames,
		})
	}
	b.Event = name
	if f.name == "sum" {
		issue, ok := summable(f, event, args[1], &b)
		if !ok {
			return r.spoiled(e, args[1], issue)
		}
	}
	if len(args) > least {
		issue, ok := span(f, args[least], &b)
		if !ok {
			return r.spoiled(e, args[least], issue)
		}
	}
	if !slices.Contains(r.asks, b) {
		r.asks = append(r.asks, b)
	}
	r.replace(e, varBehaviour, behaviourName(b))
	return true
}

// budget puts a field in the place of budget("reward").left. It reports whether the node
// asks about a budget at all.
func (r *resolver) budget(e ast.Expr) bool {
	sel := e.AsSelect()
	if sel.Operand().Kind() != ast.CallKind || sel.Operand().AsCall().IsMemberFunction() || sel.Operand().AsCall().FunctionName() != campaign.AboutBudget {
		return false
	}
	f, _ := findFunction(campaign.AboutBudget)
	args := sel.Operand().AsCall().Args()
	if len(args) != 1 || sel.IsTestOnly() {
		return r.spoiled(e, sel.Operand(), wrongCall(f))
	}
	if !r.scope.budgets {
		return r.spoiled(e, sel.Operand(), Issue{
			Check: checkNotHere, Message: "a segment cannot ask about a budget", Hint: "it says who somebody is, whatever happens just now; ask where something is decided, in `when` or `choose`",
		})
	}
	name, ok := literalText(args[0])
	if !ok {
		return r.spoiled(e, args[0], Issue{
			Check: checkArguments, Message: "the name of a reward is written out, in quotes", Hint: "write " + f.usage, Allowed: r.env.budgetNames,
		})
	}
	reward, ok := r.env.def.Reward(name)
	if !ok {
		return r.spoiled(e, args[0], Issue{
			Check: checkReward, Message: "there is no reward `" + name + "`", Hint: allowedHint(name, r.env.budgetNames, "rewards with a budget"),
			Allowed: r.env.budgetNames,
		})
	}
	can := leftOf(reward)
	if len(can) == 0 {
		return r.spoiled(e, args[0], Issue{
			Check: checkArguments, Message: "`" + name + "` has no budget that all members share", Hint: allowedHint("", r.env.budgetNames, "rewards with a budget"),
			Allowed: r.env.budgetNames,
		})
	}
	if !slices.Contains(can, sel.FieldName()) {
		r.told[e.ID()] = true
		r.reportField(e, Issue{
			Check: checkField, Message: "the budget of `" + name + "` has no `" + sel.FieldName() + "`", Hint: "it has " + listNames(can), Allowed: can,
		})
		r.replace(e, varLiteral, literalBroken)
		return true
	}
	b := campaign.Behaviour{Function: campaign.AboutBudget, Event: name, Property: sel.FieldName()}
	if !slices.Contains(r.asks, b) {
		r.asks = append(r.asks, b)
	}
	r.replace(e, varBehaviour, behaviourName(b))
	return true
}

// leftOf lists what can be asked about the budget of a reward.
func leftOf(r *campaign.Reward) (can []string) {
	if r.Budget > 0 {
		can = append(can, campaign.LeftInAll)
	}
	if r.BudgetPerDay > 0 {
		can = append(can, campaign.LeftToday)
	}
	return can
}

// summable reads the property of a sum().
func summable(f function, event *campaign.EventType, arg ast.Expr, b *campaign.Behaviour) (Issue, bool) {
	var can []string
	for _, p := range event.Properties {
		switch p.Type {
		case campaign.TypeMoney, campaign.TypeNumber, campaign.TypeInt:
			can = append(can, p.Name)
		case campaign.TypeString, campaign.TypeBool, campaign.TypeTime:
		}
	}
	name, ok := literalText(arg)
	if !ok {
		return Issue{Check: checkArguments, Message: "the property is written out, in quotes", Hint: "write " + f.usage, Allowed: can}, false
	}
	p, ok := event.Property(name)
	if !ok {
		return Issue{
			Check: checkProperty, Message: "`" + event.Name + "` has no property `" + name + "`",
			Hint: allowedHint(name, can, "properties of it that can be summed"), Allowed: can,
		}, false
	}
	if !slices.Contains(can, name) {
		return Issue{
			Check: checkArguments, Message: "`" + name + "` is " + string(p.Type) + "; a sum needs money, number or int", Hint: allowedHint("", can, "such properties of "+event.Name),
			Allowed: can,
		}, false
	}
	b.Property = name
	return Issue{}, true
}

// span reads the last argument of a count() or sum().
func span(f function, arg ast.Expr, b *campaign.Behaviour) (Issue, bool) {
	hint := `write duration("30d")`
	if text, ok := literalText(arg); ok {
		if _, err := parseSpan(text); err == nil {
			hint = `write duration("` + text + `")`
		}
	}
	if arg.Kind() != ast.CallKind || arg.AsCall().FunctionName() != "duration" || len(arg.AsCall().Args()) != 1 {
		return Issue{Check: checkArguments, Message: "the span of " + f.name + "() is a duration that is written out", Hint: hint}, false
	}
	text, ok := literalText(arg.AsCall().Args()[0])
	if !ok {
		return Issue{Check: checkArguments, Message: "the span of " + f.name + "() is a duration that is written out", Hint: hint}, false
	}
	d, err := parseSpan(text)
	if err != nil {
		return Issue{Check: checkDuration, Message: err.Error(), Hint: hint}, false
	}
	if d <= 0 {
		return Issue{Check: checkDuration, Message: "the span of " + f.name + "() has to be longer than nothing", Hint: hint}, false
	}
	b.Within = d
	return Issue{}, true
}

// parseSpan reads a duration as CEL writes it (1h30m, 0.5h, -10m) or as campaigns do (7d).
func parseSpan(text string) (time.Duration, error) {
	d, err := campaign.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if d, ok := types.String(text).ConvertToType(types.DurationType).(types.Duration); ok {
		return d.Duration, nil
	}
	return 0, err
}

func (r *resolver) money(e ast.Expr, f function, args []ast.Expr) bool {
	if len(args) != 1 {
		return r.spoiled(e, e, wrongCall(f))
	}
	if number, ok := literalNumber(args[0]); ok {
		return r.spoiled(e, args[0], Issue{
			Check: checkMoney, Message: "an amount is written in quotes, so that no digit is lost", Hint: `write money("` + number + `")`,
		})
	}
	return r.literalCall(e, f, args, func(text string) (string, error) {
		_, err := campaign.ParseMoney(text, r.env.def.Currency)
		return literalMoney + text, err
	}, "")
}

// literalNumber writes a number literal the way it was meant.
func literalNumber(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	switch n := e.AsLiteral().(type) {
	case types.Int:
		return strconv.FormatInt(int64(n), 10), true
	case types.Double:
		return strconv.FormatFloat(float64(n), 'f', -1, 64), true
	}
	return "", false
}

// literalCall replaces a conversion of a literal by its result. One of anything else is
// left to run time.
func (r *resolver) literalCall(e ast.Expr, f function, args []ast.Expr, parse func(string) (string, error), hint string) bool {
	if len(args) != 1 {
		return r.spoiled(e, e, wrongCall(f))
	}
	text, ok := literalText(args[0])
	if !ok {
		return false
	}
	name, err := parse(text)
	if err != nil {
		message, check := err.Error(), checkDuration
		switch f.name {
		case "money":
			check = checkMoney
		case "timestamp":
			check = checkTime
			message = strconv.Quote(text) + " is not a time"
		}
		return r.spoiled(e, args[0], Issue{Check: check, Message: message, Hint: hint})
	}
	r.replace(e, varLiteral, name)
	return true
}

// maxPattern is how many instructions a pattern may compile to. A text is matched in time
// proportional to them, and {1000} makes a thousand of one character, which an estimate by
// the length of the pattern does not see.
const maxPattern = 200

// pattern checks the regular expression of matches(). One that is put together at run time
// could cost anything and match anything.
func (r *resolver) pattern(e ast.Expr, args []ast.Expr) {
	if len(args) == 0 {
		return
	}
	arg := args[len(args)-1]
	text, ok := literalText(arg)
	if !ok {
		r.report(arg, Issue{
			Check: checkArguments, Message: "the pattern of matches() is written out, in quotes", Hint: `to look for a text that varies use contains()`,
		})
		r.told[e.ID()] = true
		return
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		r.report(arg, Issue{Check: checkPattern, Message: "the pattern cannot be read: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")})
		return
	}
	if program, err := syntax.Compile(parsed.Simplify()); err != nil || len(program.Inst) > maxPattern {
		r.report(arg, Issue{Check: checkPattern, Message: "the pattern repeats too much", Hint: "write + or * instead of large numbers in braces"})
	}
}

func (r *resolver) layout(args []ast.Expr) {
	if len(args) != 2 {
		return
	}
	text, ok := literalText(args[1])
	if !ok {
		return
	}
	if _, err := formatTime(time.Unix(0, 0), text); err != nil {
		message, hint, _ := strings.Cut(err.Error(), "; ")
		r.report(args[1], Issue{Check: checkLayout, Message: message, Hint: hint})
	}
}

// oneOf checks comparisons of a field that has a list of values with a literal that is
// not in it. The empty string is what a missing value reads as, so it may be asked for.
func (r *resolver) oneOf(e ast.Expr) {
	c := e.AsCall()
	if len(c.Args()) != 2 {
		return
	}
	left, right := c.Args()[0], c.Args()[1]
	switch c.FunctionName() {
	case operators.Equals, operators.NotEquals:
		verdict := "never true"
		if c.FunctionName() == operators.NotEquals {
			verdict = "always true"
		}
		r.notOneOf(left, right, verdict)
		r.notOneOf(right, left, verdict)
	case operators.In, operators.OldIn:
		if right.Kind() != ast.ListKind {
			return
		}
		for _, element := range right.AsList().Elements() {
			r.notOneOf(left, element, "never true")
		}
	}
}

func (r *resolver) notOneOf(selection, literal ast.Expr, verdict string) {
	text, ok := literalText(literal)
	if !ok || text == "" {
		return
	}
	_, f, ok := r.field(selection)
	if !ok || len(f.oneOf) == 0 || slices.Contains(f.oneOf, text) {
		return
	}
	r.report(literal, Issue{
		Check: checkImpossible, Message: verdict + ": " + f.name + " is one of " + strings.Join(f.oneOf, ", "),
		Hint: didYouMean(text, f.oneOf), Allowed: f.oneOf,
	})
}
