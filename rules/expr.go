package rules

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/banyanhq/banyan/campaign"
)

// Expr is a compiled expression. It is safe for use by several goroutines.
type Expr struct {
	env     *Env
	src     string
	want    Want
	program cel.Program

	own, cost  uint64 // without and with the segments that it asks
	settled    bool
	direct     []place
	segments   []string
	behaviours []campaign.Behaviour
	reads      map[string]bool
	form       string // the same for conditions that are; empty where that is not known
	pushed     pushed // nil: nothing of it can be put to PostgreSQL
}

// String gives the source.
func (x *Expr) String() string { return x.src }

// Bool evaluates a condition. An error means that there is no answer: whoever asks
// decides what that is worth, and takes it for neither true nor false.
func (x *Expr) Bool(f *Facts) (bool, error) {
	v, err := x.eval(f)
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, campaign.Errorf(campaign.CodeInternal, "`%s` is not a condition", brief(x.src))
	}
	return bool(b), nil
}

// Value evaluates an expression. The value is a string, int64, float64, bool, time.Time
// or campaign.Money, by the type that was wanted.
func (x *Expr) Value(f *Facts) (any, error) {
	v, err := x.eval(f)
	if err != nil {
		return nil, err
	}
	if x.want.text {
		var b strings.Builder
		err := x.env.shown(&b, v)
		return b.String(), err
	}
	if n, ok := v.(types.Int); ok && x.want.typ == campaign.TypeNumber {
		return float64(n), nil
	}
	value, ok := native(v)
	if !ok {
		return nil, campaign.Errorf(campaign.CodeInternal, "`%s` is not a single value", brief(x.src))
	}
	return value, nil
}

var (
	errNoExpr  = campaign.Errorf(campaign.CodeInternal, "the expression was not compiled")
	errNoFacts = campaign.Errorf(campaign.CodeInternal, "there are no facts to evaluate the expression with")
)

func (x *Expr) eval(f *Facts) (ref.Val, error) {
	if x == nil {
		return nil, errNoExpr
	}
	if f == nil {
		return nil, errNoFacts
	}
	a := x.env.acquire(f)
	defer x.env.release(a)
	v, err := x.run(a)
	if err != nil {
		return nil, x.failed(err)
	}
	return v, nil
}

// run evaluates within an evaluation that has begun.
func (x *Expr) run(a *activation) (ref.Val, error) {
	if x == nil {
		return nil, errBroken
	}
	v, _, err := x.program.Eval(a)
	return v, err
}

var errBroken = campaign.Errorf(campaign.CodeInternal, "a segment that is asked has issues, so it has no answer")

// failed says which expression had no value. An error that has a code keeps it; every
// other is about the facts.
func (x *Expr) failed(err error) error {
	code := campaign.CodeOf(err)
	if !hasCode(err) {
		code = campaign.CodeInvalid
	}
	return campaign.Errorf(code, "`%s` has no value: %w", brief(x.src), err)
}

// maxBrief is how many characters of an expression an error repeats.
const maxBrief = 60

func brief(src string) string {
	runes := []rune(strings.Join(strings.Fields(src), " "))
	if len(runes) > maxBrief {
		return string(runes[:maxBrief-1]) + "…"
	}
	return string(runes)
}

// Behaviours lists the questions about past events that have to be answered in
// Facts.Behaviour before the expression is evaluated, those of its segments included.
func (x *Expr) Behaviours() []campaign.Behaviour { return slices.Clone(x.behaviours) }

// Segments lists the segments that the expression asks, and those that they ask.
func (x *Expr) Segments() []string { return slices.Clone(x.segments) }

// Reads reports whether the expression, or a segment that it asks, reads a variable:
// "member", "event", "start", "offer", "campaign" or "now".
func (x *Expr) Reads(variable string) bool { return x.reads[variable] }

// Cost is the estimate of what the expression costs at most, segments included, in CEL's
// units.
func (x *Expr) Cost() uint64 { return x.cost }
