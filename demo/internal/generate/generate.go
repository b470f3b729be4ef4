// Package generate makes up the members and the events of the demo. Chance is seeded
// and of our own making, so that the files come out the same on every machine and with
// every version of Go.
//
// The events are chosen so that machine speed decides nothing. Whatever depends on when
// a turn runs (does a reminder go out before the order that makes it needless? do quiet
// hours put it off?) is given Slack: an engine and a player that lag by less bring about
// the same numbers.
package generate

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Start is what the campaign's clock shows when the first event comes.
var Start = time.Date(2026, 12, 1, 7, 30, 0, 0, zone)

var zone = time.FixedZone("Asia/Shanghai", 8*60*60)

// seed is one with which about the twentieth part is held out, as the campaign says.
const seed = 20261203

// Event is one line of the file of events: what is told, and when it is told.
type Event struct {
	Arrives    time.Time `json:"arrives"` // on the campaign's clock
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	Member     string    `json:"member"`
	Time       time.Time `json:"time"`
	Properties any       `json:"properties"`
}

type order struct {
	Order  string  `json:"order"`
	Offer  string  `json:"offer,omitempty"`
	Amount *amount `json:"amount,omitempty"`
}

type amount struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

type lesson struct {
	Lesson string `json:"lesson"`
}

// Members writes the file of members.
func Members() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	lines := [][]string{{"id", "name", "city", "level", "tags", "joined_at"}}
	for _, p := range people(newChance(seed)) {
		lines = append(lines, []string{p.id, p.name, p.city, p.level, strings.Join(p.tags, " "), p.joined.Format(time.RFC3339)})
	}
	if err := w.WriteAll(lines); err != nil {
		return nil, fmt.Errorf("write the members: %w", err)
	}
	return b.Bytes(), nil
}

// Events writes the file of events, in the order in which they arrive.
func Events() ([]byte, error) {
	c := newChance(seed)
	w := &writer{chance: c}
	w.play(people(c))
	slices.SortStableFunc(w.events, func(a, b Event) int {
		return cmp.Or(a.Arrives.Compare(b.Arrives), strings.Compare(a.ID, b.ID))
	})
	var out bytes.Buffer
	for _, e := range w.events {
		line, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("write the events: %w", err)
		}
		out.Write(append(line, '\n'))
	}
	return out.Bytes(), nil
}

// chance is the generator SplitMix64.
type chance struct{ state uint64 }

func newChance(seed uint64) *chance { return &chance{seed} }

func (c *chance) next() uint64 {
	c.state += 0x9e3779b97f4a7c15
	z := c.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below is a number from 0 to n-1.
func (c *chance) below(n int) int { return int(c.next() % uint64(n)) }

// between is a moment from lo up to but not hi, in whole seconds.
func (c *chance) between(lo, hi time.Time) time.Time {
	span := int(hi.Sub(lo) / time.Second)
	if span <= 0 {
		panic(fmt.Sprintf("generate: no moment between %s and %s", lo, hi))
	}
	return lo.Add(time.Duration(c.below(span)) * time.Second)
}

// of is one of a list.
func of[T any](c *chance, list []T) T { return list[c.below(len(list))] }

func shuffle[T any](c *chance, list []T) {
	for i := len(list) - 1; i > 0; i-- {
		j := c.below(i + 1)
		list[i], list[j] = list[j], list[i]
	}
}
