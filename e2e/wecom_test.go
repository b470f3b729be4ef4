package e2e

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/all"
	"github.com/banyanhq/banyan/channels/webhook"
	"github.com/banyanhq/banyan/channels/wecom"
	"github.com/banyanhq/banyan/channels/wecom/app"
	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/fakeplatform"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/worker"
)

const wecomCorp, wecomAgent = "ww0123456789abcdef", 1000002

func wecomPlatform(t *testing.T, staff ...string) (*fakeplatform.Platform, app.Config) {
	t.Helper()
	p := fakeplatform.New(fakeplatform.Options{Corp: wecomCorp, Secret: "s3cret", Agent: wecomAgent, Staff: staff, Parallel: 1000})
	server := httptest.NewServer(p)
	t.Cleanup(func() { p.Close(); server.Close() })
	return p, app.Config{Account: wecom.Account{URL: server.URL, Corp: wecomCorp, Secret: "s3cret"}, Agent: wecomAgent}
}

// Eight workers, each with a pool and channels of its own, share one token and one count of
// what each person got: the platform's own record shows it.
func TestWorkersShareAnAccount(t *testing.T) {
	dsn := devtest.Database(t)
	if _, err := store.Migrate(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	p, cfg := wecomPlatform(t, "lin", "mei")
	const workers, each = 8, 12
	lines := make([]*app.Channel, workers)
	for i := range lines {
		s, err := store.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		own, shared := cfg, &worker.Accounts{Store: s}
		own.Account.Tokens, own.Limiter, own.Account.Timeout = shared, shared, 30*time.Second
		if lines[i], err = app.New(own); err != nil {
			t.Fatal(err)
		}
	}
	all := func(round, person string) (sent, held int) {
		var (
			group sync.WaitGroup
			mu    sync.Mutex
		)
		for i, line := range lines {
			for n := range each {
				group.Go(func() {
					text := fmt.Sprintf("%s %d %d", round, i, n)
					_, err := line.Deliver(context.WithoutCancel(t.Context()), channels.Message{
						Key: text, Member: person, Body: text, To: campaign.Identity{Kind: campaign.IdentityWecomUser, Account: wecomCorp, Address: person},
					})
					mu.Lock()
					defer mu.Unlock()
					switch f := channels.AsFailure(err); {
					case f == nil:
						sent++
					case f.Error() == "retry: member_limit":
						held++
					default:
						t.Errorf("%s: %v", text, f)
					}
				})
			}
		}
		group.Wait()
		return sent, held
	}
	sent, held := all("first", "lin")
	if r := p.Record(); r.TokensAsked != 1 || r.Dropped != 0 || sent > app.PerMinute || sent+held != workers*each || len(p.Received("lin")) != sent {
		t.Errorf("%d sent, %d held back, %d received, %+v", sent, held, len(p.Received("lin")), r)
	}
	if sent == 0 {
		t.Error("nothing was sent")
	}
	p.Revoke() // all find out at once
	sent, _ = all("second", "mei")
	if r := p.Record(); r.TokensAsked != 2 || r.Dropped != 0 || len(p.Received("mei")) != sent || sent == 0 {
		t.Errorf("%d sent, %d received, %+v", sent, len(p.Received("mei")), r)
	}
}

const toStaff = `
campaign: staffed
title: to the staff
events:
  order.paid: {order: string, offer: string, amount: money}
messages:
  news: {text: "by the webhook", wecom: "{{ member.id }}：新订单"}
journeys:
  way:
    start: {on: order.paid}
    goal: {on: order.paid, when: "false"}
    steps:
      - send: news
        via: [wecom/app, webhook]
      - end: through
`

// A message reaches a member of the staff once, though the platform loses an answer and
// takes the token away; who is no staff gets it by the next channel.
func TestWecomApp(t *testing.T) { overDrives(t, testWecomApp) }

func testWecomApp(t *testing.T, f *fleet) {
	p, cfg := wecomPlatform(t, "LinLan")
	shared := &worker.Accounts{Store: f.store}
	cfg.Account.Tokens, cfg.Limiter = shared, shared
	var err error
	if f.channels, _, err = all.Build(all.Config{
		Webhook: webhook.Config{URL: f.hook, Secret: hookSecret, AllowPrivate: true}, WecomApp: cfg,
	}); err != nil {
		t.Fatal(err)
	}
	members := []string{"m-gone", "m-none", "m-staff"}
	puts := make([]store.MemberPut, len(members))
	for i, m := range members {
		puts[i] = store.MemberPut{ID: m}
	}
	if _, err := f.store.PutMembers(f.ctx, puts); err != nil {
		t.Fatal(err)
	}
	if err := f.store.PutIdentities(f.ctx,
		store.IdentityPut{Member: "m-staff", Kind: campaign.IdentityWecomUser, Account: wecomCorp, Address: "LinLan"},
		store.IdentityPut{Member: "m-gone", Kind: campaign.IdentityWecomUser, Account: wecomCorp, Address: "ZhaoLiu"},
	); err != nil {
		t.Fatal(err)
	}
	f.submit(toStaff, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	for i, m := range members {
		if m == "m-staff" {
			p.Revoke()
			p.Next(fakeplatform.LoseAnswer, fakeplatform.Busy)
		}
		f.events(paid("o-"+m, m, "x", "1.00", time.Now()))
		f.until(m+" is through and her message settled", func() bool {
			return f.count(`select count(*) from journeys where outcome = 'through'`) == i+1 &&
				f.count(`select count(*) from effects where kind = 'send' and settled_at is null`) == 0
		})
	}
	want := "m-gone webhook sent, m-none webhook sent, m-staff wecom/app sent"
	if got := f.text(`select string_agg(member || ' ' || channel || ' ' || state, ', ' order by member) from messages`); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	got := p.Received("")
	if len(got) != 1 || got[0].Person != "LinLan" || got[0].Text != "m-staff：新订单" || p.Record().Repeated != 1 {
		t.Errorf("received %+v, %+v", got, p.Record())
	}
	if got := f.text(`select string_agg(member || ' ' || state, ', ' order by member) from identities`); got != "m-gone unreachable, m-staff reachable" {
		t.Errorf("identities: %s", got)
	}
	f.nowhereInTemporal("wecom/app", "LinLan", "ZhaoLiu", "accesstoken")
}
