package starter

import (
	"context"
	"net/http"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// ReservationRequest asks for an offer's price to be kept for an order.
type ReservationRequest struct {
	Order string `json:"order" minLength:"1" maxLength:"128" doc:"Your own id of the order, the same that the event order.paid will tell"`
}

// ReservationAnswer is an order that keeps an offer's price.
type ReservationAnswer struct {
	Offer      string                 `json:"offer" doc:"The offer's id"`
	Order      string                 `json:"order"`
	State      store.ReservationState `json:"state" enum:"reserved,captured,released,expired" doc:"captured: the order took the offer; released: it was given up, or the offer is not open any more"`
	Price      store.Amount           `json:"price" doc:"What the order pays if it is paid by expires_at"`
	ReservedAt time.Time              `json:"reserved_at"`
	ExpiresAt  time.Time              `json:"expires_at" doc:"On the campaign's clock. The moment itself is in time"`
	ClosedAt   *time.Time             `json:"closed_at,omitempty"`
}

// OfferPath names an offer.
type OfferPath struct {
	Offer string `path:"offer" maxLength:"128" doc:"The offer's id"`
}

func (s *Server) registerReservations() {
	const path, tag = "/v1/offers/{offer}/reservation", "offers"
	handle(s, operation{
		id: "reserve-offer", method: http.MethodPost, path: path, tag: tag, scope: store.ScopeMembersWrite, status: http.StatusCreated,
		summary: "Keep the price for an order",
		detail: "For 15 minutes, also beyond the end of the lock. A piece of a limited stock is held as long. " +
			"409 says why there is nothing to keep: the offer is not open any more, its lock has ended, it is sold out, or the member has taken it as often as she may.",
		errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	}, func(ctx context.Context, in *struct {
		OfferPath
		Body ReservationRequest
	},
	) (*answer[ReservationAnswer], error) {
		if why := checkID(in.Body.Order); why != "" {
			return nil, problem(http.StatusUnprocessableEntity, "the offer cannot be reserved", ProblemDetail{Path: "order", Message: "the id cannot be used: " + why})
		}
		return reservation(s.store.ReserveOffer(ctx, in.Offer, in.Body.Order))
	})
	handle(s, operation{
		id: "release-offer", method: http.MethodDelete, path: path, tag: tag, scope: store.ScopeMembersWrite,
		summary: "Give a reservation up",
		detail:  "Again is answered the same, and so is one that is over. 404 says that the order never reserved the offer, 409 that it has taken it.",
		errors:  []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	}, func(ctx context.Context, in *struct {
		OfferPath
		Order string `query:"order" required:"true" minLength:"1" maxLength:"128" doc:"Your own id of the order"`
	},
	) (*answer[ReservationAnswer], error) {
		if why := checkID(in.Order); why != "" {
			return nil, campaign.Errorf(campaign.CodeInvalid, "the order's id cannot be used: %s", why)
		}
		return reservation(s.store.ReleaseOffer(ctx, in.Offer, in.Order))
	})
}

func reservation(r store.Reservation, err error) (*answer[ReservationAnswer], error) {
	if err != nil {
		return nil, err
	}
	return &answer[ReservationAnswer]{reservationAnswer(r)}, nil
}

func reservationAnswer(r store.Reservation) ReservationAnswer {
	return ReservationAnswer{r.Offer, r.Order, r.State, store.AmountOf(r.Price), r.ReservedAt, r.ExpiresAt, orNil(r.ClosedAt)}
}

func reservationAnswers(list []store.Reservation) []ReservationAnswer {
	var out []ReservationAnswer
	for _, r := range list {
		out = append(out, reservationAnswer(r))
	}
	return out
}
