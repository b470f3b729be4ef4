package e2e

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/all"
	"github.com/banyanhq/banyan/channels/call"
	"github.com/banyanhq/banyan/channels/refund"
	"github.com/banyanhq/banyan/channels/refund/refundtest"
	"github.com/banyanhq/banyan/channels/webhook"
)

// Gear has a hundred days, which no machine is too slow for; of the mat's two hours a demo
// clock leaves two seconds.
const groupBuy = `
campaign: shop
title: group buy
events:
  order.paid: {order: string, offer: string, amount: money, team: string}
  order.refunded: {order: string}
messages:
  open: "{{ team.code }} lacks {{ team.missing }}"
  done: "{{ member.id }} of {{ team.size }}"
  sorry: "{{ member.id }} has {{ yuan(offer.price) }} back"
offers:
  gear: {price: 380, list_price: 520, team: {size: 3, within: 100d}, stock: 100}
  mat: {price: 50, list_price: 80, team: {size: 2, within: 2h}, stock: 100}
journeys:
  gear:
    start: {on: order.paid, when: event.offer == "gear"}
    goal: {on: order.paid, when: event.offer == "gear"}
    on_goal: continue
    steps:
      - offer: gear
        team: {announce: open}
        taken:
          - send: done
          - end: formed
        failed:
          - end: failed
  mat:
    start: {on: order.paid, when: event.offer == "mat"}
    goal: {on: order.paid, when: event.offer == "mat"}
    on_goal: continue
    steps:
      - offer: mat
        taken:
          - end: formed
        failed:
          - send: sorry
          - end: failed
`

const refundSecret = "the secret of refunds for tests alone"

func ordered(offer, amount, team, member string, at time.Time) campaign.Event {
	return campaign.Event{
		ID: "paid-" + member, Type: campaign.EventOrderPaid, Member: member, Time: at,
		Properties: json.RawMessage(fmt.Sprintf(`{"order":"o-%s","offer":%q,"amount":{"amount":%q,"currency":"CNY"},"team":%q}`, member, offer, amount, team)),
	}
}

// Members buy together, over both drives: eight pay at one moment for the two places of a
// team. Of others the team fails, and a shop behind a socket, which loses answers, is down and
// says no, pays each of them back once and tells of it.
func TestGroupBuy(t *testing.T) { overDrives(t, testGroupBuy) }

func testGroupBuy(t *testing.T, f *fleet) {
	shop := &refundtest.Shop{Secret: refundSecret, Meet: func(p refund.Payload, before int) refundtest.Fault {
		switch {
		case p.Member == "m-refused":
			return refundtest.Unknown
		case p.Member == "m-lost" && before == 0:
			return refundtest.Drop
		case p.Member == "m-down" && before < 2:
			return refundtest.Unavailable
		}
		return refundtest.None
	}}
	shop.Paid = func(r refundtest.Record) {
		if _, err := f.store.StoreEvents(f.ctx, []campaign.Event{{
			ID: "back-" + r.Order, Type: campaign.EventOrderRefunded, Member: r.Member, Time: f.now("shop"), Properties: json.RawMessage(fmt.Sprintf(`{"order":%q}`, r.Order)),
		}}); err != nil {
			t.Error(err)
		}
	}
	server := httptest.NewServer(shop)
	t.Cleanup(server.Close)
	var err error
	f.channels, _, err = all.Build(all.Config{
		Webhook: webhook.Config{URL: f.hook, Secret: hookSecret, AllowPrivate: true}, Call: call.Config{Secret: callSecret},
		Refund: refund.Config{URL: server.URL, Secret: refundSecret, AllowPrivate: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.submit(groupBuy, 3600, firstOfDecember)
	f.runRouter()
	f.runWorker()
	now := f.now("shop")
	f.events(ordered("gear", "380.00", "", "a-0", now))
	back := map[string]string{"m-ok": "confirmed", "m-lost": "confirmed", "m-down": "confirmed", "m-refused": "refused"}
	for m := range back {
		f.events(ordered("mat", "50.00", "", m, now))
	}
	f.events(ordered("mat", "80.00", "", "m-alone", now))
	code := f.teamOf("a-0")
	var crowd sync.WaitGroup
	for i := range 8 {
		e := ordered("gear", "380.00", strings.ToLower(code), fmt.Sprintf("a-%d", i+1), f.now("shop"))
		crowd.Go(func() {
			if _, err := f.store.StoreEvents(f.ctx, []campaign.Event{e}); err != nil {
				t.Error(err)
			}
		})
	}
	crowd.Wait()
	f.until("one team is complete, and four have failed", func() bool {
		return f.count(`select count(*) from journeys where journey = 'gear' and outcome = 'formed'`) == 3 &&
			f.count(`select count(*) from journeys where journey = 'mat' and outcome = 'failed'`) == len(back) &&
			f.count(`select count(*) from team_members where campaign = 'shop'`) == 9+len(back)
	})
	f.until("three are paid back, and one is refused", func() bool {
		return f.count(`select count(*) from refund_requests where confirmed_at is not null`) == 3 &&
			f.count(`select count(*) from messages where kind = 'refund' and state = 'refused'`) == 1 &&
			f.count(`select count(*) from messages where state in ('claimed', 'unknown')`) == 0
	})
	for what, sql := range map[string]string{
		"pieces of stock that are not what was taken": `
			select sum(abs(s.taken - (select count(*) from offers o where o.offer = s.offer and (o.state = 'taken' or o.state = 'open' and o.order_id is not null)))) from offer_stock s`,
		"teams with a member too many": `select count(*) from teams where joined > size or joined <> (select count(*) from team_members m where m.team = teams.id and left_at is null)`,
		"refunds of what was sold":     `select count(*) from refund_requests r join offers o on o.order_id = r.order_id and o.state = 'taken'`,
		"orders with two refunds":      `select count(*) from (select from refund_requests group by order_id having count(*) > 1) x`,
	} {
		if n := f.count(sql); n != 0 {
			t.Errorf("%d %s", n, what)
		}
	}
	if n := f.count(`select count(*) from journeys where member = 'm-alone' and outcome = 'formed'`); n != 1 {
		t.Error("who paid the list price does not have the mat")
	}
	if n := f.count(`select count(*) from journeys where goal_at is not null`); n != 3+1 {
		t.Errorf("%d have converted", n)
	}
	if n := f.count(`select count(*) from reviews where kind = 'not_refunded' and member = 'm-refused' and state = 'open'`); n != 1 {
		t.Errorf("%d reviews of the refusal", n)
	}
	if bad := shop.Bad(); len(bad) > 0 {
		t.Errorf("the shop got %v", bad)
	}
	done := map[string]bool{}
	for _, r := range shop.Done() {
		if done[r.Member] || back[r.Member] != "confirmed" || r.Amount.Minor != 5000 || r.Reason != campaign.RefundTeamFailed || r.Order != "o-"+r.Member {
			t.Errorf("paid back %+v", r)
		}
		done[r.Member] = true
	}
	if len(done) != 3 {
		t.Errorf("paid back %v", done)
	}
	told := map[string]int{}
	for _, r := range f.receiver.Delivered() {
		told[r.Body] += r.Times
	}
	for m := range back {
		if told[m+" has ¥50.00 back"] != 1 {
			t.Errorf("%s was told %d times: %v", m, told[m+" has ¥50.00 back"], told)
		}
	}
	if told[code+" lacks 2"] != 1 || told[code+" lacks 1"] != 1 || told["a-0 of 3"] != 1 {
		t.Errorf("told %v", told)
	}
	// Codes let people in, and orders are people's, so neither stands in a history.
	f.nowhereInTemporal("webhook", code, "o-a-0", "o-m-ok")
}
