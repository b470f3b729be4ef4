package campaign

import "encoding/json"

// MigrationDo is what a migration does with the members who stand at a step of a version
// that is not the one it leads to.
type MigrationDo string

// Choices for a step.
const (
	MigrationKeep MigrationDo = "keep" // they finish on their version
	MigrationMove MigrationDo = "move" // they go on at a step of the other version
	MigrationEnd  MigrationDo = "end"  // their journey ends with a named outcome
)

// MigrationChoice says what is done with those who stand at one step of one version.
type MigrationChoice struct {
	Version int         `json:"version" doc:"The version that they are on"`
	Journey string      `json:"journey"`
	Step    string      `json:"step" doc:"Where they stand"`
	Do      MigrationDo `json:"do" enum:"keep,move,end"`
	To      string      `json:"to,omitempty" doc:"Of a move: the step of the version that the migration leads to"`
	Outcome string      `json:"outcome,omitempty" doc:"Of an end: the journey's outcome"`
}

// MigrationRule is a choice as a person makes it: for every step that it names. What it
// leaves out it does not care for; of several that fit a step the one that names most
// counts.
type MigrationRule struct {
	Version int         `json:"version,omitempty" minimum:"1" doc:"The version that members are on; all unless given"`
	Journey string      `json:"journey,omitempty" doc:"All unless given"`
	Step    string      `json:"step,omitempty" doc:"A step's id or label, in a journey; all unless given"`
	Do      MigrationDo `json:"do" enum:"keep,move,end"`
	To      string      `json:"to,omitempty" doc:"Of a move: the id or label of a step of the new version; the matching step unless given"`
	Outcome string      `json:"outcome,omitempty" doc:"Of an end: the journey's outcome"`
}

// Migrated is how a turn ended that was to bring a journey to another version.
type Migrated struct {
	Do MigrationDo
	// Kept says of one that was kept why, one of Kept…
	Kept string
	// From is the step at which it stood once everything until now had been judged.
	From string
	// To is the step of the new version, empty where the journey has none such.
	To string
	// Before is the state as the version that it left had it.
	Before json.RawMessage
	// Version and Digest are those that the journey has from now on.
	Version int
	Digest  string
	// Sends, Offers and Trace say how many of the decision's are of the version that was
	// left; those behind them are of the new one.
	Sends, Offers, Trace int
}

// Moves reports whether the journey has another version from this turn on.
func (m *Migrated) Moves() bool { return m != nil && m.Do == MigrationMove }

// Why a journey was kept on its version although its step was one to be moved or ended.
const (
	KeptOver    = "over"     // it ended on its own version first
	KeptEnding  = "ending"   // it is over but for delayed messages
	KeptMovedOn = "moved_on" // it stands at another step by now, for which nothing was chosen
	// KeptWithdrawn: the move withdrew the review, or gave up the call, for which it waited, or
	// left its team, and that is not taken back.
	KeptWithdrawn = "withdrawn"
	KeptFailed    = "failed" // its turn could not be taken
	// KeptBehind is for the driver alone: there is more to judge than one turn does, and
	// the next is to try again.
	KeptBehind = "behind"
)
