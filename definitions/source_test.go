package definitions

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestWithin checks that what stands in a scalar's value is found again in the file,
// whatever the scalar's style.
func TestWithin(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"plain":                   "k: one MARK two",
		"plain behind":            "a: {b: 中文, k: 一 MARK 二}",
		"plain folded":            "k: one\n  two   \n  MARK three\n",
		"plain folded blank":      "k: one\n\n\n  two MARK\n",
		"single":                  "k: 'it''s a ''MARK'' here'",
		"single folded":           "k: 'one  \n   \n    two MARK'",
		"double":                  `k: "a\tb \"q\" \\ \x41\u4e2d\U0001F600\/ MARK"`,
		"double folded":           "k: \"one\n  two \\\n    three\\n MARK four\"",
		"double line break":       "k: \"one \\\n  \\  MARK\"",
		"literal":                 "k: |\n  one\n    two\n\n  MARK three\n",
		"literal indented":        "k: |2-\n    one\n   MARK\n",
		"literal comment":         "k: | # a comment\n  one MARK\n",
		"literal keeps":           "k: |+\n  one\n\n\n  MARK\n\n",
		"folded":                  "k: >-\n  one\n  two\n\n  three MARK\n  four\n",
		"folded more":             "k: >\n  one\n    more MARK\n  two\n",
		"anchor":                  "k: &a one MARK",
		"anchor and tag":          "k: &a !!str   'one MARK'",
		"anchor on its line":      "k: &a\n  one MARK",
		"Windows":                 "a: 1\r\nk: |\r\n  one\r\n  MARK\r\n",
		"in a flow":               "{a: [x, y], k: \"中 MARK\", b: 1}",
		"behind a line separator": "a: \"x\u2028y\"\nk: one MARK",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var document yaml.Node
			if err := yaml.Load([]byte(text), &document); err != nil {
				t.Fatal(err)
			}
			var n *yaml.Node
			for i, c := range document.Content[0].Content {
				if c.Value == "k" {
					n = document.Content[0].Content[i+1]
				}
			}
			if n == nil && document.Content[0].Content[1].Kind == yaml.MappingNode {
				n = document.Content[0].Content[1].Content[3]
			}
			offset := strings.Index(n.Value, "MARK")
			if offset < 0 {
				t.Fatalf("no mark in %q", n.Value)
			}
			s := newSource("f", text)
			p := s.within(n, offset, len("MARK"))
			line := []rune(s.line(p.line))
			if got := string(line[min(p.column-1, len(line)):min(p.column-1+p.width, len(line))]); got != "MARK" {
				t.Errorf("offset %d of %q is line %d, column %d, width %d: %q", offset, n.Value, p.line, p.column, p.width, got)
			}
			end := s.within(n, len(n.Value), 0)
			if end.line < p.line || end.line > len(s.lines) {
				t.Errorf("the end of %q is in line %d", n.Value, end.line)
			}
		})
	}
}

// TestUnderline checks that the caret stands under what is meant, in columns of a
// terminal.
func TestUnderline(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		line          string
		column, width int
		shown, caret  string
	}{
		{"price: 199", 8, 3, "price: 199", "       ^~~"},
		{"标题: 月卡", 5, 2, "标题: 月卡", "      ^~~~"},
		{"标题：月卡，", 6, 1, "标题：月卡，", "          ^~"},
		{"a\tb", 3, 1, "a b", "  ^"},
		{"e\u0301: x", 5, 1, "e\u0301: x", "   ^"},
		{"a: 🎉 x", 6, 1, "a: 🎉 x", "      ^"},
		{"end", 4, 1, "end", "   ^"},
		{"", 1, 1, "", "^"},
		{"short", 900, 5, "short", "     ^"},
		{long + "Y" + long, 301, 1, "… " + strings.Repeat("x", 53) + "Y" + strings.Repeat("x", 106) + " …", "  " + strings.Repeat(" ", 53) + "^"},
		{"a\x1b[31mb", 1, 1, "a\ufffd[31mb", "^"},
	} {
		if shown, caret := underline(c.line, c.column, c.width); shown != c.shown || caret != c.caret {
			t.Errorf("%q at %d:\n%s\n%s\nwant\n%s\n%s", c.line, c.column, shown, caret, c.shown, c.caret)
		}
	}
}
