package devtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/devstack"
)

const (
	// retention is the shortest that a server accepts.
	retention = 24 * time.Hour
	// namespaceTimeout is ample: a namespace is usable within a second.
	namespaceTimeout = 30 * time.Second
	pollInterval     = 20 * time.Millisecond
)

// Temporal gives the address of a Temporal server that tests share.
func Temporal(tb testing.TB) string {
	tb.Helper()
	return sharedTemporal.get(tb, devstack.StartTemporal).Address
}

// Namespace registers a fresh namespace with Banyan's search attributes on the shared
// server and returns its name when it can be used.
func Namespace(tb testing.TB) string {
	tb.Helper()
	return NamespaceAt(tb, Temporal(tb))
}

// NamespaceAt is Namespace on a server of the test's own.
func NamespaceAt(tb testing.TB, address string) string {
	tb.Helper()
	name := "test-" + strings.ToLower(rand.Text()[:16])
	c := Client(tb, address, client.DefaultNamespace)
	ctx, cancel := context.WithTimeout(tb.Context(), namespaceTimeout)
	defer cancel()
	if err := registerNamespace(ctx, c, name); err != nil {
		tb.Fatalf("register a namespace: %v", err)
	}
	return name
}

// Client connects to a server with the rest of Temporal's environment configuration
// (TLS, API key), and closes the connection at cleanup.
func Client(tb testing.TB, address, namespace string) client.Client {
	tb.Helper()
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{})
	if err != nil {
		tb.Fatalf("read Temporal's environment configuration: %v", err)
	}
	options.HostPort, options.Namespace, options.Logger = address, namespace, testLog{tb}
	c, err := client.DialContext(tb.Context(), options)
	if err != nil {
		tb.Fatalf("connect to Temporal at %s: %v", address, err)
	}
	tb.Cleanup(c.Close)
	return c
}

// registerNamespace registers the namespace and waits until it takes workflows that
// carry the search attributes.
func registerNamespace(ctx context.Context, c client.Client, name string) error {
	if _, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace:                        name,
		Description:                      "made by a test",
		WorkflowExecutionRetentionPeriod: durationpb.New(retention),
	}); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	attributes := map[string]enumspb.IndexedValueType{}
	for _, attribute := range campaign.SearchAttributes() {
		attributes[attribute] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	}
	if err := poll(ctx, func() error {
		_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
			Namespace:        name,
			SearchAttributes: attributes,
		})
		return err
	}); err != nil {
		return fmt.Errorf("add search attributes: %w", err)
	}
	// A query over all of them fails until the server that takes our calls knows each.
	conditions := make([]string, 0, len(attributes))
	for _, attribute := range campaign.SearchAttributes() {
		conditions = append(conditions, attribute+" = 'none'")
	}
	if err := poll(ctx, func() error {
		_, err := c.WorkflowService().CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: name,
			Query:     strings.Join(conditions, " AND "),
		})
		return err
	}); err != nil {
		return fmt.Errorf("wait for the search attributes: %w", err)
	}
	return nil
}

// poll repeats try until it succeeds or ctx ends.
func poll(ctx context.Context, try func() error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// testLog sends a client's warnings to the test; the rest would drown it.
type testLog struct{ tb testing.TB }

func (testLog) Debug(string, ...any) {}
func (testLog) Info(string, ...any)  {}

// Warn and Error go to the test's own log, and nowhere once the test has ended: a client
// may still be closing then.
func (l testLog) Warn(message string, details ...any)  { l.log("WARN", message, details) }
func (l testLog) Error(message string, details ...any) { l.log("ERROR", message, details) }

func (l testLog) log(level, message string, details []any) {
	if l.tb.Context().Err() == nil {
		l.tb.Log(append([]any{level, message}, details...)...)
	}
}
