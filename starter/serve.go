package starter

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Timeouts of the server. A body of 8 MiB over a slow line takes its time; a caller
// who sends nothing is let go.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 60 * time.Second
	writeTimeout      = 90 * time.Second
	idleTimeout       = 2 * time.Minute
	// shutdownTimeout is for requests under way. A process has ten seconds in all between
	// SIGTERM and SIGKILL, and needs some of them for the rest.
	shutdownTimeout = 8 * time.Second
	maxHeader       = 64 << 10
)

func serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	log.InfoContext(ctx, "listening", "address", listener.Addr().String())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// ctx is done already; requests under way get a while of their own.
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := srv.Shutdown(finish); err != nil {
		// Who is cut off has no answer and asks again; nothing of it is half done.
		log.WarnContext(ctx, "requests were cut off that took too long", "after", shutdownTimeout)
		_ = srv.Close() // there is nobody left to tell
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Probes answers /healthz and /readyz for a process that has no API, such as a worker.
type Probes struct {
	cfg Config
	mux http.ServeMux
}

// NewProbes assembles them. A worker without Temporal can do nothing, so here its
// absence is a 503.
func NewProbes(cfg Config) *Probes {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Probes{cfg: cfg}
	p.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeHealth(w, http.StatusOK, Health{Status: healthOK, Version: cfg.Version})
	})
	p.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		health, status := ready(r.Context(), &p.cfg)
		if health.Status != healthOK {
			status = http.StatusServiceUnavailable
		}
		writeHealth(w, status, health)
	})
	return p
}

// ServeHTTP implements http.Handler.
func (p *Probes) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

// ServeMetrics shows a registry at /metrics on a listener of its own, without a key,
// until ctx is done. It is for a port that only the monitoring reaches.
func ServeMetrics(ctx context.Context, listener net.Listener, registry *prometheus.Registry, log *slog.Logger) error {
	var mux http.ServeMux
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return serve(ctx, listener, &mux, log)
}

// Serve answers on the listener until ctx is done.
func (p *Probes) Serve(ctx context.Context, listener net.Listener) error {
	return serve(ctx, listener, p, p.cfg.Log)
}

func writeHealth(w http.ResponseWriter, status int, health Health) {
	w.Header().Set("Content-Type", typeJSON)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(health) // the caller has gone, if not
}
