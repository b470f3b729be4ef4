package starter

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// ReviewAnswer is a question to a person and what became of it. All times are on the
// campaign's clock.
type ReviewAnswer struct {
	ID          string                  `json:"id"`
	Kind        campaign.ReviewKind     `json:"kind" enum:"decision,underpaid,wrong_currency,late_payment,paid_not_taken,paid_after_end,not_refunded" doc:"decision: a step of the journey waits for it; each of the others: somebody paid, and nothing waits. Approving underpaid, wrong_currency or paid_not_taken lets the order take its offer while that is open"`
	State       campaign.ReviewState    `json:"state" enum:"open,approved,rejected,withdrawn" doc:"withdrawn: the member left the journey before anybody decided"`
	Campaign    string                  `json:"campaign"`
	Version     int                     `json:"version"`
	Journey     string                  `json:"journey"`
	Member      string                  `json:"member" doc:"Her id, and all that a review knows of her"`
	Step        string                  `json:"step,omitempty" doc:"The step's number in its version"`
	About       string                  `json:"about,omitempty" doc:"What is to be decided, in the campaign's words"`
	Asked       string                  `json:"asked,omitempty" doc:"The role that is asked now: first role, then backup"`
	Role        string                  `json:"role,omitempty"`
	Backup      string                  `json:"backup,omitempty"`
	OpenedAt    time.Time               `json:"opened_at"`
	EscalatesAt *time.Time              `json:"escalates_at,omitempty" doc:"From then on the backup is asked"`
	ClosesAt    *time.Time              `json:"closes_at,omitempty" doc:"Until then it can be decided; absent: for ever"`
	Otherwise   campaign.ReviewDecision `json:"otherwise,omitempty" enum:"approve,reject" doc:"What holds when nobody decides in time"`
	ClaimedBy   string                  `json:"claimed_by,omitempty" doc:"Who has taken it in hand"`
	ClaimedAt   *time.Time              `json:"claimed_at,omitempty"`
	DecidedBy   string                  `json:"decided_by,omitempty" doc:"Absent in a closed one: nobody decided in time"`
	DecidedAt   *time.Time              `json:"decided_at,omitempty"`
	Reason      string                  `json:"reason,omitempty"`
	Offer       string                  `json:"offer,omitempty" doc:"Of a payment"`
	Event       string                  `json:"event,omitempty" doc:"The id of the event that told of the payment"`
	Detail      map[string]string       `json:"detail,omitempty" doc:"Of a payment: order, paid and price"`
}

// ReviewList is a page of reviews.
type ReviewList struct {
	Reviews []ReviewAnswer `json:"reviews"`
	Next    string         `json:"next,omitempty" doc:"Pass as after for the rest"`
}

// ClaimRequest says who takes a review in hand.
type ClaimRequest struct {
	Reviewer string `json:"reviewer,omitempty" maxLength:"128" doc:"Your own id of the person; the key's name unless given"`
}

// DecisionRequest decides a review.
type DecisionRequest struct {
	Decision campaign.ReviewDecision `json:"decision" enum:"approve,reject"`
	Reason   string                  `json:"reason" minLength:"1" maxLength:"1000" doc:"In words; it stands in the member's story"`
	Reviewer string                  `json:"reviewer,omitempty" maxLength:"128" doc:"Your own id of the person; the key's name unless given"`
}

// ReviewPath names a review.
type ReviewPath struct {
	Review int64 `path:"review" minimum:"1" doc:"The review's id"`
}

func (s *Server) registerReviews() {
	op := func(id, method, path, summary, detail string, errors ...int) operation {
		return operation{
			id: id, method: method, path: "/v1/reviews" + path, tag: "reviews", scope: store.ScopeReviewsDecide,
			summary: summary, detail: detail, errors: errors,
		}
	}
	handle(s, op("list-reviews", http.MethodGet, "", "The queue for people", "In the order in which they were opened.", http.StatusUnprocessableEntity), s.listReviews)
	handle(s, op("get-review", http.MethodGet, "/{review}", "One review", "", http.StatusNotFound),
		func(ctx context.Context, in *ReviewPath) (*answer[ReviewAnswer], error) {
			return reviewed(s.store.Review(ctx, in.Review))
		})
	handle(s, op("claim-review", http.MethodPost, "/{review}/claim", "Take a review in hand",
		"One person at a time. 409 says who has it, or why there is nothing to decide. A claim ends when it is released, and when the backup is asked.",
		http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity),
		func(ctx context.Context, in *struct {
			ReviewPath
			Body *ClaimRequest `required:"false"`
		},
		) (*answer[ReviewAnswer], error) {
			named := ""
			if in.Body != nil {
				named = in.Body.Reviewer
			}
			who, err := reviewer(ctx, named)
			if err != nil {
				return nil, err
			}
			return reviewed(s.store.ClaimReview(ctx, in.Review, who))
		})
	handle(s, op("release-review", http.MethodDelete, "/{review}/claim", "Give a review back",
		"Whoever may decide may release, also what somebody else has claimed.", http.StatusNotFound, http.StatusConflict),
		func(ctx context.Context, in *ReviewPath) (*answer[ReviewAnswer], error) {
			return reviewed(s.store.ReleaseReview(ctx, in.Review))
		})
	handle(s, op("decide-review", http.MethodPost, "/{review}/decision", "Approve or reject",
		"A decision is taken once. 409 says who decided and when, who has claimed it, or what holds because the time is over.",
		http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity), s.decideReview)
}

func (s *Server) listReviews(ctx context.Context, in *struct {
	Page
	State    campaign.ReviewState `query:"state" enum:"open,approved,rejected,withdrawn" doc:"Any, unless given"`
	Campaign string               `query:"campaign" maxLength:"63"`
	Kind     campaign.ReviewKind  `query:"kind" enum:"decision,underpaid,wrong_currency,late_payment,paid_not_taken,paid_after_end,not_refunded"`
	Role     string               `query:"role" maxLength:"40" doc:"Only those for which this role is asked now"`
},
) (*answer[ReviewList], error) {
	after, err := in.afterNumber()
	if err != nil {
		return nil, err
	}
	filter := store.ReviewFilter{State: in.State, Campaign: in.Campaign, Kind: in.Kind, Role: in.Role}
	list, err := s.store.Reviews(ctx, filter, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	part, next := cut(list, in.Limit, func(r store.Review) string { return strconv.FormatInt(r.ID, 10) })
	out := ReviewList{Reviews: make([]ReviewAnswer, len(part)), Next: next}
	for i := range part {
		out.Reviews[i] = reviewAnswer(&part[i])
	}
	return &answer[ReviewList]{out}, nil
}

func (s *Server) decideReview(ctx context.Context, in *struct {
	ReviewPath
	Body DecisionRequest
},
) (*answer[ReviewAnswer], error) {
	who, err := reviewer(ctx, in.Body.Reviewer)
	if err != nil {
		return nil, err
	}
	reason := strings.TrimSpace(in.Body.Reason)
	if why := checkString(reason); why != "" || reason == "" {
		return nil, problem(http.StatusUnprocessableEntity, "say why: the reason stands in the member's story", ProblemDetail{Path: "reason", Message: "there is no reason that can be kept"})
	}
	return reviewed(s.store.DecideReview(ctx, in.Review, in.Body.Decision, who, reason))
}

// reviewer is the id of the person for whom a call is made.
func reviewer(ctx context.Context, named string) (string, error) {
	if key, ok := principal(ctx); ok && named == "" {
		named = key.Name
	}
	if why := checkID(named); why != "" {
		return "", campaign.Errorf(campaign.CodeInvalid, "the reviewer's id cannot be used: %s", why)
	}
	return named, nil
}

func reviewed(r store.Review, err error) (*answer[ReviewAnswer], error) {
	if err != nil {
		return nil, err
	}
	return &answer[ReviewAnswer]{reviewAnswer(&r)}, nil
}

func reviewAnswer(r *store.Review) ReviewAnswer {
	return ReviewAnswer{
		ID: strconv.FormatInt(r.ID, 10), Kind: r.Kind, State: r.State, Campaign: r.Campaign, Version: r.Version, Journey: r.Journey,
		Member: r.Member, Step: r.Step, About: r.About, Asked: r.Asked(), Role: r.Role, Backup: r.Backup, OpenedAt: r.At,
		EscalatesAt: orNil(r.EscalatesAt), ClosesAt: orNil(r.ClosesAt), Otherwise: r.Otherwise, ClaimedBy: r.ClaimedBy, ClaimedAt: orNil(r.ClaimedAt),
		DecidedBy: r.DecidedBy, DecidedAt: orNil(r.DecidedAt), Reason: r.Reason, Offer: r.Offer, Event: r.Event, Detail: r.Detail,
	}
}
