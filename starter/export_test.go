package starter

// Patterns lists what the ServeMux knows.
func (s *Server) Patterns() []string { return s.mux.patterns }
