package campaign

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Step is one step of a journey. The set is closed: every kind is a struct in this
// package, and gochecksumtype names each switch that forgets one.
//
//sumtype:decl
type Step interface {
	// Kind is the word that names the step in YAML, e.g. "await".
	Kind() StepKind
	// Common gives what every step has.
	Common() *StepCommon
	step()
}

// StepKind names a kind of step by the key that a marketer writes.
type StepKind string

// Step kinds.
const (
	StepSend   StepKind = "send"
	StepWait   StepKind = "wait"
	StepAwait  StepKind = "await"
	StepOffer  StepKind = "offer"
	StepChoose StepKind = "choose"
	StepSplit  StepKind = "split"
	StepRepeat StepKind = "repeat"
	StepTag    StepKind = "tag"
	StepUntag  StepKind = "untag"
	StepSet    StepKind = "set"
	StepGrant  StepKind = "grant"
	StepAsk    StepKind = "ask"
	StepReview StepKind = "review"
	StepTeam   StepKind = "team"
	StepCall   StepKind = "call"
	StepGoto   StepKind = "goto"
	StepEnd    StepKind = "end"
)

// newStep makes an empty step of each kind. A new kind adds its line here; the
// compiler, the checker's list and the lint rule on Step find the other places.
var newStep = map[StepKind]func() Step{
	StepSend:   func() Step { return new(Send) },
	StepWait:   func() Step { return new(Wait) },
	StepAwait:  func() Step { return new(Await) },
	StepOffer:  func() Step { return new(MakeOffer) },
	StepChoose: func() Step { return new(Choose) },
	StepSplit:  func() Step { return new(Split) },
	StepRepeat: func() Step { return new(Repeat) },
	StepTag:    func() Step { return new(Tag) },
	StepUntag:  func() Step { return new(Untag) },
	StepSet:    func() Step { return new(Set) },
	StepGrant:  func() Step { return new(Grant) },
	StepAsk:    func() Step { return new(AskQuestion) },
	StepReview: func() Step { return new(OpenReview) },
	StepTeam:   func() Step { return new(FormTeam) },
	StepCall:   func() Step { return new(CallService) },
	StepGoto:   func() Step { return new(Goto) },
	StepEnd:    func() Step { return new(End) },
	StepRefer:  func() Step { return new(FollowReferral) },
}

// StepKinds lists every kind of step that can be written, in the order of the reference.
func StepKinds() []StepKind {
	return []StepKind{
		StepSend, StepWait, StepAwait, StepOffer, StepChoose, StepSplit, StepRepeat, StepTag, StepUntag, StepSet, StepGrant,
		StepAsk, StepReview, StepTeam, StepCall, StepGoto, StepEnd,
	}
}

// StepCommon is what every step has.
type StepCommon struct {
	// ID is the step's place in its journey, unique within it and stable within a
	// version: "3" is the third step, "3.taken.1" the first of its taken branch.
	ID string `json:"id"`
	// Label is the name that a goto jumps to, if the marketer gave one.
	Label string `json:"label,omitempty"`
	// Line is where the step stands in the submitted text.
	Line int `json:"line,omitempty"`
}

// Common gives what every step has.
func (c *StepCommon) Common() *StepCommon { return c }

func (*StepCommon) step() {}

// Send sends a message once, by the first channel of Via that takes it; without Via
// by the installation's default channel.
type Send struct {
	StepCommon
	Message string   `json:"message"`
	Via     []string `json:"via,omitempty"`
}

// Wait sleeps for a span or until a moment: one of the three is set. A moment that is
// past when the step begins holds up nobody.
type Wait struct {
	StepCommon
	For   time.Duration `json:"for,omitempty"`
	Until string        `json:"until,omitempty"` // as ParseCalendar reads it
	At    string        `json:"at,omitempty"`    // CEL that gives the moment
}

// Await waits for the first event of one of the types whose condition holds, and
// runs Otherwise when the time is over.
type Await struct {
	StepCommon
	Events    []string      `json:"events"`
	When      string        `json:"when,omitempty"`
	For       time.Duration `json:"for"`
	Grace     time.Duration `json:"grace,omitempty"`
	Otherwise Steps         `json:"otherwise,omitempty"`
}

// MakeOffer opens an offer for the member. With a lock it holds the price and goes on
// by what happened: Taken or Lapsed. Without one it goes on at once, and the offer
// stays open until it is taken or withdrawn.
//
// An offer with a team always has a lock. Who has paid for it waits for her team; when that
// is complete the offer is taken, and when it is not Failed runs.
type MakeOffer struct {
	StepCommon
	Offer    string     `json:"offer"`
	Announce string     `json:"announce,omitempty"` // message
	Remind   []Reminder `json:"remind,omitempty"`
	Via      []string   `json:"via,omitempty"`
	Taken    Steps      `json:"taken,omitempty"`
	Lapsed   Steps      `json:"lapsed,omitempty"`

	Team   *OfferTeamStep `json:"team,omitempty"`   // of an offer with a team
	Failed Steps          `json:"failed,omitempty"` // as Team
}

// Reminder is a message at a time before an offer's end.
type Reminder struct {
	Before time.Duration `json:"before"`
	Send   string        `json:"send"` // message
}

// Choose runs the first case whose condition holds.
type Choose struct {
	StepCommon
	Cases     []Case `json:"cases"`
	Otherwise Steps  `json:"otherwise,omitempty"`
}

// Case is one condition of a Choose.
type Case struct {
	When  string `json:"when"`
	Steps Steps  `json:"steps,omitempty"`
}

// Split leads each member to one of several arms, chosen by a stable hash, and records
// the exposure.
type Split struct {
	StepCommon
	Name string `json:"name"`
	Arms []Arm  `json:"arms"`
}

// Arm is one way of a Split. The shares of all arms add up to WholeShare.
type Arm struct {
	Name  string `json:"name"`
	Share int    `json:"share"` // basis points: 500 is 5 %
	Steps Steps  `json:"steps,omitempty"`
}

// WholeShare is 100 % in basis points.
const WholeShare = 10_000

// Repeat runs its steps in rounds, at most Times, and leaves as soon as Until holds
// before or after a round. A round begins Every after the begin of the one before, or,
// where that took longer or Every is 0, at its end.
type Repeat struct {
	StepCommon
	Times int           `json:"times"`
	Every time.Duration `json:"every,omitempty"`
	Until string        `json:"until,omitempty"` // CEL
	Steps Steps         `json:"steps"`
}

// RepeatBlock names the block of a Repeat's steps.
const RepeatBlock = "steps"

// Tag adds tags to the member.
type Tag struct {
	StepCommon
	Tags []string `json:"tags"`
}

// Untag removes tags from the member.
type Untag struct {
	StepCommon
	Tags []string `json:"tags"`
}

// Set sets declared attributes of the member.
type Set struct {
	StepCommon
	Assign []Assign `json:"assign"`
}

// Assign is one attribute with the CEL expression of its new value.
type Assign struct {
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
}

// Grant gives a reward once, within its budget and limits.
type Grant struct {
	StepCommon
	Reward string `json:"reward"`
	To     string `json:"to,omitempty"` // ToInviter; empty: the member of the journey
}

// AskQuestion puts a question to the member and waits for her reply. The reply is the
// first answer that it fits. One that fits none makes the question be put again, Repeat
// times at most. When the span For is over Otherwise runs.
type AskQuestion struct {
	StepCommon
	Message   string        `json:"message"`
	Again     string        `json:"again,omitempty"` // message of the repetition; Message unless told
	Via       []string      `json:"via,omitempty"`
	Answers   []AnswerForm  `json:"answers"`
	For       time.Duration `json:"for"`
	Grace     time.Duration `json:"grace,omitempty"`
	Repeat    int           `json:"repeat,omitempty"`
	Otherwise Steps         `json:"otherwise,omitempty"`
}

// OpenReview asks a person for a decision and goes on by it: Approved or Rejected. When
// the span For is over the backup of the role By is asked, where it has one, for as long
// again; when that is over too, Otherwise holds.
type OpenReview struct {
	StepCommon
	By        string         `json:"by"` // role
	About     string         `json:"about,omitempty"`
	For       time.Duration  `json:"for"`
	Otherwise ReviewDecision `json:"otherwise"`
	Approved  Steps          `json:"approved,omitempty"`
	Rejected  Steps          `json:"rejected,omitempty"`
}

// CallService puts a question to an outside service and waits for its answer, for the
// span For in all. Answered, the fields of Returns are readable under the name SaveAs;
// when the service refuses for good, answers something else or the time is over, Otherwise
// runs.
type CallService struct {
	StepCommon
	URL       string        `json:"url"`
	Body      string        `json:"body,omitempty"` // CEL; empty: an empty object
	Returns   []CallField   `json:"returns,omitempty"`
	SaveAs    string        `json:"save_as,omitempty"` // empty: nothing is read of the answer
	For       time.Duration `json:"for"`
	Timeout   time.Duration `json:"timeout"` // of one try
	Otherwise Steps         `json:"otherwise,omitempty"`
}

// Goto goes on at a labelled step: forward, or back over a step that waits.
type Goto struct {
	StepCommon
	Target string `json:"target"`
}

// End ends the journey with a named outcome.
type End struct {
	StepCommon
	Outcome string `json:"outcome"`
}

// Kind implements Step.
func (*Send) Kind() StepKind { return StepSend }

// Kind implements Step.
func (*Wait) Kind() StepKind { return StepWait }

// Kind implements Step.
func (*Await) Kind() StepKind { return StepAwait }

// Kind implements Step.
func (*MakeOffer) Kind() StepKind { return StepOffer }

// Kind implements Step.
func (*Choose) Kind() StepKind { return StepChoose }

// Kind implements Step.
func (*Split) Kind() StepKind { return StepSplit }

// Kind implements Step.
func (*Repeat) Kind() StepKind { return StepRepeat }

// Kind implements Step.
func (*Tag) Kind() StepKind { return StepTag }

// Kind implements Step.
func (*Untag) Kind() StepKind { return StepUntag }

// Kind implements Step.
func (*Set) Kind() StepKind { return StepSet }

// Kind implements Step.
func (*Grant) Kind() StepKind { return StepGrant }

// Kind implements Step.
func (*AskQuestion) Kind() StepKind { return StepAsk }

// Kind implements Step.
func (*OpenReview) Kind() StepKind { return StepReview }

// Kind implements Step.
func (*CallService) Kind() StepKind { return StepCall }

// Kind implements Step.
func (*Goto) Kind() StepKind { return StepGoto }

// Kind implements Step.
func (*End) Kind() StepKind { return StepEnd }

// Steps is a list of steps that knows its JSON: each step is an object with its kind.
type Steps []Step

// MarshalJSON writes each step with a leading "kind".
func (s Steps) MarshalJSON() ([]byte, error) {
	out := make([]json.RawMessage, 0, len(s))
	for _, st := range s {
		body, err := json.Marshal(st)
		if err != nil {
			return nil, err
		}
		kind, err := json.Marshal(st.Kind())
		if err != nil {
			return nil, err
		}
		out = append(out, json.RawMessage(fmt.Sprintf(`{"kind":%s,%s`, kind, body[1:])))
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote; a kind that this build does not know is
// an error, never skipped.
func (s *Steps) UnmarshalJSON(data []byte) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	steps := make(Steps, 0, len(raw))
	for _, r := range raw {
		var head struct {
			Kind StepKind `json:"kind"`
		}
		if err := json.Unmarshal(r, &head); err != nil {
			return err
		}
		create, ok := newStep[head.Kind]
		if !ok {
			return Errorf(CodeInvalid, "a step of kind %q is not known to this build", head.Kind)
		}
		st := create()
		if err := json.Unmarshal(r, st); err != nil {
			return fmt.Errorf("step of kind %q: %w", head.Kind, err)
		}
		steps = append(steps, st)
	}
	*s = steps
	return nil
}

// StepName says in a few words what a step is, for the report, for explain and for
// the Step search attribute, e.g. "offer monthly-card". It holds no member data.
func StepName(s Step) string { return Shorten(stepName(s), maxStepName) }

// maxStepName keeps a step's name inside a Keyword search attribute: Temporal's SQL
// stores refuse, for ever, one with more than 255 characters.
const maxStepName = 200

// Shorten cuts a text to so many bytes, at a whole character.
func Shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	cut := most - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

func stepName(s Step) string {
	switch s := s.(type) {
	case *Send:
		return "send " + s.Message
	case *Wait:
		switch {
		case s.Until != "":
			return "wait until " + s.Until
		case s.At != "":
			return "wait until " + s.At
		}
		return "wait " + FormatDuration(s.For)
	case *Await:
		return "await " + strings.Join(s.Events, ", ")
	case *MakeOffer:
		return "offer " + s.Offer
	case *Choose:
		return "choose"
	case *Split:
		return "split " + s.Name
	case *Repeat:
		if s.Every == 0 {
			return fmt.Sprintf("repeat %d times", s.Times)
		}
		return fmt.Sprintf("repeat %d times every %s", s.Times, FormatDuration(s.Every))
	case *Tag:
		return "tag " + strings.Join(s.Tags, ", ")
	case *Untag:
		return "untag " + strings.Join(s.Tags, ", ")
	case *Set:
		names := make([]string, len(s.Assign))
		for i, a := range s.Assign {
			names[i] = a.Attribute
		}
		return "set " + strings.Join(names, ", ")
	case *Grant:
		if s.To != "" {
			return "grant " + s.Reward + " to " + s.To
		}
		return "grant " + s.Reward
	case *AskQuestion:
		return "ask " + s.Message
	case *OpenReview:
		return "review by " + s.By
	case *FormTeam:
		return fmt.Sprintf("team of %d", s.Size)
	case *CallService:
		return "call " + s.Name()
	case *Goto:
		return "goto " + s.Target
	case *End:
		return "end " + s.Outcome
	case *FollowReferral:
		return "referral"
	}
	return string(s.Kind())
}

// Children gives the blocks of steps inside a step, each with the name that stands
// between the parent's ID and the child's number, in reading order.
func Children(s Step) []Block {
	switch s := s.(type) {
	case *Await:
		return []Block{{"otherwise", s.Otherwise}}
	case *MakeOffer:
		blocks := []Block{{"taken", s.Taken}, {"lapsed", s.Lapsed}}
		if s.Team != nil {
			blocks = append(blocks, Block{"failed", s.Failed})
		}
		return blocks
	case *Choose:
		blocks := make([]Block, 0, len(s.Cases)+1)
		for i, c := range s.Cases {
			blocks = append(blocks, Block{fmt.Sprintf("case%d", i+1), c.Steps})
		}
		return append(blocks, Block{"otherwise", s.Otherwise})
	case *Split:
		blocks := make([]Block, len(s.Arms))
		for i, a := range s.Arms {
			blocks[i] = Block{a.Name, a.Steps}
		}
		return blocks
	case *Repeat:
		return []Block{{RepeatBlock, s.Steps}}
	case *AskQuestion:
		return []Block{{"otherwise", s.Otherwise}}
	case *OpenReview:
		return []Block{{"approved", s.Approved}, {"rejected", s.Rejected}}
	case *FormTeam:
		return []Block{{"formed", s.Formed}, {"failed", s.Failed}}
	case *CallService:
		return []Block{{"otherwise", s.Otherwise}}
	case *Send, *Wait, *Tag, *Untag, *Set, *Grant, *Goto, *End, *FollowReferral:
		return nil
	}
	return nil
}

// Block is a named list of steps inside a step.
type Block struct {
	Name  string
	Steps Steps
}
