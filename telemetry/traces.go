package telemetry

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"

	"github.com/banyanhq/banyan/activities"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// Traces follow an event from the request that told it to the turn, its SQL and the send.
// A nil Traces follows nothing and costs nothing.
//
// An event waits in PostgreSQL between the request and the router, so its trace is known
// by its id alone: the trace of an event is a hash of it, in every process.
type Traces struct {
	provider *sdktrace.TracerProvider
	sampler  sdktrace.Sampler
	tracer   trace.Tracer
}

// NewTraces sets tracing up as OpenTelemetry's own variables say: to
// OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) by HTTP, a share
// OTEL_TRACES_SAMPLER_ARG of all traces. Without an endpoint it answers nil.
func NewTraces(ctx context.Context, getenv func(string) string, program, version string) (*Traces, error) {
	if getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return nil, nil //nolint:nilnil // a nil Traces is one that is off
	}
	share := 1.0
	if value := getenv("OTEL_TRACES_SAMPLER_ARG"); value != "" {
		var err error
		if share, err = strconv.ParseFloat(value, 64); err != nil || share < 0 || share > 1 {
			return nil, campaign.Errorf(campaign.CodeInvalid, "OTEL_TRACES_SAMPLER_ARG is the share of traces to keep, from 0 to 1, not %q", value)
		}
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInvalid, "set up tracing: %w", err)
	}
	name := getenv("OTEL_SERVICE_NAME")
	if name == "" {
		name = program
	}
	sampler := sdktrace.TraceIDRatioBased(share)
	t := &Traces{sampler: sampler, provider: sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter), sdktrace.WithSampler(sdktrace.ParentBased(sampler)), sdktrace.WithIDGenerator(ids{}),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", name), attribute.String("service.version", version))),
	)}
	t.tracer = t.provider.Tracer("github.com/banyanhq/banyan")
	return t, nil
}

// flushTimeout bounds sending what is left when a program stops.
const flushTimeout = time.Second

// Close sends what has not been sent yet.
func (t *Traces) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // a collector that is away must not keep a program from stopping
}

// ofEvent is the span of an event: the first of its trace, the same in every process.
func (t *Traces) ofEvent(id string) trace.SpanContext {
	sum := sha256.Sum256([]byte("event\x00" + id))
	cfg := trace.SpanContextConfig{TraceID: trace.TraceID(sum[:16]), SpanID: trace.SpanID(sum[16:24])}
	kept := t.sampler.ShouldSample(sdktrace.SamplingParameters{ParentContext: context.Background(), TraceID: cfg.TraceID})
	if kept.Decision == sdktrace.RecordAndSample {
		cfg.TraceFlags = trace.FlagsSampled
	}
	return trace.NewSpanContext(cfg)
}

// Accepted begins the trace of each event, with a link to the request that told it.
func (t *Traces) Accepted(ctx context.Context, e *campaign.Event) {
	if t == nil {
		return
	}
	of := t.ofEvent(e.ID)
	_, span := t.tracer.Start(context.WithValue(ctx, fixed{}, of), "event "+e.Type, trace.WithNewRoot(), trace.WithLinks(trace.LinkFromContext(ctx)))
	span.End()
}

// Following goes on with the trace of an event.
func (t *Traces) Following(ctx context.Context, event string) context.Context {
	if t == nil || event == "" {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, t.ofEvent(event))
}

// ids makes ids by chance, but for the span of an event.
type ids struct{}

type fixed struct{}

func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if of, ok := ctx.Value(fixed{}).(trace.SpanContext); ok {
		return of.TraceID(), of.SpanID()
	}
	return trace.TraceID(chance(16)), trace.SpanID(chance(8))
}

func (ids) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return trace.SpanID(chance(8)) }

// HTTP makes a span of each request, named by its route: paths hold ids of members.
func (t *Traces) HTTP(next http.Handler, route func(*http.Request) string) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := route(r)
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("http.route", name)))
		defer span.End()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Temporal follows starts, signals, workflows and activities.
func (t *Traces) Temporal() ([]interceptor.ClientInterceptor, error) {
	if t == nil {
		return nil, nil
	}
	tracing, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{
		Tracer: t.tracer, DisableBaggage: true, TextMapPropagator: propagation.TraceContext{}, AllowInvalidParentSpans: true,
		SpanStarter: func(ctx context.Context, tracer trace.Tracer, name string, opts ...trace.SpanStartOption) trace.Span {
			_, span := tracer.Start(ctx, name, opts...)
			return nameless{span}
		},
	})
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInternal, "set up the tracing of Temporal: %w", err)
	}
	return []interceptor.ClientInterceptor{tracing}, nil
}

// nameless is a span without the ids that name a member.
type nameless struct{ trace.Span }

func (s nameless) SetAttributes(attributes ...attribute.KeyValue) {
	for _, a := range attributes {
		if a.Key != "temporalWorkflowID" {
			s.Span.SetAttributes(a)
		}
	}
}

// Activities makes a span of each call of a channel.
func (t *Traces) Activities(a *activities.Activities) {
	if t == nil {
		return
	}
	var all []channels.Channel
	for _, name := range a.Channels.Names() {
		c, _ := a.Channels.Get(name)
		all = append(all, traced{c, t})
	}
	a.Channels = channels.New(all...)
}

type traced struct {
	channels.Channel
	t *Traces
}

func (c traced) Deliver(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	ctx, span := c.t.tracer.Start(ctx, "send "+c.Name(), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("banyan.campaign", m.Campaign), attribute.String("banyan.message", m.Name), attribute.Int("banyan.attempt", m.Attempt)))
	defer span.End()
	receipt, err := c.Channel.Deliver(ctx, m)
	if f := channels.AsFailure(err); f != nil {
		span.SetStatus(codes.Error, f.Error()) // class and reason, and nothing else
	}
	return receipt, err
}

// Idempotent is as the channel itself says.
func (c traced) Idempotent() bool { return channels.Idempotent(c.Channel) }

// Forgets is as the channel itself says.
func (c traced) Forgets() time.Duration { return channels.Forgets(c.Channel) }

// Reaches is as the channel itself says.
func (c traced) Reaches() (campaign.IdentityKind, string) { return channels.Reaches(c.Channel) }

// SQL makes a span of each statement that belongs to a trace: its text with the
// parameters' places, never their values.
func (t *Traces) SQL() pgx.QueryTracer {
	if t == nil {
		return nil
	}
	return statements{t}
}

type statements struct{ t *Traces }

// maxStatement is how much of a statement's text a span keeps.
const maxStatement = 2_000

func (s statements) start(ctx context.Context, sql string) context.Context {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx // the router looks every second, and nobody asks why
	}
	if len(sql) > maxStatement {
		sql = strings.ToValidUTF8(sql[:maxStatement], "") + "…"
	}
	ctx, _ = s.t.tracer.Start(context.WithValue(ctx, ours{}, true), "sql "+statementName(sql), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "postgresql"), attribute.String("db.query.text", sql)))
	return ctx
}

func (s statements) end(ctx context.Context, err error) {
	if ctx.Value(ours{}) == nil {
		return
	}
	span := trace.SpanFromContext(ctx)
	if err != nil {
		// The text of an error may quote a value.
		span.SetStatus(codes.Error, string(campaign.CodeOf(err)))
	}
	span.End()
}

// ours marks a context in which this tracer has begun a span.
type ours struct{}

func (s statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return s.start(ctx, data.SQL)
}

func (s statements) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	s.end(ctx, data.Err)
}

func (s statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	texts := make([]string, 0, len(data.Batch.QueuedQueries))
	for _, q := range data.Batch.QueuedQueries {
		texts = append(texts, strings.TrimSpace(q.SQL))
	}
	return s.start(ctx, strings.Join(texts, ";\n"))
}

func (statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (s statements) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	s.end(ctx, data.Err)
}

// statementName is the name that sqlc gave, or the first word.
func statementName(sql string) string {
	sql = strings.TrimSpace(sql)
	if rest, ok := strings.CutPrefix(sql, "-- name: "); ok {
		sql = rest
	}
	if fields := strings.Fields(sql); len(fields) > 0 {
		return fields[0]
	}
	return "empty"
}
