package demo_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/banyanhq/banyan/demo"
	"github.com/banyanhq/banyan/demo/internal/generate"
	"github.com/banyanhq/banyan/journey"
)

func TestFilesAreAsGenerated(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]struct {
		has  []byte
		make func() ([]byte, error)
	}{
		"members.csv":   {demo.Members(), generate.Members},
		"events.ndjson": {demo.Events(), generate.Events},
	} {
		made, err := f.make()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(f.has, made) {
			t.Errorf("%s is not what the generator writes: run go generate ./demo", name)
		}
	}
}

// Whoever shows the demo should meet everything that goes wrong in a shop.
func TestFilesHaveEverySort(t *testing.T) {
	t.Parallel()
	if n := bytes.Count(demo.Members(), []byte("\n")); n != 301 {
		t.Errorf("the file of members has %d lines, want a title and 300 members", n)
	}
	n := recounted(t)
	for _, name := range []string{
		"entered", "held out", "converted", "late", "points", "review late_payment", "review paid_after_end", "review underpaid",
		"outcome no-show", "outcome exited", "outcome lapsed", "outcome card-only", "outcome champion",
		"offer monthly-card withdrawn", "offer gear withdrawn", "tag regular", "sent nudge", "sent comeback", "sent gear-24h",
	} {
		if n[name] == 0 {
			t.Errorf("nothing of %q", name)
		}
	}
	twins, again, other := 0, 0, 0
	first := map[string]line{}
	for _, l := range lines(t) {
		f, known := first[l.ID]
		switch {
		case !known:
			first[l.ID] = l
		case !bytes.Equal(f.Properties, l.Properties):
			other++
		case f.Arrives.Equal(l.Arrives):
			twins++
		default:
			again++
		}
	}
	if twins < 5 || again < 5 || other < 5 {
		t.Errorf("%d events are told twice at once, %d again later, %d with other words", twins, again, other)
	}
}

// The story that the demo shows at its end is of a member who was spoken to.
func TestInteresting(t *testing.T) {
	t.Parallel()
	member := demo.Interesting()
	if member == "" || journey.HeldOut(demo.Campaign, "trial-to-card", member, 500) {
		t.Errorf("%q is of no interest", member)
	}
}

type line struct {
	Arrives    time.Time
	ID         string
	Properties json.RawMessage
}

func lines(t *testing.T) []line {
	t.Helper()
	var all []line
	for text := range bytes.Lines(demo.Events()) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}
