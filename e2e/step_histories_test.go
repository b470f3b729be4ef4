package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/banyanhq/banyan/campaign"
)

const everyWay = `
campaign: ways
title: 各种走法
roles:
  coach: {backup: owner}
  owner:
events: {nothing: {}}
messages: {question: "几节课？", tick: "滴答", bye: "再见"}
journeys:
  asks:
    start: {api: true}
    goal: {on: nothing}
    steps:
      - ask: {message: question, answers: {n: int}, for: 30d}
        otherwise: [{end: silent}]
      - end: answered
  judged:
    start: {api: true}
    goal: {on: nothing}
    steps:
      - review: {by: coach, for: 1s, otherwise: approve}
        approved: [{end: nobody-objected}]
  rounds:
    start: {api: true}
    goal: {on: nothing}
    steps:
      - repeat: {times: 3, every: 1s, steps: [{send: tick}]}
      - end: done
  greets:
    start: {api: true}
    goal: {on: nothing}
    steps: [{send: bye}]
  way:
    start: {api: true}
    goal: {on: nothing}
    steps:
      - {label: stay, wait: 30d}
      - {label: out, send: bye}
      - end: out
`

// TestStepHistories walks what the loop does for the steps that ask, judge and repeat, and
// for a member who is brought to another version: answers by poke, time that is over,
// messages that go out where their turn was taken, a turn that was taken on a journey's
// behalf. With -record the histories are kept for the replay tests.
func TestStepHistories(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.submit(everyWay, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	for _, name := range []string{"asks", "judged", "rounds", "greets", "way"} {
		member := "m-" + name
		f.events(campaign.Event{ID: member, Type: "nothing", Member: member, Time: time.Now()})
		if r, err := f.router.Enter(f.ctx, "ways", name, member, nil); err != nil || !r.Entered {
			t.Fatalf("%+v %v", r, err)
		}
	}
	f.until("the question is out, and one waits to be moved", func() bool {
		return f.count(`select count(*) from messages where name = 'question' and state = 'sent'`) == 1 &&
			f.count(`select count(*) from journeys where journey = 'way' and turn > 0`) == 1
	})
	f.events(campaign.Event{ID: "reply", Type: campaign.EventReply, Member: "m-asks", Time: time.Now(), Properties: []byte(`{"text":"7"}`)})
	f.version(everyWay + "# once more\n")
	f.decide("ways", toStep("stay", "out"))
	f.allDone()

	for name, want := range map[string]struct {
		file, outcome string
		holds         []string
	}{
		"asks":   {"ask-answered", "answered", []string{campaign.ActivitySendNow, campaign.SignalPoke}},
		"judged": {"review-timed-out", "nobody-objected", []string{"TIMER_FIRED"}},
		"rounds": {"repeat", "done", []string{campaign.ActivitySendNow, "TIMER_FIRED"}},
		"greets": {"sends-now", "completed", []string{campaign.ActivitySendNow}},
		"way":    {"migrates", "out", []string{campaign.ActivitySendNow, campaign.SignalPoke, campaign.AttributeVersion}},
	} {
		workflow := fmt.Sprintf("journey/ways/%s/m-%s/1", name, name)
		var outcome string
		if err := f.client.GetWorkflow(f.ctx, workflow, "").Get(f.ctx, &outcome); err != nil || outcome != want.outcome {
			t.Errorf("%s ended as %q, %v; want %q", workflow, outcome, err, want.outcome)
		}
		h := f.fetch(workflow, "")
		for _, what := range want.holds {
			if !holds(t, h, what) {
				t.Errorf("%s holds no %s", want.file, what)
			}
		}
		t.Logf("%-16s %3d history events, %6d bytes", want.file, len(h.Events), size(h))
		f.keep(want.file, h)
	}
	rounds := 0
	for _, e := range f.fetch("journey/ways/rounds/m-rounds/1", "").Events {
		if e.EventType == enums.EVENT_TYPE_TIMER_FIRED {
			rounds++
		}
	}
	if rounds < 2 {
		t.Errorf("%d timers fired between three rounds", rounds)
	}
}

// holds reports whether a history, apart from how it began, says something.
func holds(t *testing.T, h *historypb.History, what string) bool {
	t.Helper()
	data, err := protojson.Marshal(&historypb.History{Events: h.Events[1:]})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), what) {
		return true
	}
	// Markers of local activities hold their names encoded.
	for _, e := range h.Events {
		for _, payloads := range e.GetMarkerRecordedEventAttributes().GetDetails() {
			for _, p := range payloads.GetPayloads() {
				if strings.Contains(string(p.GetData()), what) {
					return true
				}
			}
		}
	}
	return false
}
