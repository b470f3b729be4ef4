package judge

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

var begin = time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)

// told by a member, in the order of storing: what happened when, and when it was stored,
// in hours after the trial order.
type tale struct {
	what       string // lesson, refund, or an offer with what was paid: "gear 380.00"
	at, stored float64
}

func hours(h float64) time.Time { return begin.Add(time.Duration(h * float64(time.Hour))) }

func play(t *testing.T, answers asked, tales ...tale) *walk {
	t.Helper()
	var events []*stored
	for i, l := range append([]tale{{"trial 9.90", 0, 0}}, tales...) {
		e := &stored{Event: Event{ID: fmt.Sprintf("e%d", i), Type: typePaid, Member: "m", Time: hours(l.at)}, seq: int64(i + 1), stored: hours(l.stored)}
		props := map[string]any{"shop": "here", "order": e.ID}
		switch name, amount, _ := strings.Cut(l.what, " "); name {
		case "lesson":
			e.Type, props = typeLesson, map[string]any{"lesson": amount}
		case "refund":
			e.Type, props = typeRefunded, map[string]any{"order": "e0"}
		default:
			props["offer"], props["amount"] = name, map[string]string{"amount": amount}
		}
		var err error
		if e.Properties, err = json.Marshal(props); err != nil {
			t.Fatal(err)
		}
		if err := e.read(); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return follow(events, "here", answers)
}

// The expectations are docs/time.md's, worked out with pencil and paper.
func TestWalk(t *testing.T) {
	second := 1.0 / 3600
	for name, c := range map[string]struct {
		tales    []tale
		outcome  string
		reviews  string
		messages string
	}{
		"nothing":                    {nil, "no-show", "", "nudge welcome"},
		"lesson in the last moment":  {[]tale{{"lesson", 24, 24.1}}, "lapsed", "", "card-offer card-soon? comeback welcome"},
		"lesson told at grace's end": {[]tale{{"lesson", 24, 36}}, "lapsed", "", "card-offer card-soon? comeback welcome"},
		"lesson told too late":       {[]tale{{"lesson", 23.9, 36 + second}}, "no-show", "", "nudge welcome"},
		"lesson a moment too late":   {[]tale{{"lesson", 24 + second, 24.1}}, "lapsed", "", "card-offer card-soon? comeback nudge welcome"},
		"card in the last moment": {
			[]tale{{"lesson", 1, 1}, {"monthly-card 199.00", 25, 37}},
			"card-only", "",
			"card-offer card-receipt card-soon? gear-offer welcome",
		},
		"card told too late": {
			[]tale{{"lesson", 1, 1}, {"monthly-card 199.00", 25, 37 + second}},
			"lapsed", "e2 late_payment",
			"card-offer card-soon? comeback welcome",
		},
		"card a moment too late": {
			[]tale{{"lesson", 1, 1}, {"monthly-card 199.00", 25 + second, 25.1}},
			"lapsed", "e2 paid_after_end",
			"card-offer card-soon? comeback welcome",
		},
		"card at the list price afterwards": {
			[]tale{{"lesson", 1, 1}, {"monthly-card 299.00", 26, 26}}, "lapsed", "", "card-offer card-soon? comeback welcome",
		},
		"too little": {[]tale{{"lesson", 1, 1}, {"monthly-card 198.99", 2, 2}}, "lapsed", "e2 underpaid", "card-offer card-soon? comeback welcome"},
		"the card is told first": {
			[]tale{{"monthly-card 199.00", 2, 3}, {"lesson", 1, 4}}, "card-only", "", "card-offer card-receipt gear-offer welcome",
		},
		"all of it": {
			[]tale{{"lesson yoga", 1, 1}, {"monthly-card 199.00", 2, 2}, {"gear 380.00", 3, 3}},
			"champion", "",
			"card-offer card-receipt gear-offer gear-receipt welcome",
		},
		"leaves": {[]tale{{"lesson", 1, 1}, {"refund", 2, 2}, {"monthly-card 199.00", 1.5, 3}}, "exited", "e3 late_payment", "card-offer? welcome?"},
		"leaves late": {
			[]tale{{"lesson", 1, 1}, {"refund", 2, 20}}, "exited", "", "card-offer? card-soon? welcome?",
		},
	} {
		w := play(t, asked{}, c.tales...)
		var messages, reviews []string
		for _, m := range slices.Sorted(maps.Keys(w.messages)) {
			if w.messages[m] == may {
				m += "?"
			}
			messages = append(messages, m)
		}
		for _, e := range slices.Sorted(maps.Keys(w.reviews)) {
			reviews = append(reviews, e+" "+w.reviews[e])
		}
		if w.outcome != c.outcome || strings.Join(reviews, ", ") != c.reviews || strings.Join(messages, " ") != c.messages || len(w.problems) > 0 {
			t.Errorf("%s: %s, reviews %v, messages %v, problems %v; want %s, %s, %s", name, w.outcome, reviews, messages, w.problems, c.outcome, c.reviews, c.messages)
		}
	}
}

func TestWalkAskedForWhatOnlyTheEngineKnows(t *testing.T) {
	lesson := tale{"lesson", 1, 1}
	late := play(t, asked{opened: map[string]time.Time{card: hours(13)}}, lesson, tale{"monthly-card 199.00", 37, 37.5})
	if late.outcome != "card-only" || late.openLate != 1 || len(late.problems) > 0 || !late.offers[0].expires.Equal(hours(37)) {
		t.Errorf("an offer that opened a grace late: %s, %v", late.outcome, late.problems)
	}
	if w := play(t, asked{opened: map[string]time.Time{card: hours(12.9)}}, lesson); len(w.problems) != 1 {
		t.Errorf("an offer that opened late without a reason: %v", w.problems)
	}
	gone := play(t, asked{soldOut: map[string]bool{"e3": true}}, lesson, tale{"monthly-card 199.00", 2, 2}, tale{"gear 380.00", 3, 3})
	if gone.outcome != "card-only" || gone.reviews["e3"] != "paid_not_taken" {
		t.Errorf("sold out: %s, %v", gone.outcome, gone.reviews)
	}
}
