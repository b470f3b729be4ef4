package starter

import (
	"context"
	"net/http"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// JourneyList is a member's journeys.
type JourneyList struct {
	Journeys []store.JourneyLine `json:"journeys"`
}

// OfferList is the offers that a member was made.
type OfferList struct {
	Offers []OfferAnswer `json:"offers"`
}

// MessageList is the messages to a member.
type MessageList struct {
	Messages []store.MessageLine `json:"messages"`
}

// Explanation is one member's whole story: each decision, and for each message that
// was not sent why.
type Explanation struct {
	Member   MemberAnswer       `json:"member"`
	Journeys []ExplainedJourney `json:"journeys"`
	Offers   []OfferAnswer      `json:"offers"`
	Points   store.Points       `json:"points"`
	// Coupons and Benefits are absent where she was granted none.
	Coupons  []store.CouponLine  `json:"coupons,omitempty"`
	Benefits []store.BenefitLine `json:"benefits,omitempty"`
}

// ExplainedJourney is one journey with every decision in it, in order.
type ExplainedJourney struct {
	store.JourneyLine
	Lines    []ExplainedLine     `json:"lines"`
	Messages []store.MessageLine `json:"messages"`
}

// ExplainedLine is one decision.
type ExplainedLine struct {
	At     time.Time         `json:"at" doc:"On the campaign's clock"`
	Step   string            `json:"step,omitempty"`
	Kind   string            `json:"kind"`
	Params map[string]string `json:"params,omitempty"`
	Words  string            `json:"words" doc:"The decision as a sentence"`
}

func (s *Server) registerStories() {
	op := func(what, summary string) operation {
		return operation{
			id: "member-" + what, method: http.MethodGet, path: "/v1/members/{member}/" + what, tag: tagMembers,
			scope: store.ScopeMembersRead, summary: summary, errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
		}
	}
	handle(s, op("journeys", "A member's journeys, the newest first"), func(ctx context.Context, in *MemberPath) (*answer[JourneyList], error) {
		list, err := ofMember(ctx, in, s.store.MemberJourneys)
		return &answer[JourneyList]{JourneyList{notNil(list)}}, err
	})
	handle(s, op("offers", "The offers that a member was made, the newest first"), func(ctx context.Context, in *MemberPath) (*answer[OfferList], error) {
		list, err := ofMember(ctx, in, s.store.MemberOffers)
		return &answer[OfferList]{OfferList{offerAnswers(list)}}, err
	})
	handle(s, op("teams", "The teams that a member came into, the newest first"), func(ctx context.Context, in *MemberPath) (*answer[TeamList], error) {
		list, err := ofMember(ctx, in, s.store.MemberTeams)
		return &answer[TeamList]{TeamList{teamAnswers(list)}}, err
	})
	handle(s, op("messages", "The messages to a member, the newest first, with those not sent"), func(ctx context.Context, in *MemberPath) (*answer[MessageList], error) {
		list, err := ofMember(ctx, in, s.store.MemberMessages)
		return &answer[MessageList]{MessageList{notNil(list)}}, err
	})
	handle(s, op("points", "A member's points and where they came from"), func(ctx context.Context, in *MemberPath) (*answer[store.Points], error) {
		points, err := ofMember(ctx, in, s.store.MemberPoints)
		points.Grants = notNil(points.Grants)
		return &answer[store.Points]{points}, err
	})
	handle(s, op("explain", "A member's whole story: each decision, and why"), s.explain)
}

func ofMember[T any](ctx context.Context, in *MemberPath, read func(context.Context, string) (T, error)) (out T, err error) {
	id, err := in.id()
	if err != nil {
		return out, err
	}
	return read(ctx, id)
}

func (s *Server) explain(ctx context.Context, in *struct {
	MemberPath
	Lang string `query:"lang" enum:"en,zh" default:"en" doc:"The language of the sentences"`
},
) (*answer[Explanation], error) {
	story, err := ofMember(ctx, &in.MemberPath, s.store.Story)
	if err != nil {
		return nil, err
	}
	return &answer[Explanation]{explanation(&story, campaign.Lang(in.Lang))}, nil
}

func explanation(story *store.Story, lang campaign.Lang) Explanation {
	out := Explanation{
		Member: memberAnswer(story.Member), Journeys: make([]ExplainedJourney, len(story.Journeys)),
		Offers:  offerAnswers(story.Offers),
		Points:  story.Points,
		Coupons: story.Coupons, Benefits: story.Benefits,
	}
	for i, j := range story.Journeys {
		e := ExplainedJourney{JourneyLine: j.JourneyLine, Lines: make([]ExplainedLine, len(j.Lines)), Messages: notNil(j.Messages)}
		for k, l := range j.Lines {
			e.Lines[k] = ExplainedLine{l.At, l.Step, string(l.Kind), l.Params, l.Words(lang)}
		}
		out.Journeys[i] = e
	}
	return out
}
