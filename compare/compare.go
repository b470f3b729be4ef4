// Package compare says in a marketer's words what changes from one version of a campaign
// to another, and whom each change concerns. It compares what the campaigns do, not their
// texts: another order of keys, or another way to write a duration, is no change.
package compare

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/banyanhq/banyan/campaign"
)

// Kind says what became of a thing.
type Kind string

// Kinds of change.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Changed Kind = "changed"
	Moved   Kind = "moved"
)

// Change is one difference between two versions.
type Change struct {
	Path     string `json:"path"`          // e.g. offers.monthly-card.lock
	Change   Kind   `json:"change"`        // what became of it
	Where    string `json:"where"`         // e.g. offer monthly-card
	Key      string `json:"key,omitempty"` // which of its keys, e.g. lock
	Old      string `json:"old,omitempty"`
	New      string `json:"new,omitempty"`
	Concerns string `json:"concerns"` // e.g. members who enter from now on
	Text     string `json:"text"`     // all of it in one line
}

// Whom a change concerns. Members in flight finish on the version that they started with;
// stock and budget alone are those of the newest version for everybody.
const (
	entrants  = "members who enter from now on"
	everybody = "everybody, at once; what was taken counts"
	readers   = "whoever reads it from now on"
	told      = "what is told from now on"
	nobodyNew = "nobody enters it from now on; who is inside finishes"
	nobody    = "nobody, because tests are no part of what runs"
	different = "this is another campaign; who is in the old one stays there"
)

// Diff lists what changes from one definition to another, in the order of the reference.
func Diff(from, to *campaign.Definition) []Change {
	d := &differ{}
	d.header(from, to)
	named(d, "member", "member attribute", from.Member, to.Member, func(p campaign.Property) string { return p.Name }, d.whole(told))
	named(d, "events", "event", declared(from.Events), declared(to.Events), func(e campaign.EventType) string { return e.Name }, d.whole(told))
	named(d, "segments", "segment", from.Segments, to.Segments, func(s campaign.Segment) string { return s.Name }, d.keys(entrants))
	named(d, "roles", "role", from.Roles, to.Roles, func(r campaign.Role) string { return r.Name }, d.keys(entrants))
	named(d, "offers", "offer", from.Offers, to.Offers, func(o campaign.Offer) string { return o.Name }, d.keys(entrants))
	named(d, "rewards", "reward", from.Rewards, to.Rewards, func(r campaign.Reward) string { return r.Name }, d.keys(entrants))
	d.points(from.Points, to.Points)
	named(d, "messages", "message", from.Messages, to.Messages, func(m campaign.Message) string { return m.Name }, d.keys(entrants))
	d.struc("limits", "limits", reflect.ValueOf(from.Limits), reflect.ValueOf(to.Limits), entrants)
	d.referral(from.Referral, to.Referral)
	named(d, "journeys", "journey", written(from), written(to), func(j campaign.Journey) string { return j.Name }, d.journey)
	return d.changes
}

// points compares what members get for what they do. It concerns everybody from now on:
// what was given stays, and nobody finishes on the rules that she began with.
func (d *differ) points(from, to *campaign.Points) {
	if from == nil {
		from = new(campaign.Points)
	}
	if to == nil {
		to = new(campaign.Points)
	}
	named(d, "points.rules", "points rule", from.Rules, to.Rules, func(r campaign.PointRule) string { return r.Name }, d.keys(told))
	named(d, "points.levels", "level", from.Levels, to.Levels, func(l campaign.Level) string { return l.Name }, d.keys(told))
	rest := func(p *campaign.Points) reflect.Value {
		only := *p
		only.Rules, only.Levels = nil, nil
		return reflect.ValueOf(only)
	}
	d.struc("points", "points", rest(from), rest(to), told)
}

// Test is a test of a campaign, with a text that differs where two tests do.
type Test struct{ Name, Does string }

// Tests lists what changes from one list of tests to another. A definition knows nothing
// of its tests, so they are told beside it.
func Tests(from, to []Test) []Change {
	d := &differ{}
	named(d, "tests", "test", from, to, func(t Test) string { return t.Name }, func(path, where string, old, now any) {
		if old != now {
			d.add(Change{Path: path, Change: Changed, Where: where, Concerns: nobody})
		}
	})
	return d.changes
}

type differ struct{ changes []Change }

// add keeps a change and puts it into words.
func (d *differ) add(c Change) {
	text := c.Where
	switch {
	case c.Key != "" && c.Change == Changed:
		text += ": " + c.Key + " " + pair(c.Old, c.New, absent[c.Key])
	case c.Change == Changed && c.Old == c.New:
		text += ": changed"
	case c.Change == Changed:
		text += ": " + pair(c.Old, c.New, "")
	case c.Change == Moved:
		text += ": moved from step " + c.Old + " to step " + c.New
	case c.New != "" || c.Old != "":
		text += ": " + string(c.Change) + ", " + oneLine(c.Old+c.New)
	default:
		text += ": " + string(c.Change)
	}
	c.Text = text + ": " + c.Concerns
	d.changes = append(d.changes, c)
}

// most is how much of a long text is shown of either side.
const most = 60

// pair shows an old and a new value; of long texts the part in which they differ. without
// is what it means that there is none.
func pair(from, to, without string) string {
	a, b := []rune(oneLine(from)), []rune(oneLine(to))
	same := 0
	for same < len(a) && same < len(b) && a[same] == b[same] {
		same++
	}
	if len(a) > most || len(b) > most {
		a, b = part(a, same), part(b, same)
	}
	return said(string(a), without) + " → " + said(string(b), without)
}

// part is the piece of a long text around a place.
func part(text []rune, at int) []rune {
	begin := max(0, min(at-most/3, len(text)-most))
	end := min(len(text), begin+most)
	out := append([]rune{}, text[begin:end]...)
	if begin > 0 {
		out = append([]rune("…"), out...)
	}
	if end < len(text) {
		out = append(out, '…')
	}
	return out
}

// absent is what it means that a key was left out, where that is not nothing.
var absent = map[string]string{
	"stock": "unlimited", "budget": "unlimited", "budget.per_day": "unlimited", "budget.per_member": "unlimited", "budget.pause_at": "never", "per_member": "unlimited", "messages_per_member": "unlimited", "lock": "no end",
}

func said(s, without string) string {
	switch {
	case s != "":
		return s
	case without != "":
		return without
	}
	return "none"
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (d *differ) header(from, to *campaign.Definition) {
	for _, part := range []struct{ key, old, new, concerns string }{
		{"campaign", from.Name, to.Name, different},
		{"language", fmt.Sprint(from.Language), fmt.Sprint(to.Language), entrants},
		{"title", from.Title, to.Title, readers},
		{"timezone", from.Timezone, to.Timezone, entrants},
		{"currency", string(from.Currency), string(to.Currency), entrants},
		{"window", value("window", reflect.ValueOf(from.Window)), value("window", reflect.ValueOf(to.Window)), entrants},
	} {
		if part.old != part.new {
			d.add(Change{Path: part.key, Change: Changed, Where: part.key, Old: part.old, New: part.new, Concerns: part.concerns})
		}
	}
}

// named compares the things of a section by their names.
func named[T any](d *differ, section, what string, from, to []T, name func(T) string, compare func(path, where string, from, to any)) {
	for _, old := range from {
		path, where := section+"."+name(old), what+" "+name(old)
		found := false
		for _, now := range to {
			if name(now) == name(old) {
				compare(path, where, old, now)
				found = true
			}
		}
		if !found {
			concerns := entrants
			switch section {
			case "journeys":
				concerns = nobodyNew
			case "member", "events", "points.rules", "points.levels":
				concerns = told
			case "tests":
				concerns = nobody
			}
			d.add(Change{Path: path, Change: Removed, Where: where, Concerns: concerns})
		}
	}
	for _, now := range to {
		old := false
		for _, o := range from {
			old = old || name(o) == name(now)
		}
		if !old {
			concerns := entrants
			switch section {
			case "member", "events", "points.rules", "points.levels":
				concerns = told
			case "tests":
				concerns = nobody
			}
			c := Change{Path: section + "." + name(now), Change: Added, Where: what + " " + name(now), Concerns: concerns}
			if section != "journeys" && section != "tests" {
				c.New = brief(reflect.ValueOf(now))
			}
			d.add(c)
		}
	}
}

// whole compares things that are said in one word or few.
func (d *differ) whole(concerns string) func(path, where string, from, to any) {
	return func(path, where string, from, to any) {
		if old, now := brief(reflect.ValueOf(from)), brief(reflect.ValueOf(to)); old != now {
			d.add(Change{Path: path, Change: Changed, Where: where, Old: old, New: now, Concerns: concerns})
		}
	}
}

// keys compares things key by key.
func (d *differ) keys(concerns string) func(path, where string, from, to any) {
	return func(path, where string, from, to any) {
		d.struc(path, where, reflect.ValueOf(from), reflect.ValueOf(to), concerns)
	}
}

// struc compares the fields of two structs, the name and what holds steps left out.
func (d *differ) struc(path, where string, from, to reflect.Value, concerns string) {
	for _, f := range fieldsOf(from.Type()) {
		old, now := value(f.key, from.Field(f.index)), value(f.key, to.Field(f.index))
		if old == now {
			continue
		}
		whom := concerns
		if part, _, _ := strings.Cut(f.key, "."); part == "stock" || part == "budget" {
			whom = everybody
		}
		d.add(Change{Path: path + "." + f.key, Change: Changed, Where: where, Key: f.key, Old: old, New: now, Concerns: whom})
	}
}
