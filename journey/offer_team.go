package journey

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// An offer with a team is one that members buy together. Who pays for it comes into a team,
// by the same rules as at a team step, and takes a piece of stock; the offer stays open, and
// she waits. When her team is complete the offer is taken. When it is not, or she leaves
// before, what she took is given back and the shop is asked to pay her order back.

// ordered reports whether she has paid for the offer and waits for her team.
func (r *runner) ordered() bool { return r.s.buys() }

func (s *State) buys() bool {
	return s.Offer != nil && s.Offer.State == campaign.OfferOpen && s.Offer.Order != "" && s.Team != nil && s.Team.State == campaign.TeamOpen
}

// comesTogether reports whether an order that pays so much for an offer needs a team. Who is
// held out is in none, and who pays the list price buys alone. What a person has approved
// counts as the price.
func (r *runner) comesTogether(o *Offer, paid campaign.Money) bool {
	return o.Together != nil && !r.s.Holdout && (o.ListPrice == o.Price || paid.Currency != o.ListPrice.Currency || paid.Minor < o.ListPrice.Minor)
}

// buyTogether lets an order whose payment is right come into a team at a moment. Whether
// there is a piece of stock and a place is for the keeper of the truth to say, at once: what
// is answered no has taken nothing. An order that has gone back already pays for nothing.
//
// A team's time begins with the order that opens it or, if the engine comes to that late, now.
func (r *runner) buyTogether(o *Offer, e *campaign.Event, order string, paid campaign.Money, how string, at time.Time) {
	n := r.pl.nodes[r.s.Step]
	s, ok := n.step.(*campaign.MakeOffer)
	if !ok {
		r.fault = campaign.Errorf(campaign.CodeInternal, "step %s of journey %s waits for offer %s and opens none", n.id, r.in.ID.Journey, o.Name)
		return
	}
	refused := func(reason string) {
		r.doubt(campaign.ReviewSoldOut, o, e, order, paid)
		r.trace(campaign.TraceOfferRefused, n.id, "order", order, "offer", o.Name, "reason", reason)
	}
	def, ok := r.p.def.Offer(o.Name)
	if !ok {
		def = &campaign.Offer{}
	}
	if r.paidBy(e, nil); r.asked != nil {
		return
	}
	known := r.orderOf(order)
	switch _, named := campaign.PaymentOf(e, r.p.def.Currency); {
	case !named:
		refused(campaign.TeamNoOrder)
		return
	case known != nil && !known.Whole.IsZero():
		r.trace(campaign.TraceOfferRefused, n.id, "order", order, "offer", o.Name, "reason", campaign.RefusedRefunded)
		r.counted = true
		return
	case def.PerMember > 0 && r.taken[o.Name] >= def.PerMember:
		switch answer, ok := r.takePiece(o, def, e, order, how); {
		case !ok:
		case answer.Reason == campaign.TeamOrderTwice:
			r.trace(campaign.TraceTeamNotJoined, n.id, "reason", answer.Reason)
			r.counted = true
		default:
			refused(answer.Reason)
		}
		return
	}
	opens := at
	if r.now.Sub(opens) >= min(campaign.DefaultGrace, o.Together.Within/2) {
		opens = r.now
	}
	wanted := r.wantedBy(n, e)
	code, isCode := campaign.ReadTeamCode(wanted)
	if !isCode {
		code = ""
	}
	key := o.Key + "/team/" + e.ID + how
	answer, ok := r.ask(campaign.Ask{Key: key, Team: &campaign.TeamAsk{
		Do: campaign.TeamJoin, Code: code, Place: o.Name, Size: o.Together.Size, Opens: opens, EndsAt: opens.Add(o.Together.Within),
		Buy: &campaign.BuyAsk{TakeAsk: o.take(def, order), Paid: at, Grace: def.Grace},
	}})
	switch {
	case !ok:
		return
	case !answer.OK && answer.Reason == campaign.TeamOrderTwice: // it counts already, so nobody is to be paid back
		r.trace(campaign.TraceTeamNotJoined, n.id, "reason", answer.Reason)
		r.counted = true
		return
	case !answer.OK:
		refused(answer.Reason)
		return
	case answer.Team == nil:
		r.fault = campaign.Errorf(campaign.CodeInternal, "nothing was answered about the team at step %s of journey %s", r.s.Step, r.in.ID.Journey)
		return
	}
	t := answer.Team
	o.Order, o.Paid, o.Team, o.GoalDue = order, paid, t.Code, true
	if r.taken == nil {
		r.taken = map[string]int{}
	}
	r.taken[o.Name]++
	effect := o.effect(o.worth(paid))
	effect.Ordered = true
	r.d.Offers = append(r.d.Offers, effect)
	r.s.Event = e
	r.dropPendingOf(o, campaign.ReasonOfferTaken)
	r.trace(campaign.TraceOfferOrdered, n.id, "offer", o.Name, "order", order, "paid", paid.String())
	r.inNewTeam(n, key, t, wanted, code, answer.Reason)
	if t.State == campaign.TeamFormed {
		r.teamBought(n, t.ClosedAt, e.Seq)
		return
	}
	if s.Team != nil { // a version without a team has nothing to say of it
		r.tellTeam(n, s.Team.Announce, s.Team.Remind, s.Via, key, t.EndsAt)
	}
}

// wantedBy is the code that an order brings along.
func (r *runner) wantedBy(n *node, e *campaign.Event) string {
	if n.when == nil {
		return ""
	}
	value, err := n.when.Value(r.with(e))
	if err != nil {
		r.trace(campaign.TraceFault, n.id, "where", "team "+n.id, "detail", err.Error())
		return ""
	}
	code, _ := value.(string)
	return strings.TrimSpace(code)
}

// orderedAgain judges an order for an offer that she has paid for and waits to get. The
// same order, told of twice, is nothing new; another one is somebody's money.
func (r *runner) orderedAgain(e *campaign.Event, order string) {
	o := r.s.Offer
	if order == o.Order {
		r.counted = true
		return
	}
	paid := amount(e, r.p.def.Currency)
	r.review(campaign.ReviewSoldOut, o, e, order, paid, o.Price)
	r.trace(campaign.TraceOfferRefused, o.Step, "order", order, "offer", o.Name, "reason", campaign.TeamOrdered)
}

// bought takes what an event tells of the team in which she has paid: that it is complete,
// or that all of her order has gone back, which leaves her team whatever the offer's on_refund
// says: that is of an offer that was taken. moved is false for every other event; again says
// that the event is still to be judged, by what has become of the offer meanwhile.
func (r *runner) bought(e *campaign.Event) (moved, again bool) {
	if !r.ordered() {
		return false, false
	}
	n := r.pl.nodes[r.s.Step]
	if f, ok := campaign.FormationOf(e); ok && f.Team == r.s.Team.Code {
		r.teamBought(n, e.Time, e.Seq)
		return true, false
	}
	id, refund, ok := r.refundIn(e)
	if order := r.orderOf(r.s.Offer.Order); !ok || order == nil || id != order.ID || !order.makesWhole(&refund) {
		return false, false
	}
	formed, _, ok := r.giveTeamBack()
	switch {
	case !ok:
		return false, false
	case !formed.IsZero():
		r.teamBought(n, formed, 0)
		return false, true
	}
	// She has her money already, and may order again as long as the offer is open.
	o := r.s.Offer
	if r.s.Ending != "" {
		o.State, o.ClosedAt = campaign.OfferWithdrawn, r.at
		r.closeBought(o, campaign.ReasonLeft)
		r.trace(campaign.TraceOfferWithdraw, o.Step, "offer", o.Name)
		return true, false
	}
	r.d.Offers = append(r.d.Offers, o.effect(campaign.Money{}))
	r.gaveBack(o)
	o.Order, o.Paid, o.Team, o.GoalDue = "", campaign.Money{}, "", false
	return true, false
}

// teamBought goes on when the team is complete: the offer is taken. The goal that her order
// reaches is reached now, and not before: an order that is paid back is no conversion.
func (r *runner) teamBought(n *node, at time.Time, seq int64) {
	t, o, order := r.s.Team, r.s.Offer, r.s.Event
	t.State, t.Joined = campaign.TeamFormed, t.Size
	r.trace(campaign.TraceTeamFormed, n.id, "team", t.Code, "size", strconv.Itoa(t.Size))
	r.tellTeamNoMore()
	o.State, o.ClosedAt = campaign.OfferTaken, at
	r.closeOffer(o, o.worth(o.Paid), campaign.ReasonOfferTaken)
	r.s.Order = r.paidBy(order, o)
	r.trace(campaign.TraceOfferTaken, n.id, "offer", o.Name, "order", o.Order, "paid", o.Paid.String())
	r.goOnFrom(n, at, seq, "taken")
	if o.GoalDue && order != nil {
		r.judgeGoal(order)
	}
}

// goOnFrom leaves an offer with a team by one of its branches, unless the journey is over
// but for the team.
func (r *runner) goOnFrom(n *node, at time.Time, seq int64, branch string) {
	if r.s.Ending != "" {
		return
	}
	r.since(at, seq)
	next, has := n.blocks[branch]
	if !has { // of a version without a team
		next = n.next
	}
	r.move(next)
}

// boughtDue is called when nobody comes into the team any more. Whether its last place was
// taken before, the keeper of the truth says: the news of it may be on its way.
func (r *runner) boughtDue(n *node) {
	t, o := r.s.Team, r.s.Offer
	answer, ok := r.askTeam(t.Key+"/close", campaign.TeamAsk{Do: campaign.TeamClose, Code: t.Code, Buy: o.buys()})
	if !ok {
		return
	}
	if answer.Team.State == campaign.TeamFormed {
		r.teamBought(n, answer.Team.ClosedAt, 0)
		return
	}
	t.State, t.Joined, t.Leader = campaign.TeamFailed, answer.Team.Joined, answer.Team.Leader
	r.trace(campaign.TraceTeamFailed, n.id, "team", t.Code, "joined", strconv.Itoa(t.Joined), "size", strconv.Itoa(t.Size))
	r.tellTeamNoMore()
	r.refund(campaign.RefundTeamFailed)
	o.State, o.ClosedAt = campaign.OfferLapsed, t.EndsAt
	r.closeBought(o, campaign.ReasonOfferEnded)
	r.trace(campaign.TraceOfferLapsed, n.id, "offer", o.Name)
	r.goOnFrom(n, t.EndsAt, 0, "failed")
}

// leaveBought leaves an offer that she has paid for, with or without what she paid: if her
// team is complete the offer is hers, else the shop is asked to pay her back. It answers
// whether the team was complete.
func (r *runner) leaveBought(why campaign.RefundReason) (formed bool) {
	if !r.ordered() {
		return false
	}
	at, left, ok := r.giveTeamBack()
	switch {
	case !ok:
		return false
	case !at.IsZero():
		r.teamBought(r.pl.nodes[r.s.Step], at, 0)
		return true
	}
	// One whose time is over has failed for all of its members, whoever looks first.
	if !left {
		why = campaign.RefundTeamFailed
	}
	r.refund(why)
	o := r.s.Offer
	o.State, o.ClosedAt = campaign.OfferWithdrawn, r.at
	r.closeBought(o, string(why))
	r.trace(campaign.TraceOfferWithdraw, o.Step, "offer", o.Name)
	return false
}

// buys says what her order has taken.
func (o *Offer) buys() *campaign.BuyAsk {
	return &campaign.BuyAsk{TakeAsk: campaign.TakeAsk{Offer: o.Name, Order: o.Order}}
}

// giveTeamBack gives her place back, unless her team is complete: then it answers when that
// was. left is false where the team has failed already.
func (r *runner) giveTeamBack() (formed time.Time, left, ok bool) {
	t := r.s.Team
	answer, ok := r.askTeam(t.Key+"/leave", campaign.TeamAsk{Do: campaign.TeamLeave, Code: t.Code, Buy: r.s.Offer.buys()})
	if !ok {
		return time.Time{}, false, false
	}
	if answer.Team.State == campaign.TeamFormed {
		return answer.Team.ClosedAt, false, true
	}
	t.State = campaign.TeamWithdrawn
	if answer.OK {
		r.traceAt(t.Step, campaign.TraceTeamLeft, "team", t.Code)
	}
	r.tellTeamNoMore()
	return time.Time{}, answer.OK, true
}

// refund asks the shop to pay her order back, or what has not gone back of it so far. The key
// is the order's own for ever. That it is done is heard like every other refund.
func (r *runner) refund(why campaign.RefundReason) {
	o, t := r.s.Offer, r.s.Team
	key, left := t.Key+"/refund", o.Paid
	if order := r.orderOf(o.Order); order != nil {
		order.Asked = key
		left.Minor -= order.Refunded
	}
	r.d.RefundsAsked = append(r.d.RefundsAsked, campaign.RefundEffect{
		Key: key, Step: o.Step, Offer: o.Name, Order: o.Order, Team: t.Code, Amount: left, Reason: why, At: r.now,
	})
	r.trace(campaign.TraceRefundAsked, o.Step, "order", o.Order, "amount", left.String(), "reason", string(why))
}

// closeBought ends an offer that she has paid for and does not get.
func (r *runner) closeBought(o *Offer, why string) {
	r.closeOffer(o, campaign.Money{}, why)
	r.gaveBack(o)
}

// gaveBack says of the effect decided last that what her order had taken is given back.
func (r *runner) gaveBack(o *Offer) {
	effect := &r.d.Offers[len(r.d.Offers)-1]
	effect.Order, effect.GaveBack = "", true
	if r.taken[o.Name] > 0 {
		r.taken[o.Name]--
	}
	if r.s.Order == o.Order {
		r.s.Order = "" // what is granted from now on the order does not lead to
	}
}

// dropPendingOf lets the messages about an offer fall away that have not gone out.
func (r *runner) dropPendingOf(o *Offer, why string) {
	r.dropPendingWhere(why, func(p *Pending) bool { return p.Offer == o.ID })
}

// dropPendingWhere lets messages fall away that have not gone out.
func (r *runner) dropPendingWhere(why string, falls func(*Pending) bool) {
	r.s.Pending = slices.DeleteFunc(r.s.Pending, func(p Pending) bool {
		if falls(&p) {
			r.notSent(&p, why)
			return true
		}
		return false
	})
}

// teamOfBuyers is for whom she waits, in a few words.
func (r *runner) teamOfBuyers() string {
	return "a team of " + strconv.Itoa(r.s.Team.Size) + " until " + r.p.local(r.s.Team.EndsAt)
}

// boughtAlone says of an offer with a team that it was taken without one: by who paid the
// list price, or is held out. What reads the team finds one without a code, and nobody in it.
func (r *runner) boughtAlone(o *Offer, at time.Time) {
	if o.Together != nil {
		r.s.Team = &Team{Key: o.Key + "/alone", Step: o.Step, State: campaign.TeamWithdrawn, Size: o.Together.Size, EndsAt: at}
	}
}

// ledByOrder reports whether the order that led to an offer with a team pays for a place in
// one. Then the offer opens at the moment of that order, however late the engine comes: she
// has paid.
func (r *runner) ledByOrder(def *campaign.Offer) bool {
	return def.Team != nil && slices.ContainsFunc(r.in.Events, func(e campaign.Event) bool {
		var props struct {
			Offer string `json:"offer"`
		}
		return e.Type == campaign.EventOrderPaid && slices.Contains(r.s.Moved, e.Seq) && e.Time.Equal(r.s.Since) &&
			json.Unmarshal(e.Properties, &props) == nil && props.Offer == def.Name
	})
}
