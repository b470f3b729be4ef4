package definitions

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong, or doubtful, in a campaign file.
type Problem struct {
	File    string `json:"-"`
	Line    int    `json:"line"`   // from 1; 0 where the file as a whole is meant
	Column  int    `json:"column"` // from 1, in characters
	Path    string `json:"path"`   // e.g. journeys.trial-to-card.steps[2].offer
	Check   string `json:"check"`  // the stable name of the check, e.g. unknown-key
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what is allowed, and what was probably meant
	Snippet string `json:"-"`              // the line of the file
	Width   int    `json:"-"`              // how many characters of it are meant
	Warning bool   `json:"warning,omitempty"`
}

// String gives the problem on one line, the way compilers do.
func (p Problem) String() string {
	return p.place() + p.kind() + p.Message + " [" + p.Check + "]"
}

func (p Problem) place() string {
	if p.Line == 0 {
		return p.File + ": "
	}
	return fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
}

func (p Problem) kind() string {
	if p.Warning {
		return "warning: "
	}
	return ""
}

// Problems are all problems of a file in the order of their positions. As an error
// they read as one line each.
type Problems []Problem //nolint:errname // it is a list that a person reads, and an error on the side

// Error implements error.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
		if problem.Hint != "" {
			lines[i] += ": " + problem.Hint
		}
	}
	return strings.Join(lines, "\n")
}

// Refused reports whether the file cannot be accepted: one problem at least is more
// than a warning.
func (p Problems) Refused() bool {
	return slices.ContainsFunc(p, func(problem Problem) bool { return !problem.Warning })
}

// Text writes the problems for people: place and message, the line of the file with
// what is meant underlined, and the hint. With color it uses the terminal's.
func (p Problems) Text(color bool) string {
	ink := func(code, s string) string {
		if !color {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	var b strings.Builder
	for _, problem := range p {
		tone := "31" // red
		if problem.Warning {
			tone = "33" // yellow
		}
		b.WriteString(ink("1", problem.place()) + ink(tone, problem.kind()+problem.Message))
		b.WriteString(ink("90", " ["+problem.Check+"]") + "\n")
		if problem.Line > 0 {
			line, caret := underline(problem.Snippet, problem.Column, problem.Width)
			mark := strings.TrimLeft(caret, " ")
			number := fmt.Sprintf("%5d | ", problem.Line)
			b.WriteString(ink("90", number) + line + "\n")
			b.WriteString(ink("90", strings.Repeat(" ", len(number)-2)+"| "))
			b.WriteString(strings.TrimSuffix(caret, mark) + ink(tone, mark) + "\n")
		}
		if problem.Hint != "" {
			b.WriteString("        " + problem.Hint + "\n")
		}
	}
	return b.String()
}

// order sorts by position and drops repetitions, which an alias used several times
// would cause.
func (p Problems) order() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Check, b.Check))
	})
	return slices.CompactFunc(p, func(a, b Problem) bool {
		return a.Line == b.Line && a.Column == b.Column && a.Check == b.Check && a.Message == b.Message
	})
}
