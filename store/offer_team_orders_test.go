package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

const sharedShop = `
campaign: together
title: A shop whose members buy together
events:
  order.paid: {order: string, offer: string, amount: money, team: string}
  order.refunded: {order: string, amount: money, refund: string}
  order.charged_back: {order: string}
offers:
  card: {price: 100, list_price: 150, grace: 5m, team: {size: 2, within: 24h}, stock: %d, per_member: 1, on_refund: restock}
rewards:
  first: {points: 100, budget: 1000000}
journeys:
  buy:
    start: {api: true}
    goal: {on: order.paid, when: event.offer == "card"}
    on_goal: continue
    steps:
      - offer: card
        taken:
          - grant: first
        failed:
          - end: failed
        lapsed:
          - end: lapsed
`

// joins tells that an order was paid, with the code of a team, and lets the journey judge it.
func (p *party) joins(s shopper, order, amount, code string) {
	p.t.Helper()
	properties := fmt.Sprintf(`{"order":%q,"offer":"card","amount":{"amount":%q,"currency":"CNY"},"team":%q}`, order, amount, code)
	if err := p.says("paid-"+order, "order.paid", s.member, p.now(), properties); err != nil {
		p.t.Fatal(err)
	}
	p.looks(s.row)
}

// places is in how many teams orders pay for a place, or did.
func (p *party) places() int {
	p.t.Helper()
	return p.count(`select count(*) from team_members`)
}

// A buyer's way through everything that an order may meet: the till, the price, a person's
// decision, the team, and the refund. A piece of stock is held or taken once for each order.
func TestBuyersReservePayAndGoBack(t *testing.T) {
	p, s := newShopOf(t, sharedShop, 2, 4, 2)
	ctx := t.Context()
	p.reserve(s[0], "o-0")
	p.stock(0, 1)
	p.joins(s[0], "o-0", "99.99", "")
	p.stock(0, 1)
	if n := p.places(); n != 0 {
		t.Fatalf("%d places by an order that is below the price", n)
	}
	open, err := p.Reviews(ctx, store.ReviewFilter{State: campaign.ReviewOpen}, 0, 10)
	if err != nil || len(open) != 1 || open[0].Kind != campaign.ReviewUnderpaid {
		t.Fatalf("%+v, %v", open, err)
	}
	if _, err := p.DecideReview(ctx, open[0].ID, campaign.Approve, "owner", "a coupon"); err != nil {
		t.Fatal(err)
	}
	p.looks(s[0].row)
	p.stock(1, 0)
	p.examined()
	o, err := p.Offer(ctx, s[0].offer)
	if err != nil || o.State != campaign.OfferOpen || o.Order != "o-0" || o.Paid.Minor != 9999 || o.Team == nil || o.Team.Joined != 1 || p.places() != 1 {
		t.Fatalf("%+v %+v, %v", o, o.Team, err)
	}
	p.refused(s[0], "o-another", "waits for its team")
	if again := p.reserve(s[0], "o-0"); again.State != store.ReservationCaptured {
		t.Errorf("asked again after it was paid: %+v", again)
	}

	// What is held for one order is not there for another.
	p.reserve(s[1], "o-1")
	p.stock(1, 1)
	p.joins(s[2], "o-2", "100.00", o.Team.Code)
	if n := p.count(`select count(*) from reviews where kind = 'paid_not_taken' and member = $1`, s[2].member); n != 1 || p.places() != 1 {
		t.Errorf("%d reviews, %d places", n, p.places())
	}
	p.joins(s[1], "o-1", "100.00", o.Team.Code)
	p.route() // tells the other
	p.looks(s[0].row)
	p.stock(2, 0)
	if a, b := p.state(s[0]), p.state(s[1]); a != campaign.OfferTaken || b != campaign.OfferTaken || p.places() != 2 {
		t.Errorf("%s and %s, %d places", a, b, p.places())
	}
	p.examined()

	// Her order goes back, and her piece with it. The team stays complete.
	p.goesBack(s[1], "r", "o-1", "")
	p.stock(1, 0)
	if formed, points := p.count(`select count(*) from teams where state = 'formed' and joined = 2`), p.count(`select points from members where id = $1`, s[1].member); formed != 1 || points != 0 {
		t.Errorf("%d complete teams, %d points", formed, points)
	}
	p.examined()

	// The one who was told that it is sold out is let in now, and nobody joins her.
	open, err = p.Reviews(ctx, store.ReviewFilter{State: campaign.ReviewOpen}, 0, 10)
	if err != nil || len(open) != 1 {
		t.Fatalf("%+v, %v", open, err)
	}
	if _, err := p.DecideReview(ctx, open[0].ID, campaign.Approve, "owner", "there is one again"); err != nil {
		t.Fatal(err)
	}
	p.looks(s[2].row)
	p.stock(2, 0)
	p.jump(25 * time.Hour)
	p.looks(s[2].row)
	p.stock(1, 0)
	if p.state(s[2]) != campaign.OfferLapsed || p.count(`select count(*) from refund_requests where member = $1 and amount = 10000 and confirmed_at is null`, s[2].member) != 1 {
		t.Errorf("her offer is %s", p.state(s[2]))
	}
	p.examined()

	// The shop pays her back in two parts, and tells of the second one twice. Her piece was
	// given back when the team failed, and is not given back once more.
	confirmed := func() int { return p.count(`select count(*) from refund_requests where confirmed_at is not null`) }
	p.goesBack(s[2], "r-1", "o-2", "40.00")
	if n := confirmed(); n != 0 {
		t.Errorf("%d refunds are done by a part", n)
	}
	p.goesBack(s[2], "r-2", "o-2", "60.00")
	if n := confirmed(); n != 1 {
		t.Errorf("%d refunds are done", n)
	}
	if err := p.says("again", "order.charged_back", s[2].member, p.now(), `{"order":"o-2"}`); err != nil {
		t.Fatal(err)
	}
	p.looks(s[2].row)
	p.stock(1, 0)
	if by, kinds := p.count(`select count(*) from refund_requests where confirmed_by = 'back-o-2-r-2'`), p.count(`select count(*) from trace where kind = 'refunded' and params ->> 'order' = 'o-2'`); by != 1 || kinds != 2 {
		t.Errorf("%d are done by the second part, %d lines", by, kinds)
	}
	p.examined()
}

// An order that goes back and an offer that ends, found out in one turn: nothing says any more
// that the offer was bought in a team.
func TestABuyersOfferEndsWithItsOrderBack(t *testing.T) {
	p, s := newShopOf(t, sharedShop, 5, 1, 2)
	p.joins(s[0], "o-0", "100.00", "")
	p.stock(1, 0)
	if err := p.says("back", "order.refunded", s[0].member, p.now(), `{"order":"o-0"}`); err != nil {
		t.Fatal(err)
	}
	p.jump(25 * time.Hour)
	p.looks(s[0].row)
	if n := p.count(`select count(*) from offers where state = 'lapsed' and team is null and order_id is null and paid is null`); n != 1 {
		t.Errorf("the offer is %s, and of a team still", p.state(s[0]))
	}
	p.stock(0, 0)
	p.examined()
}

// Who buys in a team waits for the team before she holds any stock; else she and one who gives
// her piece back would wait for each other.
func TestABuyerWaitsForHerTeamWithNothingInHerHands(t *testing.T) {
	p, s := newShopOf(t, sharedShop, 5, 2, 2)
	ctx := t.Context()
	p.joins(s[0], "o-0", "100.00", "")
	o, err := p.Offer(ctx, s[0].offer)
	if err != nil || o.Team == nil {
		t.Fatalf("%+v, %v", o, err)
	}
	if err := p.says("paid-o-1", "order.paid", s[1].member, p.now(),
		fmt.Sprintf(`{"order":"o-1","offer":"card","amount":{"amount":"100.00","currency":"CNY"},"team":%q}`, o.Team.Code)); err != nil {
		t.Fatal(err)
	}
	joined := make(chan error, 1)
	err = pgx.BeginFunc(ctx, p.Pool(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select from teams for update`); err != nil {
			return err
		}
		go func() { joined <- p.look(ctx, p.taker, s[1].row) }()
		for waits := false; !waits; {
			if err := p.Pool().QueryRow(ctx, `select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`).Scan(&waits); err != nil {
				return err
			}
			select {
			case err := <-joined:
				return fmt.Errorf("it did not wait: %w", err)
			default:
			}
		}
		_, err := p.Pool().Exec(ctx, `select from offer_stock for update nowait`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
	p.looks(s[0].row)
	p.stock(2, 0)
	p.examined()
}
