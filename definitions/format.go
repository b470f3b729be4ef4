package definitions

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxLine is how many columns a mapping or list in brackets may fill before it is written
// over several lines.
const maxLine = 120

// errNotFormatted is a fault of the formatter, which looks at its own work.
var errNotFormatted = errors.New("this file cannot be formatted without changing it, so it was left as it is; please report it")

// maxFormatted is how many values a file may have to be formatted: more than a campaign
// with as many steps as there may be.
const maxFormatted = 100_000

var errTooManyValues = fmt.Errorf("this file has more than %d values, which are too many to format", maxFormatted)

// Format writes a campaign file, a file of tests or a population in one way: keys in the order of the reference, two
// blanks for each level, quotes where they stand and of one sort, comments where they
// belong. What the campaign is does not change. It also formats files that the checker
// refuses, unless they are no YAML; then it gives the problems. Format(Format(x)) is
// Format(x).
func Format(file string, text []byte) ([]byte, Problems, error) {
	out, tree, problems, err := format(file, text)
	if problems != nil || err != nil {
		return nil, problems, err
	}
	again, second, problems, err := format(file, out)
	if err != nil || problems != nil || string(again) != string(out) || !tree.same(second) {
		return nil, nil, errNotFormatted
	}
	return out, nil, nil
}

// formatted is what a file says, to be compared with what it says after formatting.
type formatted struct {
	root     [sha256.Size]byte
	comments []string
}

func format(file string, text []byte) ([]byte, *formatted, Problems, error) {
	c := &checker{src: newSource(file, string(text)), places: map[string]node{}}
	root, ok := c.parse(text)
	if ok {
		c.plainKeys(root.yaml)
	}
	if len(c.problems) > 0 {
		return nil, nil, c.problems.order(), nil
	}
	if count(root.yaml) > maxFormatted {
		return nil, nil, nil, errTooManyValues
	}
	f := &formatter{source: c.src, hidden: map[*yaml.Node]opaque{}, orders: keyOrders(), sorted: !hasAnchors(root.yaml)}
	hidden := c.src.opaques(root.yaml)
	for _, o := range hidden {
		f.hidden[o.node] = o
	}
	all := c.src.comments(hidden)
	f.top = f.build(root.yaml, nil, topSchema(root.yaml))
	f.attach(all)
	f.block(f.top, 0)
	said := &formatted{root: digestOf(root.yaml)}
	for _, c := range all {
		said.comments = append(said.comments, c.text)
	}
	slices.Sort(said.comments)
	return []byte(f.text()), said, nil, nil
}

// count is how many nodes a tree has.
func count(n *yaml.Node) int {
	total := 1
	for _, c := range n.Content {
		total += count(c)
	}
	return total
}

// plainKeys refuses keys that are mappings or lists, which no campaign has.
func (c *checker) plainKeys(n *yaml.Node) {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Kind != yaml.ScalarNode {
			c.keyIsNoText(node{yaml: child}, child)
			continue
		}
		c.plainKeys(child)
	}
}

func hasAnchors(n *yaml.Node) bool {
	return n.Anchor != "" || slices.ContainsFunc(n.Content, hasAnchors)
}

// same reports whether two files say the same, but for the order of keys and the lines.
func (a *formatted) same(b *formatted) bool {
	return slices.Equal(a.comments, b.comments) && a.root == b.root
}

// digestOf is the same for nodes that say the same, in whatever order their keys stand.
func digestOf(n *yaml.Node) [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %q %q %q", n.Kind, n.Tag, n.Value, n.Anchor)
	if n.Kind == yaml.MappingNode {
		pairs := make([][2 * sha256.Size]byte, len(n.Content)/2)
		for i := range pairs {
			key, value := digestOf(n.Content[2*i]), digestOf(n.Content[2*i+1])
			copy(pairs[i][:], key[:])
			copy(pairs[i][sha256.Size:], value[:])
		}
		slices.SortFunc(pairs, func(a, b [2 * sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) })
		for _, p := range pairs {
			h.Write(p[:])
		}
	} else {
		for _, c := range n.Content {
			d := digestOf(c)
			h.Write(d[:])
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// formatter writes one file.
type formatter struct {
	*source
	hidden map[*yaml.Node]opaque
	orders map[string][]string // of the keys of each definition of the schema
	sorted bool
	top    *block
	all    []*entry // in the order of the file
	out    []outLine
}

// outLine is a line that is written, with the comment behind it.
type outLine struct{ text, comment string }

// block is a mapping or list that is written one entry a line.
type block struct {
	owner   *entry // nil at the top
	node    *yaml.Node
	entries []*entry
	foot    []string // comments behind the last entry; "" is an empty line
	scalar  *yaml.Node
}

// entry is a pair of a mapping, or an item of a list.
type entry struct {
	in         *block
	key        *yaml.Node // nil in a list
	value      *yaml.Node
	inner      *block // of a value that is written as a block
	line       int
	indent     int
	blank      bool     // an empty line stands before it
	head       []string // comments before it; "" is an empty line
	headLine   int      // of its first comment, or its own
	lastHead   int
	trailing   []string
	verbatim   bool // the value is in brackets and has comments in them
	until      spot // where a value in brackets ends
	valueShape schema
}

// build finds the entries of a block, and of the blocks inside it.
func (f *formatter) build(n *yaml.Node, owner *entry, s schema) *block {
	b := &block{owner: owner, node: n}
	switch {
	case len(n.Content) == 0:
		b.scalar = n
	case n.Kind == yaml.MappingNode && (owner == nil || n.Style&yaml.FlowStyle == 0):
		properties := f.propertiesOf(n, s)
		for i := 0; i+1 < len(n.Content); i += 2 {
			e := &entry{in: b, key: n.Content[i], value: n.Content[i+1], line: n.Content[i].Line, indent: n.Content[i].Column - 1}
			e.valueShape = properties.child(e.key.Value)
			f.add(b, e)
		}
		if f.sorted {
			slices.SortStableFunc(b.entries, func(x, y *entry) int {
				return f.rank(properties, x.key.Value) - f.rank(properties, y.key.Value)
			})
		}
	case n.Kind == yaml.SequenceNode && (owner == nil || n.Style&yaml.FlowStyle == 0):
		line, column := 0, f.columnOf(n)
		for _, item := range n.Content {
			line = f.dashLine(item, line, column)
			e := &entry{in: b, value: item, line: line, indent: column}
			e.valueShape = itemsOf(s)
			f.add(b, e)
		}
	default:
		b.scalar = n
	}
	return b
}

func (f *formatter) add(b *block, e *entry) {
	b.entries = append(b.entries, e)
	e.headLine, e.lastHead = e.line, 0
	f.all = append(f.all, e)
	collection := e.value.Kind == yaml.MappingNode || e.value.Kind == yaml.SequenceNode
	switch {
	case collection && e.value.Style&yaml.FlowStyle == 0 && len(e.value.Content) > 0:
		e.inner = f.build(e.value, e, e.valueShape)
	case collection:
		e.until = f.endOfFlow(e.value)
		e.value = f.ordered(e.value, e.valueShape)
	}
}

// ordered gives a collection in brackets with its keys in order.
func (f *formatter) ordered(n *yaml.Node, s schema) *yaml.Node {
	if !f.sorted || n.Kind != yaml.MappingNode && n.Kind != yaml.SequenceNode {
		return n
	}
	out := *n
	out.Content = slices.Clone(n.Content)
	if n.Kind == yaml.SequenceNode {
		for i := range out.Content {
			out.Content[i] = f.ordered(out.Content[i], itemsOf(s))
		}
		return &out
	}
	properties := f.propertiesOf(n, s)
	type pair struct{ key, value *yaml.Node }
	pairs := make([]pair, len(n.Content)/2)
	for i := range pairs {
		key := n.Content[2*i]
		pairs[i] = pair{key, f.ordered(n.Content[2*i+1], properties.child(key.Value))}
	}
	slices.SortStableFunc(pairs, func(x, y pair) int {
		return f.rank(properties, x.key.Value) - f.rank(properties, y.key.Value)
	})
	for i, p := range pairs {
		out.Content[2*i], out.Content[2*i+1] = p.key, p.value
	}
	return &out
}

// rank is the place of a key among those of its mapping; unknown ones come last.
func (f *formatter) rank(of choice, key string) int {
	order := f.orders[of.name]
	if of.schema["properties"] == nil {
		return 0 // names, whose order is the author's
	}
	if i := slices.Index(order, key); i >= 0 {
		return i
	}
	return len(order)
}

// dashLine finds the line of an item's dash, behind the line of the dash before it.
func (f *formatter) dashLine(item *yaml.Node, after, column int) int {
	for line := item.Line; line > after; line-- {
		text := f.line(line)
		at := f.byteColumn(line, column+1)
		if strings.HasPrefix(text[at:], "-") && (strings.Trim(text[:at], " \ufeff") == "" || after == 0) {
			return line
		}
	}
	return item.Line
}

// endOfFlow is where a collection in brackets ends.
func (f *formatter) endOfFlow(n *yaml.Node) spot {
	texts := map[spot]opaque{}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if o, ok := f.hidden[n]; ok {
			texts[o.spot] = o
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(n)
	line, at := f.content(n)
	for depth := 0; line <= len(f.lines); {
		text := f.line(line)
		if at >= len(text) {
			line, at = line+1, 0
			continue
		}
		if o, ok := texts[spot{line, at}]; ok {
			end := f.endOf(o)
			line, at = end.line, end.at
			continue
		}
		switch text[at] {
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return spot{line, at + 1}
			}
		case '#':
			if beginsComment(text, at) {
				at = len(text)
				continue
			}
		}
		at++
	}
	return spot{line, 0}
}

// attach gives every comment to the entry or the block that it belongs to.
func (f *formatter) attach(all []comment) {
	bound := -1 // how far right a comment may belong, behind one that belongs further left
	var previous *entry
	for _, c := range all {
		last, next := f.around(c.line)
		if last != nil && last.until.line > 0 && (spot{c.line, c.at}).before(last.until) {
			last.verbatim = true
			continue
		}
		if !c.own {
			if last == nil { // behind --- or a bare value
				last = f.first()
			}
			if last == nil {
				f.top.foot = append(f.top.foot, c.text)
				continue
			}
			last.trailing = append(last.trailing, c.text)
			continue
		}
		column := f.column(c.line, c.at)
		if last != previous {
			previous, bound = last, -1
		}
		if bound >= 0 {
			column = min(column, bound)
		}
		if next != nil && (last == nil || next.in.owner == last || column <= next.indent) {
			f.toHead(next, c)
			continue
		}
		home := last
		for home != nil && home.indent > column && home.in.owner != nil {
			home = home.in.owner
		}
		switch {
		case home == nil:
			f.toFoot(f.top, c)
		case next != nil && home.indent <= next.indent:
			f.toHead(next, c)
		default:
			bound = home.indent
			f.toFoot(home.in, c)
		}
	}
	for _, e := range f.all {
		if len(e.head) > 0 && e.line > e.lastHead+1 {
			e.head = append(e.head, "")
		}
		e.blank = e.headLine > 1 && strings.TrimSpace(f.line(e.headLine-1)) == ""
		switch {
		case len(e.trailing) > 1:
			e.head = append(e.head, e.trailing[:len(e.trailing)-1]...)
			e.trailing = e.trailing[len(e.trailing)-1:]
		case len(e.trailing) == 1 && e.key == nil && e.inner != nil:
			e.head, e.trailing = append(e.head, e.trailing[0]), nil
		}
	}
}

// around gives the deepest entry that begins on the line or before it, and the first that
// begins behind it.
func (f *formatter) around(line int) (last, next *entry) {
	i, _ := slices.BinarySearchFunc(f.all, line+1, func(e *entry, line int) int { return e.line - line })
	if i > 0 {
		last = f.all[i-1]
	}
	if i < len(f.all) {
		next = f.all[i]
	}
	return last, next
}

func (f *formatter) first() *entry {
	if len(f.all) > 0 {
		return f.all[0]
	}
	return nil
}

func (f *formatter) toHead(e *entry, c comment) {
	if len(e.head) == 0 {
		e.headLine = c.line
	} else if c.line > e.lastHead+1 {
		e.head = append(e.head, "")
	}
	e.head, e.lastHead = append(e.head, c.text), c.line
}

func (f *formatter) toFoot(b *block, c comment) {
	if c.line > 1 && strings.TrimSpace(f.line(c.line-1)) == "" {
		b.foot = append(b.foot, "")
	}
	b.foot = append(b.foot, c.text)
}
