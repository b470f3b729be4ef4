package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
	"github.com/banyanhq/banyan/devstack"
	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

// The trial funnel, without what lawfully depends on real time: quiet hours, caps, past
// behaviour, and messages about a lock, which are of no use after its end and so are
// rightly dropped by an outage that lasts longer.
const (
	funnel = `
campaign: funnel
title: 体验课 → 月卡 → 装备
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string}
  lesson.attended: {lesson: string}
offers:
  monthly-card: {title: 月卡, price: 199, list_price: 299, lock: 20d, grace: 20h, per_member: 1, stock: 10000}
  day-card: {title: 次卡, price: 19, list_price: 29, lock: 20h, grace: 20h, stock: 10000}
  gear: {title: 装备, price: 380, list_price: 520, stock: 10000}
rewards:
  first-card: {points: 100, budget: 1000000, per_member: 1}
  gear-buyer: {points: 50, budget: 1000000}
messages:
  welcome: "欢迎，{{ start.order }}"
  nudge: "体验课还没用呢"
  card-receipt: {kind: service, text: "月卡开好了，{{ event.order }}"}
  comeback: "下次再来"
  gear-offer: "装备团购 {{ yuan(offer.price) }}"
  gear-receipt: {kind: service, text: "装备在路上"}
journeys:
  trial-to-card:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "monthly-card"}
    on_goal: continue
    exit: {on: order.refunded, when: event.order == start.order}
    steps:
      - send: welcome
      - await: lesson.attended
        for: 40h
        grace: 10h
        otherwise:
          - send: nudge
          - end: no-show
      - choose:
          - when: event.lesson == "yoga"
            steps:
              - offer: day-card
                taken:
                  - end: day-card
                lapsed:
                  - tag: price-sensitive
                  - send: comeback
                  - end: lapsed
      - offer: monthly-card
        taken:
          - grant: first-card
          - send: card-receipt
          - tag: card
        lapsed:
          - end: lapsed
      - offer: gear
        announce: gear-offer
      - await: order.paid
        when: event.offer == "gear"
        for: 25h
        grace: 10h
        otherwise:
          - end: card-only
      - grant: gear-buyer
      - send: gear-receipt
      - end: champion
`
	funnelFactor = 3600 // an hour is a second
	funnelKey    = "byn_the-admin-key-of-the-kill-test"
	// funnelLimit bounds each phase. It is no measure of speed.
	funnelLimit = 4 * time.Minute
)

// installation is Banyan as processes: an API server with the router, a worker, and a
// receiver of messages that misbehaves.
type installation struct {
	*fleet
	stack    *devstack.Stack
	api      *api
	serve    *program
	worker   *program
	receiver *webhooktest.Receiver
	journal  string
}

func install(t *testing.T) *installation {
	t.Helper()
	path := banyan(t)
	stack := devtest.Stack(t)
	ctx := t.Context()
	if _, err := store.Migrate(ctx, stack.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(ctx, stack.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	pool, err := pgxpool.New(ctx, stack.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	in := &installation{
		stack: stack, journal: filepath.Join(t.TempDir(), "journal"),
		fleet: &fleet{t: t, ctx: ctx, dsn: stack.DatabaseURL, store: s, pool: pool, programs: turn.NewCache(), log: slog.New(slog.DiscardHandler)},
	}
	in.receiver, err = webhooktest.NewReceiver(webhooktest.Options{
		Secret: hookSecret, Journal: in.journal,
		Plan: webhooktest.Plan{Seed: 2026, Faults: 2, Shares: []webhooktest.Share{
			{Fault: webhooktest.FaultDrop, Of: 0.08}, {Fault: webhooktest.FaultFail, Of: 0.05}, {Fault: webhooktest.FaultThrottle, Of: 0.05},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	hook := httptest.NewServer(in.receiver)
	t.Cleanup(hook.Close)
	address := freeAddress(t)
	env := append(stack.Env(), "TEMPORAL_NAMESPACE=default", "BANYAN_CHANNEL=webhook", "BANYAN_WEBHOOK_URL="+hook.URL,
		"BANYAN_WEBHOOK_SECRET="+hookSecret, "BANYAN_WEBHOOK_ALLOW_PRIVATE=true")
	in.worker = newProgram(t, path, append(env, "BANYAN_LISTEN="), "worker")
	in.serve = newProgram(t, path, append(env, "BANYAN_LISTEN="+address, "BANYAN_ADMIN_KEY="+funnelKey, "BANYAN_DEMO_CLOCK=allow"), "serve")
	in.api = &api{url: "http://" + address, key: funnelKey, client: &http.Client{Timeout: 30 * time.Second}}
	in.serve.start()
	in.worker.start()
	in.api.ready(t)
	return in
}

// The worker, then the API, then Temporal are killed while journeys run. Nothing is
// lost and nothing is done twice.
func TestKills(t *testing.T) {
	size := 300
	if testing.Short() {
		size = 60
	}
	// One after the other: each has a Temporal and a PostgreSQL of its own.
	list := drives
	if testing.Short() {
		list = drives[1:] // the short chaos run kills what turns single members
	}
	for _, drive := range list {
		t.Run(string(drive), func(t *testing.T) { testKills(t, drive, size) })
	}
}

func testKills(t *testing.T, drive campaign.Drive, size int) {
	in := install(t)
	in.drive = drive
	in.begin()
	judge := newJudge(t, in.store, in.pool, in.programs, "funnel")
	people := &crowd{j: judge, api: in.api, size: size, told: map[string]bool{}}
	in.live(people)
	in.settled(size)
	in.messages()
	in.books()
	outcomes := map[string]int{}
	for i := range size {
		outcomes[judge.compare(member(i), "after the kills")]++
	}
	t.Logf("%d members: %s", size, logged(outcomes))
	if outcomes["champion"]+outcomes["card-only"] == 0 || outcomes["lapsed"] == 0 || outcomes["no-show"] == 0 || outcomes["exited"] == 0 {
		t.Error("not everything happened, so not everything was proved")
	}
}

// begin submits and starts the campaign over the API.
func (in *installation) begin() {
	in.t.Helper()
	if err := in.api.call(in.ctx, http.MethodPost, "/v1/campaigns", []byte(driven(funnel, in.drive)), "application/yaml", nil); err != nil {
		in.t.Fatal(err)
	}
	body, err := json.Marshal(starter.StartRequest{DemoClock: &starter.ClockRequest{Factor: funnelFactor}})
	if err != nil {
		in.t.Fatal(err)
	}
	if err := in.api.call(in.ctx, http.MethodPost, "/v1/campaigns/funnel/start", body, "application/json", nil); err != nil {
		in.t.Fatal(err)
	}
}

// live lets the crowd act and kills one part after the other. Each time a part of the
// crowd begins while something is dead, so that there is work that must not be lost.
func (in *installation) live(people *crowd) {
	t := in.t
	t.Helper()
	ctx, stop := context.WithCancel(in.ctx)
	people.batches = make(chan []campaign.Event)
	over := make(chan error, 1)
	go func() {
		defer close(over)
		over <- people.run(ctx)
	}()
	defer func() {
		stop()
		for range over {
		}
	}()
	release := func(percent int) int {
		n := people.size * percent / 100
		people.released.Store(int64(n))
		return n
	}
	trials := func(n int) func() bool {
		return func() bool { return in.count(`select count(*) from events where id like '%-trial'`) >= n }
	}
	accepted := func(n int) func() bool { return func() bool { return in.receiver.Stats().Accepted >= n } }

	begin := time.Now()
	note := func(what string) { t.Logf("%5.1f s  %s  %s", time.Since(begin).Seconds(), what, in.numbers()) }
	n := release(40)
	in.within(funnelLimit, "some messages are out and turns are under way", accepted(n/4))
	in.worker.kill()
	note("the worker is killed")
	n = release(60)
	in.within(funnelLimit, "others have begun without a worker", trials(n))
	in.worker.start()
	note("the worker is back")

	n = release(85)
	part := trials(people.size * 65 / 100)
	in.within(funnelLimit, "a part of the next has been told and more is on its way", func() bool { return people.flying.Load() > 0 && part() })
	in.serve.kill()
	note("the API is killed")
	failures := people.failures.Load()
	in.within(funnelLimit, "a request has failed", func() bool { return people.failures.Load() > failures })
	in.serve.start()
	in.within(funnelLimit, "all that was to be told is", trials(n))
	note("the API is back")

	in.within(funnelLimit, "most of them are welcomed", func() bool {
		return in.count(`select count(*) from messages where name = 'welcome' and state = 'sent'`) >= people.size*55/100
	})
	if err := in.stack.KillTemporal(); err != nil {
		t.Fatal(err)
	}
	note("Temporal is killed")
	n = release(100)
	in.within(funnelLimit, "the last have begun without Temporal", trials(n))
	in.within(funnelLimit, "their starts wait for it", func() bool { return in.count(`select count(*) from intents where kind in ('start', 'slice')`) > 0 })
	if err := in.stack.StartTemporal(in.ctx); err != nil {
		t.Fatal(err)
	}
	note("Temporal is back")

	select {
	case err := <-over:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(funnelLimit):
		t.Fatalf("the crowd has not come to an end\n%s", in.state())
	}
	note("everybody has done everything")
	in.within(funnelLimit, "everything has settled", func() bool {
		return in.count(`select count(*) from journeys where status = 'active' or due_at is not null`)+in.count(`select count(*) from intents`)+
			in.count(`select count(*) from messages where state in ('claimed', 'unknown')`) == 0
	})
	note("everything has settled")
}

func (in *installation) numbers() string {
	return fmt.Sprintf("%d journeys under way, %d events, %d intents, %d messages, %d of them open", in.count(`select count(*) from journeys where status = 'active'`),
		in.count(`select count(*) from events`), in.count(`select count(*) from intents`), in.count(`select count(*) from messages`),
		in.count(`select count(*) from messages where state in ('claimed', 'unknown')`))
}

// settled checks that everybody is through, in PostgreSQL and in Temporal.
func (in *installation) settled(size int) {
	in.t.Helper()
	if n := in.count(`select count(*) from journeys where status = 'done'`); n != size {
		in.t.Errorf("%d journeys are done, want %d", n, size)
	}
	if in.sliced() {
		return // a slice's workflow lives as long as its campaign
	}
	c := devtest.Client(in.t, in.stack.TemporalAddress, "default")
	workflows := func(query string) int {
		n, err := c.CountWorkflow(in.ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: "default", Query: "WorkflowType = 'Journey' and " + query})
		if err != nil {
			in.t.Fatal(err)
		}
		return int(n.GetCount())
	}
	// Visibility follows the histories a moment later.
	in.until("every workflow has completed", func() bool { return workflows("ExecutionStatus = 'Completed'") == size })
	if n := workflows("ExecutionStatus != 'Completed'"); n != 0 {
		in.t.Errorf("%d workflows have not completed", n)
	}
}

// claim is a message as PostgreSQL holds it.
type claim struct{ Key, State, Member, Name, Body string }

// messages compares what was claimed with what the receiver and its journal have.
func (in *installation) messages() {
	t := in.t
	t.Helper()
	delivered := in.receiver.Delivered()
	claimed := 0
	for _, m := range rows(&judge{t: t, ctx: in.ctx, pool: in.pool}, `select key, state, member, name, bodies -> 0 ->> 'body' from messages`, pgx.RowToStructByPos[claim]) {
		claimed++
		r, ok := delivered[m.Key]
		if !ok || m.State != "sent" || r.Member != m.Member || r.Message != m.Name || r.Body != m.Body {
			t.Errorf("message %s of %s is %s; the receiver has it: %v, as %q instead of %q", m.Key, m.Member, m.State, ok, r.Body, m.Body)
		}
	}
	stats := in.receiver.Stats()
	if stats.Accepted != claimed || len(delivered) != claimed {
		t.Errorf("%d messages were claimed, %d accepted, %d are on record", claimed, stats.Accepted, len(delivered))
	}
	if stats.Conflicts+stats.Unsigned+stats.Malformed != 0 {
		t.Errorf("the receiver complains: %+v", stats)
	}
	// A member gets each message of her journey once, under whatever key.
	if n := in.count(`select count(*) from (select 1 from messages group by journey, name having count(*) > 1) d`); n != 0 {
		t.Errorf("%d messages were claimed twice under different keys", n)
	}
	again, err := webhooktest.NewReceiver(webhooktest.Options{Journal: in.journal})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(again.Delivered(), delivered, func(a, b webhooktest.Record) bool { return a.Digest == b.Digest && a.Times == b.Times }) {
		t.Error("the receiver's journal says something else")
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("%d messages: %d requests, %d repeated with the same key, %d turned away", claimed, stats.Requests, stats.Repeated, stats.NotTaken)
}

// books recomputes every balance.
func (in *installation) books() {
	t := in.t
	t.Helper()
	findings, err := in.store.Examine(in.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if !f.OK {
			t.Errorf("%s: %s", f.Check, f.Detail)
		}
	}
	for _, sql := range []string{
		`select coalesce(sum(amount), 0)::int from ledger_entries`,
		`select count(*) from (select posting from ledger_entries group by posting having sum(amount) <> 0) d`,
		`select count(*) from members m where points <> coalesce((select sum(e.amount) from ledger_entries e join ledger_accounts a on a.id = e.account where a.kind = 'member' and a.owner = m.id), 0)`,
		`select count(*) from ledger_accounts a where kind <> 'issuer' and balance <> coalesce((select sum(amount) from ledger_entries where account = a.id), 0)`,
		`select count(*) from members m where points <> coalesce((select sum(points) from grants where member = m.id and state = 'granted'), 0)`,
		`select count(*) from budget_balances b where used <> (select coalesce(sum(points), 0) from grants g where g.reward = b.reward and g.state = 'granted')`,
		`select count(*) from offer_stock s where taken <> (select count(*) from offers o where o.offer = s.offer and o.state = 'taken')`,
		`select count(*) from effects where state in ('claimed', 'unknown')`,
		`select count(*) from journeys j where slice is null and turn <> (select count(*) from turns where journey = j.id)`,
	} {
		if n := in.count(sql); n != 0 {
			t.Errorf("%s: %d, want 0", sql, n)
		}
	}
	if in.count(`select count(*) from grants where state = 'granted'`) == 0 {
		t.Error("nothing was granted, so nothing was proved")
	}
}
