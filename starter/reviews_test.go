package starter_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

const wall = `
campaign: diary
title: diary
roles:
  coach: {title: Coach, backup: owner}
  owner:
events:
  liked:
journeys:
  wall:
    start: {api: true}
    goal: {on: liked}
    steps:
      - review: {by: coach, about: Good enough?, for: 24h, otherwise: reject}
        approved:
          - tag: shown
`

// reviewing is a server with members who wait for a decision.
func reviewing(t *testing.T, members int) *api {
	t.Helper()
	taker := &turn.Taker{Programs: turn.NewCache(), Via: []string{"console"}}
	a := serve(t, func(c *starter.Config) {
		taker.Store = c.Store
		c.Entrances = &starter.Router{Store: c.Store, Taker: taker}
	})
	a.must("POST", "/v1/campaigns", wall)
	a.must("POST", "/v1/campaigns/diary/start", "")
	for i := range members {
		a.must("PUT", fmt.Sprintf("/v1/members/m-%d", i+1), "{}")
		var entry starter.EntryAnswer
		a.must("POST", "/v1/campaigns/diary/journeys/wall/entries", fmt.Sprintf(`{"member":"m-%d"}`, i+1)).json(t, &entry)
		var row int64
		if _, err := fmt.Sscan(entry.Journey, &row); err != nil {
			t.Fatal(err)
		}
		if _, err := taker.Advance(t.Context(), row, 1); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// What is asked of people is listed page by page, claimed, given back and decided.
func TestReviews(t *testing.T) {
	a := reviewing(t, 3)
	a.key = a.newKey(store.ScopeReviewsDecide)
	var list starter.ReviewList
	var ids []string
	for path := "/v1/reviews?limit=2&state=open&role=coach&campaign=diary&kind=decision"; ; path += "&after=" + list.Next {
		list = starter.ReviewList{}
		a.must("GET", path, "").json(t, &list)
		for _, r := range list.Reviews {
			ids = append(ids, r.ID)
		}
		if list.Next == "" {
			break
		}
	}
	if len(ids) != 3 {
		t.Fatalf("reviews %v", ids)
	}
	a.must("GET", "/v1/reviews?role=owner", "").json(t, &list)
	if len(list.Reviews) != 0 {
		t.Errorf("the backup is asked already: %+v", list.Reviews)
	}
	one := "/v1/reviews/" + ids[0]
	var r starter.ReviewAnswer
	a.must("POST", one+"/claim", "").json(t, &r)
	if r.ClaimedBy != "test" || r.ClaimedAt == nil || r.Asked != "coach" || r.State != campaign.ReviewOpen || r.EscalatesAt.Sub(r.OpenedAt) != 24*time.Hour {
		t.Errorf("%+v", r)
	}
	if got := a.do("POST", one+"/decision", `{"decision":"approve","reason":"good","reviewer":"li"}`); got.status != 409 || !strings.Contains(got.body, "test has claimed") {
		t.Errorf("%d %s", got.status, got.body)
	}
	r = starter.ReviewAnswer{}
	if a.must("DELETE", one+"/claim", "").json(t, &r); r.ClaimedBy != "" || r.ClaimedAt != nil {
		t.Errorf("%+v", r)
	}
	// A repeated call is answered as the first was; another one comes too late.
	decision := `{"decision":"approve","reason":" good ","reviewer":"li"}`
	first := a.must("POST", one+"/decision", decision, "Idempotency-Key", "k-1")
	again := a.must("POST", one+"/decision", decision, "Idempotency-Key", "k-1")
	if first.body != again.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%s\n%s", first.body, again.body)
	}
	r = starter.ReviewAnswer{}
	if first.json(t, &r); r.State != campaign.ReviewApproved || r.DecidedBy != "li" || r.Reason != "good" || r.Asked != "" {
		t.Errorf("%+v", r)
	}
	if got := a.do("POST", one+"/decision", decision); got.status != 409 || !strings.Contains(got.body, "approved by li at") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if c := a.counts(); c.Events != 1 {
		t.Errorf("%d events", c.Events)
	}
}

// Who may not decide sees nothing; what is not a decision is refused.
func TestRefusedReviews(t *testing.T) {
	a := reviewing(t, 1)
	other := a.newKey(store.ScopeEventsWrite, store.ScopeMembersRead, store.ScopeReportsRead, store.ScopeCampaignsWrite)
	for _, c := range []struct {
		method, path, body, key string
		status                  int
		says                    string
	}{
		{"GET", "/v1/reviews", "", other, 403, "reviews:decide"},
		{"POST", "/v1/reviews/1/decision", `{"decision":"approve","reason":"x"}`, other, 403, "reviews:decide"},
		{"POST", "/v1/reviews/1/claim", "", other, 403, "reviews:decide"},
		{"DELETE", "/v1/reviews/1/claim", "", other, 403, "reviews:decide"},
		{"GET", "/v1/reviews/999", "", a.key, 404, "review"},
		{"POST", "/v1/reviews/999/decision", `{"decision":"approve","reason":"x"}`, a.key, 404, "review"},
		{"GET", "/v1/reviews/none", "", a.key, 422, "review"},
		{"GET", "/v1/reviews?state=done", "", a.key, 422, "state"},
		{"GET", "/v1/reviews?after=%21", "", a.key, 422, "cursor"},
		{"GET", "/v1/reviews?after=eHg", "", a.key, 422, "cursor"},
		{"POST", "/v1/reviews/1/decision", `{"decision":"maybe","reason":"x"}`, a.key, 422, "decision"},
		{"POST", "/v1/reviews/1/decision", `{"decision":"approve"}`, a.key, 422, "reason"},
		{"POST", "/v1/reviews/1/decision", `{"decision":"approve","reason":"  "}`, a.key, 422, "reason"},
		{"POST", "/v1/reviews/1/decision", `{"decision":"approve","reason":"x","reviewer":"a\nb"}`, a.key, 422, "control"},
		{"POST", "/v1/reviews/1/decision", "", a.key, 400, ""},
		{"POST", "/v1/events", `{"id":"@banyan/review/1","type":"liked","member":"m-1","time":"2026-01-05T10:00:00Z"}`, a.key, 422, "own"},
		{"POST", "/v1/events", `{"id":"e","type":"@review.decided","member":"m-1","time":"2026-01-05T10:00:00Z"}`, a.key, 422, "no campaign declares"},
		{"POST", "/v1/events", `{"id":"e","type":"@call.answered","member":"m-1","time":"2026-01-05T10:00:00Z"}`, a.key, 422, "no campaign declares"},
	} {
		a := *a
		a.key = c.key
		got := a.do(c.method, c.path, c.body)
		if got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s %s %s: %d %s, want %d %q", c.method, c.path, c.body, got.status, got.body, c.status, c.says)
		}
	}
	var r starter.ReviewAnswer
	a.must("GET", "/v1/reviews/1", "").json(t, &r)
	if r.State != campaign.ReviewOpen || r.ClaimedBy != "" {
		t.Errorf("%+v", r)
	}
	// Nothing of the member but her id.
	a.must("PUT", "/v1/members/m-1", `{"attributes":{"name":"小林"},"tags":["vip"]}`)
	var fields map[string]json.RawMessage
	body := a.must("GET", "/v1/reviews/1", "")
	if body.json(t, &fields); string(fields["member"]) != `"m-1"` || strings.Contains(body.body, "小林") || strings.Contains(body.body, "vip") {
		t.Error(body.body)
	}
}
