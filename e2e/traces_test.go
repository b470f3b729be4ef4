package e2e

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
)

// otlpCollector takes spans over HTTP, as any collector of OpenTelemetry does.
type otlpCollector struct {
	mu    sync.Mutex
	spans map[string][]*otlp.Span // by trace
	text  string                  // everything, as it came
}

func (c *otlpCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &request)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text += string(data)
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				id := hex.EncodeToString(span.GetTraceId())
				c.spans[id] = append(c.spans[id], span)
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// has reports whether some trace holds a chain of spans, each below the one before.
func (c *otlpCollector) has(chain ...string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, spans := range c.spans {
		above := map[string]bool{} // ids of spans below which the next must lie
		for i, name := range chain {
			found := map[string]bool{}
			for _, s := range spans {
				if strings.HasPrefix(s.GetName(), name) && (i == 0 || below(spans, s, above)) {
					found[string(s.GetSpanId())] = true
				}
			}
			above = found
		}
		if len(above) > 0 {
			return true
		}
	}
	return false
}

func below(spans []*otlp.Span, s *otlp.Span, above map[string]bool) bool {
	for range spans { // no chain is longer
		if above[string(s.GetParentSpanId())] {
			return true
		}
		var parent *otlp.Span
		for _, p := range spans {
			if string(p.GetSpanId()) == string(s.GetParentSpanId()) {
				parent = p
			}
		}
		if parent == nil {
			return false
		}
		s = parent
	}
	return false
}

// names lists the spans of each trace, for a person who wonders.
func (c *otlpCollector) names() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for id, spans := range c.spans {
		fmt.Fprintf(&b, "%s:", id[:8])
		for _, s := range spans {
			fmt.Fprintf(&b, " [%s]", s.GetName())
		}
		b.WriteString("\n")
	}
	return b.String()
}

// An event can be followed from the request that told it to the turn, its SQL and the
// send, over both programs, and nothing on the way says whom it is about.
func TestTraces(t *testing.T) {
	t.Parallel()
	c := &otlpCollector{spans: map[string][]*otlp.Span{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	s := newSite(t, webhooktest.Options{})
	for _, p := range []*program{s.serve, s.worker} {
		p.env = append(p.env, "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL, "OTEL_BSP_SCHEDULE_DELAY=200")
	}
	s.begin(watched, 1)
	body := fmt.Appendf(nil, `{"attributes":{"name":%q,"phone":%q}}`, planted[0], planted[1])
	if err := s.api.call(s.ctx, http.MethodPut, "/v1/members/m-4711", body, "application/json", nil); err != nil {
		t.Fatal(err)
	}
	s.tell(trialWithNote("m-4711"))
	s.until("the message is out", func() bool { return s.count(`select count(*) from messages where state = 'sent'`) == 1 })
	// The span of a run of a workflow is told when the run is over.
	s.tell(paid("card", "m-4711", "card", "199.00", time.Now()))
	s.until("the journey is over", func() bool { return s.count(`select count(*) from journeys where status = 'done'`) == 1 })
	const event, start = "event order.paid", "StartWorkflow:Journey"
	for _, chain := range [][]string{
		{"POST /v1/events/batch"},
		{"PUT /v1/members/{member}", "sql"},
		{event, start, "RunWorkflow:Journey", "RunActivity:Advance", "sql"},
		{event, start, "RunWorkflow:Journey", "RunActivity:Send", "send webhook"},
		{event, "SignalWorkflow:" + campaign.SignalPoke},
	} {
		if !eventually(s.ctx, func() bool { return c.has(chain...) }) {
			t.Fatalf("no trace holds %v\n%s", chain, c.names())
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	linked := false
	for _, spans := range c.spans {
		for _, span := range spans {
			linked = linked || span.GetName() == event && len(span.GetLinks()) == 1 && c.spans[hex.EncodeToString(span.GetLinks()[0].GetTraceId())] != nil
		}
	}
	if !linked {
		t.Error("the event's trace does not lead to the request that told it")
	}
	for _, p := range append(planted, "m-4711") {
		if strings.Contains(c.text, p) {
			t.Errorf("%s stands in the traces", p)
		}
	}
}
