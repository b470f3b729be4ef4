package devtest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/devstack"
	"github.com/banyanhq/banyan/devstack/devtest"
)

func TestMain(m *testing.M) { devtest.Main(m) }

func TestDatabasesAreFreshAndApart(t *testing.T) {
	t.Parallel()
	first, second := devtest.Database(t), devtest.Database(t)
	execute(t, first, "CREATE TABLE things (id int)")
	// The same name must be free in the other one.
	execute(t, second, "CREATE TABLE things (id int)")
}

func TestDatabaseIsDroppedAtCleanup(t *testing.T) {
	t.Parallel()
	var dsn string
	t.Run("test", func(t *testing.T) {
		dsn = devtest.Database(t)
		// A connection left open must not keep the database.
		connection, err := pgx.Connect(context.Background(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = connection.Close(context.Background()) })
	})
	connection, err := pgx.Connect(t.Context(), dsn)
	if err == nil {
		_ = connection.Close(t.Context())
		t.Fatal("the database is still there")
	}
}

func TestNamespaceTakesWorkflowsWithSearchAttributes(t *testing.T) {
	t.Parallel()
	proveNamespace(t, devtest.Temporal(t), devtest.Namespace(t))
}

func TestStackIsPrivateAndWhole(t *testing.T) {
	t.Setenv(devstack.EnvTemporalAddress, "127.0.0.1:1")
	t.Setenv(devstack.EnvDatabaseURL, "postgres://nobody@127.0.0.1:1/none")
	stack := devtest.Stack(t)
	execute(t, stack.DatabaseURL, "CREATE TABLE things (id int)")
	proveNamespace(t, stack.TemporalAddress, devtest.NamespaceAt(t, stack.TemporalAddress))
}

// proveNamespace runs a workflow that carries one search attribute from its start and
// sets all of them on its way.
func proveNamespace(t *testing.T, address, namespace string) {
	t.Helper()
	c := devtest.Client(t, address, namespace)
	w := worker.New(c, "proof", worker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		var updates []temporal.SearchAttributeUpdate
		for _, name := range campaign.SearchAttributes() {
			updates = append(updates, temporal.NewSearchAttributeKeyKeyword(name).ValueSet("proof"))
		}
		return workflow.UpsertTypedSearchAttributes(ctx, updates...)
	}, workflow.RegisterOptions{Name: "proof"})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)

	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: "proof", TaskQueue: "proof",
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(campaign.AttributeCampaign).ValueSet("fitness-trial")),
	}, "proof")
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Get(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	description, err := c.DescribeWorkflowExecution(t.Context(), run.GetID(), run.GetRunID())
	if err != nil {
		t.Fatal(err)
	}
	indexed := description.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields()
	for _, name := range campaign.SearchAttributes() {
		if got := string(indexed[name].GetData()); got != `"proof"` {
			t.Errorf("search attribute %s is %s", name, got)
		}
	}
}

func execute(t *testing.T, dsn, statement string) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Exec(t.Context(), statement); err != nil {
		t.Error(err)
	}
	if err := connection.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
