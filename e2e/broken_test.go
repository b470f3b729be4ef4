package e2e

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A campaign that this build cannot load holds up nobody else, and loses nothing: when
// it can be loaded again, what happened meanwhile is routed to it, once.
func TestBrokenCampaignHoldsUpNobody(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.router.Log = slog.New(slog.DiscardHandler) // it complains, rightly
	f.submit(hello, 1, time.Time{})
	f.submit(strings.NewReplacer("campaign: hello", "campaign: newer", "goal:", "entry: every_time\n    goal:").Replace(hello), 1, time.Time{})
	change := func(sql string) {
		t.Helper()
		if _, err := f.pool.Exec(f.ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	change(`create table kept as select * from campaign_versions where campaign = 'newer'`)
	change(`update campaign_versions set definition = jsonb_set(definition, '{journeys,0,steps,0,kind}', '"dance"') where campaign = 'newer'`)
	f.runRouter()
	f.runWorker()
	f.events(paid("e-1", "m-1", "trial", "9.90", time.Now()))
	f.until("the other campaign has sent", func() bool { return len(f.receiver.Delivered()) == 1 })
	if n := f.count(`select count(*) from intents where kind = 'event'`); n != 1 {
		t.Fatalf("%d events are kept for the broken campaign, want 1", n)
	}
	change(`update campaign_versions v set definition = kept.definition from kept where v.campaign = kept.campaign and v.version = kept.version`)
	change(`update intents set due_at = now()`)
	f.until("both have sent", func() bool { return len(f.receiver.Delivered()) == 2 })
	f.allDone()
	if n := f.count(`select count(*) from journeys`); n != 2 {
		t.Errorf("%d journeys, want one of each campaign", n)
	}
}
