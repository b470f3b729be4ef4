package recount

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"
)

const (
	day   = 24 * time.Hour
	grace = day
)

var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// walk is one member's way.
type walk struct {
	n      Numbers
	events []event
	held   bool
	exit   time.Time // when we hear that the trial was taken back
}

func (w *walk) all(member string) {
	i := slices.IndexFunc(w.events, func(e event) bool { return e.Type == "order.paid" && e.Properties.Offer == "trial" })
	if i < 0 {
		return
	}
	start := w.events[i]
	hash := sha256.Sum256([]byte("holdout\x00fitness-trial\x00trial-to-card\x00" + member))
	w.held = binary.BigEndian.Uint64(hash[:])%10_000 < 500
	w.exit = never
	for _, e := range w.events {
		if e.Type == "order.refunded" && e.Properties.Order == start.Properties.Order && w.exit.Equal(never) {
			w.exit = e.Arrives
		}
	}
	w.n["entered"]++
	if w.held {
		w.n["held out"]++
	}
	outcome, end := w.steps(start)
	w.n["outcome "+outcome]++
	// The goal is a card at any price, bought on the way, whenever we hear of it.
	if slices.ContainsFunc(w.events, func(e event) bool {
		return e.Type == "order.paid" && e.Properties.Offer == "monthly-card" && !e.Time.Before(start.Time) && !e.Time.After(end)
	}) {
		w.n["converted"]++
	}
}

// steps goes from the welcome to the end. It answers the outcome and when that was.
func (w *walk) steps(start event) (string, time.Time) {
	since := w.send("welcome", start.Time, never)
	if w.left(since) {
		return "exited", w.exit
	}
	attended, in := w.await(since, 7*day)
	if w.left(attended.Arrives) {
		return "exited", w.exit
	}
	if !in {
		since = w.send("nudge", since.Add(7*day), never)
		if attended, in = w.await(since, 3*day); w.left(attended.Arrives) {
			return "exited", w.exit
		}
		if !in {
			return "no-show", attended.Arrives
		}
	}
	card, how := w.offer("monthly-card", "card-offer", "lock-24h", attended.Time, attended.Arrives, 2*day, 199, 299)
	switch how {
	case "withdrawn":
		return "exited", w.exit
	case "lapsed":
		w.n["tag price-sensitive"]++
		return "lapsed", w.send("comeback", attended.Time.Add(2*day+grace), never)
	}
	w.grant("first-card", 100, card)
	opened := card.Time
	if out := w.send("card-receipt", card.Arrives, never); out.After(card.Arrives) {
		opened = out // the next step waits for the morning too
	}
	if w.lessons(card.Arrives) >= 4 {
		w.n["tag regular"]++
	}
	gear, how := w.offer("gear", "gear-offer", "gear-24h", opened, later(opened, card.Arrives), 3*day, 380, 520)
	switch how {
	case "withdrawn":
		return "exited", w.exit
	case "lapsed":
		return "card-only", opened.Add(3*day + grace)
	}
	w.grant("gear-buyer", 50, gear)
	w.n["tag gear-owner"]++
	return "champion", gear.Arrives
}

func (w *walk) left(now time.Time) bool { return !w.exit.After(now) }

// await gives the first lesson in time. Where there is none, it answers an event that
// arrives when the time is over, and counts the lessons that we heard of too late.
func (w *walk) await(since time.Time, span time.Duration) (event, bool) {
	deadline := since.Add(span)
	for _, e := range w.events {
		if e.Type == "lesson.attended" && !e.Time.Before(since) && !e.Arrives.After(deadline) {
			return e, true
		}
	}
	for _, e := range w.events {
		if e.Type == "lesson.attended" && !e.Time.Before(since) && !e.Time.After(deadline) {
			w.n["late"]++
		}
	}
	return event{Arrives: deadline}, false
}

// offer follows one offer from its opening; heard is when we knew that it opens.
func (w *walk) offer(
	name, announce, remind string, opened, heard time.Time, lock time.Duration, price, list float64,
) (took event, how string) {
	end, closed := opened.Add(lock), opened.Add(lock)
	how = "lapsed"
	for _, e := range w.events {
		if e.Type != "order.paid" || e.Properties.Offer != name || e.Time.Before(opened) {
			continue
		}
		if how == "lapsed" && w.left(e.Arrives) && w.left(end.Add(grace)) {
			how, closed = "withdrawn", w.exit
		}
		switch inTime := !e.Time.After(closed); {
		case how == "taken" && e.Properties.Order == took.Properties.Order: // the same order, told again
		case how == "lapsed" && inTime && !e.Arrives.After(end.Add(grace)):
			if e.paid() < price {
				w.n["review underpaid"]++
			} else {
				took, how, closed = e, "taken", e.Time
			}
		case how != "taken" && inTime:
			w.n["review late_payment"]++
			w.n["late"]++
		case e.paid() < list:
			w.n["review paid_after_end"]++
		}
	}
	if how == "lapsed" && w.left(end.Add(grace)) {
		how = "withdrawn"
	}
	until := never
	if how == "taken" {
		until = took.Arrives
	}
	w.send(announce, heard, until)
	w.send(remind, end.Add(-day), until)
	if !w.held {
		w.n["offer "+name+" opened"]++
		w.n["offer "+name+" "+how]++
	}
	return took, how
}

// send counts a message unless what it is about, or the member, is gone before it may
// go out. It answers when that is.
func (w *walk) send(message string, due, until time.Time) time.Time {
	if w.held {
		return due
	}
	local := due.In(time.FixedZone("Asia/Shanghai", 8*60*60))
	switch morning := time.Date(local.Year(), local.Month(), local.Day(), 8, 0, 0, 0, local.Location()); {
	case local.Hour() < 8:
		due = morning
	case local.Hour() >= 22:
		due = morning.Add(day)
	}
	if due.Before(until) && !w.left(due) {
		w.n["sent "+message]++
	}
	return due
}

// grant counts a reward for an order, and what goes back of it when that is refunded.
func (w *walk) grant(reward string, points int, order event) {
	if w.held {
		return
	}
	w.n["granted "+reward]++
	w.n["points"] += points
	if slices.ContainsFunc(w.events, func(e event) bool { return e.Type == "order.refunded" && e.Properties.Order == order.Properties.Order }) {
		w.n["back points"] += points
	}
}

// lessons counts those of the thirty days before.
func (w *walk) lessons(now time.Time) (count int) {
	for _, e := range w.events {
		if e.Type == "lesson.attended" && e.Time.After(now.Add(-30*day)) && !e.Time.After(now) {
			count++
		}
	}
	return count
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
