package workflows_test

import (
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/workflows"
)

// Every kept history must replay: a workflow that was recorded by an earlier build
// goes on under this one. `make histories` records new ones; old ones are never
// replaced, they are what is in flight out there.
func TestReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/histories/*.json.gz")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d histories, %v: there should be one of each way through the loop", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			if err := replay(t, file, workflows.Journey); err != nil {
				t.Error(err)
			}
		})
	}
}

// The replay test can fail: a loop that does something else is told.
func TestReplayNoticesAnotherWorkflow(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/histories/*one-message*.json.gz")
	if err != nil || len(files) == 0 {
		t.Fatal("no history", err)
	}
	other := func(ctx workflow.Context, _ campaign.TurnInput) (string, error) {
		return "", workflow.NewTimer(ctx, 1).Get(ctx, nil)
	}
	if err := replay(t, files[0], other); err == nil {
		t.Error("another workflow replays without an error")
	}
}

func replay(t *testing.T, file string, fn any) (err error) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	history, err := client.HistoryFromJSON(unzipped, client.HistoryJSONOptions{})
	if err != nil {
		return err
	}
	r := worker.NewWorkflowReplayer()
	r.RegisterWorkflowWithOptions(fn, workflow.RegisterOptions{Name: campaign.WorkflowJourney})
	r.RegisterWorkflowWithOptions(workflows.Slice, workflow.RegisterOptions{Name: campaign.WorkflowSlice})
	return r.ReplayWorkflowHistory(nil, history)
}
