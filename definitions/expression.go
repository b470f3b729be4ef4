package definitions

import (
	"fmt"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// maxExpression bounds one expression; a longer one is a program, not a condition.
const maxExpression = 4000

// expression is a CEL source whose compilation waits until everything is declared.
type expression struct {
	node
	template bool
	scope    func() rules.Scope
	want     rules.Want
	use      func(reads) // may be nil; is told what the expression reads
}

// reads is what compiled expressions and templates have in common.
type reads interface {
	Reads(variable string) bool
	Segments() []string
	Behaviours() []campaign.Behaviour
}

// expression reads a CEL expression and keeps it for compile.
func (c *checker) expression(n node, want rules.Want, scope func() rules.Scope, use func(reads)) string {
	src, ok := c.cel(n, `write a CEL expression such as 'event.offer == "trial"'`)
	if ok {
		c.expressions = append(c.expressions, expression{node: n, scope: scope, want: want, use: use})
	}
	return src
}

// cel reads the text of an expression.
func (c *checker) cel(n node, form string) (string, bool) {
	src, ok := c.text(n, form)
	switch {
	case !ok:
		return "", false
	case strings.TrimSpace(src) == "":
		c.problem(n, "expression-syntax", "the expression is empty", form+", or leave the key out")
		return "", false
	case len(src) > maxExpression:
		c.problem(n, "expression-size", fmt.Sprintf("the expression has %d bytes", len(src)),
			fmt.Sprintf("at most %d are allowed; give parts of it names under segments", maxExpression))
		return "", false
	}
	c.sources = append(c.sources, n)
	return src, true
}

// compile checks every expression against what is declared.
func (c *checker) compile() {
	env, issues := rules.New(c.def)
	for _, issue := range issues {
		at, ok := c.places[issue.Where]
		if segment := strings.HasPrefix(issue.Where, "segments."); segment && ok {
			c.issue(at, issue)
		} else if ok {
			c.problem(at, issue.Check, issue.Message, issue.Hint)
		} else if c.errors == 0 {
			c.problem(c.root, issue.Check, issue.Where+": "+issue.Message, issue.Hint)
		}
	}
	if env == nil {
		return
	}
	for _, e := range c.expressions {
		src := e.yaml.Value
		if e.template {
			t, issues := env.CompileTemplate(src, e.scope())
			c.issues(e.node, issues)
			if t != nil && len(issues) == 0 {
				c.read(e, t)
			}
			continue
		}
		x, issues := env.Compile(src, e.scope(), e.want)
		c.issues(e.node, issues)
		if x != nil && len(issues) == 0 {
			c.read(e, x)
		}
	}
	for _, s := range c.def.Segments {
		if x, ok := env.Segment(s.Name); ok && x != nil {
			c.read(expression{}, x)
		}
	}
}

// read remembers what a good expression uses.
func (c *checker) read(e expression, x reads) {
	for _, name := range x.Segments() {
		c.declared.segments.use(name)
	}
	if e.use != nil {
		e.use(x)
	}
}

func (c *checker) issues(n node, issues []rules.Issue) {
	for _, issue := range issues {
		c.issue(n, issue)
	}
}

// issue turns what package rules found into a problem with a place in the file.
func (c *checker) issue(n node, issue rules.Issue) {
	if c.full() {
		return
	}
	c.doubt = true
	hint := issue.Hint
	// Some hints list what is allowed already.
	if n := min(len(issue.Allowed), 3); n > 0 && !strings.Contains(hint, strings.Join(issue.Allowed[:n], ", ")) {
		switch {
		case strings.HasSuffix(hint, "?"):
			hint += " "
		case hint != "":
			hint += "; "
		}
		hint += "allowed: " + list(issue.Allowed)
	}
	p := c.src.of(n.yaml)
	if n.isScalar() {
		p = c.src.within(n.yaml, issue.Offset, issue.Length)
	}
	c.at(n, p, issue.Check, issue.Message, hint, false)
}
