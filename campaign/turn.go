package campaign

import (
	"encoding/json"
	"time"
)

// Decision is what one turn of the core decided: everything here is written in the
// transaction that decided it.
type Decision struct {
	// State is the journey's new state, opaque to everything but the core.
	State json.RawMessage
	// Cursor is the number of the last event of the member that was judged.
	Cursor int64

	Sends []SendEffect
	// RefundsAsked are orders that a shop is asked to pay back.
	RefundsAsked []RefundEffect
	// RefundsTold are those of them, of this turn or earlier ones, that the shop has done.
	RefundsTold []RefundTold
	// GivenUp are calls of earlier turns that nobody waits for any more.
	GivenUp []GivenUp
	Offers  []OfferEffect
	// Referrals are states to which the referral that the journey follows has come.
	Referrals []ReferralEffect
	Member    MemberChange
	Reviews   []Review
	Goal      *Goal
	// GoalRefund is set when a payment that was the goal went back, OfferRefunds tells of the
	// offers whose order did.
	GoalRefund   *GoalRefund
	OfferRefunds []OfferRefund
	Trace        []TraceLine
	// Exposures are the splits at which the member came to an arm for the first time.
	Exposures []Exposure

	// Step and StepName say where the journey stands now.
	Step     string
	StepName string
	// Summary says in a marketer's words what it waits for, without member data.
	Summary string
	// WaitUntil is the campaign time of the next look; zero: only an event will do.
	WaitUntil time.Time
	// Listens lists the event types that concern the journey from now on.
	Listens []string
	// Outcome is set when the journey is over.
	Outcome string
	// Migrated is set by a turn that was to bring the journey to another version.
	Migrated *Migrated
}

// Done reports whether the journey is over.
func (d *Decision) Done() bool { return d.Outcome != "" }

// Outcomes that the engine itself gives; a campaign may name others with end.
const (
	OutcomeCompleted = "completed"
	OutcomeConverted = "converted"
	OutcomeExited    = "exited"
	OutcomeEnded     = "ended" // the campaign was ended with --now
)

// SendEffect is a message to be sent once.
type SendEffect struct {
	Key      string        `json:"key"`
	Step     string        `json:"step"`
	Message  string        `json:"message"`
	Kind     MessageKind   `json:"kind"`
	Bodies   []ChannelBody `json:"bodies"` // in the order in which channels are tried
	At       time.Time     `json:"at"`
	Deadline time.Time     `json:"deadline,omitzero"` // of no use after this
}

// ChannelBody is the wording for one channel.
type ChannelBody struct {
	Channel string `json:"channel"`
	Body    string `json:"body"`
	Subject string `json:"subject,omitempty"` // of a channel that has one
}

// GivenUp is a claimed call that is not to be made, or not again.
type GivenUp struct {
	Key    string
	Reason string
}

// OfferState is the life of an offer: open, then one of the others for good.
type OfferState string

// Offer states.
const (
	OfferOpen      OfferState = "open"
	OfferTaken     OfferState = "taken"
	OfferLapsed    OfferState = "lapsed"
	OfferWithdrawn OfferState = "withdrawn"
)

// OfferEffect opens an offer or moves it to its last state.
type OfferEffect struct {
	ID         string     `json:"id"`
	Key        string     `json:"key"`
	Offer      string     `json:"offer"`
	Step       string     `json:"step"`
	State      OfferState `json:"state"`
	Price      Money      `json:"price"`
	ListPrice  Money      `json:"list_price"`
	OpenedAt   time.Time  `json:"opened_at"`
	ExpiresAt  time.Time  `json:"expires_at,omitzero"`  // zero: no lock
	GraceUntil time.Time  `json:"grace_until,omitzero"` // late orders are heard until then
	ClosedAt   time.Time  `json:"closed_at,omitzero"`
	Order      string     `json:"order,omitempty"`
	Paid       Money      `json:"paid"`
	// Reserved says of one that closes that orders had reserved it.
	Reserved bool `json:"reserved,omitempty"`
	// Reopened says of one that is open that it was closed before, by a move that is
	// taken back.
	Reopened bool `json:"reopened,omitempty"`
	// Team is the code of the team in which Order pays for it.
	Team string `json:"team,omitempty"`
	// Ordered says of one that is open that Order has paid for it, and its member waits for
	// her team.
	Ordered bool `json:"ordered,omitempty"`
	// GaveBack says that Order has taken nothing after all, neither a piece of stock nor one
	// of the times that the member may have it. The offer ends, or is open as before.
	GaveBack bool `json:"gave_back,omitempty"`
}

// MemberChange is what steps changed of the member, in order of tags first.
type MemberChange struct {
	AddTags    []string
	RemoveTags []string
	Set        map[string]json.RawMessage
}

// Empty reports whether nothing changes.
func (c MemberChange) Empty() bool {
	return len(c.AddTags) == 0 && len(c.RemoveTags) == 0 && len(c.Set) == 0
}

// Exposure says at which arm of a split a member came, once for each journey and split.
// Who is held out is not exposed.
type Exposure struct {
	Split string
	Arm   string
	At    time.Time // campaign time
}

// Goal is the conversion, recorded once.
type Goal struct {
	At    time.Time
	Event string
	Value Money // the event's amount, where it has one
}

// Ask is a question that only the keeper of the truth can answer exactly, under a
// lock, in the transaction of the turn: may this be taken, may this be granted? The
// core stops at it and is run again with the answer.
type Ask struct {
	Key   string
	Take  *TakeAsk
	Grant *GrantAsk
	Team  *TeamAsk
	Vest  *VestAsk
	// ClawBack takes back what an order led to.
	ClawBack *ClawBackAsk
	// Version is the version whose step asks: in a turn that migrates not always that of
	// the journey's row.
	Version int
}

// TakeAsk asks for one piece of an offer's stock. The core itself knows how many the
// member has taken; the stock is everybody's.
type TakeAsk struct {
	Offer string
	Stock int // 0: unlimited
	// ID is set where orders have reserved the offer: which offer it is. The piece that is held
	// for the offer is hers then. Order is the one that takes it.
	ID    string
	Order string
	// Full says that the member may take no more. Nothing is taken then; what is asked is
	// whether the order counts already.
	Full bool
}

// Stock is the offer whose stock an ask is about; empty: none.
func (a *Ask) Stock() string {
	switch {
	case a.Take != nil:
		return a.Take.Offer
	case a.Team != nil && a.Team.Buy != nil:
		return a.Team.Buy.Offer
	}
	return ""
}

// GrantAsk asks for a reward within its budget and limits. The budget is that of the
// version submitted last, which the keeper knows.
type GrantAsk struct {
	Reward    string
	Points    int64
	PerMember *Times
	Step      string
	Zone      *time.Location // whose days a budget of a day is of
	// Of is the reward as the version of the journey has it; nil: one of points.
	Of *Reward
	// Value is what the steps of a reward are measured by; nil: how often it was asked for.
	Value *int64
	// Order is the order that led to it, if it is to be taken back when that is refunded.
	Order string
	// To is the member who gets it; empty: the one of the journey.
	To string
}

// Answer answers an Ask. A refusal has a reason: stock, per_member, per_day, budget, pool, held, step or refunded; or why she
// did not get into the team that she wanted to join.
type Answer struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
	Team   *Team  `json:"team,omitempty"` // of a TeamAsk
	Points int64  `json:"-"`              // of a GrantAsk of a reward in steps: what was paid
	Piece  *Piece `json:"-"`              // of a GrantAsk of a coupon or a benefit; its code is a secret
	// ClawedBack tells, of a ClawBackAsk, what was taken back, by reward.
	ClawedBack []ClawedBack `json:"clawed_back,omitempty"`
	// Success is of a VestAsk: which success of the inviter it is, from 1. Held says that a
	// person is to decide first.
	Success int  `json:"success,omitempty"`
	Held    bool `json:"held,omitempty"`
}

// Reasons of a refusal.
const (
	RefusedStock     = "stock"
	RefusedPerMember = "per_member"
	RefusedPerDay    = "per_day"
	RefusedBudget    = "budget"
	RefusedPaused    = "paused"   // what is left of the budget is kept back
	RefusedPool      = "pool"     // no code is left to give
	RefusedHeld      = "held"     // she has one that is not used yet
	RefusedStep      = "step"     // no step is reached that was not paid yet
	RefusedRefunded  = "refunded" // the order that led to it was refunded before
	// Of rules of points.
	RefusedDailyCap  = "daily_cap"
	RefusedUndecided = "undecided" // the rule's expressions had no value for the event
)

// TurnInput is the input of a journey workflow: ids and numbers, no people.
type TurnInput struct {
	Journey int64     `json:"j"`           // the journey's row
	Turn    int       `json:"t,omitempty"` // the last turn taken, after continue-as-new
	Step    string    `json:"s,omitempty"` // the Step attribute last written
	Held    []SendRef `json:"h,omitempty"` // sends not yet done, after continue-as-new
	// Most is after how many turns the run continues as new, where that is wanted
	// earlier than the server suggests it; carried from run to run.
	Most int `json:"n,omitempty"`
}

// TurnResult is all that the workflow learns of a turn.
type TurnResult struct {
	// Turn is the number of the last turn taken: one more than before, or the same
	// where there was nothing to do or the campaign is paused.
	Turn int `json:"t"`
	// Sends are claimed and rendered in PostgreSQL under these keys.
	Sends []SendRef `json:"s,omitempty"`
	// Wait is the real span until the next look; negative: only a poke will do.
	Wait time.Duration `json:"w"`
	// Due identifies the moment that is waited for, so that a poke that changes
	// nothing keeps its timer (Unix microseconds on the campaign's clock).
	Due int64 `json:"d,omitempty"`
	// Step is the value of the Step search attribute.
	Step string `json:"p,omitempty"`
	// Summary is what the Temporal web UI shows of the wait.
	Summary string `json:"m,omitempty"`
	// Outcome is set when the journey is over.
	Outcome string `json:"o,omitempty"`
	// Version is the value of the Version search attribute, where the turn changed it.
	Version int `json:"v,omitempty"`
}

// SendRef points to a claimed message.
type SendRef struct {
	Key     string `json:"k"`
	Channel string `json:"c"`
	Message string `json:"m"` // its name, for the activity's summary
	// Near says that the worker that took the turn has the channel at hand: it is tried
	// there once, before the channel's task queue is asked.
	Near bool `json:"n,omitempty"`
}

// SendOutcome is how a send ended.
type SendOutcome string

// Outcomes of a send.
const (
	SendSent    SendOutcome = "sent"
	SendRefused SendOutcome = "refused" // this channel says permanently no
	SendHeld    SendOutcome = "held"    // the campaign is paused: try after the next poke
	SendDropped SendOutcome = "dropped" // its deadline has passed, or the campaign ended
	SendUnknown SendOutcome = "unknown" // the answer was lost; to be reconciled
	SendFailed  SendOutcome = "failed"  // the channel could not be reached for too long
	SendLater   SendOutcome = "later"   // not tried here, or not delivered: to be tried by the channel's task queue
)

// SendResult is what the workflow learns of a send; Next is the channel to try when
// this one refused, empty if there is none. After is for how long a message that is to be
// sent later must rest.
type SendResult struct {
	Outcome SendOutcome   `json:"o"`
	Next    string        `json:"n,omitempty"`
	After   time.Duration `json:"a,omitempty"`
}

// SliceInput is the input of a slice's workflow and of its activities.
type SliceInput struct {
	Slice int    `json:"s"`           // its row
	Via   string `json:"v,omitempty"` // of SendSlice: the channel
	// Count asks AdvanceSlice how many members stand at each step, for the web UI.
	Count bool `json:"c,omitempty"`
	// Most is after how many rounds the run continues as new, as in TurnInput.
	Most int `json:"n,omitempty"`
}

// SliceResult is what the workflow of a slice learns of some pages of turns.
type SliceResult struct {
	Turned int `json:"t,omitempty"`
	// Wait is the real span until somebody falls due; 0: at once; negative: only a poke
	// will do.
	Wait time.Duration `json:"w"`
	// Channels lists those for which messages wait.
	Channels []string `json:"c,omitempty"`
	// Steps counts the members under way by step, where that was asked.
	Steps []StepCount `json:"p,omitempty"`
	// Over is set when the campaign has ended and nobody is left.
	Over bool `json:"o,omitempty"`
}

// StepCount is how many members stand at a step.
type StepCount struct {
	Step    string `json:"s"`
	Members int64  `json:"m"`
}

// SendSliceResult is what the workflow of a slice learns of some pages of sends.
type SendSliceResult struct {
	Sent int `json:"t,omitempty"`
	// Channels lists others for which messages wait now: those that had to wait for one
	// of this channel.
	Channels []string `json:"c,omitempty"`
	// Wait is the real span until the next message is to be tried; 0: at once; negative:
	// there is none.
	Wait time.Duration `json:"w"`
}

// SweepInput is the input of a campaign's workflow and of its sweep over the members:
// who is in a segment that starts a journey, and has not entered.
type SweepInput struct {
	Campaign string `json:"c"`
	Start    int    `json:"s,omitempty"` // which of the starts by segment, from 0
	After    string `json:"a,omitempty"` // the last member of the page before
}

// SweepResult is what one page of a sweep tells the campaign's workflow.
type SweepResult struct {
	Start int           `json:"s,omitempty"`
	After string        `json:"a,omitempty"` // where to go on; empty, and Start 0: the sweep is done
	Wait  time.Duration `json:"w,omitempty"` // real span until the next sweep
	Over  bool          `json:"o,omitempty"` // the campaign takes no more entrants
}

// Outgoing is a claimed message on its way to a channel.
type Outgoing struct {
	Key          string
	Campaign     string
	Journey      string
	JourneyRow   int64
	Version      int
	Member       string
	Step         string
	Name         string
	Kind         MessageKind
	Bodies       []ChannelBody
	State        string
	Settled      bool          // sent, refused … already
	InDoubt      bool          // an earlier attempt may have reached the provider
	Attempts     int           // so far
	Trying       time.Duration // since the first attempt, real
	Via          string        // of a slice's message: the channel to try
	Identities   []Identity    // how the member is reached
	Paused       bool          // its campaign is paused
	Ended        bool          // its campaign was ended at once
	At, Deadline time.Time     // campaign time; Deadline may be zero
	Now          time.Time     // campaign time
	Clock        Clock
}

// Body finds the wording for a channel and the channel to try after it.
func (o *Outgoing) Body(channel string) (body ChannelBody, next string, ok bool) {
	for i, b := range o.Bodies {
		if b.Channel != channel {
			continue
		}
		if i+1 < len(o.Bodies) {
			next = o.Bodies[i+1].Channel
		}
		return b, next, true
	}
	return ChannelBody{}, "", false
}

// Identity finds how the member is reached by an address of a kind and account. One who
// is not has an identity without an address.
func (o *Outgoing) Identity(kind IdentityKind, account string) Identity {
	for _, i := range o.Identities {
		if i.Kind == kind && i.Account == account {
			return i
		}
	}
	return Identity{Kind: kind, Account: account, State: IdentityReachable}
}

// Attempt is how one attempt to send ended.
type Attempt struct {
	Of      *Outgoing
	Channel string
	// State is how the message ended for good; empty: it is to be tried again.
	State      SendOutcome
	Reason     string
	ProviderID string
	// Returned is what a call was answered, typed by its declared fields.
	Returned map[string]json.RawMessage
	// NotDone says of one that is to be tried again that this attempt did certainly not
	// deliver it; otherwise it stays in doubt.
	NotDone bool
	// Untried says of one that is not done that its receiver was not even asked.
	Untried bool
	// Next is the channel to try after this one has refused it.
	Next string
	// Identity and Mark tell what a platform said of the member's address; an empty Mark
	// tells nothing.
	Identity Identity
	Mark     IdentityState
	// Again is the real span until it is to be tried again.
	Again time.Duration
}
