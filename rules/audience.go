package rules

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Audience is a condition put to PostgreSQL about all members at once.
//
// SQL is a condition over one row m of the table of members. It holds for every member for
// whom the expression is true, and where Exact is set for nobody else; otherwise whoever
// it lets through is asked the expression itself. Where it does not hold it may be null.
// It is never empty and holds no value that a marketer wrote: those are Args, for the
// placeholders $1, $2, …
type Audience struct {
	SQL   string
	Args  []any
	Exact bool
}

// Audience translates a condition for the moment that `now` is. Parts that PostgreSQL
// could not answer in just the same way (patterns, sums, money, times of attributes) are
// left out, which lets more members through and never fewer. An expression that was not
// wanted as a condition lets everybody through.
func (x *Expr) Audience(now time.Time) Audience {
	w := &audienceWriter{env: x.env, now: now, left: maxAudience}
	cond := w.ask(x.pushed, true)
	sql, args := used(cond.sql, w.args)
	return Audience{SQL: sql, Args: args, Exact: cond.exact}
}

var placeholder = regexp.MustCompile(`\$\d+`)

// used numbers the placeholders anew, without the values of parts that have fallen away:
// PostgreSQL refuses one that it cannot tell the type of.
func used(sql string, all []any) (renumbered string, args []any) {
	numbers := make(map[string]string)
	renumbered = placeholder.ReplaceAllStringFunc(sql, func(old string) string {
		if numbers[old] == "" {
			n, _ := strconv.Atoi(old[1:])
			args = append(args, all[n-1])
			numbers[old] = "$" + strconv.Itoa(len(args))
		}
		return numbers[old]
	})
	return renumbered, args
}

// maxAudience bounds how many parts a translation has. A segment that asks another twice
// writes it out twice, so without a bound a few lines could become a text of any length.
const maxAudience = 500

// audienceWriter writes one translation.
type audienceWriter struct {
	env  *Env
	now  time.Time
	args []any
	left int
}

// condition is SQL that holds for every member for whom something evaluates to what was
// asked, and if it is exact for no other.
type condition struct {
	sql   string
	exact bool
}

const (
	sqlTrue  = "true"
	sqlFalse = "false"
)

// anybody is the condition of what cannot be translated.
var anybody = condition{sql: sqlTrue}

func settled(holds bool) condition {
	if holds {
		return condition{sqlTrue, true}
	}
	return condition{sqlFalse, true}
}

func exactly(sql string) condition { return condition{sql, true} }

// arg binds a value. The cast gives the placeholder its type, whatever stands around it.
func (w *audienceWriter) arg(value any, cast string) string {
	w.args = append(w.args, value)
	return "$" + strconv.Itoa(len(w.args)) + "::" + cast
}

// pushed is a part of an expression as a question to PostgreSQL: for whom does it
// evaluate to want? Asking for true and for false, and never for the opposite of an
// answer, is what keeps a superset a superset under `!`, and what keeps those out for
// whom the part has no value.
type pushed interface {
	ask(w *audienceWriter, want bool) condition
}

func (w *audienceWriter) ask(p pushed, want bool) condition {
	if w.left--; p == nil || w.left < 0 {
		return anybody
	}
	return p.ask(w, want)
}

// pushedBoth is a && b; with either set, a || b. Both give an answer where one side
// decides it, whatever the other does.
type pushedBoth struct {
	either bool
	parts  []pushed
}

func (p pushedBoth) ask(w *audienceWriter, want bool) condition {
	conds := make([]condition, len(p.parts))
	for i, part := range p.parts {
		conds[i] = w.ask(part, want)
	}
	if p.either == want {
		return anyOf(conds...)
	}
	return allOf(conds...)
}

type pushedNot struct{ of pushed }

func (p pushedNot) ask(w *audienceWriter, want bool) condition { return w.ask(p.of, !want) }

// pushedChoice is c ? a : b.
type pushedChoice struct{ when, then, otherwise pushed }

func (p pushedChoice) ask(w *audienceWriter, want bool) condition {
	return anyOf(
		allOf(w.ask(p.when, true), w.ask(p.then, want)),
		allOf(w.ask(p.when, false), w.ask(p.otherwise, want)),
	)
}

// pushedSegment asks a segment, by its place among the segments. Circles were refused.
type pushedSegment int

func (p pushedSegment) ask(w *audienceWriter, want bool) condition {
	x := w.env.segments[p].expr
	if x == nil {
		return settled(false) // a broken segment is neither true nor false
	}
	return w.ask(x.pushed, want)
}

// pushedTest is a part without parts.
type pushedTest func(w *audienceWriter, want bool) condition

func (p pushedTest) ask(w *audienceWriter, want bool) condition { return p(w, want) }

// allOf is the conjunction. Those for whom everything may hold are let through by each.
func allOf(conds ...condition) condition {
	all := condition{exact: true}
	var parts []string
	for _, c := range conds {
		switch {
		case c.sql == sqlFalse:
			return settled(false) // a superset of nobody's is exact
		case c.sql != sqlTrue:
			parts = append(parts, c.sql)
		}
		all.exact = all.exact && c.exact
	}
	all.sql = joined(parts, " and ", sqlTrue)
	return all
}

// anyOf is the disjunction: one part that cannot be translated lets everybody through.
func anyOf(conds ...condition) condition {
	some := condition{exact: true}
	var parts []string
	for _, c := range conds {
		switch {
		case c.sql == sqlTrue && c.exact:
			return settled(true)
		case c.sql == sqlTrue:
			some.sql = sqlTrue
		case c.sql != sqlFalse:
			parts = append(parts, c.sql)
		}
		some.exact = some.exact && c.exact
	}
	if some.sql == "" {
		some.sql = joined(parts, " or ", sqlFalse)
	}
	return some
}

func joined(parts []string, word, none string) string {
	switch len(parts) {
	case 0:
		return none
	case 1:
		return parts[0]
	}
	return "(" + strings.Join(parts, word) + ")"
}

// maxCounted is the largest count that PostgreSQL is asked for.
const maxCounted = 1000

// counted asks whether a count is at least n, reading no more events than that takes.
func (w *audienceWriter) counted(b campaign.Behaviour, n int64, want bool) condition {
	if n <= 0 {
		return settled(want)
	}
	after := time.Unix(0, 0)
	if b.Within > 0 {
		after = w.now.Add(-b.Within)
	}
	events := "from events e where e.member = m.id and e.type = " + w.arg(b.Event, "text") +
		" and e.time > " + w.arg(after, "timestamptz") + " and e.time <= " + w.arg(w.now, "timestamptz")
	if n == 1 {
		if want {
			return exactly("exists (select " + events + ")")
		}
		return exactly("not exists (select " + events + ")")
	}
	limit := w.arg(n, "bigint")
	compare := " >= "
	if !want {
		compare = " < "
	}
	return exactly("(select count(*) from (select " + events + " limit " + limit + ") few)" + compare + limit)
}
