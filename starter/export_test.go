package starter

import (
	"context"
	"time"
)

// Patterns lists what the ServeMux knows.
func (s *Server) Patterns() []string { return s.mux.patterns }

// WatchPressure does what Serve does beside answering: it counts what waits.
func (s *Server) WatchPressure(ctx context.Context) { s.pressure.run(ctx) }

// CountWithin sets for how long a call counts members.
func (s *Server) CountWithin(d time.Duration) { s.countWithin = d }

// Counting keeps others from counting until done is called.
func (s *Server) Counting() (done func()) {
	s.counting <- struct{}{}
	return func() { <-s.counting }
}
