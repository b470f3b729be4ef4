package journey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

const calendar = `
campaign: calendar
title: calendar
timezone: %ZONE%
events:
  order.paid: {order: string, offer: string, amount: money}
  go: {at: time}
offers:
  card: {price: 10, lock: 48h}
  open: {price: 10}
journeys:
  j:
    start: {on: go}
    steps:
%STEPS%
      - tag: through
      - wait: 1s
`

// reached enters a journey at a moment, waits, and says when it got through.
func reached(t *testing.T, zone, start, properties, steps string) (at time.Time, w *world) {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	begin, err := time.ParseInLocation("2006-01-02 15:04", start, loc)
	if err != nil {
		t.Fatal(err)
	}
	lines := "      " + strings.ReplaceAll(strings.TrimSpace(steps), "\n", "\n      ")
	source := strings.NewReplacer("%ZONE%", zone, "%STEPS%", lines).Replace(calendar)
	w = enter(t, compile(t, source), "j", event("e-1", "go", begin.UTC(), properties))
	w.punctual(begin.AddDate(12, 0, 0).UTC())
	for _, l := range w.trace {
		if l.Kind == campaign.TraceTagged {
			return l.At.In(loc), w
		}
	}
	t.Fatalf("it does not get through\n%s", w.story())
	return at, w
}

func TestWaitUntil(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ zone, start, properties, steps, want string }{
		"a time of day":           {"Asia/Shanghai", "2026-12-01 12:00", `{}`, `- wait: {until: "09:00"}`, "2026-12-02 09:00"},
		"next day":                {"Asia/Shanghai", "2026-12-01 08:00", `{}`, `- wait: {until: next day 09:00}`, "2026-12-02 09:00"},
		"a weekday":               {"Asia/Shanghai", "2026-12-01 12:00", `{}`, `- wait: {until: monday 09:00}`, "2026-12-07 09:00"},
		"a date":                  {"Asia/Shanghai", "2026-12-01 12:00", `{}`, `- wait: {until: 2026-12-24 20:00}`, "2026-12-24 20:00"},
		"a date that is past":     {"Asia/Shanghai", "2026-12-25 12:00", `{}`, `- wait: {until: 2026-12-24 20:00}`, "2026-12-25 12:00"},
		"this very moment":        {"Asia/Shanghai", "2026-12-24 20:00", `{}`, `- wait: {until: 2026-12-24 20:00}`, "2026-12-24 20:00"},
		"a cron line":             {"Asia/Shanghai", "2026-12-04 18:00", `{}`, `- wait: {until: 0 9 * * 1-5}`, "2026-12-07 09:00"},
		"into the gap of spring":  {"Europe/Berlin", "2027-03-27 12:00", `{}`, `- wait: {until: "02:30"}`, "2027-03-28 03:00"},
		"over the gap":            {"America/New_York", "2027-03-13 09:00", `{}`, `- wait: {until: "09:00"}`, "2027-03-14 09:00"},
		"the first of two":        {"America/New_York", "2027-11-06 12:00", `{}`, `- wait: {until: "01:30"}`, "2027-11-07 01:30"},
		"an expression":           {"Asia/Shanghai", "2026-12-01 12:00", `{"at":"2026-12-03T10:00:00+08:00"}`, `- wait: {until: start.at - duration("2h")}`, "2026-12-03 08:00"},
		"an expression, past":     {"Asia/Shanghai", "2026-12-01 12:00", `{"at":"2026-11-03T10:00:00+08:00"}`, `- wait: {until: start.at}`, "2026-12-01 12:00"},
		"an expression, nothing":  {"Asia/Shanghai", "2026-12-01 12:00", `{}`, `- wait: {until: start.at}`, "2026-12-01 12:00"},
		"an expression, far away": {"Asia/Shanghai", "2026-12-01 12:00", `{"at":"2996-11-03T10:00:00+08:00"}`, `- wait: {until: start.at}`, "2036-12-08 12:00"},
		"an offer's end":          {"Asia/Shanghai", "2026-12-01 12:00", `{}`, "- offer: card\n- wait: {until: 'offer.expires_at + duration(\"1h\")'}", "2026-12-03 13:00"},
		"one after the other":     {"Asia/Shanghai", "2026-12-01 12:00", `{}`, "- wait: {until: monday 09:00}\n- wait: {until: monday 09:00}", "2026-12-14 09:00"},
		"now is when it began":    {"Asia/Shanghai", "2026-12-01 12:00", `{}`, "- wait: 1d\n- wait: {until: now + duration(\"90m\")}", "2026-12-02 13:30"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, w := reached(t, c.zone, c.start, c.properties, c.steps)
			if got := at.Format("2006-01-02 15:04"); got != c.want {
				t.Errorf("through at %s, want %s\n%s", got, c.want, w.story())
			}
		})
	}
}

// Of an hour that is there twice it is the first, even where the wait began in it.
func TestWaitUntilTakesTheFirstOfTwo(t *testing.T) {
	t.Parallel()
	at, w := reached(t, "America/New_York", "2027-11-06 12:00", `{}`, `- wait: {until: "01:30"}`)
	if want := time.Date(2027, 11, 7, 5, 30, 0, 0, time.UTC); !at.Equal(want) {
		t.Errorf("%s, want %s\n%s", at, want, w.story())
	}
}

// A late turn reckons `now` from when the step began.
func TestNowOfALateWait(t *testing.T) {
	t.Parallel()
	source := strings.NewReplacer("%ZONE%", "Asia/Shanghai", "%STEPS%", `      - wait: {until: now + duration("2h")}`).Replace(calendar)
	w := enter(t, compile(t, source), "j", event("e-1", "go", noon, `{}`))
	if d := w.turn(noon.Add(time.Hour)); !d.WaitUntil.Equal(noon.Add(2 * time.Hour)) {
		t.Errorf("waits until %s", d.WaitUntil)
	}
}
