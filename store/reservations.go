package store

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// ReservationState is the life of a reservation: reserved, then one of the others for good.
type ReservationState string

// States of a reservation.
const (
	ReservationReserved ReservationState = "reserved"
	ReservationCaptured ReservationState = "captured" // its order took the offer
	ReservationReleased ReservationState = "released" // given up, or another order took the offer, or it was withdrawn
	ReservationExpired  ReservationState = "expired"
)

// Reservation is an order that keeps an offer's price. Its times are on the campaign's clock.
type Reservation struct {
	Offer      string // its id
	Order      string // the caller's
	State      ReservationState
	Price      campaign.Money
	ReservedAt time.Time
	ExpiresAt  time.Time // an order paid until then, and at that moment, keeps the price
	ClosedAt   time.Time // zero: reserved
}

// ReserveOffer keeps an offer's price, and a piece of its stock, for an order. It is refused
// when the offer is not open or past its end, and when it is sold out. The same again is
// answered as it stands, but one that is over is made anew.
//
// It becomes an event of the member, stored under her lock, so that her journey judges it in
// its place among all others. The clock is read under that lock too, so either the
// reservation is made before the offer lapses, or the offer has lapsed and it is refused.
func (s *Store) ReserveOffer(ctx context.Context, offer, order string) (out Reservation, err error) {
	if order == "" || len(order) > maxOrder {
		return out, campaign.Errorf(campaign.CodeInvalid, "the id of an order has 1 to %d bytes", maxOrder)
	}
	err = s.inOffer(ctx, offer, func(q *db.Queries, o *db.OfferToReserveRow, stored, now time.Time) error {
		last, err := q.LastReservation(ctx, offer, order)
		switch {
		case err == nil:
			r := reservationOf(last, o, now)
			if r.State == ReservationReserved || r.State == ReservationCaptured {
				out = r
				return nil
			}
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		if err := reservable(o, now); err != nil {
			return err
		}
		orders, err := q.ReservingOrders(ctx, offer)
		if err != nil {
			return err
		}
		if last.ID == 0 && orders >= campaign.MaxReservingOrders {
			return campaign.Errorf(campaign.CodeConflict, "%d orders have reserved offer %s already", orders, offer)
		}
		if o.PerMember > 0 {
			others, err := q.OtherReservations(ctx, db.OtherReservationsParams{Member: o.Member, Campaign: o.Campaign, Name: o.Offer, Now: now, Offer: offer})
			if err != nil {
				return err
			}
			if o.TimesTaken+others >= o.PerMember {
				return campaign.Errorf(campaign.CodeConflict, "the member has taken or reserved %s %d times, which is as often as she may", o.Offer, o.TimesTaken+others)
			}
		}
		holds, err := holdPiece(ctx, q, o, now)
		if err != nil {
			return err
		}
		if last.State == string(ReservationReserved) { // over, and nobody has said so
			// Or somebody says so just now, who looks for a piece.
			if _, err := q.ReleaseReservation(ctx, string(ReservationExpired), last.ExpiresAt, last.ID); err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
		}
		row, err := q.AddReservation(ctx, db.AddReservationParams{
			Offer: offer, Campaign: o.Campaign, Name: o.Offer, Member: o.Member, OrderID: order, Now: now, ExpiresAt: now.Add(campaign.ReservationSpan), Holds: holds,
		})
		if err != nil {
			return err
		}
		out = reservationOf(row, o, now)
		return tellHold(ctx, q, o, strconv.FormatInt(row.ID, 10), stored, now, campaign.Hold{Offer: offer, Order: order, Until: row.ExpiresAt})
	})
	if err == nil {
		s.Notify()
	}
	return out, translate(err, "reserve an offer")
}

// maxOrder is how long the id of an order may be, in bytes.
const maxOrder = 128

// reservable answers why an offer cannot be reserved any more.
func reservable(o *db.OfferToReserveRow, now time.Time) error {
	const refused = campaign.CodeConflict
	at := func(t *time.Time) string { return orZero(t).UTC().Format(time.RFC3339) }
	switch state := campaign.OfferState(o.State); {
	case state == campaign.OfferTaken:
		return campaign.Errorf(refused, "the offer was taken at %s by order %s", at(o.ClosedAt), *o.OrderID)
	case state != campaign.OfferOpen:
		return campaign.Errorf(refused, "the offer is %s since %s", state, at(o.ClosedAt))
	case o.OrderID != nil:
		return campaign.Errorf(refused, "order %s has paid for the offer, and waits for its team", *o.OrderID)
	case o.ExpiresAt != nil && now.After(*o.ExpiresAt):
		return campaign.Errorf(refused, "the price was locked until %s", at(o.ExpiresAt))
	case State(o.CampaignState) == StateEnded:
		return campaign.Errorf(refused, "campaign %s has ended", o.Campaign)
	}
	return nil
}

// holdPiece holds a piece of the stock for an offer; false: there is no limit. Should one of
// its reservations hold one already, that will do.
func holdPiece(ctx context.Context, q *db.Queries, o *db.OfferToReserveRow, now time.Time) (bool, error) {
	if n, err := q.TakeOverPiece(ctx, now, o.ID); err != nil || n > 0 {
		return err == nil, err
	}
	if n, err := q.HoldPiece(ctx, o.Campaign, o.Offer); err != nil || n > 0 {
		return err == nil, err
	}
	if _, err := q.LockStock(ctx, o.Campaign, o.Offer); errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if err := q.GiveBackPieces(ctx, o.Campaign, o.Offer, now); err != nil {
		return false, err
	}
	n, err := q.HoldPiece(ctx, o.Campaign, o.Offer)
	if err == nil && n == 0 {
		err = campaign.Errorf(campaign.CodeConflict, "%s is sold out", o.Offer)
	}
	return err == nil, err
}

// ReleaseOffer gives a reservation up. One that is over already is answered as it stands;
// one whose order took the offer is a conflict.
func (s *Store) ReleaseOffer(ctx context.Context, offer, order string) (out Reservation, err error) {
	err = s.inOffer(ctx, offer, func(q *db.Queries, o *db.OfferToReserveRow, stored, now time.Time) error {
		last, err := q.LastReservation(ctx, offer, order)
		if errors.Is(err, pgx.ErrNoRows) {
			return campaign.Errorf(campaign.CodeNotFound, "order %q has not reserved offer %s", order, offer)
		}
		if err != nil {
			return err
		}
		out = reservationOf(last, o, now)
		switch {
		case out.State == ReservationCaptured:
			return campaign.Errorf(campaign.CodeConflict, "order %s has taken the offer at %s", order, out.ClosedAt.UTC().Format(time.RFC3339))
		case out.State != ReservationReserved:
			return nil
		}
		row, err := q.ReleaseReservation(ctx, string(ReservationReleased), now, last.ID)
		if errors.Is(err, pgx.ErrNoRows) { // it ended at this very moment, and somebody has given its piece back
			last, err = q.LastReservation(ctx, offer, order)
			out = reservationOf(last, o, now)
			return err
		}
		if err != nil {
			return err
		}
		if row.HeldUntil != nil { // another order of the same offer may need the piece
			others, err := q.LiveReservations(ctx, offer)
			if err != nil {
				return err
			}
			for _, other := range others {
				if other.ExpiresAt.Before(now) {
					continue
				}
				if err := q.LeavePiece(ctx, row.ID); err != nil {
					return err
				}
				if err := q.PassPiece(ctx, offer, now); err != nil {
					return err
				}
				break
			}
		}
		out = reservationOf(row, o, now)
		return tellHold(ctx, q, o, strconv.FormatInt(row.ID, 10)+"/released", stored, now, campaign.Hold{Offer: offer, Order: order, Until: now, Released: true})
	})
	if err == nil {
		s.Notify()
	}
	return out, translate(err, "release an offer")
}

// inOffer does something with an offer under its member's lock: stored is the real time of
// an event that is stored now, now the same on the campaign's clock.
func (s *Store) inOffer(ctx context.Context, offer string, do func(q *db.Queries, o *db.OfferToReserveRow, stored, now time.Time) error) error {
	return s.inQuickTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		member, err := q.OfferMember(ctx, offer)
		if err != nil {
			return found(err, "offer", offer)
		}
		held, err := q.LockMembers(ctx, []string{member})
		if err != nil {
			return err
		}
		o, err := q.OfferToReserve(ctx, offer)
		if err != nil {
			return err
		}
		stored := o.Now
		for _, m := range held {
			if m.LastStored.After(stored) {
				stored = m.LastStored
			}
		}
		// PostgreSQL keeps microseconds, and what is kept must be what was decided by.
		return do(q, &o, stored, clock(o.ClockFactor, o.ClockReal, o.ClockStart).At(stored).Truncate(time.Microsecond))
	})
}

// tellHold stores the event by which the journey learns of a reservation.
func tellHold(ctx context.Context, q *db.Queries, o *db.OfferToReserveRow, id string, stored, now time.Time, h campaign.Hold) error {
	properties, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return q.StoreDecision(ctx, db.StoreDecisionParams{
		Event: campaign.OwnEventID("reservation/" + id), Type: campaign.EventOfferReserved, Member: o.Member, At: now, StoredAt: stored, Properties: properties,
	})
}

// ExpireReservations gives back what reservations have held for too long, of at most so
// many offers, and says how many there were.
func (s *Store) ExpireReservations(ctx context.Context, most int) (n int, err error) {
	over, err := s.queries.OverdueReservations(ctx, int32(most))
	if err != nil {
		return 0, translate(err, "look for expired reservations")
	}
	done, err := eachAlone(ctx, over, func(o db.OverdueReservationsRow) error {
		return s.inQuickTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
			_, err := q.LockStock(ctx, o.Campaign, o.Name)
			if err == nil {
				err = q.GiveBackPieces(ctx, o.Campaign, o.Name, o.Now)
			} else if errors.Is(err, pgx.ErrNoRows) {
				err = nil
			}
			if err != nil {
				return err
			}
			return q.ExpireUnheld(ctx, o.Campaign, o.Name, o.Now)
		})
	})
	return swept(len(over), done), translate(err, "give back what was reserved")
}

// take takes one piece of stock. The limit is the one of the version submitted last,
// so that a marketer who adds stock helps the members who are on their way. An offer that
// was reserved takes the piece that is held for it.
//
// An order takes one offer of a name. That it has none is decided by its member's row, which is
// held; no page has two journeys of a member.
func (t *TurnTx) take(ctx context.Context, ask *campaign.TakeAsk) (campaign.Answer, error) {
	q, of := t.page.q, t.row.Campaign
	if ask.Order != "" {
		took, err := q.OrderTook(ctx, t.row.Member, of, ask.Offer, &ask.Order)
		if err != nil || took {
			return campaign.Answer{Reason: campaign.TeamOrderTwice}, err
		}
	}
	if ask.Full {
		return campaign.Answer{OK: true}, nil
	}
	if ask.ID != "" {
		return t.takeReserved(ctx, ask)
	}
	n, err := q.TakeStock(ctx, of, ask.Offer)
	if err != nil || n > 0 {
		return campaign.Answer{OK: err == nil}, err
	}
	if _, err := q.LockStock(ctx, of, ask.Offer); errors.Is(err, pgx.ErrNoRows) {
		return campaign.Answer{OK: true}, nil
	} else if err != nil {
		return campaign.Answer{}, err
	}
	return t.takeFree(ctx, ask)
}

// takeFree takes a piece that nobody holds, after giving back what is held too long. The
// stock's row is locked.
func (t *TurnTx) takeFree(ctx context.Context, ask *campaign.TakeAsk) (campaign.Answer, error) {
	q, of := t.page.q, t.row.Campaign
	if err := q.GiveBackPieces(ctx, of, ask.Offer, t.now); err != nil {
		return campaign.Answer{}, err
	}
	n, err := q.TakeStock(ctx, of, ask.Offer)
	if err == nil && n == 0 {
		return campaign.Answer{Reason: campaign.RefusedStock}, nil
	}
	return campaign.Answer{OK: err == nil}, err
}

func (t *TurnTx) takeReserved(ctx context.Context, ask *campaign.TakeAsk) (answer campaign.Answer, err error) {
	q, of := t.page.q, t.row.Campaign
	_, err = q.LockStock(ctx, of, ask.Offer)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		answer.OK = true
	case err != nil:
		return answer, err
	default:
		n, err := q.FreePiece(ctx, ask.ID, t.now)
		if err != nil {
			return answer, err
		}
		if n > 0 {
			answer.OK = true
			err = q.TakeHeld(ctx, of, ask.Offer)
		} else {
			answer, err = t.takeFree(ctx, ask)
		}
		if err != nil {
			return answer, err
		}
	}
	if !answer.OK {
		return answer, nil
	}
	return answer, q.CaptureReservation(ctx, t.now, ask.ID, ask.Order)
}

// reservationOf is a reservation as it stands at a moment, whether the sweep has come or not.
func reservationOf(r db.OfferReservation, o *db.OfferToReserveRow, now time.Time) Reservation {
	return reservationAt(r, campaign.Money{Minor: o.Price, Currency: campaign.Currency(o.Currency)}, now)
}

func reservationAt(r db.OfferReservation, price campaign.Money, now time.Time) Reservation {
	out := Reservation{
		Offer: r.Offer, Order: r.OrderID, State: ReservationState(r.State), Price: price, ReservedAt: r.ReservedAt, ExpiresAt: r.ExpiresAt, ClosedAt: orZero(r.ClosedAt),
	}
	if out.State == ReservationReserved && now.After(out.ExpiresAt) {
		out.State, out.ClosedAt = ReservationExpired, out.ExpiresAt
	}
	return out
}

// addReservations tells of offers which orders keep their prices now.
func addReservations(list []Offer, rows []db.OfferReservation) {
	for i := range list {
		o := &list[i]
		for _, row := range rows {
			if row.Offer != o.ID || o.State != campaign.OfferOpen {
				continue
			}
			if r := reservationAt(row, o.Locked, o.Now); r.State == ReservationReserved {
				o.Reservations = append(o.Reservations, r)
			}
		}
	}
}
