package simulate

import (
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/definitions"
)

const pointed = `
campaign: readers
title: Readers
events:
  group.message: {text: string}
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string}
rewards:
  welcome: {points: 5, expires: 10d}
points:
  rules:
    speak: {on: group.message, amount: 2, per_day: 3}
    purchase: {on: order.paid, amount: 'event.amount / money("10.00")', reverse_on: {on: order.refunded, when: event.order == start.order}}
  expires: 30d
  levels: {silver: {at: 10}}
  within: 20d
  grace: 2d
journeys:
  silver:
    start: {on: level.changed, when: event.up}
    goal: {on: order.paid, when: event.order == "none"}
    steps:
      - grant: welcome
      - await: level.changed
        for: 100d
        otherwise: [{end: kept}]
      - end: fell
tests:
  - name: rises, and falls when nothing counts any more and the grace is over
    start: 2027-03-01 10:00
    events:
      - {at: +0s, event: group.message, with: {text: a}}
      - {at: +1m, event: group.message, with: {text: b}}
      - {at: +1h, event: order.paid, with: {order: o-1, offer: x, amount: 99.90}}
    expect: {points: 12, outcome: [{outcome: fell, at: 2027-03-23 00:00}], grants: [welcome]}
  - name: until then she has them
    start: 2027-03-01 10:00
    until: +9d
    events: [{at: +0s, event: order.paid, with: {order: o-1, offer: x, amount: 100}}]
    expect: {points: 15}
  - name: the reward has ended, the rest not
    start: 2027-03-01 10:00
    until: +11d
    events: [{at: +0s, event: order.paid, with: {order: o-1, offer: x, amount: 100}}]
    expect: {points: 10}
  - name: a refund that is told before its order leaves nothing
    start: 2027-03-01 10:00
    until: +1d
    events:
      - {at: +2h, event: order.refunded, with: {order: o-1}}
      - {at: +1h, stored: +3h, event: order.paid, with: {order: o-1, offer: x, amount: 90}}
    expect: {points: 0, outcome: []}
`

func TestPointsAreRehearsed(t *testing.T) {
	t.Parallel()
	def, problems := definitions.Check("readers.yaml", []byte(pointed))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	plan, err := NewPlan(def)
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(pointed, "tests:")
	tests, problems := definitions.TestsBeside("readers.test.yaml", []byte("tests:"+list), def)
	if problems.Refused() {
		t.Fatal(problems.Text(false))
	}
	for i := range tests {
		v, err := Verify(plan, &tests[i])
		if err != nil {
			t.Fatal(err)
		}
		if !v.OK {
			for _, l := range v.Story {
				t.Log(l.At.Format(time.DateTime), l.Words("en"))
			}
			t.Error(v.Failures.Text(false))
		}
	}
}

// A crowd's report counts what the rules gave; whoever rehearses it again comes to the same.
func TestPointsOfACrowd(t *testing.T) {
	t.Parallel()
	def, problems := definitions.Check("readers.yaml", []byte(pointed))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	plan, err := NewPlan(def)
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	run := func(workers int) *Report {
		people := Made(plan, Derive(plan, from), 500, 7, from, 10*24*time.Hour)
		return rehearse(t, Config{Plan: plan, People: people, From: from, Span: 60 * 24 * time.Hour, Workers: workers})
	}
	r, again := run(1), run(2)
	p := r.Points
	if p == nil || len(p.Rules) != 2 || p.Rules[0].Points == 0 || p.Expired == 0 || len(p.Levels) != 1 || p.Levels[0].Risen == 0 {
		t.Errorf("%+v", p)
	}
	if p.Rules[0] != again.Points.Rules[0] || p.Rules[1] != again.Points.Rules[1] || p.Expired != again.Points.Expired {
		t.Errorf("%+v and %+v", p, again.Points)
	}
}
