package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

const healthTimeout = 5 * time.Second

// Temporal checks that Temporal answers and that the namespace has the search
// attributes without which no journey can be started.
func Temporal(ctx context.Context, c client.Client, namespace string) []store.Finding {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if _, err := c.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return []store.Finding{{Check: "temporal", Detail: "Temporal does not answer: " + err.Error()}}
	}
	findings := []store.Finding{{Check: "temporal", OK: true, Detail: "Temporal answers"}}
	answer, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return append(findings, store.Finding{Check: "search attributes", Detail: "they cannot be listed: " + err.Error()})
	}
	missing := slices.DeleteFunc(campaign.SearchAttributes(), func(name string) bool {
		_, ok := answer.GetCustomAttributes()[name]
		return ok
	})
	if len(missing) > 0 {
		return append(findings, store.Finding{
			Check: "search attributes", Detail: "the namespace " + namespace + " has no " + strings.Join(missing, ", ") + " (Keyword)",
		})
	}
	return append(findings, store.Finding{Check: "search attributes", OK: true, Detail: "all are there"})
}

// listPage is how many workflows one question lists. A visibility store answers few
// questions a second, so each of them takes many.
const listPage = 1_000

// running lists the ids of the workflows of a type that run, as the visibility store has
// it: seconds old, and so a hint only.
func (e *examination) running(ctx context.Context, kind string) (map[string]bool, error) {
	ids := map[string]bool{}
	var token []byte
	for {
		page, err := e.list(ctx, kind, token)
		if err != nil {
			return nil, fmt.Errorf("list the workflows that run: %w", err)
		}
		for _, x := range page.GetExecutions() {
			ids[x.GetExecution().GetWorkflowId()] = true
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			return ids, nil
		}
	}
}

func (e *examination) list(ctx context.Context, kind string, token []byte) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return e.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: e.Namespace, PageSize: listPage, NextPageToken: token,
		Query: fmt.Sprintf("WorkflowType = %q AND ExecutionStatus = 'Running'", kind),
	})
}

// describe asks a workflow's last run for its state; unspecified means that Temporal
// knows of none.
func (e *examination) describe(ctx context.Context, id string) (state enums.WorkflowExecutionStatus, run string, err error) {
	d, err := e.ask(ctx, id)
	return d.GetWorkflowExecutionInfo().GetStatus(), d.GetWorkflowExecutionInfo().GetExecution().GetRunId(), err
}

// sending reports whether a workflow has a send under way, or will try one again.
func (e *examination) sending(ctx context.Context, id string) (state enums.WorkflowExecutionStatus, sending bool, err error) {
	d, err := e.ask(ctx, id)
	for _, a := range d.GetPendingActivities() {
		sending = sending || a.GetActivityType().GetName() == campaign.ActivitySend
	}
	return d.GetWorkflowExecutionInfo().GetStatus(), sending, err
}

func (e *examination) ask(ctx context.Context, id string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d, err := e.Client.DescribeWorkflowExecution(ctx, id, "")
	if gone := new(serviceerror.NotFound); errors.As(err, &gone) {
		return nil, nil // the getters of no answer work too
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the workflow %s: %w", id, err)
	}
	return d, nil
}

func statusWord(state enums.WorkflowExecutionStatus) string {
	if state == enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
		return "not there"
	}
	return strings.ToLower(state.String())
}

func (e *examination) startOptions(r *store.Restart) client.StartWorkflowOptions {
	return starter.StartOptions(store.Delivery{Workflow: r.Workflow, Version: r.Version, ID: r.ID})
}
