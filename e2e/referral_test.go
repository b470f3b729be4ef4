package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	sdk "go.temporal.io/api/sdk/v1"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

const bringing = `
campaign: bringing
title: 老带新
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string}
rewards:
  bring: {points: 200}
  first: {points: 100}
messages:
  hello: "hello"
  thanks: "you have {{ member.points }}"
referral:
  link: https://shop.example/join
  qualifies: {on: order.paid, when: event.offer == "trial", within: 30d}
  hold: 48h
  claw_back: 300d
  rewards: {inviter: bring, invitee: first}
journeys:
  invited:
    start: {referral: bound}
    goal: {on: order.paid}
    on_goal: continue
    steps:
      - send: hello
  inviter:
    start: {on: referral.vested}
    entry: every_time
    goal: {on: order.paid}
    steps:
      - send: thanks
`

// One referral over HTTP, on a real engine: code, click, binding, order, hold, both rewarded,
// refund, taken back; and at each point the page of its workflow says how it stands.
func TestReferral(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	name := f.submit(bringing, 2, firstOfDecember)
	f.runRouter()
	f.runWorker()
	shop := f.serveAPI(store.ScopeReferralsWrite, store.ScopeMembersWrite, store.ScopeMembersRead, store.ScopeEventsWrite)
	ask := func(method, path string, in, out any) {
		t.Helper()
		body, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := shop.call(t.Context(), method, path, body, "application/json", out); err != nil {
			t.Fatal(err)
		}
	}
	type object = map[string]any
	for _, m := range []string{"m-old", "m-new"} {
		ask("PUT", "/v1/members/"+m, object{}, nil)
	}
	var code starter.ReferralCodeAnswer
	ask("POST", "/v1/campaigns/"+name+"/referrals/codes", object{"member": "m-old"}, &code)

	click, err := http.NewRequestWithContext(t.Context(), http.MethodGet, shop.url+"/r/"+code.Code, nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	landed, err := browser.Do(click)
	if err != nil {
		t.Fatal(err)
	}
	_ = landed.Body.Close()
	to, err := url.Parse(landed.Header.Get("Location"))
	if err != nil || to.Host != "shop.example" {
		t.Fatalf("%d to %q", landed.StatusCode, landed.Header.Get("Location"))
	}
	var bound starter.ReferralAnswer
	ask("POST", "/v1/referrals", object{"code": code.Code, "member": "m-new", "attribution": to.Query().Get("banyan_ref"), "ip": "203.0.113.5"}, &bound)

	page := func(begins string) {
		t.Helper()
		workflow := campaign.JourneyID{Campaign: name, Journey: campaign.ReferralJourney, Member: "m-new", Entry: 1}.WorkflowID()
		said := ""
		f.until("the page begins with "+begins, func() bool {
			var metadata sdk.WorkflowMetadata
			value, err := f.client.QueryWorkflow(t.Context(), workflow, "", "__temporal_workflow_metadata")
			if err != nil || value.Get(&metadata) != nil {
				return false
			}
			said = metadata.CurrentDetails
			return strings.HasPrefix(said, begins)
		})
		t.Log(said)
	}
	stands := func(state campaign.ReferralState) starter.ReferralAnswer {
		t.Helper()
		var list starter.ReferralList
		f.until(string(state), func() bool {
			ask("GET", "/v1/campaigns/"+name+"/referrals", nil, &list)
			return len(list.Referrals) == 1 && list.Referrals[0].State == state
		})
		return list.Referrals[0]
	}
	points := func(old, fresh int) {
		t.Helper()
		if got := f.text(`select string_agg(points::text, ' ' order by id) from members where id in ('m-new', 'm-old')`); got != fmt.Sprintf("%d %d", fresh, old) {
			t.Errorf("the invitee and the inviter have %s points, want %d and %d", got, fresh, old)
		}
	}
	stands(campaign.ReferralBound)
	page("**referral bound** – waits for order.paid until")
	points(0, 0)

	tell := func(id, typ string, properties object) {
		t.Helper()
		ask("POST", "/v1/events", object{"id": id, "type": typ, "member": "m-new", "time": f.now(name).Format(time.RFC3339Nano), "properties": properties}, nil)
	}
	tell("pays", "order.paid", object{"order": "o-1", "offer": "trial", "amount": "9.90"})
	qualified := stands(campaign.ReferralQualified)
	page("**referral qualified** – the rewards are held until")
	points(0, 0)

	// Two days later, which no timer of hers knows of: another order's refund makes it look.
	f.exec(`update campaigns set clock_start = clock_start + interval '48 hours'`)
	tell("other", "order.refunded", object{"order": "o-2"})
	vested := stands(campaign.ReferralVested)
	page("**referral vested** – a refund takes the rewards back until")
	if held := vested.ClosedAt.Sub(*qualified.QualifiedAt); held != 48*time.Hour {
		t.Errorf("held for %s", held)
	}
	points(200, 100)
	f.until("the inviter is thanked", func() bool {
		return f.count(`select count(*) from messages where name = 'thanks' and member = 'm-old' and state = 'sent'`) == 1
	})

	tell("back", "order.refunded", object{"order": "o-1"})
	stands(campaign.ReferralClawedBack)
	points(0, 0)
	run := campaign.JourneyID{Campaign: name, Journey: campaign.ReferralJourney, Member: "m-new", Entry: 1}.WorkflowID()
	f.until("its workflow is over", func() bool {
		d, err := f.client.DescribeWorkflowExecution(t.Context(), run, "")
		return err == nil && d.WorkflowExecutionInfo.Status == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
	})
	for _, finding := range f.examine() {
		if !finding.OK && (finding.Check == "referrals" || finding.Check == "ledger" || finding.Check == "balances" || finding.Check == "grants") {
			t.Errorf("%s: %s", finding.Check, finding.Detail)
		}
	}
}
