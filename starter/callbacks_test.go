package starter_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/callbacks"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/fakeplatform"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

const callbackKey = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"

// called is an API that takes callbacks, and the platforms that call it.
type called struct {
	*api
	wecom, official, mini *fakeplatform.CallbackAccount
	pay                   *fakeplatform.PayAccount
	router                *starter.Router
}

func serveCallbacks(t *testing.T) *called {
	t.Helper()
	signer, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	account := func(channel callbacks.Channel, id string) callbacks.Account {
		return callbacks.Account{Channel: channel, ID: id, Token: "t0ken", Key: callbackKey}
	}
	all, err := callbacks.New(account(callbacks.Wecom, "ww1"), account(callbacks.OfficialAccount, "wx1"), account(callbacks.MiniProgram, "wx2"), callbacks.Account{
		Channel: callbacks.Pay, ID: "1900000001", Key: strings.Repeat("k", 32), Verifiers: callbacks.Verifiers{"PUB_KEY_ID_1": {Key: &signer.PublicKey}},
	})
	if err != nil {
		t.Fatal(err)
	}
	a := serve(t, func(c *starter.Config) { c.Callbacks = all })
	at := func(path string) *fakeplatform.CallbackAccount {
		return &fakeplatform.CallbackAccount{URL: a.http.URL + "/callbacks/" + path, Token: "t0ken", Key: callbackKey, Receiver: path[strings.Index(path, "/")+1:], Plain: !strings.HasPrefix(path, "wecom")}
	}
	c := &called{
		api: a, wecom: at("wecom/ww1"), official: at("officialaccount/wx1"), mini: at("miniprogram/wx2"),
		pay:    &fakeplatform.PayAccount{URL: a.http.URL + "/callbacks/wechatpay/1900000001", Key: strings.Repeat("k", 32), Serial: "PUB_KEY_ID_1", Signer: signer},
		router: &starter.Router{Store: a.store, Log: slog.New(slog.DiscardHandler)},
	}
	c.mini.JSON = true
	return c
}

func follows(event, openid string, at time.Time) string {
	return fmt.Sprintf(`<xml><ToUserName>gh_1</ToUserName><FromUserName>%s</FromUserName><CreateTime>%d</CreateTime><MsgType>event</MsgType><Event>%s</Event></xml>`, openid, at.Unix(), event)
}

// work works all that is due, and says how many there were.
func (c *called) work() (n int) {
	c.t.Helper()
	for {
		some, err := c.router.Callbacks(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		if n += some; some == 0 {
			return n
		}
	}
}

func query(t testing.TB, url, sql string) (out string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if err := conn.QueryRow(t.Context(), sql).Scan(&out); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatal(err)
	}
	return out
}

func (c *called) rows(sql string) string {
	c.t.Helper()
	return query(c.t, c.url, "select coalesce(string_agg(x, ', ' order by x), '') from ("+sql+") t (x)")
}

func TestCallbacksAreKeptAndWorked(t *testing.T) {
	c := serveCallbacks(t)
	for _, account := range []*fakeplatform.CallbackAccount{c.wecom, c.official, c.mini} {
		if err := account.Ask(t.Context()); err != nil {
			t.Errorf("%s: %v", account.URL, err)
		}
	}
	c.must("PUT", "/v1/members/m-1", `{}`)
	c.must("PUT", "/v1/members/m-1/identities/openid?account=wx1", `{"address":"o-1"}`)
	now := time.Now()
	const paid = `{"mchid":"1900000001","appid":"wx1","out_trade_no":"o-1024","transaction_id":"42","trade_state":"SUCCESS","payer":{"openid":"o-1"},"amount":{"total":1990}%s}`
	tell := func(a *fakeplatform.CallbackAccount, payload string) func(context.Context) error {
		return func(ctx context.Context) error { return a.Tell(ctx, payload) }
	}
	notify := func(event, kind, payload string) func(context.Context) error {
		return func(ctx context.Context) error { return c.pay.Notify(ctx, event, kind, payload) }
	}
	// The refund may come before the payment that it is about.
	if err := fakeplatform.Deliver(t.Context(), 7,
		tell(c.official, follows("subscribe", "o-1", now.Add(-time.Minute))),
		tell(c.official, fmt.Sprintf(`<xml><FromUserName>o-1</FromUserName><CreateTime>%d</CreateTime><MsgType>text</MsgType><Content>M</Content><MsgId>1</MsgId></xml>`, now.Unix())),
		tell(c.mini, fmt.Sprintf(`{"FromUserName":"o-2","CreateTime":%d,"MsgType":"event","Event":"subscribe_msg_popup_event","List":[{"TemplateId":"t1","SubscribeStatusString":"accept"}]}`, now.Unix())),
		tell(c.wecom, fmt.Sprintf(`<xml><FromUserName>sys</FromUserName><CreateTime>%d</CreateTime><MsgType>event</MsgType><Event>change_external_contact</Event><ChangeType>add_external_contact</ChangeType><UserID>lin</UserID><ExternalUserID>wm1</ExternalUserID></xml>`, now.Unix())),
		notify("REFUND.SUCCESS", "refund", `{"mchid":"1900000001","transaction_id":"42","out_trade_no":"o-1024","refund_id":"5","out_refund_no":"r-1","refund_status":"SUCCESS","amount":{"total":1990,"refund":1000}}`),
		notify("TRANSACTION.SUCCESS", "transaction", fmt.Sprintf(paid, "")),
		notify("TRANSACTION.SUCCESS", "transaction", fmt.Sprintf(paid, `,"bank_type":"CMC"`)), // by a second route
		tell(c.mini, `{"FromUserName":"o-2","MsgType":"event","Event":"something_new"}`),
	); err != nil {
		t.Fatal(err)
	}
	if got := c.rows(`select channel || ' ' || count(*) from callbacks group by channel`); got != "miniprogram 2, officialaccount 2, wechatpay 3, wecom 1" {
		t.Errorf("kept: %s", got)
	}
	c.work()
	query(t, c.url, "update callbacks set due_at = now() where done_at is null returning 1::text") // a refund that came first
	c.work()
	const want = "officialaccount.messaged, officialaccount.subscribed, payment.refunded, payment.succeeded, reply.received, subscription.answered, wecom.contact.added"
	if got := c.rows(`select type from events`); got != want {
		t.Errorf("events: %s", got)
	}
	if got := c.rows(`select distinct type from events where member = 'm-1'`); got != "officialaccount.messaged, officialaccount.subscribed, payment.refunded, payment.succeeded, reply.received" {
		t.Errorf("hers: %s", got)
	}
	if got := c.rows(`select coalesce(error, '') from callbacks where done_at is null or error <> ''`); got != "" {
		t.Errorf("not done: %s", got)
	}
	if got := c.rows(`select m.source || ' ' || i.kind || ' ' || i.state from members m join identities i on i.member = m.id where m.id <> 'm-1'`); got != "miniprogram openid reachable, wecom wecom_external_userid reachable" {
		t.Errorf("made: %s", got)
	}
	// Whatever is told once more changes nothing.
	if err := c.official.Tell(t.Context(), follows("subscribe", "o-1", now.Add(-time.Minute))); err != nil || c.work() != 0 {
		t.Errorf("told again: %v", err)
	}
	if f := c.finding("callbacks"); !f.OK {
		t.Errorf("the doctor says %+v", f)
	}
}

func (c *called) finding(check string) store.Finding {
	c.t.Helper()
	all, err := c.store.Examine(c.t.Context())
	i := slices.IndexFunc(all, func(f store.Finding) bool { return f.Check == check })
	if err != nil || i < 0 {
		c.t.Fatal(err, i)
	}
	return all[i]
}

// What somebody answers about messages of a mini program counts once, however often and by
// however many it is told and worked.
func TestAnswersBecomePermits(t *testing.T) {
	c := serveCallbacks(t)
	now := time.Now().Unix()
	tell := func(a *fakeplatform.CallbackAccount, event, list string) {
		t.Helper()
		payload := fmt.Sprintf(`{"FromUserName":"o-2","CreateTime":%d,"MsgType":"event","Event":"%s","List":[%s]}`, now, event, list)
		for range 2 {
			if err := a.Tell(t.Context(), payload); err != nil {
				t.Fatal(err)
			}
		}
	}
	const t1, t2, no = `{"TemplateId":"t1","SubscribeStatusString":"accept"}`, `{"TemplateId":"t2","SubscribeStatusString":"accept"}`, `{"TemplateId":"t1","SubscribeStatusString":"reject"}`
	want := func(want string) {
		t.Helper()
		c.work()
		query(t, c.url, "update callbacks set done_at = null, due_at = now() returning 1::text") // as if nobody had noted that it is done
		c.work()
		if got := c.rows(`select account || ' ' || template || ' ' || permits from permits`); got != want {
			t.Errorf("permits are %s, want %s", got, want)
		}
	}
	tell(c.mini, "subscribe_msg_popup_event", t1+","+t2)
	want("wx2 t1 1, wx2 t2 1")
	now++
	tell(c.mini, "subscribe_msg_popup_event", t1+","+t1)
	want("wx2 t1 3, wx2 t2 1")
	now++
	tell(c.mini, "subscribe_msg_popup_event", no) // she keeps what she permitted before
	want("wx2 t1 3, wx2 t2 1")
	tell(c.mini, "subscribe_msg_change_event", t2) // to refuse no more permits nothing
	tell(c.mini, "subscribe_msg_change_event", no)
	want("wx2 t1 0, wx2 t2 1")
	c.official.JSON = true
	tell(c.official, "subscribe_msg_popup_event", t1) // an official account's is another matter
	want("wx2 t1 0, wx2 t2 1")
	if got := c.rows(`select count(*)::text from events where type = 'subscription.answered'`); got != "8" {
		t.Errorf("%s events", got)
	}
}

// Who dies between what is kept and what is done loses nothing: another takes it up.
func TestCallbacksOutliveTheirWorker(t *testing.T) {
	c := serveCallbacks(t)
	if err := c.official.Tell(t.Context(), follows("subscribe", "o-1", time.Now())); err != nil {
		t.Fatal(err)
	}
	if taken, err := c.store.TakeCallbacks(t.Context(), 10); err != nil || len(taken) != 1 {
		t.Fatal(taken, err) // and dies
	}
	if c.work() != 0 {
		t.Error("two work at one callback")
	}
	query(t, c.url, "update callbacks set due_at = now() returning 1::text") // as time does
	if n := c.work(); n != 1 || c.rows("select type from events") != "officialaccount.subscribed" {
		t.Errorf("%d worked, %s", n, c.rows("select type from events"))
	}
	// What cannot be worked is kept, and told of.
	if err := c.mini.Tell(t.Context(), `{"MsgType":"text","FromUserName":"a b","Content":"x"}`); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		c.work()
		query(t, c.url, "update callbacks set due_at = now() where done_at is null returning 1::text")
	}
	if f := c.finding("callbacks"); f.OK || !strings.Contains(f.Detail, "it names nobody") || strings.Contains(f.Detail, "a b") {
		t.Errorf("the doctor says %+v", f)
	}
}

// A refund waits for its payment, and not for ever.
func TestRefundWithoutPayment(t *testing.T) {
	c := serveCallbacks(t)
	if err := c.pay.Notify(t.Context(), "REFUND.SUCCESS", "refund", `{"mchid":"1900000001","transaction_id":"42","refund_id":"5","refund_status":"SUCCESS","amount":{"total":1,"refund":1}}`); err != nil {
		t.Fatal(err)
	}
	c.work()
	if got := c.rows(`select error from callbacks where done_at is null`); !strings.Contains(got, "has not been told yet") {
		t.Errorf("at first: %q", got)
	}
	query(t, c.url, "update callbacks set due_at = now(), received_at = now() - interval '73 hours' returning 1::text")
	c.work()
	if got := c.rows(`select error from callbacks where done_at is null`); got != "" || c.rows(`select type from events`) != "" {
		t.Errorf("after three days: %q", got)
	}
}

// What a platform says of who follows is judged by its own time, and takes back no other no.
func TestFollowing(t *testing.T) {
	c := serveCallbacks(t)
	c.must("PUT", "/v1/members/m-1", `{}`)
	c.must("PUT", "/v1/members/m-1/identities/openid?account=wx1", `{"address":"o-1"}`)
	start := time.Now().Add(-time.Hour)
	for i, step := range []struct {
		event  string
		second int
		want   string
	}{
		{"unsubscribe", 10, "opted_out unfollowed"},
		{"subscribe", 5, "opted_out unfollowed"}, // late
		{"subscribe", 10, "opted_out unfollowed"},
		{"subscribe", 20, "reachable "},
		{"unsubscribe", 15, "reachable "}, // late
		{"unsubscribe", 20, "opted_out unfollowed"},
		{"subscribe", 30, "reachable "},
	} {
		if err := c.official.Tell(t.Context(), follows(step.event, "o-1", start.Add(time.Duration(step.second)*time.Second))); err != nil {
			t.Fatal(err)
		}
		c.work()
		if got := c.rows(`select state || ' ' || reason from identities`); got != step.want {
			t.Errorf("%d: after %s at %d she is %q, want %q", i, step.event, step.second, got, step.want)
		}
	}
	c.must("PUT", "/v1/members/m-1/identities/openid?account=wx1", `{"state":"opted_out","reason":"she wrote to us"}`)
	if err := c.official.Tell(t.Context(), follows("subscribe", "o-1", start.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	c.work()
	if got := c.rows(`select state || ' ' || reason from identities`); got != "opted_out she wrote to us" {
		t.Errorf("after her own no: %s", got)
	}
}

func TestCallbacksAreSealed(t *testing.T) {
	c := serveCallbacks(t)
	if err := c.official.Tell(t.Context(), follows("subscribe", "o-open", time.Now())); err != nil {
		t.Fatal(err)
	}
	store.WithAddressKeys(c.store, []store.AddressKey{{1}})
	if err := c.store.SealAddresses(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.official.Tell(t.Context(), follows("subscribe", "o-shut", time.Now())); err != nil {
		t.Fatal(err)
	}
	if got := c.rows(`select count(*)::text from callbacks where sealed and position('o-'::bytea in payload) = 0`); got != "2" {
		t.Errorf("%s are sealed", got)
	}
	if n := c.work(); n != 2 || c.rows(`select count(*)::text from events`) != "2" {
		t.Errorf("%d worked", n)
	}
}

func TestCallbacksAreRefused(t *testing.T) {
	c := serveCallbacks(t)
	stranger, other := *c.wecom, *c.wecom
	stranger.Token = "another"
	other.Receiver = "ww2"
	elsewhere := *c.wecom
	elsewhere.URL = strings.Replace(c.wecom.URL, "ww1", "ww9", 1)
	clock := new(fakeplatform.Clock)
	clock.Advance(-10 * time.Minute)
	stale := *c.pay
	stale.Clock = clock
	for want, err := range map[string]error{
		"401": stranger.Tell(t.Context(), "<xml></xml>"), "meant for another": other.Tell(t.Context(), "<xml></xml>"), "404": elsewhere.Tell(t.Context(), "<xml></xml>"),
		`401 "{\"code\":\"FAIL\"`: stale.Notify(t.Context(), "TRANSACTION.SUCCESS", "transaction", `{"mchid":"1900000001"}`),
		"413":                     c.wecom.Tell(t.Context(), strings.Repeat("x", callbacks.MaxBody)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := stranger.Ask(t.Context()); err == nil {
		t.Error("a stranger is answered")
	}
	if got := c.rows(`select count(*)::text from callbacks`); got != "0" {
		t.Errorf("%s were kept", got)
	}
	if campaign.OwnsEventID(callbacks.EventID("x")) != true {
		t.Error("callers could tell events of callbacks")
	}
}
