package simulate

import (
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// future is what will happen to her: an event that will be stored, an entry by the API,
// or a change that a test makes.
type future struct {
	at    time.Time
	order int
	event campaign.Event // Stored is not set yet
	enter string         // a journey, by the API
	join  bool           // she is imported
	comes bool           // she comes, as far as a population knows
	// ready is asked at the moment itself; false: it does not happen after all.
	ready func(l *life, f *future) bool
}

// queue is a heap of futures by time, and of equal times by the order of their making.
type queue struct {
	list []future
	made int
}

func (q *queue) less(a, b int) bool {
	x, y := &q.list[a], &q.list[b]
	return x.at.Before(y.at) || x.at.Equal(y.at) && x.order < y.order
}

func (q *queue) push(f future) {
	f.order = q.made
	q.made++
	q.list = append(q.list, f)
	for i := len(q.list) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.less(i, up) {
			break
		}
		q.list[i], q.list[up] = q.list[up], q.list[i]
		i = up
	}
}

func (q *queue) pop() future {
	first, last := q.list[0], len(q.list)-1
	q.list[0], q.list[last] = q.list[last], future{}
	q.list = q.list[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && q.less(down+1, down) {
			down++
		}
		if !q.less(down, i) {
			break
		}
		q.list[i], q.list[down] = q.list[down], q.list[i]
		i = down
	}
	return first
}
