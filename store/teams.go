package store

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// newsOfTeam begins the ids of the events by which members learn that their team is
// complete. The number of the team and that of the journey follow, so that each journey
// is told once.
var newsOfTeam = campaign.OwnEventID("team/")

// LockTeams takes the rows of teams, in the order in which everybody takes several. What
// a page then asks about them it asks in any order.
func (p *PageTx) LockTeams(ctx context.Context, codes []string) error {
	return p.q.LockTeams(ctx, codes)
}

// team answers what the core asks about a team, under the lock of the team.
func (t *TurnTx) team(ctx context.Context, of *campaign.Ask) (campaign.Answer, error) {
	ask := of.Team
	switch ask.Do {
	case campaign.TeamJoin:
		return t.joinTeam(ctx, of)
	case campaign.TeamLook:
		row, err := t.page.q.TeamByCode(ctx, ask.Code)
		if err != nil {
			return campaign.Answer{}, found(err, "team", ask.Code)
		}
		return t.teamAnswer(ctx, true, "", teamOfRow(row))
	case campaign.TeamClose, campaign.TeamLeave:
	default:
		return campaign.Answer{}, campaign.Errorf(campaign.CodeInternal, "the core asks %q about a team", ask.Do)
	}
	row, err := t.page.q.LockTeam(ctx, ask.Code)
	if err != nil {
		return campaign.Answer{}, found(err, "team", ask.Code)
	}
	if err := t.givesBack(ctx, ask.Buy, &row); err != nil {
		return campaign.Answer{}, err
	}
	switch open := campaign.TeamState(row.State) == campaign.TeamOpen; {
	case !open:
		return t.teamAnswer(ctx, false, "", row)
	case ask.Do == campaign.TeamLeave:
		left, err := t.page.q.LeaveTeam(ctx, t.now, row.ID, t.row.ID)
		if errors.Is(err, pgx.ErrNoRows) { // she is not in it
			return t.teamAnswer(ctx, false, "", row)
		}
		if err != nil {
			return campaign.Answer{}, err
		}
		row = left
	case t.now.Before(row.ClosesAt):
		return campaign.Answer{}, campaign.Errorf(campaign.CodeInternal, "team %d is to be closed before its end", row.ID)
	default:
		row, err = t.page.q.FailTeam(ctx, row.ID)
	}
	if err != nil {
		return campaign.Answer{}, err
	}
	return t.teamAnswer(ctx, true, "", row)
}

// joinTeam lets the member into the team that she wants to join, or opens one for her.
// Whether there is a place, and whether the time is not over, is decided by the team's row
// and the clock of the turn: when its time is over nobody comes into it any more, so it
// does not matter who looks first whether it was formed.
func (t *TurnTx) joinTeam(ctx context.Context, of *campaign.Ask) (campaign.Answer, error) {
	ask, reason := of.Team, ""
	if ask.Buy != nil {
		if why, err := t.buys(ctx, ask.Buy); err != nil || why != "" {
			return campaign.Answer{Reason: why}, err
		}
	}
	if ask.Code != "" {
		row, err := t.page.q.LockTeam(ctx, ask.Code)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			reason = campaign.TeamUnknown
		case err != nil:
			return campaign.Answer{}, err
		default:
			if reason, err = t.whyNotJoin(ctx, &row, ask); err != nil {
				return campaign.Answer{}, err
			}
			if reason == "" {
				return t.comesInto(ctx, &row, ask.Buy)
			}
		}
	}
	version := t.row.Version
	if of.Version != 0 {
		version = int32(of.Version)
	}
	for {
		offer, order, closes := bought(ask.Buy, ask.EndsAt)
		opened, err := t.page.q.OpenTeam(ctx, db.OpenTeamParams{
			Key: of.Key, Code: newTeamCode(), Campaign: t.row.Campaign, Version: version, Journey: t.row.Journey, Place: ask.Place, Offer: offer,
			Size: int32(ask.Size), OpenedAt: ask.Opens, EndsAt: ask.EndsAt, ClosesAt: closes, Member: t.row.Member, OfJourney: t.row.ID, At: t.now, OrderID: order,
		})
		if errors.Is(err, pgx.ErrNoRows) {
			continue // once in a hundred million times
		}
		if err != nil {
			return campaign.Answer{}, err
		}
		return t.teamAnswer(ctx, true, reason, db.Team(opened))
	}
}

// newTeamCode is a code that nobody can guess.
func newTeamCode() string {
	var seed [16]byte
	_, _ = rand.Read(seed[:]) // never fails
	return campaign.TeamCode(seed[:])
}

func (t *TurnTx) whyNotJoin(ctx context.Context, row *db.Team, ask *campaign.TeamAsk) (string, error) {
	offer, _, _ := bought(ask.Buy, time.Time{})
	switch state := campaign.TeamState(row.State); {
	case row.Campaign != t.row.Campaign || row.Offer != offer || offer == "" && (row.Journey != t.row.Journey || row.Place != ask.Place):
		return campaign.TeamElsewhere, nil
	case state == campaign.TeamFormed:
		return campaign.TeamFull, nil
	case state != campaign.TeamOpen || t.now.After(row.ClosesAt) || ask.Buy != nil && ask.Buy.Paid.After(row.EndsAt):
		return campaign.TeamEnded, nil
	}
	in, err := t.page.q.InTeam(ctx, row.ID, t.row.Member)
	if in {
		return campaign.TeamTwice, err
	}
	return "", err
}

// comesInto gives the member a place in a team that has one. If it was the last, the
// others are left the news.
func (t *TurnTx) comesInto(ctx context.Context, row *db.Team, buy *campaign.BuyAsk) (campaign.Answer, error) {
	at := t.now
	if at.Before(row.OpenedAt) {
		at = row.OpenedAt // its opener's event was told a little ahead of the clock
	}
	if at.After(row.EndsAt) {
		at = row.EndsAt // who paid in time came in time
	}
	_, order, _ := bought(buy, time.Time{})
	joined, err := t.page.q.JoinTeam(ctx, db.JoinTeamParams{At: at, Team: row.ID, Member: t.row.Member, OfJourney: t.row.ID, OrderID: order})
	if err != nil {
		return campaign.Answer{}, err
	}
	if campaign.TeamState(joined.State) == campaign.TeamFormed {
		if err := t.page.q.NewsOfTeam(ctx, newsOfTeam, joined.ID, t.row.ID); err != nil {
			return campaign.Answer{}, err
		}
		t.page.news = true
	}
	return t.teamAnswer(ctx, true, "", joined)
}

func (t *TurnTx) teamAnswer(ctx context.Context, ok bool, reason string, row db.Team) (campaign.Answer, error) {
	leads, err := t.page.q.LeadsTeam(ctx, row.ID, t.row.ID)
	return campaign.Answer{OK: ok, Reason: reason, Team: &campaign.Team{
		Code: row.Code, State: campaign.TeamState(row.State), Size: int(row.Size), Joined: int(row.Joined), EndsAt: row.EndsAt,
		ClosesAt: closesAt(&row), ClosedAt: orZero(row.ClosedAt), Leader: leads,
	}}, err
}

// Team is a team as it stands now. Its times are on the campaign's clock.
type Team struct {
	campaign.Team
	Campaign string
	Journey  string
	Step     string // its label or, without one, its id; empty: they buy Offer
	Offer    string // that its members buy together
	OpenedAt time.Time
	Now      time.Time

	// Of one of a member's teams: since when she is in it and, if she has left it, when
	// she did.
	JoinedAt, LeftAt time.Time
}

// Remaining is how long the team is still open, on the campaign's clock.
func (t *Team) Remaining() time.Duration {
	if t.State != campaign.TeamOpen {
		return 0
	}
	return max(0, t.EndsAt.Sub(t.Now))
}

// Team reads a team by its code.
func (s *Store) Team(ctx context.Context, code string) (Team, error) {
	row, err := s.queries.TeamByCode(ctx, code)
	if err != nil {
		return Team{}, found(err, "team", code)
	}
	return teamOf(teamOfRow(row), clock(row.ClockFactor, row.ClockReal, row.ClockStart).At(row.Now)), nil
}

// maxTeamsOfMember bounds the list of a member's teams.
const maxTeamsOfMember = 1_000

// MemberTeams lists the teams that a member came into, the newest first.
func (s *Store) MemberTeams(ctx context.Context, member string) (out []Team, err error) {
	err = s.ofMember(ctx, member, func(q *db.Queries) error {
		rows, err := q.TeamsOfMember(ctx, member, maxTeamsOfMember)
		out = make([]Team, len(rows))
		for i, r := range rows {
			out[i] = teamOf(db.Team{
				ID: r.ID, Key: r.Key, Code: r.Code, Campaign: r.Campaign, Version: r.Version, Journey: r.Journey, Place: r.Place, Offer: r.Offer, ClosesAt: r.ClosesAt, Size: r.Size,
				Joined: r.Joined, Came: r.Came, State: r.State, OpenedAt: r.OpenedAt, EndsAt: r.EndsAt, ClosedAt: r.ClosedAt, CreatedAt: r.CreatedAt,
			}, clock(r.ClockFactor, r.ClockReal, r.ClockStart).At(r.Now))
			out[i].JoinedAt, out[i].LeftAt, out[i].Leader = r.JoinedAt, orZero(r.LeftAt), r.Leader
		}
		return err
	})
	return out, err
}

func teamOfRow(r db.TeamByCodeRow) db.Team {
	return db.Team{
		ID: r.ID, Key: r.Key, Code: r.Code, Campaign: r.Campaign, Version: r.Version, Journey: r.Journey, Place: r.Place, Offer: r.Offer, ClosesAt: r.ClosesAt, Size: r.Size,
		Joined: r.Joined, Came: r.Came, State: r.State, OpenedAt: r.OpenedAt, EndsAt: r.EndsAt, ClosedAt: r.ClosedAt, CreatedAt: r.CreatedAt,
	}
}

// teamOf is a team at a moment. One whose time is over has failed, though no turn may have
// said so till now: nobody comes into it any more.
func teamOf(r db.Team, now time.Time) Team {
	t := Team{Campaign: r.Campaign, Journey: r.Journey, Step: r.Place, Offer: r.Offer, OpenedAt: r.OpenedAt, Now: now, Team: campaign.Team{
		Code: r.Code, State: campaign.TeamState(r.State), Size: int(r.Size), Joined: int(r.Joined), EndsAt: r.EndsAt, ClosedAt: orZero(r.ClosedAt),
	}}
	if t.State == campaign.TeamOpen && now.After(r.ClosesAt) {
		t.State, t.ClosedAt = campaign.TeamFailed, t.EndsAt
	}
	if t.Offer != "" {
		t.Step = ""
	}
	return t
}
