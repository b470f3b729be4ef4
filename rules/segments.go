package rules

import (
	"slices"
	"strings"
)

// compileSegments compiles all segments, refuses those that lead back to themselves, and
// then lets each know what the segments it asks have to know.
func (e *Env) compileSegments() []Issue {
	var issues []Issue
	for i, s := range e.def.Segments {
		if e.segmentIndex[s.Name] != i {
			continue
		}
		x, found := e.compile(s.When, SegmentScope(), WantBool)
		for _, issue := range found {
			issue.Where = segmentPlace(s.Name)
			issues = append(issues, issue)
		}
		e.segments[i].expr = x
	}
	for _, s := range e.def.Segments {
		issues = append(issues, e.circle(s.Name, nil)...)
	}
	for _, s := range e.def.Segments {
		issues = append(issues, e.settle(s.Name)...)
	}
	return issues
}

// circle looks for a way from a segment back to itself and breaks it.
func (e *Env) circle(name string, path []string) []Issue {
	s := &e.segments[e.segmentIndex[name]]
	if s.expr == nil || s.done {
		return nil
	}
	s.open = true
	path = append(path, name)
	var issues []Issue
	for _, next := range s.expr.direct {
		to := &e.segments[e.segmentIndex[next.name]]
		if !to.open {
			issues = append(issues, e.circle(next.name, path)...)
			continue
		}
		round := append(slices.Clone(path[slices.Index(path, next.name):]), next.name)
		issues = append(issues, Issue{
			Where: segmentPlace(name), Offset: next.offset, Length: next.length,
			Check: checkCircle, Message: "segments ask each other in a circle: " + strings.Join(round, " → "),
			Hint: "write the condition out in one of them",
		})
		s.expr = nil
		break
	}
	s.open, s.done = false, true
	return issues
}

// settle adds what the segments of a segment need to know, and refuses one that has become
// too dear by them.
func (e *Env) settle(name string) []Issue {
	s := &e.segments[e.segmentIndex[name]]
	if s.expr == nil || s.expr.settled {
		return nil
	}
	s.expr.settled = true
	var issues []Issue
	for _, next := range s.expr.direct {
		issues = append(issues, e.settle(next.name)...)
	}
	e.follow(s.expr)
	if issue, dear := tooDear(s.expr.cost, s.expr.src); dear {
		issue.Where = segmentPlace(name)
		issues = append(issues, issue)
		s.expr = nil
	}
	return issues
}

// segmentPlace is what issues of a segment say in Where.
func segmentPlace(name string) string { return "segments." + name }

// follow adds to an expression what the segments that it asks directly need to know.
// They are asked once per evaluation, however often they are named.
func (e *Env) follow(x *Expr) {
	for _, next := range x.direct {
		x.segments = appendNew(x.segments, next.name)
		of := e.segments[e.segmentIndex[next.name]].expr
		if of == nil {
			continue
		}
		for _, name := range of.segments {
			x.segments = appendNew(x.segments, name)
		}
		for _, b := range of.behaviours {
			x.behaviours = appendNew(x.behaviours, b)
		}
		for variable := range of.reads {
			x.reads[variable] = true
		}
	}
	x.cost = x.own
	for _, name := range x.segments {
		if of := e.segments[e.segmentIndex[name]].expr; of != nil {
			x.cost = saturatingAdd(x.cost, of.own)
		}
	}
}

func appendNew[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

func saturatingAdd(a, b uint64) uint64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return ^uint64(0)
}

// place is where an expression asks a segment.
type place struct {
	name           string
	offset, length int
}
