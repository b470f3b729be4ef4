package simulate

import (
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Course is all that a campaign did with one member.
type Course struct {
	Sends   []campaign.SendEffect
	Offers  []campaign.OfferEffect // each in its last state
	Grants  []Grant
	Entries []Entry
	Reviews []campaign.Review
	Member  campaign.Member // as she is at the end
	Trace   []campaign.TraceLine
}

// Grant is a reward that was granted.
type Grant struct {
	Reward string
	At     time.Time
}

// Entry is one way through a journey.
type Entry struct {
	ID      campaign.JourneyID
	Holdout bool
	Entered time.Time
	Outcome string // empty: under way
	Goal    string // the event that reached it; empty: it was not reached
}

// Follow takes one member through a campaign from its start until a moment, with events
// as they were stored, in the order of their storing. A member without a moment of
// joining is made by her first event. She meets nobody: stock and budgets are whole.
func Follow(p *Plan, member campaign.Member, events []PastEvent, from, until time.Time) (*Course, error) {
	return FollowLate(p, member, events, from, until, 0)
}

// FollowLate is Follow with an engine that takes every turn late by the same span, which
// is not negative, as one does that has too much to do. What comes out otherwise than by
// Follow depends on the engine's being on time: a condition about behaviour, a cap, quiet hours.
func FollowLate(p *Plan, member campaign.Member, events []PastEvent, from, until time.Time, late time.Duration) (*Course, error) {
	rec := &recorder{offers: map[string]int{}, reached: map[campaign.JourneyID]string{}}
	l := &life{p: p, from: from, late: late, now: from, member: member, keeper: newCounter(p), watch: rec}
	past := PastOf(p, []campaign.Member{member}, events, from)
	past.begin(0, l)
	if err := l.run(until); err != nil {
		return nil, campaign.Errorf(campaign.CodeOf(err), "member %s: %w", member.ID, err)
	}
	c := &Course{Sends: rec.sends, Offers: rec.opened, Reviews: rec.reviews, Member: l.member, Trace: rec.trace}
	for _, g := range rec.grants {
		c.Grants = append(c.Grants, Grant{g.reward, g.at})
	}
	for _, w := range l.walks {
		c.Entries = append(c.Entries, Entry{w.id.ID, w.id.Holdout, w.id.Entered, w.outcome, rec.reached[w.id.ID]})
	}
	return c, nil
}
