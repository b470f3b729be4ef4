package rules

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Issue is one thing that is wrong with an expression, in words for the person who wrote
// it. It holds no prefix and no picture of the source: whoever shows it knows the file.
type Issue struct {
	// Where names what is wrong inside a definition, e.g. "segments.regular". It is empty
	// for issues of Compile and CompileTemplate, whose caller knows where the text stands.
	Where string
	// Check is the stable name of what is wrong, one of Checks().
	Check          string
	Offset, Length int // bytes in the source text
	Message        string
	Hint           string   // what to write instead, if there is a good guess
	Allowed        []string // the names that could stand here, if there is a list
}

// The stable names of what may be wrong with an expression, a text or a name.
const (
	checkSyntax     = "expression-syntax" // it cannot be read
	checkType       = "expression-type"   // its types do not fit each other, or their place
	checkSize       = "expression-size"   // it is too long, too deep or too dear
	checkArguments  = "bad-arguments"     // a function is called in another way than it is
	checkVariable   = "unknown-variable"
	checkNotHere    = "not-readable-here" // a variable that exists, but not in this place
	checkField      = "unknown-field"
	checkFunction   = "unknown-function"
	checkSegment    = "unknown-segment"
	checkReward     = "unknown-reward"
	checkEvent      = "unknown-event"
	checkProperty   = "unknown-property"
	checkValue      = "unsupported-value" // null, bytes, objects
	checkImpossible = "impossible-value"  // compared with what it can never be
	checkPattern    = "bad-pattern"
	checkLayout     = "bad-layout"
	checkDuration   = "bad-duration"
	checkMoney      = "bad-money"
	checkTime       = "bad-date"
	checkClash      = "ambiguous-field" // of two types in two events
	checkCircle     = "segment-circle"
	checkReserved   = "reserved-name"
	checkBraces     = "template-braces"
	checkOther      = "expression" // what CEL says and nobody foresaw
)

// Checks lists the names that Issue.Check may have.
func Checks() []string {
	return []string{
		checkSyntax, checkType, checkSize, checkArguments, checkVariable, checkNotHere,
		checkField, checkFunction, checkSegment, checkReward, checkEvent, checkProperty, checkValue,
		checkImpossible, checkPattern, checkLayout, checkDuration, checkMoney, checkTime,
		checkClash, checkCircle, checkReserved, checkBraces, checkOther,
	}
}

// String gives the message and, behind it, the hint.
func (i Issue) String() string {
	s := i.Message
	if i.Where != "" {
		s = i.Where + ": " + s
	}
	if i.Hint != "" {
		s += " (" + i.Hint + ")"
	}
	return s
}

// didYouMean is the hint for a name that is not known.
func didYouMean(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return "did you mean `" + near + "`?"
	}
	return ""
}

// allowedHint suggests the nearest name, or else lists the known ones.
func allowedHint(name string, known []string, what string) string {
	if hint := didYouMean(name, known); hint != "" {
		return hint
	}
	if len(known) == 0 {
		return "the campaign declares no " + what
	}
	return "known are " + listNames(known)
}

// shownNames is how many names a sentence lists before it says how many more there are.
// All of them are in Issue.Allowed.
const shownNames = 12

func listNames(names []string) string {
	if len(names) > shownNames {
		return strings.Join(names[:shownNames], ", ") + " and " + strconv.Itoa(len(names)-shownNames) + " more"
	}
	return strings.Join(names, ", ")
}

// sortIssues puts issues in reading order and drops those that say the same of one place.
func sortIssues(issues []Issue) []Issue {
	slices.SortStableFunc(issues, func(a, b Issue) int { return cmp.Compare(a.Offset, b.Offset) })
	return slices.CompactFunc(issues, func(a, b Issue) bool {
		return a.Offset == b.Offset && a.Message == b.Message && a.Where == b.Where
	})
}

// source is the text of an expression, for finding the place of a mistake. CEL counts in
// characters, issues count in bytes.
type source struct{ text string }

// byteOffset turns a character offset into a byte offset.
func (s source) byteOffset(char int) int {
	if char <= 0 {
		return 0
	}
	for i := range s.text {
		if char == 0 {
			return i
		}
		char--
	}
	return len(s.text)
}

// lineColumn turns a line from 1 and a column from 0, in characters, into a byte offset.
func (s source) lineColumn(line, column int) int {
	offset := 0
	for ; line > 1; line-- {
		end := strings.IndexByte(s.text[offset:], '\n')
		if end < 0 {
			return len(s.text)
		}
		offset += end + 1
	}
	return offset + source{s.text[offset:]}.byteOffset(column)
}

// token finds what stands at a byte offset, for underlining: the word, number, string or
// operator there; at the dot of a selection the name behind it; at the parenthesis of a
// call the name before it. CEL places both nodes there.
func (s source) token(at int) (offset, length int) {
	at = min(max(at, 0), len(s.text))
	if at == len(s.text) {
		return at, 0
	}
	switch s.text[at] {
	case '(':
		end := len(strings.TrimRight(s.text[:at], " \t\r\n"))
		begin := end
		for begin > 0 && isWord(s.text[begin-1]) {
			begin--
		}
		if begin < end {
			return begin, end - begin
		}
	case '.':
		begin := at + 1
		for begin < len(s.text) && strings.IndexByte(" \t\r\n", s.text[begin]) >= 0 {
			begin++
		}
		if begin < len(s.text) && isWord(s.text[begin]) {
			return begin, wordLength(s.text[begin:])
		}
	}
	return at, tokenLength(s.text[at:])
}

// field finds the name of a selection behind a byte offset. A has(x.y) is placed at its
// parenthesis, so the name has to be looked for.
func (s source) field(after int, name string) (offset, length int) {
	for i := max(after, 0); i < len(s.text); i++ {
		if s.text[i] != '.' {
			continue
		}
		if begin, n := s.token(i); n > 0 && s.text[begin:begin+n] == name {
			return begin, n
		}
	}
	return s.token(after)
}

func tokenLength(s string) int {
	for _, op := range []string{"&&", "||", "==", "!=", "<=", ">="} {
		if strings.HasPrefix(s, op) {
			return len(op)
		}
	}
	if isWord(s[0]) {
		return wordLength(s)
	}
	if n := quotedLength(s, false); n > 0 {
		return n
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// quotedLength is the length of the string literal that s begins with, 0 if it begins
// with none. One that never ends goes on to the end of the text. In a raw literal a
// backslash is a letter like others.
func quotedLength(s string, raw bool) int {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		return 0
	}
	quote := s[:1]
	if strings.HasPrefix(s, strings.Repeat(quote, 3)) {
		quote = s[:3]
	}
	for i := len(quote); i < len(s); i++ {
		if s[i] == '\\' && !raw {
			i++
			continue
		}
		if strings.HasPrefix(s[i:], quote) {
			return i + len(quote)
		}
	}
	return len(s)
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func wordLength(s string) int {
	n := 0
	for n < len(s) && isWord(s[n]) {
		n++
	}
	return n
}
