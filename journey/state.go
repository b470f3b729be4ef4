package journey

import (
	"encoding/json"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// stateVersion is written into every state. A core that changes the meaning of a field
// raises it and reads the older ones.
const stateVersion = 1

// State is where a member stands in a journey. It is kept as JSON between turns.
type State struct {
	V       int    `json:"v"`
	Step    string `json:"step,omitempty"`
	Waiting bool   `json:"waiting,omitempty"` // the step has begun and waits
	Visit   int    `json:"visit,omitempty"`   // counts steps entered, so that every visit has its own keys

	// Entered is the journey's first moment, Since the moment at which the current
	// step logically began: the own time of the event that led to it, or the due
	// moment of the timer, however late the turn ran.
	Entered time.Time `json:"entered"`
	Since   time.Time `json:"since"`
	// Moved are the events that moved the journey at the very moment Since. They are
	// not judged a second time by the step that they led to.
	Moved  []int64 `json:"moved,omitempty"`
	Cursor int64   `json:"cursor"`          // number of the last event judged
	Fresh  bool    `json:"fresh,omitempty"` // no turn has run yet

	Holdout  bool            `json:"holdout,omitempty"`
	Start    *campaign.Event `json:"start,omitempty"`
	Event    *campaign.Event `json:"event,omitempty"`   // the one that last moved the journey
	Deadline time.Time       `json:"deadline,omitzero"` // of a wait, an await or a round

	Offer   *Offer    `json:"offer,omitempty"`  // opened last; the one a waiting offer step waits for
	Open    []Offer   `json:"open,omitempty"`   // without a lock, still open
	Closed  []Offer   `json:"closed,omitempty"` // kept to judge orders that come too late
	Missed  []Missed  `json:"missed,omitempty"` // awaits whose time ran out
	Pending []Pending `json:"pending,omitempty"`
	Asked   *Asked    `json:"asked,omitempty"`  // put last; the one a waiting ask step waits for
	Review  *Review   `json:"review,omitempty"` // opened last; the one a waiting review step waits for
	Team    *Team     `json:"team,omitempty"`   // come into last; the one for which a waiting team step waits
	Call    *Call     `json:"call,omitempty"`   // made last; the one a waiting call step waits for

	Referral *Referral `json:"referral,omitempty"` // that the journey follows
	Goal     bool      `json:"goal,omitempty"`
	Orders   []Order   `json:"orders,omitempty"` // that it knows, or of which it has heard refunds
	Order    string    `json:"order,omitempty"`  // the last that moved it: what is granted now, it led to
	// Refunds are the types of events that take back what its orders led to, beside those of
	// its version: the one that it was brought from heard of them.
	Refunds  []string  `json:"refunds,omitempty"`
	LastPaid time.Time `json:"last_paid,omitzero"` // of its orders
	// GoalOrder is the order that was the goal, if it was one.
	GoalOrder string   `json:"goal_order,omitempty"`
	Rounds    []Rounds `json:"rounds,omitempty"` // of the repeats that it is in, innermost last
	Splits    []string `json:"splits,omitempty"` // that the member was exposed to

	// Answers are what the member has answered, by name.
	Answers map[string]json.RawMessage `json:"answers,omitempty"`

	// Calls are what the services that the journey called have answered, by call and field.
	Calls map[string]map[string]json.RawMessage `json:"calls,omitempty"`

	Ending  string `json:"ending,omitempty"`  // over but for delayed messages
	Outcome string `json:"outcome,omitempty"` // over

	// Ended is the journey's last moment: that of the event or timer that ended it,
	// however late the turn ran.
	Ended time.Time `json:"ended,omitzero"`
}

// Offer is an offer that the journey made.
type Offer struct {
	ID         string              `json:"id"`
	Key        string              `json:"key"`
	Name       string              `json:"name"`
	Step       string              `json:"step"`
	State      campaign.OfferState `json:"state"`
	Price      campaign.Money      `json:"price"`
	ListPrice  campaign.Money      `json:"list_price"`
	OpenedAt   time.Time           `json:"opened_at"`
	ExpiresAt  time.Time           `json:"expires_at,omitzero"`
	GraceUntil time.Time           `json:"grace_until,omitzero"`
	ClosedAt   time.Time           `json:"closed_at,omitzero"`
	Order      string              `json:"order,omitempty"`    // that took it or, of one that is open, has paid for a place in a team
	Reserved   []Reserved          `json:"reserved,omitempty"` // the last reservation of each order
	Doubts     []campaign.Event    `json:"doubts,omitempty"`   // payments about which a person decides

	Together *campaign.OfferTeam `json:"together,omitempty"` // how members buy it together, as it was when it opened
	Paid     campaign.Money      `json:"paid,omitzero"`      // by Order, for a place in a team
	Team     string              `json:"team,omitempty"`     // the code of that team
	GoalDue  bool                `json:"goal_due,omitempty"` // Order may reach the goal, once the team is complete
}

func (o *Offer) locked() bool { return !o.ExpiresAt.IsZero() }

func (o *Offer) effect(paid campaign.Money) campaign.OfferEffect {
	return campaign.OfferEffect{
		ID: o.ID, Key: o.Key, Offer: o.Name, Step: o.Step, State: o.State, Price: o.Price, ListPrice: o.ListPrice,
		OpenedAt: o.OpenedAt, ExpiresAt: o.ExpiresAt, GraceUntil: o.GraceUntil, ClosedAt: o.ClosedAt, Order: o.Order, Paid: paid, Team: o.Team,
		Reserved: o.State != campaign.OfferOpen && len(o.Reserved) > 0,
	}
}

// Missed is an await whose time ran out, kept to recognise events that were in time
// but arrive too late.
type Missed struct {
	Step     string    `json:"step"`
	Since    time.Time `json:"since"`
	Deadline time.Time `json:"deadline"`
}

// keepClosed bounds what is kept of closed offers and missed awaits, so that a journey
// that loops for a year keeps a small state. Older ones are no longer watched.
const keepClosed = 16

// Pending is a message that waits: for a reminder's moment, the end of quiet hours or
// room under a cap.
type Pending struct {
	Key     string    `json:"key"`
	Step    string    `json:"step"`
	Message string    `json:"message"`
	Via     []string  `json:"via,omitempty"`
	Due     time.Time `json:"due"`
	// Offer is set when the message is about an offer, and of no use once that is
	// taken or past Before.
	Offer  string    `json:"offer,omitempty"`
	Team   string    `json:"team,omitempty"` // in the same way, the key of the team that it is about
	Before time.Time `json:"before,omitzero"`
	// Blocks is set for a send step: the journey goes on when it is out.
	Blocks bool   `json:"blocks,omitempty"`
	Visit  int    `json:"visit"`
	Why    string `json:"why,omitempty"` // the reason of the delay, told once
}

// LoadState reads a state that a turn wrote.
func LoadState(data []byte) (State, error) {
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, campaign.Errorf(campaign.CodeInternal, "journey state cannot be read: %w", err)
	}
	if s.V != stateVersion {
		return State{}, campaign.Errorf(campaign.CodeUnavailable, "journey state has version %d, this build reads %d: upgrade the worker", s.V, stateVersion)
	}
	return s, nil
}

// Save writes a state.
func (s *State) Save() (json.RawMessage, error) {
	s.V = stateVersion
	data, err := json.Marshal(s)
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInternal, "journey state cannot be written: %w", err)
	}
	return data, nil
}

func lastN[T any](list []T, n int) []T {
	if len(list) > n {
		return append([]T(nil), list[len(list)-n:]...)
	}
	return list
}
