package generate

import "time"

// The roles. Each makes sure that what it does is at least Slack away from whatever
// depends on when a turn runs.

// morningLesson enters and attends a lesson between seven and half past one.
func (w *writer) morningLesson(v *visitor) {
	w.attendOn(v, at(1+v.number%4, 7, 0), 6*time.Hour+30*time.Minute)
}

// anyLesson enters and attends a lesson at any time of day.
func (w *writer) anyLesson(v *visitor) { w.attendOn(v, at(1+v.number%4, 7, 0), 14*time.Hour) }

// attendOn enters up to two days before a lesson that begins within a span. The welcome
// may be put off to the morning, and only what happens after it counts.
func (w *writer) attendOn(v *visitor, from time.Time, span time.Duration) {
	when := w.chance.between(from, from.Add(span))
	enter := w.chance.between(latest(Start.Add(30*time.Minute), when.Add(-2*day)), when.Add(-4*time.Hour))
	for settled(enter).After(when.Add(-time.Hour)) {
		enter = w.chance.between(latest(Start.Add(30*time.Minute), when.Add(-2*day)), enter.Add(time.Second))
	}
	w.enter(v, enter)
	w.attend(v, when)
}

// firstMorning enters on the first morning, so that what follows in ten days falls on
// mornings too. It answers when.
func (w *writer) firstMorning(v *visitor) time.Time {
	when := w.chance.between(at(0, 9, 30), at(0, 13, 30))
	w.enter(v, when)
	return when
}

func (w *writer) noShow(v *visitor) { w.firstMorning(v) }

func (w *writer) lateLesson(v *visitor) {
	entered := w.firstMorning(v)
	happened := w.chance.between(entered.Add(5*day), entered.Add(firstAwait-6*time.Hour))
	arrives := w.chance.between(entered.Add(firstAwait+Slack), entered.Add(firstAwait+2*day))
	w.tellAt(v, "lesson.attended", happened, arrives, lesson{"yoga"})
}

// lessonAfterAll comes after the reminder and buys everything; only then do we hear that
// there had been a lesson in time.
func (w *writer) lessonAfterAll(v *visitor) {
	entered := w.firstMorning(v)
	w.attend(v, w.chance.between(at(7, 13, 35), at(7, 13, 55)))
	card := w.early(v)
	gear := w.pay(v, "gear", priceGear, w.beforeReminder(card))
	happened := w.chance.between(entered.Add(4*day), entered.Add(firstAwait-6*time.Hour))
	w.tellAt(v, "lesson.attended", happened, gear.Arrives.Add(Slack), lesson{"boxing"})
}

// secondChance comes on the day of the reminder.
func (w *writer) secondChance(v *visitor) {
	w.firstMorning(v)
	w.attend(v, w.chance.between(at(7, 15, 0), at(7, 16, 0)))
}

func (w *writer) secondChanceLapse(v *visitor) { w.secondChance(v) }

func (w *writer) secondChanceBuy(v *visitor) {
	w.firstMorning(v)
	w.attend(v, w.chance.between(at(8, 8, 30), at(8, 13, 30)))
	opens := settled(w.early(v).Arrives)
	w.pay(v, "gear", priceGear, w.chance.between(opens.Add(Slack), opens.Add(2*Slack)))
}

func (w *writer) refundBeforeLesson(v *visitor) {
	entered := w.chance.between(at(0, 9, 30), at(1, 18, 0))
	w.enter(v, entered)
	refunded := w.chance.between(surely(entered), surely(entered).Add(2*day))
	w.refund(v, v.trial, refunded)
	switch v.number % 4 {
	case 0: // buys again: once is once
		w.pay(v, "trial", priceTrial, refunded.Add(20*time.Hour))
	case 1: // and comes nevertheless
		w.attend(v, refunded.Add(5*time.Hour))
	}
}

func (w *writer) refundInOffer(v *visitor) {
	w.morningLesson(v)
	refunded := w.chance.between(surely(v.lesson), v.lesson.Add(cardLock-reminded-Slack))
	w.refund(v, v.trial, refunded)
	switch v.number % 4 {
	case 0: // the locked price is no longer hers
		w.pay(v, "monthly-card", priceCard, refunded.Add(12*time.Hour))
	case 1:
		w.pay(v, "monthly-card", listCard, refunded.Add(14*time.Hour))
	}
}

// early buys the card between the announcement and the reminder.
func (w *writer) early(v *visitor) Event {
	return w.pay(v, "monthly-card", priceCard, w.chance.between(surely(v.lesson), v.lesson.Add(cardLock-reminded-Slack)))
}

// afterReminder buys it when the reminder is out.
func (w *writer) afterReminder(v *visitor) Event {
	return w.pay(v, "monthly-card", priceCard,
		w.chance.between(surely(v.lesson.Add(cardLock-reminded)), v.lesson.Add(cardLock-time.Hour)))
}

func (w *writer) lastSecond(v *visitor) Event {
	return w.pay(v, "monthly-card", priceCard, v.lesson.Add(cardLock-time.Second))
}

func (w *writer) atTheEnd(v *visitor) Event {
	return w.pay(v, "monthly-card", priceCard, v.lesson.Add(cardLock))
}

// lateInGrace pays in time, but we hear of it after the end.
func (w *writer) lateInGrace(v *visitor) Event {
	paid := w.chance.between(v.lesson.Add(cardLock-4*time.Hour), v.lesson.Add(cardLock))
	arrives := w.chance.between(v.lesson.Add(cardLock+time.Hour), v.lesson.Add(cardLock+8*time.Hour))
	return w.payLate(v, "monthly-card", priceCard, paid, arrives)
}

func (w *writer) underpaidFirst(v *visitor) Event {
	w.pay(v, "monthly-card", "99.00", v.lesson.Add(2*time.Hour))
	return w.early(v)
}

// buy takes the card by one of the ways above, and goes on from there.
func (w *writer) buy(v *visitor, card func(*visitor) Event) {
	w.morningLesson(v)
	paid := card(v)
	number := paid.Properties.(order)
	switch v.number % 12 {
	case 3: // the shop tells the same order again, as another event
		w.tellAt(v, "order.paid", paid.Time, paid.Arrives.Add(time.Hour), number)
	case 5: // a second card, for which the locked price is gone
		w.pay(v, "monthly-card", priceCard, paid.Arrives.Add(2*time.Hour))
	case 7:
		w.pay(v, "monthly-card", listCard, paid.Arrives.Add(3*time.Hour))
	case 9: // the card is taken back, which is not the trial
		w.refund(v, number.Order, paid.Arrives.Add(5*time.Hour))
	}
	w.gear(v, paid)
}

// gear is what becomes of the second offer. It opens when the card was paid, or when
// the night lets the receipt out, and what happens is clear of both.
func (w *writer) gear(v *visitor, card Event) {
	opens := latest(card.Time, settled(card.Arrives))
	end, lastEnd := card.Time.Add(gearLock), opens.Add(gearLock)
	last := surely(lastEnd.Add(-reminded))
	switch c := w.chance.below(20); {
	case c < 7:
		w.pay(v, "gear", priceGear, w.beforeReminder(card))
	case c < 11 && last.Before(end.Add(-time.Hour)):
		w.pay(v, "gear", priceGear, w.chance.between(last, end.Add(-time.Minute)))
	case c == 11:
		w.pay(v, "gear", priceGear, lastEnd.Add(time.Second))
	case c == 12:
		w.pay(v, "gear", listGear, lastEnd.Add(3*time.Hour))
	case c == 13:
		w.payLate(v, "gear", priceGear, end.Add(-time.Hour), lastEnd.Add(grace+Slack))
	case c == 14:
		w.refund(v, v.trial, w.beforeReminder(card))
	}
}

// beforeReminder is a moment between the announcement of the gear and its reminder.
func (w *writer) beforeReminder(card Event) time.Time {
	opens := latest(card.Time, settled(card.Arrives))
	return w.chance.between(opens.Add(Slack), card.Time.Add(gearLock-reminded-Slack))
}

func (w *writer) underpaidOnly(v *visitor) {
	w.morningLesson(v)
	w.pay(v, "monthly-card", "99.00", v.lesson.Add(7*time.Hour))
}

func (w *writer) oneSecondLate(v *visitor) {
	w.anyLesson(v)
	w.pay(v, "monthly-card", of(w.chance, []string{priceCard, listCard}), v.lesson.Add(cardLock+time.Second))
}

func (w *writer) afterTheEnd(v *visitor) {
	w.anyLesson(v)
	price := []string{listCard, listCard, priceCard}[v.number%3]
	w.pay(v, "monthly-card", price, w.chance.between(v.lesson.Add(cardLock+time.Minute), v.lesson.Add(cardLock+12*time.Hour)))
}

// afterTheGrace pays in time, but we hear of it when the journey is over.
func (w *writer) afterTheGrace(v *visitor) {
	w.anyLesson(v)
	end := v.lesson.Add(cardLock)
	paid := w.chance.between(end.Add(-8*time.Hour), end)
	w.payLate(v, "monthly-card", priceCard, paid, surely(end.Add(grace)).Add(Slack))
}

func (w *writer) lapse(v *visitor) { w.anyLesson(v) }

// crew works in the club: some try the lesson, and none of them enters.
func (w *writer) crew(v *visitor) {
	if v.number%2 == 0 {
		w.enter(v, w.chance.between(at(0, 10, 0), at(2, 20, 0)))
		w.attend(v, w.chance.between(at(3, 8, 0), at(4, 12, 0)))
	}
}

// strangerCard buys the card without having tried.
func (w *writer) strangerCard(v *visitor) {
	w.pay(v, "monthly-card", listCard, w.chance.between(at(0, 10, 0), at(6, 20, 0)))
}

// strangerLessons comes by another way.
func (w *writer) strangerLessons(v *visitor) {
	for d := 1; d <= 3; d++ {
		w.attend(v, w.chance.between(at(d, 8, 0), at(d, 20, 0)))
	}
}

// histories tells, at the beginning, which lessons some have been to before: with the
// one of the campaign four for some, three for others.
func (w *writer) histories(guests []person) {
	for i := 0; i < len(guests); i += 14 {
		v := &visitor{id: guests[i].id}
		for n := range 2 + (i/14)%2 {
			happened := w.chance.between(Start.AddDate(0, 0, -15+n*4), Start.AddDate(0, 0, -14+n*4))
			w.tellAt(v, "lesson.attended", happened, w.chance.between(Start.Add(5*time.Minute), Start.Add(20*time.Minute)), lesson{"spinning"})
		}
	}
}
