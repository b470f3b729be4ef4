package rules

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/banyanhq/banyan/campaign"
)

// localText is a time for a member: month, day and clock in the campaign's timezone. The
// zero time, which is a last() of something that never happened, is no text.
func (e *Env) localText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(e.loc).Format("01-02 15:04")
}

// percentText writes a share with at most two decimal places: 0.155 is 15.5%.
func percentText(n float64) string {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return "–"
	}
	s := strconv.FormatFloat(n*100, 'f', 2, 64)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if s == "-0" || s == "" {
		s = "0"
	}
	return s + "%"
}

// maskText hides the middle of what identifies a person. Of eleven characters and more,
// such as a phone number, it shows the first three and the last four; of seven to ten the
// first and the last two; of three to six the first and the last; of two the first; one
// alone is hidden. Every hidden character is a *.
func maskText(s string) string {
	runes := []rune(s)
	first, last := 0, 0
	switch n := len(runes); {
	case n >= 11:
		first, last = 3, 4
	case n >= 7:
		first, last = 2, 2
	case n >= 3:
		first, last = 1, 1
	case n == 2:
		first = 1
	}
	return string(runes[:first]) + strings.Repeat("*", len(runes)-first-last) + string(runes[len(runes)-last:])
}

// patternParts are what a time pattern may hold, the longer first, with Go's names for
// them. Everything that is not an ASCII letter stands for itself, so 年, 月 and 日 do.
var patternParts = []struct{ part, layout string }{
	{"YYYY", "2006"},
	{"YY", "06"},
	{"MM", "01"},
	{"M", "1"},
	{"DD", "02"},
	{"D", "2"},
	{"HH", "15"},
	{"H", ""}, // Go has no hour of a day without a leading zero
	{"mm", "04"},
	{"m", "4"},
	{"ss", "05"},
	{"s", "5"},
}

const patternHelp = "a pattern is made of YYYY YY MM M DD D HH H mm m ss s, such as YYYY-MM-DD HH:mm or M月D日"

// formatTime writes a time by a pattern.
func formatTime(t time.Time, pattern string) (string, error) {
	var b strings.Builder
	for pattern != "" {
		part, layout := patternPart(pattern)
		switch {
		case part == "H":
			b.WriteString(strconv.Itoa(t.Hour()))
		case part != "":
			b.WriteString(t.Format(layout))
		case isWord(pattern[0]) && pattern[0] > '9' && pattern[0] != '_':
			return "", errors.New("`" + pattern[:letters(pattern)] + "` means nothing in a time pattern; " + patternHelp)
		default:
			part = pattern[:1]
			b.WriteString(part)
		}
		pattern = pattern[len(part):]
	}
	return b.String(), nil
}

func patternPart(pattern string) (part, layout string) {
	for _, p := range patternParts {
		if strings.HasPrefix(pattern, p.part) {
			// MMM is not M and MM: a letter too many is a mistake, not a part of its own.
			if rest := pattern[len(p.part):]; rest != "" && rest[0] == p.part[0] {
				return "", ""
			}
			return p.part, p.layout
		}
	}
	return "", ""
}

// letters is the length of the run of one letter that s begins with.
func letters(s string) int {
	n := 1
	for n < len(s) && s[n] == s[0] {
		n++
	}
	return n
}

func (e *Env) format(at, pattern ref.Val) ref.Val {
	t, ok := at.(types.Timestamp)
	if !ok {
		return types.MaybeNoSuchOverloadErr(at)
	}
	p, ok := pattern.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(pattern)
	}
	if t.IsZero() {
		return types.String("")
	}
	s, err := formatTime(t.In(e.loc), string(p))
	if err != nil {
		return types.WrapErr(err)
	}
	return types.String(s)
}

func (e *Env) money(v ref.Val) ref.Val {
	s, ok := v.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	m, err := campaign.ParseMoney(string(s), e.def.Currency)
	if err != nil {
		return types.WrapErr(err)
	}
	return moneyValue{m}
}

// shown writes the result of a {{ … }} into a message: money and times the way members
// read them, everything else as it is.
func (e *Env) shown(b *strings.Builder, v ref.Val) error {
	switch v := v.(type) {
	case types.String:
		b.WriteString(string(v))
	case types.Int:
		b.WriteString(strconv.FormatInt(int64(v), 10))
	case types.Double:
		b.WriteString(strconv.FormatFloat(float64(v), 'f', -1, 64))
	case types.Bool:
		b.WriteString(strconv.FormatBool(bool(v)))
	case types.Timestamp:
		b.WriteString(e.localText(v.Time))
	case moneyValue:
		b.WriteString(v.String())
	default:
		return errNotShown
	}
	return nil
}

var errNotShown = campaign.Errorf(campaign.CodeInternal, "the result is nothing that a text can hold")
