package generate

import "time"

// The roles. What each does comes to the same whenever its turns run, as long as they
// run within Slack.

// ahead is how long before a timer something is told that must come before it.
const ahead = Slack / 2

// when looks for a moment at which an offer may open.
func (w *writer) when(from, until time.Time) time.Time {
	for {
		if t := w.chance.between(from, until); opens(t) {
			return t
		}
	}
}

// lessonBy enters and attends a lesson, early or late in the day, on one of so many days.
func (w *writer) lessonBy(v *visitor, days int) {
	lessons := []time.Time{at(1+v.number%days, 6, 30), at(v.number%days, 20, 0)}
	spans := []time.Duration{3 * time.Hour, 150 * time.Minute}
	i := w.chance.below(2)
	t := w.chance.between(lessons[i], lessons[i].Add(spans[i]))
	w.enterBefore(v, t)
	w.attend(v, t)
}

// enterBefore enters up to two days before a lesson. The welcome may be put off to the
// morning, and only a lesson after it counts.
func (w *writer) enterBefore(v *visitor, lesson time.Time) {
	from := latest(at(0, 8, 0), lesson.Add(-2*day))
	enter := w.chance.between(from, lesson.Add(-2*time.Hour))
	for settled(enter).After(lesson) {
		enter = w.chance.between(from, enter.Add(time.Second))
	}
	w.enter(v, enter)
}

// buyerDays and days are on how many days there are lessons for those who buy, whose way
// is the longest, and for the others.
const buyerDays, days = 3, 6

// firstMorning enters on the first morning, so that what follows in ten days falls on
// mornings too. It answers when.
func (w *writer) firstMorning(v *visitor) time.Time {
	when := w.chance.between(at(0, 8, 0), at(0, 9, 30))
	w.enter(v, when)
	return when
}

func (w *writer) noShow(v *visitor) { w.firstMorning(v) }

func (w *writer) lateLesson(v *visitor) {
	entered := w.firstMorning(v)
	happened := w.chance.between(entered.Add(5*day), entered.Add(firstAwait-6*time.Hour))
	arrives := w.chance.between(entered.Add(firstAwait+time.Hour), entered.Add(firstAwait+2*day))
	w.tellAt(v, "lesson.attended", happened, arrives, lesson{"yoga"})
}

// lessonAfterAll comes after the reminder and buys everything; only then do we hear that
// there had been a lesson in time.
func (w *writer) lessonAfterAll(v *visitor) {
	entered := w.firstMorning(v)
	w.attend(v, w.chance.between(at(7, 20, 0), at(7, 22, 0)))
	gear := w.buySoon(v)
	happened := w.chance.between(entered.Add(4*day), entered.Add(firstAwait-6*time.Hour))
	w.tellAt(v, "lesson.attended", happened, gear.Arrives.Add(4*time.Hour), lesson{"boxing"})
}

func (w *writer) secondChanceBuy(v *visitor) {
	w.firstMorning(v)
	w.attend(v, w.chance.between(at(7, 20, 0), at(7, 22, 0)))
	w.buySoon(v)
}

// buySoon buys the card and the gear as soon as may be.
func (w *writer) buySoon(v *visitor) Event {
	card := w.early(v)
	opened := settled(card.Arrives)
	return w.pay(v, "gear", priceGear, w.chance.between(opened.Add(time.Hour), opened.Add(8*time.Hour)))
}

// secondChanceLapse comes right after the reminder.
func (w *writer) secondChanceLapse(v *visitor) {
	w.firstMorning(v)
	w.attend(v, w.chance.between(at(7, 9, 31), at(7, 9, 45)))
}

func (w *writer) refundBeforeLesson(v *visitor) {
	entered := w.chance.between(at(0, 8, 0), at(1, 18, 0))
	w.enter(v, entered)
	// Whoever leaves is sent nothing that has not gone out.
	from := settled(entered).Add(Slack)
	refunded := w.chance.between(from, from.Add(2*day))
	w.refund(v, v.trial, refunded)
	switch v.number % 4 {
	case 0: // buys again: once is once
		w.pay(v, "trial", priceTrial, refunded.Add(20*time.Hour))
	case 1: // and comes nevertheless
		w.attend(v, refunded.Add(5*time.Hour))
	}
}

func (w *writer) refundInOffer(v *visitor) {
	lesson := w.chance.between(at(1+v.number%days, 8, 0), at(1+v.number%days, 9, 30))
	w.enterBefore(v, lesson)
	w.attend(v, lesson)
	refunded := w.chance.between(lesson.Add(Slack+told), lesson.Add(cardLock-reminded-ahead))
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
	from := latest(settled(v.lesson), v.lesson.Add(told))
	return w.pay(v, "monthly-card", priceCard, w.when(from, v.lesson.Add(cardLock-reminded-ahead)))
}

// afterReminder buys it when the reminder is out.
func (w *writer) afterReminder(v *visitor) Event {
	return w.pay(v, "monthly-card", priceCard, w.when(settled(v.lesson.Add(cardLock-reminded)), v.lesson.Add(cardLock-time.Hour)))
}

func (w *writer) lastSecond(v *visitor) Event {
	return w.pay(v, "monthly-card", priceCard, v.lesson.Add(cardLock-time.Second))
}

func (w *writer) atTheEnd(v *visitor) Event {
	return w.pay(v, "monthly-card", priceCard, v.lesson.Add(cardLock))
}

// lateInGrace pays in time, but we hear of it after the end.
func (w *writer) lateInGrace(v *visitor) Event {
	paid := w.when(v.lesson.Add(cardLock-time.Hour), v.lesson.Add(cardLock))
	arrives := w.chance.between(v.lesson.Add(cardLock+time.Hour), v.lesson.Add(cardLock+5*time.Hour))
	return w.payLate(v, "monthly-card", priceCard, paid, arrives)
}

func (w *writer) underpaidFirst(v *visitor) Event {
	w.pay(v, "monthly-card", "99.00", v.lesson.Add(time.Hour))
	return w.early(v)
}

// buy takes the card by one of the ways above, and goes on from there.
func (w *writer) buy(v *visitor, card func(*visitor) Event) {
	w.lessonBy(v, buyerDays)
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
	opened := latest(card.Time, settled(card.Arrives))
	end, lastEnd := card.Time.Add(gearLock), opened.Add(gearLock)
	reminder := end.Add(-reminded)
	last := latest(settled(reminder), settled(lastEnd.Add(-reminded)))
	switch c := v.number * 7 % 20; {
	case c < 7:
		w.pay(v, "gear", priceGear, w.chance.between(opened.Add(time.Minute), reminder.Add(-ahead)))
	case c < 11 && last.Before(end.Add(-time.Hour)):
		w.pay(v, "gear", priceGear, w.chance.between(last, end.Add(-time.Minute)))
	case c == 11:
		w.pay(v, "gear", priceGear, lastEnd.Add(time.Second))
	case c == 12:
		w.pay(v, "gear", listGear, lastEnd.Add(3*time.Hour))
	case c == 13:
		w.payLate(v, "gear", priceGear, end.Add(-time.Hour), lastEnd.Add(grace+time.Hour))
	case c == 14 || c == 15:
		w.refund(v, v.trial, w.chance.between(opened.Add(Slack), reminder.Add(-ahead)))
	}
}

func (w *writer) underpaidOnly(v *visitor) {
	w.lessonBy(v, days)
	w.pay(v, "monthly-card", "99.00", v.lesson.Add(7*time.Hour))
}

func (w *writer) oneSecondLate(v *visitor) {
	w.lessonBy(v, days)
	w.pay(v, "monthly-card", of(w.chance, []string{priceCard, listCard}), v.lesson.Add(cardLock+time.Second))
}

func (w *writer) afterTheEnd(v *visitor) {
	w.lessonBy(v, days)
	price := []string{listCard, listCard, priceCard}[v.number%3]
	w.pay(v, "monthly-card", price, w.chance.between(v.lesson.Add(cardLock+time.Minute), v.lesson.Add(cardLock+12*time.Hour)))
}

// afterTheGrace pays in time, but we hear of it when the journey is over.
func (w *writer) afterTheGrace(v *visitor) {
	w.lessonBy(v, days)
	end := v.lesson.Add(cardLock)
	paid := w.chance.between(end.Add(-8*time.Hour), end)
	w.payLate(v, "monthly-card", priceCard, paid, w.chance.between(end.Add(grace+time.Minute), end.Add(grace+8*time.Hour)))
}

func (w *writer) lapse(v *visitor) { w.lessonBy(v, days) }

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
