package starter

import (
	"context"
	"encoding/json"
	"slices"
	"sort"
	"sync/atomic"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
	"github.com/banyanhq/banyan/store"
)

// tolerance is how far a caller's clock may be ahead of ours.
const tolerance = 10 * time.Minute

// vocabulary is what the current versions of all campaigns declare: event types,
// their properties, and member attributes.
type vocabulary struct {
	catalog    *store.Catalog
	types      map[string]*eventType
	names      []string // of types, for suggestions
	attributes map[string][]declared
	clocks     []campaign.Clock
}

type eventType struct {
	properties map[string][]declared
	clocks     []campaign.Clock // of the campaigns that declare it
}

func newVocabulary(catalog *store.Catalog) *vocabulary {
	v := &vocabulary{catalog: catalog, types: make(map[string]*eventType), attributes: make(map[string][]declared)}
	for _, c := range catalog.Campaigns {
		v.clocks = append(v.clocks, c.Clock)
		for _, p := range c.Definition.Member {
			v.attributes[p.Name] = append(v.attributes[p.Name], declared{p, c.Definition.Currency})
		}
		events := c.Definition.Events
		if c.Definition.Asks() {
			events = append(slices.Clone(events), campaign.ReplyEvent()) // known to whoever asks, declared or not
		}
		for _, e := range events {
			if e.Name == campaign.EventLevelChanged {
				continue // Banyan's own to tell
			}
			t, ok := v.types[e.Name]
			if !ok {
				t = &eventType{properties: make(map[string][]declared)}
				v.types[e.Name] = t
				v.names = append(v.names, e.Name)
			}
			t.clocks = append(t.clocks, c.Clock)
			for _, p := range e.Properties {
				t.properties[p.Name] = append(t.properties[p.Name], declared{p, c.Definition.Currency})
			}
		}
	}
	sort.Strings(v.names)
	return v
}

// latest is the latest time that may be told now: ten real minutes ahead, on the most
// generous of the clocks.
func (v *vocabulary) latest(clocks []campaign.Clock) time.Time {
	ahead := v.catalog.Now().Add(tolerance)
	latest := ahead
	for _, c := range clocks {
		if at := c.At(ahead); at.After(latest) {
			latest = at
		}
	}
	return latest
}

// vocabularies keeps the last vocabulary that was made of a catalogue.
type vocabularies struct {
	current atomic.Pointer[vocabulary]
}

func (vs *vocabularies) of(catalog *store.Catalog) *vocabulary {
	if v := vs.current.Load(); v != nil && v.catalog == catalog {
		return v
	}
	v := newVocabulary(catalog)
	vs.current.Store(v)
	return v
}

// checked runs a check by the campaigns as this process knows them; before anything is
// refused it looks whether another process has accepted a campaign meanwhile.
func (s *Server) checked(ctx context.Context, check func(*vocabulary) []ProblemDetail) error {
	catalog, err := s.store.Catalog(ctx)
	if err != nil {
		return err
	}
	if len(check(s.vocabularies.of(catalog))) == 0 {
		return nil
	}
	if catalog, err = s.store.FreshCatalog(ctx); err != nil {
		return err
	}
	if wrong := check(s.vocabularies.of(catalog)); len(wrong) > 0 {
		return problem(422, "nothing was stored, because of what is wrong here", wrong[:min(len(wrong), maxDetails)]...)
	}
	return nil
}

// maxDetails bounds how many things an answer names.
const maxDetails = 100

// event checks one event and answers it as it is to be stored.
func (v *vocabulary) event(w *EventRequest, path string) (campaign.Event, []ProblemDetail) {
	var wrong []ProblemDetail
	add := func(field, message, hint string) {
		wrong = append(wrong, ProblemDetail{Path: path + field, Message: message, Hint: hint})
	}
	e := campaign.Event{ID: w.ID, Type: w.Type, Member: w.Member, Properties: w.Properties}
	if why := checkID(w.ID); why != "" {
		add("id", "the event's id cannot be used: "+why, "an id of your own, the same again whenever the same event is sent again")
	}
	if campaign.OwnsEventID(w.ID) {
		add("id", "ids that begin like this are Banyan's own", "an id of your own")
	}
	if why := checkID(w.Member); why != "" {
		add("member", "the member's id cannot be used: "+why, "")
	}
	t, known := v.types[w.Type]
	if campaign.IsReferralEvent(w.Type) {
		add("type", "what happens to referrals Banyan itself tells", "tell what the member did, such as order.paid, and bind members with POST /v1/referrals")
	}
	if !known {
		t = &eventType{}
		add("type", "no campaign declares this type of event", v.suggest(w.Type))
	}
	e.Time = v.time(w.Time, t.clocks, "time", add)
	if len(w.Properties) > 0 && string(w.Properties) != "null" {
		e.Properties = v.properties(w.Type, w.Properties, t.properties, add)
	} else {
		e.Properties = nil
	}
	return e, wrong
}

func (v *vocabulary) suggest(name string) string {
	if near := rules.Nearest(name, v.names); near != "" {
		return "did you mean " + near + "?"
	}
	if len(v.names) == 0 {
		return "submit a campaign that declares it under events"
	}
	return ""
}

// time reads a caller's time. Before 1970 is a mistake of units or of a missing value.
func (v *vocabulary) time(text string, clocks []campaign.Clock, field string, add func(field, message, hint string)) time.Time {
	const form = `RFC 3339 with an offset, such as "2026-12-01T20:00:00+08:00"`
	if text == "" {
		add(field, "the time is missing", form)
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		add(field, "this is not a time", form)
	case at.Before(time.Unix(0, 0)):
		add(field, "this is before 1970", form)
	case at.After(v.latest(clocks)):
		add(field, "this is more than ten minutes ahead of our clock", "tell what has happened, when it has happened")
	}
	return at.UTC()
}

// properties checks those that are declared and keeps the others as they are.
func (v *vocabulary) properties(eventType string, raw json.RawMessage, types map[string][]declared, add func(field, message, hint string)) json.RawMessage {
	object, why := decodeObject(raw)
	if why != "" {
		add("properties", "the properties cannot be kept: "+why, "")
		return nil
	}
	changed := false
	for _, name := range sortedKeys(object) {
		declarations, known := types[name]
		if !known {
			continue
		}
		if object[name] == nil { // not given, the way some languages write it
			delete(object, name)
			changed = true
			continue
		}
		fitted, converted, hint := fit(declarations, object[name], false)
		if hint != "" {
			add("properties."+name, "the property is of another type", hint)
			continue
		}
		if converted {
			object[name], changed = fitted, true
		}
	}
	checkPayment(eventType, object, add)
	if !changed {
		return raw
	}
	out, err := json.Marshal(object)
	if err != nil {
		add("properties", "the properties cannot be kept", "")
	}
	return out
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
