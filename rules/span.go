package rules

import (
	"math"
	"time"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// compareSpans plans `now - member.joined_at < duration("7d")`, the commonest question
// of all, as one step: the difference is compared without becoming a value of its own,
// which CEL would have to allocate.
func compareSpans(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	outer, ok := i.(interpreter.InterpretableCall)
	if !ok || len(outer.Args()) != 2 {
		return i, nil
	}
	compare, ok := spanComparisons[outer.Function()]
	if !ok {
		return i, nil
	}
	difference, ok := outer.Args()[0].(interpreter.InterpretableCall)
	if !ok || difference.Function() != operators.Subtract || len(difference.Args()) != 2 {
		return i, nil
	}
	return &spanComparison{
		InterpretableV2: i, compare: compare,
		parts: [3]interpreter.InterpretableV2{difference.Args()[0], difference.Args()[1], outer.Args()[1]},
	}, nil
}

var spanComparisons = map[string]func(a, b time.Duration) bool{
	operators.Less:          func(a, b time.Duration) bool { return a < b },
	operators.LessEquals:    func(a, b time.Duration) bool { return a <= b },
	operators.Greater:       func(a, b time.Duration) bool { return a > b },
	operators.GreaterEquals: func(a, b time.Duration) bool { return a >= b },
}

// spanComparison compares the difference of two moments with a span; anything else is
// left to what CEL itself has planned.
type spanComparison struct {
	interpreter.InterpretableV2
	parts   [3]interpreter.InterpretableV2 // later, earlier, span
	compare func(a, b time.Duration) bool
}

// Exec implements interpreter.InterpretableV2.
func (s *spanComparison) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	later, ok := s.parts[0].Exec(frame).(types.Timestamp)
	if !ok {
		return s.InterpretableV2.Exec(frame)
	}
	earlier, ok := s.parts[1].Exec(frame).(types.Timestamp)
	if !ok {
		return s.InterpretableV2.Exec(frame)
	}
	span, ok := s.parts[2].Exec(frame).(types.Duration)
	if !ok {
		return s.InterpretableV2.Exec(frame)
	}
	d := later.Sub(earlier.Time)
	if d == math.MinInt64 || d == math.MaxInt64 { // does not fit: CEL says so
		return s.InterpretableV2.Exec(frame)
	}
	return types.Bool(s.compare(d, span.Duration))
}
