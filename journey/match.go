package journey

import "github.com/banyanhq/banyan/campaign"

// Match finds, for the steps of one version of a journey, the same steps of another, by
// id. A step has at most one counterpart and is the counterpart of at most one:
//
//   - the step with the same label;
//   - else the one of the same name (its kind and what it is about) at the same place;
//   - else the one of the same name elsewhere, where only one step of either version has
//     that name: another was inserted before it, or it was moved;
//   - else the one of the same kind at the same place: it was changed.
//
// A label that only one of the two versions has says nothing about its step.
func Match(from, to *campaign.Journey) map[string]string {
	m := matcher{from: StepsOf(from), to: StepsOf(to), found: map[string]string{}, taken: map[string]bool{}}
	if len(m.from) == 0 || len(m.to) == 0 {
		return m.found
	}
	id := func(s campaign.Step) string { return s.Common().ID }
	m.pair(func(s campaign.Step) string { return s.Common().Label })
	m.pair(func(s campaign.Step) string { return id(s) + " " + campaign.StepName(s) })
	m.unique(campaign.StepName)
	m.pair(func(s campaign.Step) string { return id(s) + " " + string(s.Kind()) })
	return m.found
}

type matcher struct {
	from, to []campaign.Step
	found    map[string]string
	taken    map[string]bool
}

// pair matches the free steps that have the same key. Keys are unique in a version; the
// empty one is none.
func (m *matcher) pair(key func(campaign.Step) string) {
	byKey := make(map[string]string, len(m.to))
	for _, s := range m.to {
		if id := s.Common().ID; !m.taken[id] && key(s) != "" {
			byKey[key(s)] = id
		}
	}
	for _, s := range m.from {
		from := s.Common().ID
		to, ok := byKey[key(s)]
		if _, had := m.found[from]; ok && !had {
			m.found[from], m.taken[to] = to, true
		}
	}
}

// unique matches the free steps whose name is that of one free step in each version.
func (m *matcher) unique(name func(campaign.Step) string) {
	once := func(steps []campaign.Step, free func(string) bool) map[string]string {
		ids, times := map[string]string{}, map[string]int{}
		for _, s := range steps {
			times[name(s)]++
			if free(s.Common().ID) {
				ids[name(s)] = s.Common().ID
			}
		}
		for n, t := range times {
			if t > 1 {
				delete(ids, n)
			}
		}
		return ids
	}
	from := once(m.from, func(id string) bool { _, had := m.found[id]; return !had })
	to := once(m.to, func(id string) bool { return !m.taken[id] })
	for n, id := range from {
		if other, ok := to[n]; ok {
			m.found[id], m.taken[other] = other, true
		}
	}
}

// StepsOf lists every step of a journey in reading order; none has none.
func StepsOf(j *campaign.Journey) (list []campaign.Step) {
	if j == nil {
		return nil
	}
	var walk func(campaign.Steps)
	walk = func(steps campaign.Steps) {
		for _, s := range steps {
			list = append(list, s)
			for _, b := range campaign.Children(s) {
				walk(b.Steps)
			}
		}
	}
	walk(j.Steps)
	return list
}
