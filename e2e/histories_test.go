package e2e

import (
	"bytes"
	"compress/gzip"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

var record = flag.Bool("record", false, "write the histories of TestHistories into workflows/testdata/histories")

// release names the recorded histories: what is in flight out there was started by it.
const release = "v0.1"

// TestHistories walks every way through the turn loop on a real server: the model
// campaign taken, lapsed, not shown up for and refunded; a message held by a pause; a
// run that continues as new. It asserts what each costs, and with -record keeps the
// histories that the replay tests run over for ever.
func TestHistories(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute; the kept histories are replayed without it")
	}
	t.Parallel()
	f := newFleet(t)
	from := time.Date(2026, 12, 1, 2, 0, 0, 0, time.UTC) // 10:00 in Shanghai
	name := f.submit(strings.ReplaceAll(read(t, "../definitions/fitness-trial.yaml"),
		`quiet_hours: {from: "22:00", until: "08:00"}        # 夜里不发，早上补发`, ""), 20_000, from)
	f.submit(hello, 1, time.Time{})
	f.submit(continued, 1, time.Time{})
	stopRouter := f.runRouter()
	f.runWorker()

	start := f.now(name)
	for _, m := range []string{"taken", "lapsed", "no-show", "refunded"} {
		f.events(paid("trial-"+m, m, "trial", "9.90", start))
	}
	lesson := start.Add(2 * time.Hour)
	f.untilClock(name, lesson)
	f.events(attended("l-taken", "taken", lesson), attended("l-lapsed", "lapsed", lesson), attended("l-refunded", "refunded", lesson))
	f.until("three offers are open", func() bool {
		return f.count(`select count(*) from offers where offer = 'monthly-card' and state = 'open'`) == 3
	})
	card := f.now(name)
	f.events(paid("card", "taken", "monthly-card", "199.00", card),
		campaign.Event{ID: "refund", Type: "order.refunded", Member: "refunded", Time: card, Properties: []byte(`{"order":"o-trial-refunded"}`)})
	f.until("the gear is offered", func() bool { return f.count(`select count(*) from offers where offer = 'gear'`) == 1 })
	f.events(paid("gear", "taken", "gear", "380.00", f.now(name)))

	f.events(paid("hello", "m-1", "trial", "9.90", time.Now()))
	f.until("the first campaigns are over", func() bool { return f.count(`select count(*) from journeys where status = 'active'`) == 0 })
	stopRouter()

	// A run that continues as new after every second turn, pokes between them.
	r, err := f.router.Enter(f.ctx, "continued", "long", "taken", nil)
	if err != nil || !r.Entered {
		t.Fatalf("%+v %v", r, err)
	}
	if _, err := f.pool.Exec(f.ctx, `delete from intents`); err != nil {
		t.Fatal(err)
	}
	long := store.Delivery{Row: r.ID, Workflow: r.WorkflowID, Version: 1, ID: campaign.JourneyID{Campaign: "continued", Journey: "long", Member: "taken"}}
	if _, err := f.client.ExecuteWorkflow(f.ctx, starter.StartOptions(long), campaign.WorkflowJourney, campaign.TurnInput{Journey: r.ID, Most: 2}); err != nil {
		t.Fatal(err)
	}
	stopRouter = f.runRouter()
	f.allDone()
	stopRouter()

	for workflow, want := range map[string]struct {
		file    string
		outcome string
		most    int // history events
	}{
		"journey/hello/one/m-1/1":                        {"one-message", "completed", 14},
		"journey/fitness-trial/trial-to-card/taken/1":    {"funnel-taken", "champion", 60},
		"journey/fitness-trial/trial-to-card/lapsed/1":   {"funnel-lapsed", "lapsed", 60},
		"journey/fitness-trial/trial-to-card/no-show/1":  {"funnel-no-show", "no-show", 40},
		"journey/fitness-trial/trial-to-card/refunded/1": {"funnel-refunded", "exited", 40},
		"journey/continued/long/taken/1":                 {"continued", "completed", 40},
	} {
		var outcome string
		if err := f.client.GetWorkflow(f.ctx, workflow, "").Get(f.ctx, &outcome); err != nil || outcome != want.outcome {
			t.Errorf("%s ended as %q, %v; want %q", workflow, outcome, err, want.outcome)
		}
		h := f.fetch(workflow, "")
		t.Logf("%-16s %3d history events, %6d bytes", want.file, len(h.Events), size(h))
		if len(h.Events) > want.most {
			t.Errorf("%s took %d history events, want at most %d", workflow, len(h.Events), want.most)
		}
		f.keep(want.file, h)
	}
	first := f.text(`select workflow_id from journeys where journey = 'long'`)
	runs := f.runs(first)
	if len(runs) < 2 {
		t.Errorf("the long journey had %d runs, want several", len(runs))
	}
	for _, run := range runs {
		h := f.fetch(first, run)
		if h.Events[len(h.Events)-1].EventType == enums.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW {
			f.keep("continues-as-new", h)
			break
		}
	}
}

const continued = `
campaign: continued
title: 长跑
messages: {tick: "滴答"}
events: {nothing: {}}
journeys:
  long:
    start: {api: true}
    goal: {on: nothing}
    steps:
      - wait: 1s
      - wait: 1s
      - wait: 1s
      - wait: 1s
      - wait: 1s
      - send: tick
`

func (f *fleet) fetch(workflow, run string) *historypb.History {
	f.t.Helper()
	h := &historypb.History{}
	events := f.client.GetWorkflowHistory(f.ctx, workflow, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			f.t.Fatal(err)
		}
		h.Events = append(h.Events, e)
	}
	return h
}

// runs lists the runs of a workflow, newest first, by following each to the one before.
func (f *fleet) runs(workflow string) (ids []string) {
	f.t.Helper()
	run := f.client.GetWorkflow(f.ctx, workflow, "").GetRunID()
	for run != "" {
		ids = append(ids, run)
		h := f.fetch(workflow, run)
		run = h.Events[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
	}
	return ids
}

func size(h *historypb.History) (n int) {
	for _, e := range h.Events {
		n += proto.Size(e)
	}
	return n
}

// keep writes a history for the replay tests, without the names of machines.
func (f *fleet) keep(name string, h *historypb.History) {
	f.t.Helper()
	if !*record {
		return
	}
	for _, e := range h.Events {
		scrub(e)
	}
	data, err := protojson.Marshal(h)
	if err != nil {
		f.t.Fatal(err)
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(data); err != nil {
		f.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.t.Fatal(err)
	}
	file := filepath.Join("..", "workflows", "testdata", "histories", release+"-"+name+".json.gz")
	if _, err := os.Stat(file); err == nil {
		f.t.Logf("%s is kept as it is", file)
		return
	}
	if err := os.WriteFile(file, zipped.Bytes(), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// untilClock waits until the campaign's clock has passed a moment.
func (f *fleet) untilClock(name string, moment time.Time) {
	f.t.Helper()
	f.until("the campaign's clock shows "+moment.Format(time.RFC3339), func() bool { return !f.now(name).Before(moment) })
}
