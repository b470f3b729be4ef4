package campaign

import (
	"crypto/sha256"
	"encoding/json"
	"math/big"
	"strings"
	"time"
	"unicode"
)

// Bounds of a team's size. One is no team. A team is closed, and each of its members
// told, by one who came last: with a hundred of them that is still one small batch. What
// is larger is a community.
const (
	MinTeam = 2
	MaxTeam = 100
)

// TeamState is the life of a team: open, then one of the others for good.
type TeamState string

// Team states.
const (
	TeamOpen      TeamState = "open"
	TeamFormed    TeamState = "formed"    // its last place was taken
	TeamFailed    TeamState = "failed"    // its time was over before that
	TeamWithdrawn TeamState = "withdrawn" // everybody had left it
)

// FormTeam lets members come together in teams of Size. Who comes with the code of an
// open team with a free place joins it; everybody else opens one of her own. When the
// last place is taken all go on with Formed; when the span Within, counted from the
// opening, is over before, all go on with Failed.
type FormTeam struct {
	StepCommon
	Size     int           `json:"size"`
	Within   time.Duration `json:"within"`
	Join     string        `json:"join,omitempty"`     // CEL that gives the code of the team that she wants to join
	Announce string        `json:"announce,omitempty"` // message
	Remind   []Reminder    `json:"remind,omitempty"`
	Via      []string      `json:"via,omitempty"`
	Formed   Steps         `json:"formed,omitempty"`
	Failed   Steps         `json:"failed,omitempty"`
}

// Kind implements Step.
func (*FormTeam) Kind() StepKind { return StepTeam }

// Place is where the members of a team stand: at the step with this label or, where it
// has none, with this number. Versions of a journey that have such a step share it.
func (s *FormTeam) Place() string {
	if s.Label != "" {
		return s.Label
	}
	return s.ID
}

// Teams lists the steps of a list, and of the blocks in them, at which teams come together.
func (s Steps) Teams() []*FormTeam {
	var out []*FormTeam
	for _, step := range s {
		if t, ok := step.(*FormTeam); ok {
			out = append(out, t)
		}
		for _, b := range Children(step) {
			out = append(out, b.Steps.Teams()...)
		}
	}
	return out
}

// Teams reports whether teams come together in a journey of the campaign.
func (d *Definition) Teams() bool {
	for i := range d.Journeys {
		if d.Journeys[i].Steps.ComeTogether() {
			return true
		}
	}
	return false
}

// EventTeamFormed is the type of the event by which a journey learns that the team of its
// member is complete. Its time is when the last place was taken. No campaign can declare
// it and no caller can tell it: its name is none that an event type can have.
const EventTeamFormed = "@team.formed"

// WordTeamFormed is what tests and populations call EventTeamFormed.
const WordTeamFormed = "team.formed"

// Formation is what an EventTeamFormed tells.
type Formation struct {
	Team string `json:"team"` // its code
}

// FormationOf reads which team an event tells to be complete; ok is false for every other
// event.
func FormationOf(e *Event) (f Formation, ok bool) {
	if e.Type != EventTeamFormed || json.Unmarshal(e.Properties, &f) != nil {
		return Formation{}, false
	}
	return f, f.Team != ""
}

// A code is read aloud, typed and put into links. It has no vowels, so that no words come
// about, and of what looks alike (0 and O, 1, I and L, 2 and Z, 5 and S, 8 and B) at most one.
const (
	codeLetters = "23456789CDFGHJKMNPQRTVWXY"
	codeLength  = 10
)

// TeamCode makes a code of a seed: of 25 letters in ten places, 9·10^13 in all. It is as
// hard to guess as its seed.
func TeamCode(seed []byte) string {
	sum := sha256.Sum256(append([]byte("team\x00"), seed...))
	n, letters, digit := new(big.Int).SetBytes(sum[:]), big.NewInt(int64(len(codeLetters))), new(big.Int)
	code := make([]byte, codeLength)
	for i := range code {
		n.DivMod(n, letters, digit)
		code[i] = codeLetters[digit.Int64()]
	}
	return string(code)
}

// ReadTeamCode reads a code as people type it: in small or full-width letters, with
// blanks or hyphens in it. ok is false for what cannot be one.
func ReadTeamCode(text string) (code string, ok bool) {
	if len(text) > 16*codeLength {
		return "", false
	}
	code = strings.Map(func(r rune) rune {
		if r >= '！' && r <= '～' {
			r -= '！' - '!'
		}
		if unicode.IsSpace(r) || r == '-' {
			return -1
		}
		return unicode.ToUpper(r)
	}, text)
	return code, len(code) == codeLength && strings.Trim(code, codeLetters) == ""
}

// TeamDo is what is asked about a team.
type TeamDo string

// What is asked about a team.
const (
	TeamJoin  TeamDo = "join"  // let her into the team, or open one for her
	TeamLook  TeamDo = "look"  // how does it stand?
	TeamClose TeamDo = "close" // its time is over: is it formed, or has it failed?
	TeamLeave TeamDo = "leave" // she gives her place back, unless the team is formed
)

// TeamAsk asks about a team. Each is answered under the lock of the team, so that all its
// members are told the same, whoever asks first.
type TeamAsk struct {
	Do   TeamDo
	Code string // of TeamJoin: that she wants to join; empty: none
	// The rest is of TeamJoin alone: where she stands, and what a team of her own would be.
	Place  string
	Size   int
	Opens  time.Time
	EndsAt time.Time
	// Buy is of who has paid for an offer; nil: she stands at a team step. Of TeamClose and
	// TeamLeave it says what goes back to the stock, unless the team is formed.
	Buy *BuyAsk
}

// BuyAsk is the order that gives its member a place in a team, and takes one piece of the
// offer's stock. An order has one place for ever.
type BuyAsk struct {
	TakeAsk
	Paid time.Time // the order's own time or, where a person has approved it, that of the decision
	// Grace is how long after the team's end an order that was paid in time is still heard.
	Grace time.Duration
}

// Team is how a team stands, as one of its members is answered.
type Team struct {
	Code     string    `json:"code"`
	State    TeamState `json:"state"`
	Size     int       `json:"size"`
	Joined   int       `json:"joined"` // members who are in it now
	EndsAt   time.Time `json:"ends_at"`
	ClosesAt time.Time `json:"closes_at,omitzero"` // when nobody comes into it any more; zero: at its end
	ClosedAt time.Time `json:"closed_at,omitzero"` // when the last place was taken, or it ended otherwise
	Leader   bool      `json:"leader,omitempty"`   // of those in it she came first
}

// Reasons for which a team that a member wanted to join did not take her.
const (
	TeamUnknown   = "no_such_team"
	TeamElsewhere = "team_elsewhere" // of another step, journey or campaign
	TeamFull      = "team_formed"
	TeamEnded     = "team_ended"
	TeamTwice     = "in_team_already"
)

// TeamOrderTwice is why an order gives no place and takes no offer: it has, or had, a place
// already, or it has taken another offer of that name.
const TeamOrderTwice = "order_counted"

// TeamNoOrder is why what was paid gives no place: the event does not say which order it is,
// so nobody could pay it back.
const TeamNoOrder = "no_order_id"

// TeamOrdered is why what was paid gives no place: its member has ordered the offer already
// and waits for her team.
const TeamOrdered = "ordered_already"

// Closes is the moment after which nobody comes into the team any more.
func (t *Team) Closes() time.Time {
	if t.ClosesAt.IsZero() {
		return t.EndsAt
	}
	return t.ClosesAt
}
