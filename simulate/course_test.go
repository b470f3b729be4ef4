package simulate

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

const lateness = `
campaign: late
title: Late
events:
  order.paid: {order: string, offer: string, amount: money}
  lesson.attended: {lesson: string}
offers:
  trial: {price: 9.90}
  card: {price: 199, list_price: 299, lock: 1d}
messages:
  welcome: Welcome
journeys:
  main:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "card"}
    on_goal: continue
    steps:
      - choose:
          - when: count("lesson.attended", duration("1h")) >= 1
            steps:
              - tag: eager
      - await: lesson.attended
        for: 1d
        otherwise:
          - end: no-show
      - offer: card
        announce: welcome
        lapsed:
          - end: lapsed
`

// However late turns are taken, an event counts for a wait by its own time. What a turn
// asks about the moment at which it is taken is told by the lateness.
func TestALateEngineJudgesEventsByTheirTime(t *testing.T) {
	t.Parallel()
	p := planFrom(t, lateness)
	at := func(id, kind, with string, at time.Time) PastEvent {
		return PastEvent{Event: campaign.Event{ID: id, Type: kind, Member: "m", Time: at, Stored: at, Properties: json.RawMessage(with)}}
	}
	order := func(id, offer, amount string, when time.Time) PastEvent {
		return at(id, "order.paid", fmt.Sprintf(`{"order":%q,"offer":%q,"amount":{"amount":%q,"currency":"CNY"}}`, "o-"+id, offer, amount), when)
	}
	noon := first.Add(12 * time.Hour)
	lesson := noon.Add(30 * time.Minute)
	for name, c := range map[string]struct {
		behind  time.Duration // the end of the lock
		outcome string
	}{
		"at the last moment of the lock": {0, campaign.OutcomeCompleted},
		"behind it":                      {time.Second, "lapsed"},
	} {
		for _, late := range []time.Duration{0, time.Minute, 20 * time.Minute} {
			opened := lesson // within the offer's grace nobody's lock begins later because the engine is late
			if late > 10*time.Minute {
				opened = lesson.Add(late)
			}
			events := []PastEvent{
				order("t", "trial", "9.90", noon), at("l", "lesson.attended", `{"lesson":"yoga"}`, lesson),
				order("p", "card", "199.00", opened.Add(day+c.behind)),
			}
			got, err := FollowLate(p, campaign.Member{ID: "m"}, events, first, first.AddDate(0, 0, 9), late)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Entries) != 1 || got.Entries[0].Outcome != c.outcome {
				t.Errorf("%s, %s late: %+v, want one entry that ends as %s", name, late, got.Entries, c.outcome)
			}
			if len(got.Sends) != 1 || !got.Sends[0].At.Equal(lesson.Add(late)) {
				t.Errorf("%s, %s late: %+v, want one message at %s", name, late, got.Sends, lesson.Add(late))
			}
			if len(got.Member.Tags) != 0 {
				t.Errorf("%s, %s late: tags %v before the lesson", name, late, got.Member.Tags)
			}
		}
	}
	events := []PastEvent{order("t", "trial", "9.90", noon), at("l", "lesson.attended", `{"lesson":"yoga"}`, lesson)}
	got, err := FollowLate(p, campaign.Member{ID: "m"}, events, first, first.AddDate(0, 0, 9), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Member.Tags) != 1 {
		t.Errorf("a first turn behind the lesson counts it, but the tags are %v", got.Member.Tags)
	}
}
