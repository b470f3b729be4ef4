package journey

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Team is the team that the journey came into last. How many are in it is what the
// journey was told last; the truth has the store.
type Team struct {
	Key    string             `json:"key"`
	Step   string             `json:"step"`
	Code   string             `json:"code,omitempty"` // empty: of a held-out member, who is in none
	State  campaign.TeamState `json:"state"`          // withdrawn: she has left it
	Size   int                `json:"size"`
	Joined int                `json:"joined,omitempty"`
	EndsAt time.Time          `json:"ends_at"`
	Leader bool               `json:"leader,omitempty"`
	// ClosesAt is when nobody comes into it any more; zero: at its end.
	ClosesAt time.Time `json:"closes_at,omitzero"`
}

// closes is the moment after which nobody comes into the team any more.
func (t *Team) closes() time.Time {
	if t.ClosesAt.IsZero() {
		return t.EndsAt
	}
	return t.ClosesAt
}

// WaitsForTeam is the code of the team for whose members the journey waits, and until when;
// ok is false where it waits for none.
func (s *State) WaitsForTeam() (code string, until time.Time, ok bool) {
	if s.Team == nil || s.Team.State != campaign.TeamOpen || !s.Waiting || s.Holdout || s.Ending != "" && !s.buys() {
		return "", time.Time{}, false
	}
	return s.Team.Code, s.Team.closes(), true
}

// Teams reports whether teams come together in a journey.
func (p *Program) Teams(journey string) bool {
	pl := p.plans[journey]
	return pl != nil && pl.teams
}

// enterTeam lets her into the team that she wants to join or, where there is none that
// takes her, opens one. That is for the keeper of the truth to say, so that a team never
// has more members than its size. A team's time begins as that of a review does; whoever
// joins waits until its end.
//
// A held-out member comes into no team. Her journey waits as long as one of her own would.
func (r *runner) enterTeam(n *node, s *campaign.FormTeam) {
	r.beginNowIfLate(s.Within)
	key, ends := r.key(n.id, ""), r.s.Since.Add(s.Within)
	if r.s.Holdout {
		r.s.Team, r.s.Waiting = &Team{Key: key, Step: n.id, State: campaign.TeamOpen, Size: s.Size, EndsAt: ends}, true
		r.trace(campaign.TraceTeamSkipped, n.id, "reason", campaign.ReasonHoldout, "until", r.p.local(ends))
		return
	}
	wanted := r.wantedTeam(n)
	code, isCode := campaign.ReadTeamCode(wanted)
	if !isCode {
		code = "" // whatever it is, it is not told on
	}
	answer, ok := r.askTeam(key, campaign.TeamAsk{Do: campaign.TeamJoin, Code: code, Place: s.Place(), Size: s.Size, Opens: r.s.Since, EndsAt: ends})
	if !ok {
		return
	}
	t := answer.Team
	r.inNewTeam(n, key, t, wanted, code, answer.Reason)
	if t.State == campaign.TeamFormed {
		r.teamFormed(n, t.ClosedAt, 0)
		return
	}
	r.s.Waiting = true
	r.tellTeam(n, s.Announce, s.Remind, s.Via, key, t.EndsAt)
}

// inNewTeam takes the team that she has come into. wanted is what she brought along and code
// how that is read; reason is why that team did not take her.
func (r *runner) inNewTeam(n *node, key string, t *campaign.Team, wanted, code, reason string) {
	r.s.Team = &Team{
		Key: key, Step: n.id, Code: t.Code, State: campaign.TeamOpen, Size: t.Size, Joined: t.Joined, EndsAt: t.EndsAt, ClosesAt: t.ClosesAt, Leader: t.Leader,
	}
	if wanted != "" && t.Code != code {
		r.trace(campaign.TraceTeamNotJoined, n.id, "team", code, "reason", cmp.Or(reason, campaign.TeamUnknown))
	}
	kind := campaign.TraceTeamJoined
	if t.Leader {
		kind = campaign.TraceTeamOpened
	}
	r.trace(kind, n.id, "team", t.Code, "joined", strconv.Itoa(t.Joined), "size", strconv.Itoa(t.Size), "until", r.p.local(t.EndsAt))
}

// tellTeam tells her that she is in a team which lacks others, and plans the reminders.
func (r *runner) tellTeam(n *node, announce string, remind []campaign.Reminder, via []string, key string, ends time.Time) {
	if announce != "" {
		p := Pending{Key: key + "/announce", Step: n.id, Message: announce, Via: via, Due: r.now, Team: key, Before: ends, Visit: r.s.Visit}
		r.looked = key
		if !r.send(&p) {
			r.s.Pending = append(r.s.Pending, p)
		}
	}
	for i, rem := range remind {
		due, ok := r.reminderDue(rem, ends)
		if !ok {
			r.trace(campaign.TraceNotSent, n.id, "message", rem.Send, "reason", campaign.ReasonPassed)
			continue
		}
		r.s.Pending = append(r.s.Pending, Pending{
			Key: key + "/" + part("remind", i), Step: n.id, Message: rem.Send, Via: via, Due: due, Team: key, Before: ends, Visit: r.s.Visit,
		})
	}
}

// wantedTeam is the code that she brought along. An expression that has no value brings none.
func (r *runner) wantedTeam(n *node) string {
	if n.when == nil {
		return ""
	}
	value, err := n.when.Value(r.with(r.s.Event))
	if err != nil {
		r.trace(campaign.TraceFault, n.id, "where", "team "+n.id, "detail", err.Error())
		return ""
	}
	code, _ := value.(string)
	return strings.TrimSpace(code)
}

// askTeam is ask about a team. ok is false too where the answer is none, which is a fault.
func (r *runner) askTeam(key string, ask campaign.TeamAsk) (campaign.Answer, bool) {
	answer, ok := r.ask(campaign.Ask{Key: key, Team: &ask})
	if ok && answer.Team == nil {
		r.fault = campaign.Errorf(campaign.CodeInternal, "nothing was answered about the team at step %s of journey %s", r.s.Step, r.in.ID.Journey)
		return answer, false
	}
	return answer, ok
}

// inTeam reports whether the journey waits at a step for its team.
func (r *runner) inTeam() bool {
	n := r.pl.nodes[r.s.Step]
	if n == nil || !r.s.Waiting || r.s.Ending != "" || r.s.Team == nil || r.s.Team.State != campaign.TeamOpen {
		return false
	}
	_, ok := n.step.(*campaign.FormTeam)
	return ok
}

// isFormed takes the news that the team is complete, if it is about the one for which the
// step waits.
func (r *runner) isFormed(n *node, e *campaign.Event) bool {
	f, ok := campaign.FormationOf(e)
	if !ok || r.s.Team == nil || f.Team != r.s.Team.Code || e.Time.After(r.s.Team.EndsAt) {
		return false
	}
	r.teamFormed(n, e.Time, e.Seq)
	return true
}

// teamFormed goes on from the moment at which the last place was taken; seq is the event
// that told of it, or 0.
func (r *runner) teamFormed(n *node, at time.Time, seq int64) {
	t := r.s.Team
	t.State, t.Joined = campaign.TeamFormed, t.Size
	r.trace(campaign.TraceTeamFormed, n.id, "team", t.Code, "size", strconv.Itoa(t.Size))
	r.tellTeamNoMore()
	r.since(at, seq)
	r.move(n.blocks["formed"])
}

// teamDue is called when the team's time is over. Whether its last place was taken before
// that, the keeper of the truth says: the news of it may be on its way.
func (r *runner) teamDue(n *node) {
	t := r.s.Team
	if !r.s.Holdout {
		answer, ok := r.askTeam(t.Key+"/close", campaign.TeamAsk{Do: campaign.TeamClose, Code: t.Code})
		if !ok {
			return
		}
		if answer.Team.State == campaign.TeamFormed {
			r.teamFormed(n, answer.Team.ClosedAt, 0)
			return
		}
		t.Joined, t.Leader = answer.Team.Joined, answer.Team.Leader
	}
	t.State = campaign.TeamFailed
	r.trace(campaign.TraceTeamFailed, n.id, "team", t.Code, "joined", strconv.Itoa(t.Joined), "size", strconv.Itoa(t.Size))
	r.tellTeamNoMore()
	r.since(t.EndsAt, 0)
	r.move(n.blocks["failed"])
}

// leaveTeam gives back the place in the team for which the journey waits, because it is
// left. It answers when the team was formed, if it has been, and the journey does not know
// of it so far: then nothing is given back, and the step goes on before anything else.
func (r *runner) leaveTeam() (formed time.Time) {
	if !r.inTeam() {
		return time.Time{}
	}
	t := r.s.Team
	if !r.s.Holdout {
		answer, ok := r.askTeam(t.Key+"/leave", campaign.TeamAsk{Do: campaign.TeamLeave, Code: t.Code})
		if !ok {
			return time.Time{}
		}
		if answer.Team.State == campaign.TeamFormed {
			return answer.Team.ClosedAt
		}
		if answer.OK {
			r.traceAt(t.Step, campaign.TraceTeamLeft, "team", t.Code)
		}
	}
	t.State = campaign.TeamWithdrawn
	r.tellTeamNoMore()
	return time.Time{}
}

// formedBefore reports whether the team was formed before an event that is about to take
// the member out of the journey. Then the step goes on first, as if the news had come at
// once, and the event is judged after that.
func (r *runner) formedBefore(e *campaign.Event) bool {
	if !r.inTeam() || !r.leavesBy(e) {
		return false
	}
	formed := r.leaveTeam()
	if formed.IsZero() {
		return false
	}
	if formed.After(e.Stored) { // the others have her place taken for good, and she leaves
		r.s.Team.State = campaign.TeamWithdrawn
		r.tellTeamNoMore()
		return false
	}
	r.at = formed
	r.teamFormed(r.pl.nodes[r.s.Step], formed, 0)
	return true
}

// leavesBy reports whether an event takes the member out of the journey.
func (r *runner) leavesBy(e *campaign.Event) bool {
	if e.Time.Before(r.s.Entered) {
		return false
	}
	if x := r.pl.Exit; x != nil && x.Event == e.Type && r.holds("exit", r.pl.exit, e) {
		return true
	}
	g := r.pl.Goal
	return g != nil && g.Event == e.Type && !r.s.Goal && r.pl.OnGoal != campaign.GoalContinues && r.holds("goal", r.pl.goal, e)
}

// tellTeamNoMore lets the messages about the team fall away that have not gone out.
func (r *runner) tellTeamNoMore() {
	for i := 0; i < len(r.s.Pending); {
		if r.s.Pending[i].Team != r.s.Team.Key {
			i++
			continue
		}
		r.notSent(&r.s.Pending[i], campaign.ReasonTeamEnded)
		r.s.Pending = append(r.s.Pending[:i], r.s.Pending[i+1:]...)
	}
}

// lookAtTeam finds out how the team of a message stands that is about to go out. It
// answers false where there is nothing to tell of any more, or the question is not
// answered yet.
func (r *runner) lookAtTeam(p *Pending) bool {
	t := r.s.Team
	if t == nil || t.Key != p.Team || t.State != campaign.TeamOpen {
		r.notSent(p, campaign.ReasonTeamEnded)
		return false
	}
	if r.looked == t.Key { // she came into it just now
		return true
	}
	answer, ok := r.askTeam(p.Key+"/look", campaign.TeamAsk{Do: campaign.TeamLook, Code: t.Code})
	if !ok {
		return false
	}
	if answer.Team.State != campaign.TeamOpen {
		r.notSent(p, campaign.ReasonTeamEnded)
		return false
	}
	t.Joined, t.Leader = answer.Team.Joined, answer.Team.Leader
	return true
}
