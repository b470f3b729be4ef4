package definitions

import (
	"fmt"
	"slices"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// Check reads a campaign file. It gives the definition unless at least one problem is
// more than a warning, and all problems in the order of their positions. The name of
// the file is only for the messages; nothing is opened.
func Check(file string, source []byte) (*campaign.Definition, Problems) {
	_, def, problems := check(file, source)
	return def, problems
}

func check(file string, source []byte) (*checker, *campaign.Definition, Problems) {
	text := string(source)
	c := &checker{
		src: newSource(file, text), def: &campaign.Definition{},
		offerTexts: map[string]bool{}, teamTexts: map[string]bool{}, badLocks: map[string]bool{}, places: map[string]node{},
	}
	if root, ok := c.parse(source); ok {
		c.campaign(root)
	}
	problems := c.problems.order()
	if problems.Refused() {
		return c, nil, problems
	}
	return c, c.def, problems
}

// checker is one reading of one file. It goes over the file twice: first every section
// becomes a part of the definition, then what can only be said about the whole is
// checked: expressions, names, the flow of each journey, what nobody uses.
type checker struct {
	src      *source
	def      *campaign.Definition
	problems Problems
	errors   int
	warnings int

	tests []Test

	root        node
	declared    declared
	expressions []expression
	journeys    []*journey
	offerTexts  map[string]bool // messages that read the offer
	steps       int
	opaque      bool   // a step could not be read, so what it uses is not known
	sources     []node // the texts of all expressions

	// places are what package rules may name: member.NAME, events.EVENT.NAME and
	// segments.NAME. What has been reported already is not among them.
	places    map[string]node
	texts     *rules.Scope // what messages may read, once it is known
	doubt     bool         // an expression is wrong, so what it uses is not known
	badLocks  map[string]bool
	orderSeen bool
	splits    map[string]seenSplit // by name
	replySeen bool
	teamTexts map[string]bool // messages that read the team
	teamSeen  bool
	// refundSeen: somebody has looked whether a shop can tell of refunds.
	refundSeen bool
	calls      map[string]seenCall // by name
	referred   bool                // the file has a referral
}

// add keeps a problem; behind the first thousand nobody reads on. Warnings are counted
// by themselves, so that they neither refuse a file nor hide what does.
func (c *checker) add(p Problem) {
	switch {
	case p.Warning:
		c.warnings++
	case c.full():
		return
	default:
		c.errors++
	}
	if c.errors > maxProblems {
		p = Problem{
			Line: p.Line, Column: p.Column, Path: p.Path, Width: p.Width, Check: "too-many-problems",
			Message: fmt.Sprintf("more than %d problems", maxProblems), Hint: "mend those first; the rest is not shown",
		}
	}
	p.File, p.Snippet = c.src.file, c.src.line(p.Line)
	c.problems = append(c.problems, p)
}

// full reports whether more problems are not kept. Places are not looked for then
// either: in a file of one long line each costs as much as the line is long.
func (c *checker) full() bool { return c.errors > maxProblems }

// problem reports something wrong with a whole node.
func (c *checker) problem(at node, check, message, hint string) {
	if c.full() {
		return
	}
	c.at(at, c.src.of(at.yaml), check, message, hint, false)
}

// warn reports something that is allowed but probably not meant.
func (c *checker) warn(at node, check, message, hint string) {
	if c.full() || c.warnings >= maxWarnings {
		return
	}
	c.at(at, c.src.of(at.yaml), check, message, hint, true)
}

func (c *checker) at(n node, p place, check, message, hint string, warning bool) {
	c.add(Problem{
		Line: p.line, Column: p.column, Width: p.width, Path: n.path.String(),
		Check: check, Message: message, Hint: hint, Warning: warning,
	})
}

func (c *checker) wholeFile(check, message, hint string) {
	c.add(Problem{Check: check, Message: message, Hint: hint})
}

var topShape = shape{
	what: "a campaign",
	keys: []string{
		"language", "campaign", "title", "timezone", "currency", "window", "member", "events", "segments",
		"roles", "offers", "rewards", "points", "messages", "limits", "referral", "journeys", "tests",
	},
	later: []string{
		"lifecycle", "groups", "admission", "replies", "content", "moderation",
		"compliance", "sources", "targets",
	},
}

// campaign reads the whole file. The order is that of need, not of the file: money
// needs the currency, dates the timezone, steps the names of everything else.
func (c *checker) campaign(root node) {
	top, ok := c.object(root, topShape)
	if !ok {
		return
	}
	c.root = root
	c.header(top)
	c.window(top)
	c.member(top)
	c.events(top)
	c.behaviourPoints(top)
	c.segments(top)
	c.roles(top)
	c.offers(top)
	c.rewards(top)
	c.messages(top)
	c.limits(top)
	c.referral(top)
	c.allJourneys(top)
	c.refersNobody()
	c.compile()
	c.flows()
	c.unused()
	c.allTests(top)
}

// declared knows where each name of the file stands.
type declared struct {
	attributes, events, segments, roles, offers, rewards, messages names
}

// names are the declared names of one section in the order of the file. A name whose
// declaration has a problem counts too, so that its uses are not reported as well.
type names struct {
	order []string
	at    map[string]node
	used  map[string]bool
}

func (n *names) declare(name string, at node) {
	if n.at == nil {
		n.at, n.used = map[string]node{}, map[string]bool{}
	}
	n.order, n.at[name] = append(n.order, name), at
}

// use looks a name up and remembers that somebody wanted it.
func (n *names) use(name string) bool {
	_, ok := n.at[name]
	if ok {
		n.used[name] = true
	}
	return ok
}

// refer reads the name of something declared elsewhere in the file.
func (c *checker) refer(n node, what string, section *names) (string, bool) {
	name, ok := c.text(n, fmt.Sprintf("write the name of %s %s", article(what), what))
	if !ok {
		return "", false
	}
	if !section.use(name) {
		c.unknown(n, "unknown-"+what, fmt.Sprintf("unknown %s %q", what, shorten(name)), name, section.order)
		section.use(rules.Nearest(name, section.order)) // or it would be reported as unused too
		return name, false
	}
	return name, true
}

func article(word string) string {
	if slices.Contains([]byte("aeiou"), word[0]) {
		return "an"
	}
	return "a"
}
