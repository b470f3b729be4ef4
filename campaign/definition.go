package campaign

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// LanguageVersion is the version of the campaign language that this build speaks.
const LanguageVersion = 1

// Digest is the content address of a campaign version: the SHA-256 of the text that
// was submitted, in lower-case hexadecimal.
func Digest(source []byte) string {
	sum := sha256.Sum256(source)
	return hex.EncodeToString(sum[:])
}

// Definition is one campaign version after it has been checked. It is immutable:
// journeys find it by its digest and finish on it.
type Definition struct {
	Language int         `json:"language"`
	Name     string      `json:"campaign"`
	Title    string      `json:"title"`
	Timezone string      `json:"timezone"` // IANA name, e.g. Asia/Shanghai
	Currency Currency    `json:"currency"`
	Window   *Window     `json:"window,omitempty"`
	Member   []Property  `json:"member,omitempty"`
	Events   []EventType `json:"events,omitempty"`
	Segments []Segment   `json:"segments,omitempty"`
	Roles    []Role      `json:"roles,omitempty"`
	Offers   []Offer     `json:"offers,omitempty"`
	Rewards  []Reward    `json:"rewards,omitempty"`
	Points   *Points     `json:"points,omitempty"`
	Messages []Message   `json:"messages,omitempty"`
	Limits   Limits      `json:"limits"`
	Referral *Referral   `json:"referral,omitempty"`
	Journeys []Journey   `json:"journeys"`
}

// Window is the span in which members may enter. From is inclusive, Until exclusive;
// the loader turns the last day that a marketer wrote into the midnight after it.
type Window struct {
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Contains reports whether a member may enter at t.
func (w *Window) Contains(t time.Time) bool {
	if w == nil {
		return true
	}
	return (w.From.IsZero() || !t.Before(w.From)) && (w.Until.IsZero() || t.Before(w.Until))
}

// Type is the type of a member attribute or an event property.
type Type string

// The types that a campaign may declare.
const (
	TypeString Type = "string"
	TypeInt    Type = "int"
	TypeNumber Type = "number" // a 64-bit float; never money
	TypeBool   Type = "bool"
	TypeTime   Type = "time"
	TypeMoney  Type = "money"
)

// Types lists every declarable type in the order in which messages name them.
func Types() []Type {
	return []Type{TypeString, TypeInt, TypeNumber, TypeBool, TypeTime, TypeMoney}
}

// Property is one declared member attribute or event property.
type Property struct {
	Name  string   `json:"name"`
	Type  Type     `json:"type"`
	OneOf []string `json:"one_of,omitempty"` // strings only
}

// EventType is an event that the campaign may hear.
type EventType struct {
	Name       string     `json:"name"` // e.g. order.paid
	Properties []Property `json:"properties,omitempty"`
}

// Property finds a declared property by name.
func (t *EventType) Property(name string) (Property, bool) {
	for _, p := range t.Properties {
		if p.Name == name {
			return p, true
		}
	}
	return Property{}, false
}

// Segment is a named condition over a member.
type Segment struct {
	Name string `json:"name"`
	When string `json:"when"` // CEL
}

// Role is a part that people play in the campaign, such as the one who decides a review.
type Role struct {
	Name   string `json:"name"`
	Title  string `json:"title"`            // the name unless told
	Backup string `json:"backup,omitempty"` // the role that is asked when this one does not answer in time
}

// DefaultGrace is how long after its end an offer still listens for orders that were
// paid in time but arrive late, unless the campaign says otherwise.
const DefaultGrace = 10 * time.Minute

// Offer is something sold at a price, which may be locked for a member for a while.
type Offer struct {
	Name      string        `json:"name"`
	Title     string        `json:"title"`
	Price     Money         `json:"price"`
	ListPrice Money         `json:"list_price"` // equal to Price when the campaign names none
	Lock      time.Duration `json:"lock,omitempty"`
	Grace     time.Duration `json:"grace"`
	PerMember int           `json:"per_member,omitempty"` // 0: any number
	Stock     int           `json:"stock,omitempty"`      // 0: unlimited
	OnRefund  OnRefund      `json:"on_refund,omitempty"`  // OnRefundKeep or OnRefundRestock
	Team      *OfferTeam    `json:"team,omitempty"`       // nil: everybody buys it for herself
}

// Reward is what a grant step gives.
type Reward struct {
	Name      string `json:"name"`
	Points    int64  `json:"points,omitempty"`
	Budget    int64  `json:"budget,omitempty"` // points or pieces in all; 0: unlimited
	PerMember *Times `json:"per_member,omitempty"`
	// BudgetPerDay and BudgetPerMember are what one day of the campaign's timezone and one
	// member may get of the budget, in points or pieces; 0: unlimited.
	BudgetPerDay    int64 `json:"budget_per_day,omitempty"`
	BudgetPerMember int64 `json:"budget_per_member,omitempty"`
	// PauseAt is how much of Budget is kept back until somebody resumes the reward; 0: nothing.
	PauseAt int64 `json:"pause_at,omitempty"`
	// OnRefund is any but OnRefundRestock.
	OnRefund OnRefund `json:"on_refund,omitempty"`

	// Of a reward that gives no fixed points one of these is set; Gift tells which.
	Coupon  *Coupon       `json:"coupon,omitempty"`
	Benefit *BenefitGrant `json:"benefit,omitempty"`
	Ladder  *Ladder       `json:"ladder,omitempty"` // of points
	// Expires is how long the points are good; 0: for ever.
	Expires time.Duration `json:"expires,omitempty"`
}

// Times is "so many times in so long a span"; an Every of zero means ever.
type Times struct {
	Times int           `json:"times"`
	Every time.Duration `json:"every,omitempty"`
}

// MessageKind tells marketing from service messages.
type MessageKind string

// Kinds of message. A service message passes frequency caps, never consent.
const (
	KindMarketing MessageKind = "marketing"
	KindService   MessageKind = "service"
)

// WhenCapped says what becomes of a message that a frequency cap refuses.
type WhenCapped string

// What to do with a capped message.
const (
	CappedDelay WhenCapped = "delay"
	CappedDrop  WhenCapped = "drop"
)

// Message is a text with CEL in {{ }}, perhaps with one wording per channel.
type Message struct {
	Name       string            `json:"name"`
	Text       string            `json:"text,omitempty"`    // used where no channel wording fits
	Texts      map[string]string `json:"texts,omitempty"`   // by channel
	Subject    string            `json:"subject,omitempty"` // of a mail
	Kind       MessageKind       `json:"kind"`
	WhenCapped WhenCapped        `json:"when_capped"`
}

// Limits hold for every message of the campaign.
type Limits struct {
	QuietHours        *QuietHours `json:"quiet_hours,omitempty"`
	MessagesPerMember *Times      `json:"messages_per_member,omitempty"`
}

// QuietHours is a daily span in the campaign's timezone, in minutes after midnight.
// From is inclusive, Until exclusive; a span with From > Until runs over midnight.
type QuietHours struct {
	From  int `json:"from"`
	Until int `json:"until"`
}

// EntryRule says whether and when a member may come again.
type EntryRule string

// Entry rules.
const (
	EntryOnce       EntryRule = "once"
	EntryAfterExit  EntryRule = "after_exit"
	EntryEveryTime  EntryRule = "every_time"
	EntryAgainAfter EntryRule = "again_after"
)

// Entry is an entry rule; After is set for EntryAgainAfter alone.
type Entry struct {
	Rule  EntryRule     `json:"rule"`
	After time.Duration `json:"after,omitempty"`
}

// Start is one way into a journey: exactly one of Event, Segment and API is set. With a
// Schedule, as ParseCalendar reads it, whoever is in the segment enters at its moments,
// and at no other.
type Start struct {
	Event   string `json:"event,omitempty"`
	When    string `json:"when,omitempty"` // CEL over event and member
	Segment string `json:"segment,omitempty"`
	API     bool   `json:"api,omitempty"`

	Schedule string `json:"schedule,omitempty"`
}

// Trigger is an event with a condition, as goal and exit have it.
type Trigger struct {
	Event string `json:"event"`
	When  string `json:"when,omitempty"`
}

// OnGoal says what reaching the goal does to the journey.
type OnGoal string

// What a reached goal does.
const (
	GoalEnds      OnGoal = "end"
	GoalContinues OnGoal = "continue"
)

// Drive says who turns the members of a journey. It changes nothing of what happens.
type Drive string

// Drives.
const (
	DriveMembers Drive = "members" // one workflow for each member's entry
	DriveSlices  Drive = "slices"  // a few workflows turn many members each
)

// Journey is a member's way through steps.
type Journey struct {
	Name    string   `json:"name"`
	Starts  []Start  `json:"starts"`
	Entry   Entry    `json:"entry"`
	Goal    *Trigger `json:"goal,omitempty"`
	OnGoal  OnGoal   `json:"on_goal"`
	Exit    *Trigger `json:"exit,omitempty"`
	Holdout int      `json:"holdout,omitempty"` // basis points: 500 is 5 %
	Drive   Drive    `json:"drive,omitempty"`   // empty: DriveMembers
	Steps   Steps    `json:"steps"`
}

// Event finds a declared event type by name.
func (d *Definition) Event(name string) (*EventType, bool) {
	return find(d.Events, func(e *EventType) bool { return e.Name == name })
}

// Segment finds a segment by name.
func (d *Definition) Segment(name string) (*Segment, bool) {
	return find(d.Segments, func(s *Segment) bool { return s.Name == name })
}

// Role finds a role by name.
func (d *Definition) Role(name string) (*Role, bool) {
	return find(d.Roles, func(r *Role) bool { return r.Name == name })
}

// Offer finds an offer by name.
func (d *Definition) Offer(name string) (*Offer, bool) {
	return find(d.Offers, func(o *Offer) bool { return o.Name == name })
}

// Reward finds a reward by name.
func (d *Definition) Reward(name string) (*Reward, bool) {
	return find(d.Rewards, func(r *Reward) bool { return r.Name == name })
}

// HasLevels reports whether members have a level in this campaign.
func (d *Definition) HasLevels() bool { return d.Points != nil && len(d.Points.Levels) > 0 }

// Message finds a message by name.
func (d *Definition) Message(name string) (*Message, bool) {
	return find(d.Messages, func(m *Message) bool { return m.Name == name })
}

// Journey finds a journey by name.
func (d *Definition) Journey(name string) (*Journey, bool) {
	return find(d.Journeys, func(j *Journey) bool { return j.Name == name })
}

// Location is the campaign's timezone. The loader has checked that it exists; should
// the machine have lost its zone database since, the error says so.
func (d *Definition) Location() (*time.Location, error) {
	loc, err := time.LoadLocation(d.Timezone)
	if err != nil {
		return nil, Errorf(CodeUnavailable, "timezone %q of campaign %s: %w", d.Timezone, d.Name, err)
	}
	return loc, nil
}

func find[T any](list []T, is func(*T) bool) (*T, bool) {
	for i := range list {
		if is(&list[i]) {
			return &list[i], true
		}
	}
	return nil, false
}
