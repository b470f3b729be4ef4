package starter_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

// segmented has a segment of each sort: one that PostgreSQL answers, one of which it knows a
// part, one for which pasts are summed up, and one that needs another.
const segmented = `
campaign: reach
title: Reach
member:
  city: string
  visits: int
events:
  order.paid: {order: string, offer: string, amount: money}
segments:
  local: member.city == "Shanghai"
  named: member.city.matches("^S")
  spender: sum("order.paid", "amount", duration("720h")) >= money("100.00")
  keen: segment("local") && member.visits > 2
  fresh: now - member.joined_at < duration("24h")
  nobody: member.visits > 1000
messages: {hello: hello}
journeys:
  main:
    start: [{segment: keen}, {api: true}]
    goal: {on: order.paid}
    steps: [{send: hello}]
  daily:
    start: {schedule: "0 9 * * *", segment: local}
    goal: {on: order.paid}
    steps: [{send: hello}]
`

func reach(t *testing.T) *api {
	t.Helper()
	a := serve(t)
	// More than a page of them, so that pasts are looked up page by page.
	for i := range 1100 {
		city := []string{"Shanghai", "Suzhou", "Beijing"}[i%3]
		body := fmt.Sprintf(`{"attributes":{"city":%q,"visits":%d},"joined_at":"2026-01-01T00:00:00Z"}`, city, i%5)
		a.must("PUT", fmt.Sprintf("/v1/members/m-%04d", i), body)
	}
	return a
}

// Segments are counted by the version for new entrants, each in its own way, and say which
// journeys they start.
func TestSegmentsAreCounted(t *testing.T) {
	a := reach(t)
	a.must("POST", "/v1/campaigns", strings.Replace(segmented, "visits > 2", "visits > 3", 1))
	a.must("POST", "/v1/campaigns", segmented)
	now := time.Now().UTC().Format(time.RFC3339)
	for i, who := range []string{"m-0001", "m-0001", "m-1099", "m-0002"} {
		amount := []string{"60.00", "40.00", "100.00", "99.99"}[i]
		a.must("POST", "/v1/events", fmt.Sprintf(`{"id":"e-%d","type":"order.paid","member":%q,"time":%q,"properties":{"order":"o-%d","offer":"x","amount":%q}}`,
			i, who, now, i, amount))
	}
	var list starter.SegmentsAnswer
	a.must("GET", "/v1/campaigns/reach/segments", "").json(t, &list)
	// 367 of 1,100 come from Shanghai, and of these two in five have more than two visits.
	want := map[string]int64{"local": 367, "named": 734, "spender": 2, "keen": 147, "fresh": 0, "nobody": 0}
	starts := map[string]string{"local": "daily", "keen": "main"}
	if list.Campaign != "reach" || list.Version != 2 || list.Members == nil || *list.Members != 1100 || len(list.Segments) != len(want) {
		t.Errorf("got %+v", list)
	}
	for _, s := range list.Segments {
		if s.Members == nil || *s.Members != want[s.Segment] || strings.Join(s.Starts, " ") != starts[s.Segment] || s.When == "" {
			t.Errorf("%s: %+v, want %d members", s.Segment, s, want[s.Segment])
		}
		var one starter.SegmentAnswer
		a.must("GET", "/v1/campaigns/reach/segments/"+s.Segment, "").json(t, &one)
		if one.Members == nil || *one.Members != want[s.Segment] || one.Segment != s.Segment || one.Version != 2 {
			t.Errorf("%s alone: %+v", s.Segment, one)
		}
	}
	for _, path := range []string{"/v1/campaigns/reach/segments/lokal", "/v1/campaigns/nothing/segments", "/v1/campaigns/nothing/segments/local"} {
		if r := a.do("GET", path, ""); r.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}

	// A text that is not stored is counted without being stored.
	var planned starter.SegmentsAnswer
	a.must("POST", "/v1/segments/count", strings.NewReplacer("reach", "other", "visits > 2", "visits > 0").Replace(segmented)).json(t, &planned)
	if s := planned.Segments[3]; planned.Campaign != "other" || planned.Version != 0 || s.Segment != "keen" || *s.Members != 293 {
		t.Errorf("a text that is not stored: %+v", planned)
	}
	if r := a.do("GET", "/v1/campaigns/other", ""); r.status != http.StatusNotFound {
		t.Errorf("it is there: %d", r.status)
	}
	if r := a.do("POST", "/v1/segments/count", "campaign: x"); r.status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong text: %d %s", r.status, r.body)
	}
}

// Who may read reports may count, who may submit may count what is not stored.
func TestScopesOfSegments(t *testing.T) {
	a := serve(t)
	a.must("POST", "/v1/campaigns", segmented)
	reads, writes := "Bearer "+a.newKey(store.ScopeReportsRead), "Bearer "+a.newKey(store.ScopeCampaignsWrite)
	for _, c := range []struct {
		method, path, body, key string
		status                  int
	}{
		{"GET", "/v1/campaigns/reach/segments", "", reads, 200},
		{"GET", "/v1/campaigns/reach/segments", "", writes, 403},
		{"GET", "/v1/campaigns/reach/segments/local", "", reads, 200},
		{"POST", "/v1/segments/count", segmented, writes, 200},
		{"POST", "/v1/segments/count", segmented, reads, 403},
	} {
		if r := a.do(c.method, c.path, c.body, "Authorization", c.key); r.status != c.status {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.path, r.status, c.status, r.body)
		}
	}
}

// A call that has no time to count says what it does not know, instead of failing or
// piling up behind another.
func TestCountingTakesNoLongerThanItMay(t *testing.T) {
	a := serve(t)
	a.must("POST", "/v1/campaigns", segmented)
	done := a.server.Counting()
	a.server.CountWithin(time.Millisecond)
	var list starter.SegmentsAnswer
	a.must("GET", "/v1/campaigns/reach/segments", "").json(t, &list)
	if list.Members != nil || len(list.Segments) != 6 || list.Segments[0].Members != nil {
		t.Errorf("while another counts: %+v", list)
	}
	done()
	a.server.CountWithin(time.Minute)
	a.must("GET", "/v1/campaigns/reach/segments", "").json(t, &list)
	if list.Members == nil || list.Segments[0].Members == nil {
		t.Errorf("afterwards: %+v", list)
	}
}
