package e2e

import (
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"

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
