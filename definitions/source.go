package definitions

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// source is the text of a file with its lines, so that a place in a YAML scalar's
// value can be found in the file.
type source struct {
	file  string
	lines []string
	marks map[int][]int // of long lines, where every so many characters begin
}

func newSource(file, text string) *source {
	return &source{file: file, lines: splitLines(text)}
}

// splitLines splits as the YAML reader counts: it also takes NEL, LS and PS for line
// breaks.
func splitLines(text string) []string {
	var lines []string
	start := 0
	for i := 0; i < len(text); {
		n := breakAt(text[i:])
		if n == 0 {
			i++
			continue
		}
		lines = append(lines, text[start:i])
		i += n
		start = i
	}
	return append(lines, text[start:])
}

// breakAt is the length of the line break that text begins with, or 0.
func breakAt(text string) int {
	switch {
	case strings.HasPrefix(text, "\r\n"):
		return 2
	case text[0] == '\n', text[0] == '\r':
		return 1
	case strings.HasPrefix(text, "\u0085"):
		return 2
	case strings.HasPrefix(text, "\u2028"), strings.HasPrefix(text, "\u2029"):
		return 3
	}
	return 0
}

func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}

// rest is the line from where a node's content begins.
func (s *source) rest(n *yaml.Node) string {
	line, at := s.content(n)
	return s.line(line)[at:]
}

// place is a span in the file.
type place struct{ line, column, width int }

// of gives the span of a whole node: a scalar as far as its first line goes, the first
// key of a block mapping, the bracket of anything else.
func (s *source) of(n *yaml.Node) place {
	line, at := s.content(n)
	text := s.line(line)
	p := place{line: line, column: s.column(line, at) + 1, width: 1}
	switch n.Kind {
	case yaml.ScalarNode:
		p.width = max(1, utf8.RuneCountInString(scalarOnLine(text[at:], n)))
	case yaml.MappingNode:
		if n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0 {
			return s.of(n.Content[0])
		}
	case yaml.AliasNode:
		p.width = 1 + utf8.RuneCountInString(n.Value)
	case yaml.DocumentNode, yaml.SequenceNode, yaml.StreamNode:
	}
	return p
}

// scalarOnLine is the part of the rest of a line that belongs to the scalar.
func scalarOnLine(rest string, n *yaml.Node) string {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for i := 1; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return rest[:i+1]
			}
		}
	case n.Style&yaml.SingleQuotedStyle != 0:
		for i := 1; i < len(rest); i++ {
			if rest[i] != '\'' {
				continue
			}
			if i+1 < len(rest) && rest[i+1] == '\'' {
				i++
				continue
			}
			return rest[:i+1]
		}
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return rest[:min(1, len(rest))]
	case strings.HasPrefix(rest, n.Value):
		return n.Value
	}
	return strings.TrimRight(rest, " \t")
}

// content finds where a node's content begins: the line and the byte in it, behind an
// anchor or a tag.
func (s *source) content(n *yaml.Node) (line, at int) {
	line, at = n.Line, s.byteColumn(n.Line, n.Column)
	if n.Kind == yaml.AliasNode || n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 {
		return line, at
	}
	for {
		rest := s.line(line)[at:]
		switch {
		case strings.HasPrefix(rest, "&"), strings.HasPrefix(rest, "!"):
			end := strings.IndexAny(rest, " \t")
			if end < 0 {
				end = len(rest)
			}
			at += end
		case strings.HasPrefix(rest, " "), strings.HasPrefix(rest, "\t"):
			at++
		case (rest == "" || rest[0] == '#') && line < len(s.lines):
			line, at = line+1, 0
		default:
			return line, at
		}
	}
}

// everyMark is how many characters of a long line lie between two marks.
const everyMark = 1024

// byteColumn finds the byte at which a character column of a line begins. In a file of one
// long line every node would cost as much as the line is long, so such lines are marked.
func (s *source) byteColumn(line, column int) int {
	text := s.line(line)
	if len(text) < 4*everyMark {
		return byteColumn(text, column)
	}
	marks, ok := s.marks[line]
	if !ok {
		n := 0
		for i := range text {
			if n%everyMark == 0 {
				marks = append(marks, i)
			}
			n++
		}
		if s.marks == nil {
			s.marks = map[int][]int{}
		}
		s.marks[line] = marks
	}
	at := min(max(column-1, 0)/everyMark, len(marks)-1)
	return marks[at] + byteColumn(text[marks[at]:], column-at*everyMark)
}

// column is the character column, from 0, of a byte of a line.
func (s *source) column(line, at int) int {
	text := s.line(line)
	if len(text) < 4*everyMark {
		return utf8.RuneCountInString(text[:at])
	}
	s.byteColumn(line, 1)
	marks := s.marks[line]
	i, found := slices.BinarySearch(marks, at)
	if !found {
		i--
	}
	return i*everyMark + utf8.RuneCountInString(text[marks[i]:at])
}

func byteColumn(line string, column int) int {
	for i := range line {
		column--
		if column <= 0 {
			return i
		}
	}
	return len(line)
}

// within finds the span of length bytes at offset of a scalar's value. It reads the
// scalar's own text again and keeps it in step with the value, through escapes,
// doubled quotes, folded lines and indentation. Should the two part ways, the place
// where they did is given.
func (s *source) within(n *yaml.Node, offset, length int) place {
	r := reader{source: s, style: n.Style}
	r.line, r.at = s.content(n)
	switch {
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		r.at++
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		r.line, r.at = r.line+1, 0 // behind the |, > and its indicators
	}
	offset = min(max(offset, 0), len(n.Value))
	length = min(max(length, 0), len(n.Value)-offset)
	if !r.follow(n.Value[:offset]) {
		return r.place(r.line, r.at)
	}
	if length > 0 {
		r.skipTo(n.Value[offset:])
	}
	line, at := r.line, r.at
	r.follow(n.Value[offset : offset+length])
	return r.place(line, at)
}

// reader walks over the text of a scalar.
type reader struct {
	source   *source
	style    yaml.Style
	line, at int
}

// place is the span from a place before to where the reader stands, on one line.
func (r *reader) place(line, at int) place {
	text := r.source.line(line)
	at = min(at, len(text))
	end := r.at
	if r.line > line {
		end = len(strings.TrimRight(text, " \t"))
	}
	return place{
		line:   line,
		column: utf8.RuneCountInString(text[:at]) + 1,
		width:  max(1, utf8.RuneCountInString(text[at:min(max(end, at), len(text))])),
	}
}

// follow goes over the text of value.
func (r *reader) follow(value string) bool {
	for value != "" {
		c, size := utf8.DecodeRuneInString(value)
		if !r.step(c) {
			return false
		}
		value = value[size:]
	}
	return true
}

// step goes over the text of one character of the value, and over blank space that
// folding or indentation left out of the value before it.
func (r *reader) step(c rune) bool {
	for {
		got, size, ok := r.peek()
		switch {
		case !ok:
			return false
		case got == c || got == '\n' && c == ' ':
			r.advance(size)
			return true
		case got == ' ' || got == '\t' || got == '\n' || got == skipped:
			r.advance(size)
		case c == '\n' || c == ' ':
			return true // the end of a literal block, or a fold that was passed already
		default:
			return false
		}
	}
}

// skipTo passes the blank space before the next character of the value.
func (r *reader) skipTo(rest string) {
	c, _ := utf8.DecodeRuneInString(rest)
	for {
		got, size, ok := r.peek()
		if !ok || got == c || got != ' ' && got != '\t' && got != '\n' && got != skipped {
			return
		}
		r.advance(size)
	}
}

// skipped stands for text that is no character of the value: an escaped line break.
const skipped = utf8.MaxRune + 1

// peek gives the next character that the text stands for and how many bytes of the
// line it takes; a line break takes none.
func (r *reader) peek() (c rune, size int, ok bool) {
	if r.line > len(r.source.lines) {
		return 0, 0, false
	}
	rest := r.source.line(r.line)
	rest = rest[min(r.at, len(rest)):]
	switch {
	case rest == "":
		return '\n', 0, r.line < len(r.source.lines)
	case r.style&yaml.SingleQuotedStyle != 0 && strings.HasPrefix(rest, "''"):
		return '\'', 2, true
	case r.style&yaml.DoubleQuotedStyle != 0 && rest[0] == '\\':
		c, size = unescape(rest)
		return c, size, true
	}
	c, size = utf8.DecodeRuneInString(rest)
	return c, size, true
}

func (r *reader) advance(size int) {
	if size == 0 {
		r.line, r.at = r.line+1, 0
		return
	}
	r.at += size
}

// unescape reads one escape of a double-quoted scalar.
func unescape(text string) (c rune, size int) {
	if len(text) < 2 {
		return skipped, len(text)
	}
	var digits int
	switch text[1] {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		c, ok := escapes[text[1]]
		if !ok {
			c = rune(text[1]) // \" \\ \/ and an escaped blank
		}
		return c, 2
	}
	end := min(2+digits, len(text))
	n, err := strconv.ParseUint(text[2:end], 16, 32)
	if err != nil {
		return skipped, end
	}
	return rune(n), end
}

var escapes = map[byte]rune{
	'0': 0, 'a': '\a', 'b': '\b', 't': '\t', 'n': '\n', 'v': '\v', 'f': '\f', 'r': '\r', 'e': 0x1b,
	'N': 0x85, '_': 0xa0, 'L': 0x2028, 'P': 0x2029,
}
