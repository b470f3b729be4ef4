package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
	"github.com/banyanhq/banyan/devstack/devtest"
)

// planted are a person's name, her phone number and what she wrote. They are told to
// Banyan, and go out in messages; nobody who watches Banyan may meet them.
var planted = []string{"张伟琳", "13987654321", "我的膝盖受过伤"}

// watched is a campaign that reads and says all of it.
const watched = `
campaign: watched
title: 锁价
member:
  name: string
  phone: string
events:
  order.paid: {order: string, offer: string, amount: money, note: string}
offers:
  card: {title: 月卡, price: 199, list_price: 299, lock: 48h, stock: 100}
rewards:
  points: {points: 10, budget: 1000}
  voucher: {coupon: {codes: pool}}
messages:
  welcome: "{{ member.name }}（{{ member.phone }}）：{{ start.note }}"
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

func trialWithNote(member string) campaign.Event {
	return campaign.Event{ID: "trial-" + member, Type: "order.paid", Member: member, Time: time.Now(), Properties: json.RawMessage(fmt.Sprintf(
		`{"order":"o-%s %s","offer":"trial","amount":{"amount":"9.90","currency":"CNY"},"note":%q}`, member, planted[1], planted[2]))}
}

// Logs, metrics, histories, search attributes: none holds what only members and those
// who write to them should read. And every metric that the dashboard and the alerts ask
// for is there.
func TestWhatOperatorsSee(t *testing.T) {
	t.Parallel()
	s := newSite(t, webhooktest.Options{})
	s.begin(watched, 1)
	s.campaign(strings.ReplaceAll(driven(watched, campaign.DriveSlices), "campaign: watched", "campaign: sliced"), 1)
	s.client = devtest.Client(t, s.stack.TemporalAddress, "default")
	people := []string{"m-4711", "m-4712", "m-4713"}
	for _, m := range people {
		body := fmt.Appendf(nil, `{"attributes":{"name":%q,"phone":%q}}`, planted[0], planted[1])
		if err := s.api.call(s.ctx, http.MethodPut, "/v1/members/"+m, body, "application/json", nil); err != nil {
			t.Fatal(err)
		}
	}
	// What goes wrong must not tell more than what goes well.
	s.receiver.Next(webhooktest.FaultFail, webhooktest.FaultThrottle, webhooktest.FaultDrop)
	for path, body := range map[string]string{
		"/v1/events":               `{"id":"x","type":"order.paid","member":"` + planted[1] + `","time":"` + planted[2] + `","properties":{"note":7}}`,
		"/v1/events/batch":         `{"events":[{"` + planted[0] + `":1}]}`,
		"/v1/campaigns":            "campaign: " + planted[0],
		"/v1/offers/" + planted[1]: "",
	} {
		if err := s.api.call(s.ctx, http.MethodPost, path, []byte(body), "application/json", nil); err == nil {
			t.Errorf("%s took nonsense", path)
		}
	}
	for _, m := range people {
		s.tell(trialWithNote(m))
	}
	s.until("everybody has her messages", func() bool {
		return s.count(`select count(*) from messages where state = 'sent'`) == 2*len(people) && s.count(`select count(*) from offers where state = 'open'`) == 2*len(people)
	})
	for _, r := range s.receiver.Delivered() {
		for _, p := range planted {
			if !strings.Contains(r.Body, p) {
				t.Fatalf("%s is not in the message, so nothing is proved: %s", p, r.Body)
			}
		}
	}
	// A poke for a workflow that is gone makes the router complain.
	if err := s.client.TerminateWorkflow(s.ctx, "journey/watched/way/m-4712/1", "", "by hand"); err != nil {
		t.Fatal(err)
	}
	s.tell(paid("card-m-4712", "m-4712", "card", "199.00", time.Now()), paid("card-m-4713", "m-4713", "card", "199.00", time.Now()))
	s.until("the router has complained", func() bool { return strings.Contains(read(t, s.worker.log), "its workflow is gone") })

	// A campaign that this build cannot load, as after a newer one.
	broken := strings.ReplaceAll(watched, "campaign: watched", "campaign: broken")
	if err := s.api.call(s.ctx, http.MethodPost, "/v1/campaigns", []byte(broken), "application/yaml", nil); err != nil {
		t.Fatal(err)
	}
	s.exec(`update campaign_versions set definition = jsonb_set(definition, '{journeys,0,steps,0,kind}', '"dance"') where campaign = 'broken'`)
	if err := s.api.call(s.ctx, http.MethodPost, "/v1/campaigns/broken/start", []byte(`{}`), "application/json", nil); err != nil {
		t.Fatal(err)
	}
	s.tell(trialWithNote("m-4714"))
	s.until("it is held up", func() bool {
		names, _, err := s.scraped(s.metricsOfServe)
		return err == nil && names["banyan_router_held_up_total"]
	})

	seen := map[string]string{"log of serve": read(t, s.serve.log), "log of worker": read(t, s.worker.log)}
	s.sees(seen)
	names := map[string]bool{}
	s.until("the gauges have been brought up to date", func() bool {
		for what, address := range map[string]string{"metrics of serve": s.metricsOfServe, "metrics of worker": s.metricsOfWorker} {
			found, text, err := s.scraped(address)
			if err != nil {
				t.Fatal(err)
			}
			seen[what] = text
			for name := range found {
				names[name] = true
			}
		}
		return strings.Contains(seen["metrics of serve"], `banyan_offers_open{campaign="sliced"`)
	})
	for what, text := range seen {
		if len(text) < 200 {
			t.Errorf("there is nearly nothing in the %s: %s", what, text)
		}
		for _, p := range planted {
			if i := strings.Index(text, p); i >= 0 {
				t.Errorf("%s stands in the %s: …%s…", p, what, text[max(0, i-200):min(len(text), i+100)])
			}
		}
		for _, m := range people {
			if strings.HasPrefix(what, "metrics") && strings.Contains(text, m) {
				t.Errorf("the member %s stands in the %s", m, what)
			}
		}
	}
	for i, line := range strings.Split(strings.TrimSpace(seen["log of worker"]+"\n"+seen["log of serve"]), "\n") {
		if line != "" && !json.Valid([]byte(line)) {
			t.Errorf("line %d of the logs is not JSON: %s", i+1, line)
		}
	}
	if !regexp.MustCompile(`"msg":"message not delivered[^}]*"campaign":"(watched|sliced)","journey":\d+`).MatchString(seen["log of worker"]) {
		t.Errorf("the log does not say of which journey a message was not delivered:\n%s", s.worker.tail())
	}
	s.asks(names)
}

// sees reads what Temporal keeps: histories, search attributes, memos.
func (s *site) sees(seen map[string]string) {
	s.t.Helper()
	list, err := s.client.ListWorkflow(s.ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: "default"})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, x := range list.GetExecutions() {
		seen["search attributes and memos"] += s.wire(x)
		events := s.client.GetWorkflowHistory(s.ctx, x.GetExecution().GetWorkflowId(), x.GetExecution().GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				s.t.Fatal(err)
			}
			seen["histories"] += s.wire(e)
		}
	}
}

// wire is a message as it is stored: payloads stand in it as they are, not in base64.
func (s *site) wire(m proto.Message) string {
	s.t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data) + "\n"
}

var metricName = regexp.MustCompile(`\b(?:banyan|temporal|go|process)_[a-z_]+\b`)

// asks checks that every metric is there for which the dashboard or an alert asks.
func (s *site) asks(names map[string]bool) {
	s.t.Helper()
	asked := 0
	for _, file := range []string{"../deploy/grafana/banyan.json", "../deploy/prometheus/alerts.yml"} {
		for _, name := range metricName.FindAllString(read(s.t, file), -1) {
			asked++
			if !names[name] {
				s.t.Errorf("%s asks for %s, which neither program has", file, name)
			}
		}
	}
	if asked < 40 {
		s.t.Errorf("only %d names were found", asked)
	}
}
