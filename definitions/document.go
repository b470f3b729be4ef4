package definitions

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// What a file may be at most. A campaign that people wrote is far below all of them.
const (
	maxBytes    = 1 << 20
	maxDepth    = 100
	maxExpanded = 10_000 // nodes that aliases stand for, all together
	maxProblems = 1_000
	maxWarnings = 200
)

// parse reads the file into YAML nodes. It reports and gives false when there is
// nothing that could be checked further.
func (c *checker) parse(text []byte) (node, bool) {
	if len(text) > maxBytes {
		c.wholeFile("file-too-large", fmt.Sprintf("the file has %d bytes", len(text)),
			fmt.Sprintf("a campaign has at most %d bytes (1 MiB); keep long lists of members outside", maxBytes))
		return node{}, false
	}
	if !c.readable(text) {
		return node{}, false
	}
	loader, err := yaml.NewLoader(bytes.NewReader(text), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		c.wholeFile("syntax", "the YAML reader cannot start: "+err.Error(), "")
		return node{}, false
	}
	var document, second yaml.Node
	if err := load(loader, &document); err != nil {
		c.syntax(err)
		return node{}, false
	}
	if document.Kind == 0 || len(document.Content) == 0 || document.Content[0].Tag == "!!null" {
		c.wholeFile("empty-file", "the file is empty", "a campaign begins with `campaign: NAME`, `title:` and `journeys:`")
		return node{}, false
	}
	// Whatever stands behind the first document is refused, so that nobody believes
	// that it runs; what is wrong in the first is still told.
	if err := load(loader, &second); err == nil && second.Kind != 0 {
		c.problem(node{yaml: &second}, "several-documents", "a second YAML document begins here",
			"one file is one campaign; put the other into a file of its own")
	} else if err != nil && !errors.Is(err, io.EOF) {
		c.syntax(err)
	}
	root := node{yaml: document.Content[0]}
	return root, c.bounded(root.yaml)
}

// load guards against a panic in the YAML reader: a file must never take the server
// down with it.
func load(loader *yaml.Loader, into *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the YAML reader cannot read the file: %v", r)
		}
	}()
	return loader.Load(into)
}

// readable finds what the YAML reader would refuse without a position.
func (c *checker) readable(text []byte) bool {
	line, start := 1, 0
	report := func(at, width int, check, message, hint string) bool {
		column := utf8.RuneCount(text[start:at]) + 1
		c.add(Problem{Line: line, Column: column, Width: width, Check: check, Message: message, Hint: hint})
		return false
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return report(i, 1, "not-utf8", fmt.Sprintf("byte 0x%02x is not UTF-8", text[i]),
				"save the file as UTF-8 (not GBK, not UTF-16)")
		case r == '\ufeff' && i > 0:
			return report(i, 1, "control-character", "a byte order mark stands inside the text", "remove it; it may stand only at the very beginning")
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f, r >= 0x80 && r < 0xa0 && r != 0x85, r == 0xfffe, r == 0xffff:
			return report(i, 1, "control-character", fmt.Sprintf("control character U+%04X", r), "remove it")
		}
		if n := breakAt(string(text[i:min(i+3, len(text))])); n > 0 {
			line, start = line+1, i+n
			i += n
			continue
		}
		i += size
	}
	return true
}

// syntax reports why the YAML reader gave up, in words for people who do not know it.
func (c *checker) syntax(err error) {
	var problem *yaml.LoadError
	if !errors.As(err, &problem) || problem.Mark.Line == 0 {
		if errors.Is(err, io.EOF) || strings.Contains(err.Error(), "no documents") {
			c.wholeFile("empty-file", "the file is empty", "a campaign begins with `campaign: NAME`, `title:` and `journeys:`")
			return
		}
		c.wholeFile("syntax", "this is not YAML: "+err.Error(), "")
		return
	}
	line, column := problem.Mark.Line, max(problem.Mark.Column, 1)
	if line > len(c.src.lines) {
		line = len(c.src.lines)
		column = utf8.RuneCountInString(c.src.line(line)) + 1
	}
	text := c.src.line(line)
	check, hint, message := "syntax", "", "this is not YAML: "+problem.Message
	if problem.ContextMsg != "" && problem.ContextMark.Line > 0 {
		message += fmt.Sprintf(" (%s that begins at line %d)", problem.ContextMsg, problem.ContextMark.Line)
	}
	switch {
	case strings.Contains(problem.Message, "max depth"):
		check, message = "too-deep", "too many levels stand inside each other"
		hint = fmt.Sprintf("at most %d are allowed", maxDepth)
	case strings.Contains(problem.Message, "unknown anchor"):
		check, message = "unknown-anchor", problem.Message
		hint = "an anchor (&name) must stand before the place that uses it; a text that begins with * must stand in quotes"
	case strings.HasPrefix(strings.TrimLeft(text, " "), "\t") || strings.HasPrefix(text, "\t"):
		hint = "indent with spaces; YAML allows no tabs there"
	case strings.Contains(text, ": {{"):
		hint = "put a text that begins with {{ into quotes"
	case strings.Contains(problem.Message, "mapping values are not allowed"):
		hint = "put a text with a colon and a space in it into quotes, and check the indentation"
	case strings.Contains(problem.Message, "cannot start any token"):
		hint = "put a text that begins with @, ` or % into quotes"
	case strings.Contains(problem.Message, "unexpected end of stream"):
		// The end of the file says nothing; where the quotation begins does.
		message, hint = "a quotation mark is opened here and never closed", "close it, on the same line if possible"
		if problem.ContextMark.Line > 0 {
			line, column = problem.ContextMark.Line, problem.ContextMark.Column
		}
	case strings.Contains(problem.Message, "unknown escape"):
		hint = `in double quotes a backslash is written \\; single quotes need none`
	case strings.Contains(problem.Message, "expected"):
		hint = "check the indentation, and the brackets and commas of [ ] and { }"
	}
	c.add(Problem{Line: line, Column: column, Width: 1, Check: check, Message: message, Hint: hint})
}

// bounded looks once at every node before any is read: tags are refused, and so are
// aliases that stand for themselves or, all together, for too much.
func (c *checker) bounded(root *yaml.Node) bool {
	e := expansion{checker: c, open: map[*yaml.Node]bool{}}
	e.walk(root, nil, 0)
	return !e.stop
}

type expansion struct {
	*checker
	open     map[*yaml.Node]bool // anchored nodes that the walk is inside of
	expanded int
	stop     bool
}

// walk visits n; alias is the outermost alias that the walk came through.
func (e *expansion) walk(n, alias *yaml.Node, depth int) {
	if e.stop {
		return
	}
	if alias != nil {
		e.expanded++
	}
	switch {
	case e.expanded > maxExpanded:
		e.stop = true
		e.problem(node{yaml: alias}, "alias-bomb", "the aliases of this file stand for too much",
			fmt.Sprintf("all aliases together may stand for at most %d values", maxExpanded))
	case depth > maxDepth:
		e.stop = true
		at := n
		if alias != nil {
			at = alias
		}
		e.problem(node{yaml: at}, "too-deep", "too many levels stand inside each other",
			fmt.Sprintf("at most %d are allowed", maxDepth))
	case n.Kind == yaml.AliasNode && e.open[n.Alias]:
		e.stop = true
		e.problem(node{yaml: n}, "alias-cycle", fmt.Sprintf("*%s stands inside of what it stands for", n.Value), "write the values out")
	case n.Kind == yaml.AliasNode:
		if alias == nil {
			alias = n
		}
		e.walk(n.Alias, alias, depth+1)
	default:
		if alias == nil && n.Style&yaml.TaggedStyle != 0 {
			e.problem(node{yaml: n}, "tag", fmt.Sprintf("the YAML tag %s is not part of the campaign language", n.Tag),
				"leave it out; to make a text of something put it into quotes")
		}
		if n.Anchor != "" {
			e.open[n] = true
			defer delete(e.open, n)
		}
		for _, child := range n.Content {
			e.walk(child, alias, depth+1)
		}
	}
}
