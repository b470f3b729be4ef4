package definitions

import (
	"slices"

	"github.com/banyanhq/banyan/rules"
)

// scopes keeps what the expressions of a journey may read. Package rules walks over all
// steps to find it, which is done once and not for each of ten thousand expressions.
type scopes struct {
	step, trigger *rules.Scope
}

// scope is what the steps of the journey may read.
func (j *journey) scope() rules.Scope {
	if j.scopes.step == nil {
		j.scopes.step = lean(rules.StepScope(j.def))
	}
	return *j.scopes.step
}

// listening is what the condition on one of the events may read, in a goal, an exit or
// an await.
func (j *journey) listening(events ...string) rules.Scope {
	if j.scopes.trigger == nil {
		j.scopes.trigger = lean(rules.TriggerScope(j.def))
	}
	scope := *j.scopes.trigger
	scope.Event = events
	return scope
}

// messageScope is what a message may read.
func (c *checker) messageScope() rules.Scope {
	if c.texts == nil {
		c.texts = lean(rules.MessageScope(c.def))
	}
	return *c.texts
}

// lean names each event of a scope once.
func lean(scope rules.Scope) *rules.Scope {
	for _, events := range []*[]string{&scope.Event, &scope.Start} {
		slices.Sort(*events)
		*events = slices.Compact(*events)
	}
	return &scope
}
