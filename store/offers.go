package store

import (
	"context"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Offer is an offer made to one member, as it stands now.
type Offer struct {
	ID        string
	Campaign  string
	Version   int
	Name      string
	Journey   int64
	Member    string
	Step      string
	State     campaign.OfferState
	Locked    campaign.Money // the price that was offered
	ListPrice campaign.Money
	OpenedAt  time.Time
	ExpiresAt time.Time // zero: no lock
	ClosedAt  time.Time
	Order     string
	Paid      campaign.Money
	Now       time.Time // on the campaign's clock
	// RefundedAt is when its order had gone back as a whole; zero: it has not.
	RefundedAt time.Time
	// Reservations are of orders that keep the price now.
	Reservations []Reservation

	Team   *OfferTeam     // in which Order pays for it; nil: it is bought alone, or not ordered
	Refund *RefundRequest // of an order whose team was not complete; nil: nobody was asked to pay back
}

// Price is what a shop charges now: the locked price while the offer is open and not
// past its end (the end itself is still in time), the list price afterwards.
func (o Offer) Price() campaign.Money {
	if o.State == campaign.OfferOpen && (o.ExpiresAt.IsZero() || !o.Now.After(o.ExpiresAt)) {
		return o.Locked
	}
	return o.ListPrice
}

// Remaining is how long the price stays locked, on the campaign's clock.
func (o Offer) Remaining() time.Duration {
	if o.State != campaign.OfferOpen || o.ExpiresAt.IsZero() {
		return 0
	}
	return max(0, o.ExpiresAt.Sub(o.Now))
}

// Offer reads one offer.
func (s *Store) Offer(ctx context.Context, id string) (Offer, error) {
	row, err := s.queries.GetOffer(ctx, id)
	if err != nil {
		return Offer{}, found(err, "offer", id)
	}
	list := []Offer{offerOf(row)}
	if list[0].State == campaign.OfferOpen {
		reserved, err := s.queries.LiveReservations(ctx, id)
		if err != nil {
			return Offer{}, translate(err, "read the reservations of an offer")
		}
		addReservations(list, reserved)
	}
	return list[0], nil
}

func offerOf(r db.GetOfferRow) Offer {
	money := func(minor int64) campaign.Money {
		return campaign.Money{Minor: minor, Currency: campaign.Currency(r.Currency)}
	}
	o := Offer{
		ID: r.ID, Campaign: r.Campaign, Version: int(r.Version), Name: r.Offer, Journey: r.Journey, Member: r.Member,
		Step: r.Step, State: campaign.OfferState(r.State), Locked: money(r.Price), ListPrice: money(r.ListPrice),
		OpenedAt: r.OpenedAt, ExpiresAt: orZero(r.ExpiresAt), ClosedAt: orZero(r.ClosedAt), RefundedAt: orZero(r.RefundedAt),
		Now: clock(r.ClockFactor, r.ClockReal, r.ClockStart).At(r.Now),
	}
	o.Team, o.Refund = teamOfOffer(&r, o.Now)
	if r.OrderID != nil {
		o.Order = *r.OrderID
	}
	if r.Paid != nil {
		o.Paid = money(*r.Paid)
	}
	return o
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
