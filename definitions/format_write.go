package definitions

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// block writes the entries of a block.
func (f *formatter) block(b *block, indent int) {
	space := strings.Repeat(" ", indent)
	if b.scalar != nil {
		f.emit(f.inline(b.scalar, false))
	}
	if b.owner == nil {
		f.documentHead(b)
	}
	for i, e := range b.entries {
		apart := b.owner == nil && (e.inner != nil || b.entries[max(i-1, 0)].inner != nil)
		if len(f.out) > 0 && i > 0 && (e.blank || apart) {
			f.empty()
		}
		f.heads(e, space)
		f.entry(e, indent)
	}
	for _, text := range b.foot {
		if text == "" {
			f.empty()
			continue
		}
		f.emit(space + text)
	}
}

// documentHead writes the comments that stand apart at the beginning of the file, which
// speak of the whole and not of the first key.
func (f *formatter) documentHead(b *block) {
	first := f.first()
	if first == nil || first.in != b {
		return
	}
	i := len(first.head) - 1
	for i >= 0 && first.head[i] != "" {
		i--
	}
	if i < 0 {
		return
	}
	for _, text := range first.head[:i] {
		if text == "" {
			f.empty()
			continue
		}
		f.emit(text)
	}
	first.head, first.blank = first.head[i+1:], false
	f.empty()
}

func (f *formatter) heads(e *entry, space string) {
	for _, text := range e.head {
		if text == "" {
			f.empty()
			continue
		}
		f.emit(space + text)
	}
}

// emit writes a line.
func (f *formatter) emit(text string) { f.out = append(f.out, outLine{text: text}) }

// empty writes an empty line, and never two.
func (f *formatter) empty() {
	if len(f.out) > 0 && f.out[len(f.out)-1] != (outLine{}) {
		f.emit("")
	}
}

// behind puts the entry's comment behind a line.
func (f *formatter) behind(line int, e *entry) {
	if len(e.trailing) > 0 {
		f.out[line].comment = e.trailing[0]
	}
}

func (f *formatter) entry(e *entry, indent int) {
	space := strings.Repeat(" ", indent)
	lead := space + "- "
	if e.key != nil {
		lead = space + f.inline(e.key, true) + ": "
	}
	if e.value.Anchor != "" {
		lead += "&" + e.value.Anchor + " "
	}
	if e.inner == nil && !e.verbatim {
		if text, long := f.fits(lead, e.value); !long {
			f.value(e, lead, indent, text)
			return
		}
		f.spread(e)
	}
	at := len(f.out)
	switch {
	case e.verbatim:
		f.verbatim(e, lead)
		at = len(f.out) - 1
	case e.key == nil && e.value.Anchor == "":
		f.hoist(e, space)
		at = len(f.out)
		f.block(e.inner, indent+2)
		f.out[at].text = space + "- " + strings.TrimLeft(f.out[at].text, " ")
		at = -1
	default:
		f.emit(strings.TrimRight(lead, " "))
		f.block(e.inner, indent+2)
	}
	if at >= 0 {
		f.behind(at, e)
	}
}

// hoist writes the comments of what is written on the item's own line before the item.
func (f *formatter) hoist(e *entry, space string) {
	for inner := e.inner; inner != nil && len(inner.entries) > 0; {
		first := inner.entries[0]
		f.heads(first, space)
		first.head = nil
		if first.key != nil {
			return
		}
		inner = first.inner
	}
}

// fits gives the text of a value that is written on its key's line, and reports one in
// brackets that is too long for that.
func (f *formatter) fits(lead string, n *yaml.Node) (text string, long bool) {
	if o, ok := f.hidden[n]; ok && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return f.line(o.line)[o.at:], false
	}
	text = f.inline(n, false)
	return text, n.Kind != yaml.ScalarNode && n.Kind != yaml.AliasNode && len(n.Content) > 0 && width(lead+text) > maxLine
}

// spread turns a value in brackets into a block.
func (f *formatter) spread(e *entry) {
	shown := *e.value
	shown.Style &^= yaml.FlowStyle
	before := f.all
	e.inner = f.build(&shown, e, e.valueShape)
	for _, inner := range f.all[len(before):] {
		inner.blank = false
	}
	f.all = before
}

// value writes a value that is no block of entries.
func (f *formatter) value(e *entry, lead string, indent int, text string) {
	n := e.value
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		f.blockScalar(e, lead, indent)
		return
	}
	if lines, ok := f.asLiteral(n); ok {
		chomp := "-"
		if strings.HasSuffix(n.Value, "\n") {
			chomp = ""
		}
		f.emit(lead + "|" + chomp)
		f.behind(len(f.out)-1, e)
		f.contents(lines, indent+2)
		return
	}
	f.emit(strings.TrimRight(lead+text, " "))
	f.behind(len(f.out)-1, e)
}

// contents writes the lines of a block scalar as they are: blanks at their end are text.
func (f *formatter) contents(lines []string, indent int) {
	space := strings.Repeat(" ", indent)
	for _, line := range lines {
		if line == "" {
			f.out = append(f.out, outLine{})
			continue
		}
		f.emit(space + line)
	}
}

// asLiteral gives the lines of a text that was quoted over several lines and has line
// breaks in it: as a block it can be read.
func (f *formatter) asLiteral(n *yaml.Node) ([]string, bool) {
	o, ok := f.hidden[n]
	plain := n.Kind == yaml.ScalarNode && !ok && strings.Contains(n.Value, "\n")
	if !plain && (!ok || f.endOf(o).line == o.line || !strings.Contains(n.Value, "\n")) {
		return nil, false
	}
	text := strings.TrimSuffix(n.Value, "\n")
	lines := strings.Split(text, "\n")
	if text == "" || lines[0] == "" || lines[len(lines)-1] == "" || strings.HasPrefix(lines[0], " ") ||
		slices.ContainsFunc(lines, func(l string) bool { return l != strings.TrimRight(l, " \t") || !printable(l) }) {
		return nil, false
	}
	return lines, true
}

// blockScalar writes a text behind | or > as it stands, under its new indentation.
func (f *formatter) blockScalar(e *entry, lead string, indent int) {
	o := f.hidden[e.value]
	b := f.blockLines(o)
	var lines []string
	for line := b.first; line < b.end; line++ {
		text := f.line(line)
		lines = append(lines, text[min(max(b.indent, 0), len(text)):])
	}
	header := f.line(o.line)[o.at:]
	keep := false
	mark := header[:1]
	for _, c := range header[1:min(len(header), 3)] {
		if c == '-' || c == '+' {
			keep = c == '+'
			mark += string(c)
		}
	}
	for !keep && len(lines) > 0 && strings.TrimLeft(lines[len(lines)-1], " ") == "" {
		lines = lines[:len(lines)-1]
	}
	if first := slices.IndexFunc(lines, func(l string) bool { return strings.TrimLeft(l, " ") != "" }); first >= 0 && strings.HasPrefix(lines[first], " ") {
		mark = mark[:1] + "2" + mark[1:]
	}
	f.emit(lead + mark)
	f.behind(len(f.out)-1, e)
	f.contents(lines, indent+2)
}

// verbatim writes a value in brackets with its comments as it stands.
func (f *formatter) verbatim(e *entry, lead string) {
	line, at := f.content(e.value)
	from := f.column(line, at)
	shift := width(lead) - from
	for ; line <= e.until.line; line++ {
		text := f.line(line)
		if line == e.until.line {
			text = text[:min(e.until.at, len(text))]
		}
		text = strings.TrimRight(text[min(at, len(text)):], " \t")
		if at > 0 || lead != "" {
			f.emit(lead + text)
			at, lead = 0, ""
			continue
		}
		bare := strings.TrimLeft(text, " \t")
		if bare == "" {
			f.out = append(f.out, outLine{})
			continue
		}
		f.emit(strings.Repeat(" ", max(1, len(text)-len(bare)+shift)) + bare)
	}
}

// text puts the lines together, with the comments behind neighbouring lines in one column.
func (f *formatter) text() string {
	var b strings.Builder
	for i := 0; i < len(f.out); {
		end, widest, narrowest := i, 0, maxLine
		for end < len(f.out) && f.out[end].comment != "" {
			widest, narrowest = max(widest, width(f.out[end].text)), min(narrowest, width(f.out[end].text))
			end++
		}
		if end == i {
			b.WriteString(f.out[i].text + "\n")
			i++
			continue
		}
		for ; i < end; i++ {
			gap := 2
			if widest-narrowest <= maxAligned {
				gap += widest - width(f.out[i].text)
			}
			b.WriteString(f.out[i].text + strings.Repeat(" ", gap) + f.out[i].comment + "\n")
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// maxAligned is how far a comment is moved to the right to stand under its neighbour.
const maxAligned = 40

// width is how many columns of a terminal a text takes.
func width(s string) int {
	n := 0
	for _, r := range s {
		n += columns(r)
	}
	return n
}

// inline writes a scalar, an alias or a collection on one line.
func (f *formatter) inline(n *yaml.Node, key bool) string {
	anchor := ""
	switch n.Kind {
	case yaml.AliasNode:
		if key {
			return "*" + n.Value + " "
		}
		return "*" + n.Value
	case yaml.ScalarNode:
		return f.scalar(n)
	case yaml.SequenceNode:
		items := make([]string, len(n.Content))
		for i, item := range n.Content {
			items[i] = f.anchored(item)
		}
		return anchor + "[" + strings.Join(items, ", ") + "]"
	case yaml.MappingNode:
		pairs := make([]string, 0, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			value := f.anchored(n.Content[i+1])
			if value == "" {
				pairs = append(pairs, f.inline(n.Content[i], true)+":")
				continue
			}
			pairs = append(pairs, f.inline(n.Content[i], true)+": "+value)
		}
		return anchor + "{" + strings.Join(pairs, ", ") + "}"
	case yaml.DocumentNode, yaml.StreamNode:
	}
	return ""
}

func (f *formatter) anchored(n *yaml.Node) string {
	if n.Anchor != "" {
		return "&" + n.Anchor + " " + f.inline(n, false)
	}
	return f.inline(n, false)
}

// scalar writes a scalar on one line. Quotes stay where they stand, since a reader of YAML
// other than ours may need them.
func (f *formatter) scalar(n *yaml.Node) string {
	quoted := n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0
	if !quoted && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && printable(n.Value) &&
		(f.plain(n) || !strings.Contains(n.Value, ": ") && !strings.Contains(n.Value, " #")) {
		return n.Value
	}
	doubles, singles := strings.ContainsAny(n.Value, `"\`), strings.Contains(n.Value, "'")
	if printable(n.Value) && doubles && (!singles || n.Style&yaml.SingleQuotedStyle != 0) {
		return "'" + strings.ReplaceAll(n.Value, "'", "''") + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range n.Value {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case printable(string(r)):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// plain reports whether a scalar without quotes stands on one line of the file, as it is.
func (f *formatter) plain(n *yaml.Node) bool {
	line, at := f.content(n)
	return strings.HasPrefix(f.line(line)[at:], n.Value)
}

// printable reports whether a text can be written as it is, on one line.
func printable(s string) bool {
	for _, r := range s {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffd || r >= 0xfff0 && r <= 0xffff {
			return false
		}
	}
	return true
}
