package journey

import (
	"slices"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Order is an order that the journey knows: one that moved it, took an offer of it or was
// its goal. Or one of which it has heard refunds alone, because they overtook the payment.
type Order struct {
	ID   string          `json:"id"`
	Paid *campaign.Money `json:"paid,omitempty"` // nil: only refunds of it were heard so far
	// Offer is the offer that it took, if any; Back says that its refund was told of.
	Offer     string `json:"offer,omitempty"`
	OfferName string `json:"offer_name,omitempty"`
	Back      bool   `json:"back,omitempty"`
	Granted   bool   `json:"granted,omitempty"` // it led to something that is taken back
	Asked     string `json:"asked,omitempty"`   // key under which the shop was asked to pay it back
	// Others are members besides the one of the journey to whom it led to something.
	Others []string `json:"others,omitempty"`

	Waiting  []Refund  `json:"waiting,omitempty"`  // heard before the payment
	Seen     []string  `json:"seen,omitempty"`     // refunds that count already
	Refunded int64     `json:"refunded,omitempty"` // minor units, never more than was paid
	Whole    time.Time `json:"whole,omitzero"`     // when all of it had gone back
}

// Refund is a refund that was heard before the payment.
type Refund struct {
	ID     string         `json:"id"`
	Event  string         `json:"event"`
	Type   string         `json:"type"`
	Amount campaign.Money `json:"amount"`
	Part   bool           `json:"part,omitempty"` // the amount was told
	At     time.Time      `json:"at"`
}

// What a journey remembers of orders is bounded, as what it remembers of offers is. Older
// ones are no longer watched.
const (
	keepOrders  = 64
	keepRefunds = 32
)

// refundsAfterEnd is how long after its end, and after the last payment that it knows, a journey
// hears of refunds. WeChat Pay refunds
// a payment within a year, and no card network lets a customer dispute one for longer.
const refundsAfterEnd = 366 * 24 * time.Hour

// unwinds lists the types of events that take back what orders led to in a journey; none
// where there is nothing to be taken back.
func (c *compiler) unwinds(pl *plan) []string {
	something := pl.Goal != nil && pl.Goal.Event == campaign.EventOrderPaid
	for _, n := range pl.nodes {
		switch s := n.step.(type) {
		case *campaign.MakeOffer:
			something = true
		case *campaign.Grant:
			reward, ok := c.p.def.Reward(s.Reward)
			something = something || ok && reward.ClawsBack()
		case *campaign.FollowReferral:
			something = something || c.p.def.Referral != nil && c.p.def.Referral.Refunds
		case *campaign.Send, *campaign.Wait, *campaign.Await, *campaign.Choose, *campaign.Split, *campaign.Repeat, *campaign.Tag, *campaign.Untag, *campaign.Set,
			*campaign.AskQuestion, *campaign.OpenReview, *campaign.FormTeam, *campaign.CallService, *campaign.Goto, *campaign.End: // lead to nothing that goes back
		}
	}
	if !something {
		return nil
	}
	return c.p.def.Refunds()
}

// orderOf finds an order that was heard of.
func (r *runner) orderOf(id string) *Order {
	if i := slices.IndexFunc(r.s.Orders, func(o Order) bool { return o.ID == id }); i >= 0 && id != "" {
		return &r.s.Orders[i]
	}
	return nil
}

// addOrder remembers an order. Where there are too many, one of which only refunds were
// heard makes room, and for another of that sort no other does. The pointer is good until
// the next one is added.
func (r *runner) addOrder(o Order) *Order {
	if len(r.s.Orders) >= keepOrders {
		i := slices.IndexFunc(r.s.Orders, func(x Order) bool { return x.Paid == nil })
		if i < 0 && len(o.Waiting) > 0 {
			return nil
		}
		r.s.Orders = slices.Delete(r.s.Orders, max(0, i), max(0, i)+1)
	}
	r.s.Orders = append(r.s.Orders, o)
	return &r.s.Orders[len(r.s.Orders)-1]
}

// paidBy remembers the order of an event that moved the journey, was its goal, or took o.
// Refunds that overtook it count now. It answers the order's id; empty: it has none.
func (r *runner) paidBy(e *campaign.Event, o *Offer) string {
	if e == nil || e.Type != campaign.EventOrderPaid {
		return ""
	}
	return r.pays(e, o)
}

// pays is paidBy for an event of any type.
func (r *runner) pays(e *campaign.Event, o *Offer) string {
	p, ok := campaign.PaymentOf(e, r.p.def.Currency)
	if !ok || !r.hearsRefunds() {
		return ""
	}
	order := r.orderOf(p.Order)
	if order == nil {
		order = r.addOrder(Order{ID: p.Order})
	}
	if o != nil {
		order.Offer, order.OfferName = o.ID, o.Name
	}
	if order.Paid == nil {
		paid := amount(e, r.p.def.Currency)
		order.Paid = &paid
		if e.Time.After(r.s.LastPaid) {
			r.s.LastPaid = e.Time
		}
		waiting := order.Waiting
		order.Waiting = nil
		for i := range waiting {
			if r.goesBack(order, &waiting[i]); r.asked != nil {
				return p.Order
			}
		}
	}
	if o != nil {
		r.offerBack(order)
	}
	return p.Order
}

// refundIn reads which order an event takes back; ok is false for every other event.
func (r *runner) refundIn(e *campaign.Event) (id string, refund Refund, ok bool) {
	if !r.isRefund(e.Type) {
		return "", Refund{}, false
	}
	p, ok := campaign.PaymentOf(e, r.p.def.Currency)
	return p.Order, Refund{ID: p.RefundID(e), Event: e.ID, Type: e.Type, Amount: p.Amount, Part: p.Told, At: e.Time}, ok
}

// makesWhole reports whether all of an order has gone back with a refund.
func (o *Order) makesWhole(refund *Refund) bool {
	if o.Paid == nil || !o.Whole.IsZero() || slices.Contains(o.Seen, refund.ID) {
		return false
	}
	return !refund.Part || refund.Amount.Currency == o.Paid.Currency && refund.Amount.Minor > 0 && refund.Amount.Minor >= o.Paid.Minor-o.Refunded
}

// refunded hears that an order was refunded or charged back.
func (r *runner) refunded(e *campaign.Event) {
	id, refund, ok := r.refundIn(e)
	if !ok {
		return
	}
	order := r.orderOf(id)
	switch {
	case order == nil && !r.mayBePaid():
		return // no order means anything any more
	case order == nil:
		r.addOrder(Order{ID: id, Waiting: []Refund{refund}})
	case order.Paid == nil:
		if !slices.ContainsFunc(order.Waiting, func(w Refund) bool { return w.ID == refund.ID }) {
			order.Waiting = lastN(append(slices.Clone(order.Waiting), refund), keepRefunds)
		}
	default:
		r.goesBack(order, &refund)
	}
}

// goesBack counts a refund of an order that was paid, once, and takes back what the order
// led to: of each thing as large a part as of the payment has gone back so far.
func (r *runner) goesBack(order *Order, refund *Refund) {
	if slices.Contains(order.Seen, refund.ID) {
		return
	}
	told := ""
	if refund.Part {
		told = refund.Amount.String()
	}
	if refund.Part && refund.Amount.Currency != order.Paid.Currency {
		order.Seen = lastN(append(slices.Clone(order.Seen), refund.ID), keepRefunds)
		r.d.Reviews = append(r.d.Reviews, campaign.Review{
			Key:  r.in.ID.EffectKey(r.in.Version, "refund", 0, refund.Event) + "/review",
			Kind: campaign.ReviewCurrency, State: campaign.ReviewOpen, Offer: order.OfferName, Event: refund.Event, At: refund.At,
			Detail: map[string]string{"order": order.ID, "paid": order.Paid.String(), "refunded": told},
		})
		return
	}
	if !order.Whole.IsZero() || refund.Part && refund.Amount.Minor <= 0 {
		return
	}
	whole := order.makesWhole(refund)
	order.Seen = lastN(append(slices.Clone(order.Seen), refund.ID), keepRefunds)
	if whole {
		order.Refunded, order.Whole = max(0, order.Paid.Minor), refund.At
	} else {
		order.Refunded += refund.Amount.Minor
	}
	r.trace(campaign.TraceRefunded, "", "type", refund.Type, "order", order.ID, "amount", told)
	if whole && order.Asked != "" {
		r.d.RefundsTold = append(r.d.RefundsTold, campaign.RefundTold{Key: order.Asked, Event: refund.Event, At: refund.At})
	}
	if r.clawBack(order, order.ID+"/"+refund.ID); r.asked != nil {
		return
	}
	r.goalBack(order)
	r.offerBack(order)
}

// mayBePaid reports whether an order that is not known yet may still mean something to the
// journey. One that is over may be paid for an offer without a lock, or may have had its goal
// reached before its end by what is told late.
func (r *runner) mayBePaid() bool {
	return r.s.Outcome == "" || len(r.s.Open) > 0 || !r.s.Goal && r.pl.Goal != nil && r.pl.Goal.Event == campaign.EventOrderPaid
}

// mayGoBack reports whether a refund of an order would take anything back, or is what the
// shop was asked for.
func (r *runner) mayGoBack() bool {
	return slices.ContainsFunc(r.s.Orders, func(o Order) bool {
		return o.Paid != nil && o.Whole.IsZero() && (o.Granted || o.Offer != "" || o.Asked != "" || o.ID == r.s.GoalOrder)
	})
}

// clawBack takes back what was granted because of an order, as far as it has gone back. What
// is asked is how much is to be gone of each grant in all, so asking again changes nothing.
func (r *runner) clawBack(order *Order, key string) {
	if !order.Granted || r.s.Holdout || len(order.Seen) == 0 {
		return
	}
	ask := campaign.ClawBackAsk{Order: order.ID, Refund: order.Seen[len(order.Seen)-1], Part: 1, Of: 1, Others: order.Others}
	if order.Whole.IsZero() {
		ask.Part, ask.Of = order.Refunded, order.Paid.Minor
	}
	if ask.Part == 0 {
		return
	}
	for i := range r.p.def.Rewards {
		if w := &r.p.def.Rewards[i]; w.ClawsBack() {
			ask.Rewards = append(ask.Rewards, campaign.ClawBackReward{Name: w.Name, InFull: w.OnRefund == campaign.OnRefundInFull})
		}
	}
	answer, ok := r.ask(campaign.Ask{Key: "claw_back/" + key, ClawBack: &ask})
	if !ok {
		return
	}
	for _, back := range answer.ClawedBack {
		from := ""
		if back.Member != "" {
			from = campaign.ToInviter
		}
		if back.Pieces+back.Gone > 0 {
			gone := ""
			if back.Gone > 0 {
				gone = strconv.FormatInt(back.Gone, 10)
			}
			r.trace(campaign.TraceClawedBack, "", "reward", back.Reward, "from", from, "pieces", strconv.FormatInt(back.Pieces, 10), "gone", gone, "order", order.ID)
			continue
		}
		owed := ""
		if back.Owed > 0 {
			owed = strconv.FormatInt(back.Owed, 10)
		}
		r.trace(campaign.TraceClawedBack, "", "reward", back.Reward, "from", from, "points", strconv.FormatInt(back.Points, 10), "owed", owed, "order", order.ID)
		if back.Member == "" {
			r.changeMember(func(m *campaign.Member) { m.Points -= back.Points })
		}
	}
}

// goalBack reverses the goal, as far as the order that was it has gone back.
func (r *runner) goalBack(order *Order) {
	if r.s.GoalOrder != order.ID || order.Refunded == 0 && order.Whole.IsZero() {
		return
	}
	r.d.GoalRefund = &campaign.GoalRefund{Minor: order.Refunded, At: order.Whole}
	if order.Paid.Currency != r.p.def.Currency {
		r.d.GoalRefund.Minor = 0 // it was worth nothing that could be added up
	}
	if !order.Whole.IsZero() {
		r.trace(campaign.TraceGoalReversed, "", "order", order.ID)
	}
}

// offerBack tells that the order that took an offer has gone back as a whole. The piece is
// there again if the campaign says so, and the member may take the offer once more.
func (r *runner) offerBack(order *Order) {
	if order.Offer == "" || order.Back || order.Whole.IsZero() {
		return
	}
	order.Back = true
	def, ok := r.p.def.Offer(order.OfferName)
	restock := ok && def.OnRefund == campaign.OnRefundRestock
	if !r.s.Holdout {
		r.d.OfferRefunds = append(r.d.OfferRefunds, campaign.OfferRefund{ID: order.Offer, Offer: order.OfferName, At: order.Whole, Restock: restock})
	}
	if restock {
		if r.taken[order.OfferName] > 0 {
			r.taken[order.OfferName]--
		}
		r.trace(campaign.TraceRestocked, "", "offer", order.OfferName, "order", order.ID)
	}
}
