package starter

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// TeamAnswer is a team as it stands now. It names no member.
type TeamAnswer struct {
	Code             string             `json:"code"`
	Campaign         string             `json:"campaign"`
	Journey          string             `json:"journey"`
	Step             string             `json:"step,omitempty" doc:"The label of the step at which it comes together or, without one, its id; absent where its members buy an offer"`
	Offer            string             `json:"offer,omitempty" doc:"The offer that its members buy together; each of them has paid for it"`
	State            campaign.TeamState `json:"state" enum:"open,formed,failed,withdrawn" doc:"Whoever comes with the code of an open team joins it"`
	Size             int                `json:"size" doc:"How many members it needs"`
	Joined           int                `json:"joined" doc:"How many are in it now"`
	Missing          int                `json:"missing"`
	OpenedAt         time.Time          `json:"opened_at"`
	EndsAt           time.Time          `json:"ends_at"`
	RemainingSeconds int64              `json:"remaining_seconds" doc:"How long it is still open, on the campaign's clock"`
	ClosedAt         *time.Time         `json:"closed_at,omitempty" doc:"When its last place was taken, or it ended otherwise"`
}

// MemberTeam is a team of one member.
type MemberTeam struct {
	TeamAnswer
	Leader   bool       `json:"leader" doc:"She opened it, or has been in it longest of those who are in it"`
	JoinedAt time.Time  `json:"joined_at"`
	LeftAt   *time.Time `json:"left_at,omitempty"`
}

// TeamList is the teams that a member came into.
type TeamList struct {
	Teams []MemberTeam `json:"teams"`
}

func (s *Server) registerTeams() {
	handle(s, operation{
		id: "get-team", method: http.MethodGet, path: "/v1/teams/{code}", tag: "teams", scope: store.ScopeMembersRead,
		summary: "How a team stands", detail: "Small letters, blanks and hyphens in the code do not matter.", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *struct {
		Code string `path:"code" maxLength:"160" doc:"The team's code"`
	},
	) (*answer[TeamAnswer], error) {
		code, ok := campaign.ReadTeamCode(in.Code)
		if !ok {
			return nil, campaign.Errorf(campaign.CodeNotFound, "there is no team with this code: a code is ten letters and digits")
		}
		t, err := s.store.Team(ctx, code)
		return &answer[TeamAnswer]{teamAnswer(&t)}, err
	})
}

func teamAnswer(t *store.Team) TeamAnswer {
	return TeamAnswer{
		Code: t.Code, Campaign: t.Campaign, Journey: t.Journey, Step: t.Step, Offer: t.Offer, State: t.State, Size: t.Size, Joined: t.Joined,
		Missing: t.Size - t.Joined, OpenedAt: t.OpenedAt, EndsAt: t.EndsAt, ClosedAt: orNil(t.ClosedAt),
		RemainingSeconds: int64(math.Ceil(t.Remaining().Seconds())),
	}
}

func teamAnswers(list []store.Team) []MemberTeam {
	out := make([]MemberTeam, len(list))
	for i := range list {
		t := &list[i]
		out[i] = MemberTeam{TeamAnswer: teamAnswer(t), Leader: t.Leader, JoinedAt: t.JoinedAt, LeftAt: orNil(t.LeftAt)}
	}
	return out
}
