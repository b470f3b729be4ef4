package journey_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
)

const day = 24 * time.Hour

// The lock of the model campaign opens with the lesson at noon and ends 48 h later.
func TestLockEdges(t *testing.T) {
	t.Parallel()
	p := compile(t, strings.ReplaceAll(fitnessTrial(t), "grace: 24h", "grace: 10m"))
	lesson := noon.Add(time.Hour)
	end := lesson.Add(48 * time.Hour)
	for name, c := range map[string]struct {
		amount          string
		paid, stored    time.Duration // before (negative) or after the lock's end
		taken           bool
		outcome, review string
	}{
		"paid a second before the end, arrives five after": {"199.00", -time.Second, 5 * time.Second, true, "card-only", ""},
		"paid at the very end":                             {"199.00", 0, time.Second, true, "card-only", ""},
		"paid a second after the end":                      {"299.00", time.Second, 2 * time.Second, false, "lapsed", ""},
		"paid a second after the end, at the locked price": {"199.00", time.Second, 2 * time.Second, false, "lapsed", "paid_after_end"},
		"paid a second after the end, arrives a day later": {"299.00", time.Second, day, false, "lapsed", ""},
		"paid in time, arrives at the end of the grace":    {"199.00", -time.Second, 10 * time.Minute, true, "card-only", ""},
		"paid in time, arrives after the grace":            {"199.00", -time.Second, 10*time.Minute + time.Second, false, "lapsed", "late_payment"},
		"paid in time, arrives three days later":           {"199.00", -time.Second, 3 * day, false, "lapsed", "late_payment"},
		"paid a fen too little":                            {"198.99", -time.Hour, -time.Hour, false, "lapsed", "underpaid"},
		"paid in full and more":                            {"299.00", -time.Hour, -time.Hour, true, "card-only", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			order := paid("card", "monthly-card", c.amount, end.Add(c.paid))
			order.Stored = end.Add(c.stored)
			w := enter(t, p, "trial-to-card", paid("trial", "trial", "9.90", noon), event("l-1", "lesson.attended", lesson, `{"lesson":"a"}`), order)
			w.punctual(noon.Add(30 * day))
			var review []string
			for _, r := range w.reviews {
				review = append(review, string(r.Kind))
			}
			taken := strings.Contains(w.verdict(), "offer monthly-card taken")
			if taken != c.taken || w.done != c.outcome || strings.Join(review, ",") != c.review {
				t.Errorf("taken %v, outcome %s, review %v; want %v, %s, %s\n%s", taken, w.done, review, c.taken, c.outcome, c.review, w.story())
			}
			// The order is the goal at whatever price, if it falls into the journey.
			if w.goal == nil {
				t.Errorf("the goal is not recorded\n%s", w.story())
			}
		})
	}
}

func TestRemindersOfALock(t *testing.T) {
	t.Parallel()
	p := compile(t, fitnessTrial(t))
	lesson := noon.Add(time.Hour)
	w := enter(t, p, "trial-to-card", paid("trial", "trial", "9.90", noon), event("l-1", "lesson.attended", lesson, `{"lesson":"a"}`))
	w.punctual(noon.Add(20 * day))
	if got := w.messages(); got != "welcome card-offer lock-24h comeback" {
		t.Fatalf("sent %q\n%s", got, w.story())
	}
	if at := w.sends[2].At; !at.Equal(lesson.Add(24 * time.Hour)) {
		t.Errorf("the reminder went out at %s, want 24 h before the end", at)
	}
	if w.done != "lapsed" || !slices.Contains(w.member.Tags, "price-sensitive") {
		t.Errorf("outcome %s, tags %v", w.done, w.member.Tags)
	}
	lapses := 0
	for _, l := range w.trace {
		if l.Kind == campaign.TraceOfferLapsed {
			lapses++
		}
	}
	if lapses != 1 {
		t.Errorf("the offer lapsed %d times", lapses)
	}
}

// A worker that is away when the lock ends catches up: the outcome is that of the
// moments themselves.
func TestOneLateTurnDoesTheWorkOfMany(t *testing.T) {
	t.Parallel()
	p := compile(t, fitnessTrial(t))
	lesson := noon.Add(time.Hour)
	events := []campaign.Event{paid("trial", "trial", "9.90", noon), event("l-1", "lesson.attended", lesson, `{}`)}
	w := enter(t, p, "trial-to-card", events...)
	w.turn(noon)
	w.turn(lesson)
	w.turn(noon.Add(30 * day))
	if w.done != "lapsed" {
		t.Fatalf("outcome %q\n%s", w.done, w.story())
	}
	// The reminder is of no use any more; the rest goes out once.
	if got := w.messages(); got != "welcome card-offer comeback" {
		t.Errorf("sent %q\n%s", got, w.story())
	}
}

// An offer that a worker opens long after the lesson, because it was down, gives the
// member the whole lock.
func TestOutageDoesNotShortenALock(t *testing.T) {
	t.Parallel()
	p := compile(t, fitnessTrial(t))
	lesson := noon.Add(time.Hour)
	w := enter(t, p, "trial-to-card", paid("trial", "trial", "9.90", noon), event("l-1", "lesson.attended", lesson, `{}`))
	w.turn(noon)
	w.turn(lesson.Add(3 * day))
	for _, o := range w.offers {
		if !o.OpenedAt.Equal(lesson.Add(3*day)) || !o.ExpiresAt.Equal(lesson.Add(5*day)) {
			t.Errorf("opened %s, expires %s", o.OpenedAt, o.ExpiresAt)
		}
	}
	if len(w.offers) != 1 {
		t.Fatalf("%d offers\n%s", len(w.offers), w.story())
	}
}

// The heart of the matter: whatever the order of events, timers and turns, the outcome
// is that of a worker which is always on time.
func TestOutcomeDoesNotDependOnWhenTurnsRun(t *testing.T) {
	t.Parallel()
	// Quiet hours are judged by the moment at which a message really goes out, so a turn
	// that runs at night instead of in the evening rightly does something else.
	p := compile(t, strings.ReplaceAll(fitnessTrial(t), `quiet_hours: {from: "22:00", until: "08:00"}`, ""))
	rapid.Check(t, func(rt *rapid.T) {
		events, hours := someEvents(rt)
		end := noon.Add(45 * day)
		want := enter(t, p, "trial-to-card", events...).punctual(end)

		w := enter(t, p, "trial-to-card", events...)
		for now := noon.Add(hours("first", 12)); now.Before(end); now = now.Add(time.Minute + hours("gap", 12)) {
			w.turn(now)
			if rapid.Bool().Draw(rt, "again") {
				w.turn(now) // a doubled poke changes nothing
			}
		}
		w.turn(end)
		if w.done == "" {
			rt.Fatalf("the journey did not end\n%s", w.story())
		}
		if got := w.verdict(); got != want.verdict() {
			rt.Fatalf("got:\n%s\n\nwant:\n%s\n\nstory:\n%s\npunctual story:\n%s", got, want.verdict(), w.story(), want.story())
		}
	})
}

// someEvents draws what may happen to a member of the model campaign, and how late it is
// told. hours draws a span of whole minutes.
func someEvents(rt *rapid.T) (events []campaign.Event, hours func(name string, most int) time.Duration) {
	events = []campaign.Event{paid("trial", "trial", "9.90", noon)}
	hours = func(name string, most int) time.Duration {
		return time.Duration(rapid.IntRange(0, most*60).Draw(rt, name)) * time.Minute
	}
	lessons := 0
	for i := range rapid.IntRange(0, 7).Draw(rt, "events") {
		id := fmt.Sprintf("e%d", i)
		at := noon.Add(hours("time", 16*24))
		var e campaign.Event
		// What leads to an offer arrives either so soon that, late turn included, the
		// offer opens within its grace, or so late that it leads nowhere.
		delay := hours("delay", 11)
		if rapid.IntRange(0, 4).Draw(rt, "late") == 0 {
			delay = 8*day + hours("delay", 96)
		}
		kind := rapid.IntRange(0, 9).Draw(rt, "type")
		// The campaign asks for four lessons, and a later turn rightly sees one more.
		if kind < 3 && lessons == 3 {
			kind += 3
		}
		switch kind {
		case 0, 1, 2:
			lessons++
			e = event(id, "lesson.attended", at, `{}`)
		case 3, 4, 5:
			e = paid(id, "monthly-card", rapid.SampledFrom([]string{"199.00", "299.00", "100.00"}).Draw(rt, "amount"), at)
		case 6, 7:
			e = paid(id, "gear", rapid.SampledFrom([]string{"380.00", "520.00"}).Draw(rt, "amount"), at)
		case 8:
			e = event(id, "order.refunded", at, `{"order":"o-trial"}`)
		default:
			e = event(id, "order.refunded", at, `{"order":"another"}`)
		}
		e.Stored = e.Time.Add(delay)
		events = append(events, e)
	}
	return events, hours
}
