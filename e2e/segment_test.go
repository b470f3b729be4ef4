package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

const bySegment = `
campaign: groups
title: 按人群进入
events:
  order.paid: {order: string, offer: string, amount: money}
  lesson.attended: {lesson: string}
member:
  age: int
messages:
  hi: "你好"
segments:
  grown-up: member.age >= 18 && !("staff" in member.tags)
  busy: count("lesson.attended", duration("30d")) >= 2
journeys:
  adults:
    start: {segment: grown-up}
    goal: {on: order.paid}
    steps:
      - send: hi
      - wait: 30d
  regulars:
    start: {segment: busy}
    goal: {on: order.paid}
    steps:
      - wait: 30d
`

// Everybody who is in a segment enters: those who were there when the campaign started
// by its sweep, in pages, and those who come into it later at once.
func TestWhoeverIsInASegmentEnters(t *testing.T) { overDrives(t, testWhoeverIsInASegmentEnters) }

func testWhoeverIsInASegmentEnters(t *testing.T, f *fleet) {
	const members = 620 // more than a page
	now := time.Now()
	var puts []store.MemberPut
	var events []campaign.Event
	for i := range members {
		p := store.MemberPut{ID: fmt.Sprintf("m-%04d", i), JoinedAt: now, Attributes: map[string]json.RawMessage{"age": json.RawMessage(fmt.Sprint(i % 40))}}
		if i%7 == 0 {
			p.Tags = []string{"staff"}
		}
		if i%11 == 0 {
			delete(p.Attributes, "age") // unknown: cannot be decided
		}
		puts = append(puts, p)
		for n := range i % 4 {
			events = append(events, attended(fmt.Sprintf("l-%d-%d", i, n), p.ID, now))
		}
	}
	if _, err := f.store.PutMembers(f.ctx, puts); err != nil {
		t.Fatal(err)
	}
	f.events(events...)
	stop := f.runRouter()
	f.until("the intents of before are done", func() bool { return f.count(`select count(*) from intents`) == 0 })
	stop()
	f.submit(bySegment, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	adults, regulars := 0, 0
	for i := range members {
		if i%40 >= 18 && i%7 != 0 && i%11 != 0 {
			adults++
		}
		if i%4 >= 2 {
			regulars++
		}
	}
	entered := func(journey string) int { return f.count(`select count(*) from journeys where journey = $1`, journey) }
	f.until("everybody has entered", func() bool { return entered("adults") >= adults && entered("regulars") >= regulars })
	f.until("everybody was greeted", func() bool { return f.count(`select count(*) from messages where state = 'sent'`) == adults })
	if a, r := entered("adults"), entered("regulars"); a != adults || r != regulars {
		t.Errorf("%d adults and %d regulars have entered, want %d and %d", a, r, adults, regulars)
	}
	if n := f.count(`select count(*) from journeys j join members m on m.id = j.member
		where j.journey = 'adults' and (coalesce((m.attributes ->> 'age')::int, 0) < 18 or 'staff' = any(m.tags))`); n != 0 {
		t.Errorf("%d have entered who are not in the segment", n)
	}

	// She has a birthday; another attends her second lesson.
	if _, err := f.store.PutMembers(f.ctx, []store.MemberPut{{ID: "m-0017", Attributes: map[string]json.RawMessage{"age": json.RawMessage("18")}}}); err != nil {
		t.Fatal(err)
	}
	f.events(attended("second", "m-0001", time.Now()))
	f.until("both have entered", func() bool { return entered("adults") == adults+1 && entered("regulars") == regulars+1 })
}
