package e2e

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/call"
	"github.com/banyanhq/banyan/channels/call/calltest"
	"github.com/banyanhq/banyan/devstack/devtest"
)

// A service has a hundred days to answer, which no machine is too slow for, or three hours
// of which a demo clock leaves seconds.
const levels = `
campaign: levels
title: levels
events:
  go: {kind: string}
  left:
messages:
  known: "{{ calls.crm.level }} with {{ calls.crm.score }}"
journeys:
  patient:
    start: {on: go, when: event.kind == "patient"}
    goal: {on: go, when: "false"}
    exit: {on: left}
    steps:
      - call:
          url: CRM/levels
          body: '{"member": member.id, "secret": "a thing of hers"}'
          returns: {level: {type: string, one_of: [bronze, gold]}, score: int}
          save_as: crm
          for: 100d
          timeout: 2s
        otherwise:
          - end: no-crm
      - choose:
          - when: calls.crm.level == "gold" && calls.crm.score > 5
            steps:
              - send: known
              - end: gold
      - end: other
  quick:
    start: {on: go, when: event.kind == "quick"}
    goal: {on: go, when: "false"}
    steps:
      - call: {url: "CRM/levels", for: 3h, timeout: 2s}
        otherwise:
          - end: too-late
      - end: heard
`

// services starts a service on a socket, and writes its address into a campaign.
func services(t *testing.T, source string) (*calltest.Service, string) {
	t.Helper()
	service := &calltest.Service{Secret: callSecret, Answer: func(p call.Payload) any {
		if p.Member == "m-bronze" {
			return map[string]any{"level": "bronze", "score": 1}
		}
		return map[string]any{"level": "gold", "score": 7, "more": "than anybody asked for"}
	}}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	return service, strings.ReplaceAll(source, "CRM", server.URL)
}

func goes(kind, member string, at time.Time) campaign.Event {
	return campaign.Event{ID: "go-" + member, Type: "go", Member: member, Time: at, Properties: json.RawMessage(`{"kind":"` + kind + `"}`)}
}

// Services answer, refuse, fail, answer nonsense, break off and are silent; every journey
// goes the way that this means, and everything was done once. What is sent and answered is
// nowhere in Temporal and not in the story.
func TestCalls(t *testing.T) { overDrives(t, testCalls) }

func testCalls(t *testing.T, f *fleet) {
	service, source := services(t, levels)
	service.Meet = func(p call.Payload, before int) calltest.Fault {
		faults := map[string][]calltest.Fault{
			"m-flaky":   {calltest.Unavailable, calltest.Drop, calltest.Busy, calltest.Cut},
			"m-refused": {calltest.NotFound},
			"m-unfit":   {calltest.Unfit},
			"m-huge":    {calltest.Huge},
			"m-sent":    {calltest.Redirect},
			"m-silent":  {calltest.Stall},
		}[p.Member]
		switch {
		case p.Member == "m-down" || p.Member == "m-leaves":
			return calltest.Unavailable
		case before < len(faults):
			return faults[before]
		}
		return calltest.None
	}
	f.submit(source, 3600, time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC))
	f.runRouter()
	f.runWorker()
	start := f.now("levels")
	wants := map[string]string{
		"m-gold": "gold", "m-bronze": "other", "m-flaky": "gold", "m-refused": "no-crm", "m-unfit": "no-crm", "m-huge": "no-crm", "m-sent": "no-crm",
		"m-silent": "gold", "m-leaves": campaign.OutcomeExited, "m-down": "too-late", "m-heard": "heard",
	}
	for member := range wants {
		kind := "patient"
		if member == "m-down" || member == "m-heard" {
			kind = "quick"
		}
		f.events(goes(kind, member, start))
	}
	f.until("a call was tried whose member will leave", func() bool {
		return f.count(`select count(*) from messages where member = 'm-leaves' and attempts > 0`) == 1
	})
	f.events(campaign.Event{ID: "left", Type: "left", Member: "m-leaves", Time: f.now("levels")})
	f.allDone()
	for member, want := range wants {
		if got := f.text(`select outcome from journeys where member = $1`, member); got != want {
			t.Errorf("%s ended as %s, want %s", member, got, want)
		}
	}
	states := map[string]string{
		"m-gold": "sent ", "m-flaky": "sent ", "m-refused": "refused http_404", "m-unfit": "refused answer_unfit", "m-huge": "refused answer_too_long",
		"m-sent": "refused redirect_307", "m-silent": "sent ", "m-heard": "sent ",
	}
	for member, want := range states {
		if got := f.text(`select state || ' ' || reason from messages where member = $1 and kind = 'call'`, member); got != want {
			t.Errorf("the call for %s is %s, want %s", member, got, want)
		}
	}
	if n := f.count(`select count(*) from messages m join effects e using (key) where m.kind = 'call' and (e.settled_at is null or e.state in ('claimed', 'unknown'))`); n != 0 {
		t.Errorf("%d claims are open", n)
	}
	// Each was answered by one event, and none by two.
	if told := f.count(`select count(*) from events where type = '@call.answered'`); told != len(states)+1 {
		t.Errorf("%d events tell how calls ended, want %d", told, len(states)+1)
	}
	for _, r := range service.Done() {
		if f.count(`select count(*) from messages where key = $1 and kind = 'call'`, r.Key) != 1 {
			t.Errorf("%s was not claimed", r.Key)
		}
	}
	if n, claims := len(service.Done()), f.count(`select count(*) from messages where kind = 'call'`); n > claims || claims != len(wants) {
		t.Errorf("%d were done of %d claims", n, claims)
	}
	if bad := service.Bad(); len(bad) > 0 {
		t.Errorf("a good caller does not send: %v", bad)
	}
	f.nowhereInTemporal("crm", "a thing of hers", "with 7", "than anybody")
	if n := f.count(`select count(*) from trace where params::text like '%thing of hers%' or params::text like '%than anybody%'`); n != 0 {
		t.Errorf("%d lines of the story show what was sent or answered", n)
	}
	if n := f.count(`select count(*) from events where properties::text like '%than anybody%'`); n != 0 {
		t.Error("what no field declares was kept")
	}
	for kind, want := range map[campaign.TraceKind]int{
		campaign.TraceCalled: len(wants), campaign.TraceCallAnswered: 5, campaign.TraceCallRefused: 4, campaign.TraceCallDropped: 1,
	} {
		if got := f.count(`select count(*) from trace where kind = $1`, string(kind)); got != want {
			t.Errorf("%d lines %s, want %d", got, kind, want)
		}
	}
	if delivered := len(f.receiver.Delivered()); delivered != 3 {
		t.Errorf("%d messages were delivered", delivered)
	}
	// Calls are no messages in what people read.
	report, err := f.store.Report(f.ctx, "levels")
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]int64{}
	for _, c := range report.Calls {
		calls[c.Call+" "+c.State+" "+c.Reason] += c.Calls
	}
	if calls["crm sent "] != 4 || calls["crm refused http_404"] != 1 {
		t.Errorf("the report has the calls %v", calls)
	}
	for _, m := range report.Messages {
		if m.Message != "known" {
			t.Errorf("the report has a message %+v", m)
		}
	}
}

// A paused campaign makes no calls; what was claimed is made when it goes on. One that is
// ended at once makes none any more.
func TestCallsOfAPausedCampaign(t *testing.T) { overDrives(t, testCallsOfAPausedCampaign) }

func testCallsOfAPausedCampaign(t *testing.T, f *fleet) {
	service, source := services(t, levels)
	service.Always(calltest.Unavailable)
	f.submit(source, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	f.events(goes("patient", "m-1", time.Now()))
	f.until("the service was tried", func() bool { return service.Requests() >= 1 })
	if err := f.store.Pause(f.ctx, "levels"); err != nil {
		t.Fatal(err)
	}
	// A try that had begun may still come through, then there is none for longer than any
	// pause between two.
	tried := func() int { return f.count(`select attempts from messages`) }
	for last, quiet := -1, time.Now(); time.Since(quiet) < 5*time.Second; {
		if n := tried(); n != last {
			last, quiet = n, time.Now()
		}
		f.until("some time has gone by", func() bool { return time.Since(quiet) > 100*time.Millisecond })
		if last > 20 {
			t.Fatalf("tried %d times though the campaign is paused", last)
		}
	}
	n := service.Requests()
	service.Always(calltest.None)
	if got := f.text(`select status || ' ' || step_name from journeys`); got != "active call crm" {
		t.Errorf("the journey is %s", got)
	}
	if err := f.store.Resume(f.ctx, "levels"); err != nil {
		t.Fatal(err)
	}
	f.allDone()
	if got := f.text(`select outcome from journeys`); got != "gold" || service.Requests() <= n || len(service.Done()) != 1 {
		t.Errorf("ended as %s after %d and then %d requests", got, n, service.Requests())
	}

	service.Always(calltest.Unavailable)
	f.events(goes("patient", "m-2", time.Now()))
	f.until("the service was tried again", func() bool {
		return f.count(`select count(*) from messages where member = 'm-2' and attempts > 0`) == 1
	})
	if err := f.store.End(f.ctx, "levels", false); err != nil {
		t.Fatal(err)
	}
	f.allDone()
	if got := f.text(`select j.outcome || ' ' || m.state from journeys j join messages m on m.journey = j.id where j.member = 'm-2'`); got != "ended dropped" && got != "ended failed" {
		t.Errorf("m-2 is %s", got)
	}
}

// A worker is killed with calls in its hands that the service has done. Another one makes
// them again under their keys, the service answers what it answered before, and the
// journeys go on with that.
func TestAWorkerIsKilledBetweenACallAndItsAnswer(t *testing.T) {
	overDrives(t, testAWorkerIsKilledBetweenACallAndItsAnswer)
}

func testAWorkerIsKilledBetweenACallAndItsAnswer(t *testing.T, f *fleet) {
	const members = 5
	service, source := services(t, strings.ReplaceAll(levels, "timeout: 2s", "timeout: 30s"))
	service.Always(calltest.Stall)
	w := newProgram(t, banyan(t), []string{
		"BANYAN_DATABASE_URL=" + f.dsn, "TEMPORAL_ADDRESS=" + devtest.Temporal(t), "TEMPORAL_NAMESPACE=" + f.namespace, "BANYAN_LISTEN=",
		"BANYAN_CHANNEL=webhook", "BANYAN_WEBHOOK_URL=" + f.hook, "BANYAN_WEBHOOK_SECRET=" + hookSecret, "BANYAN_WEBHOOK_ALLOW_PRIVATE=true",
		"BANYAN_CALL_SECRET=" + callSecret, "BANYAN_CALL_ALLOW=127.0.0.1",
	}, "worker")
	f.submit(source, 1, time.Time{})
	f.runRouter()
	w.start()
	for i := range members {
		f.events(goes("patient", fmt.Sprintf("m-%d", i), time.Now()))
	}
	f.until("the service has done every call and answered none", func() bool { return len(service.Done()) == members })
	w.kill()
	if n := f.count(`select count(*) from messages where kind = 'call' and state = 'unknown'`); n != members {
		t.Errorf("%d calls are in doubt, want %d", n, members)
	}
	service.Always(calltest.None)
	w.start()
	f.allDone()
	if n := f.count(`select count(*) from journeys where outcome = 'gold'`); n != members {
		t.Errorf("%d journeys went on with the answer\n%s", n, f.state())
	}
	done := service.Done()
	for _, r := range done {
		if r.Times < 2 {
			t.Errorf("%s came %d times, so nothing was proved", r.Key, r.Times)
		}
	}
	if len(done) != members || len(service.Bad()) != 0 {
		t.Errorf("%d were done, want %d; %v", len(done), members, service.Bad())
	}
	if n := f.count(`select count(*) from events where type = '@call.answered'`); n != members {
		t.Errorf("%d answers were told, want %d", n, members)
	}
}

// The history of a journey that calls a service is kept, and holds ids alone.
func TestHistoriesOfCalls(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	service, source := services(t, levels)
	service.Next(calltest.Unavailable)
	f.submit(source, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	f.events(goes("patient", "m-1", time.Now()))
	f.allDone()
	var outcome string
	const workflow = "journey/levels/patient/m-1/1"
	if err := f.client.GetWorkflow(f.ctx, workflow, "").Get(f.ctx, &outcome); err != nil || outcome != "gold" {
		t.Fatalf("ended as %q, %v", outcome, err)
	}
	h := f.fetch(workflow, "")
	t.Logf("%d history events, %d bytes", len(h.Events), size(h))
	if len(h.Events) > 40 {
		t.Errorf("%d history events, want at most 40", len(h.Events))
	}
	f.keep("call", h)
}
