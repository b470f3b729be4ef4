package starter

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/banyanhq/banyan/campaign"
)

// metrics are what /metrics shows of the API.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	events    *prometheus.CounterVec
	callbacks *prometheus.CounterVec
}

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		registry: registry,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "banyan_http_requests_total", Help: "Requests by route, method and status.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "banyan_http_request_seconds", Help: "How long requests took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "method"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "banyan_events_total", Help: "Events handed in, by what became of them.",
		}, []string{"result"}),
		callbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "banyan_callbacks_total", Help: "Callbacks of platforms, by channel and what became of them.",
		}, []string{"channel", "result"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.events, m.callbacks} {
		if err := registry.Register(c); err != nil {
			return nil, campaign.Errorf(campaign.CodeInternal, "register the metrics: %w", err)
		}
	}
	return m, nil
}

// observed logs and counts every request by its route. The path itself holds member
// ids, so it is written nowhere.
func (s *Server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		id := rand.Text()[:16]
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		noted := &notedStatus{ResponseWriter: w, status: http.StatusOK}
		r = r.WithContext(context.WithValue(r.Context(), contextRequest, id))
		next.ServeHTTP(noted, r)

		route := s.route(r)
		took := time.Since(began)
		s.metrics.requests.WithLabelValues(route, method(r), strconv.Itoa(noted.status)).Inc()
		s.metrics.seconds.WithLabelValues(route, method(r)).Observe(took.Seconds())
		if !openPath(r.URL.Path) {
			s.log.InfoContext(r.Context(), "request", "id", id, "route", route, "status", noted.status, "took", took)
		}
	})
}

// route is the pattern that a request matches. The path itself holds ids of members.
func (s *Server) route(r *http.Request) string {
	if _, route := s.mux.Handler(r); route != "" {
		return route
	}
	return "none"
}

// method keeps a caller from inventing metric labels.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodPatch, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// recovered turns a panic into a 500, so that one request cannot end the process.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler { //nolint:errorlint // the server compares it so as well
				panic(cause)
			}
			s.log.ErrorContext(r.Context(), "a handler panicked", "id", requestID(r), "cause", cause, "stack", string(debug.Stack()))
			writeProblem(w, problem(http.StatusInternalServerError, "something went wrong on our side; the log has the details"))
		}()
		next.ServeHTTP(w, r)
	})
}

// fail answers an error that did not come from a huma handler.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.logFailure(r, err)
	writeProblem(w, problemOf(err))
}

func (s *Server) logFailure(r *http.Request, err error) { s.logError(r.Context(), err) }

// logError logs what is our fault, and only that: what the caller did wrong is in her
// answer.
func (s *Server) logError(ctx context.Context, err error) {
	switch code := campaign.CodeOf(err); code {
	case campaign.CodeInternal, campaign.CodeUnavailable:
		var p *Problem
		if errors.As(err, &p) {
			return
		}
		id, _ := ctx.Value(contextRequest).(string)
		s.log.ErrorContext(ctx, "request failed", "id", id, "code", code, "error", err)
	case campaign.CodeInvalid, campaign.CodeNotFound, campaign.CodeConflict, campaign.CodeForbidden, campaign.CodeTooLarge:
	}
}

func requestID(r *http.Request) string {
	id, _ := r.Context().Value(contextRequest).(string)
	return id
}

type notedStatus struct {
	http.ResponseWriter
	status int
}

func (n *notedStatus) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController through.
func (n *notedStatus) Unwrap() http.ResponseWriter { return n.ResponseWriter }
