package simulate

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Every member is taken by herself, so the others of her team are not there. That they
// came is told like an event, by a test or by a population. A code that she brings along
// is that of a team which somebody opened at the moment at which she comes.

// team answers what the core asks about a team.
func (l *life) team(key string, ask *campaign.TeamAsk) campaign.Answer {
	if ask.Do == campaign.TeamJoin {
		return l.join(key, ask)
	}
	t := l.teams[ask.Code]
	ok := t.State == campaign.TeamOpen
	if ask.Buy != nil && ask.Do != campaign.TeamLook && t.State != campaign.TeamFormed {
		delete(l.took, orderFor{ask.Buy.Offer, ask.Buy.Order})
		l.giveBack(ask.Buy.Offer)
	}
	switch {
	case !ok:
	case ask.Do == campaign.TeamClose:
		t.State, t.ClosedAt = campaign.TeamFailed, t.EndsAt
	case ask.Do == campaign.TeamLeave:
		t.State, t.Joined, t.Leader, t.ClosedAt = campaign.TeamWithdrawn, t.Joined-1, false, l.now
	}
	l.keep(t)
	return campaign.Answer{OK: ok, Team: &t}
}

func (l *life) join(key string, ask *campaign.TeamAsk) campaign.Answer {
	t := campaign.Team{Code: campaign.TeamCode([]byte(key)), State: campaign.TeamOpen, Size: ask.Size, Joined: 1, EndsAt: ask.EndsAt, Leader: true}
	if ask.Buy != nil {
		if why := l.buys(ask.Buy); why != "" {
			return campaign.Answer{Reason: why}
		}
		t.ClosesAt = ask.EndsAt.Add(ask.Buy.Grace)
	}
	reason := ""
	if ask.Code != "" {
		old, known := l.teams[ask.Code]
		switch {
		case !known:
			t.Code, t.Joined, t.Leader = ask.Code, 2, false
		case old.State == campaign.TeamOpen:
			reason = campaign.TeamTwice
		case old.State == campaign.TeamFormed:
			reason = campaign.TeamFull
		default:
			reason = campaign.TeamEnded
		}
	}
	if t.Joined == t.Size {
		t.State, t.ClosedAt = campaign.TeamFormed, l.now
	}
	l.keep(t)
	return campaign.Answer{OK: true, Reason: reason, Team: &t}
}

func (l *life) keep(t campaign.Team) {
	if l.teams == nil {
		l.teams = map[string]campaign.Team{}
	}
	l.teams[t.Code] = t
}

// formation makes the news that the team is complete in which she waits; false: she waits
// in none.
func (l *life) formation(f *future) bool {
	for _, w := range l.walks {
		code, until, ok := w.state.WaitsForTeam()
		if !ok || w.done() || l.now.After(until) {
			continue
		}
		t := l.teams[code]
		t.State, t.Joined, t.ClosedAt = campaign.TeamFormed, t.Size, l.now
		l.keep(t)
		properties, err := json.Marshal(campaign.Formation{Team: code})
		f.event = campaign.Event{ID: campaign.OwnEventID("team/" + code), Type: campaign.EventTeamFormed, Time: l.now, Properties: properties}
		return err == nil
	}
	return false
}

// buys takes what an order takes that pays for a place in a team, or says why it takes none.
func (l *life) buys(buy *campaign.BuyAsk) (why string) {
	if l.seats[buy.Order] {
		return campaign.TeamOrderTwice
	}
	if why := l.take(&buy.TakeAsk); why != "" {
		return why
	}
	if l.seats == nil {
		l.seats = map[string]bool{}
	}
	l.seats[buy.Order] = true
	return ""
}

// giveBack gives a piece of stock back where she is alone in her world. Among many members
// what a team that fails gives back is not sold again: who gets it would depend on who failed.
func (l *life) giveBack(offer string) {
	k := l.p.limitOf(offer, "")
	if one, alone := l.keeper.(*counter); alone && k >= 0 {
		one.back(k)
	}
}

// refunds lets the shop pay back what it is asked to, and tell of it.
func (b *behaviour) refunds(l *life, d *campaign.Decision) {
	for i := range d.RefundsAsked {
		order := d.RefundsAsked[i].Order
		b.told++
		l.queue.push(future{at: l.now.Add(refundTakes), event: campaign.Event{
			ID: l.member.ID + "/" + strconv.Itoa(b.told), Type: campaign.EventOrderRefunded, Time: l.now.Add(refundTakes),
			Properties: []byte(`{"order":` + strconv.Quote(order) + `}`),
		}})
	}
}

// refundTakes is how long a shop takes to pay back in a rehearsal.
const refundTakes = time.Minute
