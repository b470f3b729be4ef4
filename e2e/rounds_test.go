package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

// On this clock a day is a second. In the night to 28 March clocks go forward in Berlin.
const (
	rounds = `
campaign: rounds
title: waits until, splits and repeats
timezone: Europe/Berlin
currency: EUR
member: {rounds: int}
events:
  order.paid: {order: string, offer: string, amount: money}
  lesson.attended: {lesson: string}
messages:
  hi: "hi"
  ho: "ho"
  again: "again"
journeys:
  way:
    start: {on: lesson.attended}
    goal: {on: order.paid}
    on_goal: continue
    holdout: 20%
    steps:
      - split:
          name: greeting
          arms:
            A: {share: 70%, steps: [{send: hi}]}
            B: {share: 30%, steps: [{send: ho}]}
      - repeat:
          times: 5
          every: 12h
          until: member.rounds == 2
          steps:
            - send: again
            - set: {rounds: member.rounds + 1}
      - wait: {until: "02:30"}
      - wait: {until: event.time + duration("72h")}
      - end: through
`
	roundsFactor = 86_400 / 2
)

func TestRoundsSplitsAndMoments(t *testing.T) { overDrives(t, testRoundsSplitsAndMoments) }

func testRoundsSplitsAndMoments(t *testing.T, f *fleet) {
	const members = 60
	from := time.Date(2027, 3, 27, 11, 0, 0, 0, time.UTC)
	f.runWorker()
	f.runRouter()
	begin := from.Add(time.Minute)
	name := f.submit(rounds, roundsFactor, from)
	var events []campaign.Event
	for i := range members {
		member := fmt.Sprintf("m-%d", i)
		events = append(events, attended("l-"+member, member, begin))
	}
	f.events(events...)
	// A third buys at once, and so before anything was sent; a third on the next day.
	f.until("everybody has entered", func() bool { return f.count(`select count(*) from journeys`) == members })
	var orders []campaign.Event
	for i := range members {
		member := fmt.Sprintf("m-%d", i)
		switch i % 3 {
		case 1:
			orders = append(orders, paid("o-"+member, member, "x", "9.00", begin))
		case 2:
			orders = append(orders, paid("o-"+member, member, "x", "9.00", begin.Add(time.Hour)))
		}
	}
	for i := range orders {
		orders[i].Properties = []byte(fmt.Sprintf(`{"order":"o-%d","offer":"x","amount":{"amount":"9.00","currency":"EUR"}}`, i))
	}
	f.until("the hour is over", func() bool { return f.now(name).After(begin.Add(time.Hour)) })
	f.events(orders...)
	f.allDone()

	arms := []campaign.Arm{{Name: "A", Share: 7000}, {Name: "B", Share: 3000}}
	want := map[string]int{}
	converted, heldConverted := map[string]int{}, 0
	for i := range members {
		member := fmt.Sprintf("m-%d", i)
		if journey.HeldOut("rounds", "way", member, 2000) {
			if want["held"]++; i%3 != 0 {
				heldConverted++ // measured like the rest
			}
			continue
		}
		arm := arms[journey.ArmOf("rounds", "greeting", member, arms)].Name
		if want[arm]++; i%3 == 2 {
			converted[arm]++ // what was bought at the moment of the exposure did not come of it
		}
	}
	if want["A"] == 0 || want["B"] == 0 || want["held"] == 0 {
		t.Fatalf("a poor crowd: %v", want)
	}
	for sql, n := range map[string]int{
		`select count(*) from journeys where outcome = 'through'`:                                                                  members,
		`select count(*) from messages where name = 'hi' and state = 'sent'`:                                                       want["A"],
		`select count(*) from messages where name = 'ho' and state = 'sent'`:                                                       want["B"],
		`select count(*) from exposures where arm = 'A'`:                                                                           want["A"],
		`select count(*) from exposures where arm = 'B'`:                                                                           want["B"],
		`select count(*) from trace where kind = 'exposed'`:                                                                        want["A"] + want["B"],
		`select count(*) from exposures x join journeys j on j.id = x.journey and j.holdout`:                                       0,
		`select count(*) from messages where name = 'again' and state = 'sent'`:                                                    2 * (want["A"] + want["B"]),
		`select count(*) from trace where kind = 'round'`:                                                                          2 * members,
		`select count(*) from trace where kind = 'rounds_over' and params ->> 'reason' = 'until'`:                                  members,
		`select count(*) from trace where kind = 'waiting' and params ->> 'what' = '02:30' and params ->> 'until' = '03-28 03:00'`: members,
		`select count(*) from journeys where (state ->> 'since')::timestamptz = '2027-03-30T11:01:00Z'`:                            members,
	} {
		if got := f.count(sql); got != n {
			t.Errorf("%s: %d, want %d", sql, got, n)
		}
	}

	report, err := f.store.Report(f.ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Journeys) != 1 || len(report.Journeys[0].Splits) != 1 {
		t.Fatalf("%+v", report.Journeys)
	}
	if g := report.Journeys[0].Goal; int(g.HeldOut.Of) != want["held"] || int(g.HeldOut.Did) != heldConverted ||
		int(g.Converted.Of) != members-want["held"] {
		t.Errorf("goal %+v, holdout %+v; want %d of %d", g, g.HeldOut, heldConverted, want["held"])
	}
	for i, a := range report.Journeys[0].Splits[0].Arms {
		if a.Arm != arms[i].Name || int(a.Members) != want[a.Arm] || int(a.Converted.Did) != converted[a.Arm] ||
			a.Value.Amount != fmt.Sprintf("%d.00", 9*converted[a.Arm]) || (a.Uplift == nil) != (i == 0) {
			t.Errorf("%+v, want %v of %v", a, converted, want)
		}
	}
}
