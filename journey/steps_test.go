package journey_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

const steps = `
campaign: steps
title: 步骤
member: {city: string, visits: int, level: {type: string, one_of: [bronze, gold]}}
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string}
  ping: {n: int}
  pong: {n: int}
segments:
  tagged: '"vip" in member.tags'
offers:
  open: {title: 常驻, price: 50, stock: 1}
  once: {title: 一次, price: 50, lock: 1h, per_member: 1}
rewards:
  gift: {points: 10}
messages:
  hi: "{{ member.city }}"
journeys:
  j:
    start: {on: ping}
    exit: {on: order.refunded, when: 'event.order == "x"'}
    goal: {on: order.paid, when: 'event.offer == "goal"'}
    steps:
`

func stepwise(t *testing.T, body string, events ...campaign.Event) *world {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(body), "\n")
	for i := range lines {
		lines[i] = "      " + lines[i]
	}
	events = append([]campaign.Event{event("p", "ping", noon, `{"n":3}`)}, events...)
	w := enter(t, compile(t, steps+strings.Join(lines, "\n")), "j", events...)
	w.member.Attributes = map[string]json.RawMessage{"city": json.RawMessage(`"上海"`)}
	return w
}

func TestChooseTagSet(t *testing.T) {
	t.Parallel()
	w := stepwise(t, `
- tag: [vip, new]
- untag: new
- set: {visits: member.visits + start.n, city: '"北京"'}
- choose:
    - when: member.visits > 3
      steps: [{end: many}]
    - when: segment("tagged") && member.visits == 3
      steps: [{send: hi}, {end: right}]
  otherwise:
    - end: wrong`)
	w.punctual(noon.Add(day))
	if w.done != "right" || !slices.Equal(w.member.Tags, []string{"vip"}) {
		t.Errorf("outcome %s, tags %v\n%s", w.done, w.member.Tags, w.story())
	}
	if w.sends[0].Bodies[0].Body != "北京" {
		t.Errorf("a later step does not see what was set: %q", w.sends[0].Bodies[0].Body)
	}
}

func TestGotoLoopsOverAWait(t *testing.T) {
	t.Parallel()
	w := stepwise(t, `
- label: again
  await: pong
  for: 1d
  otherwise:
    - end: done
- send: hi
- goto: again`, event("a", "pong", noon.Add(time.Hour), `{}`), event("b", "pong", noon.Add(2*time.Hour), `{}`))
	w.punctual(noon.Add(9 * day))
	if w.done != "done" || len(w.sends) != 2 {
		t.Fatalf("outcome %s, %d messages\n%s", w.done, len(w.sends), w.story())
	}
	if w.sends[0].Key == w.sends[1].Key {
		t.Error("two visits of a step share a key")
	}
}

// Two events at the very same moment move two waits, one each.
func TestEventsAtTheSameMoment(t *testing.T) {
	t.Parallel()
	at := noon.Add(time.Hour)
	w := stepwise(t, "- await: pong\n  for: 1d\n  otherwise: [{end: none}]\n- await: pong\n  for: 1d\n  otherwise: [{end: one}]\n- end: two",
		event("a", "pong", at, `{}`), event("b", "pong", at, `{}`))
	w.punctual(noon.Add(5 * day))
	if w.done != "two" {
		t.Errorf("outcome %s\n%s", w.done, w.story())
	}
	alone := stepwise(t, "- await: pong\n  for: 1d\n  otherwise: [{end: none}]\n- await: pong\n  for: 1d\n  otherwise: [{end: one}]\n- end: two",
		event("a", "pong", at, `{}`))
	if alone.punctual(noon.Add(5 * day)); alone.done != "one" {
		t.Errorf("one event moved two waits\n%s", alone.story())
	}
}

// An event that was stored before the wait for it began, but happened after, counts.
func TestEventThatArrivesBeforeItsWait(t *testing.T) {
	t.Parallel()
	first := event("a", "ping", noon.Add(time.Hour), `{}`)
	first.Stored = noon.Add(5 * time.Hour) // late
	second := event("b", "pong", noon.Add(2*time.Hour), `{}`)
	w := stepwise(t, "- await: ping\n  for: 1d\n  otherwise: [{end: none}]\n- await: pong\n  for: 1d\n  otherwise: [{end: missed}]\n- end: both", first, second)
	w.punctual(noon.Add(5 * day))
	if w.done != "both" {
		t.Errorf("outcome %s\n%s", w.done, w.story())
	}
}

func TestAwaitDeadline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		time, stored time.Duration
		grace        string
		outcome      string
		late         bool
	}{
		"at the deadline":              {day, day, "", "came", false},
		"after the deadline":           {day + time.Microsecond, day + time.Microsecond, "", "none", false},
		"in time, stored too late":     {day - time.Hour, day + time.Microsecond, "", "none", true},
		"in time, stored within grace": {day - time.Hour, day + time.Hour, "\n  grace: 1h", "came", false},
		"in time, stored after grace":  {day - time.Hour, day + time.Hour + 1000, "\n  grace: 1h", "none", true},
		"after the deadline, in grace": {day + time.Minute, day + time.Minute, "\n  grace: 1h", "none", false},
		"before the journey was begun": {-time.Hour, time.Hour, "", "none", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := event("a", "pong", noon.Add(c.time), `{}`)
			e.Stored = noon.Add(c.stored)
			w := stepwise(t, "- await: pong\n  for: 1d"+c.grace+"\n  otherwise: [{end: none}]\n- end: came", e)
			w.punctual(noon.Add(5 * day))
			late := strings.Contains(w.story(), "arrived too late")
			if w.done != c.outcome || late != c.late {
				t.Errorf("outcome %s, late %v; want %s, %v\n%s", w.done, late, c.outcome, c.late, w.story())
			}
		})
	}
}

func TestExitAndGoal(t *testing.T) {
	t.Parallel()
	exit := stepwise(t, "- offer: once\n  taken: [{end: got}]", event("r", "order.refunded", noon.Add(time.Minute), `{"order":"x"}`))
	exit.punctual(noon.Add(day))
	if exit.done != campaign.OutcomeExited || !strings.Contains(exit.verdict(), "offer once withdrawn") {
		t.Errorf("%s\n%s", exit.done, exit.verdict())
	}
	other := stepwise(t, "- wait: 1h\n- end: through", event("r", "order.refunded", noon.Add(time.Minute), `{"order":"y"}`))
	if other.punctual(noon.Add(day)); other.done != "through" {
		t.Errorf("another order's refund ended the journey: %s", other.done)
	}
	goal := stepwise(t, "- wait: 1h\n- end: through", paid("g", "goal", "88.00", noon.Add(time.Minute)))
	goal.punctual(noon.Add(day))
	if goal.done != campaign.OutcomeConverted || goal.goal == nil || goal.goal.Value.String() != "¥88.00" {
		t.Errorf("%s %+v", goal.done, goal.goal)
	}
}

// An offer without a lock stays open after the journey's end; stock holds.
func TestOfferWithoutLock(t *testing.T) {
	t.Parallel()
	w := stepwise(t, "- offer: open\n- end: through", paid("a", "open", "50.00", noon.Add(3*day)), paid("b", "open", "50.00", noon.Add(4*day)))
	w.stock["open"] = 1
	w.punctual(noon.Add(2 * day))
	if w.done != "through" {
		t.Fatalf("outcome %s", w.done)
	}
	w.turn(noon.Add(5 * day))
	if !strings.Contains(w.verdict(), `offer open taken`) || w.done != "through" {
		t.Errorf("%s\n%s", w.verdict(), w.story())
	}
}

func TestPerMember(t *testing.T) {
	t.Parallel()
	w := stepwise(t, "- offer: once\n  taken: [{tag: first}]\n- offer: once\n  taken: [{end: twice}]\n  lapsed: [{end: lapsed}]\n- end: skipped",
		paid("a", "once", "50.00", noon.Add(time.Minute)), paid("b", "once", "50.00", noon.Add(2*time.Minute)))
	w.punctual(noon.Add(2 * day))
	if w.done != "skipped" {
		t.Errorf("outcome %s\n%s", w.done, w.story())
	}
}

func TestEntryRules(t *testing.T) {
	t.Parallel()
	const source = `
campaign: entry
title: 进入
window: {from: 2026-12-01, until: 2026-12-31}
events: {ping: {}}
journeys:
  j:
    start: {on: ping}
    entry: %ENTRY%
    goal: {on: ping, when: "false"}
    steps: [{wait: 1d}]
`
	in := func(n int, active bool, ago time.Duration) journey.Entrant {
		return journey.Entrant{Entries: n, Active: active, LastEntered: noon.Add(-ago), Now: noon}
	}
	for rule, cases := range map[string]map[string]journey.Entrant{
		"once":               {"": in(0, false, 0), journey.NotAgain: in(1, false, day), journey.NotActive: in(1, true, day)},
		"after_exit":         {"": in(3, false, 0), journey.NotActive: in(1, true, day)},
		"every_time":         {"": in(3, true, 0)},
		"{again_after: 30d}": {"": in(1, false, 30*day), journey.NotAgain: in(1, false, 30*day-1), journey.NotActive: in(1, true, 40*day)},
	} {
		p := compile(t, strings.ReplaceAll(source, "%ENTRY%", rule))
		for want, e := range cases {
			e.Campaign, e.Member = "entry", &campaign.Member{ID: "m"}
			ping := event("p", "ping", noon, `{}`)
			e.Event = &ping
			_, why, err := p.Admit(p.StartsOn("ping")[0], e)
			if err != nil || why != want {
				t.Errorf("%s with %+v: %q %v, want %q", rule, e, why, err, want)
			}
		}
	}
	p := compile(t, strings.ReplaceAll(source, "%ENTRY%", "once"))
	for at, want := range map[string]string{
		"2026-11-30T15:59:59Z": journey.NotWindow, "2026-11-30T16:00:00Z": "",
		"2026-12-31T15:59:59Z": "", "2026-12-31T16:00:00Z": journey.NotWindow,
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		ping := event("p", "ping", now, `{}`)
		_, why, err := p.Admit(p.StartsOn("ping")[0], journey.Entrant{Campaign: "entry", Member: &campaign.Member{ID: "m"}, Event: &ping, Now: now})
		if err != nil || why != want {
			t.Errorf("at %s: %q %v, want %q", at, why, err, want)
		}
	}
}

func TestHoldoutShare(t *testing.T) {
	t.Parallel()
	held := 0
	for i := range 100_000 {
		if journey.HeldOut("c", "j", string(rune('a'+i%26))+time.Duration(i).String(), 500) {
			held++
		}
	}
	if held < 4_700 || held > 5_300 {
		t.Errorf("%d of 100,000 are held out, want some 5,000", held)
	}
	if journey.HeldOut("c", "j", "m", 0) || !journey.HeldOut("c", "j", "m", 10_000) {
		t.Error("a share of nothing holds nobody, one of all holds everybody")
	}
}
