package demo_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/demo"
	"github.com/banyanhq/banyan/demo/internal/generate"
	"github.com/banyanhq/banyan/demo/recount"
	"github.com/banyanhq/banyan/journey"
)

// The core alone, with a clock that it is handed, brings about what the independent
// count says.
func TestCoreAgreesWithRecount(t *testing.T) {
	t.Parallel()
	got, over := playCore(t, func(time.Duration) time.Duration { return 0 })
	compare(t, got, recounted(t))

	// When the last journey ends, the last event has long been judged: the player waits
	// for journeys alone.
	all := lines(t)
	if last := all[len(all)-1].Arrives; last.Add(generate.Slack).After(over) {
		t.Errorf("the last event arrives at %s and the last journey ends at %s", last, over)
	}
	t.Logf("the last journey ends %s after the start", over.Sub(demo.From))
}

// Machine speed decides nothing: an engine, a router and a player that lag by any time
// within the slack bring about the same numbers.
func TestLatenessWithinSlackChangesNothing(t *testing.T) {
	t.Parallel()
	want := recounted(t)
	got, _ := playCore(t, func(most time.Duration) time.Duration { return most })
	compare(t, got, want)
	seeds := uint64(20)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		chance := rand.New(rand.NewPCG(seed, 1))
		got, _ := playCore(t, func(most time.Duration) time.Duration {
			if chance.IntN(2) == 0 {
				return 0
			}
			return time.Duration(chance.Int64N(int64(most) + 1))
		})
		compare(t, got, want)
	}
}

// How late each may be: the player tells, the router starts, a turn is taken for an
// event or for a timer. They add up to the slack from the event's moment.
const (
	playerLag = generate.Slack / 4
	routerLag = generate.Slack / 4
	firstLag  = generate.Slack / 2
	eventLag  = generate.Slack * 3 / 4
	timerLag  = generate.Slack
)

func recounted(t *testing.T) recount.Numbers {
	t.Helper()
	n, err := recount.Count(bytes.NewReader(demo.Members()), bytes.NewReader(demo.Events()))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func compare(t *testing.T, got, want recount.Numbers) {
	t.Helper()
	names := maps.Clone(want)
	maps.Copy(names, got)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if got[name] != want[name] && !strings.HasPrefix(name, "back ") {
			t.Errorf("%s: %d, counted again %d", name, got[name], want[name])
		}
	}
}

// playCore drives the core over the files, and answers when the last journey ended. late
// is asked for the lateness of each thing that takes time.
func playCore(t *testing.T, late func(most time.Duration) time.Duration) (n recount.Numbers, over time.Time) {
	t.Helper()
	source, err := fs.ReadFile(definitions.Shipped(), demo.File)
	if err != nil {
		t.Fatal(err)
	}
	def, problems := definitions.Check(demo.File, source)
	if def == nil {
		t.Fatal(problems)
	}
	program, err := journey.Compile(def)
	if err != nil {
		t.Fatal(err)
	}
	n = recount.Numbers{}
	members := readMembers(t)
	for id, events := range readEvents(t, late) {
		w := &walker{
			t: t, program: program, n: n, late: late, member: members[id], events: events,
			taken: map[string]int{}, reviews: map[string]bool{},
		}
		if w.member == nil {
			w.member = &campaign.Member{ID: id, JoinedAt: events[0].Time}
		}
		w.walk()
		if w.over.After(over) {
			over = w.over
		}
	}
	return n, over
}

func readMembers(t *testing.T) map[string]*campaign.Member {
	t.Helper()
	lines, err := csv.NewReader(bytes.NewReader(demo.Members())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]*campaign.Member{}
	for _, line := range lines[1:] {
		joined, err := time.Parse(time.RFC3339, line[5])
		if err != nil {
			t.Fatal(err)
		}
		name, err := json.Marshal(line[1])
		if err != nil {
			t.Fatal(err)
		}
		members[line[0]] = &campaign.Member{
			ID: line[0], JoinedAt: joined, Tags: strings.Fields(line[4]), Attributes: map[string]json.RawMessage{"name": name},
		}
	}
	return members
}

// readEvents gives each member's events as the store would have them.
func readEvents(t *testing.T, late func(most time.Duration) time.Duration) map[string][]campaign.Event {
	t.Helper()
	of, known := map[string][]campaign.Event{}, map[string]bool{}
	for line := range bytes.Lines(demo.Events()) {
		var e struct {
			campaign.Event
			Arrives time.Time
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if known[e.ID] {
			continue
		}
		known[e.ID] = true
		list := of[e.Member]
		e.Seq, e.Stored = int64(len(list)+1), e.Arrives.Add(late(playerLag))
		if len(list) > 0 && e.Stored.Before(list[len(list)-1].Stored) {
			e.Stored = list[len(list)-1].Stored
		}
		of[e.Member] = append(list, e.Event)
	}
	return of
}
