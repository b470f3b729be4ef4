package channels

import (
	"fmt"
	"slices"
)

// Set is the channels of one installation, by name. The zero Set has none.
type Set struct {
	byName map[string]Channel
	names  []string
}

// New makes a set of an explicit list. Two channels of one name, or one without a name,
// are a fault in the program and not in anybody's configuration: New panics.
func New(all ...Channel) Set {
	s := Set{byName: make(map[string]Channel, len(all))}
	for _, c := range all {
		name := c.Name()
		if _, twice := s.byName[name]; twice || name == "" {
			panic(fmt.Sprintf("channels: the name %q is empty or taken twice", name))
		}
		s.byName[name] = c
		s.names = append(s.names, name)
	}
	return s
}

// Get finds a channel by name.
func (s Set) Get(name string) (Channel, bool) {
	c, ok := s.byName[name]
	return c, ok
}

// Names lists the channels in the order in which New had them.
func (s Set) Names() []string { return slices.Clone(s.names) }
