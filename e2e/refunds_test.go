package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

const counter = `
campaign: counter
title: at the counter
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string, amount: money}
  go: {}
offers:
  card: {title: 月卡, price: 100, list_price: 150, lock: 48h, stock: 5, on_refund: restock}
rewards:
  first: {points: 100}
journeys:
  buy:
    start: {on: go}
    goal: {on: order.paid, when: event.offer == "card"}
    on_goal: continue
    steps:
      - offer: card
        taken:
          - grant: first
`

// An order reserves the offer, takes it, and goes back in two parts, the second after the
// journey's end: each wakes the journey, by whichever drive.
func TestReservationAndRefund(t *testing.T) { overDrives(t, testReservationAndRefund) }

func testReservationAndRefund(t *testing.T, f *fleet) {
	f.submit(counter, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	tell := func(id, typ, properties string) {
		f.events(campaign.Event{ID: id, Type: typ, Member: "m-1", Time: time.Now(), Properties: []byte(properties)})
	}
	tell("go-1", "go", `{}`)
	f.until("the offer is open", func() bool { return f.count(`select count(*) from offers where state = 'open'`) == 1 })
	offers, err := f.store.MemberOffers(f.ctx, "m-1")
	if err != nil || len(offers) != 1 {
		t.Fatalf("%+v, %v", offers, err)
	}
	if _, err := f.store.ReserveOffer(f.ctx, offers[0].ID, "o-1"); err != nil {
		t.Fatal(err)
	}
	f.until("the journey knows of the reservation", func() bool { return f.count(`select count(*) from trace where kind = 'offer_reserved'`) == 1 })
	money := func(amount string) string {
		return fmt.Sprintf(`{"order":"o-1","offer":"card","amount":{"amount":%q,"currency":"CNY"}}`, amount)
	}
	tell("paid-1", "order.paid", money("100.00"))
	f.until("the reward is granted", func() bool { return f.count(`select points from members where id = 'm-1'`) == 100 })
	tell("back-1", "order.refunded", money("40.00"))
	f.until("a part is clawed back", func() bool { return f.count(`select points from members where id = 'm-1'`) == 60 })
	tell("back-2", "order.refunded", money("60.00"))
	f.until("all of it is clawed back", func() bool { return f.count(`select points from members where id = 'm-1'`) == 0 })
	for sql, want := range map[string]int{
		`select count(*) from journeys where status = 'done' and goal_reversed_at is not null and goal_refunded = 10000`: 1,
		`select count(*) from offers where state = 'taken' and restocked and order_id = 'o-1'`:                           1,
		`select taken + held from offer_stock`:                                    0,
		`select count(*) from offer_reservations where state = 'captured'`:        1,
		`select count(*) from ledger_postings where kind = 'claw_back'`:           2,
		`select sum(amount)::int from ledger_entries`:                             0,
		`select count(*) from trace where kind in ('clawed_back', 'refunded')`:    4,
		`select count(*) from trace where kind in ('restocked', 'goal_reversed')`: 2,
	} {
		if got := f.count(sql); got != want {
			t.Errorf("%s: %d, want %d", sql, got, want)
		}
	}
}
