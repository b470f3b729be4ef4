package simulate

import (
	"encoding/json"

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
