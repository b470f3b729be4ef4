package rules

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
)

var (
	unknownCharacter = regexp.MustCompile(`(?s)^Syntax error: token recognition error at: '(.*)'$`)
	unexpectedInput  = regexp.MustCompile(`(?s)^Syntax error: (?:mismatched|extraneous) input '(.*?)' expecting`)
	noAlternative    = regexp.MustCompile(`(?s)^Syntax error: no viable alternative at input '(.*)'$`)
	missingInput     = regexp.MustCompile(`(?s)^Syntax error: missing '(.*?)' at '(.*)'$`)
	reservedWord     = regexp.MustCompile(`^reserved identifier: (.*)$`)
)

// syntaxIssues puts what CEL's parser says into plain words. The first mistake makes the
// parser stumble over what follows, so it is the only one that is told.
func syntaxIssues(src string, found *cel.Issues) []Issue {
	errs := found.Errors()
	if len(errs) == 0 {
		return []Issue{{Length: len(src), Check: checkSyntax, Message: "the expression cannot be read"}}
	}
	first := errs[0]
	s := source{src}
	at := s.lineColumn(first.Location.Line(), max(first.Location.Column(), 0))
	issue := syntaxIssue(src, at, first.Message)
	issue.Offset, issue.Length = s.token(at)
	switch {
	case strings.Contains(first.Message, "recursion limit"):
		issue.Offset, issue.Length = 0, len(src)
	case issue.Length == 0:
		issue.Offset, issue.Length = lastToken(src)
		if missingInput.MatchString(first.Message) {
			issue.Offset, issue.Length = s.unclosed()
		}
	}
	return []Issue{issue}
}

// lastToken is what to underline where an expression ends too early: there is nothing at
// the end itself.
func lastToken(src string) (offset, length int) {
	for at := 0; at < len(src); {
		n := tokenLength(src[at:])
		if strings.TrimSpace(src[at:at+n]) != "" {
			offset, length = at, n
		}
		at += n
	}
	return offset, length
}

// unclosed finds the last bracket that is not closed.
func (s source) unclosed() (offset, length int) {
	var open []int
	for at := 0; at < len(s.text); {
		switch s.text[at] {
		case '(', '[', '{':
			open = append(open, at)
		case ')', ']', '}':
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
		at += tokenLength(s.text[at:])
	}
	if len(open) == 0 {
		return lastToken(s.text)
	}
	return open[len(open)-1], 1
}

func syntaxIssue(src string, at int, message string) Issue {
	if m := unknownCharacter.FindStringSubmatch(message); m != nil {
		return characterIssue(src, at, m[1])
	}
	if m := reservedWord.FindStringSubmatch(message); m != nil {
		return Issue{Check: checkSyntax, Message: "`" + m[1] + "` is a word that the expression language keeps for itself", Hint: "choose another name"}
	}
	if m := missingInput.FindStringSubmatch(message); m != nil {
		return Issue{Check: checkSyntax, Message: "`" + m[1] + "` is missing", Hint: "what was opened has to be closed"}
	}
	input := ""
	for _, re := range []*regexp.Regexp{unexpectedInput, noAlternative} {
		if m := re.FindStringSubmatch(message); m != nil {
			input = m[1]
			break
		}
	}
	switch {
	case input == "<EOF>" && strings.HasSuffix(message, "expecting ':'"):
		return Issue{Check: checkSyntax, Message: "a `?` needs its `:`", Hint: "write condition ? this : that"}
	case input == "<EOF>":
		return Issue{Check: checkSyntax, Message: "the expression ends too early", Hint: "something has to follow"}
	case input != "":
		return unexpected(src, at, input)
	case strings.Contains(message, "recursion limit"):
		return Issue{
			Check: checkSize, Message: "the expression is nested too deeply; " + strconv.Itoa(MaxDepth) + " levels are allowed",
			Hint: "name parts of it as segments",
		}
	case strings.HasPrefix(message, "invalid argument to has()"):
		return Issue{Check: checkSyntax, Message: "has() asks for a field", Hint: "write has(member.city)"}
	case strings.HasPrefix(message, "argument must be a simple name"), strings.HasPrefix(message, "argument is not an identifier"):
		return Issue{Check: checkSyntax, Message: "the first argument is a name for the element", Hint: `write member.tags.exists(t, t == "vip")`}
	case strings.HasPrefix(message, "invalid int literal"):
		return Issue{Check: checkSyntax, Message: "the number is too large"}
	}
	return Issue{Check: checkSyntax, Message: strings.TrimPrefix(message, "Syntax error: ")}
}

// words are what people write who know another language.
var words = map[string]string{
	"and": "&&", "AND": "&&", "or": "||", "OR": "||", "is": "==", "contains": `.contains("…")`,
	"equals": "==", "like": ".contains(…)", "not": "!", "NOT": "!", "between": "x >= a && x <= b",
}

func unexpected(src string, at int, input string) Issue {
	input = firstLine(input)
	issue := Issue{Check: checkSyntax, Message: "`" + input + "` is not expected here"}
	if with, ok := words[input]; ok {
		issue.Hint = "write " + with
		return issue
	}
	before := strings.TrimRight(src[:min(at, len(src))], " \t\r\n")
	for word, with := range words {
		if strings.HasSuffix(before, word) && !strings.HasSuffix(strings.TrimSuffix(before, word), ".") && strings.TrimSpace(before) != "" &&
			(len(before) == len(word) || !isWord(before[len(before)-len(word)-1])) {
			issue.Hint = "for `" + word + "` write " + with
			return issue
		}
	}
	if input == ")" || input == "]" || input == "}" {
		issue.Hint = "nothing is open that it could close"
	}
	return issue
}

// marks are signs of another keyboard, and what they stand for.
var marks = map[rune]string{
	'“': `"`, '”': `"`, '‘': "'", '’': "'", '，': ",", '（': "(", '）': ")", '！': "!", '＝': "==", '＞': ">", '＜': "<",
	'：': ":", '？': "?", '。': ".", '＆': "&&", '｜': "||", '【': "[", '】': "]", '≥': ">=", '≤': "<=", '≠': "!=",
	'&': "&&", '|': "||", '=': "==",
}

func characterIssue(src string, at int, text string) Issue {
	r, _ := utf8.DecodeRuneInString(text)
	if r == '"' || r == '\'' {
		if n := quotedLength(src[min(at, len(src)):], false); at+n >= len(src) && !strings.HasSuffix(src[at+1:], string(r)) {
			return Issue{Check: checkSyntax, Message: "the text that begins here is not closed", Hint: "write " + string(r) + " at its end"}
		}
		return Issue{Check: checkSyntax, Message: "this text cannot be read", Hint: `a backslash is written \\, a line break \n`}
	}
	issue := Issue{Check: checkSyntax, Message: "`" + string(r) + "` cannot stand here"}
	if with, ok := marks[r]; ok {
		issue.Hint = "write " + with
		return issue
	}
	if r > utf8.RuneSelf {
		issue.Hint = `a text stands in quotes: "` + firstWord(src[min(at, len(src)):]) + `"`
	}
	return issue
}

// firstWord is the run of characters outside ASCII that s begins with.
func firstWord(s string) string {
	for i, r := range s {
		if r < utf8.RuneSelf {
			return s[:i]
		}
	}
	return s
}
