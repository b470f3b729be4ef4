package rules

import (
	"math"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
)

// Sizes that estimates are made with. Without them every text and every list could be of
// any length, and every estimate would be infinite.
const (
	maxTags    = 50  // tags of a member
	maxTagText = 64  // characters of a tag
	maxText    = 256 // characters of any other text; ids have at most 128
)

// estimator tells CEL how large things get.
type estimator struct{}

// EstimateSize implements cost.Estimator.
func (estimator) EstimateSize(element cost.AstNode) *cost.SizeEstimate {
	path := element.Path()
	switch element.Type().Kind() {
	case types.StringKind, types.BytesKind:
		size := cost.RangedSizeEstimate(0, maxText)
		if len(path) > 2 && path[1] == "tags" {
			size.Max = maxTagText
		}
		return &size
	case types.ListKind, types.MapKind:
		size := cost.ListSizeEstimate(cost.RangedSizeEstimate(0, maxTags), cost.RangedSizeEstimate(0, maxTagText))
		return &size
	default: // everything else, money too, is as large as a number
		size := cost.FixedSizeEstimate(1)
		return &size
	}
}

// Costs of the functions declared here, by what they do next to reading a field.
const (
	costShort = 5  // writes a few characters
	costLong  = 30 // looks at every character of a text
)

// EstimateCallCost implements cost.Estimator.
func (estimator) EstimateCallCost(_, overload string, _ *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	size := cost.RangedSizeEstimate(0, maxTagText)
	switch overload {
	case overloadYuan, overloadPercent, overloadPercentWhole, overloadLocal:
		return cost.NewCallEstimate(cost.FixedCostEstimate(costShort), &size)
	case overloadMoney:
		return cost.NewCallEstimate(cost.FixedCostEstimate(costShort), nil)
	case overloadFormat, overloadMask:
		size.Max = maxText
		return cost.NewCallEstimate(cost.FixedCostEstimate(costLong), &size)
	}
	return nil
}

// tooDear refuses an expression over the bound.
func tooDear(estimate uint64, src string) (Issue, bool) {
	if estimate <= MaxCost {
		return Issue{}, false
	}
	cost := "up to " + strconv.FormatUint(estimate, 10)
	if estimate == math.MaxUint64 {
		cost = "more than can be said beforehand"
	}
	trimmed := strings.TrimSpace(src)
	return Issue{
		Offset: strings.Index(src, trimmed), Length: len(trimmed),
		Check: checkSize, Message: "the expression is too dear: it costs " + cost + ", and " + strconv.Itoa(MaxCost) + " is allowed",
		Hint: "look for whole tags with `in` instead of searching texts, and ask less at once",
	}, true
}
