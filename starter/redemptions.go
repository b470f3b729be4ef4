package starter

import (
	"context"
	"net/http"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// RedemptionRequest asks for points of a member to be set aside for an order.
type RedemptionRequest struct {
	Redemption string `json:"redemption" minLength:"1" maxLength:"128" doc:"Your own id of the redemption: the same again changes nothing, for ever"`
	Points     int64  `json:"points" minimum:"1" maximum:"1000000000000"`
	Order      string `json:"order" minLength:"1" maxLength:"128" doc:"Your own id of the order that they are for"`
	For        string `json:"for,omitempty" maxLength:"40" doc:"How long they stay reserved, 1s to 30d; 15m unless told"`
}

// RedemptionAnswer is a redemption as it stands.
type RedemptionAnswer struct {
	Redemption string                `json:"redemption"`
	Member     string                `json:"member"`
	Points     int64                 `json:"points"`
	Order      string                `json:"order"`
	State      store.RedemptionState `json:"state" enum:"reserved,captured,cancelled,expired"`
	ReservedAt time.Time             `json:"reserved_at"`
	ExpiresAt  time.Time             `json:"expires_at" doc:"Can be captured until then"`
	ClosedAt   *time.Time            `json:"closed_at,omitempty" doc:"When it was captured, cancelled or given back"`
}

// RedemptionList is a page of a member's redemptions.
type RedemptionList struct {
	Redemptions []RedemptionAnswer `json:"redemptions"`
	Next        string             `json:"next,omitempty" doc:"Pass as after for the rest"`
}

// RedemptionPath names a redemption.
type RedemptionPath struct {
	Redemption string `path:"redemption" doc:"Your own id of the redemption"`
}

func (p RedemptionPath) id() (string, error) {
	if why := checkID(p.Redemption); why != "" {
		return "", campaign.Errorf(campaign.CodeInvalid, "the redemption's id cannot be used: %s", why)
	}
	return p.Redemption, nil
}

// defaultReservation is how long points stay reserved unless it is told.
const defaultReservation = 15 * time.Minute

func (s *Server) registerRedemptions() {
	const tag = "redemptions"
	handle(s, operation{
		id: "reserve-points", method: http.MethodPost, path: "/v1/members/{member}/redemptions", tag: tag, scope: store.ScopeMembersWrite,
		summary: "Reserve points for an order", status: http.StatusCreated,
		detail: "They are no longer hers to spend, until they are captured or cancelled, or the reservation ends. 409 says how many she has, or that the id is another redemption's.",
		errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	}, s.reserve)
	handle(s, operation{
		id: "list-redemptions", method: http.MethodGet, path: "/v1/members/{member}/redemptions", tag: tag, scope: store.ScopeMembersRead,
		summary: "A member's redemptions, the newest first", errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, s.listRedemptions)
	one := func(id, method, path, summary, detail string, scope store.Scope, do func(context.Context, string) (store.Redemption, error), errors ...int) {
		handle(s, operation{
			id: id, method: method, path: "/v1/redemptions/{redemption}" + path, tag: tag, scope: scope, summary: summary, detail: detail,
			errors: append([]int{http.StatusNotFound, http.StatusUnprocessableEntity}, errors...),
		}, func(ctx context.Context, in *RedemptionPath) (*answer[RedemptionAnswer], error) {
			id, err := in.id()
			if err != nil {
				return nil, err
			}
			return redeemed(do(ctx, id))
		})
	}
	one("get-redemption", http.MethodGet, "", "One redemption", "", store.ScopeMembersRead, s.store.Redemption)
	one("capture-redemption", http.MethodPost, "/capture", "Spend what was reserved",
		"Again is answered the same. 409 says that it was cancelled, or when the reservation ended.", store.ScopeMembersWrite, s.store.Capture, http.StatusConflict)
	one("cancel-redemption", http.MethodPost, "/cancel", "Give back what was reserved",
		"Again is answered the same, and so is one whose reservation has ended. 409 says that it was captured.", store.ScopeMembersWrite, s.store.Cancel, http.StatusConflict)
}

func (s *Server) reserve(ctx context.Context, in *struct {
	MemberPath
	Body RedemptionRequest
},
) (*answer[RedemptionAnswer], error) {
	member, err := in.id()
	if err != nil {
		return nil, err
	}
	for _, id := range []struct{ field, value string }{{"redemption", in.Body.Redemption}, {"order", in.Body.Order}} {
		if why := checkID(id.value); why != "" {
			return nil, problem(http.StatusUnprocessableEntity, "the redemption cannot be kept", ProblemDetail{Path: id.field, Message: "the id cannot be used: " + why})
		}
	}
	span := defaultReservation
	if in.Body.For != "" {
		if span, err = campaign.ParseDuration(in.Body.For); err != nil {
			return nil, problem(http.StatusUnprocessableEntity, "the redemption cannot be kept", ProblemDetail{Path: "for", Message: err.Error()})
		}
	}
	return redeemed(s.store.Reserve(ctx, store.Redemption{
		ID: in.Body.Redemption, Member: member, Points: in.Body.Points, Order: in.Body.Order, Span: span,
	}))
}

func (s *Server) listRedemptions(ctx context.Context, in *struct {
	MemberPath
	Page
},
) (*answer[RedemptionList], error) {
	member, err := in.id()
	if err != nil {
		return nil, err
	}
	after, err := in.after()
	if err != nil {
		return nil, err
	}
	list, err := s.store.MemberRedemptions(ctx, member, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	part, next := cut(list, in.Limit, func(r store.Redemption) string { return r.ID })
	out := RedemptionList{Redemptions: make([]RedemptionAnswer, len(part)), Next: next}
	for i := range part {
		out.Redemptions[i] = redemptionAnswer(&part[i])
	}
	return &answer[RedemptionList]{out}, nil
}

func redeemed(r store.Redemption, err error) (*answer[RedemptionAnswer], error) {
	if err != nil {
		return nil, err
	}
	return &answer[RedemptionAnswer]{redemptionAnswer(&r)}, nil
}

func redemptionAnswer(r *store.Redemption) RedemptionAnswer {
	return RedemptionAnswer{r.ID, r.Member, r.Points, r.Order, r.State, r.ReservedAt, r.ExpiresAt, orNil(r.ClosedAt)}
}
