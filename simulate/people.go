package simulate

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

// People are the members of a rehearsal.
type People interface {
	// Count is how many there are.
	Count() int
	// begin makes number i ready: who she is, and what will happen to her of itself.
	begin(i int, l *life)
	// behaves gives what makes her react; nil: nothing does.
	behaves(i int, l *life) *behaviour
}

// crowd are members who are made up, or imported, and behave as a population declares.
type crowd struct {
	p        *Plan
	pop      *definitions.Population
	rules    *reactions
	seed     uint64
	count    int
	imported []campaign.Member // nil: they are made up
	from     time.Time
	span     time.Duration
}

// Made makes up count members of a population, who come within the span of the rehearsal.
func Made(p *Plan, pop *definitions.Population, count int, seed uint64, from time.Time, span time.Duration) People {
	return &crowd{p: p, pop: pop, rules: newReactions(p, pop), seed: seed, count: count, from: from, span: span}
}

// Imported lets members behave as a population declares. They are there from the start,
// or from when they join; what they do when they come they do when the population says.
func Imported(p *Plan, pop *definitions.Population, members []campaign.Member, seed uint64, from time.Time, span time.Duration) People {
	return &crowd{p: p, pop: pop, rules: newReactions(p, pop), seed: seed, count: len(members), imported: members, from: from, span: span}
}

func (c *crowd) Count() int { return c.count }

// memberID is the id of a member who is made up.
func memberID(i int) string { return "member-" + strconv.Itoa(i+1) }

// The things that a member's luck decides besides reactions, which are numbered from 0.
const (
	luckArrival = -1 - iota
	luckJoined
	luckTraits
	luckTags
	luckLate
	luckHour
	luckReview
)

func (c *crowd) begin(i int, l *life) {
	if c.imported != nil {
		l.member = c.imported[i]
		known := latest(c.from, l.member.JoinedAt)
		l.queue.push(future{at: known, join: true})
		l.queue.push(future{at: latest(known, c.arrival(i, luckOf(c.seed, l.member.ID))), comes: true})
		return
	}
	id := memberID(i)
	own := luckOf(c.seed, id)
	comes := c.arrival(i, own)
	l.member = c.made(id, own, comes)
	l.queue.push(future{at: comes, join: true, comes: true})
}

// arrival is when number i comes. They come one after the other, evenly over the days,
// and within a day at the hours that are lively.
func (c *crowd) arrival(i int, own luck) time.Time {
	var day int64
	if c.pop.PerDay > 0 {
		day = int64(i / c.pop.PerDay)
	} else {
		span := c.pop.Over
		if span == 0 {
			span = c.span
		}
		// Without overflow for a hundred million members over years.
		days := max(1, int64(span/(24*time.Hour)))
		day = int64(i) * days / int64(c.count)
	}
	width := 24*time.Hour - time.Second
	if c.pop.PerDay == 0 && c.pop.Over > 0 {
		width = min(width, c.pop.Over)
	}
	chance := own.of(luckArrival, 0)
	return c.pop.Hours.Pick(c.from.Add(time.Duration(day)*24*time.Hour), width, c.p.loc, chance.below)
}

func (c *crowd) made(id string, own luck, comes time.Time) campaign.Member {
	joined := own.of(luckJoined, 0)
	m := campaign.Member{ID: id, JoinedAt: comes.Add(-joined.between(c.pop.Joined.From, c.pop.Joined.To))}
	for k := range c.pop.Member {
		t := &c.pop.Member[k]
		chance := own.of(luckTraits, k)
		at := chance.part()
		for _, v := range t.Values {
			if at -= v.Share; at < 0 {
				if m.Attributes == nil {
					m.Attributes = make(map[string]json.RawMessage, len(c.pop.Member))
				}
				m.Attributes[t.Name] = v.Value
				switch t.Name {
				case "level":
					m.Level = v.Text
				case "source":
					m.Source = v.Text
				case "inviter":
					m.Inviter = v.Text
				}
				break
			}
		}
	}
	for k, t := range c.pop.Tags {
		if chance := own.of(luckTags, k); chance.part() < t.Share {
			m.Tags = append(m.Tags, t.Tag)
		}
	}
	return m
}

func (c *crowd) behaves(_ int, l *life) *behaviour {
	return &behaviour{r: c.rules, own: luckOf(c.seed, l.member.ID), counts: make([]int32, len(c.pop.Behaviour))}
}
