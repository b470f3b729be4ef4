package store

import (
	"context"
	"sync"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

const (
	// groupMost is how many events one shared transaction stores: by then what an event
	// costs does not fall any more, while the wait for the answer still grows.
	groupMost = 512
	// quickWorkers is how many shared transactions run side by side: while one waits for
	// the disk, another one is at work. More of them only make the groups smaller.
	quickWorkers = 2
	// ingestTimeout bounds one shared transaction together with the wait for a
	// connection. It is a little more than PostgreSQL allows a statement, so that
	// PostgreSQL's own words come first.
	ingestTimeout = 35 * time.Second
)

// ingestion stores events that come one by one many at a time. A transaction costs the
// same round trip, locks and wait for the disk whether it stores one event or a hundred,
// so what arrives while others are being stored waits for them and then goes together,
// in the order in which it came. Nothing waits for company: an event that finds a free
// worker is stored at once, alone if it is alone.
//
// Each event has its own answer. One that PostgreSQL refuses is found by halving the
// group, and fails alone. That of a caller who gave up before its turn is left out;
// later it may have been stored or not, as when a connection breaks.
//
// There are two lanes. The quick one takes the events of members whom nobody else holds
// and hands the others on to the patient one, which waits for its members. So a turn that
// holds a member, or a page of turns that holds a thousand, delays their events and no
// others, and all that wait take one connection. The workers of the quick lane keep out of
// each other's way: an event whose member one of them has in hand is left for later.
type ingestion struct {
	quick, patient lane
}

func newIngestion(s *Store) *ingestion {
	in := new(ingestion)
	in.quick = lane{
		workers: quickWorkers, onward: in.patient.join,
		ingest: func(ctx context.Context, events []campaign.Event) (stored, left map[string]bool, err error) {
			return s.ingest(ctx, events, storeFreeEventsSQL)
		},
	}
	in.patient = lane{
		workers: 1,
		ingest: func(ctx context.Context, events []campaign.Event) (stored, left map[string]bool, err error) {
			return s.ingest(ctx, events, storeEventsSQL)
		},
	}
	return in
}

// store stores one event, together with those of others.
func (in *ingestion) store(ctx context.Context, event campaign.Event) (EventStatus, error) {
	c := &call{ctx: ctx, event: event, done: make(chan struct{})}
	in.quick.join(c)
	select {
	case <-c.done:
		return c.status, c.err
	case <-ctx.Done():
		return "", translate(ctx.Err(), "store events")
	}
}

// call is one caller's event and, once done is closed, what became of it.
type call struct {
	ctx    context.Context //nolint:containedctx // the caller's, who waits; asked only whether she still does
	event  campaign.Event
	status EventStatus
	err    error
	done   chan struct{}
}

// lane is a queue of calls and the workers that empty it. A worker lives as long as
// there is something to do.
type lane struct {
	workers int
	ingest  func(context.Context, []campaign.Event) (stored, left map[string]bool, err error)
	onward  func(*call) // where those go whose member somebody holds

	mu      sync.Mutex
	queue   []*call
	hand    map[string]bool // the members whose events a worker is storing
	working int
}

func (l *lane) join(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, c)
	if l.working < l.workers {
		l.working++
		go l.work()
	}
}

func (l *lane) work() {
	for group := l.take(nil); len(group) > 0; group = l.take(group) {
		l.store(group)
	}
}

// take puts a group that is stored out of hand and takes the next one. The worker that
// finds none is at its end, and no longer counted before the next call can join; what
// it leaves in the queue is for those who have its members in hand.
func (l *lane) take(stored []*call) (group []*call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range stored {
		delete(l.hand, c.event.Member)
	}
	left, looked := l.queue[:0], 0
	for _, c := range l.queue {
		if len(group) == groupMost {
			break
		}
		looked++
		switch {
		case c.ctx.Err() != nil:
		case l.hand[c.event.Member]:
			left = append(left, c)
		default:
			group = append(group, c)
		}
	}
	left = append(left, l.queue[looked:]...)
	clear(l.queue[len(left):]) // or what was answered would be kept with the queue
	l.queue = left
	if l.hand == nil {
		l.hand = map[string]bool{}
	}
	for _, c := range group {
		l.hand[c.event.Member] = true
	}
	if len(group) == 0 {
		l.working--
	}
	return group
}

// store stores a group and answers its calls. A group that was refused is halved until
// what is refused is one call; one that failed for want of a database fails as a whole,
// as each of its calls would have.
func (l *lane) store(group []*call) {
	events := make([]campaign.Event, len(group))
	for i, c := range group {
		events[i] = c.event
	}
	// Not the context of a caller: the others' events are stored whatever becomes of her.
	ctx, cancel := context.WithTimeout(context.Background(), ingestTimeout)
	stored, left, err := l.ingest(ctx, events)
	cancel()
	if err != nil && len(group) > 1 && campaign.CodeOf(err) != campaign.CodeUnavailable {
		l.store(group[:len(group)/2])
		l.store(group[len(group)/2:])
		return
	}
	for _, c := range group {
		if left[c.event.ID] {
			l.onward(c)
			continue
		}
		if err == nil {
			c.status = statusOf(c.event.ID, stored)
		}
		c.err = err
		close(c.done)
	}
}
