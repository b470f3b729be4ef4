package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/all"
	"github.com/banyanhq/banyan/channels/mail"
	"github.com/banyanhq/banyan/channels/mail/mailtest"
	"github.com/banyanhq/banyan/channels/webhook"
	"github.com/banyanhq/banyan/optout"
	"github.com/banyanhq/banyan/store"
)

const byMail = `
campaign: mailed
title: by mail, else by the webhook
events:
  order.paid: {order: string, offer: string, amount: money}
messages:
  offer: {text: "by the webhook", mail: {subject: "For {{ member.id }}", text: "by mail"}}
  receipt: {kind: service, text: "paid", mail: {subject: Receipt}}
journeys:
  way:
    start: {on: order.paid}
    goal: {on: order.paid, when: "false"}
    steps:
      - send: offer
        via: [mail, webhook]
      - send: receipt
        via: mail
      - end: through
`

// Mail goes to the addresses of those who have one. Who has none, has opted out, or whose
// mailbox is gone is passed over with the reason; a lost answer is not repeated. Addresses
// stand nowhere but in their table, sealed.
func TestMail(t *testing.T) { overDrives(t, testMail) }

func testMail(t *testing.T, f *fleet) {
	settings, roots, err := mailtest.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	server := &mailtest.Server{TLS: settings, User: "hello", Password: "p4ss"}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	links, err := optout.New("https://banyan.example.com", "a secret of more than sixteen bytes")
	if err != nil {
		t.Fatal(err)
	}
	if f.channels, _, err = all.Build(all.Config{
		Webhook: webhook.Config{URL: f.hook, Secret: hookSecret, AllowPrivate: true},
		Mail: mail.Config{
			URL: "smtp://hello@" + server.Address(), Password: "p4ss", From: "hello@shop.example.com", Links: links, Roots: roots,
		},
	}); err != nil {
		t.Fatal(err)
	}
	keys, err := store.ParseAddressKeys(strings.Repeat("0123456789abcdef", 4))
	if err != nil {
		t.Fatal(err)
	}
	store.WithAddressKeys(f.store, keys)
	members := []string{"m-gone", "m-has", "m-lost", "m-no", "m-none"}
	puts := make([]store.MemberPut, len(members))
	for i, m := range members {
		puts[i] = store.MemberPut{ID: m}
	}
	if _, err := f.store.PutMembers(f.ctx, puts); err != nil {
		t.Fatal(err)
	}
	told := []store.IdentityPut{{Member: "m-no", Kind: campaign.IdentityMail, Address: "no@example.com", State: campaign.IdentityOptedOut}}
	for _, m := range []string{"has", "gone", "lost"} {
		told = append(told, store.IdentityPut{Member: "m-" + m, Kind: campaign.IdentityMail, Address: m + "@example.com"})
	}
	if err := f.store.PutIdentities(f.ctx, told...); err != nil {
		t.Fatal(err)
	}

	f.submit(byMail, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	through := 0
	walk := func(member string, faults ...mailtest.Fault) {
		t.Helper()
		server.Next(faults...)
		f.events(paid("o-"+member, member, "x", "1.00", time.Now()))
		through++
		f.until(member+" is through", func() bool { return f.count(`select count(*) from journeys where outcome = 'through'`) == through })
		f.until("all her messages are settled", func() bool {
			return f.count(`select count(*) from effects where kind = 'send' and settled_at is null`) == 0
		})
	}
	walk("m-has")
	walk("m-none")
	walk("m-no")
	walk("m-gone", mailtest.NoSuchMailbox)
	walk("m-lost", mailtest.DropAnswer)

	want := strings.Join([]string{
		"m-gone offer webhook sent ", "m-gone receipt mail refused unreachable",
		"m-has offer mail sent ", "m-has receipt mail sent ",
		"m-lost offer mail unknown outcome_unknown", "m-lost receipt mail sent ",
		"m-no offer webhook sent ", "m-no receipt mail sent ",
		"m-none offer webhook sent ", "m-none receipt mail refused no_address",
	}, ", ")
	if got := f.text(`select string_agg(member || ' ' || name || ' ' || channel || ' ' || state || ' ' ||
		case when state = 'sent' then '' else reason end, ', ' order by member, name) from messages`); got != want {
		t.Errorf("messages:\n%s\nwant\n%s", got, want)
	}
	over := "m-gone mail unreachable webhook, m-no mail opted_out webhook, m-none mail no_address webhook"
	if got := f.text(`select string_agg(j.member || ' ' || concat_ws(' ', params ->> 'channel', params ->> 'reason', params ->> 'next'), ', ' order by j.member)
		from trace t join journeys j on j.id = t.journey where kind = 'passed_over'`); got != over {
		t.Errorf("passed over: %s, want %s", got, over)
	}
	mails := map[string]int{}
	for _, m := range server.Mails("") {
		mails[m.To+" "+m.Subject]++
	}
	if len(mails) != 5 || mails["has@example.com For m-has"] != 1 || mails["lost@example.com For m-lost"] != 1 || mails["no@example.com Receipt"] != 1 {
		t.Errorf("the server took %v", mails)
	}
	if got := f.text(`select string_agg(member || ' ' || state, ', ' order by member) from identities`); got != "m-gone unreachable, m-has reachable, m-lost reachable, m-no opted_out" {
		t.Errorf("identities: %s", got)
	}
	f.nowhereInTemporal("mail", "has@example.com", "lost@example.com", "no@example.com")
	if n := f.count(`select count(*) from identities where position('example.com'::bytea in address) > 0`); n != 0 {
		t.Errorf("%d addresses are kept as they are", n)
	}
}
