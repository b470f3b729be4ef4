package rules

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/banyanhq/banyan/campaign"
)

// moneyType is money in expressions. It is nothing that CEL knows, so no number can be
// taken for it by mistake.
var moneyType = types.NewObjectType("money",
	traits.AdderType, traits.ComparerType, traits.MultiplierType, traits.DividerType, traits.SubtractorType, traits.NegatorType)

// moneyValue is an amount in an expression.
type moneyValue struct{ campaign.Money }

var errMoneyRange = errors.New("the amount is too large")

// Add implements traits.Adder.
func (m moneyValue) Add(other ref.Val) ref.Val {
	return m.with(other, "add", func(a, b int64) (int64, bool) {
		sum := a + b
		return sum, (sum > a) == (b > 0)
	})
}

// Subtract implements traits.Subtractor.
func (m moneyValue) Subtract(other ref.Val) ref.Val {
	return m.with(other, "subtract", func(a, b int64) (int64, bool) {
		diff := a - b
		return diff, (diff < a) == (b > 0)
	})
}

func (m moneyValue) with(other ref.Val, verb string, op func(a, b int64) (int64, bool)) ref.Val {
	o, ok := other.(moneyValue)
	if !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	if m.Currency != o.Currency {
		return types.WrapErr(fmt.Errorf("cannot %s %s and %s", verb, m.Currency, o.Currency))
	}
	minor, ok := op(m.Minor, o.Minor)
	if !ok {
		return types.WrapErr(errMoneyRange)
	}
	return moneyValue{campaign.Money{Minor: minor, Currency: m.Currency}}
}

// Multiply implements traits.Multiplier: money times a whole number.
func (m moneyValue) Multiply(other ref.Val) ref.Val {
	n, ok := other.(types.Int)
	if !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	product, ok := multiply(m.Minor, int64(n))
	if !ok {
		return types.WrapErr(errMoneyRange)
	}
	return moneyValue{campaign.Money{Minor: product, Currency: m.Currency}}
}

// Divide implements traits.Divider: how many whole times one amount goes into another.
func (m moneyValue) Divide(other ref.Val) ref.Val {
	o, ok := other.(moneyValue)
	switch {
	case !ok:
		return types.MaybeNoSuchOverloadErr(other)
	case m.Currency != o.Currency:
		return types.WrapErr(fmt.Errorf("cannot divide %s by %s", m.Currency, o.Currency))
	case o.Minor == 0:
		return types.WrapErr(errors.New("division by an amount of 0"))
	case m.Minor == math.MinInt64 && o.Minor == -1:
		return types.WrapErr(errMoneyRange)
	}
	return types.Int(m.Minor / o.Minor)
}

func multiply(a, b int64) (int64, bool) {
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	negative := (a < 0) != (b < 0)
	switch {
	case high != 0:
		return 0, false
	case negative && low <= 1<<63:
		return int64(-low), true
	case !negative && low <= math.MaxInt64:
		return int64(low), true
	}
	return 0, false
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// Negate implements traits.Negater.
func (m moneyValue) Negate() ref.Val { return m.Multiply(types.IntNegOne) }

// Compare implements traits.Comparer. Amounts of different currencies have no order.
func (m moneyValue) Compare(other ref.Val) ref.Val {
	o, ok := other.(moneyValue)
	if !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	if m.Currency != o.Currency {
		return types.WrapErr(fmt.Errorf("cannot compare %s and %s", m.Currency, o.Currency))
	}
	switch {
	case m.Minor < o.Minor:
		return types.IntNegOne
	case m.Minor > o.Minor:
		return types.IntOne
	}
	return types.IntZero
}

// Equal implements ref.Val: 10 CNY are not 10 USD.
func (m moneyValue) Equal(other ref.Val) ref.Val {
	o, ok := other.(moneyValue)
	return types.Bool(ok && m.Money == o.Money)
}

// ConvertToNative implements ref.Val.
func (m moneyValue) ConvertToNative(typeDesc reflect.Type) (any, error) {
	if reflect.TypeFor[campaign.Money]().AssignableTo(typeDesc) {
		return m.Money, nil
	}
	return nil, fmt.Errorf("money cannot become %v", typeDesc)
}

// ConvertToType implements ref.Val.
func (m moneyValue) ConvertToType(typeVal ref.Type) ref.Val {
	if typeVal.TypeName() == moneyType.TypeName() {
		return m
	}
	return types.WrapErr(fmt.Errorf("money cannot become %s", typeVal.TypeName()))
}

// Type implements ref.Val.
func (m moneyValue) Type() ref.Type { return moneyType }

// Value implements ref.Val.
func (m moneyValue) Value() any { return m.Money }
