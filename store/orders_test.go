package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

const shop = `
campaign: together
title: A shop
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string, amount: money, refund: string}
  order.charged_back: {order: string}
  left: {}
offers:
  card: {price: 100, list_price: 150, lock: 48h, grace: 5m, stock: %d, per_member: 1, on_refund: restock}
rewards:
  first: {points: 100, budget: 1000000}
  debt: {points: 50, on_refund: claw_back_in_full}
journeys:
  buy:
    start: {api: true}
    goal: {on: order.paid, when: event.offer == "card"}
    on_goal: continue
    exit: {on: left}
    steps:
      - offer: card
        taken:
          - grant: first
          - grant: debt
        lapsed:
          - end: lapsed
`

// shopper is somebody to whom the offer was made.
type shopper struct {
	member, offer string
	row           int64
}

func newShop(t *testing.T, stock, shoppers int, factor int64) (*party, []shopper) {
	t.Helper()
	return newShopOf(t, shop, stock, shoppers, factor)
}

func newShopOf(t *testing.T, text string, stock, shoppers int, factor int64) (*party, []shopper) {
	t.Helper()
	p := newParty(t, fmt.Sprintf(text, stock), &store.DemoClock{Factor: factor, From: time.Date(2026, 12, 1, 4, 0, 0, 0, time.UTC)})
	codes := map[string]string{}
	for i := range shoppers {
		codes[fmt.Sprintf("m-%d", i)] = ""
	}
	rows := p.enter("buy", codes)
	list := make([]shopper, shoppers)
	for i := range list {
		member := fmt.Sprintf("m-%d", i)
		p.turn(rows[member], 1)
		offers, err := p.MemberOffers(t.Context(), member)
		if err != nil || len(offers) != 1 {
			t.Fatalf("%d offers, %v", len(offers), err)
		}
		list[i] = shopper{member, offers[0].ID, rows[member]}
	}
	return p, list
}

// look takes a journey's next turn, or what comes behind its end.
func (p *party) look(ctx context.Context, taker *turn.Taker, row int64) error {
	var (
		last   int
		status string
	)
	if err := p.Pool().QueryRow(ctx, `select turn, status from journeys where id = $1`, row).Scan(&last, &status); err != nil {
		return err
	}
	if status == "done" {
		return taker.After(ctx, row)
	}
	_, err := taker.Advance(ctx, row, last+1)
	return err
}

func (p *party) looks(row int64) {
	p.t.Helper()
	if err := p.look(p.t.Context(), p.taker, row); err != nil {
		p.t.Fatal(err)
	}
}

// now is the campaign's clock.
func (p *party) now() time.Time {
	p.t.Helper()
	c, err := p.Campaign(p.t.Context(), "together")
	if err != nil {
		p.t.Fatal(err)
	}
	return c.Clock.At(time.Now())
}

func (p *party) says(id, typ, member string, at time.Time, properties string) error {
	_, err := p.StoreEvents(p.t.Context(), []campaign.Event{{ID: id, Type: typ, Member: member, Time: at, Properties: []byte(properties)}})
	return err
}

// pays tells that an order was paid, and lets the journey judge it.
func (p *party) pays(s shopper, order, amount string, at time.Time) {
	p.t.Helper()
	if err := p.says("paid-"+order, "order.paid", s.member, at, fmt.Sprintf(`{"order":%q,"offer":"card","amount":{"amount":%q,"currency":"CNY"}}`, order, amount)); err != nil {
		p.t.Fatal(err)
	}
	p.looks(s.row)
}

func (p *party) goesBack(s shopper, id, order, amount string) {
	p.t.Helper()
	properties := fmt.Sprintf(`{"order":%q,"refund":%q}`, order, id)
	if amount != "" {
		properties = fmt.Sprintf(`{"order":%q,"refund":%q,"amount":{"amount":%q,"currency":"CNY"}}`, order, id, amount)
	}
	if err := p.says("back-"+order+"-"+id, "order.refunded", s.member, p.now(), properties); err != nil {
		p.t.Fatal(err)
	}
	p.looks(s.row)
}

func (p *party) reserve(s shopper, order string) store.Reservation {
	p.t.Helper()
	r, err := p.ReserveOffer(p.t.Context(), s.offer, order)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// refused expects a conflict that says something.
func (p *party) refused(s shopper, order, says string) {
	p.t.Helper()
	if r, err := p.ReserveOffer(p.t.Context(), s.offer, order); campaign.CodeOf(err) != campaign.CodeConflict || !strings.Contains(err.Error(), says) {
		p.t.Errorf("%s for order %s: %+v, %v; want %q", s.member, order, r, err, says)
	}
}

func (p *party) state(s shopper) campaign.OfferState {
	p.t.Helper()
	o, err := p.Offer(p.t.Context(), s.offer)
	if err != nil {
		p.t.Fatal(err)
	}
	return o.State
}

func (p *party) stock(taken, held int) {
	p.t.Helper()
	if a, b := p.count(`select taken from offer_stock`), p.count(`select held from offer_stock`); a != taken || b != held {
		p.t.Errorf("%d taken and %d held, want %d and %d", a, b, taken, held)
	}
}

func (p *party) examined() {
	p.t.Helper()
	findings, err := p.Examine(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range findings {
		if !f.OK && f.Check != "intents" {
			p.t.Errorf("%s: %s", f.Check, f.Detail)
		}
	}
}

// jump moves the demo clock on. What was stored keeps its moment on it.
func (p *party) jump(by time.Duration) {
	p.t.Helper()
	if err := p.jumps(p.t.Context(), by); err != nil {
		p.t.Fatal(err)
	}
}

func (p *party) jumps(ctx context.Context, by time.Duration) error {
	_, err := p.Pool().Exec(ctx, fmt.Sprintf(`do $$
		declare
		    span interval := (select interval '%d microseconds' / clock_factor from campaigns);
		begin
		    perform from members order by id collate "C" for update;
		    update campaigns set clock_real = clock_real - span;
		    update events set stored_at = stored_at - span;
		    update members set last_stored = last_stored - span;
		end $$`, by.Microseconds()))
	return err
}

// A shopper at the till at 47:58 keeps her price; another order, or another shopper, does not.
func TestAReservationOutlastsTheLock(t *testing.T) {
	p, s := newShop(t, 10, 4, 2)
	p.jump(48*time.Hour - 2*time.Minute)
	r := p.reserve(s[0], "o-0")
	if span := r.ExpiresAt.Sub(r.ReservedAt); r.State != store.ReservationReserved || span != campaign.ReservationSpan || r.Price.Minor != 10000 {
		t.Errorf("%+v", r)
	}
	if again := p.reserve(s[0], "o-0"); again != r {
		t.Errorf("asked again: %+v, was %+v", again, r)
	}
	p.reserve(s[2], "o-2")
	p.reserve(s[3], "o-3")
	p.jump(9 * time.Minute) // 7 minutes behind the end, 2 behind the grace
	p.refused(s[1], "o-1", "locked until")
	for i := range s {
		p.looks(s[i].row)
	}
	for i, want := range []campaign.OfferState{campaign.OfferOpen, campaign.OfferLapsed, campaign.OfferOpen, campaign.OfferOpen} {
		if got := p.state(s[i]); got != want {
			t.Errorf("the offer of shopper %d is %s, want %s", i, got, want)
		}
	}
	p.refused(s[1], "o-1", "lapsed")
	if o, err := p.Offer(t.Context(), s[0].offer); err != nil || len(o.Reservations) != 1 || o.Reservations[0] != r || o.Price().Minor != 15000 {
		t.Errorf("%+v, %v", o, err)
	}
	p.pays(s[0], "o-0", "100.00", p.now())
	p.pays(s[2], "o-another", "100.00", p.now())
	if p.state(s[0]) != campaign.OfferTaken || p.state(s[2]) != campaign.OfferOpen {
		t.Errorf("after paying: %s and %s", p.state(s[0]), p.state(s[2]))
	}
	if again := p.reserve(s[0], "o-0"); again.State != store.ReservationCaptured {
		t.Errorf("asked again after it was paid: %+v", again)
	}
	if _, err := p.ReleaseOffer(t.Context(), s[0].offer, "o-0"); campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("released after it was paid: %v", err)
	}
	if r, err := p.ReleaseOffer(t.Context(), s[3].offer, "o-3"); err != nil || r.State != store.ReservationReleased {
		t.Errorf("released: %+v, %v", r, err)
	}
	p.jump(time.Hour)
	for i := range s {
		p.looks(s[i].row)
	}
	if p.state(s[2]) != campaign.OfferLapsed || p.state(s[3]) != campaign.OfferLapsed {
		t.Errorf("an hour later: %s and %s", p.state(s[2]), p.state(s[3]))
	}
	if n := p.count(`select count(*) from reviews where kind = 'paid_after_end' and state = 'open'`); n != 1 {
		t.Errorf("%d reviews about the order that had not reserved it", n)
	}
	if _, err := p.ExpireReservations(t.Context(), 10); err != nil {
		t.Error(err)
	}
	p.stock(1, 0)
	p.examined()
}

// One piece is held for each offer that is reserved, whatever its orders do, and it is there
// again when the last of them is over.
func TestReservationsHoldStock(t *testing.T) {
	p, s := newShop(t, 2, 4, 2)
	ctx := t.Context()
	p.reserve(s[0], "a")
	p.reserve(s[0], "b") // the same shopper tries again
	p.stock(0, 1)
	p.reserve(s[1], "c")
	p.refused(s[2], "d", "sold out")
	p.stock(0, 2)
	// An order that nobody reserved finds nothing left.
	p.pays(s[3], "e", "100.00", p.now())
	if p.state(s[3]) != campaign.OfferOpen || p.count(`select count(*) from reviews where kind = 'paid_not_taken'`) != 1 {
		t.Errorf("the offer of whoever pays for what is held is %s", p.state(s[3]))
	}
	// The later order gives up, and the earlier one still has the piece.
	for range 2 {
		if r, err := p.ReleaseOffer(ctx, s[0].offer, "b"); err != nil || r.State != store.ReservationReleased {
			t.Errorf("%+v, %v", r, err)
		}
	}
	p.refused(s[2], "d", "sold out")
	if _, err := p.ReleaseOffer(ctx, s[0].offer, "a"); err != nil {
		t.Error(err)
	}
	p.reserve(s[2], "d") // takes the piece that was given back
	p.stock(0, 2)
	p.pays(s[1], "c2", "100.00", p.now()) // another order of the shopper who has reserved
	if p.state(s[1]) != campaign.OfferTaken {
		t.Error("the piece that is held for an offer is not there for another of its orders")
	}
	p.stock(1, 1)
	p.jump(16 * time.Minute)
	// Nobody has swept; whoever comes first finds it free by the clock.
	p.reserve(s[3], "f")
	p.stock(1, 1)
	if r := p.reserve(s[3], "f"); r.State != store.ReservationReserved {
		t.Errorf("%+v", r)
	}
	p.jump(16 * time.Minute)
	if n, err := p.ExpireReservations(ctx, 10); err != nil || n != 1 {
		t.Errorf("%d offers were swept, %v", n, err)
	}
	p.stock(1, 0)
	if n, err := p.ExpireReservations(ctx, 10); err != nil || n != 0 {
		t.Errorf("%d offers were swept again, %v", n, err)
	}
	for _, c := range []struct {
		offer, order string
		code         campaign.Code
	}{
		{"of_none", "x", campaign.CodeNotFound}, {s[0].offer, "", campaign.CodeInvalid}, {s[0].offer, strings.Repeat("长", 43), campaign.CodeInvalid},
	} {
		if _, err := p.ReserveOffer(ctx, c.offer, c.order); campaign.CodeOf(err) != c.code {
			t.Errorf("offer %s, order %q: %v", c.offer, c.order, err)
		}
	}
	if _, err := p.ReleaseOffer(ctx, s[0].offer, "never"); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Errorf("an order that never reserved: %v", err)
	}
	for i := range campaign.MaxReservingOrders {
		if r, err := p.ReserveOffer(ctx, s[0].offer, fmt.Sprint("many-", i)); err != nil && !strings.Contains(err.Error(), "orders have reserved") {
			t.Errorf("%+v, %v", r, err)
		}
	}
	p.refused(s[0], "one more", "10 orders have reserved")
	p.examined()
}

// Many shoppers and one piece: exactly one reserves it.
func TestOnePieceIsReservedOnce(t *testing.T) {
	p, s := newShop(t, 1, 24, 2)
	for round := range 3 {
		var (
			all sync.WaitGroup
			mu  sync.Mutex
			won []shopper
		)
		for _, x := range s {
			all.Go(func() {
				_, err := p.ReserveOffer(t.Context(), x.offer, fmt.Sprint("o-", x.member))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, x)
				} else if campaign.CodeOf(err) != campaign.CodeConflict {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("round %d: %d shoppers have reserved the only piece", round, len(won))
		}
		p.stock(0, 1)
		p.jump(16 * time.Minute)
	}
	p.examined()
}

// Reservations at the very moment of the lapse: whoever is told that it is reserved keeps
// the price, whoever is refused has an offer that lapses, and nobody has both.
func TestReserveAtTheMomentOfTheLapse(t *testing.T) {
	p, s := newShop(t, 1000, 40, 60)
	if _, err := p.Pool().Exec(t.Context(), `update campaigns set clock_start = clock_start + (
		(select max(expires_at) from offers) - (clock_start + (clock_timestamp() - clock_real) * 60)) - interval '20 seconds'`); err != nil {
		t.Fatal(err)
	}
	var (
		all  sync.WaitGroup
		held = make([]error, len(s))
	)
	for i, x := range s {
		wait := time.Duration(rand.IntN(700)) * time.Millisecond // to 42 s on the campaign's clock
		all.Go(func() {
			time.Sleep(wait)
			_, held[i] = p.ReserveOffer(t.Context(), x.offer, "o-"+x.member)
			if err := p.look(t.Context(), p.taker, x.row); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	p.jump(6 * time.Minute)
	reserved := 0
	for i, x := range s {
		p.looks(x.row)
		want := campaign.OfferOpen
		switch {
		case held[i] == nil:
			reserved++
		case campaign.CodeOf(held[i]) == campaign.CodeConflict:
			want = campaign.OfferLapsed
		default:
			t.Error(held[i])
		}
		if got := p.state(x); got != want {
			t.Errorf("%s: %v, and the offer is %s", x.member, held[i], got)
		}
	}
	if reserved == 0 {
		t.Error("nobody came in time")
	}
	for i, x := range s {
		p.pays(x, "o-"+x.member, "100.00", p.now())
		if got := p.state(x); (got == campaign.OfferTaken) != (held[i] == nil) {
			t.Errorf("%s: %v, and paid for, the offer is %s", x.member, held[i], got)
		}
	}
	p.stock(reserved, 0)
	p.examined()
}

// What an order led to goes back with it, in parts and as a whole, once; the ledger says so,
// and so do the report and the story.
func TestARefundIsBooked(t *testing.T) {
	p, s := newShop(t, 3, 3, 2)
	ctx := t.Context()
	for i := range s {
		p.pays(s[i], fmt.Sprint("o-", i), "100.00", p.now())
	}
	p.stock(3, 0)
	points := func(i int) int { return p.count(`select points from members where id = $1`, s[i].member) }
	if points(0) != 150 {
		t.Fatalf("%d points", points(0))
	}
	p.goesBack(s[0], "r1", "o-0", "33.33")
	if points(0) != 150-33-16 {
		t.Errorf("after a third: %d points", points(0))
	}
	p.stock(3, 0)
	p.goesBack(s[0], "r2", "o-0", "66.67")
	if points(0) != 0 {
		t.Errorf("after all of it: %d points", points(0))
	}
	p.goesBack(s[0], "r3", "o-0", "")
	p.stock(2, 0)
	// She has redeemed 120 of 150: 30 are there for the 100, so 70 are owed; the 50 are taken in full.
	if _, err := p.Reserve(ctx, store.Redemption{ID: "x", Member: s[1].member, Points: 120, Order: "o", Span: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Capture(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	p.goesBack(s[1], "r1", "o-1", "")
	if points(1) != -50 {
		t.Errorf("she has %d points, want -50", points(1))
	}
	if got, err := p.MemberPoints(ctx, s[1].member); err != nil || got.Balance != -50 || got.Owed != 70 || len(got.Grants) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := p.Reserve(ctx, store.Redemption{ID: "y", Member: s[1].member, Points: 1, Order: "o", Span: time.Hour}); campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("somebody with less than nothing redeems: %v", err)
	}
	if n := p.count(`select coalesce(sum(amount), 0) from ledger_entries`); n != 0 {
		t.Errorf("the entries sum to %d", n)
	}
	if n := p.count(`select sum(e.amount) from ledger_entries e join ledger_accounts a on a.id = e.account where a.kind = 'clawed_back'`); n != 150+80 {
		t.Errorf("%d points were clawed back", n)
	}
	// What was used of a budget stays used.
	if n := p.count(`select used from budget_balances where reward = 'first'`); n != 300 {
		t.Errorf("%d points of the budget are used", n)
	}
	r, err := p.Report(ctx, "together")
	if err != nil {
		t.Fatal(err)
	}
	if g := r.Journeys[0].Goal; g.Converted.Did != 3 || g.Value.Amount != "300.00" || g.Net == nil || g.Net.Converted.Did != 1 || g.Net.Value.Amount != "100.00" || g.Net.Reversed != 2 || g.Net.Refunded.Amount != "200.00" {
		t.Errorf("%+v, net %+v", g, g.Net)
	}
	if o := r.Offers[0]; o.Taken != 3 || o.Refunded != 2 || r.Stock[0].Left != 2 {
		t.Errorf("%+v, %+v", o, r.Stock)
	}
	var clawed, owed int64
	for _, w := range r.Rewards {
		clawed, owed = clawed+w.ClawedBack, owed+w.Owed
	}
	if clawed != 230 || owed != 70 {
		t.Errorf("the report says %d clawed back, %d owed", clawed, owed)
	}
	story, err := p.Story(ctx, s[1].member)
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	for _, l := range story.Journeys[0].Lines {
		told += l.Words(campaign.English) + "\n"
	}
	for _, want := range []string{"order o-1 was refunded", "took back 30 points of first, and 70 are owed", "took back 50 points of debt", "the goal is reversed", "the piece of offer card is there again"} {
		if !strings.Contains(told, want) {
			t.Errorf("the story does not say %q:\n%s", want, told)
		}
	}
	for _, sql := range []string{`update ledger_entries set amount = 1`, `delete from ledger_postings`} {
		if _, err := p.Pool().Exec(ctx, sql); err == nil {
			t.Errorf("%s is allowed", sql)
		}
	}
	p.examined()
}

// An order that goes back as a whole takes its coupons along, as far as they were not used
// yet, and ends its benefits. A part of it takes neither.
func TestARefundTakesBackCouponsAndBenefits(t *testing.T) {
	text := strings.NewReplacer("  first: {points: 100, budget: 1000000}\n  debt: {points: 50, on_refund: claw_back_in_full}\n", `  first: {coupon: {codes: generated, value: 20, expires: 30d}}
  debt: {benefit: vip, for: 30d}
  kept: {coupon: {codes: generated, value: 5, expires: 30d}, on_refund: keep}
`, "          - grant: debt\n", "          - grant: debt\n          - grant: kept\n").Replace(shop)
	p, s := newShopOf(t, text, 3, 2, 2)
	ctx := t.Context()
	coupon := func(i int, reward string) (state string) {
		t.Helper()
		list, err := p.MemberCoupons(ctx, s[i].member)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if c.Reward == reward {
				state = c.State
			}
		}
		return state
	}
	has := func(i int, first, kept string, vip int) {
		t.Helper()
		x := coupon(i, "first")
		y := coupon(i, "kept")
		n := p.count(`select count(*) from benefits where member = $1 and revoked_at is null`, s[i].member)
		if x != first || y != kept || n != vip {
			t.Errorf("%s: first is %s, kept is %s, %d benefits; want %s, %s, %d", s[i].member, x, y, n, first, kept, vip)
		}
	}
	for i := range s {
		p.pays(s[i], fmt.Sprint("o-", i), "100.00", p.now())
		has(i, "granted", "granted", 1)
	}
	p.goesBack(s[0], "r1", "o-0", "99.99")
	has(0, "granted", "granted", 1)
	p.goesBack(s[0], "r2", "o-0", "0.01")
	has(0, "voided", "granted", 0)
	if _, err := p.Pool().Exec(ctx, `select close_coupons(array(select id from coupons where member = $1 and reward = 'first'), 'redeemed', 'o-9', clock_timestamp())`, s[1].member); err != nil {
		t.Fatal(err)
	}
	p.goesBack(s[1], "r1", "o-1", "")
	has(1, "redeemed", "granted", 0)
	for i, want := range []string{"took back 1 of first\n", "took back 0 of first; used or over: 1\n"} {
		story, err := p.Story(ctx, s[i].member)
		if err != nil {
			t.Fatal(err)
		}
		told := ""
		for _, l := range story.Journeys[0].Lines {
			told += l.Words(campaign.English) + "\n"
		}
		if !strings.Contains(told, want) || !strings.Contains(told, "took back 1 of debt\n") {
			t.Errorf("the story does not say %q:\n%s", want, told)
		}
	}
	p.examined()
}

// What a person approves takes its offer, through the same event log as everything else.
func TestAnApprovedPaymentTakesItsOffer(t *testing.T) {
	p, s := newShop(t, 1, 2, 2)
	p.pays(s[0], "o-0", "99.99", p.now())
	if err := p.says("usd", "order.paid", s[1].member, p.now(), `{"order":"o-1","offer":"card","amount":{"amount":"100.00","currency":"USD"}}`); err != nil {
		t.Fatal(err)
	}
	p.looks(s[1].row)
	open, err := p.Reviews(t.Context(), store.ReviewFilter{State: campaign.ReviewOpen}, 0, 10)
	if err != nil || len(open) != 2 || open[0].Kind != campaign.ReviewUnderpaid || open[1].Kind != campaign.ReviewCurrency {
		t.Fatalf("%+v, %v", open, err)
	}
	for i, r := range open {
		if _, err := p.DecideReview(t.Context(), r.ID, campaign.Approve, "owner", "a coupon"); err != nil {
			t.Fatal(err)
		}
		p.looks(s[i].row)
	}
	// There is one piece only.
	if a, b := p.state(s[0]), p.state(s[1]); a != campaign.OfferTaken || b != campaign.OfferOpen {
		t.Errorf("%s and %s", a, b)
	}
	if n := p.count(`select points from members where id = $1`, s[0].member); n != 150 {
		t.Errorf("%d points", n)
	}
	p.stock(1, 0)
	p.examined()
}

// crashing breaks some turns off after everything was decided, as a worker does that dies.
type crashing struct {
	*store.Store
	chance func() bool
}

var errCrash = errors.New("crash")

func (c crashing) InTurns(ctx context.Context, rows []int64, do func(*store.PageTx) error) error {
	return c.Store.InTurns(ctx, rows, func(p *store.PageTx) error {
		if err := do(p); err != nil {
			return err
		}
		if c.chance() {
			return errCrash
		}
		return nil
	})
}

// mall gives in every way that Banyan has: points that end, a debt, a coupon, and points by a
// rule that a refund takes back.
const mall = `
campaign: together
title: A mall
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string, amount: money, refund: string}
  order.charged_back: {order: string}
  left: {}
offers:
  card: {price: 100, list_price: 150, lock: 48h, grace: 5m, stock: %d, per_member: 1, on_refund: restock}
rewards:
  first: {points: 100, budget: 1000000, expires: 30d}
  debt: {points: 50, on_refund: claw_back_in_full}
  thanks: {coupon: generated, budget: 1000}
points:
  rules:
    purchase: {on: order.paid, amount: 'event.amount / money("10.00")', reverse_on: {on: order.refunded, when: event.order == start.order}}
  expires: 60d
journeys:
  buy:
    start: {api: true}
    goal: {on: order.paid, when: event.offer == "card"}
    on_goal: continue
    exit: {on: left}
    steps:
      - offer: card
        taken:
          - grant: first
          - grant: debt
          - grant: thanks
        lapsed:
          - end: lapsed
`

// ends lets one of a member's batches of points end now.
func (p *party) ends(ctx context.Context, member string) error {
	return pgx.BeginFunc(ctx, p.Pool(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select from members where id = $1 for no key update`, member); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update point_batches set ends_at = clock_timestamp() where id = (select max(id) from point_batches where member = $1 and remaining > 0)`, member); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `update members m set points_end = (select min(b.ends_at) from point_batches b where b.member = m.id and b.remaining > 0) where m.id = $1`, member)
		return err
	})
}

// Whatever is reserved, given up, paid, redeemed, refunded, swept, routed and looked at, and
// whatever ends, in whatever order and at the same time, while turns crash and connections
// are cut between any two statements: the sums are zero, there is never more out than there
// was, and what went back of each grant is what went back of its order.
func TestOrdersUnderCrashesAndRetries(t *testing.T) {
	const shoppers, stock, each = 12, 7, 60
	p, s := newShopOf(t, mall, stock, shoppers, 2)
	ctx := t.Context()
	p.jump(47 * time.Hour)
	base := p.now()
	taker := &turn.Taker{Store: crashing{p.Store, func() bool { return rand.IntN(4) == 0 }}, Programs: turn.NewCache(), Via: []string{"console"}}
	over := func() { // never more out than there is, at any moment
		var taken, held int
		if err := p.Pool().QueryRow(ctx, `select taken, held from offer_stock`).Scan(&taken, &held); err == nil && taken+held > stock {
			t.Errorf("%d taken and %d held of %d", taken, held, stock)
		}
	}
	stop := make(chan struct{})
	var (
		cutter, all sync.WaitGroup
		done        atomic.Int64 // calls that were answered
	)
	cutter.Go(func() {
		for next := int64(0); ; next = done.Load() + rand.Int64N(8) {
			// Something must get through between two cuts, on a slow machine as on a fast one.
			for done.Load() < next {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
			}
			select {
			case <-stop:
				return
			default:
			}
			_, _ = p.Pool().Exec(ctx, `select pg_terminate_backend(pid) from pg_stat_activity
				where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle' order by random() limit 1`) // its own connection may be cut, too
			over()
		}
	})
	// again repeats what was cut off, as callers do, until it is answered.
	again := func(do func() error) {
		for range 2000 {
			err := do()
			if code := campaign.CodeOf(err); err == nil || code == campaign.CodeConflict || code == campaign.CodeNotFound || errors.Is(err, errCrash) {
				done.Add(1)
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Error("2000 tries were not enough")
	}
	for i, x := range s {
		all.Go(func() {
			luck := rand.New(rand.NewPCG(7, uint64(i)))
			order := func() string { return fmt.Sprintf("o-%s-%d", x.member, luck.IntN(2)) }
			for n := range each {
				at := base.Add(time.Duration(n) * time.Second)
				switch luck.IntN(14) {
				case 0, 1:
					o := order()
					again(func() error { _, err := p.ReserveOffer(ctx, x.offer, o); return err })
				case 2:
					o := order()
					again(func() error { _, err := p.ReleaseOffer(ctx, x.offer, o); return err })
				case 3:
					o, amount := order(), []string{"100.00", "150.00", "60.00"}[luck.IntN(3)]
					again(func() error {
						return p.says("paid-"+o, "order.paid", x.member, at, fmt.Sprintf(`{"order":%q,"offer":"card","amount":{"amount":%q,"currency":"CNY"}}`, o, amount))
					})
				case 4, 5:
					o, id, part := order(), fmt.Sprint("r", luck.IntN(3)), []string{`,"amount":{"amount":"33.33","currency":"CNY"}`, `,"amount":{"amount":"40.00","currency":"CNY"}`, ``}[luck.IntN(3)]
					typ := campaign.RefundEvents()[luck.IntN(2)]
					again(func() error {
						return p.says(fmt.Sprintf("%s-%s-%s-%d", typ, o, id, n), typ, x.member, at, fmt.Sprintf(`{"order":%q,"refund":%q%s}`, o, id, part))
					})
				case 6:
					again(func() error { _, err := p.ExpireReservations(ctx, 10); return err })
				case 7:
					if luck.IntN(10) == 0 {
						again(func() error { return p.jumps(ctx, 4*time.Minute) })
					}
				case 8:
					r := store.Redemption{ID: fmt.Sprintf("x-%s-%d", x.member, luck.IntN(4)), Member: x.member, Order: "o", Span: time.Hour}
					r.Points = int64(len(r.ID)) * int64(1+luck.IntN(4)) // so the same id is sometimes asked for otherwise
					again(func() error { _, err := p.Reserve(ctx, r); return err })
				case 9:
					id, finish := fmt.Sprintf("x-%s-%d", x.member, luck.IntN(4)), p.Capture
					if luck.IntN(2) == 0 {
						finish = p.Cancel
					}
					again(func() error { _, err := finish(ctx, id); return err })
				case 10:
					again(func() error { return p.ends(ctx, x.member) })
				case 11:
					again(func() error { _, err := p.ExpirePoints(ctx, 1+luck.IntN(5)); return err })
				case 12:
					again(func() error { return p.routes(ctx, 1+luck.IntN(20)) })
				default:
					again(func() error { return p.look(ctx, taker, x.row) })
				}
			}
		})
	}
	all.Wait()
	close(stop)
	cutter.Wait()
	p.jump(72 * time.Hour)
	for _, x := range s {
		for range 2 {
			again(func() error { return p.look(ctx, p.taker, x.row) })
		}
	}
	again(func() error { _, err := p.ExpireReservations(ctx, 10); return err })
	for range 40 {
		again(func() error { return p.routes(ctx, 100) })
	}
	if n := p.count(`select held from offer_stock`); n != 0 {
		t.Errorf("%d pieces are still held", n)
	}
	if n := p.count(`select count(*) from ledger_postings`) - p.count(`select count(distinct key) from ledger_postings`); n != 0 {
		t.Errorf("%d keys were used twice", n)
	}
	p.wentBack()
	p.examined()
	for _, what := range []string{
		`offers where state = 'taken'`, `clawbacks`, `offer_reservations`, `redemptions where state = 'captured'`, `point_batches where expired > 0`,
		`point_gains where points > 0`, `point_gains where reversed_by is not null`, `coupons where state = 'voided'`,
	} {
		if p.count(`select count(*) from `+what) == 0 {
			t.Errorf("there were no %s, so this shows little", what)
		}
	}
}

// routes routes so many of what is to be routed.
func (p *party) routes(ctx context.Context, most int) error {
	_, err := p.Route(ctx, most, func(tx *store.RouteTx) error { return p.taker.Route(ctx, tx, func(*turn.BrokenError) {}) })
	return err
}

// wentBack reckons from the events alone what is to be gone of each grant, and compares.
func (p *party) wentBack() {
	p.t.Helper()
	rows, err := p.Pool().Query(p.t.Context(), `
		select g.key, g.points, coalesce((select b.expired from point_batches b where b.key = g.key), 0), o.order_id, coalesce((select sum(c.points) from clawbacks c where c.grant_key = g.key), 0),
		       (select (e.properties -> 'amount' ->> 'amount')::numeric * 100 from events e where e.type = 'order.paid' and e.properties ->> 'order' = o.order_id)::bigint,
		       coalesce((select sum(coalesce(amount, 1e15)) from (
		           select distinct on (e.type, e.properties ->> 'refund') (e.properties -> 'amount' ->> 'amount')::numeric * 100 as amount
		             from events e where e.type in ('order.refunded', 'order.charged_back') and e.properties ->> 'order' = o.order_id
		            order by e.type, e.properties ->> 'refund', e.seq) r), 0)::bigint
		  from order_grants o join grants g on g.key = o.grant_key where g.points > 0`)
	if err != nil {
		p.t.Fatal(err)
	}
	var (
		key, order                        string
		points, expired, back, paid, sums int64
	)
	if _, err := pgx.ForEachRow(rows, []any{&key, &points, &expired, &order, &back, &paid, &sums}, func() error {
		if want := campaign.PartOf(points, min(sums, paid), paid); back > want || back < want && back+expired < points {
			p.t.Errorf("of order %s, of which %d of %d went back, %d of %d points went back, want %d, %d had ended (%s)", order, min(sums, paid), paid, back, points, want, expired, key)
		}
		return nil
	}); err != nil {
		p.t.Fatal(err)
	}
}
