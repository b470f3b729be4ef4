package rules

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/banyanhq/banyan/campaign"
)

// MaxTemplate is the longest text of a message, in bytes: about five thousand Chinese
// characters, more than any channel takes.
const MaxTemplate = 16 << 10

// Template is a text with expressions in {{ }}. It is safe for use by several goroutines.
type Template struct {
	env        *Env
	parts      []part
	size       int // bytes of fixed text
	cost       uint64
	segments   []string
	behaviours []campaign.Behaviour
	reads      map[string]bool
}

// part is fixed text or an expression.
type part struct {
	text string
	expr *Expr
}

// CompileTemplate checks a text with expressions in {{ }}. It gives either a Template or
// at least one Issue; offsets are those in the text. Money is shown as yuan() shows it,
// times as local(). Braces that are meant as such are written {{ "{{" }}.
func (e *Env) CompileTemplate(src string, sc Scope) (*Template, []Issue) {
	sc = sc.normal()
	key := cacheKey{src: src, scope: sc.key(), want: WantText, template: true}
	if hit, ok := e.cache.get(key); ok {
		return hit.template, slices.Clone(hit.issues)
	}
	t, issues := e.compileTemplate(src, sc)
	if len(issues) > 0 {
		t, issues = nil, sortIssues(issues)
	}
	e.cache.put(key, compiled{template: t, issues: issues})
	return t, slices.Clone(issues)
}

func (e *Env) compileTemplate(src string, sc Scope) (*Template, []Issue) {
	if len(src) > MaxTemplate {
		return nil, []Issue{{
			Length: len(src),
			Check:  checkSize, Message: "the text is " + strconv.Itoa(len(src)) + " bytes long; " + strconv.Itoa(MaxTemplate) + " are allowed",
		}}
	}
	if !utf8.ValidString(src) {
		return nil, []Issue{{Length: len(src), Check: checkOther, Message: "the text is not UTF-8", Hint: "save the file as UTF-8"}}
	}
	t := &Template{env: e, reads: map[string]bool{}}
	var issues []Issue
	for at := 0; at < len(src); {
		open := strings.Index(src[at:], "{{")
		fixed := src[at:]
		if open >= 0 {
			fixed = src[at : at+open]
		}
		issues = append(issues, strayBraces(fixed, at)...)
		t.text(fixed)
		if open < 0 {
			break
		}
		begin := at + open + len("{{")
		length := closing(src[begin:])
		if length < 0 {
			return nil, append(issues, Issue{
				Offset: at + open, Length: len("{{"), Check: checkBraces, Message: "`{{` is never closed", Hint: "write }} behind the expression",
			})
		}
		at = begin + length + len("}}")
		issues = append(issues, t.expression(src[begin:begin+length], begin, sc)...)
	}
	if issue, dear := tooDear(t.cost, src); dear && len(issues) == 0 {
		issues = append(issues, issue)
	}
	return t, issues
}

func (t *Template) text(fixed string) {
	if fixed != "" {
		t.parts = append(t.parts, part{text: fixed})
		t.size += len(fixed)
	}
}

// expression adds what stands between two pairs of braces.
func (t *Template) expression(src string, begin int, sc Scope) []Issue {
	if strings.TrimSpace(src) == "" {
		return []Issue{{
			Offset: begin - len("{{"), Length: len(src) + len("{{}}"),
			Check: checkBraces, Message: "nothing stands between `{{` and `}}`", Hint: "write an expression, such as {{ member.name }}",
		}}
	}
	x, issues := t.env.Compile(src, sc, WantText)
	for i := range issues {
		issues[i].Offset += begin
	}
	if x == nil {
		return issues
	}
	t.parts = append(t.parts, part{expr: x})
	t.cost = saturatingAdd(t.cost, x.cost)
	for _, name := range x.segments {
		t.segments = appendNew(t.segments, name)
	}
	for _, b := range x.behaviours {
		t.behaviours = appendNew(t.behaviours, b)
	}
	for variable := range x.reads {
		t.reads[variable] = true
	}
	return nil
}

// closing finds the }} that ends an expression, past those inside string and map
// literals; -1 where there is none.
func closing(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"', '\'':
			raw := i > 0 && (s[i-1] == 'r' || s[i-1] == 'R') && (i < 2 || !isWord(s[i-2]))
			i += quotedLength(s[i:], raw) - 1
		case '{':
			depth++
		case '}':
			if depth > 0 {
				depth--
			} else if strings.HasPrefix(s[i:], "}}") {
				return i
			}
		}
	}
	return -1
}

// strayBraces finds }} in fixed text, where an opening was forgotten.
func strayBraces(fixed string, offset int) []Issue {
	var issues []Issue
	for i := 0; ; {
		n := strings.Index(fixed[i:], "}}")
		if n < 0 {
			return issues
		}
		i += n
		issues = append(issues, Issue{
			Offset: offset + i, Length: len("}}"), Check: checkBraces, Message: "`}}` closes nothing",
			Hint: `write {{ before the expression, or {{ "}}" }} for the braces themselves`,
		})
		i += len("}}")
	}
}

// growth is how much room an expression's text is expected to need.
const growth = 24

// Render writes the text for the facts.
func (t *Template) Render(f *Facts) (string, error) {
	if t == nil {
		return "", errNoExpr
	}
	if f == nil {
		return "", errNoFacts
	}
	var b strings.Builder
	b.Grow(t.size + growth*len(t.parts))
	a := t.env.acquire(f)
	defer t.env.release(a)
	for _, p := range t.parts {
		if p.expr == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := p.expr.run(a)
		if err == nil {
			err = t.env.shown(&b, v)
		}
		if err != nil {
			return "", p.expr.failed(err)
		}
	}
	return b.String(), nil
}

// Behaviours lists the questions about past events that have to be answered in
// Facts.Behaviour before the text is rendered, those of its segments included.
func (t *Template) Behaviours() []campaign.Behaviour { return slices.Clone(t.behaviours) }

// Segments lists the segments that the text asks, and those that they ask.
func (t *Template) Segments() []string { return slices.Clone(t.segments) }

// Reads reports whether the text, or a segment that it asks, reads a variable: "member",
// "event", "start", "offer", "campaign" or "now".
func (t *Template) Reads(variable string) bool { return t.reads[variable] }

// Cost is the estimate of what rendering costs at most, in CEL's units.
func (t *Template) Cost() uint64 { return t.cost }

// hasCode reports whether an error says who must act on it.
func hasCode(err error) bool {
	var coded *campaign.Error
	return errors.As(err, &coded)
}
