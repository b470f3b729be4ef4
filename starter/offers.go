package starter

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// OfferAnswer is an offer and the price to charge now.
type OfferAnswer struct {
	ID               string               `json:"id"`
	Campaign         string               `json:"campaign"`
	Offer            string               `json:"offer"`
	State            campaign.OfferState  `json:"state" enum:"open,taken,lapsed,withdrawn"`
	Price            store.Amount         `json:"price" doc:"What to charge now: the locked price while the offer is open and not past its end, the list price afterwards"`
	ListPrice        store.Amount         `json:"list_price"`
	OpenedAt         time.Time            `json:"opened_at"`
	ExpiresAt        *time.Time           `json:"expires_at,omitempty" doc:"Absent: the price is not locked for a time"`
	RemainingSeconds int64                `json:"remaining_seconds" doc:"How long the price stays locked, on the campaign's clock"`
	ClosedAt         *time.Time           `json:"closed_at,omitempty"`
	Order            string               `json:"order,omitempty" doc:"The order that took it or, while it is open, has paid for a place in a team"`
	RefundedAt       *time.Time           `json:"refunded_at,omitempty" doc:"When all of that order had gone back"`
	Reservations     []ReservationAnswer  `json:"reservations,omitempty" doc:"Orders that keep the locked price now"`
	Team             *OfferTeamAnswer     `json:"team,omitempty" doc:"Where members buy it together and she has paid: her team"`
	Refund           *RefundRequestAnswer `json:"refund,omitempty" doc:"Where her team was not complete, or she left it: what becomes of her money"`
}

// OfferTeamAnswer is the team in which a member has paid for an offer.
type OfferTeamAnswer struct {
	Code    string             `json:"code" doc:"By which others join it"`
	State   campaign.TeamState `json:"state" enum:"open,formed,failed,withdrawn"`
	Size    int                `json:"size" doc:"How many members it needs"`
	Joined  int                `json:"joined" doc:"How many have paid and are in it now"`
	Missing int                `json:"missing"`
	EndsAt  time.Time          `json:"ends_at"`
}

// RefundRequestAnswer is what becomes of the money of an order that gets nothing.
type RefundRequestAnswer struct {
	Order       string               `json:"order"`
	Amount      store.Amount         `json:"amount"`
	State       campaign.RefundState `json:"state" enum:"asked,accepted,refused,failed,unknown,confirmed" doc:"asked: the request is on its way to the shop; accepted: the shop has taken it; refused, failed and unknown: a review is open; confirmed: the shop told that all of the order has gone back"`
	ConfirmedAt *time.Time           `json:"confirmed_at,omitempty"`
}

func offerTeamAnswer(t *store.OfferTeam) *OfferTeamAnswer {
	if t == nil {
		return nil
	}
	return &OfferTeamAnswer{Code: t.Code, State: t.State, Size: t.Size, Joined: t.Joined, Missing: t.Size - t.Joined, EndsAt: t.EndsAt}
}

func refundRequestAnswer(r *store.RefundRequest) *RefundRequestAnswer {
	if r == nil {
		return nil
	}
	return &RefundRequestAnswer{Order: r.Order, Amount: store.AmountOf(r.Amount), State: r.State, ConfirmedAt: orNil(r.ConfirmedAt)}
}

func (s *Server) registerOffers() {
	s.registerReservations()
	handle(s, operation{
		id: "get-offer", method: http.MethodGet, path: "/v1/offers/{offer}", tag: "offers", scope: store.ScopeMembersRead,
		summary: "The price to charge now", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *OfferPath) (*answer[OfferAnswer], error) {
		o, err := s.store.Offer(ctx, in.Offer)
		return &answer[OfferAnswer]{offerAnswer(o)}, err
	})
}

func offerAnswers(list []store.Offer) []OfferAnswer {
	out := make([]OfferAnswer, len(list))
	for i, o := range list {
		out[i] = offerAnswer(o)
	}
	return out
}

func offerAnswer(o store.Offer) OfferAnswer {
	return OfferAnswer{
		ID: o.ID, Campaign: o.Campaign, Offer: o.Name, State: o.State, Price: store.AmountOf(o.Price()),
		ListPrice: store.AmountOf(o.ListPrice), OpenedAt: o.OpenedAt, ExpiresAt: orNil(o.ExpiresAt),
		// Rounded up: a price that is still locked never says that it has no time left.
		RemainingSeconds: int64(math.Ceil(o.Remaining().Seconds())),
		ClosedAt:         orNil(o.ClosedAt), Order: o.Order, RefundedAt: orNil(o.RefundedAt), Reservations: reservationAnswers(o.Reservations),
		Team: offerTeamAnswer(o.Team), Refund: refundRequestAnswer(o.Refund),
	}
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
