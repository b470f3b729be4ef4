package rules

// Functions names all that expressions may call.
func Functions() []string {
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = f.name
	}
	return names
}

// Fields names what can be read of each variable in a scope, the declared ones too.
func (e *Env) Fields(sc Scope) (map[string][]string, error) {
	sc = sc.normal()
	e.compiling.Lock()
	defer e.compiling.Unlock()
	s, err := e.in(sc, sc.key())
	if err != nil {
		return nil, err
	}
	fields := map[string][]string{}
	for _, name := range s.variables {
		fields[name] = nil
		if o := s.objects[name]; o != nil {
			fields[name] = o.names
		}
	}
	return fields, nil
}
