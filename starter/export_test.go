package starter

import "context"

// Patterns lists what the ServeMux knows.
func (s *Server) Patterns() []string { return s.mux.patterns }

// WatchPressure does what Serve does beside answering: it counts what waits.
func (s *Server) WatchPressure(ctx context.Context) { s.pressure.run(ctx) }
