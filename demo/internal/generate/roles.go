package generate

import (
	"fmt"
	"slices"
)

// role is what a member does. How many of each there are is fixed; who it is, and when,
// is left to chance.
type role struct {
	many int
	play func(*writer, *visitor)
}

// roles of those who buy a trial lesson.
var roles = []role{
	{10, (*writer).noShow},
	{2, (*writer).lateLesson},      // came in time, but we hear of it when the reminder is out
	{2, (*writer).lessonAfterAll},  // … and when everything is over
	{3, (*writer).secondChanceBuy}, // come after the reminder
	{2, (*writer).secondChanceLapse},
	{5, (*writer).refundBeforeLesson},
	{6, (*writer).refundInOffer},
	{26, func(w *writer, v *visitor) { w.buy(v, w.early) }},
	{18, func(w *writer, v *visitor) { w.buy(v, w.afterReminder) }},
	{4, func(w *writer, v *visitor) { w.buy(v, w.lastSecond) }},
	{4, func(w *writer, v *visitor) { w.buy(v, w.atTheEnd) }},
	{5, func(w *writer, v *visitor) { w.buy(v, w.lateInGrace) }},
	{3, func(w *writer, v *visitor) { w.buy(v, w.underpaidFirst) }},
	{3, (*writer).underpaidOnly},
	{4, (*writer).oneSecondLate},
	{6, (*writer).afterTheEnd},
	{4, (*writer).afterTheGrace},
	{26, (*writer).lapse},
}

// bystanders are members who do not enter.
var bystanders = []role{
	{6, (*writer).strangerCard},
	{5, (*writer).strangerLessons},
}

// walkIns are entrants whom the file of members does not know.
const walkIns = 4

// play gives everybody a role and lets them play it.
func (w *writer) play(all []person) {
	var guests, crew []person
	for _, p := range all {
		if len(p.tags) > 0 && p.tags[0] == "staff" {
			crew = append(crew, p)
		} else {
			guests = append(guests, p)
		}
	}
	shuffle(w.chance, guests)
	for i := range walkIns {
		// Among those who buy early.
		guests = slices.Insert(guests, 40, person{id: fmt.Sprintf("wx-%d", 90210+i)})
	}
	next := 0
	for _, r := range append(roles[:len(roles):len(roles)], bystanders...) {
		for range r.many {
			r.play(w, &visitor{id: guests[next].id, number: next})
			next++
		}
	}
	for i, p := range crew {
		w.crew(&visitor{id: p.id, number: i})
	}
	w.histories(guests[:next])
	w.duplicates()
}
