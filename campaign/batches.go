package campaign

import (
	"slices"
	"time"
)

// Batch is points that a member got at a time and that end at a time. Points without an
// end are in no batch.
type Batch struct {
	ID   int64
	Ends time.Time
	Left int64 // not spent, taken back or expired
}

// Batches are a member's batches of points, in the order in which they are spent: those
// first that end first, and of equal ones the older.
type Batches []Batch

// Sort puts them in their order.
func (b Batches) Sort() {
	slices.SortFunc(b, func(x, y Batch) int {
		if c := x.Ends.Compare(y.Ends); c != 0 {
			return c
		}
		return int(min(1, max(-1, x.ID-y.ID)))
	})
}

// Left is what all of them hold.
func (b Batches) Left() (points int64) {
	for i := range b {
		points += b[i].Left
	}
	return points
}

// Over is what is past its end at a moment: it is no longer the member's, whether that was
// booked or not.
func (b Batches) Over(now time.Time) (points int64) {
	for i := range b {
		if b[i].Over(now) {
			points += b[i].Left
		}
	}
	return points
}

// Over reports whether the batch is past its end. At its end it is.
func (b *Batch) Over(now time.Time) bool { return !now.Before(b.Ends) }

// Part is so much of a batch.
type Part struct {
	Batch  int64
	Points int64
}

// Draw takes points from what is not past its end, the batch first by its number where one
// is named, and answers from which it took how much. What the batches do not hold comes from
// the points without an end.
func (b Batches) Draw(points, first int64, now time.Time) (parts []Part) {
	take := func(x *Batch) {
		if n := min(points, x.Left); n > 0 && !x.Over(now) {
			x.Left -= n
			points -= n
			parts = append(parts, Part{x.ID, n})
		}
	}
	if first != 0 {
		if i := slices.IndexFunc(b, func(x Batch) bool { return x.ID == first }); i >= 0 {
			take(&b[i])
		}
	}
	for i := range b {
		take(&b[i])
	}
	return parts
}

// Opening is how much of new points with an end a batch holds: all of them, but for what
// pays a debt. balance is the member's with them, and what the batches hold is without.
func (b Batches) Opening(points, balance int64) int64 {
	return max(0, min(points, balance-b.Left()))
}
