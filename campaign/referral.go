package campaign

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Referral is what a campaign promises to members who bring others: who may invite whom,
// what a friend must do, and what both get for it. Rewards reach one level: the inviter
// of the one who qualified, and nobody above.
type Referral struct {
	Inviters string `json:"inviters,omitempty"` // CEL over the member who wants a code; empty: everybody
	Invitees string `json:"invitees,omitempty"` // CEL over the member who is to be bound; empty: everybody

	CodeLength int    `json:"code_length"`    // letters of a code, its check letter included
	Link       string `json:"link,omitempty"` // where the short link of a code leads; empty: codes have none
	// Attribution is for how long after the click a bind may name it.
	Attribution time.Duration `json:"attribution"`

	Qualifies Qualification `json:"qualifies"`
	Hold      time.Duration `json:"hold,omitempty"`      // from qualifying until the rewards are given
	ClawBack  time.Duration `json:"claw_back,omitempty"` // from then on, for how long a refund takes them back
	// Refunds says that a refund of the qualifying order is heard.
	Refunds bool `json:"refunds,omitempty"`

	Invitee string         `json:"invitee,omitempty"` // reward; empty: she gets none
	Inviter []ReferralStep `json:"inviter,omitempty"` // ascending by From; empty: the inviter gets none
	Limit   *Times         `json:"limit,omitempty"`   // how many referrals of an inviter are rewarded
	Fraud   ReferralFraud  `json:"fraud"`
}

// Qualification is what an invitee must do to count: an event within a span of her being
// bound. Grace is how long after that an event that happened in time is still heard.
type Qualification struct {
	Event  string        `json:"event"`
	When   string        `json:"when,omitempty"` // CEL
	Within time.Duration `json:"within"`
	Grace  time.Duration `json:"grace,omitempty"`
}

// ReferralStep is the reward of an inviter from her success number From on, until a step
// with a larger one begins.
type ReferralStep struct {
	From   int    `json:"from"`
	Reward string `json:"reward"`
}

// ReferralFraud says what is suspicious, where it differs from what package fraud takes for
// it. The scores of the rules that hit are added up: from Hold on a person decides before
// anything is given, from Reject on nobody is bound.
type ReferralFraud struct {
	Hold   int `json:"hold,omitempty"`   // 0: as package fraud has it
	Reject int `json:"reject,omitempty"` // 0: as package fraud has it
	// Review is who decides about what is held; nil: nobody does, and it is not bound.
	Review *ReferralReview `json:"review,omitempty"`
	Rules  []FraudRule     `json:"rules,omitempty"`
	// Left are the events by which an invitee leaves, besides those that Banyan knows of
	// itself: that she opted out, or was refunded what qualified her.
	Left          []string `json:"left,omitempty"`
	MailDomains   []string `json:"mail_domains,omitempty"`
	PhonePrefixes []string `json:"phone_prefixes,omitempty"`
}

// ReferralReview is who decides about a referral that is held, as at a review step.
type ReferralReview struct {
	By        string         `json:"by"`
	For       time.Duration  `json:"for"`
	Otherwise ReviewDecision `json:"otherwise"`
}

// FraudRule is one rule by its name, as package fraud means it.
type FraudRule struct {
	Name   string        `json:"name"`
	Off    bool          `json:"off,omitempty"`
	Effect string        `json:"effect,omitempty"`
	Score  int           `json:"score,omitempty"`
	Most   int           `json:"most,omitempty"`
	Within time.Duration `json:"within,omitempty"`
}

// Reward is that of an inviter for her success number n, from 1; empty: none.
func (r *Referral) Reward(n int) (reward string) {
	for _, s := range r.Inviter {
		if s.From <= n {
			reward = s.Reward
		}
	}
	return reward
}

// ReferralJourney is the name of the journey that follows each referral of a campaign. It
// belongs to the campaign like those that are written, and has one step.
const ReferralJourney = "referral"

// FollowReferral is the step of ReferralJourney, which nobody writes: it leads a referral
// through its states.
type FollowReferral struct{ StepCommon }

// StepRefer is the kind of FollowReferral.
const StepRefer StepKind = "refer"

// Kind implements Step.
func (*FollowReferral) Kind() StepKind { return StepRefer }

// FollowsReferrals gives the journey that follows the referrals of a campaign.
func FollowsReferrals() Journey {
	return Journey{
		Name: ReferralJourney, Starts: []Start{{Event: EventReferralBound}}, Entry: Entry{Rule: EntryEveryTime}, OnGoal: GoalEnds,
		Steps: Steps{&FollowReferral{StepCommon{ID: "1"}}},
	}
}

// Written reports whether a journey of the campaign stands in its text.
func (d *Definition) Written(j *Journey) bool { return d.Referral == nil || j.Name != ReferralJourney }

// ReferralState is where a referral stands. It only ever moves forward.
type ReferralState string

// States of a referral.
const (
	ReferralBound      ReferralState = "bound"
	ReferralQualified  ReferralState = "qualified"   // the invitee did what counts; the rewards are held
	ReferralVested     ReferralState = "vested"      // the rewards were given
	ReferralRejected   ReferralState = "rejected"    // refunded in time, or a person said no
	ReferralExpired    ReferralState = "expired"     // the time to qualify was over
	ReferralClawedBack ReferralState = "clawed-back" // refunded after the rewards were given, and these taken back
)

// ReferralStates lists every state.
func ReferralStates() []ReferralState {
	return []ReferralState{ReferralBound, ReferralQualified, ReferralVested, ReferralRejected, ReferralExpired, ReferralClawedBack}
}

// Follows reports whether a referral may come from a state to this one.
func (s ReferralState) Follows(before ReferralState) bool {
	switch before {
	case ReferralBound:
		return s == ReferralQualified || s == ReferralExpired
	case ReferralQualified:
		return s == ReferralVested || s == ReferralRejected
	case ReferralVested:
		return s == ReferralClawedBack
	case ReferralRejected, ReferralExpired, ReferralClawedBack:
	}
	return false
}

// Event is the type of the event by which the inviter learns that a referral of hers came
// to this state; that of ReferralBound is the invitee's own.
func (s ReferralState) Event() string { return "referral." + strings.ReplaceAll(string(s), "-", "_") }

// EventReferralBound is the type of the event by which the journeys of an invitee learn that
// she was bound. Like those that tell her inviter of the later states it is told by Banyan
// alone.
const EventReferralBound = "referral.bound"

// ReferralEvents are the event types that a campaign with referrals hears without declaring
// them. Of referral.bound the invitee is the member, of the others the inviter.
func ReferralEvents() []EventType {
	out := []EventType{{Name: EventReferralBound, Properties: []Property{
		{Name: "inviter", Type: TypeString},
		{Name: "code", Type: TypeString},
		{Name: "channel", Type: TypeString},
		{Name: "held", Type: TypeBool},
		{Name: "referral", Type: TypeString},
	}}}
	for _, s := range ReferralStates()[1:] {
		out = append(out, EventType{Name: s.Event(), Properties: []Property{
			{Name: "invitee", Type: TypeString}, {Name: "order", Type: TypeString}, {Name: "referral", Type: TypeString},
		}})
	}
	return out
}

// IsReferralEvent reports whether events of a type tell of referrals, and so come from
// Banyan alone.
func IsReferralEvent(name string) bool {
	return slices.ContainsFunc(ReferralEvents(), func(e EventType) bool { return e.Name == name })
}

// Bond is what an event of type EventReferralBound tells.
type Bond struct {
	Campaign string `json:"campaign"`
	Referral int64  `json:"referral,string"`
	Code     string `json:"code"`
	Inviter  string `json:"inviter"`
	Channel  string `json:"channel,omitempty"`
	Held     bool   `json:"held,omitempty"` // a person is to decide before anything is given
}

// BondOf reads the bond that an event tells; ok is false for every other event, and for one
// that did not come from Banyan.
func BondOf(e *Event) (b Bond, ok bool) {
	if e == nil || e.Type != EventReferralBound || !OwnsEventID(e.ID) || json.Unmarshal(e.Properties, &b) != nil {
		return Bond{}, false
	}
	return b, b.Campaign != "" && b.Inviter != ""
}

// ElsewhereReferred reports whether an event tells of a referral of another campaign, or
// pretends to tell of one: nothing that a campaign acts on.
func ElsewhereReferred(e *Event, name string) bool {
	if !IsReferralEvent(e.Type) {
		return false
	}
	var of struct {
		Campaign string `json:"campaign"`
	}
	return !OwnsEventID(e.ID) || json.Unmarshal(e.Properties, &of) != nil || of.Campaign != name
}

// ReferralEventID is the id of the event that tells that a referral came to a state.
func ReferralEventID(referral string, s ReferralState) string {
	return OwnEventID("referral/" + referral + "/" + string(s))
}

// ReferralEffect is a referral's coming to a state.
type ReferralEffect struct {
	Referral int64
	State    ReferralState
	At       time.Time // campaign time
	Event    string    // that made it so, if one did
	Order    string    // of ReferralQualified
	Reason   string    // of ReferralRejected: one of the reasons below, RefusedRefunded or ReasonEnded
	// Inviter and Invitee are the rewards that were given, of ReferralVested.
	Inviter, Invitee string
}

// Reasons for which a referral is rejected.
const (
	ReasonReviewed = "reviewed" // a person said no, or nobody decided
	ReasonFraud    = "fraud"    // the rules of fraud, when it was to vest
)

// ToInviter is the word for a grant's receiver who is the inviter.
const ToInviter = "inviter"

// VestAsk asks that a referral come to ReferralVested. Under the lock of the inviter it is
// judged once more, by what has become known since the binding; then it is counted which
// success of hers it is, and whether her limit lets it be rewarded.
type VestAsk struct {
	Referral int64
	Inviter  string
	Limit    *Times
	At       time.Time // campaign time
	// Qualified is when and how it qualified: in the same turn, perhaps.
	Qualified ReferralEffect
	// Fraud is what is suspicious. Approved says that a person has let it pass: then it is
	// rejected or vests, and is not held again.
	Fraud    *ReferralFraud
	Approved bool
}

// Reasons for which an inviter is not rewarded.
const (
	RefusedNoInviter = "no_inviter"
	RefusedLimit     = "inviter_limit"
)
