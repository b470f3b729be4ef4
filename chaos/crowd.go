package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
	"github.com/banyanhq/banyan/chaos/judge"
)

// crowd is the members and their shop. A member does what her number says when a message
// has reached her; the shop tells it to the API until it is accepted.
type crowd struct {
	api     *api
	file    *judge.Writer
	clock   map[string]campaignClock // by campaign
	seed    uint64
	people  []*person
	byID    map[string]*person
	stop    context.Context //nolint:containedctx // members act on timers of their own
	failing func(error)

	tell   chan *telling
	work   sync.WaitGroup // senders
	busy   atomic.Int64   // things that members are about to do
	begun  atomic.Int64   // members whose first event is accepted
	failed atomic.Int64   // tries that were not answered with a success

	mu       sync.Mutex
	held     []*telling // kept back, to be told in another order
	holding  bool
	accepted []*telling
}

// senders is how many events are on their way at a time.
const senders = 12

// campaignClock is a campaign's clock, as the API tells it.
type campaignClock struct {
	Factor int64     `json:"factor"`
	Real   time.Time `json:"real"`
	Start  time.Time `json:"start"`
}

func (c campaignClock) at(t time.Time) time.Time {
	return c.Start.Add(t.Sub(c.Real) * time.Duration(c.Factor)).Truncate(time.Microsecond).UTC()
}

// realSpan is how long a span of the campaign takes.
func (c campaignClock) realSpan(d time.Duration) time.Duration { return d / time.Duration(c.Factor) }

// person is a member.
type person struct {
	id, campaign, shop string
	kind               int
	chance             *rand.Rand // hers alone; guarded by mu
	mu                 sync.Mutex
	seen               map[string]bool // messages
	started            time.Time       // campaign time of her trial order
}

// kinds is how many kinds of members there are; see react.
const kinds = 20

// telling is an event on its way.
type telling struct {
	event *judge.Event
	told  time.Time
	tries int
	then  func() // after it was accepted
}

func newCrowd(seed uint64, funnels []judge.Funnel, size int, file *judge.Writer) *crowd {
	c := &crowd{seed: seed, file: file, byID: map[string]*person{}, clock: map[string]campaignClock{}, tell: make(chan *telling, 4*size)}
	for i := range size {
		f := funnels[i%len(funnels)]
		p := &person{
			id: fmt.Sprintf("m-%05d", i), campaign: f.Campaign, shop: f.Shop, kind: i / len(funnels) % kinds,
			chance: rand.New(rand.NewPCG(seed, uint64(i))), seen: map[string]bool{},
		}
		c.people = append(c.people, p)
		c.byID[p.id] = p
	}
	return c
}

// members gives every member's campaign.
func (c *crowd) members() map[string]string {
	all := make(map[string]string, len(c.people))
	for _, p := range c.people {
		all[p.id] = p.campaign
	}
	return all
}

// open begins: the senders work until ctx is done, and members come one after the other
// over a span.
func (c *crowd) open(ctx context.Context, span time.Duration) {
	for range senders {
		c.work.Go(func() { c.send(ctx) })
	}
	c.busy.Add(int64(len(c.people)))
	for i, p := range c.people {
		time.AfterFunc(span*time.Duration(i)/time.Duration(len(c.people)), func() {
			defer c.busy.Add(-1)
			at := c.now(p)
			p.mu.Lock()
			p.started = at
			p.mu.Unlock()
			c.say(c.paid(p, "trial", "trial", "9.90", at), func() { c.begun.Add(1) })
		})
	}
}

func (c *crowd) now(p *person) time.Time { return c.clock[p.campaign].at(time.Now()) }

func (c *crowd) paid(p *person, what, offer, amount string, at time.Time) *judge.Event {
	return c.event(p, what, "order.paid", at, map[string]any{
		"order": "o-" + p.id + "-" + what, "offer": offer, "shop": p.shop, "amount": map[string]string{"amount": amount, "currency": "CNY"},
	})
}

func (c *crowd) lesson(p *person, what, lesson string, at time.Time) *judge.Event {
	return c.event(p, what, "lesson.attended", at, map[string]any{"lesson": lesson})
}

func (c *crowd) refund(p *person, at time.Time) *judge.Event {
	return c.event(p, "refund", "order.refunded", at, map[string]any{"order": "o-" + p.id + "-trial"})
}

func (c *crowd) event(p *person, what, kind string, at time.Time, properties map[string]any) *judge.Event {
	text, err := json.Marshal(properties)
	if err != nil {
		c.failing(err) // strings always can be written
	}
	return &judge.Event{ID: p.id + "-" + what, Type: kind, Member: p.id, Time: at, Properties: text}
}

// got is called when a message has reached somebody. Only the first time counts.
func (c *crowd) got(r webhooktest.Record) {
	p := c.byID[r.Member]
	if p == nil || c.stop == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.seen[r.Message] {
		p.seen[r.Message] = true
		c.react(p, r.Message)
	}
}

// react is what a member does about a message, by her kind. The caller holds her lock.
func (c *crowd) react(p *person, message string) {
	comes := func(at time.Time) { c.say(c.lesson(p, "lesson", lessonOf(p), at), nil) }
	switch message {
	case "welcome":
		end := p.started.Add(24 * time.Hour)
		switch p.kind {
		case 8, 9: // does not come, or only after the nudge
		case 10: // takes her trial back
			c.later(p, 0, 3*time.Hour, func() { c.say(c.refund(p, c.now(p)), nil) })
		case 12: // comes at the very last moment, and it is told a while after that
			c.at(p, end, func() { comes(end) })
		case 13: // comes a moment too late, which is within the second wait
			c.at(p, end, func() { comes(end.Add(time.Microsecond)) })
		case 15: // buys a card on leaving her lesson, and the shop tells of the card first
			c.later(p, time.Hour, 4*time.Hour, func() {
				at := c.now(p)
				c.say(c.paid(p, "card", "monthly-card", "199.00", at), func() { comes(at.Add(-30 * time.Minute)) })
			})
		default:
			c.later(p, 0, 8*time.Hour, func() { comes(c.now(p)) })
		}
	case "nudge":
		if p.kind == 9 {
			c.later(p, 0, 4*time.Hour, func() { comes(c.now(p)) })
		}
	case "card-offer":
		c.offered(p, "monthly-card", c.card)
	case "gear-offer":
		c.offered(p, "gear", c.gear)
	case "comeback":
		if p.kind == 17 { // comes back and pays the list price
			c.later(p, 0, 2*time.Hour, func() { c.say(c.paid(p, "list-card", "monthly-card", "299.00", c.now(p)), nil) })
		}
	}
}

func lessonOf(p *person) string {
	if p.kind%2 == 1 {
		return "yoga"
	}
	return "intro"
}

// card is what a member does about the offer of a card.
func (c *crowd) card(p *person, o *judge.Seen) {
	pays := func(what string, amount string, at time.Time) {
		c.say(c.paid(p, what, "monthly-card", amount, at), nil)
	}
	switch p.kind {
	case 7, 8, 10, 17: // lets it lapse
	case 11:
		c.later(p, time.Hour, 6*time.Hour, func() { c.say(c.refund(p, c.now(p)), nil) })
	case 12: // pays in the last moment; it is told after the end, within the grace
		c.at(p, o.ExpiresAt, func() { pays("card", "199.00", o.ExpiresAt) })
	case 14: // pays a moment too late
		c.at(p, o.ExpiresAt, func() { pays("card", "199.00", o.ExpiresAt.Add(time.Microsecond)) })
	case 15: // has bought
	case 16:
		c.later(p, 0, 6*time.Hour, func() { pays("cheap-card", "150.00", c.now(p)) })
	case 18: // the shop tells of her order twice, as two events
		c.later(p, 0, 10*time.Hour, func() {
			first := c.paid(p, "card", "monthly-card", "199.00", c.now(p))
			again := *first
			again.ID, again.Time = p.id+"-card-again", first.Time.Add(time.Second)
			c.say(first, func() { c.say(&again, nil) })
		})
	default:
		c.later(p, 0, 16*time.Hour, func() { pays("card", "199.00", c.now(p)) })
	}
}

// gear is what a member does about the offer of gear.
func (c *crowd) gear(p *person, o *judge.Seen) {
	switch p.kind {
	case 0, 1, 2, 3, 4, 18, 19:
		c.later(p, 0, 16*time.Hour, func() { c.say(c.paid(p, "gear", "gear", "380.00", c.now(p)), nil) })
	case 12, 15:
		c.at(p, o.ExpiresAt, func() { c.say(c.paid(p, "gear", "gear", "380.00", o.ExpiresAt), nil) })
	}
}

// offered asks for the terms of an offer, until there is an answer, and acts on them.
func (c *crowd) offered(p *person, name string, act func(*person, *judge.Seen)) {
	c.later(p, 0, 30*time.Minute, func() {
		var answer struct {
			Offers []struct {
				ID        string    `json:"id"`
				Offer     string    `json:"offer"`
				OpenedAt  time.Time `json:"opened_at"`
				ExpiresAt time.Time `json:"expires_at"`
				Price     struct {
					Amount string `json:"amount"`
				} `json:"price"`
			} `json:"offers"`
		}
		if _, err := c.api.insist(c.stop, http.MethodGet, "/v1/members/"+p.id+"/offers", "", nil, &answer); err != nil {
			c.complain(fmt.Errorf("ask for the offers of %s: %w", p.id, err))
			return
		}
		for _, o := range answer.Offers {
			if o.Offer == name {
				seen := &judge.Seen{Member: p.id, ID: o.ID, Name: o.Offer, OpenedAt: o.OpenedAt, ExpiresAt: o.ExpiresAt, Price: o.Price.Amount}
				c.write(&judge.Line{Offer: seen})
				p.mu.Lock()
				act(p, seen)
				p.mu.Unlock()
				return
			}
		}
		c.complain(fmt.Errorf("%s was told of an offer of %s that is not there", p.id, name))
	})
}

// later does something after a while of the campaign's time. The caller holds her lock.
func (c *crowd) later(p *person, least, most time.Duration, do func()) {
	wait := least + time.Duration(p.chance.Int64N(int64(most-least)))
	c.after(c.clock[p.campaign].realSpan(wait), do)
}

// at does something at a moment of the campaign's time, or now if that has passed.
func (c *crowd) at(p *person, moment time.Time, do func()) {
	wait := c.clock[p.campaign].realSpan(moment.Sub(c.now(p)))
	// Told a little later, so that by its own time it is at the edge and on arrival past it.
	c.after(max(0, wait)+time.Duration(p.chance.Int64N(int64(time.Second))), do)
}

func (c *crowd) after(wait time.Duration, do func()) {
	c.busy.Add(1)
	time.AfterFunc(wait, func() {
		defer c.busy.Add(-1)
		if c.stop.Err() == nil {
			do()
		}
	})
}

// say hands an event to the shop.
func (c *crowd) say(e *judge.Event, then func()) {
	c.busy.Add(1)
	t := &telling{event: e, then: then}
	c.mu.Lock()
	if c.holding {
		c.held = append(c.held, t)
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	c.tell <- t
}

// hold keeps events back; release tells them in another order.
func (c *crowd) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holding = true
}

func (c *crowd) release(chance *rand.Rand) int {
	c.mu.Lock()
	held := c.held
	c.held, c.holding = nil, false
	c.mu.Unlock()
	chance.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
	for _, t := range held {
		c.tell <- t
	}
	return len(held)
}

// send tells events, alone or a few at a time, until they are accepted.
func (c *crowd) send(ctx context.Context) {
	for {
		var batch []*telling
		select {
		case <-ctx.Done():
			return
		case t := <-c.tell:
			batch = append(batch, t)
		}
		for more := true; more && len(batch) < 8; {
			select {
			case t := <-c.tell:
				batch = append(batch, t)
			default:
				more = false
			}
		}
		c.deliver(ctx, batch)
	}
}

type batchBody struct {
	Events []*judge.Event `json:"events"`
}

func (c *crowd) deliver(ctx context.Context, batch []*telling) {
	path, body := "/v1/events", any(batch[0].event)
	if len(batch) > 1 {
		all := batchBody{}
		for _, t := range batch {
			all.Events = append(all.Events, t.event)
		}
		path, body = "/v1/events/batch", all
	}
	text, err := json.Marshal(body)
	if err != nil {
		c.complain(err)
		return
	}
	told := time.Now().Truncate(time.Microsecond) // as fine as PostgreSQL's clock
	tries, err := c.api.insist(ctx, http.MethodPost, path, "application/json", text, nil)
	answered := time.Now()
	c.failed.Add(int64(tries - 1))
	if err != nil {
		answered = time.Time{}
		c.complain(fmt.Errorf("tell of %s: %w", batch[0].event.ID, err))
	}
	for _, t := range batch {
		t.told, t.tries = told, tries
		c.write(&judge.Line{Event: t.event, Told: told, Answered: answered, Tries: tries})
		if err == nil {
			c.mu.Lock()
			c.accepted = append(c.accepted, t)
			c.mu.Unlock()
			if t.then != nil {
				t.then()
			}
		}
		c.busy.Add(-1)
	}
}

// repeat tells some events again that were accepted long ago, in any order. Each has to
// be answered as a duplicate.
func (c *crowd) repeat(ctx context.Context, chance *rand.Rand, most int) (int, error) {
	c.mu.Lock()
	var batch []*judge.Event
	for range min(most, len(c.accepted)) {
		batch = append(batch, c.accepted[chance.IntN(len(c.accepted))].event)
	}
	c.mu.Unlock()
	if len(batch) == 0 {
		return 0, nil
	}
	text, err := json.Marshal(batchBody{batch})
	if err != nil {
		return 0, err
	}
	var answer struct{ Accepted, Duplicates int }
	if _, err := c.api.insist(ctx, http.MethodPost, "/v1/events/batch", "application/json", text, &answer); err != nil {
		return 0, err
	}
	if answer.Accepted != 0 || answer.Duplicates != len(batch) {
		return 0, fmt.Errorf("of %d events that were accepted before, %d counted again", len(batch), answer.Accepted)
	}
	for _, e := range batch {
		c.write(&judge.Line{Again: e.ID})
	}
	return len(batch), nil
}

func (c *crowd) write(l *judge.Line) {
	if err := c.file.Write(l); err != nil {
		c.complain(err)
	}
}

// complain ends the run, unless it is ending anyway.
func (c *crowd) complain(err error) {
	if !errors.Is(err, context.Canceled) && c.stop.Err() == nil {
		c.failing(err)
	}
}
