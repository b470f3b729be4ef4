package e2e

import (
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
	"github.com/banyanhq/banyan/doctor"
	"github.com/banyanhq/banyan/store"
)

// ward is a campaign with everything that a doctor can be called for: a message, then a
// lock that waits.
const ward = `
campaign: ward
title: 锁价
events:
  order.paid: {order: string, offer: string, amount: money}
offers:
  card: {title: 月卡, price: 199, list_price: 299, lock: 48h}
rewards:
  points: {points: 10}
messages:
  welcome: "你好"
journeys:
  way:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "card"}
    steps:
      - grant: points
      - send: welcome
      - offer: card
        lapsed: [{end: lapsed}]
`

func (f *fleet) doctor(change func(*doctor.Config)) map[string]store.Finding {
	f.t.Helper()
	cfg := doctor.Config{Store: f.store, Client: f.client, Namespace: f.namespace}
	if change != nil {
		change(&cfg)
	}
	findings, err := doctor.Examine(f.ctx, cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	byCheck := map[string]store.Finding{}
	for _, x := range findings {
		byCheck[x.Check] = x
	}
	return byCheck
}

func repair(cfg *doctor.Config) { cfg.Repair = true }

// ill lists what is not as it should be, mended or not.
func ill(findings map[string]store.Finding) (checks []string) {
	for check, x := range findings {
		if !x.OK {
			checks = append(checks, check+": "+x.Detail)
		}
	}
	return checks
}

// healthy asks the doctor, who must find nothing.
func (f *fleet) healthy() {
	f.t.Helper()
	if wrong := ill(f.doctor(nil)); wrong != nil {
		f.t.Errorf("%v", wrong)
	}
}

// patient waits until the doctor finds a thing: the list of workflows that run is a
// moment behind.
func (f *fleet) patient(check string, want int) store.Finding {
	f.t.Helper()
	var x store.Finding
	f.until("the doctor finds what is wrong: "+check, func() bool {
		x = f.doctor(nil)[check]
		return len(x.Items) == want
	})
	for _, item := range x.Items {
		if item.Mended || item.Done != "" || item.ToDo == "" {
			f.t.Errorf("a dry run says %+v", item)
		}
	}
	return x
}

// mends repairs, and then finds nothing more to repair of this sort.
func (f *fleet) mends(check string, want int) store.Finding {
	f.t.Helper()
	before := f.books()
	x := f.doctor(repair)[check]
	if len(x.Items) != want || !x.Mended() {
		f.t.Fatalf("the repair of %s says %+v, want %d mended", check, x, want)
	}
	for _, item := range x.Items {
		if item.Done == "" {
			f.t.Errorf("it does not say what was done: %+v", item)
		}
	}
	if after := f.books(); after != before {
		f.t.Errorf("the repair changed the books from %s to %s", before, after)
	}
	f.until("there is nothing left to mend: "+check, func() bool { return f.doctor(repair)[check].OK })
	return x
}

// books are what a repair must not touch.
func (f *fleet) books() string {
	f.t.Helper()
	return f.text(`select (select count(*) from ledger_entries) || ' ' || (select coalesce(sum(amount * account), 0) from ledger_entries) || ' ' ||
		(select count(*) from grants) || ' ' || (select count(*) from offers) || ' ' || (select count(*) from events)`)
}

func (f *fleet) exec(sql string, args ...any) {
	f.t.Helper()
	if _, err := f.pool.Exec(f.ctx, sql, args...); err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
}

// locked lets members into the ward until each of them has her message and her lock.
func (f *fleet) admit(members ...string) {
	f.t.Helper()
	for _, m := range members {
		f.events(paid("trial-"+m, m, "trial", "9.90", time.Now()))
	}
	f.until("all are in", func() bool {
		return f.count(`select count(*) from offers where state = 'open' and member = any($1)`, members) == len(members) &&
			f.count(`select count(*) from messages where state = 'sent' and member = any($1)`, members) == len(members)
	})
}

func (f *fleet) converts(members ...string) {
	f.t.Helper()
	for _, m := range members {
		f.events(paid("card-"+m, m, "card", "199.00", time.Now()))
	}
	f.until("all have converted", func() bool {
		return f.count(`select count(*) from journeys where outcome = 'converted' and member = any($1)`, members) == len(members)
	})
}

func ofWard(member string) string { return "journey/ward/way/" + member + "/1" }

func TestDoctorStartsATerminatedWorkflowAgain(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.submit(ward, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	f.admit("m-1", "m-2")
	if wrong := ill(f.doctor(nil)); wrong != nil {
		t.Fatalf("all is well, and the doctor says %v", wrong)
	}
	if err := f.client.TerminateWorkflow(f.ctx, ofWard("m-1"), "", "by hand"); err != nil {
		t.Fatal(err)
	}
	f.patient(doctor.CheckWorkflows, 1)
	if x := f.mends(doctor.CheckWorkflows, 1); !strings.Contains(x.Items[0].What, "terminated") {
		t.Errorf("%+v", x)
	}
	f.converts("m-1", "m-2")
	f.allDone()
	if n := len(f.receiver.Delivered()); n != 2 || f.receiver.Stats().Accepted != 2 {
		t.Errorf("%d messages are out: %+v", n, f.receiver.Stats())
	}
	if n := f.count(`select count(*) from grants`); n != 2 {
		t.Errorf("%d grants, want 2", n)
	}
	f.healthy()
}

// A workflow may be terminated while its message is on its way, even when the journey
// itself is over: the new one sends it under the same key.
func TestDoctorSendsWhatATerminatedWorkflowHadToSend(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.submit(hello, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	f.receiver.Next(webhooktest.FaultDrop, webhooktest.FaultFail, webhooktest.FaultFail)
	f.events(paid("e-1", "m-1", "trial", "9.90", time.Now()))
	f.until("the message was tried", func() bool { return f.receiver.Stats().Requests >= 1 })
	if err := f.client.TerminateWorkflow(f.ctx, "journey/hello/one/m-1/1", "", "by hand"); err != nil {
		t.Fatal(err)
	}
	f.patient(doctor.CheckWorkflows, 1)
	f.mends(doctor.CheckWorkflows, 1)
	f.allDone()
	if d := f.receiver.Delivered(); len(d) != 1 || f.receiver.Stats().Accepted != 1 {
		t.Errorf("%d messages, %+v", len(d), f.receiver.Stats())
	}
}

func TestDoctorEndsAWorkflowWithoutAJourney(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.submit(ward, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	f.admit("m-1")
	foreign := []string{}
	for id, kind := range map[string]string{"journey/ward/way/nobody/1": campaign.WorkflowJourney, "somebody else's": "Other", "other/journey": campaign.WorkflowJourney} {
		// On a queue that nobody works on, so that it stays as it is.
		run, err := f.client.ExecuteWorkflow(f.ctx, client.StartWorkflowOptions{ID: id, TaskQueue: "nobody's"}, kind, campaign.TurnInput{Journey: 4711})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(id, "journey/") {
			foreign = append(foreign, run.GetID())
		}
	}
	f.patient(doctor.CheckStrays, 1)
	f.mends(doctor.CheckStrays, 1)
	for _, id := range append(foreign, ofWard("m-1")) {
		d, err := f.client.DescribeWorkflowExecution(f.ctx, id, "")
		if err != nil || d.GetWorkflowExecutionInfo().GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			t.Errorf("the doctor ended %s: %v %v", id, d.GetWorkflowExecutionInfo().GetStatus(), err)
		}
	}
	f.converts("m-1")
}

// A doctor who is sent to the wrong database ends nothing, however he is asked.
func TestDoctorInTheWrongPlaceEndsNothing(t *testing.T) {
	t.Parallel()
	f, other := newFleet(t), newFleet(t)
	other.submit(ward, 1, time.Time{})
	other.runRouter()
	other.runWorker()
	var members []string
	for _, n := range strings.Split("abcdefghijklmn", "") {
		members = append(members, "m-"+n)
	}
	other.admit(members...)
	wrong := func(cfg *doctor.Config) { cfg.Repair, cfg.Client, cfg.Namespace = true, other.client, other.namespace }
	f.until("he sees them", func() bool { return len(f.doctor(wrong)[doctor.CheckStrays].Items) == len(members) })
	if x := f.doctor(wrong)[doctor.CheckStrays]; x.OK || x.Mended() || !strings.Contains(x.Items[0].ToDo, "one installation") {
		t.Errorf("%+v", x)
	}
	other.converts(members...)
}

func TestDoctorWakesAJourneyWhosePokeWasLost(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.submit(ward, 1, time.Time{})
	stop := f.runRouter()
	f.runWorker()
	f.admit("m-1", "m-2")
	f.converts("m-2")
	stop()
	f.events(paid("card-m-1", "m-1", "card", "199.00", time.Now()))
	f.exec(`delete from intents`)
	if x := f.doctor(nil)[doctor.CheckJourneys]; !x.OK {
		t.Errorf("an event of just now is called lost: %+v", x)
	}
	f.exec(`update events set stored_at = stored_at - interval '10 minutes' where id = 'card-m-1'`)
	f.patient(doctor.CheckJourneys, 1)
	if n := f.count(`select count(*) from intents`); n != 0 {
		t.Errorf("the dry run left %d intents", n)
	}
	f.mends(doctor.CheckJourneys, 1)
	if n := f.count(`select count(*) from intents where kind = 'poke'`); n != 1 {
		t.Errorf("%d pokes, want one however often it is repaired", n)
	}
	f.runRouter()
	f.until("she has converted", func() bool { return f.count(`select count(*) from journeys where outcome = 'converted'`) == 2 })
}

func TestDoctorWakesAnOverdueJourney(t *testing.T) {
	t.Parallel()
	for name, factor := range map[string]int64{"real clock": 1, "demo clock": 60} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			f.submit(ward, factor, time.Time{})
			stop := f.runRouter()
			f.runWorker()
			f.admit("m-1", "m-2")
			stop()
			now := f.now("ward")
			// Five real minutes are five hours on the fast clock.
			f.exec(`update journeys set wait_until = $1 where member = 'm-1'`, now.Add(-time.Duration(factor)*6*time.Minute))
			f.exec(`update journeys set wait_until = $1 where member = 'm-2'`, now.Add(-time.Duration(factor)*3*time.Minute))
			f.patient(doctor.CheckJourneys, 1)
			f.exec(`update campaigns set state = 'paused'`)
			if x := f.doctor(nil)[doctor.CheckJourneys]; !x.OK {
				t.Errorf("a paused campaign takes no turns, and the doctor says %+v", x)
			}
			f.exec(`update campaigns set state = 'running'`)
			f.mends(doctor.CheckJourneys, 1)
		})
	}
}

func TestDoctorGivesAStuckClaimToItsWorkflowAgain(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.submit(ward, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	f.admit("m-1", "m-2")
	// As if the workflow had been reset to a moment behind the send.
	f.exec(`update messages set state = 'claimed', provider_id = '', sent_at = null where member = 'm-1'`)
	f.exec(`update effects set state = 'claimed', settled_at = null, claimed_at = now() - interval '20 minutes'
		where kind = 'send' and journey = (select id from journeys where member = 'm-1')`)
	f.patient(doctor.CheckClaims, 1)
	f.exec(`update campaigns set state = 'paused'`)
	findings := f.doctor(nil)
	if wrong := ill(findings); wrong != nil || !strings.Contains(findings["messages"].Detail, "1 are held by a pause") {
		t.Errorf("a message that a pause holds: %v, %+v", wrong, findings["messages"])
	}
	f.exec(`update campaigns set state = 'running'`)
	f.mends(doctor.CheckClaims, 1)
	f.until("it is settled", func() bool { return f.count(`select count(*) from messages where state = 'sent'`) == 2 })
	if d := f.receiver.Delivered(); len(d) != 2 || f.receiver.Stats().Repeated != 1 {
		t.Errorf("%d messages, %+v", len(d), f.receiver.Stats())
	}
	f.converts("m-1", "m-2")
}

func TestDoctorHastensWhatIsPutOffTooFar(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.submit(ward, 1, time.Time{})
	f.events(paid("trial-m-1", "m-1", "trial", "9.90", time.Now()))
	f.exec(`update intents set due_at = now() + interval '3 days'`)
	f.patient(doctor.CheckPostponed, 1)
	f.mends(doctor.CheckPostponed, 1)
	f.runRouter()
	f.until("she is in", func() bool { return f.count(`select count(*) from journeys`) == 1 })
}

// What nobody knows is listed until a person has found it out.
func TestDoctorListsWhatAPersonMustAskAbout(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.submit(ward, 1, time.Time{})
	f.runRouter()
	f.runWorker()
	f.admit("m-1", "m-2")
	f.exec(`update messages set state = 'unknown'`)
	f.exec(`update effects set state = 'unknown' where kind = 'send'`)
	x := f.doctor(repair)[doctor.CheckUnknown]
	key := f.text(`select key from messages where member = 'm-1'`)
	if len(x.Items) != 2 || x.Mended() || !strings.Contains(x.Items[0].What+x.Items[1].What, key) {
		t.Fatalf("%+v", x)
	}
	if err := f.store.Reconcile(f.ctx, key, true); err != nil {
		t.Fatal(err)
	}
	if err := f.store.Reconcile(f.ctx, f.text(`select key from messages where member = 'm-2'`), false); err != nil {
		t.Fatal(err)
	}
	if err := f.store.Reconcile(f.ctx, key, false); campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("what is known was changed: %v", err)
	}
	if got := f.text(`select string_agg(state, ' ' order by member) from messages`); got != "sent failed" {
		t.Errorf("they are %s", got)
	}
	f.healthy()
}

// A slice is looked after like a journey's own workflow.
func TestDoctorOnSlices(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.drive = campaign.DriveSlices
	f.submit(ward, 1, time.Time{})
	stop := f.runRouter()
	f.runWorker()
	f.admit("m-1", "m-2", "m-3")
	if wrong := ill(f.doctor(nil)); wrong != nil {
		t.Fatalf("all is well, and the doctor says %v", wrong)
	}

	if err := f.client.TerminateWorkflow(f.ctx, f.driver("m-1"), "", "by hand"); err != nil {
		t.Fatal(err)
	}
	f.patient(doctor.CheckSlices, 1)
	f.mends(doctor.CheckSlices, 1)
	f.converts("m-1")

	if _, err := f.client.ExecuteWorkflow(f.ctx, client.StartWorkflowOptions{ID: "slice/ward/gone/0", TaskQueue: "nobody's"}, campaign.WorkflowSlice); err != nil {
		t.Fatal(err)
	}
	f.patient(doctor.CheckStrays, 1)
	f.mends(doctor.CheckStrays, 1)

	f.exec(`update messages set state = 'claimed', provider_id = '', sent_at = null where member = 'm-2'`)
	f.exec(`update effects set state = 'claimed', settled_at = null, claimed_at = now() - interval '20 minutes'
		where kind = 'send' and journey = (select id from journeys where member = 'm-2')`)
	f.patient(doctor.CheckClaims, 1)
	f.mends(doctor.CheckClaims, 1)
	f.until("it is settled", func() bool { return f.count(`select count(*) from messages where state = 'sent'`) == 3 })
	if d := f.receiver.Delivered(); len(d) != 3 || f.receiver.Stats().Repeated != 1 {
		t.Errorf("%d messages, %+v", len(d), f.receiver.Stats())
	}

	stop()
	f.events(paid("card-m-2", "m-2", "card", "199.00", time.Now()))
	f.exec(`delete from intents`)
	f.exec(`update events set stored_at = stored_at - interval '10 minutes' where id = 'card-m-2'`)
	f.patient(doctor.CheckJourneys, 1)
	f.mends(doctor.CheckJourneys, 1)
	f.runRouter()
	f.until("she has converted", func() bool {
		return f.count(`select count(*) from journeys where outcome = 'converted' and member = 'm-2'`) == 1
	})
	f.converts("m-3")
	f.healthy()
}
