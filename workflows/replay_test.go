package workflows_test

import (
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/workflows"
)

// ways are those through the loops of which histories are kept.
var ways = []string{
	"one-message", "funnel-taken", "funnel-lapsed", "funnel-no-show", "funnel-refunded", "continued", "continues-as-new",
	"slice-waits", "slice-over", "slice-continues-as-new",
	"sends-now", "ask-answered", "review-timed-out", "repeat", "migrates",
}

// Every kept history must replay: a workflow that was recorded by an earlier build
// goes on under this one. `make histories` records new ones; old ones are never
// replaced, they are what is in flight out there.
func TestReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/histories/*.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range ways {
		if !slices.ContainsFunc(files, func(file string) bool { return strings.HasSuffix(file, "-"+way+".json.gz") }) {
			t.Errorf("there is no history of the way %s", way)
		}
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
