package definitions

import (
	"encoding/json"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Test is one campaign test: what happens to a member, and what the campaign must do.
type Test struct {
	Name    string
	Mark    Mark
	Journey string // the one that is looked at; empty: all
	Start   time.Time
	Until   time.Time // zero: until nothing falls due any more
	Member  campaign.Member
	NamedID bool // the test gives the member's id
	Holdout *bool
	Events  []TestEvent
	Stock   map[string]int   // pieces left at the start, by offer
	Budget  map[string]int64 // points left at the start, by reward
	Expect  Expect
}

// TestEvent is something that happens in a test: an event, or an entry by the API.
type TestEvent struct {
	Mark       Mark
	At, Stored time.Time // when it happened, and when it is told
	Type       string
	Properties json.RawMessage
	Enter      string                  // a journey
	Decide     campaign.ReviewDecision // about the review that is open then
	Call       string                  // the name of the call that is answered then, with Returned
	Refused    bool                    // or never will be
	Returned   map[string]json.RawMessage
}

// Expect is what must come of it. A list that is there must be all that there is of its
// kind; what is nil is not looked at.
type Expect struct {
	Sends      *Expected[ExpectedSend]
	Offers     *Expected[ExpectedOffer]
	Grants     *Expected[ExpectedGrant]
	Outcomes   *Expected[ExpectedOutcome]
	Goal       *ExpectedGoal
	Tags       []ExpectedTags
	Attributes []ExpectedAttribute
	Points     *ExpectedPoints
}

// Expected is a list of things with the place of the list.
type Expected[T any] struct {
	Mark Mark
	List []T
}

// ExpectedSend is a message; At may be zero, Text empty.
type ExpectedSend struct {
	Mark    Mark
	Message string
	At      time.Time
	Text    string
}

// ExpectedOffer is an offer and the state that it comes to; At is when it closed, or
// opened if it is open still.
type ExpectedOffer struct {
	Mark  Mark
	Offer string
	State campaign.OfferState
	At    time.Time
	Paid  *campaign.Money
}

// ExpectedGrant is a reward that is granted.
type ExpectedGrant struct {
	Mark   Mark
	Reward string
	At     time.Time
}

// ExpectedOutcome is how one entry ends; UnderWay if it does not.
type ExpectedOutcome struct {
	Mark    Mark
	Outcome string
	At      time.Time
}

// UnderWay is the outcome of a journey that is not over when its test is.
const UnderWay = "under-way"

// ExpectedGoal says whether the goal is reached.
type ExpectedGoal struct {
	Mark    Mark
	Reached bool
}

// ExpectedTags are all the member's tags at a moment; zero: at the end.
type ExpectedTags struct {
	Mark Mark
	At   time.Time
	Tags []string
}

// ExpectedAttribute is an attribute's value at the end.
type ExpectedAttribute struct {
	Mark  Mark
	Name  string
	Value json.RawMessage
}

// ExpectedPoints are the member's points at the end.
type ExpectedPoints struct {
	Mark   Mark
	Points int64
}

// Tests reads a campaign file with the tests that it holds.
func Tests(file string, source []byte) (*campaign.Definition, []Test, Problems) {
	c, def, problems := check(file, source)
	return def, c.tests, problems
}

// TestsBeside reads a file of tests for a campaign: its only key is tests.
func TestsBeside(file string, source []byte, def *campaign.Definition) ([]Test, Problems) {
	c, root, ok := beside(file, source, def)
	if ok {
		if top, ok := c.object(root, testsShape); ok {
			if _, has := top.get("tests"); !has {
				c.missing(top, root, "the file", "tests", "write `tests:` and a list of tests")
			}
			c.allTests(top)
		}
	}
	return c.tests, c.problems.order()
}
