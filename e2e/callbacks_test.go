package e2e

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/callbacks"
	"github.com/banyanhq/banyan/fakeplatform"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

const followers = `
campaign: followers
title: whoever follows
events:
  officialaccount.subscribed: {scene: string}
  subscription.answered: {template: string, answer: string}
  payment.succeeded: {order: string, total: int}
messages:
  size: Which size?
journeys:
  way:
    start: {on: officialaccount.subscribed, when: event.scene == "autumn-1"}
    goal: {on: payment.succeeded, when: event.total >= 1990}
    steps:
      - ask: {message: size, answers: {size: {one_of: [S, M]}}, for: 24h}
        otherwise: [{end: silent}]
      - await: subscription.answered
        when: event.template == "t1"
        for: 24h
        otherwise: [{end: silent}]
      - choose:
          - when: event.answer == "reject"
            steps: [{end: refused}]
      - wait: 24h
`

// An official account and WeChat Pay call back over sockets, twice, in any order, without
// waiting for answers, at first while nobody works: journeys start, hear the answers, and reach
// their goal, each once.
func TestCallbacksMoveJourneys(t *testing.T) { overDrives(t, testCallbacksMoveJourneys) }

func testCallbacksMoveJourneys(t *testing.T, f *fleet) {
	const people, key, merchant = 8, "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "1900000001"
	signer, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	endpoints, err := callbacks.New(
		callbacks.Account{Channel: callbacks.OfficialAccount, ID: "wx1", Token: "t0ken", Key: key},
		callbacks.Account{Channel: callbacks.Pay, ID: merchant, Key: strings.Repeat("k", 32), Verifiers: callbacks.Verifiers{"PUB_KEY_ID_1": {Key: &signer.PublicKey}}},
	)
	if err != nil {
		t.Fatal(err)
	}
	server, err := starter.NewServer(starter.Config{Store: f.store, Entrances: f.router, Log: f.log, Callbacks: endpoints})
	if err != nil {
		t.Fatal(err)
	}
	store.WithAddressKeys(f.store, []store.AddressKey{{1}})
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	official := &fakeplatform.CallbackAccount{URL: listening.URL + "/callbacks/officialaccount/wx1", Token: "t0ken", Key: key, Receiver: "wx1", Plain: true}
	pay := &fakeplatform.PayAccount{URL: listening.URL + "/callbacks/wechatpay/" + merchant, Key: strings.Repeat("k", 32), Serial: "PUB_KEY_ID_1", Signer: signer}
	if err := official.Ask(f.ctx); err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(-time.Minute).Unix()
	payload := func(person, second int, rest string) string {
		return fmt.Sprintf(`<xml><ToUserName>gh_1</ToUserName><FromUserName>o-secret-%d</FromUserName><CreateTime>%d</CreateTime>%s</xml>`, person, start+int64(second), rest)
	}
	seed := uint64(0)
	deliver := func(of func(person int) []func(context.Context) error) {
		t.Helper()
		var calls []func(context.Context) error
		for person := range people {
			calls = append(calls, of(person)...)
		}
		seed++
		if err := fakeplatform.Deliver(f.ctx, seed, calls...); err != nil {
			t.Fatal(err)
		}
	}
	tell := func(text string) func(context.Context) error {
		return func(ctx context.Context) error { return official.Tell(ctx, text) }
	}
	f.submit(followers, 1, time.Time{})

	deliver(func(person int) []func(context.Context) error { // nobody works yet
		const subscribe, event = `<MsgType>event</MsgType><Event>%s</Event><EventKey>%s</EventKey>`, "subscribe"
		return []func(context.Context) error{
			tell(payload(person, 1, fmt.Sprintf(subscribe, "unsubscribe", ""))), // before she came back
			tell(payload(person, 2, fmt.Sprintf(subscribe, event, "qrscene_autumn-1"))),
		}
	})
	if n := f.count(`select count(*) from callbacks where done_at is null and sealed`); n != 2*people {
		t.Errorf("%d callbacks are kept, want %d", n, 2*people)
	}
	f.runRouter()
	f.runWorker()
	f.until("all were asked", func() bool {
		return f.count(`select count(*) from messages where state = 'sent'`) == people
	})
	if got := f.text(`select string_agg(distinct state, ',') from identities`); got != "reachable" {
		t.Errorf("who came back is %s", got)
	}
	deliver(func(person int) []func(context.Context) error {
		return []func(context.Context) error{tell(payload(person, 50, fmt.Sprintf(`<MsgType>text</MsgType><Content>m</Content><MsgId>%d</MsgId>`, 1000+person)))}
	})
	f.until("all have answered", func() bool {
		return f.count(`select count(*) from events where type = 'reply.received'`) == people && f.count(`select count(*) from journeys where step_name = 'await subscription.answered'`) == people
	})
	deliver(func(person int) []func(context.Context) error {
		answer := []string{"accept", "reject"}[person%2]
		return []func(context.Context) error{tell(payload(person, 55, `<MsgType>event</MsgType><Event>subscribe_msg_popup_event</Event><SubscribeMsgPopupEvent>`+
			`<List><TemplateId>t0</TemplateId><SubscribeStatusString>accept</SubscribeStatusString></List>`+
			`<List><TemplateId>t1</TemplateId><SubscribeStatusString>`+answer+`</SubscribeStatusString></List></SubscribeMsgPopupEvent>`))}
	})
	f.until("half have refused", func() bool {
		return f.count(`select count(*) from journeys where outcome = 'refused'`) == people/2 && f.count(`select count(*) from events where type = 'subscription.answered'`) == 2*people
	})
	deliver(func(person int) (calls []func(context.Context) error) {
		paid := func(order string, fen int, more string) func(context.Context) error {
			text := fmt.Sprintf(`{"mchid":%q,"appid":"wx1","out_trade_no":"%s-%d","transaction_id":"%s%d","trade_state":"SUCCESS","payer":{"openid":"o-secret-%d"},"amount":{"total":%d}%s}`,
				merchant, order, person, order, person, person, fen, more)
			return func(ctx context.Context) error { return pay.Notify(ctx, "TRANSACTION.SUCCESS", "transaction", text) }
		}
		refunded := fmt.Sprintf(`{"mchid":%q,"out_trade_no":"big-%d","transaction_id":"big%d","refund_id":"r%d","refund_status":"SUCCESS","amount":{"total":1990,"refund":1990}}`, merchant, person, person, person)
		return []func(context.Context) error{
			paid("small", 1989, ""), paid("big", 1990, ""), paid("big", 1990, `,"bank_type":"CMC"`), // by a second route
			func(ctx context.Context) error { return pay.Notify(ctx, "REFUND.SUCCESS", "refund", refunded) },
		}
	})
	f.until("the others have reached the goal", func() bool {
		// A refund that came before its payment is tried again after a while.
		f.exec(`update callbacks set due_at = now() where done_at is null and error <> ''`)
		return f.count(`select count(*) from journeys where outcome = 'converted'`) == people/2 &&
			f.count(`select count(*) from events where type = 'payment.refunded'`) == people && f.count(`select count(*) from callbacks where done_at is null`) == 0
	})
	deliver(func(person int) []func(context.Context) error {
		return []func(context.Context) error{tell(payload(person, 59, `<MsgType>event</MsgType><Event>unsubscribe</Event>`))}
	})
	f.until("all have opted out", func() bool {
		return f.count(`select count(*) from identities where state = 'opted_out' and reason = 'unfollowed'`) == people
	})
	if got := f.text(`select string_agg(type || ' ' || n, ', ' order by type) from (select type, count(*) n from events group by type) t`); got != fmt.Sprintf(
		"officialaccount.messaged %[1]d, officialaccount.subscribed %[1]d, officialaccount.unsubscribed %[2]d, payment.refunded %[1]d, payment.succeeded %[2]d, reply.received %[1]d, subscription.answered %[2]d", people, 2*people) {
		t.Errorf("events: %s", got)
	}
	if n := f.count(`select count(*) from members`); n != people {
		t.Errorf("%d members, want %d", n, people)
	}
	for _, table := range []string{"events", "members", "journeys", "trace", "callbacks"} {
		if n := f.count(`select count(*) from ` + table + ` t where t::text like '%o-secret%' or encode(convert_to(t::text, 'UTF8'), 'escape') like '%6f2d736563726574%'`); n != 0 {
			t.Errorf("%d rows of %s say who it is", n, table)
		}
	}
	f.nowhereInTemporal("followers", "o-secret")
}
