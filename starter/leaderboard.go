package starter

import (
	"context"
	"net/http"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// LeaderboardAnswer is the top of a ranking.
type LeaderboardAnswer struct {
	Campaign string          `json:"campaign"`
	Period   campaign.Period `json:"period" enum:"day,week,month,all"`
	From     *time.Time      `json:"from,omitempty" doc:"When the period begins, on the campaign's clock; left out for all time"`
	Until    *time.Time      `json:"until,omitempty" doc:"When it ends"`
	Group    string          `json:"group,omitempty"`
	Of       string          `json:"of,omitempty"`
	Top      []RankedAnswer  `json:"top"`
	Member   *RankedAnswer   `json:"member,omitempty" doc:"Where the member stands who was asked about"`
}

// RankedAnswer is a member's place.
type RankedAnswer struct {
	Rank   int64  `json:"rank,omitempty" doc:"Members with the same points share it; left out behind rank 10,000, and without points"`
	Member string `json:"member"`
	Name   string `json:"name,omitempty" doc:"Her attribute name, for keys with the scope members:read"`
	Points int64  `json:"points"`
}

func (s *Server) registerLeaderboard() {
	handle(s, operation{
		id: "leaderboard", method: http.MethodGet, path: "/v1/campaigns/{campaign}/leaderboard", tag: tagCampaigns, scope: store.ScopeReportsRead,
		summary: "Who earned the most points, by the campaign's rules",
		detail:  "Over a period of the campaign's calendar and, of a group that the campaign names, within one of its parts. Members are their ids; names come only for a key that may read members too.",
		errors:  []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, s.leaderboard)
}

func (s *Server) leaderboard(ctx context.Context, in *struct {
	CampaignPath
	Period string `query:"period" enum:"day,week,month,all" default:"all" doc:"The one that is under way, unless at is told. A week begins on Monday"`
	At     string `query:"at" doc:"A moment in the period, RFC 3339 with an offset; now, unless told"`
	Group  string `query:"group" maxLength:"40" doc:"A group of the campaign's leaderboard"`
	Of     string `query:"of" maxLength:"1000" doc:"Which part of the group"`
	Top    int    `query:"top" minimum:"0" maximum:"1000" default:"10" doc:"How many"`
	Member string `query:"member" maxLength:"128" doc:"A member whose own place is wanted"`
},
) (*answer[LeaderboardAnswer], error) {
	r := store.Ranking{Campaign: in.Campaign, Board: in.Group, Part: in.Of, Period: campaign.Period(in.Period)}
	if (in.Group == "") != (in.Of == "") {
		return nil, problem(http.StatusUnprocessableEntity, "the leaderboard cannot be read", ProblemDetail{Path: "of", Message: "group and of go together", Hint: "write group=city&of=上海"})
	}
	if in.At != "" {
		at, err := time.Parse(time.RFC3339, in.At)
		if err != nil {
			return nil, problem(http.StatusUnprocessableEntity, "the leaderboard cannot be read", ProblemDetail{Path: "at", Message: "this is not a moment", Hint: "write 2026-12-01T00:00:00+08:00"})
		}
		r.At = at
	}
	if in.Member != "" {
		if why := checkID(in.Member); why != "" {
			return nil, campaign.Errorf(campaign.CodeInvalid, "the member's id cannot be used: %s", why)
		}
	}
	board, err := s.store.Leaderboard(ctx, r, in.Top, in.Member)
	if err != nil {
		return nil, err
	}
	out := LeaderboardAnswer{
		Campaign: in.Campaign, Period: r.Period, From: orNil(board.Begins), Until: orNil(board.Ends), Group: in.Group, Of: in.Of, Top: make([]RankedAnswer, len(board.Top)),
	}
	for i, m := range board.Top {
		out.Top[i] = RankedAnswer{Rank: m.Rank, Member: m.Member, Points: m.Points}
	}
	named := []*RankedAnswer{}
	for i := range out.Top {
		named = append(named, &out.Top[i])
	}
	if own := board.Own; own != nil {
		out.Member = &RankedAnswer{Rank: own.Rank, Member: own.Member, Points: own.Points}
		named = append(named, out.Member)
	}
	if key, ok := principal(ctx); !ok || !key.May(store.ScopeMembersRead) {
		return &answer[LeaderboardAnswer]{out}, nil
	}
	ids := make([]string, len(named))
	for i, m := range named {
		ids[i] = m.Member
	}
	names, err := s.store.Names(ctx, ids)
	for _, m := range named {
		m.Name = names[m.Member]
	}
	return &answer[LeaderboardAnswer]{out}, err
}
