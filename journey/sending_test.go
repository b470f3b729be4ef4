package journey_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

const night = `
campaign: night
title: 夜里
timezone: %ZONE%
events:
  order.paid: {order: string, offer: string, amount: money}
  ping: {}
offers:
  card: {title: 月卡, price: 199, list_price: 299, lock: %LOCK%}
messages:
  hi: 你好
  drop: {text: 丢, when_capped: drop}
  service: {text: 服务, kind: service}
  rem: {text: 提醒, kind: service}
limits:
  quiet_hours: {from: "22:00", until: "08:00"}
  messages_per_member: {times: 2, every: 24h}
journeys:
  j:
    start: {on: ping}
    goal: {on: order.paid}
    steps:
%STEPS%
`

func nightly(steps string, replace ...string) string {
	lines := strings.Split(strings.TrimSpace(steps), "\n")
	for i := range lines {
		lines[i] = "      " + lines[i]
	}
	pairs := append(slices.Clone(replace), "%ZONE%", "Asia/Shanghai", "%LOCK%", "48h", "%STEPS%", strings.Join(lines, "\n"))
	return strings.NewReplacer(pairs...).Replace(night)
}

func shanghai(hour, minute int) time.Time {
	return time.Date(2026, 12, 1, hour, minute, 0, 0, time.FixedZone("CST", 8*3600)).UTC()
}

func (w *world) sentAt(t *testing.T, message string) []string {
	t.Helper()
	var at []string
	for _, s := range w.sends {
		if s.Message == message {
			at = append(at, s.At.In(time.FixedZone("CST", 8*3600)).Format("02 15:04"))
		}
	}
	return at
}

func TestQuietHours(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at   time.Time
		sent string
	}{
		"in the evening":       {shanghai(21, 59), "01 21:59"},
		"at the first moment":  {shanghai(22, 0), "02 08:00"},
		"after midnight":       {shanghai(3, 0), "01 08:00"},
		"at the last moment":   {shanghai(7, 59), "01 08:00"},
		"when they are over":   {shanghai(8, 0), "01 08:00"},
		"in the middle of day": {shanghai(14, 30), "01 14:30"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := enter(t, compile(t, nightly("- send: hi")), "j", event("p", "ping", c.at, `{}`))
			w.punctual(c.at.Add(3 * day))
			if got := strings.Join(w.sentAt(t, "hi"), " "); got != c.sent || w.done != "completed" {
				t.Errorf("sent %q, outcome %q; want %q\n%s", got, w.done, c.sent, w.story())
			}
		})
	}
}

// Clocks go forward at 02:00 on 2027-03-14 in New York: the night is an hour shorter,
// and still ends at eight by the clock on the wall.
func TestQuietHoursOverDST(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2027, 3, 13, 23, 0, 0, 0, zone)
	w := enter(t, compile(t, nightly("- send: hi", "%ZONE%", "America/New_York")), "j", event("p", "ping", at.UTC(), `{}`))
	w.punctual(at.Add(3 * day))
	if got := w.sends[0].At.In(zone).Format("2006-01-02 15:04"); got != "2027-03-14 08:00" {
		t.Errorf("sent at %s", got)
	}
	if d := w.sends[0].At.Sub(at); d != 8*time.Hour {
		t.Errorf("the night lasted %s, want 8h", d)
	}
}

func TestCap(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps string
		want  map[string]string
	}{
		"the third waits for a day":     {"- send: hi\n- send: hi\n- send: hi", map[string]string{"hi": "01 12:00 01 12:00 02 12:00"}},
		"the third is dropped":          {"- send: hi\n- send: hi\n- send: drop\n- end: over", map[string]string{"hi": "01 12:00 01 12:00", "drop": ""}},
		"service messages pass":         {"- send: hi\n- send: hi\n- send: service", map[string]string{"hi": "01 12:00 01 12:00", "service": "01 12:00"}},
		"service messages do not count": {"- send: service\n- send: service\n- send: service\n- send: hi\n- send: hi", map[string]string{"hi": "01 12:00 01 12:00"}},
		"a wait makes room":             {"- send: hi\n- send: hi\n- wait: 24h\n- send: hi", map[string]string{"hi": "01 12:00 01 12:00 02 12:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := enter(t, compile(t, nightly(c.steps)), "j", event("p", "ping", shanghai(12, 0), `{}`))
			w.punctual(shanghai(12, 0).Add(5 * day))
			for message, want := range c.want {
				if got := strings.Join(w.sentAt(t, message), " "); got != want {
					t.Errorf("%s sent at %q, want %q\n%s", message, got, want, w.story())
				}
			}
			if w.done == "" {
				t.Error("the journey did not end")
			}
		})
	}
}

func TestReminderRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lock, before string
		enter        time.Time
		sent         string // "" not at all
	}{
		"at its moment": {"48h", "24h", shanghai(12, 0), "02 12:00"},
		"a moment in the night waits for morning":  {"48h", "24h", shanghai(23, 0), "03 08:00"},
		"the night would push it past the end":     {"14h", "2h", shanghai(12, 0), "01 21:59"},
		"the night reaches just to the end":        {"20h", "1h", shanghai(12, 0), "01 21:59"},
		"opened in the same night, it is too late": {"6h", "2h", shanghai(23, 30), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := nightly("- offer: card\n  remind:\n    - {before: "+c.before+", send: rem}", "%LOCK%", c.lock)
			w := enter(t, compile(t, source), "j", event("p", "ping", c.enter, `{}`))
			w.punctual(c.enter.Add(6 * day))
			if got := strings.Join(w.sentAt(t, "rem"), " "); got != c.sent {
				t.Errorf("sent at %q, want %q\n%s", got, c.sent, w.story())
			}
		})
	}
}

// A reminder whose moment has passed when the offer opens late is skipped, and says so.
func TestReminderWhoseMomentHasPassed(t *testing.T) {
	t.Parallel()
	p := compile(t, nightly("- offer: card\n  remind:\n    - {before: 47h59m, send: rem}"))
	w := enter(t, p, "j", event("p", "ping", shanghai(12, 0), `{}`))
	w.turn(shanghai(12, 5)) // within the grace of ten minutes, so it opened at 12:00
	w.punctual(shanghai(12, 0).Add(4 * day))
	if len(w.sentAt(t, "rem")) != 0 || !strings.Contains(w.story(), "rem NOT sent: its moment had passed") {
		t.Errorf("%s", w.story())
	}
}

// Nothing is sent or granted to the holdout, and it is measured like the rest.
func TestHoldout(t *testing.T) {
	t.Parallel()
	p := compile(t, fitnessTrial(t))
	w := enter(t, p, "trial-to-card", paid("trial", "trial", "9.90", noon),
		event("l", "lesson.attended", noon.Add(time.Hour), `{}`), paid("card", "monthly-card", "199.00", noon.Add(2*time.Hour)))
	w.state.Holdout = true
	w.punctual(noon.Add(20 * day))
	if len(w.sends) != 0 || len(w.grants) != 0 || len(w.offers) != 0 || w.goal == nil || w.done != "card-only" {
		t.Errorf("sends %d, grants %v, offers %d, goal %v, outcome %s\n%s", len(w.sends), w.grants, len(w.offers), w.goal, w.done, w.story())
	}
	for _, l := range w.trace {
		if l.Kind == campaign.TraceSend {
			t.Errorf("a message was handed out: %s", l.Words(campaign.English))
		}
	}
}
