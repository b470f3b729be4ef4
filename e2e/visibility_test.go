package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflowservice/v1"
)

const locked = `
campaign: locked
title: 锁价
events:
  order.paid: {order: string, offer: string, amount: money}
offers:
  card: {title: 月卡, price: 199, list_price: 299, lock: 48h}
journeys:
  way:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "card"}
    steps:
      - offer: card
        lapsed: [{end: lapsed}]
`

// The Temporal web UI finds a journey by campaign, step, member and outcome, and its
// page says what it waits for: in the current details and on the timer.
func TestFoundInTheTemporalWebUI(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.submit(locked, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	now := time.Now()
	f.events(paid("e-1", "m-1", "trial", "9.90", now), paid("e-2", "m-2", "trial", "9.90", now))
	f.until("two offers are open", func() bool { return f.count(`select count(*) from offers where state = 'open'`) == 2 })

	// Visibility is brought up to date a moment after the step: the list is asked until
	// it agrees.
	found := func(query string, want ...string) {
		t.Helper()
		f.until("the list shows "+query, func() bool {
			list, err := f.client.ListWorkflow(f.ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: f.namespace, Query: query})
			if err != nil {
				t.Fatal(err)
			}
			ids := map[string]bool{}
			for _, e := range list.Executions {
				ids[e.Execution.WorkflowId] = true
			}
			for _, id := range want {
				if !ids[id] {
					return false
				}
			}
			return len(ids) == len(want)
		})
	}
	one, two := "journey/locked/way/m-1/1", "journey/locked/way/m-2/1"
	found(`Campaign = "locked" AND Step = "offer card"`, one, two)
	found(`Member = "m-1"`, one)
	found(`Campaign = "other"`)

	value, err := f.client.QueryWorkflow(f.ctx, one, "", "__temporal_workflow_metadata")
	if err != nil {
		t.Fatal(err)
	}
	var metadata sdk.WorkflowMetadata
	if err := value.Get(&metadata); err != nil {
		t.Fatal(err)
	}
	until := f.text(`select to_char(expires_at at time zone 'Asia/Shanghai', 'MM-DD HH24:MI') from offers where member = 'm-1'`)
	if want := fmt.Sprintf("**offer card** – 月卡 locked until %s", until); metadata.CurrentDetails != want {
		t.Errorf("the page says %q, want %q", metadata.CurrentDetails, want)
	}
	var timer string
	for _, e := range f.fetch(one, "").Events {
		if e.EventType == enums.EVENT_TYPE_TIMER_STARTED {
			timer = string(e.UserMetadata.GetSummary().GetData())
		}
	}
	if !strings.Contains(timer, "月卡 locked until "+until) {
		t.Errorf("the timer says %q", timer)
	}

	f.events(paid("e-3", "m-2", "card", "199.00", time.Now()))
	found(`Campaign = "locked" AND Outcome = "converted"`, two)
	found(`Campaign = "locked" AND Step = "offer card"`, one)
}
