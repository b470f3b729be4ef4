package starter

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.temporal.io/sdk/client"

	"github.com/banyanhq/banyan/store"
)

// Health says whether the parts answer.
type Health struct {
	Status     string `json:"status" enum:"ok,degraded,unavailable"`
	PostgreSQL string `json:"postgresql,omitempty" enum:"ok,unreachable"`
	Migrations string `json:"migrations,omitempty" enum:"ok,missing,not asked" doc:"Whether the database has the tables that this build needs"`
	Temporal   string `json:"temporal,omitempty" enum:"ok,unreachable,not asked"`
	Version    string `json:"version,omitempty"`
}

type healthAnswer struct {
	Status int
	Body   Health
}

// probeTimeout is well below the patience of those who probe.
const probeTimeout = 2 * time.Second

const (
	healthOK          = "ok"
	healthDegraded    = "degraded"
	healthUnavailable = "unavailable"
	unreachable       = "unreachable"
	notAsked          = "not asked"
	missing           = "missing"
)

func (s *Server) registerHealth() {
	handle(s, operation{
		id: "healthz", method: http.MethodGet, path: "/healthz", tag: "health", summary: "Is the process alive?",
	}, func(context.Context, *struct{}) (*healthAnswer, error) {
		return &healthAnswer{Status: http.StatusOK, Body: Health{Status: healthOK, Version: s.cfg.Version}}, nil
	})
	handle(s, operation{
		id: "readyz", method: http.MethodGet, path: "/readyz", tag: "health", summary: "Can it do its work?",
		detail: "503 while PostgreSQL is away or lacks migrations. While only Temporal is away it says degraded, with 200: events and all " +
			"other writes are accepted and routed later, so a load balancer must not turn them away.",
		errors: []int{http.StatusServiceUnavailable},
	}, func(ctx context.Context, _ *struct{}) (*healthAnswer, error) {
		health, status := ready(ctx, &s.cfg)
		return &healthAnswer{status, health}, nil
	})
	metricsPage := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})
	s.mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if key, _ := principal(r.Context()); !key.May(store.ScopeReportsRead) {
			writeProblem(w, problem(http.StatusForbidden, "this key has no scope "+string(store.ScopeReportsRead)))
			return
		}
		metricsPage.ServeHTTP(w, r)
	})
}

// ready asks both parts at the same time, so that one that hangs does not use up the
// other's.
func ready(ctx context.Context, cfg *Config) (health Health, status int) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	health = Health{Status: healthOK, PostgreSQL: healthOK, Migrations: healthOK, Temporal: notAsked, Version: cfg.Version}
	status = http.StatusOK
	var away error
	var asking sync.WaitGroup
	if cfg.Temporal != nil {
		health.Temporal = healthOK
		asking.Go(func() { _, away = cfg.Temporal.CheckHealth(ctx, &client.CheckHealthRequest{}) })
	}
	have, need, err := cfg.Store.Schema(ctx)
	asking.Wait()
	if away != nil {
		health.Temporal, health.Status = unreachable, healthDegraded
	}
	switch {
	case err != nil:
		health.PostgreSQL, health.Migrations, health.Status, status = unreachable, notAsked, healthUnavailable, http.StatusServiceUnavailable
	case have < need:
		health.Migrations, health.Status, status = missing, healthUnavailable, http.StatusServiceUnavailable
	}
	return health, status
}
