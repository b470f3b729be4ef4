package starter

import (
	"context"
	"time"
)

// Patterns lists what the ServeMux knows.
func (s *Server) Patterns() []string { return s.mux.patterns }

// WatchPressure does what Serve does beside answering: it counts what waits.
func (s *Server) WatchPressure(ctx context.Context) { s.pressure.run(ctx) }

// Sweep sweeps for no longer than span.
func (r *Router) Sweep(ctx context.Context, span time.Duration, atOnce int, do func(context.Context, int) (int, error)) (more bool) {
	return r.sweep(ctx, span, "something", atOnce, do)
}

// CountWithin sets for how long a call counts members.
func (s *Server) CountWithin(d time.Duration) { s.countWithin = d }

// Counting keeps others from counting until done is called.
func (s *Server) Counting() (done func()) {
	s.counting <- struct{}{}
	return func() { <-s.counting }
}

// Callbacks works what is due of what platforms told.
func (r *Router) Callbacks(ctx context.Context) (int, error) { return r.callbacks(ctx) }
