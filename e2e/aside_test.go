package e2e

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/doctor"
	"github.com/banyanhq/banyan/store"
)

// An event whose member cannot be read is put aside with its reason. It holds up nobody, is
// not lost, stands in the gauges and in what the doctor says, and goes its way when the member
// has been mended.
func TestAnIntentThatCannotBeReadHoldsUpNobody(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.router.Log = slog.New(slog.DiscardHandler) // it complains, rightly
	f.submit(hello, 1, time.Time{})
	now := time.Now()
	f.events(paid("e-1", "poison", "trial", "9.90", now), paid("e-2", "m-1", "trial", "9.90", now), paid("e-3", "m-2", "trial", "9.90", now))
	f.exec(`update members set attributes = '[1]' where id = 'poison'`)
	f.runRouter()
	f.runWorker()
	f.until("the others are sent their messages", func() bool { return f.count(`select count(*) from messages where state = 'sent'`) == 2 })
	f.until("the event is put aside", func() bool { return f.count(`select count(*) from intents where tries = 1 and reason <> ''`) == 1 })
	// What comes now does not wait either.
	f.events(paid("e-4", "m-3", "trial", "9.90", now))
	f.until("another is sent her message", func() bool { return f.count(`select count(*) from messages where state = 'sent'`) == 3 })
	f.until("nothing else waits", func() bool { return f.count(`select count(*) from intents`) == 1 })

	sample, err := f.store.Sample(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(sample.Intents) != 1 || sample.Intents[0].Kind != store.IntentEvent || sample.Intents[0].Aside != 1 || sample.Intents[0].Waiting != 0 || sample.Intents[0].Oldest != 0 {
		t.Errorf("the gauges say %+v", sample.Intents)
	}
	f.exec(`update intents set created_at = created_at - interval '1 day'`)
	findings := f.doctor(nil)
	x := findings[doctor.CheckAside]
	if x.OK || len(x.Items) != 1 || !findings["router"].OK {
		t.Fatalf("the doctor says %+v, and of the router %+v", x, findings["router"])
	}
	for _, word := range []string{"(event)", "member poison", "event e-1", "at try 1:", "attributes"} {
		if !strings.Contains(x.Items[0].What, word) {
			t.Errorf("%q is not in what the doctor says: %s", word, x.Items[0].What)
		}
	}

	// Each try waits longer, up to eight minutes.
	for i, want := range []int{2, 4, 8, 8} {
		f.exec(`update intents set due_at = now()`)
		f.until("it is tried again", func() bool { return f.count(`select count(*) from intents where tries = $1`, i+2) == 1 })
		if got := f.count(`select round(extract(epoch from due_at - clock_timestamp()) / 60)::int from intents`); got != want {
			t.Errorf("after try %d it waits for %d minutes, want %d", i+2, got, want)
		}
	}

	f.exec(`update members set attributes = '{}' where id = 'poison'`)
	f.mends(doctor.CheckAside, 1)
	f.until("she is sent her message", func() bool { return f.count(`select count(*) from messages where state = 'sent'`) == 4 })
	f.allDone()
	f.healthy()
}
