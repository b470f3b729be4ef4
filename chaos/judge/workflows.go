package judge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// Workflows answers what runs in Temporal.
type Workflows struct {
	Client    client.Client
	Namespace string
	Patience  time.Duration // how long lists may stay behind the truth
}

// list gives the ids of the workflows of a type that run.
func (w *Workflows) list(ctx context.Context, query string) (map[string]bool, error) {
	ids := map[string]bool{}
	var token []byte
	for {
		page, err := w.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: w.Namespace, PageSize: 1000, NextPageToken: token, Query: query,
		})
		if err != nil {
			return nil, fmt.Errorf("list workflows: %w", err)
		}
		for _, e := range page.GetExecutions() {
			ids[e.GetExecution().GetWorkflowId()] = true
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			return ids, nil
		}
	}
}

// status asks for one workflow itself, not for the list that follows it.
func (w *Workflows) status(ctx context.Context, id string) (enums.WorkflowExecutionStatus, error) {
	answer, err := w.Client.DescribeWorkflowExecution(ctx, id, "")
	if gone := new(serviceerror.NotFound); errors.As(err, &gone) {
		return enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, nil
	}
	if err != nil {
		return 0, fmt.Errorf("describe workflow %s: %w", id, err)
	}
	return answer.GetWorkflowExecutionInfo().GetStatus(), nil
}

const running = enums.WORKFLOW_EXECUTION_STATUS_RUNNING

// workflows: each journey that goes on has a workflow that runs, its own or that of its
// slice, and each workflow that runs has a journey that goes on; a slice's runs on, for
// those who may come. Lists follow the truth a moment later, so that they are asked again
// for a while; what still differs then is asked for one by one.
func (c *court) workflows(ctx context.Context) error {
	needed := map[string]string{} // a member by workflow
	known := map[string]bool{}    // slices
	sliced := 0
	for _, j := range c.h.journeys {
		if j.Sliced {
			known[j.Workflow] = true
		}
		if j.Status == "active" {
			needed[j.Workflow] = j.Member
			c.v.Counts.Alive++
			if j.Sliced {
				sliced++
			}
		}
		if j.Sliced != c.shops[j.Campaign].Sliced {
			c.objection(j.Member, "is turned by a slice: %v, and her campaign's drive says %v", j.Sliced, c.shops[j.Campaign].Sliced)
		}
	}
	limit := time.Now().Add(c.c.Alive.Patience)
	var alive map[string]bool
	for {
		var err error
		if alive, err = c.c.Alive.list(ctx, "WorkflowType in ('Journey', 'Slice') and ExecutionStatus = 'Running'"); err != nil {
			return err
		}
		if same(needed, known, alive) || time.Now().After(limit) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	for id, member := range needed {
		if !alive[id] {
			if s, err := c.c.Alive.status(ctx, id); err != nil {
				return err
			} else if s != running {
				c.objection(member, "her journey goes on, and its workflow %s is %s", id, s)
			}
		}
	}
	for id := range alive {
		if needed[id] == "" && !known[id] {
			if s, err := c.c.Alive.status(ctx, id); err != nil {
				return err
			} else if s == running {
				c.objection("", "workflow %s runs, and no journey goes on with it", id)
			}
		}
	}
	failed, err := c.c.Alive.list(ctx, "ExecutionStatus = 'Failed' or ExecutionStatus = 'TimedOut' or ExecutionStatus = 'Terminated'")
	if err != nil {
		return err
	}
	for id := range failed {
		c.objection("", "workflow %s has failed", id)
	}
	c.v.Counts.Workflows = len(alive)
	c.done("no journey without a live workflow, no workflow without a journey", "%d journeys go on, %d of them in slices; %d workflows run",
		c.v.Counts.Alive, sliced, len(alive))
	return nil
}

func same(needed map[string]string, known, alive map[string]bool) bool {
	for id := range needed {
		if !alive[id] {
			return false
		}
	}
	for id := range alive {
		if needed[id] == "" && !known[id] {
			return false
		}
	}
	return true
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
