package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"google.golang.org/protobuf/proto"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// Somebody has a hundred days to decide, which no machine is too slow for, or two hours
// of which a demo clock leaves seconds.
const wall = `
campaign: wall
title: diary wall
roles:
  coach: {title: Coach, backup: owner}
  owner:
events:
  told: {kind: string}
  left:
messages:
  shown: "{{ member.id }} is on the wall"
  sorry: "not this time"
journeys:
  patient:
    start: {on: told, when: event.kind == "patient"}
    goal: {on: told, when: "false"}
    exit: {on: left}
    steps:
      - review: {by: coach, about: Good enough?, for: 100d, otherwise: reject}
        approved:
          - send: shown
          - end: shown
        rejected:
          - send: sorry
          - end: kept
  quick:
    start: {on: told, when: event.kind == "quick"}
    goal: {on: told, when: "false"}
    steps:
      - review: {by: coach, for: 1h, otherwise: approve}
        approved:
          - end: nobody-objected
        rejected:
          - end: kept
`

// A person's decision moves the journey that waits for it, over both drives; so does the
// time. Who decided and why is nowhere in Temporal.
func TestReviews(t *testing.T) { overDrives(t, testReviews) }

func testReviews(t *testing.T, f *fleet) {
	f.submit(wall, 3600, time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC))
	f.runRouter()
	f.runWorker()
	start := f.now("wall")
	for i, kind := range []string{"patient", "patient", "patient", "quick"} {
		e := campaign.Event{ID: fmt.Sprintf("e-%d", i+1), Type: "told", Member: fmt.Sprintf("m-%d", i+1), Time: start, Properties: json.RawMessage(`{"kind":"` + kind + `"}`)}
		f.events(e)
	}
	f.until("four reviews were opened", func() bool { return f.count(`select count(*) from reviews`) == 4 })
	f.until("nobody decided in time", func() bool { return f.count(`select count(*) from journeys where outcome = 'nobody-objected'`) == 1 })
	id := func(member string) int64 {
		return int64(f.count(`select id::int from reviews where member = $1`, member))
	}
	// Ten people decide at one moment; one of them does.
	var people sync.WaitGroup
	var taken sync.Map
	for i := range 10 {
		people.Go(func() {
			if _, err := f.store.DecideReview(f.ctx, id("m-1"), campaign.Approve, fmt.Sprintf("reviewer-%d", i), "a wonderful story"); err == nil {
				taken.Store(i, true)
			} else if campaign.CodeOf(err) != campaign.CodeConflict {
				t.Error(err)
			}
		})
	}
	people.Wait()
	n := 0
	taken.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d decisions were taken", n)
	}
	if _, err := f.store.DecideReview(f.ctx, id("m-2"), campaign.Reject, "reviewer-x", "too short"); err != nil {
		t.Fatal(err)
	}
	f.events(campaign.Event{ID: "e-9", Type: "left", Member: "m-3", Time: f.now("wall")})
	f.allDone()
	for member, want := range map[string]string{"m-1": "shown approved", "m-2": "kept rejected", "m-3": "exited withdrawn", "m-4": "nobody-objected approved"} {
		if got := f.text(`select j.outcome || ' ' || r.state from journeys j join reviews r on r.journey = j.id where j.member = $1`, member); got != want {
			t.Errorf("%s: %s, want %s", member, got, want)
		}
	}
	if got := len(f.receiver.Delivered()); got != 2 {
		t.Errorf("%d messages were delivered", got)
	}
	if _, err := f.store.DecideReview(f.ctx, id("m-4"), campaign.Reject, "reviewer-x", "no"); campaign.CodeOf(err) != campaign.CodeConflict || !strings.Contains(err.Error(), "over") {
		t.Errorf("a decision after the time: %v", err)
	}
	f.nowhereInTemporal("webhook", "reviewer-", "wonderful story", "too short")
	for kind, want := range map[campaign.TraceKind]int{
		campaign.TraceReviewOpened: 4, campaign.TraceReviewDecided: 2, campaign.TraceReviewBackup: 1, campaign.TraceReviewOver: 1, campaign.TraceReviewDropped: 1,
	} {
		if got := f.count(`select count(*) from trace where kind = $1`, string(kind)); got != want {
			t.Errorf("%d lines %s, want %d", got, kind, want)
		}
	}
}

// nowhereInTemporal looks for texts in all histories, where what is known to stand there
// is found.
func (f *fleet) nowhereInTemporal(known string, texts ...string) {
	f.t.Helper()
	rows, err := f.pool.Query(f.ctx, `select workflow_id from journeys where slice is null union select workflow_id from slices`)
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	found := false
	for rows.Next() {
		var workflow string
		if err := rows.Scan(&workflow); err != nil {
			f.t.Fatal(err)
		}
		events := f.client.GetWorkflowHistory(f.ctx, workflow, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				f.t.Fatal(err)
			}
			data, err := proto.Marshal(e)
			if err != nil {
				f.t.Fatal(err)
			}
			found = found || strings.Contains(string(data), known)
			for _, text := range texts {
				if strings.Contains(string(data), text) || strings.Contains(workflow, text) {
					f.t.Errorf("%q stands in the history of %s", text, workflow)
				}
			}
		}
	}
	if !found {
		f.t.Errorf("%q was looked for in vain", known)
	}
}

const questions = `
campaign: questions
title: questions
events:
  go:
  worn:
messages:
  size: "Which size, S, M or L?"
  size-again: "S, M or L, please"
  thanks: "{{ answers.size }} it is"
journeys:
  one:
    start: {on: go}
    goal: {on: worn}
    steps:
      - ask: {message: size, again: size-again, answers: {size: {one_of: {S: 小, M: 中, L: 大}}}, for: 100d}
      - send: thanks
      - ask: {message: size, answers: {note: string}, for: 1h}
        otherwise:
          - end: silent
`

// A question goes out, is put again after a reply that fits nothing, and its answer is in
// the next message; what is not answered goes the other way when the time is over. What
// members write is nowhere in Temporal.
func TestQuestions(t *testing.T) { overDrives(t, testQuestions) }

func testQuestions(t *testing.T, f *fleet) {
	f.submit(questions, 3600, time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC))
	f.runRouter()
	f.runWorker()
	f.events(campaign.Event{ID: "e-1", Type: "go", Member: "m-1", Time: f.now("questions")})
	delivered := func() (bodies []string) {
		for _, r := range f.receiver.Delivered() {
			bodies = append(bodies, r.Body)
		}
		return bodies
	}
	f.until("the question is out", func() bool { return len(delivered()) == 1 })
	reply := func(id, text string) {
		t.Helper()
		properties, err := json.Marshal(campaign.Reply{Text: text, Question: f.text(`select key from messages order by number limit 1`)})
		if err != nil {
			t.Fatal(err)
		}
		if got := f.events(campaign.Event{ID: id, Type: campaign.EventReply, Member: "m-1", Time: f.now("questions"), Properties: properties}); got[0] != store.EventAccepted {
			t.Fatal(got)
		}
	}
	reply("r-1", "a tent of my own making")
	f.until("the question is put again", func() bool { return len(delivered()) == 2 })
	reply("r-2", "中。")
	f.allDone()
	counts := map[string]int{}
	for _, body := range delivered() {
		counts[body]++
	}
	if counts["Which size, S, M or L?"] != 2 || counts["S, M or L, please"] != 1 || counts["M it is"] != 1 {
		t.Errorf("delivered %v", counts)
	}
	if got := f.text(`select outcome from journeys`); got != "silent" {
		t.Errorf("outcome %q", got)
	}
	f.nowhereInTemporal("webhook", "a tent of my own", "中")
	if got := f.count(`select count(*) from trace where params::text like '%tent%'`); got != 0 {
		t.Errorf("%d lines of the trace hold what she wrote", got)
	}
}
