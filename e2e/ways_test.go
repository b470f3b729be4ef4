package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/all"
	"github.com/banyanhq/banyan/channels/console"
	"github.com/banyanhq/banyan/channels/webhook"
	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
	"github.com/banyanhq/banyan/store"
)

const manyWays = `
campaign: ways
title: ways in, and what comes first
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string}
  lesson.attended: {lesson: string}
segments:
  vip: '"vip" in member.tags'
messages: {hi: "hi"}
journeys:
  once: {start: {on: lesson.attended}, goal: {on: order.refunded, when: "false"}, steps: [{end: x}]}
  every: {start: {on: lesson.attended}, entry: every_time, goal: {on: order.refunded, when: "false"}, steps: [{await: order.paid, for: 30d}]}
  after: {start: {on: lesson.attended}, entry: after_exit, goal: {on: order.refunded, when: "false"}, steps: [{await: order.paid, for: 30d}]}
  again: {start: {on: lesson.attended}, entry: {again_after: 2h}, goal: {on: order.refunded, when: "false"}, steps: [{end: x}]}
  again-later: {start: {on: lesson.attended}, entry: {again_after: 30d}, goal: {on: order.refunded, when: "false"}, steps: [{end: x}]}
  several:
    start:
      - {on: lesson.attended, when: event.lesson == "second"}
      - {segment: vip}
      - {api: true}
      - {on: order.paid}
    goal: {on: order.refunded, when: "false"}
    steps: [{end: x}]
  first-come:
    start: {api: true}
    goal: {on: order.refunded, when: "false"}
    steps:
      - await: [order.paid, order.refunded]
        for: 30d
        otherwise: [{end: none}]
      - choose:
          - when: event.type == "order.paid"
            steps: [{end: paid}]
        otherwise: [{end: refunded}]
`

// Each entry rule, each way in, and an await of several events, as members meet them.
func TestWaysIn(t *testing.T) { overDrives(t, testWaysIn) }

func testWaysIn(t *testing.T, f *fleet) {
	// With one line for each journey there is no place for the drive.
	source := manyWays
	if f.sliced() {
		source = strings.ReplaceAll(source, ": {start: {on: lesson.attended},", ": {drive: slices, start: {on: lesson.attended},")
	}
	name := f.submit(source, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	lesson := func(id, member, lesson string, at time.Time) campaign.Event {
		return campaign.Event{ID: id, Type: "lesson.attended", Member: member, Time: at, Properties: json.RawMessage(fmt.Sprintf(`{"lesson":%q}`, lesson))}
	}
	entered := func(journey string, entries, active int) {
		t.Helper()
		holds := func() bool {
			return f.count(`select count(*) from journeys where member = 'm-1' and journey = $1`, journey) == entries &&
				f.count(`select count(*) from journeys where member = 'm-1' and journey = $1 and status = 'active'`, journey) == active
		}
		if !eventually(f.ctx, holds) {
			t.Errorf("%s: not %d entries with %d under way\n%s", journey, entries, active, f.state())
		}
	}
	routed := func() {
		t.Helper()
		f.until("all events are routed", func() bool { return f.count(`select count(*) from intents`) == 0 })
	}
	now := time.Now()
	f.events(lesson("l-1", "m-1", "first", now.Add(-3*time.Hour)))
	routed()
	for _, journey := range []string{"once", "again", "again-later"} {
		entered(journey, 1, 0)
	}
	f.events(lesson("l-2", "m-1", "second", now))
	routed()
	entered("once", 1, 0)
	entered("every", 2, 2)
	entered("after", 1, 1)
	entered("again", 2, 0)
	entered("again-later", 1, 0)
	entered("several", 1, 0)
	f.events(paid("o-1", "m-1", "x", "1.00", time.Now()))
	routed()
	entered("every", 2, 0)
	entered("after", 1, 0)
	f.events(lesson("l-3", "m-1", "second", time.Now()))
	routed()
	entered("after", 2, 1)
	entered("every", 3, 1)

	// By a segment, by the API, and by the other event.
	if _, err := f.store.PutMembers(f.ctx, []store.MemberPut{
		{ID: "m-2", JoinedAt: now, Tags: []string{"vip"}}, {ID: "m-3", JoinedAt: now}, {ID: "m-5", JoinedAt: now}, {ID: "m-6", JoinedAt: now},
	}); err != nil {
		t.Fatal(err)
	}
	for member, journey := range map[string]string{"m-3": "several", "m-5": "first-come", "m-6": "first-come"} {
		if e, err := f.router.Enter(f.ctx, name, journey, member, nil); err != nil || !e.Entered {
			t.Fatalf("%s into %s: %+v, %v", member, journey, e, err)
		}
	}
	refund := campaign.Event{ID: "r-6", Type: "order.refunded", Member: "m-6", Time: time.Now(), Properties: json.RawMessage(`{"order":"x"}`)}
	f.events(paid("o-4", "m-4", "x", "1.00", time.Now()), paid("o-5", "m-5", "x", "1.00", time.Now()), refund)
	f.until("all have come in", func() bool {
		return f.count(`select count(*) from journeys where journey = 'several' and outcome = 'x'`) == 5 // m-5 by her order too
	})
	f.until("the first event has decided", func() bool {
		return f.text(`select coalesce(string_agg(outcome, ' ' order by member), '') from journeys where journey = 'first-come' and outcome <> ''`) == "paid refunded"
	})
	if got := f.text(`select string_agg(member || ' ' || entered_by, ', ' order by member) from journeys where journey = 'several'`); got != "m-1 event, m-2 segment, m-3 api, m-4 event, m-5 event" {
		t.Errorf("several: %s", got)
	}
}

const twoChannels = `
campaign: channels
title: one channel after the other
events:
  order.paid: {order: string, offer: string, amount: money}
messages:
  both: {console: "by the console", webhook: "by the webhook"}
  hook: "hook"
journeys:
  way:
    start: {on: order.paid}
    goal: {on: order.paid, when: "false"}
    steps:
      - send: both
        via: [webhook, console]
      - wait: 1s
      - send: hook
        via: webhook
      - end: through
`

// A channel that says permanently no is followed by the next of the list, with that
// one's wording; where it was the last the message is refused. The journey goes on.
func TestTheNextChannel(t *testing.T) { overDrives(t, testTheNextChannel) }

func testTheNextChannel(t *testing.T, f *fleet) {
	var out lines
	var err error
	if f.channels, _, err = all.Build(all.Config{
		Webhook: webhook.Config{URL: f.hook, Secret: hookSecret, AllowPrivate: true}, Console: console.Config{Out: &out}, Default: "webhook",
	}); err != nil {
		t.Fatal(err)
	}
	f.submit(twoChannels, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	f.receiver.Next(webhooktest.FaultRefuse, webhooktest.FaultRefuse)
	f.events(paid("o-1", "m-1", "x", "1.00", time.Now()))
	f.allDone()
	f.events(paid("o-2", "m-2", "x", "1.00", time.Now()))
	f.until("two are through", func() bool { return f.count(`select count(*) from journeys where outcome = 'through'`) == 2 })
	f.allDone()
	want := "m-1 both console sent, m-1 hook webhook refused, m-2 both webhook sent, m-2 hook webhook sent"
	if got := f.text(`select string_agg(member || ' ' || name || ' ' || channel || ' ' || state, ', ' order by member, name) from messages`); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := out.text(); strings.Count(got, "by the console") != 1 || strings.Contains(got, "by the webhook") {
		t.Errorf("the console wrote %q", got)
	}
	bodies := map[string]string{}
	for _, r := range f.receiver.Delivered() {
		bodies[r.Member+" "+r.Message] = r.Body
	}
	if len(bodies) != 2 || bodies["m-2 both"] != "by the webhook" || bodies["m-2 hook"] != "hook" {
		t.Errorf("the webhook got %v", bodies)
	}
}

// lines is what the console has written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
