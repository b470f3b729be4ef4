package store

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/codes"
	"github.com/banyanhq/banyan/store/db"
)

// Coupon is a code that a member was granted. Whoever knows the code can redeem it, so
// it is in no list, log or report whole.
type Coupon struct {
	Masked    string // the end of its code
	Campaign  string
	Reward    string
	Member    string
	Grant     string // the key
	Value     campaign.Money
	State     campaign.CouponState
	GrantedAt time.Time // campaign time
	EndsAt    time.Time // campaign time; good until then; zero: for ever
	Order     string    // that it is reserved for, or was redeemed with
	HeldUntil time.Time // real; reserved until then; zero: it is not
	ClosedAt  time.Time // real; zero: granted

	span time.Duration
}

const codeLabel = "banyan coupon"

func boundCode(campaignName, reward string) []byte {
	return bytes.Join([][]byte{[]byte(codeLabel), []byte(campaignName), []byte(reward)}, []byte{0})
}

// sealCode gives a code as it is stored.
func (s *sealer) sealCode(campaignName, reward, code string) (stored []byte, sealed bool) {
	if s.aead == nil {
		return []byte(code), false
	}
	return seal(s.aead, []byte(code), boundCode(campaignName, reward)), true
}

// openCode reads a code as it is stored.
func (s *sealer) openCode(campaignName, reward string, stored []byte, sealed bool) (string, error) {
	if !sealed {
		return string(stored), nil
	}
	if s.aead == nil {
		return "", ErrSealed
	}
	text, ok := unseal(s.aead, stored, boundCode(campaignName, reward))
	if !ok {
		return "", ErrSealed
	}
	return string(text), nil
}

// hashOfCode is what a code is looked up by.
func (s *sealer) hashOfCode(code string) []byte { return codeHash(s.hash, code) }

func codeHash(key []byte, code string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(codeLabel))
	mac.Write([]byte{0})
	mac.Write([]byte(code))
	return mac.Sum(nil)
}

// hashesOf are what a code that somebody typed may be found by: as it is, as imported codes
// are, and as one of ours is kept. One that was stored before there was a key is found too,
// whether it has been sealed since or not.
func (s *sealer) hashesOf(typed string) [][]byte {
	exact := trimCode(typed)
	spelled := []string{exact}
	if kept, err := codes.Normalize(typed); err == nil && kept != exact {
		spelled = append(spelled, kept)
	}
	var hashes [][]byte
	for _, code := range spelled {
		hashes = append(hashes, s.hashOfCode(code))
		if s.aead != nil {
			hashes = append(hashes, codeHash([]byte(plainKey), code))
		}
	}
	return hashes
}

var errNoCoupon = campaign.Errorf(campaign.CodeNotFound, "there is no coupon with this code")

func (s *Store) findCoupon(ctx context.Context, code string) (int64, error) {
	have, err := s.sealer(ctx)
	if err != nil {
		return 0, err
	}
	id, err := s.queries.FindCoupon(ctx, have.hashesOf(code))
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, errNoCoupon
	}
	return id, translate(err, "look for a coupon")
}

// Coupon reads one coupon by its code.
func (s *Store) Coupon(ctx context.Context, code string) (Coupon, error) {
	id, err := s.findCoupon(ctx, code)
	if err != nil {
		return Coupon{}, err
	}
	row, err := s.queries.GetCoupon(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Coupon{}, errNoCoupon
	}
	if err != nil {
		return Coupon{}, translate(err, "read a coupon")
	}
	return couponOf(&row.Coupon, clock(row.ClockFactor, row.ClockReal, row.ClockStart), row.Now, code), nil
}

// couponOf reads a row. What its end or the end of a reservation has made of it is told,
// whether somebody has written it down or not.
func couponOf(r *db.Coupon, on campaign.Clock, now time.Time, code string) Coupon {
	c := Coupon{
		Masked: campaign.MaskCode(code), Campaign: r.Campaign, Reward: r.Reward, State: campaign.CouponState(r.State),
		Value:     campaign.Money{Minor: r.Value, Currency: campaign.Currency(r.Currency)},
		GrantedAt: orZero(r.GrantedAt), EndsAt: orZero(r.EndsAt), HeldUntil: orZero(r.HeldUntil), ClosedAt: orZero(r.ClosedAt),
		span: time.Duration(r.Span.Days)*24*time.Hour + time.Duration(r.Span.Microseconds)*time.Microsecond,
	}
	if r.Member != nil {
		c.Member, c.Grant = *r.Member, *r.Key
	}
	if r.OrderID != nil {
		c.Order = *r.OrderID
	}
	if c.State != campaign.CouponGranted {
		return c
	}
	if !c.HeldUntil.IsZero() && now.After(c.HeldUntil) {
		c.Order, c.HeldUntil, c.span = "", time.Time{}, 0
	}
	if !c.EndsAt.IsZero() && c.HeldUntil.IsZero() && on.At(now).After(c.EndsAt) {
		c.State = campaign.CouponExpired
	}
	return c
}

// ReserveCoupon sets a coupon aside for an order, so that nobody else redeems it while the
// order is being paid. The same again is answered as it stands.
func (s *Store) ReserveCoupon(ctx context.Context, code, order string, span time.Duration) (Coupon, error) {
	if span < MinReservation || span > MaxReservation {
		return Coupon{}, campaign.Errorf(campaign.CodeInvalid, "a coupon is reserved for 1s to %s", campaign.FormatDuration(MaxReservation))
	}
	return s.onCoupon(ctx, code, "reserve a coupon", func(q *db.Queries, id int64, c *Coupon, now time.Time) error {
		switch {
		case c.State == campaign.CouponRedeemed && c.Order == order:
			return nil // it was captured already
		case c.State != campaign.CouponGranted:
			return closedCoupon(c)
		case !c.HeldUntil.IsZero() && c.Order == order && c.span == span:
			return nil
		case !c.HeldUntil.IsZero():
			return campaign.Errorf(campaign.CodeConflict, "this coupon is reserved for another order, or for this one for another span, until %s", c.HeldUntil.UTC().Format(time.RFC3339))
		}
		return q.ReserveCoupon(ctx, order, span.Seconds(), now, id)
	})
}

// CaptureCoupon redeems a coupon that is reserved for this order.
func (s *Store) CaptureCoupon(ctx context.Context, code, order string) (Coupon, error) {
	return s.onCoupon(ctx, code, "redeem a coupon", func(q *db.Queries, id int64, c *Coupon, now time.Time) error {
		switch {
		case c.State == campaign.CouponRedeemed && c.Order == order:
			return nil
		case c.State != campaign.CouponGranted:
			return closedCoupon(c)
		case c.HeldUntil.IsZero():
			return campaign.Errorf(campaign.CodeConflict, "this coupon is not reserved, or not any more: reserve it for the order first")
		case c.Order != order:
			return errOtherOrder
		}
		return q.CloseCoupons(ctx, []int64{id}, string(campaign.CouponRedeemed), order, now)
	})
}

// CancelCoupon gives a coupon that is reserved for this order back to its member.
func (s *Store) CancelCoupon(ctx context.Context, code, order string) (Coupon, error) {
	return s.onCoupon(ctx, code, "give back a coupon", func(q *db.Queries, id int64, c *Coupon, _ time.Time) error {
		switch {
		case c.State == campaign.CouponRedeemed || c.State == campaign.CouponVoided:
			return closedCoupon(c)
		case c.State != campaign.CouponGranted || c.HeldUntil.IsZero():
			return nil
		case c.Order != order:
			return errOtherOrder
		}
		return q.ReleaseCoupon(ctx, id)
	})
}

var errOtherOrder = campaign.Errorf(campaign.CodeConflict, "this coupon is reserved for another order")

func closedCoupon(c *Coupon) error {
	switch c.State {
	case campaign.CouponRedeemed:
		return campaign.Errorf(campaign.CodeConflict, "this coupon was redeemed at %s", c.ClosedAt.UTC().Format(time.RFC3339))
	case campaign.CouponExpired:
		return campaign.Errorf(campaign.CodeConflict, "this coupon expired at %s", c.EndsAt.UTC().Format(time.RFC3339))
	case campaign.CouponVoided, campaign.CouponGranted:
	}
	return campaign.Errorf(campaign.CodeConflict, "this coupon was voided at %s", c.ClosedAt.UTC().Format(time.RFC3339))
}

// onCoupon does something with a coupon whose row is locked, and reads it again.
func (s *Store) onCoupon(ctx context.Context, code, doing string, do func(q *db.Queries, id int64, c *Coupon, now time.Time) error) (out Coupon, err error) {
	id, err := s.findCoupon(ctx, code)
	if err != nil {
		return out, err
	}
	err = s.inQuickTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		row, err := q.LockCoupon(ctx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return errNoCoupon
		}
		if err != nil {
			return err
		}
		// Another may have had the row until now.
		now, err := q.RedemptionClock(ctx)
		if err != nil {
			return err
		}
		on := clock(row.ClockFactor, row.ClockReal, row.ClockStart)
		c := couponOf(&row.Coupon, on, now, code)
		if err := do(q, id, &c, now); err != nil {
			return err
		}
		after, err := q.GetCoupon(ctx, id)
		if err != nil {
			return err
		}
		out = couponOf(&after.Coupon, on, now, code)
		return nil
	})
	return out, translate(err, doing)
}

// ExpireCoupons gives coupons whose end has passed their last state, and says how many it
// has found, which are at most so many.
func (s *Store) ExpireCoupons(ctx context.Context, most int) (n int, err error) {
	ids, err := s.queries.CouponsToExpire(ctx, campaign.CouponGrace.Seconds(), int32(most))
	if err != nil || len(ids) == 0 {
		return 0, translate(err, "look for expired coupons")
	}
	done, err := orAlone(ctx, ids, func(list []int64) error {
		return s.inQuickTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
			locked, err := q.LockCoupons(ctx, list)
			if err != nil || len(locked) == 0 {
				return err
			}
			now, err := q.RedemptionClock(ctx)
			if err != nil {
				return err
			}
			return q.CloseCoupons(ctx, locked, string(campaign.CouponExpired), "", now)
		})
	})
	return swept(len(ids), done), translate(err, "expire coupons")
}

// Coupons that orders were paid with: the orders of each that could use it, by their own time.
// One that is reserved for another order is that one's; and an order from before a coupon was
// granted was paid with it when it was somebody else's, and has gone back to its pool since.
const paidWithSQL = `
select c.id, i.order_id from unnest($1::bytea[], $2::text[], $3::timestamptz[]) with ordinality as i (hash, order_id, at, n)
  join coupons c on c.hash = i.hash
 where c.state = 'granted' and i.at >= c.granted_at and (c.ends_at is null or i.at <= c.ends_at)
   and (c.order_id is null or c.order_id = i.order_id or c.held_until is null or c.held_until < clock_timestamp())
 order by c.id, i.at, i.n for update of c`

// redeemPaid redeems the coupons that the events of a batch say orders were paid with. It is
// done in the transaction that routes an event first, so once, whatever of the event is left
// for later; a coupon that cannot be redeemed any more changes nothing.
func (t *RouteTx) redeemPaid(ctx context.Context) error {
	var (
		hashes [][]byte
		orders []string
		times  []time.Time
		have   *sealer
		err    error
	)
	for i := range t.Intents {
		in := &t.Intents[i]
		e := in.Event
		if in.Kind != IntentEvent || in.Again || e.Type != campaign.EventOrderPaid || !bytes.Contains(e.Properties, []byte(`"`+campaign.PropertyCoupon+`"`)) {
			continue
		}
		order, code := paidWith(e.Properties)
		if code == "" {
			continue
		}
		if have == nil {
			if have, err = t.sealer(ctx); err != nil {
				return err
			}
		}
		for _, hash := range have.hashesOf(code) {
			hashes, orders, times = append(hashes, hash), append(orders, order), append(times, e.Time)
		}
	}
	if len(hashes) == 0 {
		return nil
	}
	type paid struct {
		ID    int64
		Order string
	}
	found, err := t.tx.Query(ctx, paidWithSQL, hashes, orders, times)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(found, pgx.RowToStructByPos[paid])
	if err != nil || len(list) == 0 {
		return err
	}
	now, err := t.q.RedemptionClock(ctx)
	if err != nil {
		return err
	}
	for i, p := range list {
		if i > 0 && list[i-1].ID == p.ID {
			continue // an earlier order has it
		}
		if err := t.q.CloseCoupons(ctx, []int64{p.ID}, string(campaign.CouponRedeemed), p.Order, now); err != nil {
			return err
		}
	}
	return nil
}

// CouponLine is one coupon of a member.
type CouponLine struct {
	Code      string     `json:"code" doc:"Its last characters"`
	Campaign  string     `json:"campaign"`
	Reward    string     `json:"reward"`
	State     string     `json:"state" enum:"granted,redeemed,expired,voided"`
	Value     *Amount    `json:"value,omitempty"`
	GrantedAt time.Time  `json:"granted_at" doc:"On the campaign's clock"`
	EndsAt    *time.Time `json:"ends_at,omitempty" doc:"Good until then, on the campaign's clock; absent: for ever"`
	Order     string     `json:"order,omitempty" doc:"That it is reserved for, or was redeemed with"`
	ClosedAt  *time.Time `json:"closed_at,omitempty" doc:"When it was redeemed, expired or was voided, in real time"`
}

// MemberCoupons lists a member's coupons, the newest first.
func (s *Store) MemberCoupons(ctx context.Context, member string) (out []CouponLine, err error) {
	have, err := s.sealer(ctx)
	if err != nil {
		return nil, err
	}
	err = s.ofMember(ctx, member, func(q *db.Queries) error {
		out, err = couponLines(ctx, q, have, member)
		return err
	})
	return out, err
}

func couponLines(ctx context.Context, q *db.Queries, have *sealer, member string) ([]CouponLine, error) {
	rows, err := q.MemberCoupons(ctx, member)
	if err != nil {
		return nil, err
	}
	out := make([]CouponLine, len(rows))
	for i, r := range rows {
		code, err := have.openCode(r.Campaign, r.Reward, r.Code, r.Sealed)
		if err != nil {
			return nil, err
		}
		c := couponOf(&db.Coupon{
			Campaign: r.Campaign, Reward: r.Reward, State: r.State, Value: r.Value, Currency: r.Currency, GrantedAt: r.GrantedAt, EndsAt: r.EndsAt,
			OrderID: r.OrderID, HeldUntil: r.HeldUntil, ClosedAt: r.ClosedAt,
		}, clock(r.ClockFactor, r.ClockReal, r.ClockStart), r.Now, code)
		out[i] = CouponLine{
			Code: c.Masked, Campaign: c.Campaign, Reward: c.Reward, State: string(c.State), GrantedAt: c.GrantedAt, EndsAt: orNull(c.EndsAt), Order: c.Order, ClosedAt: orNull(c.ClosedAt),
		}
		if !c.Value.IsZero() {
			value := AmountOf(c.Value)
			out[i].Value = &value
		}
	}
	return out, nil
}

func checkCoupons(ctx context.Context, q *db.Queries) (Finding, error) {
	rows, err := q.DoctorCoupons(ctx)
	var wrong []string
	for _, r := range rows {
		said := fmt.Sprintf("%v: %d counted, %d booked", r.What, r.Counted, r.Booked)
		if !slices.Contains(wrong, said) {
			wrong = append(wrong, said)
		}
	}
	return listed("coupons", "every coupon is booked where it stands, and what is left of a pool are its free codes", wrong), err
}
