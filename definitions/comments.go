package definitions

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// comment is one comment of a file.
type comment struct {
	line, at int    // at: the byte of the line where the # is
	text     string // with its #, without blanks at its end
	own      bool   // nothing but blanks stands before it
}

// spot is a place in the file: a line from 1 and a byte of it.
type spot struct{ line, at int }

func (a spot) before(b spot) bool { return a.line < b.line || a.line == b.line && a.at < b.at }

// opaque is a scalar inside of which a # is a letter like others.
type opaque struct {
	spot
	node   *yaml.Node
	indent int // of the mapping or list that it stands in; -1 at the top
}

// opaques finds the quoted and the block scalars of a tree in the order of the file.
func (s *source) opaques(root *yaml.Node) []opaque {
	var out []opaque
	var walk func(n *yaml.Node, indent int)
	walk = func(n *yaml.Node, indent int) {
		const styles = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
		switch n.Kind {
		case yaml.ScalarNode:
			if n.Style&styles != 0 {
				line, at := s.content(n)
				out = append(out, opaque{spot{line, at}, n, indent})
			}
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				walk(n.Content[i], n.Content[i].Column-1)
				walk(n.Content[i+1], n.Content[i].Column-1)
			}
		case yaml.SequenceNode:
			if n.Style&yaml.FlowStyle == 0 {
				indent = s.columnOf(n)
			}
			for _, item := range n.Content {
				walk(item, indent)
			}
		case yaml.DocumentNode, yaml.StreamNode, yaml.AliasNode:
		}
	}
	walk(root, -1)
	slices.SortFunc(out, func(a, b opaque) int {
		switch {
		case a.before(b.spot):
			return -1
		case b.before(a.spot):
			return 1
		}
		return 0
	})
	return out
}

// columnOf is the column, from 0, of a node's content.
func (s *source) columnOf(n *yaml.Node) int {
	line, at := s.content(n)
	return s.column(line, at)
}

// comments finds every comment of the file, and none inside a text.
func (s *source) comments(hidden []opaque) []comment {
	var out []comment
	for line, at := 1, 0; line <= len(s.lines); {
		text := s.line(line)
		if len(hidden) > 0 && hidden[0].before(spot{line, at}) {
			hidden = hidden[1:] // it was passed with what it stands in
			continue
		}
		until := len(text)
		if len(hidden) > 0 && hidden[0].line == line {
			until = hidden[0].at
		}
		hash := hashAt(text[:until], at)
		if hash < 0 && len(hidden) > 0 && hidden[0].line == line {
			end := s.endOf(hidden[0])
			if hidden[0].node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
				if i := hashAt(text, hidden[0].at+1); i >= 0 {
					out = append(out, comment{line, i, strings.TrimRight(text[i:], " \t"), false})
				}
			}
			hidden, line, at = hidden[1:], end.line, end.at
			continue
		}
		if hash >= 0 {
			out = append(out, comment{line, hash, strings.TrimRight(text[hash:], " \t"), strings.TrimLeft(text[:hash], " \t\ufeff") == ""})
		}
		line, at = line+1, 0
	}
	return out
}

// hashAt finds the first # from a byte on that begins a comment, outside of texts.
func hashAt(line string, from int) int {
	for i := from; i < len(line); i++ {
		if beginsComment(line, i) {
			return i
		}
	}
	return -1
}

func beginsComment(line string, i int) bool {
	return line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t' || line[:i] == "\ufeff")
}

// endOf is where the text after a quoted scalar goes on, or the line after a block scalar.
func (s *source) endOf(o opaque) spot {
	if o.node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return spot{s.blockLines(o).end, 0}
	}
	double := o.node.Style&yaml.DoubleQuotedStyle != 0
	line, at := o.line, o.at+1
	for line <= len(s.lines) {
		text := s.line(line)
		for at < len(text) {
			switch {
			case double && text[at] == '\\':
				at += 2
			case !double && strings.HasPrefix(text[at:], "''"):
				at += 2
			case double && text[at] == '"', !double && text[at] == '\'':
				return spot{line, at + 1}
			default:
				at++
			}
		}
		line, at = line+1, 0
	}
	return spot{line, 0}
}

// blockText are the lines of a block scalar: from the one behind its header up to, and
// without, end. Each has indent blanks that are no part of the text.
type blockText struct {
	first, end, indent int
}

func (s *source) blockLines(o opaque) blockText {
	header := s.line(o.line)[o.at:]
	b := blockText{first: o.line + 1, indent: -1}
	for _, c := range header[1:min(len(header), 3)] {
		if c >= '1' && c <= '9' {
			b.indent = max(o.indent, 0) + int(c-'0')
		}
	}
	b.end = b.first
	for ; b.end <= len(s.lines); b.end++ {
		line := s.line(b.end)
		text := strings.TrimLeft(line, " ")
		if text == "" {
			continue
		}
		if b.indent < 0 {
			if b.indent = len(line) - len(text); b.indent <= o.indent {
				break
			}
		}
		if len(line)-len(text) < b.indent {
			break
		}
	}
	return b
}
