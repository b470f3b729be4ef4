package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

const greeting = `
campaign: greeting
title: 问候
events:
  order.paid: {order: string, offer: string, amount: money}
messages:
  hello: "你好"
  bye: "再见"
journeys:
  way:
    start: {on: order.paid, when: event.offer == "trial"}
    steps:
      - send: hello
      - wait: 30d
      - send: bye
`

// route lets in whom the stored events let in, and leaves what is for Temporal.
func (f *fleet) route(taker *turn.Taker) {
	f.t.Helper()
	if _, err := f.store.Route(f.ctx, 100, func(tx *store.RouteTx) error {
		return taker.Route(f.ctx, tx, func(broken *turn.BrokenError) { f.t.Error(broken) })
	}); err != nil {
		f.t.Fatal(err)
	}
}

// work works off what there is of migrations.
func (f *fleet) work(taker *turn.Taker) {
	f.t.Helper()
	for n := 1; n > 0; {
		var err error
		if n, err = taker.Migrate(f.ctx); err != nil {
			f.t.Fatal(err)
		}
	}
}

// A migration may come to a member before her workflow has been started: her first turn
// is taken by it, and what that decided is sent when the workflow begins.
func TestMigrationBeforeTheFirstTurn(t *testing.T) { overDrives(t, testMigrationBeforeTheFirstTurn) }

func testMigrationBeforeTheFirstTurn(t *testing.T, f *fleet) {
	f.submit(greeting, 1, time.Time{})
	taker := &turn.Taker{Store: f.store, Programs: f.programs, Via: []string{"webhook"}}
	f.events(paid("in", "m-1", "trial", "9.90", f.now("greeting")))
	f.route(taker)
	f.version(greeting + "# another\n")
	m := f.decide("greeting", campaign.MigrationRule{Do: campaign.MigrationMove})
	f.work(taker)
	// She stood before the first step, so she was come to, and by then she waited.
	if m, err := f.store.Migration(f.ctx, "greeting", m.ID); err != nil || m.State != store.MigrationDone || m.Moved != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	if n := f.count(`select count(*) from messages where state = 'claimed' and version = 1`); n != 1 {
		t.Fatalf("%d messages were decided by her first turn, want 1", n)
	}
	f.runRouter()
	f.runWorker()
	f.until("her message is out", func() bool { return f.count(`select count(*) from messages where state = 'sent'`) == 1 })
	f.until("nothing is on its way", func() bool { return f.count(`select count(*) from intents`) == 0 })
	for _, r := range f.receiver.Delivered() {
		if r.Body != "你好" || r.Times != 1 {
			t.Errorf("%+v", r)
		}
	}
	if got := f.text(`select version || ' ' || step_name || ' ' || turn from journeys`); got != "2 wait 30d 1" {
		t.Errorf("she is at %s", got)
	}
}

// One whose turn cannot be taken stays on her version, with the reason, and holds up
// nobody else.
func TestMigrationOfABrokenJourney(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.submit(greeting, 1, time.Time{})
	taker := &turn.Taker{Store: f.store, Programs: f.programs, Via: []string{"webhook"}}
	for i := range 5 {
		f.events(paid(fmt.Sprint("in-", i), member(i), "trial", "9.90", f.now("greeting")))
	}
	f.route(taker)
	for row := int64(1); row <= 5; row++ {
		if _, err := taker.Advance(f.ctx, row, 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.pool.Exec(f.ctx, `update journeys set state = jsonb_set(state, '{step}', '"99"') where id in (2, 5)`); err != nil {
		t.Fatal(err)
	}
	f.version(greeting + "# another\n")
	m := f.decide("greeting", campaign.MigrationRule{Do: campaign.MigrationMove})
	f.work(taker)
	m, err := f.store.Migration(f.ctx, "greeting", m.ID)
	if err != nil || m.State != store.MigrationDone || m.Moved != 3 || m.Failed != 2 || m.KeptWhy[campaign.KeptFailed] != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	if got := f.text(`select string_agg(id::text, ' ' order by id) from journeys where version = 1`); got != "2 5" {
		t.Errorf("journeys %s are on the first version", got)
	}
	// Stopped in the middle, one leaves the rest where it is.
	again := f.decide("greeting", campaign.MigrationRule{Do: campaign.MigrationMove})
	if err := f.store.StopMigration(f.ctx, "greeting", again.ID); err != nil {
		t.Fatal(err)
	}
	f.work(taker)
	if m, err := f.store.Migration(f.ctx, "greeting", again.ID); err != nil || m.State != store.MigrationStopped || m.Moved+m.Failed+m.Kept != 0 {
		t.Errorf("%+v, %v", m, err)
	}
}
