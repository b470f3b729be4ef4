package e2e

import (
	"fmt"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

const sliceRun = `
campaign: many
title: 一群人
messages: {hello: "你好", tick: "滴答"}
events: {nothing: {}, order.paid: {order: string, offer: string, amount: money}}
offers:
  card: {title: 月卡, price: 199, lock: 3s, grace: 1s}
journeys:
  crowd:
    start: {api: true}
    goal: {on: nothing}
    steps:
      - send: hello
      - wait: 1s
      - offer: card
        lapsed:
          - send: tick
`

// TestSliceHistories walks a slice's workflow through everything that it can do on a
// real server: waits, pokes, a message that is tried again, runs that continue as new,
// the end of its campaign. With -record the histories are kept for the replay tests.
func TestSliceHistories(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.drive = campaign.DriveSlices
	f.submit(sliceRun, 1, time.Time{})
	f.receiver.Next(webhooktest.FaultFail)
	const members = 40
	for i := range members {
		m := fmt.Sprintf("m-%d", i)
		f.events(campaign.Event{ID: m, Type: "nothing", Member: m, Time: time.Now()})
		if r, err := f.router.Enter(f.ctx, "many", "crowd", m, nil); err != nil || !r.Entered || r.WorkflowID != campaign.SliceWorkflowID("many", "crowd", campaign.SliceOf(m)) {
			t.Fatalf("%+v %v", r, err)
		}
	}
	var id int
	var workflow string
	if err := f.pool.QueryRow(f.ctx, `select id, workflow_id from slices order by id limit 1`).Scan(&id, &workflow); err != nil {
		t.Fatal(err)
	}
	short := store.Delivery{Workflow: workflow, Slice: id, ID: campaign.JourneyID{Campaign: "many", Journey: "crowd"}}
	if _, err := f.client.ExecuteWorkflow(f.ctx, starter.SliceOptions(short), campaign.WorkflowSlice, campaign.SliceInput{Slice: id, Most: 2}); err != nil {
		t.Fatal(err)
	}
	f.runRouter()
	f.runWorker()
	f.allDone()
	if n := len(f.receiver.Delivered()); n != 2*members {
		t.Errorf("%d messages, want %d", n, 2*members)
	}
	if err := f.store.End(f.ctx, "many", false); err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{}
	for i := range campaign.Slices {
		workflow := campaign.SliceWorkflowID("many", "crowd", i)
		if f.count(`select count(*) from slices where workflow_id = $1`, workflow) == 0 {
			continue
		}
		if err := f.client.GetWorkflow(f.ctx, workflow, "").Get(f.ctx, nil); err != nil {
			t.Errorf("%s did not end with its campaign: %v", workflow, err)
		}
		for _, run := range f.runs(workflow) {
			h := f.fetch(workflow, run)
			name := "slice-over"
			if h.Events[len(h.Events)-1].EventType == enums.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW {
				name = "slice-continues-as-new"
			}
			for _, e := range h.Events {
				if e.GetTimerStartedEventAttributes() != nil && e.GetUserMetadata().GetSummary() != nil && name == "slice-over" {
					name = "slice-waits"
				}
			}
			if kept[name] {
				continue
			}
			kept[name] = true
			t.Logf("%-24s %3d history events, %6d bytes", name, len(h.Events), size(h))
			f.keep(name, h)
		}
	}
	if !kept["slice-continues-as-new"] || !kept["slice-waits"] {
		t.Errorf("walked %v, which is not everything", kept)
	}
}
