package campaign

import (
	"encoding/json"
	"math"
	"strings"
	"time"
)

// Event is something that happened to a member, as the caller told it.
type Event struct {
	ID         string          `json:"id"` // the caller's; the same id again changes nothing, for ever
	Type       string          `json:"type"`
	Member     string          `json:"member"`
	Time       time.Time       `json:"time"`                 // when it happened, by the caller's clock
	Properties json.RawMessage `json:"properties,omitempty"` // an object; money as {"amount","currency"}

	// Seq numbers a member's events in the order in which they were stored.
	Seq int64 `json:"seq,omitempty"`
	// Stored is when PostgreSQL had it, on the campaign's clock.
	Stored time.Time `json:"stored,omitzero"`
}

// ownEvents begins the ids of events that Banyan itself stores. Callers cannot use it.
const ownEvents = "@banyan/"

// OwnEventID is the id of an event that Banyan stores by itself.
func OwnEventID(rest string) string { return ownEvents + rest }

// OwnsEventID reports whether an event's id is of the kind that Banyan itself gives.
func OwnsEventID(id string) bool { return strings.HasPrefix(id, ownEvents) }

// Member is what expressions may read of a person. Attributes hold whatever callers
// have put; a campaign reads those it declares, by the type that it declares.
type Member struct {
	ID         string                     `json:"id"`
	JoinedAt   time.Time                  `json:"joined_at"`
	Source     string                     `json:"source,omitempty"`
	Inviter    string                     `json:"inviter,omitempty"`
	Level      string                     `json:"level,omitempty"`
	Attributes map[string]json.RawMessage `json:"attributes,omitempty"`
	Tags       []string                   `json:"tags,omitempty"`
	Points     int64                      `json:"points"`
	Benefits   []Benefit                  `json:"benefits,omitempty"` // by name, over ones too
	// Levels are those that campaigns with levels have given her, by campaign.
	Levels map[string]string `json:"levels,omitempty"`
}

// Behaviour is one question about a member's past events, as count(), sum() and
// last() ask it. Their arguments are constants, so that all that a journey needs to
// know is fetched in one query. With budget it is about what all members share: Event is
// a reward, and Property LeftInAll or LeftToday.
type Behaviour struct {
	Function string        `json:"function"` // count, sum, last, budget
	Event    string        `json:"event"`
	Property string        `json:"property,omitempty"` // sum and budget alone
	Within   time.Duration `json:"within,omitempty"`   // zero: ever
}

// BehaviourValue answers a Behaviour: Count for count, Sum for sum (minor units where
// the property is money), Last for last (zero time: never). What is left of a budget is a
// Count of points; Unlimited where there is no such budget.
type BehaviourValue struct {
	Count int64     `json:"count,omitempty"`
	Sum   float64   `json:"sum,omitempty"`
	Minor int64     `json:"minor,omitempty"`
	Last  time.Time `json:"last,omitzero"`
}

// AboutBudget is the function of a Behaviour that asks about a budget.
const AboutBudget = "budget"

// What can be asked about a budget, in points.
const (
	LeftInAll = "left"       // of the total
	LeftToday = "left_today" // of what one day may give
)

// Unlimited is what is left of a budget that does not limit.
const Unlimited = math.MaxInt64

// Order is how an order.paid event names what was bought. An offer is taken by the
// event type, with these properties.
const (
	EventOrderPaid = "order.paid"
	PropertyOrder  = "order"
	PropertyOffer  = "offer"
	PropertyAmount = "amount"
	PropertyCoupon = "coupon" // the code of a coupon that it was paid with
)
