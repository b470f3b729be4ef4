package e2e

import (
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
)

// A pause may come between the last turn of a journey and its message: the message is
// held, and sent when the campaign goes on, although the journey itself is over.
func TestAMessageHeldBehindTheEndOfItsJourney(t *testing.T) {
	overDrives(t, testAMessageHeldBehindTheEndOfItsJourney)
}

func testAMessageHeldBehindTheEndOfItsJourney(t *testing.T, f *fleet) {
	f.submit(hello, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	f.receiver.Next(webhooktest.FaultFail, webhooktest.FaultFail, webhooktest.FaultFail)
	f.events(paid("e-1", "m-1", "trial", "9.90", time.Now()))
	f.until("the message was tried", func() bool { return f.receiver.Stats().Requests >= 1 })
	if err := f.store.Pause(f.ctx, "hello"); err != nil {
		t.Fatal(err)
	}
	if n := f.count(`select count(*) from journeys where status = 'done'`); n != 1 {
		t.Fatalf("%d journeys are over, want 1", n)
	}
	workflow := f.driver("m-1")
	completed := func() int { return f.history(workflow)[enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED.String()] }
	want := 1
	if f.sliced() {
		want = completed() + 1
	}
	f.until("the next try has found the campaign paused", func() bool { return completed() >= want })
	if err := f.store.Resume(f.ctx, "hello"); err != nil {
		t.Fatal(err)
	}
	f.until("the message is out", func() bool { return f.count(`select count(*) from messages where state = 'sent'`) == 1 })
	f.allDone()
}

const threeMessages = `
campaign: three
title: 三条消息
events:
  order.paid: {order: string, offer: string, amount: money}
messages: {one: "一", two: "二", three: "三"}
journeys:
  way:
    start: {on: order.paid}
    goal: {on: order.paid, when: "false"}
    steps:
      - send: one
      - send: two
      - send: three
`

// The messages of a journey arrive in the order in which they were decided, also when
// the first of them is turned away at first.
func TestMessagesOfAJourneyKeepTheirOrder(t *testing.T) {
	overDrives(t, testMessagesOfAJourneyKeepTheirOrder)
}

func testMessagesOfAJourneyKeepTheirOrder(t *testing.T, f *fleet) {
	f.submit(threeMessages, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	f.receiver.Next(webhooktest.FaultFail, webhooktest.FaultThrottle)
	f.events(paid("e-1", "m-1", "x", "1.00", time.Now()), paid("e-2", "m-2", "x", "1.00", time.Now()))
	f.until("all are sent", func() bool { return f.count(`select count(*) from messages where state = 'sent'`) == 6 })
	for _, member := range []string{"m-1", "m-2"} {
		if got := f.text(`select string_agg(name, ' ' order by sent_at) from messages where member = $1`, member); got != "one two three" {
			t.Errorf("%s received %s", member, got)
		}
	}
}

// One of a slice's messages waits for the one before it until that is settled, also as
// unknown.
func TestOneMessageOfASliceAfterTheOther(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.drive = campaign.DriveSlices
	f.submit(threeMessages, 1, time.Time{})
	f.runRouter()
	f.events(paid("e-1", "m-1", "x", "1.00", time.Now()))
	f.until("she has entered", func() bool { return f.count(`select count(*) from journeys`) == 1 })
	slice := f.count(`select slice from journeys`)
	if _, err := f.router.Taker.AdvanceSlice(f.ctx, campaign.SliceInput{Slice: slice}, func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name  string
		state campaign.SendOutcome
	}{{"one", campaign.SendUnknown}, {"two", campaign.SendSent}, {"three", campaign.SendSent}} {
		list, err := f.store.OutgoingInSlice(f.ctx, slice, "webhook", 10)
		if err != nil || len(list) != 1 || list[0].Name != step.name {
			t.Fatalf("%+v %v, want %s alone", list, err, step.name)
		}
		if next, err := f.store.NextInSlice(f.ctx, slice); err != nil || len(next) != 1 || next["webhook"] != 0 {
			t.Errorf("%v %v, want one to be sent now", next, err)
		}
		if err := f.store.Record(f.ctx, campaign.Attempt{Of: &list[0], Channel: "webhook", State: step.state}); err != nil {
			t.Fatal(err)
		}
	}
	if next, err := f.store.NextInSlice(f.ctx, slice); err != nil || len(next) != 0 {
		t.Errorf("%v %v, want nothing left", next, err)
	}
}
