package journey

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// afterEnd is how long after its end a journey still recognises events that were in
// time for one of its waits but arrive too late. The longest notification schedule
// that we know (WeChat Pay) gives up after 24 h 4 min; 30 days leave room for a shop
// that catches up after an outage.
const afterEnd = 30 * 24 * time.Hour

// horizon is until when an ended journey still wants to hear; zero: for ever, because
// an offer without a lock is still open.
func (r *runner) horizon() time.Time {
	if len(r.s.Open) > 0 {
		return time.Time{}
	}
	return r.s.Ended.Add(afterEnd)
}

// hearsUntil is horizon, and longer where an order that is known may be refunded.
func (r *runner) hearsUntil() time.Time {
	h := r.horizon()
	if h.IsZero() || !r.hearsRefunds() || !r.mayGoBack() {
		return h
	}
	last := r.s.Ended
	if r.s.LastPaid.After(last) { // for an offer without a lock
		last = r.s.LastPaid
	}
	return last.Add(refundsAfterEnd)
}

// Candidate is a journey that an event, or a membership in a segment, may start.
type Candidate struct {
	Journey string
	By      string // event, segment, schedule or api
	start   int
	at      time.Time // the moment of a schedule
}

// How a journey was entered.
const (
	ByEvent    = "event"
	BySegment  = "segment"
	BySchedule = "schedule"
	ByAPI      = "api"
)

// StartsOn lists the journeys that an event type may start, in order of the definition.
func (p *Program) StartsOn(eventType string) []Candidate {
	return p.candidates(ByEvent, func(s campaign.Start) bool { return s.Event == eventType })
}

// StartsBySegment lists the journeys that whoever is in a segment enters.
func (p *Program) StartsBySegment() []Candidate {
	return p.candidates(BySegment, func(s campaign.Start) bool { return s.Segment != "" && s.Schedule == "" })
}

// StartByAPI finds the journey's start by API, if it has one.
func (p *Program) StartByAPI(journey string) (Candidate, bool) {
	for _, c := range p.candidates(ByAPI, func(s campaign.Start) bool { return s.API }) {
		if c.Journey == journey {
			return c, true
		}
	}
	return Candidate{}, false
}

func (p *Program) candidates(by string, fits func(campaign.Start) bool) []Candidate {
	var list []Candidate
	for _, j := range p.def.Journeys {
		for i, s := range j.Starts {
			if fits(s) {
				list = append(list, Candidate{Journey: j.Name, By: by, start: i})
			}
		}
	}
	return list
}

// Audience puts to PostgreSQL, about all members at once, whether a segment lets them in.
// Unless it is exact, those whom it lets through are still to be judged by Admit.
func (p *Program) Audience(c Candidate, now time.Time) (rules.Audience, error) {
	name := p.plans[c.Journey].Starts[c.start].Segment
	seg, ok := p.env.Segment(name)
	if !ok {
		return rules.Audience{}, campaign.Errorf(campaign.CodeInvalid, "campaign %s has no segment %s", p.def.Name, name)
	}
	return seg.Audience(now), nil
}

// EntryNeeds are the questions about past behaviour that a candidate's rule asks.
func (p *Program) EntryNeeds(c Candidate) []campaign.Behaviour { return p.plans[c.Journey].startNeeds }

// Entrant is all that decides whether a member enters.
type Entrant struct {
	Campaign  string
	Member    *campaign.Member
	Event     *campaign.Event // the one that starts it; nil for a segment
	Now       time.Time       // campaign time
	Behaviour map[campaign.Behaviour]campaign.BehaviourValue
	// Entries are the member's earlier entries into this journey.
	Entries     int
	Active      bool // one of them is still under way
	LastEntered time.Time
	// Stored is the number of the member's last stored event. A journey that no event
	// starts begins behind it: what was before is past.
	Stored int64
}

// Why a member does not enter.
const (
	NotWindow  = "window"      // outside the campaign's window
	NotMatched = "condition"   // the start's condition does not hold, or the segment does not contain the member
	NotDecided = "undecided"   // the condition could not be worked out
	NotAgain   = "entry_rule"  // the entry rule forbids another entry
	NotActive  = "already_in"  // the member is on the way through this journey
	NotStart   = "no_start"    // the journey has no such start
	NotRunning = "not_running" // the campaign takes no entrants now
)

// Admission is an entry that was decided: the state to store and what to trace.
type Admission struct {
	ID      campaign.JourneyID
	Holdout bool
	State   State
	Trace   []campaign.TraceLine
	Entered time.Time // campaign time: the own time of the event, or now
}

// Admit decides whether a member enters; why is empty if so.
func (p *Program) Admit(c Candidate, e Entrant) (adm Admission, why string, err error) {
	pl, err := p.plan(c.Journey)
	if err != nil {
		return Admission{}, "", err
	}
	if e.Event != nil && campaign.ElsewhereReferred(e.Event, e.Campaign) {
		return Admission{}, NotMatched, nil
	}
	// Who was bound within the window is followed, and her inviter hears of her, whenever
	// that is.
	referral := e.Event != nil && campaign.IsReferralEvent(e.Event.Type)
	if !referral && !p.def.Window.Contains(e.Now) {
		return Admission{}, NotWindow, nil
	}
	if why = mayEnter(pl.Entry, e); why != "" {
		return Admission{}, why, nil
	}
	facts := rules.Facts{Now: e.Now, Member: e.Member, Event: e.Event, Start: e.Event, Behaviour: e.Behaviour}
	start := pl.Starts[c.start]
	switch {
	case start.Segment != "":
		seg, ok := p.env.Segment(start.Segment)
		if !ok {
			return Admission{}, "", campaign.Errorf(campaign.CodeInternal, "campaign %s has no segment %s", p.def.Name, start.Segment)
		}
		why = decide(seg, &facts)
	case pl.starts[c.start] != nil:
		why = decide(pl.starts[c.start], &facts)
	}
	if why != "" {
		return Admission{}, why, nil
	}
	return p.admit(pl, c, e), "", nil
}

// decide answers why a condition keeps a member out. One that cannot be decided does.
func decide(x *rules.Expr, facts *rules.Facts) string {
	holds, err := x.Bool(facts)
	switch {
	case err != nil:
		return NotDecided
	case !holds:
		return NotMatched
	}
	return ""
}

func (p *Program) admit(pl *plan, c Candidate, e Entrant) Admission {
	adm := Admission{
		ID:      campaign.JourneyID{Campaign: e.Campaign, Journey: pl.Name, Member: e.Member.ID, Entry: e.Entries + 1},
		Holdout: HeldOut(e.Campaign, pl.Name, e.Member.ID, pl.Holdout),
		Entered: e.Now,
	}
	adm.State = State{V: stateVersion, Fresh: true, Holdout: adm.Holdout, Cursor: e.Stored}
	by := c.By
	if e.Event != nil && c.By == ByEvent {
		adm.Entered = e.Event.Time
		adm.State.Cursor = e.Event.Seq
		adm.State.Moved = []int64{e.Event.Seq}
		by = e.Event.Type
	}
	switch start := pl.Starts[c.start]; c.By {
	case BySegment:
		by = "segment " + start.Segment
	case BySchedule:
		by = "schedule " + start.Schedule + ", segment " + start.Segment
		adm.Entered = c.at
	}
	adm.State.Start, adm.State.Event = e.Event, e.Event
	adm.State.Entered, adm.State.Since = adm.Entered, adm.Entered
	adm.Trace = []campaign.TraceLine{{At: adm.Entered, Kind: campaign.TraceEntered, Params: map[string]string{"by": by}}}
	return adm
}

func mayEnter(rule campaign.Entry, e Entrant) string {
	switch rule.Rule {
	case campaign.EntryEveryTime:
		return ""
	case campaign.EntryAfterExit:
		if e.Active {
			return NotActive
		}
		return ""
	case campaign.EntryAgainAfter:
		if e.Active {
			return NotActive
		}
		if e.Entries > 0 && e.Now.Before(e.LastEntered.Add(rule.After)) {
			return NotAgain
		}
		return ""
	case campaign.EntryOnce:
	}
	if e.Active {
		return NotActive
	}
	if e.Entries > 0 {
		return NotAgain
	}
	return ""
}

// HeldOut decides by a stable hash whether a member belongs to the holdout of a
// journey; share is in basis points. The same member is always decided the same.
func HeldOut(campaignName, journey, member string, share int) bool {
	if share <= 0 {
		return false
	}
	sum := sha256.Sum256([]byte("holdout\x00" + campaignName + "\x00" + journey + "\x00" + member))
	return binary.BigEndian.Uint64(sum[:8])%10_000 < uint64(share)
}

// SegmentEvents lists the event types whose arrival may change who is in the segments
// that start journeys.
func (p *Program) SegmentEvents() []string {
	var types []string
	for _, c := range p.StartsBySegment() {
		for _, b := range p.EntryNeeds(c) {
			types = append(types, b.Event)
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}
