package starter

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

const doctorTimeout = 5 * time.Second

// ExamineTemporal checks that Temporal answers and that the namespace has the search
// attributes without which no journey can be started.
func ExamineTemporal(ctx context.Context, c client.Client, namespace string) []store.Finding {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
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
